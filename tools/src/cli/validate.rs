//! `niwaki validate`.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context as _, Result};
use clap::Args;
use niwaki::artifact::DataType;
use niwaki_tools::artifact::Artifact;
use niwaki_tools::data::{self, Elements, Samples, Side, Slot};
use niwaki_tools::homes::Home;
use niwaki_tools::validate::{HomeReport, validate};
use niwaki_tools::{import, reference};

use super::{bind::Bind, table, thousands};

/// Hold an artifact against its reference, on several machines.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  niwaki validate model.niwaki --reference model.onnx --data test.npz --labels test.npz \\
      --on host,node,qemu:cortex-m4
      tract runs the ONNX model; every home runs the artifact; bits, errors and accuracy are
      compared.
  niwaki validate model.niwaki --reference recorded.npz --data recorded.npz
      The file holds s<k>_in<j> and s<k>_out<j>, for instance of onnxruntime.

The exit code is 1 when a home gives other bits than the host. A home that is not on this machine
is named and left out; with CI=true in the environment it is a failure.")]
pub(super) struct Validate {
    /// The artifact.
    artifact: PathBuf,
    /// The original ONNX model, or its recorded outputs.
    #[arg(long, value_name = "MODEL.onnx|RECORDED.npz|FOLDER")]
    reference: PathBuf,
    /// Inputs.
    #[arg(long, value_name = "DATA.npz|FOLDER")]
    data: PathBuf,
    /// The right class of each sample: .npy, array y of an .npz, or one integer a line.
    #[arg(long, value_name = "LABELS")]
    labels: Option<PathBuf>,
    /// Where to run.
    #[arg(
        long,
        value_name = "HOMES",
        value_delimiter = ',',
        default_value = "host"
    )]
    on: Vec<Home>,
    /// Use the first N samples only.
    #[arg(long, value_name = "N")]
    limit: Option<usize>,
    #[command(flatten)]
    bind: Bind,
    /// Print as JSON.
    #[arg(long)]
    json: bool,
}

impl Validate {
    pub(super) fn run(self) -> Result<ExitCode> {
        let artifact = Artifact::read(&self.artifact)?;
        let is_model = self.reference.extension().is_some_and(|e| e == "onnx");
        let (mut samples, mut expected) = if is_model {
            let bindings = self.bind.bindings();
            let imported = import::import_bound(&self.reference, &bindings)?;
            let slots = reference::input_slots(&imported.graph);
            let (samples, mut originals) = self.read_data(&artifact, &slots)?;
            originals.samples.truncate(self.limit.unwrap_or(usize::MAX));
            (
                samples,
                reference::run_tract(&self.reference, &bindings, &originals)?,
            )
        } else {
            let (samples, _) = self.read_data(&artifact, &artifact.input_slots()?)?;
            let slots = artifact.output_slots()?;
            (samples, reference::read_recorded(&self.reference, &slots)?)
        };
        let mut labels = self.labels.as_deref().map(data::read_labels).transpose()?;
        if let Some(limit) = self.limit {
            samples.samples.truncate(limit);
            expected.samples.truncate(limit);
            labels.iter_mut().for_each(|labels| labels.truncate(limit));
        }
        let reports = validate(&artifact, &samples, &expected, labels.as_deref(), &self.on)?;
        if self.json {
            let json = serde_json::json!({
                "model": self.artifact,
                "reference": self.reference,
                "homes": reports,
            });
            println!("{}", serde_json::to_string_pretty(&json)?);
        } else {
            print_reports(&reports);
        }
        let in_ci = std::env::var("CI").is_ok_and(|ci| ci == "true");
        let failed = reports.iter().any(|report| match report.status {
            "ok" => !report.same_bits || !report.self_test,
            _ => in_ci,
        });
        Ok(if failed {
            ExitCode::FAILURE
        } else {
            ExitCode::SUCCESS
        })
    }

    /// The samples as the artifact takes them, and as the reference takes them: an artifact with
    /// int8 inputs is fed the quantised form of float data, and data in int8 is dequantised for
    /// a float reference.
    fn read_data(&self, artifact: &Artifact, reference: &[Slot]) -> Result<(Samples, Samples)> {
        let ours = artifact.input_slots()?;
        // The reference's names are the model's; the artifact's are the same ones.
        match data::read_samples(&self.data, &ours, Side::Input) {
            Ok(samples) => {
                let originals = convert(artifact, &samples, reference)?;
                Ok((samples, originals))
            }
            Err(error) => {
                let same_types = ours.iter().zip(reference).all(|(a, b)| a.dtype == b.dtype);
                if same_types {
                    return Err(error);
                }
                let originals = data::read_samples(&self.data, reference, Side::Input)?;
                Ok((convert(artifact, &originals, &ours)?, originals))
            }
        }
    }
}

/// Samples in the types of `slots`, through the scales of the artifact's inputs.
fn convert(artifact: &Artifact, samples: &Samples, slots: &[Slot]) -> Result<Samples> {
    let model = artifact.model()?;
    let mut converted = samples.clone();
    for sample in &mut converted.samples {
        for (i, (elements, slot)) in sample.iter_mut().zip(slots).enumerate() {
            let tensor = model.input(i).context("the artifact has fewer inputs")?;
            let (scale, zero_point) = (tensor.scale, tensor.zero_point);
            let changed = match (&*elements, slot.dtype) {
                (Elements::I8(v), DataType::F32) if scale > 0.0 => Elements::F32(
                    v.iter()
                        .map(|&q| niwaki::numerics::dequantize(q, zero_point, scale))
                        .collect(),
                ),
                (Elements::F32(v), DataType::I8) if scale > 0.0 => {
                    let stage = niwaki::numerics::OutputStage::new(zero_point, -128, 127)
                        .context("the input's zero point is outside int8")?;
                    Elements::I8(v.iter().map(|&v| stage.quantize(v / scale)).collect())
                }
                (same, dtype) if same.type_name() == dtype.name() => continue,
                (other, dtype) => anyhow::bail!(
                    "input `{}` is {} in the data and {} in the reference",
                    slot.name,
                    other.type_name(),
                    dtype.name()
                ),
            };
            *elements = changed;
        }
    }
    Ok(converted)
}

fn print_reports(reports: &[HomeReport]) {
    let mut table = table(&[
        "home",
        "samples",
        "same bits",
        "self-test",
        "max error",
        "argmax agrees",
        "accuracy",
        "reference",
        "one run",
    ]);
    let share = |value: Option<f64>| value.map_or("-".to_owned(), |v| format!("{v:.4}"));
    let mark = |value: bool| if value { "yes" } else { "NO" }.to_owned();
    for report in reports {
        if let Some(reason) = &report.reason {
            table.add_row([report.home, "not run:", reason]);
            continue;
        }
        table.add_row([
            report.home.to_owned(),
            report.samples.to_string(),
            mark(report.same_bits),
            mark(report.self_test),
            format!("{:.3e}", report.max_abs_error),
            share(Some(report.argmax_agreement)),
            share(report.accuracy),
            share(report.reference_accuracy),
            report.cost.map_or("-".to_owned(), |cost| match cost.unit {
                "instructions" => format!("{} instructions", thousands(cost.value as u64)),
                _ => format!("{:.3} ms", cost.value / 1e3),
            }),
        ]);
    }
    println!("{table}");
    for report in reports {
        if let Some(difference) = &report.first_difference {
            println!(
                "{}: first difference in sample {}, operator {}, `{}`",
                report.home, difference.sample, difference.operator, difference.layer
            );
        }
    }
}
