//! Ranges of activations, from real inputs: the float model is compiled and run, and every
//! layer's output is looked at.

use std::collections::HashMap;

use anyhow::{Context as _, Result};
use niwaki::artifact::{DataType, Tensor};
use niwaki::{Model, Session};
use serde::Serialize;

use super::{Options, emit, plan, select, tensors, work};
use crate::data::Samples;
use crate::graph::{Graph, ValueId};

/// How the range of an activation follows from what was seen of it.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum RangeMethod {
    /// Smallest and largest value.
    MinMax,
    /// What is left when the given share, in percent, is kept on each side of zero.
    Percentile(f32),
    /// The range whose int8 values have the smallest squared error.
    Mse,
}

/// Bins of a histogram.
const BINS: usize = 2048;

/// What calibration has seen of one tensor.
#[derive(Clone, Debug)]
pub struct Statistics {
    low: f32,
    high: f32,
    histogram: Vec<u64>,
    /// Sum of the values of each channel (the last dimension in memory), for bias correction.
    channel_sums: Vec<f64>,
    count: u64,
}

impl Statistics {
    fn new(channels: usize) -> Self {
        Self {
            low: f32::INFINITY,
            high: f32::NEG_INFINITY,
            histogram: Vec::new(),
            channel_sums: vec![0.0; channels],
            count: 0,
        }
    }

    fn bin_width(&self) -> f32 {
        (self.high - self.low) / BINS as f32
    }

    fn see(&mut self, values: &[f32]) {
        for &v in values {
            self.low = self.low.min(v);
            self.high = self.high.max(v);
        }
        for pixel in values.chunks(self.channel_sums.len().max(1)) {
            for (sum, &v) in self.channel_sums.iter_mut().zip(pixel) {
                *sum += f64::from(v);
            }
        }
        self.count += (values.len() / self.channel_sums.len().max(1)) as u64;
    }

    fn count_bins(&mut self, values: &[f32]) {
        self.histogram.resize(BINS, 0);
        let width = self.bin_width();
        if width > 0.0 {
            for &v in values {
                let bin = ((v - self.low) / width) as usize;
                self.histogram[bin.min(BINS - 1)] += 1;
            }
        }
    }

    fn range(&self, method: RangeMethod) -> (f32, f32) {
        match method {
            RangeMethod::MinMax => (self.low, self.high),
            RangeMethod::Percentile(percent) => self.percentile(percent),
            RangeMethod::Mse => self.least_squared_error(),
        }
    }

    /// Cuts the tails: at each end, as many bins as hold (100 - percent) % of all values.
    fn percentile(&self, percent: f32) -> (f32, f32) {
        let total: u64 = self.histogram.iter().sum();
        let tail = (total as f64 * (1.0 - f64::from(percent) / 100.0)) as u64;
        let cut = |bins: &mut dyn Iterator<Item = &u64>| {
            let mut seen = 0;
            bins.take_while(|&&count| {
                seen += count;
                seen <= tail
            })
            .count() as f32
        };
        let width = self.bin_width();
        let low = self.low + width * cut(&mut self.histogram.iter());
        let high = self.high - width * cut(&mut self.histogram.iter().rev());
        if low < high {
            (low, high)
        } else {
            (self.low, self.high)
        }
    }

    /// Tries ranges from the whole one down to a fifth of it, each end on its own, and keeps the
    /// one with the smallest squared error of its int8 values over the histogram.
    fn least_squared_error(&self) -> (f32, f32) {
        const STEPS: i32 = 40;
        let width = self.bin_width();
        let shrunk = |step: i32| 1.0 - 0.8 * step as f32 / STEPS as f32;
        let error = |low: f32, high: f32| -> f64 {
            let (scale, zero_point) = super::quantize::affine(low, high);
            let filled = self
                .histogram
                .iter()
                .enumerate()
                .filter(|(_, count)| **count > 0);
            filled
                .map(|(bin, &count)| {
                    let v = self.low + width * (bin as f32 + 0.5);
                    let q =
                        ((v / scale).round_ties_even() + zero_point as f32).clamp(-128.0, 127.0);
                    let difference = f64::from((q - zero_point as f32) * scale - v);
                    difference * difference * count as f64
                })
                .sum()
        };
        // One end after the other: the error of an end hardly depends on the other end.
        let mut best = (self.low, self.high);
        let mut least = error(self.low, self.high);
        for end in 0..2 {
            let start = best;
            for step in 1..=STEPS {
                let (low, high) = match end {
                    0 => (start.0, self.high * shrunk(step)),
                    _ => (self.low * shrunk(step), start.1),
                };
                let tried = error(low, high);
                if low < high && tried < least {
                    (best, least) = ((low, high), tried);
                }
            }
        }
        best
    }
}

/// What calibration has seen, by value of the float graph.
#[derive(Clone, Debug)]
pub struct Calibration {
    statistics: HashMap<ValueId, Statistics>,
    method: RangeMethod,
}

impl Calibration {
    /// The range of a value, if it lay in memory.
    pub fn range(&self, id: ValueId) -> Option<(f32, f32)> {
        self.statistics.get(&id).map(|s| s.range(self.method))
    }

    /// Mean of each channel of a value.
    pub fn channel_means(&self, id: ValueId) -> Option<Vec<f64>> {
        let statistics = self.statistics.get(&id)?;
        let count = statistics.count.max(1) as f64;
        Some(
            statistics
                .channel_sums
                .iter()
                .map(|sum| sum / count)
                .collect(),
        )
    }
}

/// Runs the float model over all samples.
///
/// # Errors
///
/// When the float model cannot be compiled.
pub fn calibrate(graph: &Graph, samples: &Samples, options: &Options) -> Result<Calibration> {
    let mut selected = select::select(graph)?;
    let (inputs, outputs) = (tensors(&selected.inputs), tensors(&selected.outputs));
    let plan = plan::plan(&mut selected.builder, &inputs, &outputs)?;
    let builder = &selected.builder;
    let artifact = emit::emit(&selected, &plan, &emit::Extras::default())?;
    let model: Model<'_> = Model::new(niwaki::as_bytes(&artifact)).context("calibration")?;
    work::check_run(&model, options.golden_steps.max(super::GOLDEN_STEPS))
        .context("calibration runs the model for each sample, which takes too long: give --golden-steps a larger number to allow it")?;
    let mut arena = vec![0u32; model.arena_bytes().div_ceil(4)];
    let mut session = Session::new(&model, niwaki::as_bytes_mut(&mut arena))?;

    let value_of = |tensor: usize| builder.tensors[tensor].value;
    let input_values: Vec<_> = selected.inputs.iter().map(|(t, _)| value_of(*t)).collect();
    let layer_values: Vec<_> = builder
        .operators
        .iter()
        .map(|op| value_of(op.output))
        .collect();
    let mut statistics: HashMap<ValueId, Statistics> = HashMap::new();
    // The first pass finds the ends; histograms need a second one between them.
    let passes = if options.ranges == RangeMethod::MinMax {
        1
    } else {
        2
    };
    for pass in 0..passes {
        let progress = crate::progress::bar("calibrating", samples.samples.len());
        let mut see = |id: Option<ValueId>, tensor: &Tensor, bytes: &[u8]| {
            let (Some(id), DataType::F32) = (id, tensor.dtype) else {
                return;
            };
            let words = bytes.as_chunks::<4>().0;
            let values: Vec<f32> = words.iter().map(|w| f32::from_le_bytes(*w)).collect();
            let channels = tensor.shape().last().copied().unwrap_or(1) as usize;
            let entry = statistics
                .entry(id)
                .or_insert_with(|| Statistics::new(channels));
            if pass == 0 {
                entry.see(&values);
            } else {
                entry.count_bins(&values);
            }
        };
        for sample in &samples.samples {
            for (i, elements) in sample.iter().enumerate() {
                let bytes = elements.to_bytes();
                session.input_mut(i)?.copy_from_slice(&bytes);
                if let Some(tensor) = model.input(i) {
                    see(input_values[i], &tensor, &bytes);
                }
            }
            session.run_observed(&mut |index, tensor, bytes| {
                see(layer_values[index], tensor, bytes);
            })?;
            progress.inc(1);
        }
        progress.finish_and_clear();
    }
    Ok(Calibration {
        statistics,
        method: options.ranges,
    })
}
