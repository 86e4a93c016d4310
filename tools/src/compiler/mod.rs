//! The compiler: a graph in, an artifact out, in passes that stand alone.
//!
//! import → [`fuse`] and [`fold`] → [`calibrate`] and [`quantize`] → [`simplify`] → [`select`] (with
//! [`builder`]) → [`shrink`] → [`sparsify`] → [`widen`] → [`plan`] → [`emit`].

pub mod builder;
pub mod calibrate;
pub mod emit;
pub mod fold;
pub mod fuse;
pub mod plan;
pub mod quantize;
#[cfg(test)]
mod random_graphs;
pub mod select;
pub mod shrink;
pub mod simplify;
pub mod sparsify;
pub mod widen;
pub mod work;

use std::collections::BTreeMap;

use anyhow::{Context as _, Result, bail, ensure};
use serde::Serialize;

use crate::data::Samples;
use crate::graph::{Graph, Op};
use crate::import::Imported;
use calibrate::RangeMethod;
use sparsify::Sparse;

/// How int8 weights of products are stored.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum WeightsLayout {
    /// A byte each.
    #[default]
    Small,
    /// Two bytes each, as Cortex-M4 and M7 multiply them: fewer instructions there, more elsewhere.
    Fast,
}

impl WeightsLayout {
    fn is_small(&self) -> bool {
        *self == Self::Small
    }
}

/// How to compile.
#[derive(Clone, Debug, Serialize)]
pub struct Options {
    /// Keep a float model in floats.
    pub float: bool,
    /// How ranges of activations are found in calibration.
    pub ranges: RangeMethod,
    /// Correct biases for the mean error of quantised weights.
    pub bias_correction: bool,
    /// Make the inputs and outputs of a model that is quantised here int8 as well.
    pub int8_io: bool,
    /// Take out what does not change the output.
    pub shrink: bool,
    /// The most bytes that the arena may take: groups of operators are run in strips where it
    /// would take more.
    pub ram: Option<usize>,
    /// How int8 weights are stored. A file says so only where it is not as usual.
    #[serde(skip_serializing_if = "WeightsLayout::is_small")]
    pub weights_layout: WeightsLayout,
    /// Which products store only the blocks of weights that are not zero.
    #[serde(skip_serializing_if = "Sparse::is_auto")]
    pub sparse: Sparse,
    /// Leave names, labels and provenance out.
    pub strip: bool,
    /// Labels of output 0.
    pub labels: Vec<String>,
    /// Of inputs by their names, what to do with raw data: JSON of
    /// [`Preprocess`](crate::preprocess::Preprocess).
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub preprocess: BTreeMap<String, String>,
    /// Steps (see [`work`]) that the run may take which makes the golden vector; with 0 there is
    /// no golden vector. It says how long the compiler works, and nothing of the artifact.
    #[serde(skip)]
    pub golden_steps: u64,
}

/// Steps of a run of ten seconds or a few more.
pub const GOLDEN_STEPS: u64 = 20_000_000_000;

impl Default for Options {
    fn default() -> Self {
        Self {
            float: false,
            ranges: RangeMethod::MinMax,
            bias_correction: false,
            int8_io: false,
            shrink: true,
            ram: None,
            weights_layout: WeightsLayout::Small,
            sparse: Sparse::Auto,
            strip: false,
            labels: Vec::new(),
            preprocess: BTreeMap::new(),
            golden_steps: GOLDEN_STEPS,
        }
    }
}

/// A compiled model.
#[derive(Clone, Debug)]
pub struct Compiled {
    /// The artifact, as words so that it is aligned.
    pub artifact: Vec<u32>,
    /// What the lossless shrink did, if it was on.
    pub shrink: Option<shrink::Report>,
    /// The products that could store sparse weights, and which do.
    pub sparse: Vec<sparsify::Layer>,
    /// What is run in strips, so that the arena is as small as was asked for.
    pub strips: Vec<plan::Strips>,
}

impl Compiled {
    /// The artifact's bytes.
    pub fn bytes(&self) -> &[u8] {
        niwaki::as_bytes(&self.artifact)
    }
}

/// True when the graph has QuantizeLinear or DequantizeLinear.
pub fn is_quantized(graph: &Graph) -> bool {
    let quantized = |op: &Op| matches!(op, Op::Quantize(_) | Op::Dequantize(_));
    graph.nodes.iter().any(|node| quantized(&node.op))
}

/// Compiles an imported model. `calibration` are samples of its inputs, real ones.
///
/// # Errors
///
/// Names the layer that cannot be compiled, and what would be accepted.
pub fn compile(
    imported: &Imported,
    options: &Options,
    calibration: Option<&Samples>,
) -> Result<Compiled> {
    let mut graph = imported.graph.clone();
    let quantized = is_quantized(&graph);
    if !quantized {
        fuse::fuse_activations(&mut graph);
    }
    fold::fold_affine(&mut graph);
    if !quantized {
        fold::hoist_clamps(&mut graph);
    }
    let mut ranges = Vec::new();
    if quantized {
        ensure!(
            calibration.is_none() && !options.float,
            "the model is quantised already (it has QuantizeLinear nodes): leave --calibrate and --float out"
        );
    } else if let Some(calibration) = calibration {
        ensure!(
            !options.float,
            "--calibrate and --float exclude each other: the first quantises, the second does not"
        );
        let statistics = calibrate::calibrate(&graph, calibration, options)?;
        ranges = graph
            .inputs
            .iter()
            .map(|id| statistics.range(*id).unwrap_or((0.0, 1.0)))
            .collect();
        graph = quantize::quantize(&graph, &statistics, options)?;
    } else if !options.float {
        bail!(
            "the model is a float model: give --calibrate DATA.npz (a few hundred real inputs) to quantise it to int8, or --float to keep it in floats"
        );
    }
    let simplified = options.shrink.then(|| simplify::simplify(&mut graph));
    let mut selected = select::select(&graph)?;
    let shrink = simplified
        .map(|simplified| shrink::shrink(&mut selected, simplified))
        .transpose()?;
    let sparse = sparsify::sparsify(&mut selected.builder, options.sparse)?;
    if options.weights_layout == WeightsLayout::Fast {
        widen::widen(&mut selected.builder)?;
    }
    let (inputs, outputs) = (tensors(&selected.inputs), tensors(&selected.outputs));
    let plan = match options.ram {
        Some(ram) => plan::plan_within(&mut selected.builder, &inputs, &outputs, ram)?,
        None => plan::plan(&mut selected.builder, &inputs, &outputs)?,
    };
    let extras = emit::Extras {
        strip: options.strip,
        ranges,
        labels: options.labels.clone(),
        preprocess: options.preprocess.clone(),
        provenance: provenance(imported, options, quantized, calibration)?,
        golden_steps: options.golden_steps,
    };
    let artifact = emit::emit(&selected, &plan, &extras).context("cannot write the artifact")?;
    Ok(Compiled {
        artifact,
        shrink,
        sparse,
        strips: plan.strips,
    })
}

fn tensors(ports: &[(usize, String)]) -> Vec<usize> {
    ports.iter().map(|(tensor, _)| *tensor).collect()
}

/// Where an artifact came from, for whoever finds it later.
fn provenance(
    imported: &Imported,
    options: &Options,
    quantized: bool,
    calibration: Option<&Samples>,
) -> Result<String> {
    let arithmetic = match (quantized, calibration) {
        (true, _) => "int8, as the source is quantised",
        (false, Some(_)) => "int8, quantised after training",
        (false, None) => "float32",
    };
    let json = serde_json::json!({
        "niwaki": env!("CARGO_PKG_VERSION"),
        "source": {
            "sha256": imported.sha256,
            "producer": imported.producer,
            "opset": imported.opset,
        },
        "arithmetic": arithmetic,
        "calibration_samples": calibration.map_or(0, |samples| samples.samples.len()),
        "settings": options,
    });
    Ok(serde_json::to_string(&json)?)
}
