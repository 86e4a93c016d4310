//! An artifact file on the host: its bytes, its inputs and outputs, and running it.

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use niwaki::artifact::{DataType, Golden, Tensor};
use niwaki::{Model, Session};
use rayon::prelude::*;

use crate::data::{Elements, Samples, Slot};
use crate::homes::{Cost, HomeProfile};
use crate::progress;

/// How long a profile takes at least, and how many runs.
const PROFILE_TIME: Duration = Duration::from_millis(500);
const LEAST_RUNS: usize = 20;

/// An artifact that has been read and checked.
#[derive(Clone, Debug)]
pub struct Artifact {
    words: Vec<u32>,
}

/// What one sample gave.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SampleResult {
    /// The bytes of every output.
    pub outputs: Vec<Vec<u8>>,
    /// The digest of every operator's output.
    pub digests: Vec<u64>,
}

/// The output of one layer in ONNX's axis order.
#[derive(Clone, Debug, PartialEq)]
pub struct Layer {
    /// Name in the ONNX model.
    pub name: String,
    /// Dimensions in ONNX's order.
    pub shape: Vec<usize>,
    /// Elements in ONNX's order.
    pub elements: Elements,
}

impl Artifact {
    /// Reads and checks a file.
    ///
    /// # Errors
    ///
    /// Names the file and the rule that it breaks.
    pub fn read(path: &Path) -> Result<Self> {
        let bytes =
            std::fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
        Self::from_bytes(&bytes).with_context(|| format!("cannot load {}", path.display()))
    }

    /// Checks an artifact's bytes.
    ///
    /// # Errors
    ///
    /// The rule that they break.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self> {
        let mut words = vec![0u32; bytes.len().div_ceil(4)];
        niwaki::as_bytes_mut(&mut words)[..bytes.len()].copy_from_slice(bytes);
        let checked: Result<Model<'_>, _> = Model::new(&niwaki::as_bytes(&words)[..bytes.len()]);
        checked?;
        Ok(Self { words })
    }

    /// The bytes.
    pub fn bytes(&self) -> &[u8] {
        niwaki::as_bytes(&self.words)
    }

    /// The checked model.
    ///
    /// # Errors
    ///
    /// None, as the bytes have been checked.
    pub fn model(&self) -> Result<Model<'_>> {
        Ok(Model::new(self.bytes())?)
    }

    /// What data for the inputs has to look like.
    ///
    /// # Errors
    ///
    /// None, as the bytes have been checked.
    pub fn input_slots(&self) -> Result<Vec<Slot>> {
        let model = self.model()?;
        Ok((0..model.input_count())
            .filter_map(|i| {
                Some(slot(
                    model.text(model.input_port(i)?.name),
                    &model.input(i)?,
                ))
            })
            .collect())
    }

    /// What the outputs look like.
    ///
    /// # Errors
    ///
    /// None, as the bytes have been checked.
    pub fn output_slots(&self) -> Result<Vec<Slot>> {
        let model = self.model()?;
        Ok((0..model.output_count())
            .filter_map(|i| {
                Some(slot(
                    model.text(model.output_port(i)?.name),
                    &model.output(i)?,
                ))
            })
            .collect())
    }

    /// Runs all samples, on all cores.
    ///
    /// # Errors
    ///
    /// When a sample does not fit; [`crate::data::read_samples`] gives ones that do.
    pub fn run(&self, samples: &Samples) -> Result<Vec<SampleResult>> {
        let progress = progress::bar("host", samples.samples.len());
        // One model check and one arena for each piece of work, not for each sample.
        let pieces: Vec<&[Vec<Elements>]> = samples
            .samples
            .chunks(
                samples
                    .samples
                    .len()
                    .div_ceil(rayon::current_num_threads() * 4)
                    .max(1),
            )
            .collect();
        let results: Vec<Vec<SampleResult>> = pieces
            .par_iter()
            .map(|piece| {
                let mut results = Vec::new();
                self.observe(piece, &mut |result, _| {
                    progress.inc(1);
                    results.push(result);
                })?;
                Ok(results)
            })
            .collect::<Result<_>>()?;
        progress.finish_and_clear();
        Ok(results.into_iter().flatten().collect())
    }

    /// The output of every layer for one sample.
    ///
    /// # Errors
    ///
    /// When the sample does not fit.
    pub fn layers(&self, sample: &[Elements]) -> Result<Vec<Layer>> {
        let mut layers = Vec::new();
        self.observe(std::slice::from_ref(&sample.to_vec()), &mut |_, all| {
            layers = all;
        })?;
        Ok(layers)
    }

    fn observe(
        &self,
        samples: &[Vec<Elements>],
        each: &mut dyn FnMut(SampleResult, Vec<Layer>),
    ) -> Result<()> {
        let model = self.model()?;
        let mut arena = vec![0u32; model.arena_bytes().div_ceil(4)];
        let mut session = Session::new(&model, niwaki::as_bytes_mut(&mut arena))?;
        let keep_layers = samples.len() == 1;
        for sample in samples {
            write_inputs(&mut session, sample)?;
            let mut digests = Vec::new();
            let mut layers = Vec::new();
            if keep_layers {
                let collected = collect_layers(&mut session)?;
                for (tensor, bytes) in &collected {
                    digests.push(niwaki::Digest::of(tensor.dtype, bytes).0);
                    layers.push(layer(model.text(tensor.name), tensor, bytes));
                }
            } else {
                session.run_digests(&mut |_, digest| digests.push(digest.0))?;
            }
            let outputs = (0..model.output_count())
                .map(|i| Ok(session.output(i)?.to_vec()))
                .collect::<Result<_>>()?;
            each(SampleResult { outputs, digests }, layers);
        }
        Ok(())
    }

    /// The first operator whose golden digest differs here, if one does.
    ///
    /// # Errors
    ///
    /// None, as the bytes have been checked.
    pub fn self_test(&self) -> Result<Option<usize>> {
        let model = self.model()?;
        let mut arena = vec![0u32; model.arena_bytes().div_ceil(4)];
        Ok(Session::new(&model, niwaki::as_bytes_mut(&mut arena))?.self_test()?)
    }

    /// The bytes of all inputs of the golden vector, or of another like it.
    ///
    /// # Errors
    ///
    /// None, as the bytes have been checked.
    pub fn golden_sample(&self) -> Result<Vec<u8>> {
        let model = self.model()?;
        let mut arena = vec![0u32; model.arena_bytes().div_ceil(4)];
        let mut session = Session::new(&model, niwaki::as_bytes_mut(&mut arena))?;
        let golden = Golden::open(model.golden()).unwrap_or_default();
        session.fill_golden_inputs(golden.seed)?;
        let mut sample = Vec::new();
        for i in 0..model.input_count() {
            sample.extend_from_slice(session.input_mut(i)?);
        }
        Ok(sample)
    }

    /// Microseconds of one run of the golden inputs and of each operator in it, the least of many.
    ///
    /// # Errors
    ///
    /// None, as the bytes have been checked.
    pub fn profile(&self) -> Result<HomeProfile> {
        let model = self.model()?;
        let mut arena = vec![0u32; model.arena_bytes().div_ceil(4)];
        let mut session = Session::new(&model, niwaki::as_bytes_mut(&mut arena))?;
        let golden = Golden::open(model.golden()).unwrap_or_default();
        let mut run = f64::INFINITY;
        let mut operators = vec![f64::INFINITY; model.operator_count()];
        let begin = Instant::now();
        let mut runs = 0;
        while runs < LEAST_RUNS || begin.elapsed() < PROFILE_TIME {
            session.fill_golden_inputs(golden.seed)?;
            let start = Instant::now();
            session.run()?;
            run = run.min(start.elapsed().as_secs_f64() * 1e6);

            session.fill_golden_inputs(golden.seed)?;
            let mut times = vec![0.0; operators.len()];
            let mut start = Instant::now();
            session.run_observed(&mut |operator, _, _| {
                let now = Instant::now();
                // An operator that is run in strips has a time for each.
                times[operator] += (now - start).as_secs_f64() * 1e6;
                start = now;
            })?;
            for (least, time) in operators.iter_mut().zip(times) {
                *least = least.min(time);
            }
            runs += 1;
        }
        Ok(HomeProfile {
            run: Cost {
                value: run,
                unit: "us",
            },
            operators,
        })
    }

    /// Microseconds of one run, the least of several.
    ///
    /// # Errors
    ///
    /// When the sample does not fit.
    pub fn time(&self, sample: &[Elements]) -> Result<f64> {
        let model = self.model()?;
        let mut arena = vec![0u32; model.arena_bytes().div_ceil(4)];
        let mut session = Session::new(&model, niwaki::as_bytes_mut(&mut arena))?;
        let mut least = f64::INFINITY;
        for _ in 0..6 {
            write_inputs(&mut session, sample)?;
            let start = Instant::now();
            session.run()?;
            least = least.min(start.elapsed().as_secs_f64() * 1e6);
        }
        Ok(least)
    }
}

/// Copies a sample into a session's inputs.
///
/// # Errors
///
/// When there are more or fewer bytes than an input has.
pub fn write_inputs(session: &mut Session<'_, '_>, sample: &[Elements]) -> Result<()> {
    for (i, elements) in sample.iter().enumerate() {
        let bytes = elements.to_bytes();
        let input = session.input_mut(i)?;
        anyhow::ensure!(
            bytes.len() == input.len(),
            "input {i} has {} bytes, the sample {}",
            input.len(),
            bytes.len()
        );
        input.copy_from_slice(&bytes);
    }
    Ok(())
}

/// Runs, and gives the output of every operator with its bytes, however many strips they came in.
fn collect_layers(session: &mut Session<'_, '_>) -> Result<Vec<(Tensor, Vec<u8>)>> {
    let mut layers: Vec<(Tensor, Vec<u8>)> = Vec::new();
    session.run_observed(&mut |index, tensor, bytes| {
        if index >= layers.len() {
            layers.push((*tensor, Vec::new()));
        }
        layers[index].1.extend_from_slice(bytes);
    })?;
    Ok(layers)
}

fn slot(name: &str, tensor: &Tensor) -> Slot {
    Slot {
        name: name.to_owned(),
        dtype: tensor.dtype,
        shape: onnx_shape(tensor),
    }
}

/// Dimensions of a tensor in ONNX's order.
pub fn onnx_shape(tensor: &Tensor) -> Vec<usize> {
    let mut shape = vec![1; usize::from(tensor.rank)];
    for (axis, &dim) in tensor.axes().zip(tensor.shape()) {
        shape[axis] = dim as usize;
    }
    shape
}

/// For each element in ONNX's order, its index in memory.
pub fn memory_indices(tensor: &Tensor) -> Vec<usize> {
    let shape = onnx_shape(tensor);
    let mut steps = vec![0; shape.len()];
    let mut step = 1;
    let axes: Vec<usize> = tensor.axes().collect();
    for &axis in axes.iter().rev() {
        steps[axis] = step;
        step *= shape[axis];
    }
    ndarray::indices(shape)
        .into_iter()
        .map(|index| {
            let index = ndarray::Dimension::slice(&index).to_vec();
            index.iter().zip(&steps).map(|(i, step)| i * step).sum()
        })
        .collect()
}

fn layer(name: &str, tensor: &Tensor, bytes: &[u8]) -> Layer {
    let size = tensor.dtype.bytes();
    let ordered: Vec<u8> = memory_indices(tensor)
        .into_iter()
        .flat_map(|index| bytes[index * size..(index + 1) * size].iter().copied())
        .collect();
    Layer {
        name: name.to_owned(),
        shape: onnx_shape(tensor),
        elements: Elements::from_bytes(tensor.dtype, &ordered),
    }
}

/// Elements of a port as real numbers: int8 with a scale dequantised, others as they are.
pub fn real_values(tensor: &Tensor, elements: &Elements) -> Vec<f64> {
    let quantized = matches!(tensor.dtype, DataType::I8 | DataType::U8) && tensor.scale > 0.0;
    let values = elements.to_f64();
    if !quantized {
        return values;
    }
    let (scale, zero_point) = (f64::from(tensor.scale), f64::from(tensor.zero_point));
    values
        .into_iter()
        .map(|q| (q - zero_point) * scale)
        .collect()
}
