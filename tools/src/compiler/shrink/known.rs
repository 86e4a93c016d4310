//! Which channels are the same on every input: constants, and what follows from them, with the
//! runtime's own arithmetic.

use std::rc::Rc;

use niwaki::artifact::{Blob, DataType};
use niwaki::numerics::{OutputStage, dequantize};
use niwaki::ops::{
    AveragePoolI8Params, ConvI8Params, DepthwiseI8Params, FullyConnectedI8Params, Window,
};

use super::range::{self, Range};
use super::step::{Kind, Lanes, Operands, Program, Step};
use crate::compiler::builder::Builder;

/// The values of a channel that does not depend on the input.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Known {
    /// One value everywhere.
    Uniform(i8),
    /// One for each position, in memory order: borders differ from the middle.
    Map(Rc<[i8]>),
}

impl Known {
    pub(super) fn at(&self, position: usize) -> i8 {
        match self {
            Self::Uniform(value) => *value,
            Self::Map(values) => values[position],
        }
    }

    pub(super) fn uniform(&self) -> Option<i8> {
        match self {
            Self::Uniform(value) => Some(*value),
            Self::Map(_) => None,
        }
    }

    fn of(values: Vec<i8>) -> Self {
        match values.split_first() {
            Some((first, rest)) if rest.iter().all(|v| v == first) => Self::Uniform(*first),
            _ => Self::Map(values.into()),
        }
    }
}

/// For each channel of a tensor, its values if they are known.
pub(super) type Channels = Vec<Option<Known>>;

/// Finds the known channels of every tensor, in execution order.
pub(super) fn known(program: &Program, builder: &Builder) -> Vec<Channels> {
    let lanes = program.lanes.iter();
    let mut all: Vec<Channels> = lanes.clone().map(|l| vec![None; l.channels]).collect();
    let mut ranges: Vec<Vec<Range>> = lanes
        .map(|l| vec![(i8::MIN, i8::MAX); l.channels])
        .collect();
    for step in &program.steps {
        // Constants are looked at where a sum or product takes them; weights are none of these.
        if let Kind::Binary(..) = step.kind {
            for &input in &step.inputs {
                constant(program, builder, input, &mut all);
                narrow(&all[input], &mut ranges[input]);
            }
        }
        let exact = Forward {
            program,
            data: &builder.data,
            all: &all,
            step,
        };
        let mut known = exact.output();
        let mut range = range::forward(program, builder, &ranges, step);
        narrow(&known, &mut range);
        for (known, &(low, high)) in known.iter_mut().zip(&range) {
            if low == high {
                known.get_or_insert(Known::Uniform(low));
            }
        }
        all[step.output] = known;
        ranges[step.output] = range;
    }
    all
}

/// Known channels have just their own values.
fn narrow(known: &Channels, ranges: &mut [Range]) {
    for (known, range) in known.iter().zip(ranges) {
        if let Some(known) = known {
            *range = range::of_known(known);
        }
    }
}

/// The channels of a constant tensor.
fn constant(program: &Program, builder: &Builder, tensor: usize, all: &mut [Channels]) {
    let built = &builder.tensors[tensor];
    let (Some(offset), DataType::I8 | DataType::U8) = (built.data, built.dtype) else {
        return;
    };
    let lanes = program.lanes[tensor];
    let elements = blob(&builder.data, Blob::<i8>::at(offset), program.len[tensor]);
    let mut values = vec![vec![0; program.positions(tensor)]; lanes.channels];
    for (e, &value) in elements.iter().enumerate() {
        values[lanes.channel(e)][lanes.position(e)] = value;
    }
    all[tensor] = values.into_iter().map(|v| Some(Known::of(v))).collect();
}

/// Constants that an operator's record names. They are there: the builder has stored them.
pub(super) fn blob<T: elements::Stored>(data: &[u8], blob: Blob<T>, len: usize) -> Vec<T> {
    T::read(data, blob.offset as usize, len)
}

/// Element types of the data section, read at any alignment.
pub(super) mod elements {
    /// An element of the data section.
    pub(in super::super) trait Stored: Sized {
        fn read(data: &[u8], offset: usize, len: usize) -> Vec<Self>;
    }
    impl Stored for i8 {
        fn read(data: &[u8], offset: usize, len: usize) -> Vec<Self> {
            let bytes = &data[offset..offset + len];
            bytes.iter().map(|b| b.cast_signed()).collect()
        }
    }
    impl Stored for u8 {
        fn read(data: &[u8], offset: usize, len: usize) -> Vec<Self> {
            data[offset..offset + len].to_vec()
        }
    }
    impl Stored for i32 {
        fn read(data: &[u8], offset: usize, len: usize) -> Vec<Self> {
            let words = data[offset..offset + len * 4].as_chunks::<4>().0;
            words.iter().map(|w| Self::from_le_bytes(*w)).collect()
        }
    }
    impl Stored for f32 {
        fn read(data: &[u8], offset: usize, len: usize) -> Vec<Self> {
            let words = data[offset..offset + len * 4].as_chunks::<4>().0;
            words.iter().map(|w| Self::from_le_bytes(*w)).collect()
        }
    }
}

/// One operator, whose inputs' channels are known as far as they can be.
struct Forward<'p> {
    program: &'p Program,
    data: &'p [u8],
    all: &'p [Channels],
    step: &'p Step,
}

impl Forward<'_> {
    fn output(&self) -> Channels {
        let program = self.program;
        let output = self.step.output;
        let lanes = program.lanes[output];
        let x = &self.all[self.step.inputs.first().copied().unwrap_or(output)];
        let each = |f: &dyn Fn(&Known) -> Known| -> Channels {
            x.iter().map(|known| known.as_ref().map(f)).collect()
        };
        match &self.step.kind {
            Kind::Opaque => vec![None; lanes.channels],
            Kind::Conv(p) => self.conv(p, x),
            Kind::Depthwise(p) => self.depthwise(p, x),
            Kind::Matrix(p) => self.matrix(p, x),
            Kind::Binary(product, p, operands) => {
                let Some(stage) = OutputStage::new(p.output_zero_point, p.low, p.high) else {
                    return vec![None; lanes.channels];
                };
                let [zero_a, zero_b] = p.input_zero_points;
                let [scale_a, scale_b] = p.input_scales;
                let f = |a: i8, b: i8| {
                    let (a, b) = (
                        dequantize(a, zero_a, scale_a),
                        dequantize(b, zero_b, scale_b),
                    );
                    let real = if *product { a * b } else { a + b };
                    stage.quantize(real / p.output_scale)
                };
                self.binary(*operands, &f)
            }
            Kind::MaxPool(p) => each(&|known| {
                slide(&p.window, |taps| {
                    let on = taps.iter().flatten().map(|&at| known.at(at));
                    on.max().unwrap_or(i8::MIN)
                })
            }),
            Kind::AveragePool(p) => match average(p) {
                Some(f) => each(&f),
                None => vec![None; lanes.channels],
            },
            Kind::Lookup(p) => {
                let table = blob(self.data, p.table, 256);
                let look = |v: i8| table[usize::from(v.cast_unsigned())].cast_signed();
                each(&|known| match known {
                    Known::Uniform(v) => Known::Uniform(look(*v)),
                    Known::Map(values) => Known::of(values.iter().map(|v| look(*v)).collect()),
                })
            }
            Kind::Concat(true, _) => {
                let inputs = self.step.inputs.iter();
                inputs.flat_map(|&input| self.all[input].clone()).collect()
            }
            Kind::Concat(false, _) => (0..lanes.channels)
                .map(|c| {
                    let mut inputs = self.step.inputs.iter().map(|&t| self.all[t][c].as_ref());
                    let first = inputs.next()??.uniform()?;
                    let same =
                        |known: Option<&Known>| known.and_then(Known::uniform) == Some(first);
                    inputs.all(same).then_some(Known::Uniform(first))
                })
                .collect(),
            // Where borders would go is not followed through a change of order.
            Kind::Transpose(..) => x
                .iter()
                .map(|known| known.as_ref()?.uniform().map(Known::Uniform))
                .collect(),
            Kind::Pad(p) => {
                let [.., dim] = p.walk.dims;
                let value = (p.value as u8).cast_signed();
                let positions = program.positions(output);
                each(&|known| {
                    let mut values = vec![value; positions];
                    let steps = p.walk.dims[..p.walk.dims.len() - 1].iter();
                    let count: u32 = steps.product();
                    for position in 0..count as usize {
                        let (mut rest, mut at) = (position as u32, p.start / dim);
                        for i in (0..p.walk.dims.len() - 1).rev() {
                            at += rest % p.walk.dims[i] * (p.walk.strides[i] / dim);
                            rest /= p.walk.dims[i];
                        }
                        values[at as usize] = known.at(position);
                    }
                    Known::of(values)
                })
            }
        }
    }

    fn binary(&self, operands: Operands, f: &dyn Fn(i8, i8) -> i8) -> Channels {
        let [a, b] = [self.step.inputs[0], self.step.inputs[1]];
        let output = self.step.output;
        let positions = self.program.positions(output);
        let channel = |operand: usize, c: usize| {
            let tensor = [a, b][operand];
            match operands {
                Operands::One(one) if one == operand => self.all[tensor][0].as_ref(),
                _ => self.all[tensor][c].as_ref(),
            }
        };
        let spread = |operand: usize| match operands {
            Operands::One(one) | Operands::Row(one) => one == operand,
            Operands::Same => false,
        };
        (0..self.program.lanes[output].channels)
            .map(|c| {
                let (x, y) = (channel(0, c)?, channel(1, c)?);
                if let (Some(x), Some(y)) = (x.uniform(), y.uniform()) {
                    return Some(Known::Uniform(f(x, y)));
                }
                let at = |operand, position| if spread(operand) { 0 } else { position };
                let values = (0..positions).map(|p| f(x.at(at(0, p)), y.at(at(1, p))));
                Some(Known::of(values.collect()))
            })
            .collect()
    }

    fn matrix(&self, p: &FullyConnectedI8Params, x: &Channels) -> Channels {
        let (depth, outputs) = (p.depth as usize, p.outputs as usize);
        let weights = blob(self.data, p.weights, depth * outputs);
        let bias = blob(self.data, p.bias, outputs);
        let multipliers = blob(self.data, p.multipliers, outputs);
        let lanes = self.program.lanes[self.step.inputs[0]];
        let Some(stage) = OutputStage::new(p.output_zero_point, p.low, p.high) else {
            return vec![None; outputs];
        };
        (0..outputs)
            .map(|o| {
                let mut terms = Vec::new();
                for (j, &w) in weights[o * depth..][..depth].iter().enumerate() {
                    if w != 0 {
                        terms.push((j, i32::from(w), x[lanes.channel(j)].as_ref()?));
                    }
                }
                let uniform = terms.iter().all(|(_, _, known)| known.uniform().is_some());
                let rows = if uniform { 1 } else { p.rows as usize };
                let row = |r: usize| {
                    let sum = terms.iter().fold(bias[o], |sum, &(j, w, known)| {
                        let k = known.at(lanes.position(r * depth + j));
                        sum.wrapping_add(w * i32::from(k))
                    });
                    stage.requantize(sum, multipliers[o])
                };
                Some(Known::of((0..rows).map(row).collect()))
            })
            .collect()
    }

    fn conv(&self, p: &ConvI8Params, x: &Channels) -> Channels {
        let (group_in, group_out) = (p.group_in as usize, p.group_out as usize);
        let outputs = p.groups as usize * group_out;
        let taps = (p.window.kernel_h * p.window.kernel_w) as usize;
        let filter = taps * group_in;
        let weights = blob(self.data, p.weights, outputs * filter);
        let bias = blob(self.data, p.bias, outputs);
        let multipliers = blob(self.data, p.multipliers, outputs);
        let Some(stage) = OutputStage::new(p.output_zero_point, p.low, p.high) else {
            return vec![None; outputs];
        };
        (0..outputs)
            .map(|o| {
                let first = o / group_out * group_in;
                // Per tap: the weights that count, with the channel that each meets.
                let mut terms: Vec<Vec<(i32, &Known)>> = vec![Vec::new(); taps];
                for (at, &w) in weights[o * filter..][..filter].iter().enumerate() {
                    if w != 0 {
                        let known = x[first + at % group_in].as_ref()?;
                        terms[at / group_in].push((i32::from(w), known));
                    }
                }
                let quantize = |sum| stage.requantize(sum, multipliers[o]);
                if terms.iter().all(Vec::is_empty) {
                    return Some(Known::Uniform(quantize(bias[o])));
                }
                Some(slide(&p.window, |positions| {
                    let mut sum = bias[o];
                    for (terms, position) in terms.iter().zip(positions) {
                        for &(w, known) in terms {
                            let k = position.map_or(p.input_zero_point, |at| known.at(at).into());
                            sum = sum.wrapping_add(w * k);
                        }
                    }
                    quantize(sum)
                }))
            })
            .collect()
    }

    fn depthwise(&self, p: &DepthwiseI8Params, x: &Channels) -> Channels {
        let channels = p.channels as usize;
        let taps = (p.window.kernel_h * p.window.kernel_w) as usize;
        let weights = blob(self.data, p.weights, taps * channels);
        let bias = blob(self.data, p.bias, channels);
        let multipliers = blob(self.data, p.multipliers, channels);
        let Some(stage) = OutputStage::new(p.output_zero_point, p.low, p.high) else {
            return vec![None; channels];
        };
        (0..channels)
            .map(|c| {
                let filter: Vec<i32> = (0..taps)
                    .map(|tap| weights[tap * channels + c].into())
                    .collect();
                let quantize = |sum| stage.requantize(sum, multipliers[c]);
                if filter.iter().all(|&w| w == 0) {
                    return Some(Known::Uniform(quantize(bias[c])));
                }
                let known = x[c].as_ref()?;
                Some(slide(&p.window, |positions| {
                    let terms = filter.iter().zip(positions);
                    let sum = terms.fold(bias[c], |sum, (w, position)| {
                        let k = position.map_or(p.input_zero_point, |at| known.at(at).into());
                        sum.wrapping_add(w * k)
                    });
                    quantize(sum)
                }))
            })
            .collect()
    }
}

/// AveragePoolI8 of one channel; `None` when its parameters are none.
fn average(p: &AveragePoolI8Params) -> Option<impl Fn(&Known) -> Known> {
    let stage = OutputStage::new(p.output_zero_point, p.low, p.high)?;
    let p = *p;
    let divisors = divisors(&p);
    Some(move |known: &Known| {
        let mut divisors = divisors.iter();
        slide(&p.window, |taps| {
            let on = taps.iter().flatten();
            let sum = on.fold(0i32, |sum, &at| {
                sum.wrapping_add(i32::from(known.at(at)) - p.input_zero_point)
            });
            let count = divisors.next().map_or(1, |&(_, count)| count);
            let multiplier = p.input_scale / count as f32 / p.output_scale;
            stage.requantize(sum, multiplier)
        })
    })
}

/// For each output pixel of a pool, how many taps lie on the input, and the divisor.
fn divisors(p: &AveragePoolI8Params) -> Vec<(i32, usize)> {
    let mut divisors = Vec::new();
    each_window(&p.window, |taps| {
        let on = taps.iter().flatten().count();
        divisors.push((on as i32, on.max(1)));
    });
    if p.count_include_pad != 0 {
        // Taps on the input or its padding are those of a larger image without padding.
        let whole = Window {
            in_h: p.window.pad_top + p.window.in_h + p.window.pad_bottom,
            in_w: p.window.pad_left + p.window.in_w + p.window.pad_right,
            pad_top: 0,
            pad_left: 0,
            ..p.window
        };
        let mut pixels = divisors.iter_mut();
        each_window(&whole, |taps| {
            if let Some((_, count)) = pixels.next() {
                *count = taps.iter().flatten().count().max(1);
            }
        });
    }
    divisors
}

/// Which numbers of taps on the input, and divisors, occur in a pool.
pub(super) fn pool_counts(p: &AveragePoolI8Params) -> Vec<(i32, usize)> {
    let mut counts = divisors(p);
    counts.sort_unstable();
    counts.dedup();
    counts
}

/// A value for each output pixel of a window, from the input position under each tap (`None`
/// off the input).
fn slide(window: &Window, mut f: impl FnMut(&[Option<usize>]) -> i8) -> Known {
    let mut values = Vec::new();
    each_window(window, |taps| values.push(f(taps)));
    Known::of(values)
}

/// Calls `f` for each output pixel with the input position under each tap.
pub(super) fn each_window(w: &Window, mut f: impl FnMut(&[Option<usize>])) {
    let on = |o: u32, stride: u32, k: u32, dilation: u32, pad: u32, len: u32| {
        let at = i64::from(o) * i64::from(stride) + i64::from(k) * i64::from(dilation);
        let at = at - i64::from(pad);
        (0..i64::from(len)).contains(&at).then_some(at as usize)
    };
    let mut taps = Vec::new();
    for n in 0..w.batch as usize {
        for oy in 0..w.out_h {
            for ox in 0..w.out_w {
                taps.clear();
                for ky in 0..w.kernel_h {
                    let y = on(oy, w.stride_h, ky, w.dilation_h, w.pad_top, w.in_h);
                    for kx in 0..w.kernel_w {
                        let x = on(ox, w.stride_w, kx, w.dilation_w, w.pad_left, w.in_w);
                        let row = y.map(|y| n * w.in_h as usize + y);
                        taps.push(row.zip(x).map(|(row, x)| row * w.in_w as usize + x));
                    }
                }
                f(&taps);
            }
        }
    }
}

/// Whether every tap of every output pixel lies on the input.
pub(super) fn unpadded(w: &Window) -> bool {
    let inside = |out: u32, stride: u32, kernel: u32, dilation: u32, len: u32| {
        let last = u64::from(out.saturating_sub(1)) * u64::from(stride)
            + u64::from(kernel.saturating_sub(1)) * u64::from(dilation);
        last < u64::from(len)
    };
    w.pad_top == 0
        && w.pad_left == 0
        && inside(w.out_h, w.stride_h, w.kernel_h, w.dilation_h, w.in_h)
        && inside(w.out_w, w.stride_w, w.kernel_w, w.dilation_w, w.in_w)
}

/// Whether channels of such a tensor can be given to a matrix product one pixel a row.
pub(super) fn pixel_rows(lanes: Lanes, depth: u32) -> bool {
    lanes.inner == 1 && lanes.channels == depth as usize
}
