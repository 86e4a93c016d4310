//! `niwaki compile`.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context as _, Result, ensure};
use clap::Args;
use niwaki_tools::compiler::calibrate::RangeMethod;
use niwaki_tools::compiler::sparsify::Sparse;
use niwaki_tools::compiler::{self, Options, WeightsLayout};
use niwaki_tools::graph::Graph;
use niwaki_tools::preprocess::Preprocess;
use niwaki_tools::{data, import, reference, web};

use super::{bind::Bind, budget::Budget, inspect::Summary};

/// Compile an ONNX model into an artifact.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  niwaki compile model.onnx -o model.niwaki --calibrate calibration.npz
      Quantise a float model to int8; the file holds a few hundred real inputs.
  niwaki compile model_int8_qdq.onnx -o model.niwaki
      A model that is quantised already keeps its scales: the bits are onnxruntime's.
  niwaki compile model.onnx -o model.niwaki --float --dim sequence=128
      Keep a float model in floats; a symbolic dimension gets a size.
  niwaki compile silero_vad.onnx -o vad.niwaki --float --dim batch=1 --dim sequence=576 \\
      --const sr=16000
      An input that is the same in every run, here the sample rate, becomes a constant.
  niwaki compile model.onnx -o model.niwaki --calibrate calibration.npz \\
      --target cortex-m4 --max-ram 16K --max-flash 64K
      Say what it costs on a machine, and fail beyond a budget.
  niwaki compile model_int8_qdq.onnx -o model-web --target web
      Make an npm package in the folder model-web: the model, and WebAssembly with just its
      operators.
  niwaki compile model_int8_qdq.onnx -o model.niwaki --weights-layout fast
      More flash for fewer instructions on Cortex-M4 and M7.
  niwaki compile mobilenet.onnx -o mobilenet.niwaki --calibrate calibration.npz --preprocess \
      '{\"image\":{\"color\":\"rgb\",\"layout\":\"nchw\",\"rescale\":0.00392156862745098}}'
      Pixels from 0 to 1: in a browser, `run` takes a canvas, an image or a video frame then. There
      are `mean` and `std` too, lists with a number for each colour, and
      '{\"audio\":{\"sample_rate\":16000}}'.
  niwaki compile pruned_int8_qdq.onnx -o pruned.niwaki
      Of a model that was pruned in blocks of four input channels, only those that are not zero are
      stored and computed, in layers where that gains; each layer's line says so (docs/sparse.md).

Data: an .npz with one array for each input, by its name, whose first dimension counts the
samples; or arrays s<k>_in<j>; or a folder of ONNX test_data_set_*.")]
pub(super) struct Compile {
    /// The ONNX model.
    model: PathBuf,
    /// The artifact to write; with --target web the folder of the package.
    #[arg(short, long, value_name = "OUT.niwaki")]
    output: PathBuf,
    /// Real inputs, to quantise a float model to int8 with.
    #[arg(long, value_name = "DATA.npz")]
    calibrate: Option<PathBuf>,
    /// Keep a float model in floats.
    #[arg(long, conflicts_with = "calibrate")]
    float: bool,
    #[command(flatten)]
    bind: Bind,
    /// How ranges of activations are found: minmax, percentile, percentile:P, or mse.
    #[arg(long, value_name = "METHOD", default_value = "minmax", value_parser = range_method)]
    ranges: RangeMethod,
    /// Correct biases for the mean error of the quantised weights.
    #[arg(long)]
    bias_correction: bool,
    /// Type of the inputs and outputs of a float model that is quantised here.
    #[arg(long, value_enum, default_value_t = Io::Float)]
    io: Io,
    /// Labels of the first output, one a line, to be kept in the artifact.
    #[arg(long, value_name = "LABELS.txt")]
    labels: Option<PathBuf>,
    /// What to do with a picture or sound before the model sees it: JSON, or a file of it, to be kept
    /// in the artifact. The npm package does it then (see the examples below).
    #[arg(long, value_name = "[INPUT=]JSON", value_parser = preprocess)]
    preprocess: Vec<(Option<String>, String)>,
    /// Leave everything in, also what does not change the output.
    #[arg(long)]
    no_shrink: bool,
    /// The most bytes that the arena may take, for instance 20000 or 24K: layers are run in strips
    /// of rows where it would take more. The outputs keep their bits; a run takes a little longer.
    #[arg(long, value_name = "BYTES", value_parser = super::budget::bytes)]
    ram: Option<u64>,
    /// How int8 weights of convolutions and matrix products are stored. The outputs keep their bits,
    /// on every machine.
    #[arg(long, value_name = "LAYOUT", value_enum, default_value_t = WeightsLayout::Small)]
    weights_layout: WeightsLayout,
    /// Which int8 matrix products and 1x1 convolutions store only the blocks of four consecutive
    /// weights of an output channel that are not all zero. The outputs keep their bits.
    #[arg(long, value_name = "WHEN", value_enum, default_value_t = Sparse::Auto)]
    sparse: Sparse,
    /// Leave names of layers and the origin out: smaller, and harder to look into.
    #[arg(long)]
    strip: bool,
    /// Multiply-accumulates and other steps that the run may take which makes the golden vector,
    /// by which the artifact tests itself; 0 leaves it out.
    #[arg(long, value_name = "N", default_value_t = compiler::GOLDEN_STEPS)]
    golden_steps: u64,
    #[command(flatten)]
    budget: Budget,
    /// Print the summary as JSON.
    #[arg(long)]
    json: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Io {
    /// As the model has them.
    Float,
    /// Integers, with the scale in the artifact.
    Int8,
}

fn range_method(text: &str) -> Result<RangeMethod, String> {
    match text.split_once(':') {
        None if text == "minmax" => Ok(RangeMethod::MinMax),
        None if text == "mse" => Ok(RangeMethod::Mse),
        None if text == "percentile" => Ok(RangeMethod::Percentile(99.99)),
        Some(("percentile", percent)) => match percent.parse() {
            Ok(percent) if (50.0..=100.0).contains(&percent) => {
                Ok(RangeMethod::Percentile(percent))
            }
            _ => Err(format!("`{percent}` is not a percentage from 50 to 100")),
        },
        _ => Err(format!(
            "`{text}` is none of minmax, percentile, percentile:P and mse"
        )),
    }
}

/// `INPUT=JSON`, or JSON alone for the only input; JSON, or the name of a file.
fn preprocess(text: &str) -> Result<(Option<String>, String), String> {
    let (input, json) = match text.split_once('=') {
        Some((input, json)) if !input.contains('{') => (Some(input.to_owned()), json),
        _ => (None, text),
    };
    if json.trim_start().starts_with('{') {
        return Ok((input, json.to_owned()));
    }
    let text = std::fs::read_to_string(json)
        .map_err(|error| format!("`{json}` is no JSON, and cannot be read as a file: {error}"))?;
    Ok((input, text))
}

impl Compile {
    /// What is to be done with raw data, by inputs.
    fn preprocess(&self, graph: &Graph) -> Result<BTreeMap<String, String>> {
        let mut all = BTreeMap::new();
        for (input, json) in &self.preprocess {
            let names: Vec<_> = graph
                .inputs
                .iter()
                .map(|&id| graph.values[id].name.as_str())
                .collect();
            let at = match input {
                Some(input) => names.iter().position(|name| name == input),
                None => (names.len() == 1).then_some(0),
            };
            let at = at.with_context(|| {
                format!("--preprocess: say INPUT=JSON with one of the inputs {names:?}")
            })?;
            let place = || format!("--preprocess of input `{}`", names[at]);
            let parsed =
                Preprocess::parse(json, graph.shape(graph.inputs[at])).with_context(place)?;
            let before = all.insert(names[at].to_owned(), serde_json::to_string(&parsed)?);
            ensure!(before.is_none(), "{} is given twice", place());
        }
        Ok(all)
    }

    pub(super) fn run(self) -> Result<ExitCode> {
        let imported = import::import_bound(&self.model, &self.bind.bindings())?;
        let calibration = match &self.calibrate {
            None => None,
            Some(path) => {
                let slots = reference::input_slots(&imported.graph);
                Some(data::read_samples(path, &slots, data::Side::Input)?)
            }
        };
        let labels = match &self.labels {
            None => Vec::new(),
            Some(path) => {
                let text = std::fs::read_to_string(path)
                    .with_context(|| format!("cannot read {}", path.display()))?;
                text.lines().map(|line| line.trim().to_owned()).collect()
            }
        };
        let count = imported.graph.outputs.first().map(|&id| {
            let shape = imported.graph.shape(id);
            shape.last().copied().unwrap_or(1)
        });
        ensure!(
            labels.is_empty() || Some(labels.len()) == count,
            "there are {} labels for {} elements of the first output",
            labels.len(),
            count.unwrap_or(0)
        );
        let preprocess = self.preprocess(&imported.graph)?;
        let options = Options {
            float: self.float,
            ranges: self.ranges,
            bias_correction: self.bias_correction,
            int8_io: self.io == Io::Int8,
            shrink: !self.no_shrink,
            ram: self
                .ram
                .map(|ram| usize::try_from(ram).unwrap_or(usize::MAX)),
            weights_layout: self.weights_layout,
            sparse: self.sparse,
            strip: self.strip,
            labels,
            preprocess,
            golden_steps: self.golden_steps,
        };
        let compiled = compiler::compile(&imported, &options, calibration.as_ref())
            .with_context(|| format!("cannot compile {}", self.model.display()))?;
        let artifact = niwaki_tools::artifact::Artifact::from_bytes(compiled.bytes())?;
        let summary = Summary::of(&artifact)?;
        let cost = self
            .budget
            .check(&summary)
            .with_context(|| format!("{} is beyond its budget", self.model.display()))?;
        if self.budget.is_web() {
            let name = web::package_name(&self.model)?;
            web::write(&artifact, &name, &self.output)?;
        } else {
            data::write_beside(&self.output, |file| Ok(file.write_all(compiled.bytes())?))?;
        }
        if self.json {
            let mut json = serde_json::to_value(&summary)?;
            json["target"] = serde_json::to_value(&cost)?;
            json["shrink"] = serde_json::to_value(&compiled.shrink)?;
            json["sparse"] = serde_json::to_value(&compiled.sparse)?;
            json["strips"] = serde_json::to_value(&compiled.strips)?;
            println!("{}", serde_json::to_string_pretty(&json)?);
        } else {
            println!("{}: {}", self.output.display(), summary.line());
            if let Some(shrink) = compiled.shrink.as_ref().filter(|s| s.has_changed()) {
                println!("{shrink}");
            }
            for layer in compiled.sparse.iter().filter(|layer| layer.is_remarkable()) {
                println!("{layer}");
            }
            for group in &compiled.strips {
                println!("{group}");
            }
            if let Some(cost) = cost {
                println!("{}", cost.line());
            }
        }
        Ok(ExitCode::SUCCESS)
    }
}
