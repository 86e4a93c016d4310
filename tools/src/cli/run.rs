//! `niwaki run`.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Result, ensure};
use clap::Args;
use niwaki::OperatorSet as _;
use niwaki_tools::artifact::Artifact;
use niwaki_tools::data::{self, Array, Elements, Side};

use super::table;

/// Run an artifact on this machine.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  niwaki run model.niwaki --input test.npz -o outputs.npz
      Writes s<k>_out<j>: output j of sample k.
  niwaki run model.niwaki --input test.npz -o outputs.npz --digests
      Prints the digest of every layer for the first sample too.
  niwaki run model.niwaki --input one.npz -o outputs.npz --layers layers.npz
      Writes every layer's output for the first sample, in ONNX's axis order.")]
pub(super) struct Run {
    /// The artifact.
    artifact: PathBuf,
    /// Inputs.
    #[arg(long, value_name = "IN.npz")]
    input: PathBuf,
    /// Where outputs go.
    #[arg(short, long, value_name = "OUT.npz")]
    output: PathBuf,
    /// Print the digest of every layer's output for the first sample.
    #[arg(long)]
    digests: bool,
    /// Where the outputs of every layer go, for the first sample.
    #[arg(long, value_name = "LAYERS.npz")]
    layers: Option<PathBuf>,
    /// Print digests as JSON, for every sample.
    #[arg(long, requires = "digests")]
    json: bool,
}

impl Run {
    pub(super) fn run(self) -> Result<ExitCode> {
        let artifact = Artifact::read(&self.artifact)?;
        let samples = data::read_samples(&self.input, &artifact.input_slots()?, Side::Input)?;
        ensure!(
            Some(&self.output) != self.layers.as_ref(),
            "outputs and layers go to the same file"
        );
        let results = artifact.run(&samples)?;
        let slots = artifact.output_slots()?;
        let mut arrays = Vec::new();
        for (k, result) in results.iter().enumerate() {
            for (j, (slot, bytes)) in slots.iter().zip(&result.outputs).enumerate() {
                let array = Array {
                    shape: slot.shape.clone(),
                    elements: Elements::from_bytes(slot.dtype, bytes),
                };
                arrays.push((format!("s{k}_out{j}"), array));
            }
        }
        if let Some(path) = &self.layers {
            let layers = artifact.layers(&samples.samples[0])?;
            let named = layers.into_iter().enumerate().map(|(i, layer)| {
                // A slash in an archive is a folder.
                let name = format!("{i:02} {}", layer.name.replace('/', "|"));
                let array = Array {
                    shape: layer.shape,
                    elements: layer.elements,
                };
                (name, array)
            });
            data::write_arrays(path, &named.collect::<Vec<_>>())?;
        }
        data::write_arrays(&self.output, &arrays)?;
        if self.digests {
            self.print_digests(&artifact, &results)?;
        }
        Ok(ExitCode::SUCCESS)
    }

    fn print_digests(
        &self,
        artifact: &Artifact,
        results: &[niwaki_tools::artifact::SampleResult],
    ) -> Result<()> {
        let hex = |digest: &u64| format!("{digest:016x}");
        if self.json {
            let all: Vec<Vec<String>> = results
                .iter()
                .map(|result| result.digests.iter().map(hex).collect())
                .collect();
            println!(
                "{}",
                serde_json::to_string_pretty(&serde_json::json!({ "digests": all }))?
            );
            return Ok(());
        }
        let model = artifact.model()?;
        let mut table = table(&["#", "operator", "digest", "output"]);
        for (i, (operator, digest)) in model.operators().zip(&results[0].digests).enumerate() {
            let tensor = operator
                .output(0)
                .and_then(|index| model.tensors().get(index));
            table.add_row([
                i.to_string(),
                niwaki::All::name(operator.header.code)
                    .unwrap_or_default()
                    .to_owned(),
                hex(digest),
                tensor
                    .map_or("", |tensor| model.text(tensor.name))
                    .to_owned(),
            ]);
        }
        println!("{table}");
        Ok(())
    }
}
