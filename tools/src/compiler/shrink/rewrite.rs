//! Takes channels out of tensors, weights and parameters.

use anyhow::{Context as _, Result};
use niwaki::artifact::Blob;
use niwaki::ops::{
    AddI8, AveragePoolI8, Concat, ConvI8, ConvI8Params, DepthwiseConvI8, DepthwiseI8Params,
    FullyConnectedI8, FullyConnectedI8Params, LookupI8, MaxPoolI8, MulI8, Pad, Registered as _,
    Strides, Transpose,
};

use super::borders;
use super::known::{Channels, blob};
use super::live::{Facts, Kept};
use super::step::{Kind, Operands, Program, Step, channel_axis, operator};
use crate::compiler::builder::{Builder, BuiltOperator};
use crate::compiler::select::Selected;

/// Rewrites every operator and tensor for the channels that stay. Gives how many products have
/// a bias for each class of pixels now.
///
/// # Errors
///
/// When a bias leaves 32 bits, which the proof of its layer excludes.
pub(super) fn rewrite(
    program: &Program,
    known: &[Channels],
    borders: &[bool],
    kept: &Kept,
    selected: &mut Selected,
) -> Result<usize> {
    let builder = &mut selected.builder;
    let mut rewritten = Vec::new();
    for step in &program.steps {
        let changed = [&step.output]
            .into_iter()
            .chain(&step.inputs)
            .any(|&tensor| kept[tensor].contains(&false));
        rewritten.push(if changed {
            let change = Change {
                facts: Facts {
                    program,
                    builder,
                    known,
                    borders,
                },
                kept,
                step,
            };
            change.apply()?
        } else {
            None
        });
    }
    let mut border_products = 0;
    for (index, new) in rewritten.into_iter().enumerate() {
        if let Some(new) = new {
            border_products += usize::from(new.borders.is_some());
            if let Some(operator) = new.store(builder, &program.steps[index]) {
                builder.operators[index] = operator;
            }
        }
    }
    for (tensor, stays) in kept.iter().enumerate() {
        let lanes = program.lanes[tensor];
        let left = stays.iter().filter(|&&stays| stays).count();
        if left == lanes.channels {
            continue;
        }
        if let Some(offset) = builder.tensors[tensor].data {
            let elements = blob(&builder.data, Blob::<i8>::at(offset), program.len[tensor]);
            let left = elements.into_iter().enumerate();
            let left = left.filter_map(|(e, v)| stays[lanes.channel(e)].then_some(v));
            let offset = builder.store_i8(left.collect::<Vec<_>>()).offset;
            builder.tensors[tensor].data = Some(offset);
        }
        let built = &mut builder.tensors[tensor];
        let axis = channel_axis(built, lanes)
            .with_context(|| format!("`{}` has lost its channels", built.name))?;
        built.shape[axis] = left;
    }
    builder.compact();
    Ok(border_products)
}

/// A rewritten operator, whose constants are not stored yet.
#[derive(Debug)]
pub(super) struct Rewritten {
    kind: Kind,
    pub(super) weights: Vec<i8>,
    pub(super) bias: Vec<i32>,
    pub(super) multipliers: Vec<f32>,
    pub(super) borders: Option<borders::Classes>,
}

impl Rewritten {
    /// The operator with its constants stored; `None` when it stays as it is.
    fn store(self, builder: &mut Builder, step: &Step) -> Option<BuiltOperator> {
        Some(match self.kind {
            Kind::Conv(mut p) => {
                p.weights = builder.store_i8(self.weights);
                p.bias = builder.store_i32(&self.bias);
                p.multipliers = builder.store_f32(self.multipliers);
                operator(ConvI8::CODE, step, &p)
            }
            Kind::Depthwise(mut p) => {
                p.weights = builder.store_i8(self.weights);
                p.bias = builder.store_i32(&self.bias);
                p.multipliers = builder.store_f32(self.multipliers);
                operator(DepthwiseConvI8::CODE, step, &p)
            }
            Kind::Matrix(mut p) => {
                p.weights = builder.store_i8(self.weights);
                p.multipliers = builder.store_f32(self.multipliers);
                if let Some(classes) = self.borders {
                    return Some(classes.store(builder, step, &p, &self.bias));
                }
                p.bias = builder.store_i32(&self.bias);
                operator(FullyConnectedI8::CODE, step, &p)
            }
            Kind::Binary(true, p, _) => operator(MulI8::CODE, step, &p),
            Kind::Binary(false, p, _) => operator(AddI8::CODE, step, &p),
            Kind::MaxPool(p) => operator(MaxPoolI8::CODE, step, &p),
            Kind::AveragePool(p) => operator(AveragePoolI8::CODE, step, &p),
            Kind::Lookup(p) => operator(LookupI8::CODE, step, &p),
            Kind::Concat(_, p) => operator(Concat::CODE, step, &p),
            Kind::Transpose(p, _) => operator(Transpose::CODE, step, &p),
            Kind::Pad(p) => operator(Pad::CODE, step, &p),
            Kind::Opaque => return None,
        })
    }
}

/// One operator and the channels that stay around it.
pub(super) struct Change<'p> {
    pub(super) facts: Facts<'p>,
    pub(super) kept: &'p Kept,
    pub(super) step: &'p Step,
}

impl Change<'_> {
    /// Whether each channel of the first input stays.
    fn input(&self) -> &[bool] {
        &self.kept[self.step.inputs[0]]
    }

    fn output(&self) -> &[bool] {
        &self.kept[self.step.output]
    }

    fn data<T: super::known::elements::Stored>(&self, at: Blob<T>, len: usize) -> Vec<T> {
        blob(&self.facts.builder.data, at, len)
    }

    fn apply(&self) -> Result<Option<Rewritten>> {
        let left = |stays: &[bool]| stays.iter().filter(|&&stays| stays).count() as u32;
        let (before, after) = (self.output().len() as u32, left(self.output()));
        // A step over whole pixels gets shorter as pixels do.
        let shorter = |step: u32| step / before * after;
        let kind = match self.step.kind.clone() {
            Kind::Opaque => return Ok(None),
            Kind::Conv(p) => return self.conv(p).map(Some),
            Kind::Depthwise(p) => return Ok(Some(self.depthwise(p, after))),
            Kind::Matrix(p) => return self.matrix(p).map(Some),
            Kind::Binary(product, mut p, operands) => {
                let one = match operands {
                    Operands::Same => None,
                    Operands::One(one) | Operands::Row(one) => Some(one),
                };
                for (i, walk) in p.walks.iter_mut().enumerate() {
                    let [.., rows, columns] = &mut walk.dims;
                    let [.., step, _] = &mut walk.strides;
                    if let Operands::Row(_) = operands {
                        *columns = after;
                        *step = if one == Some(i) { 0 } else { after };
                    } else {
                        *columns = shorter(*columns);
                        *rows = 1;
                    }
                }
                Kind::Binary(product, p, operands)
            }
            Kind::MaxPool(mut p) => {
                p.channels = after;
                Kind::MaxPool(p)
            }
            Kind::AveragePool(mut p) => {
                p.channels = after;
                Kind::AveragePool(p)
            }
            Kind::Transpose(mut p, at) => {
                let Strides { dims, strides } = &mut p.walk;
                for (i, stride) in strides.iter_mut().enumerate() {
                    if i != at {
                        *stride = shorter(*stride);
                    }
                }
                dims[at] = after;
                if after == 1 {
                    strides[at] = 0;
                }
                Kind::Transpose(p, at)
            }
            Kind::Pad(mut p) => {
                let [strides @ .., _] = &mut p.walk.strides;
                strides
                    .iter_mut()
                    .for_each(|stride| *stride = shorter(*stride));
                p.start = shorter(p.start);
                let [.., dim] = &mut p.walk.dims;
                *dim = after;
                if after == 1 {
                    let [.., stride] = &mut p.walk.strides;
                    *stride = 0;
                }
                Kind::Pad(p)
            }
            same @ (Kind::Lookup(_) | Kind::Concat(..)) => same,
        };
        Ok(Some(Rewritten {
            kind,
            weights: Vec::new(),
            bias: Vec::new(),
            multipliers: Vec::new(),
            borders: None,
        }))
    }

    fn chosen<T: Copy>(&self, all: &[T]) -> Vec<T> {
        let stays = self.output().iter();
        let chosen = all.iter().zip(stays).filter(|(_, stays)| **stays);
        chosen.map(|(value, _)| *value).collect()
    }

    fn depthwise(&self, mut p: DepthwiseI8Params, after: u32) -> Rewritten {
        let channels = p.channels as usize;
        let taps = (p.window.kernel_h * p.window.kernel_w) as usize;
        let weights = self.data(p.weights, taps * channels);
        p.channels = after;
        Rewritten {
            weights: weights
                .chunks(channels)
                .flat_map(|tap| self.chosen(tap))
                .collect(),
            bias: self.chosen(&self.data(p.bias, channels)),
            multipliers: self.chosen(&self.data(p.multipliers, channels)),
            kind: Kind::Depthwise(p),
            borders: None,
        }
    }

    /// Weights of one output channel without the input channels that go, and its bias with what
    /// they contribute.
    fn filter(&self, weights: &[i8], bias: i32) -> Result<(Vec<i8>, i32)> {
        let lanes = self.facts.program.lanes[self.step.inputs[0]];
        let mut sum = i64::from(bias);
        let mut left = Vec::new();
        for (j, &w) in weights.iter().enumerate() {
            let c = lanes.channel(j);
            if self.input()[c] {
                left.push(w);
            } else if w != 0 {
                let known = self.facts.foldable(self.step, c);
                let known = known.context("a channel is to go that a layer reads")?;
                // Where values differ between rows, classes add what the first one lacks.
                let value = known.at(lanes.position(j));
                sum += i64::from(w) * i64::from(value);
            }
        }
        let bias = i32::try_from(sum).context("a bias leaves 32 bits")?;
        Ok((left, bias))
    }

    /// Weights and biases of the output channels that stay.
    fn filters(&self, weights: &[i8], biases: &[i32]) -> Result<(Vec<i8>, Vec<i32>)> {
        let per_output = weights.len() / biases.len();
        let (mut left, mut sums) = (Vec::new(), Vec::new());
        for ((row, &bias), _) in weights
            .chunks(per_output)
            .zip(biases)
            .zip(self.output())
            .filter(|(_, stays)| **stays)
        {
            let (row, bias) = self.filter(row, bias)?;
            left.extend(row);
            sums.push(bias);
        }
        Ok((left, sums))
    }

    fn conv(&self, mut p: ConvI8Params) -> Result<Rewritten> {
        let outputs = p.group_out as usize;
        let filter = (p.window.kernel_h * p.window.kernel_w * p.group_in) as usize;
        let weights = self.data(p.weights, outputs * filter);
        let (weights, bias) = self.filters(&weights, &self.data(p.bias, outputs))?;
        let multipliers = self.chosen(&self.data(p.multipliers, outputs));
        p.group_out = bias.len() as u32;
        let stays = self.input().iter().filter(|&&stays| stays).count();
        p.group_in = stays as u32;
        Ok(Rewritten {
            kind: Kind::Conv(p),
            weights,
            bias,
            multipliers,
            borders: None,
        })
    }

    fn matrix(&self, mut p: FullyConnectedI8Params) -> Result<Rewritten> {
        let outputs = p.outputs as usize;
        let weights = self.data(p.weights, outputs * p.depth as usize);
        let borders = borders::Classes::of(self, &p, &weights);
        let (left, bias) = self.filters(&weights, &self.data(p.bias, outputs))?;
        let multipliers = self.chosen(&self.data(p.multipliers, outputs));
        p.outputs = bias.len() as u32;
        p.depth = (left.len() / bias.len()) as u32;
        Ok(Rewritten {
            kind: Kind::Matrix(p),
            weights: left,
            bias,
            multipliers,
            borders,
        })
    }
}
