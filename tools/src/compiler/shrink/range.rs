//! The smallest and largest value that each channel can take: a channel behind a Relu whose sum
//! is negative for every input is as constant as one without weights.
//!
//! All steps of the runtime keep order (sums are exact, multipliers and scales are not negative,
//! and conversion, product, division and rounding keep order), so the ends of a range go to the
//! ends of the next one.

use niwaki::numerics::{OutputStage, dequantize};
use niwaki::ops::Window;

use super::known::{Known, blob, each_window, unpadded};
use super::step::{Kind, Operands, Program, Step};
use crate::compiler::builder::Builder;

/// Smallest and largest value.
pub(super) type Range = (i8, i8);

const ALL: Range = (i8::MIN, i8::MAX);

fn hull(a: Range, b: Range) -> Range {
    (a.0.min(b.0), a.1.max(b.1))
}

/// The range of a known channel.
pub(super) fn of_known(known: &Known) -> Range {
    match known {
        Known::Uniform(v) => (*v, *v),
        Known::Map(values) => values
            .iter()
            .fold((i8::MAX, i8::MIN), |r, &v| hull(r, (v, v))),
    }
}

/// A sum of products, from the least to the largest.
#[derive(Clone, Copy)]
struct Sum(i64, i64);

impl Sum {
    fn add(&mut self, w: i8, (low, high): Range) {
        let (low, high) = (
            i64::from(w) * i64::from(low),
            i64::from(w) * i64::from(high),
        );
        self.0 += low.min(high);
        self.1 += low.max(high);
    }

    fn rescale(self, stage: &OutputStage, multiplier: f32) -> Range {
        // The proof of the layer keeps them in 32 bits; beyond it anything may come out.
        match (i32::try_from(self.0), i32::try_from(self.1)) {
            (Ok(low), Ok(high)) => (
                stage.requantize(low, multiplier),
                stage.requantize(high, multiplier),
            ),
            _ => ALL,
        }
    }
}

/// The ranges of a step's output, from those of its inputs.
pub(super) fn forward(
    program: &Program,
    builder: &Builder,
    all: &[Vec<Range>],
    step: &Step,
) -> Vec<Range> {
    let data = &builder.data;
    let channels = program.lanes[step.output].channels;
    let unknown = || vec![ALL; channels];
    let Some(&input) = step.inputs.first() else {
        return unknown();
    };
    let x = &all[input];
    let stage = |zero_point, low, high| OutputStage::new(zero_point, low, high);
    match &step.kind {
        Kind::Opaque => unknown(),
        Kind::Conv(p) => {
            let Some(stage) = stage(p.output_zero_point, p.low, p.high) else {
                return unknown();
            };
            let group_in = p.group_in as usize;
            let filter = (p.window.kernel_h * p.window.kernel_w) as usize * group_in;
            let weights = blob(data, p.weights, channels * filter);
            let bias = blob(data, p.bias, channels);
            let multipliers = blob(data, p.multipliers, channels);
            let x = padded(x, &p.window, p.input_zero_point);
            let output = |o: usize| {
                let first = o / p.group_out as usize * group_in;
                let mut sum = Sum(bias[o].into(), bias[o].into());
                for (at, &w) in weights[o * filter..][..filter].iter().enumerate() {
                    sum.add(w, x[first + at % group_in]);
                }
                sum.rescale(&stage, multipliers[o])
            };
            (0..channels).map(output).collect()
        }
        Kind::Depthwise(p) => {
            let Some(stage) = stage(p.output_zero_point, p.low, p.high) else {
                return unknown();
            };
            let taps = (p.window.kernel_h * p.window.kernel_w) as usize;
            let weights = blob(data, p.weights, taps * channels);
            let bias = blob(data, p.bias, channels);
            let multipliers = blob(data, p.multipliers, channels);
            let x = padded(x, &p.window, p.input_zero_point);
            let output = |c: usize| {
                let mut sum = Sum(bias[c].into(), bias[c].into());
                (0..taps).for_each(|tap| sum.add(weights[tap * channels + c], x[c]));
                sum.rescale(&stage, multipliers[c])
            };
            (0..channels).map(output).collect()
        }
        Kind::Matrix(p) => {
            let Some(stage) = stage(p.output_zero_point, p.low, p.high) else {
                return unknown();
            };
            let depth = p.depth as usize;
            let weights = blob(data, p.weights, depth * channels);
            let bias = blob(data, p.bias, channels);
            let multipliers = blob(data, p.multipliers, channels);
            let lanes = program.lanes[input];
            let output = |o: usize| {
                let mut sum = Sum(bias[o].into(), bias[o].into());
                for (j, &w) in weights[o * depth..][..depth].iter().enumerate() {
                    sum.add(w, x[lanes.channel(j)]);
                }
                sum.rescale(&stage, multipliers[o])
            };
            (0..channels).map(output).collect()
        }
        Kind::Binary(product, p, operands) => {
            let Some(stage) = stage(p.output_zero_point, p.low, p.high) else {
                return unknown();
            };
            let f = |a: i8, b: i8| {
                let a = dequantize(a, p.input_zero_points[0], p.input_scales[0]);
                let b = dequantize(b, p.input_zero_points[1], p.input_scales[1]);
                stage.quantize(if *product { a * b } else { a + b } / p.output_scale)
            };
            let side = |i: usize, c: usize| {
                let ranges = &all[step.inputs[i]];
                ranges[if *operands == Operands::One(i) { 0 } else { c }]
            };
            let output = |c: usize| {
                let (a, b) = (side(0, c), side(1, c));
                let corners = [(a.0, b.0), (a.0, b.1), (a.1, b.0), (a.1, b.1)];
                let values = corners.map(|(a, b)| f(a, b)).map(|v| (v, v));
                values.into_iter().reduce(hull).unwrap_or(ALL)
            };
            (0..channels).map(output).collect()
        }
        Kind::MaxPool(p) => {
            let mut empty = false;
            each_window(&p.window, |taps| empty |= taps.iter().all(Option::is_none));
            let lowest = |r: &Range| if empty { (i8::MIN, r.1) } else { *r };
            x.iter().map(lowest).collect()
        }
        Kind::AveragePool(p) => {
            let Some(stage) = stage(p.output_zero_point, p.low, p.high) else {
                return unknown();
            };
            // A mean lies between its least and its largest value, but for how it is rounded:
            // so the ends are those of each number of taps that occurs.
            let counts = super::known::pool_counts(p);
            let output = |&(low, high): &Range| {
                let end = |v: i8, (on, count): (i32, usize)| {
                    let sum = on.wrapping_mul(i32::from(v) - p.input_zero_point);
                    let multiplier = p.input_scale / count as f32 / p.output_scale;
                    stage.requantize(sum, multiplier)
                };
                let ends = counts.iter().map(|&n| (end(low, n), end(high, n)));
                ends.reduce(hull).unwrap_or(ALL)
            };
            x.iter().map(output).collect()
        }
        Kind::Lookup(p) => {
            let table = blob(data, p.table, 256);
            let output = |&(low, high): &Range| {
                let values = (low..=high).map(|v| table[usize::from(v.cast_unsigned())]);
                let values = values.map(|v| (v.cast_signed(), v.cast_signed()));
                values.reduce(hull).unwrap_or(ALL)
            };
            x.iter().map(output).collect()
        }
        Kind::Concat(true, _) => {
            let inputs = step.inputs.iter();
            inputs.flat_map(|&input| all[input].clone()).collect()
        }
        Kind::Concat(false, _) => (0..channels)
            .map(|c| {
                let ranges = step.inputs.iter().map(|&input| all[input][c]);
                ranges.reduce(hull).unwrap_or(ALL)
            })
            .collect(),
        Kind::Transpose(..) => x.clone(),
        Kind::Pad(p) => {
            let value = (p.value as u8).cast_signed();
            x.iter().map(|r| hull(*r, (value, value))).collect()
        }
    }
}

/// What a tap can meet: the input, and the zero point where there is padding.
fn padded(x: &[Range], window: &Window, zero_point: i32) -> Vec<Range> {
    let zero = zero_point as i8;
    let padding = !unpadded(window);
    let meets = |r: &Range| if padding { hull(*r, (zero, zero)) } else { *r };
    x.iter().map(meets).collect()
}
