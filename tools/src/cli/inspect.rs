//! `niwaki inspect`.

use std::io::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Result;
use clap::Args;
use niwaki::OperatorSet as _;
use niwaki::artifact::{Port, Storage, Tensor};
use niwaki_tools::artifact::{Artifact, onnx_shape};
use niwaki_tools::data;
use niwaki_tools::memory::{Life, Timeline, svg};
use niwaki_tools::target::Target;
use serde::Serialize;

use super::budget::Cost;
use super::{table, thousands};

/// Show what an artifact holds: inputs, outputs, layers, memory, origin.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  niwaki inspect model.niwaki
  niwaki inspect model.niwaki --json | jq .arena_bytes
  niwaki inspect model.niwaki --memory --svg arena.svg
      What lies where in the arena while which operator runs, as a table and as a picture.
  niwaki inspect model.niwaki --target cortex-m4
      Also what it takes of the RAM and flash of such a machine.")]
pub(super) struct Inspect {
    /// The artifact.
    artifact: PathBuf,
    /// Show the arena over time: which tensors lie where while each operator runs.
    #[arg(long)]
    memory: bool,
    /// Draw the arena over time into a file.
    #[arg(long, value_name = "OUT.svg", requires = "memory")]
    svg: Option<PathBuf>,
    /// Say what it costs on a machine: cortex-m0, m3, m4, m7, m33, m55, riscv32, wasm or host.
    #[arg(long, value_name = "MACHINE", conflicts_with = "memory")]
    target: Option<Target>,
    /// Print as JSON.
    #[arg(long)]
    json: bool,
}

/// What an artifact holds.
#[derive(Debug, Serialize)]
pub(super) struct Summary {
    /// Size of the file.
    pub(super) file_bytes: usize,
    /// Activation memory, exactly.
    pub(super) arena_bytes: usize,
    /// Weights proper: what products multiply with.
    weight_bytes: u64,
    /// Weights, biases, multipliers and tables.
    data_bytes: usize,
    /// Multiply-accumulates of one run.
    pub(super) macs: u64,
    inputs: Vec<PortSummary>,
    outputs: Vec<PortSummary>,
    pub(super) operators: Vec<OperatorSummary>,
    provenance: serde_json::Value,
}

#[derive(Debug, Serialize)]
struct PortSummary {
    name: String,
    dtype: &'static str,
    shape: Vec<usize>,
    scale: Option<f32>,
    zero_point: Option<i32>,
    labels: Vec<String>,
    /// What to do with raw data; `null` when nothing.
    preprocess: serde_json::Value,
}

#[derive(Debug, Serialize)]
pub(super) struct OperatorSummary {
    pub(super) kind: &'static str,
    /// Name of the output in the ONNX model.
    name: String,
    inputs: Vec<TensorSummary>,
    output: TensorSummary,
    macs: u64,
    weight_bytes: u64,
}

#[derive(Debug, Serialize)]
struct TensorSummary {
    dtype: &'static str,
    /// Dimensions in ONNX's order.
    shape: Vec<usize>,
    /// Dimensions as they lie in memory.
    memory: Vec<u32>,
    constant: bool,
    offset: u32,
    bytes: usize,
}

impl TensorSummary {
    fn of(tensor: &Tensor) -> Self {
        Self {
            dtype: tensor.dtype.name(),
            shape: onnx_shape(tensor),
            memory: tensor.shape().to_vec(),
            constant: tensor.storage == Storage::Data,
            offset: tensor.offset,
            bytes: tensor.byte_len(),
        }
    }

    fn text(&self) -> String {
        shape_text(self.dtype, &self.shape)
    }
}

fn shape_text(dtype: &str, shape: &[usize]) -> String {
    let dims: Vec<String> = shape.iter().map(ToString::to_string).collect();
    format!("{dtype} {}", dims.join("x"))
}

impl Summary {
    /// Everything about an artifact.
    pub(super) fn of(artifact: &Artifact) -> Result<Self> {
        let model = artifact.model()?;
        let port = |port: Option<Port>, tensor: Option<Tensor>| {
            let (port, tensor) = (port?, tensor?);
            let quantized = tensor.scale > 0.0;
            Some(PortSummary {
                name: model.text(port.name).to_owned(),
                dtype: tensor.dtype.name(),
                shape: onnx_shape(&tensor),
                scale: quantized.then_some(tensor.scale),
                zero_point: quantized.then_some(tensor.zero_point),
                labels: model.text(port.labels).lines().map(str::to_owned).collect(),
                preprocess: serde_json::from_str(model.text(port.preprocessing))
                    .unwrap_or_default(),
            })
        };
        let tensors = model.tensors();
        let operators: Vec<OperatorSummary> = model
            .operators()
            .filter_map(|operator| {
                let output = tensors.get(operator.output(0)?)?;
                let inputs = operator.inputs().filter_map(|index| tensors.get(index));
                Some(OperatorSummary {
                    kind: niwaki::All::name(operator.header.code)?,
                    name: model.text(output.name).to_owned(),
                    inputs: inputs.map(|tensor| TensorSummary::of(&tensor)).collect(),
                    output: TensorSummary::of(&output),
                    macs: model.macs(operator),
                    weight_bytes: model.weight_bytes(operator),
                })
            })
            .collect();
        Ok(Self {
            file_bytes: model.file_bytes(),
            arena_bytes: model.arena_bytes(),
            weight_bytes: operators.iter().map(|operator| operator.weight_bytes).sum(),
            data_bytes: model.data().len(),
            macs: operators.iter().map(|operator| operator.macs).sum(),
            inputs: (0..model.input_count())
                .filter_map(|i| port(model.input_port(i), model.input(i)))
                .collect(),
            outputs: (0..model.output_count())
                .filter_map(|i| port(model.output_port(i), model.output(i)))
                .collect(),
            operators,
            provenance: serde_json::from_str(model.provenance()).unwrap_or_default(),
        })
    }

    /// The figures that people ask for first.
    pub(super) fn line(&self) -> String {
        format!(
            "{} bytes ({} of weights), {} bytes of arena, {} multiply-accumulates, {} operators",
            thousands(self.file_bytes as u64),
            thousands(self.weight_bytes),
            thousands(self.arena_bytes as u64),
            thousands(self.macs),
            self.operators.len()
        )
    }
}

/// A name short enough for a table: its end, which tells names of one model apart.
fn short(name: &str) -> String {
    const WIDTH: usize = 36;
    let count = name.chars().count();
    if count <= WIDTH {
        return name.to_owned();
    }
    let tail: String = name.chars().skip(count - WIDTH + 1).collect();
    format!("…{tail}")
}

/// The arena over time: a row for each operator, with what is needed while it runs.
fn memory_table(timeline: &Timeline) -> String {
    let mut table = table(&[
        "#",
        "operator",
        "in the arena",
        "at",
        "bytes",
        "needed",
        "up to",
    ]);
    for (i, moment) in timeline.moments.iter().enumerate() {
        let lives = || moment.live.iter().map(|&index| &timeline.lives[index]);
        let lines = |of: &dyn Fn(&Life) -> String| lives().map(of).collect::<Vec<_>>().join("\n");
        let mark = if timeline.peak == Some(i) {
            " <- peak"
        } else {
            ""
        };
        table.add_row([
            i.to_string(),
            moment.kind.to_owned(),
            lines(&|life| {
                let written = if life.first == i + 1 { "-> " } else { "" };
                format!("{written}{}", short(&life.name))
            }),
            lines(&|life| life.offset.to_string()),
            lines(&|life| thousands(life.bytes as u64)),
            thousands(moment.live_bytes as u64),
            format!("{}{mark}", thousands(moment.top as u64)),
        ]);
    }
    table.to_string()
}

impl Inspect {
    fn show_memory(&self, artifact: &Artifact) -> Result<()> {
        let timeline = Timeline::of(&artifact.model()?);
        if let Some(path) = &self.svg {
            let title = self.artifact.file_name().unwrap_or_default();
            let svg = svg::draw(&timeline, &title.to_string_lossy());
            data::write_beside(path, |file| Ok(file.write_all(svg.as_bytes())?))?;
        }
        if self.json {
            println!("{}", serde_json::to_string_pretty(&timeline)?);
            return Ok(());
        }
        println!("{}", memory_table(&timeline));
        let arena = thousands(timeline.arena_bytes as u64);
        match timeline.peak.map(|peak| (peak, &timeline.moments[peak])) {
            Some((peak, moment)) => println!(
                "arena {arena} bytes; the peak is at operator {peak}, {} `{}`, which needs {} of them",
                moment.kind,
                moment.name,
                thousands(moment.live_bytes as u64)
            ),
            None => println!("arena {arena} bytes; no operator"),
        }
        Ok(())
    }

    pub(super) fn run(self) -> Result<ExitCode> {
        let artifact = Artifact::read(&self.artifact)?;
        if self.memory {
            self.show_memory(&artifact)?;
            return Ok(ExitCode::SUCCESS);
        }
        let summary = Summary::of(&artifact)?;
        let cost = self.target.map(|target| Cost::of(&summary, target));
        let cost = cost.transpose()?;
        if self.json {
            let mut json = serde_json::to_value(&summary)?;
            if let Some(cost) = cost {
                json["target"] = serde_json::to_value(cost)?;
            }
            println!("{}", serde_json::to_string_pretty(&json)?);
            return Ok(ExitCode::SUCCESS);
        }
        println!("{}: {}", self.artifact.display(), summary.line());
        if let Some(cost) = cost {
            println!("{}", cost.line());
        }
        for (side, ports) in [("input", &summary.inputs), ("output", &summary.outputs)] {
            for port in ports {
                let affine = match (port.scale, port.zero_point) {
                    (Some(scale), Some(zero)) => format!(", scale {scale}, zero point {zero}"),
                    _ => String::new(),
                };
                let shape = shape_text(port.dtype, &port.shape);
                println!("{side} `{}`: {shape}{affine}", port.name);
            }
        }
        let mut table = table(&["#", "operator", "output", "shape", "MACs", "arena at"]);
        for (i, operator) in summary.operators.iter().enumerate() {
            table.add_row([
                i.to_string(),
                operator.kind.to_owned(),
                short(&operator.name),
                operator.output.text(),
                thousands(operator.macs),
                operator.output.offset.to_string(),
            ]);
        }
        println!("\n{table}");
        if let Some(object) = summary.provenance.as_object() {
            println!();
            for (key, value) in object {
                println!("{key}: {value}");
            }
        }
        Ok(ExitCode::SUCCESS)
    }
}
