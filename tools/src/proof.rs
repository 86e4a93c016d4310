//! A memory plan proved by carrying it out on shadows: every byte of the arena remembers which byte
//! of which tensor it holds, and every read has to find its own.
//!
//! It shares nothing with the planner and nothing with the checks of the runtime's loader but the
//! records: what an operator reads for which row is worked out here from the geometry in its
//! parameters, tap by tap. It takes the time of a walk over every byte that is read, so it belongs
//! into tests; the loader's checks are made at every load.

use std::collections::HashMap;
use std::ops::Range;

use anyhow::{Context as _, Result, ensure};
use niwaki::Section;
use niwaki::artifact::{
    Header, Operators, Port, RawOperator, Record as _, Storage, Tensor, Tensors, Words,
};
use niwaki::ops::{
    self, AveragePoolF32Params, AveragePoolI8Params, BinaryF32Params, BinaryI8Params,
    ConvF32Params, ConvI8Params, DepthwiseF32Params, DepthwiseI8Params,
    FullyConnectedBorderI8Params, FullyConnectedF32Params, FullyConnectedI8Params,
    FullyConnectedI8SparseParams, MaxPoolParams, Registered as _, Strides, Window,
};

/// How an operator goes through its tensors.
enum Access {
    /// One row of the output after the other, each from the rows of input 0 under a window.
    Window {
        window: Window,
        in_channels: usize,
        out_channels: usize,
    },
    /// One pixel of the output after the other, each from the one at its place.
    Pixels { depth: usize, outputs: usize },
    /// One element after the other, from those at its place; false for an input that is met in
    /// another order.
    Elements { in_order: Vec<bool>, upwards: bool },
    /// In an order that is not known: all inputs have to be whole until the output is.
    Whole,
}

/// Proves that every read of an artifact finds what it is meant to. What the loader checks beside
/// the plan is taken to be right.
///
/// # Errors
///
/// Names the operator, the tensor and the byte that is something else.
pub fn prove(artifact: &[u8]) -> Result<()> {
    let header = Header::open(artifact)?;
    let section = |section| header.section(artifact, section).unwrap_or_default();
    let mut shadows = Shadows {
        tensors: Tensors::new(section(Section::Tensors)),
        arena: vec![None; header.arena_bytes as usize],
        first_rows: HashMap::new(),
    };
    let interface = section(Section::Interface).chunks_exact(Port::WORDS * 4);
    let ports: Vec<u16> = interface
        .filter_map(|words| Some(Port::read(&mut Words::new(words))?.tensor as u16))
        .collect();
    let (inputs, outputs) = ports.split_at(header.input_count as usize);
    for &input in inputs {
        shadows.write(input, 0..shadows.tensor(input)?.len())?;
    }
    let operators: Vec<RawOperator<'_>> = Operators::new(section(Section::Operators)).collect();
    let mut at = 0;
    while at < operators.len() {
        let strips = usize::from(operators[at].header.strips);
        let count = match strips {
            0 => 1,
            _ => 1 + operators[at].strip.rest() as usize,
        };
        for strip in 0..strips.max(1) {
            for (position, operator) in operators[at..at + count].iter().enumerate() {
                let part = (strips > 0).then_some(strip);
                shadows
                    .run(operator, part)
                    .with_context(|| format!("operator {}, strip {strip}", at + position))?;
            }
        }
        at += count;
    }
    for &output in outputs {
        let len = shadows.tensor(output)?.len();
        shadows
            .read(output, 0..len)
            .context("output of the model")?;
    }
    Ok(())
}

struct Shadows<'m> {
    tensors: Tensors<'m>,
    /// The tensor and the byte of it that each byte of the arena holds.
    arena: Vec<Option<(u16, usize)>>,
    /// Row that the place of a tensor begins with, where that is not the first.
    first_rows: HashMap<u16, usize>,
}

impl Shadows<'_> {
    fn tensor(&self, index: u16) -> Result<Tensor> {
        self.tensors.get(index).context("no such tensor")
    }

    /// The bytes of the arena where these elements are, and the first of them in the tensor.
    fn bytes(&self, index: u16, elements: &Range<usize>) -> Result<(Range<usize>, usize)> {
        let tensor = self.tensor(index)?;
        let size = tensor.dtype.bytes();
        let first = self.first_rows.get(&index).copied().unwrap_or(0) * tensor.row_len();
        ensure!(
            first <= elements.start,
            "row {} of tensor {index} is not held any more",
            elements.start / tensor.row_len()
        );
        let start = tensor.offset as usize;
        let range = start + (elements.start - first) * size..start + (elements.end - first) * size;
        ensure!(
            range.end <= tensor.range().end && range.end <= self.arena.len(),
            "tensor {index} has no room for its element {}",
            elements.end - 1
        );
        Ok((range, elements.start * size))
    }

    fn write(&mut self, index: u16, elements: Range<usize>) -> Result<()> {
        let (range, first) = self.bytes(index, &elements)?;
        for (byte, place) in (first..).zip(&mut self.arena[range]) {
            *place = Some((index, byte));
        }
        Ok(())
    }

    fn read(&self, index: u16, elements: Range<usize>) -> Result<()> {
        if self.tensor(index)?.storage == Storage::Data {
            return Ok(());
        }
        let (range, first) = self.bytes(index, &elements)?;
        for (byte, place) in (first..).zip(&self.arena[range]) {
            ensure!(
                *place == Some((index, byte)),
                "byte {byte} of tensor {index} is read, and {place:?} is there"
            );
        }
        Ok(())
    }

    fn run(&mut self, operator: &RawOperator<'_>, strip: Option<usize>) -> Result<()> {
        let index = operator.output(0).context("no output")?;
        let output = self.tensor(index)?;
        let elements = match strip {
            None => 0..output.len(),
            Some(strip) => self.begin_strip(operator, index, &output, strip)?,
        };
        if elements.is_empty() {
            return Ok(());
        }
        let inputs: Vec<u16> = operator.inputs().collect();
        match access(operator)? {
            Access::Window {
                window,
                in_channels,
                out_channels,
            } => {
                let row = window.out_w as usize * out_channels;
                let order = self.in_turn(inputs[0], &output, strip, elements, row)?;
                for at in order {
                    for rows in taps(&window, in_channels, at) {
                        self.read(inputs[0], rows)?;
                    }
                    self.write(index, at * row..(at + 1) * row)?;
                }
            }
            Access::Pixels { depth, outputs } => {
                let order = self.in_turn(inputs[0], &output, strip, elements, outputs)?;
                for at in order {
                    self.read(inputs[0], at * depth..(at + 1) * depth)?;
                    self.write(index, at * outputs..(at + 1) * outputs)?;
                }
            }
            Access::Elements { in_order, upwards } => {
                let order = match upwards {
                    true => elements.collect(),
                    false => self.in_turn(inputs[0], &output, strip, elements, 1)?,
                };
                self.read_others(&inputs, &in_order)?;
                for at in order {
                    for (&input, _) in inputs
                        .iter()
                        .zip(&in_order)
                        .filter(|(_, ordered)| **ordered)
                    {
                        self.read(input, at..at + 1)?;
                    }
                    self.write(index, at..at + 1)?;
                }
                self.read_others(&inputs, &in_order)?;
            }
            Access::Whole => {
                ensure!(strip.is_none(), "it cannot be run in strips");
                let none = vec![false; inputs.len()];
                self.read_others(&inputs, &none)?;
                self.write(index, elements)?;
                self.read_others(&inputs, &none)?;
            }
        }
        Ok(())
    }

    /// Reads all of the inputs that are not met in order.
    fn read_others(&self, inputs: &[u16], in_order: &[bool]) -> Result<()> {
        for (&input, _) in inputs
            .iter()
            .zip(in_order)
            .filter(|(_, ordered)| !**ordered)
        {
            self.read(input, 0..self.tensor(input)?.len())?;
        }
        Ok(())
    }

    /// Steps of `row` elements that make these elements, in the order in which they are computed:
    /// an output behind the input that it shares bytes with begins at its end.
    fn in_turn(
        &self,
        input: u16,
        output: &Tensor,
        strip: Option<usize>,
        elements: Range<usize>,
        row: usize,
    ) -> Result<Vec<usize>> {
        ensure!(
            elements.start.is_multiple_of(row) && elements.end.is_multiple_of(row),
            "a strip ends inside a row"
        );
        let steps = elements.start / row..elements.end / row;
        let input = self.tensor(input)?;
        let downwards = strip.is_none()
            && input.storage == Storage::Arena
            && (input.offset < output.offset
                || input.offset == output.offset && input.dtype.bytes() < output.dtype.bytes());
        Ok(match downwards {
            true => steps.rev().collect(),
            false => steps.collect(),
        })
    }

    /// Moves what is kept of the output, and gives its new elements.
    fn begin_strip(
        &mut self,
        operator: &RawOperator<'_>,
        index: u16,
        output: &Tensor,
        strip: usize,
    ) -> Result<Range<usize>> {
        let schedule = &operator.strip;
        let [step, every] = [schedule.pace & 0xffff, schedule.pace >> 16].map(|n| n as usize);
        let rows = output.rows() as usize;
        let done = |strips: usize| {
            let ahead = (strips * step).saturating_sub(schedule.lag as usize);
            (ahead / every).min(rows)
        };
        let row = output.row_len();
        if output.held > 0 {
            let keep = (schedule.keep_and_rest & 0xffff) as usize;
            let first = done(strip).saturating_sub(keep);
            let kept = first * row..done(strip) * row;
            let (from, _) = self.bytes(index, &kept)?;
            let start = output.offset as usize;
            self.arena.copy_within(from, start);
            self.first_rows.insert(index, first);
        }
        Ok(done(strip) * row..done(strip + 1) * row)
    }
}

/// The elements of the input rows under a window, for one row of the output, tap by tap.
fn taps(window: &Window, channels: usize, row: usize) -> Vec<Range<usize>> {
    let [in_h, out_h] = [window.in_h, window.out_h].map(i64::from);
    let (image, oy) = (row as i64 / out_h, row as i64 % out_h);
    let len = window.in_w as usize * channels;
    (0..i64::from(window.kernel_h))
        .map(|ky| {
            oy * i64::from(window.stride_h) + ky * i64::from(window.dilation_h)
                - i64::from(window.pad_top)
        })
        .filter(|iy| (0..in_h).contains(iy))
        .map(|iy| {
            let at = (image * in_h + iy) as usize;
            at * len..(at + 1) * len
        })
        .collect()
}

/// Whether a walk meets the elements of a tensor one after the other.
fn is_in_order(walk: &Strides) -> bool {
    let mut expected = 1;
    for (&dim, &stride) in walk.dims.iter().zip(&walk.strides).rev() {
        if dim != 1 && stride != expected {
            return false;
        }
        expected *= dim;
    }
    true
}

fn access(operator: &RawOperator<'_>) -> Result<Access> {
    let code = operator.header.code;
    let what = "parameters";
    let window = |window: Window, groups: u32, channels: [u32; 2]| Access::Window {
        window,
        in_channels: (groups * channels[0]) as usize,
        out_channels: (groups * channels[1]) as usize,
    };
    let pixels = |depth: u32, outputs: u32| Access::Pixels {
        depth: depth as usize,
        outputs: outputs as usize,
    };
    macro_rules! parameters {
        ($ty:ty) => {
            operator.parameters::<$ty>().context(what)?
        };
    }
    Ok(match code {
        ops::ConvI8::CODE | ops::ConvI8Wide::CODE => {
            let p = parameters!(ConvI8Params);
            window(p.window, p.groups, [p.group_in, p.group_out])
        }
        ops::ConvF32::CODE => {
            let p = parameters!(ConvF32Params);
            window(p.window, p.groups, [p.group_in, p.group_out])
        }
        ops::DepthwiseConvI8::CODE => {
            let p = parameters!(DepthwiseI8Params);
            window(p.window, p.channels, [1, 1])
        }
        ops::DepthwiseConvF32::CODE => {
            let p = parameters!(DepthwiseF32Params);
            window(p.window, p.channels, [1, 1])
        }
        ops::MaxPoolI8::CODE | ops::MaxPoolF32::CODE => {
            let p = parameters!(MaxPoolParams);
            window(p.window, p.channels, [1, 1])
        }
        ops::AveragePoolI8::CODE => {
            let p = parameters!(AveragePoolI8Params);
            window(p.window, p.channels, [1, 1])
        }
        ops::AveragePoolF32::CODE => {
            let p = parameters!(AveragePoolF32Params);
            window(p.window, p.channels, [1, 1])
        }
        ops::FullyConnectedI8::CODE | ops::FullyConnectedI8Wide::CODE => {
            let p = parameters!(FullyConnectedI8Params);
            pixels(p.depth, p.outputs)
        }
        ops::FullyConnectedF32::CODE => {
            let p = parameters!(FullyConnectedF32Params);
            pixels(p.depth, p.outputs)
        }
        ops::FullyConnectedBorderI8::CODE | ops::FullyConnectedBorderI8Wide::CODE => {
            let p = parameters!(FullyConnectedBorderI8Params);
            pixels(p.depth, p.outputs)
        }
        ops::FullyConnectedI8Sparse::CODE => {
            let p = parameters!(FullyConnectedI8SparseParams);
            pixels(p.depth, p.outputs)
        }
        _ => elements(operator)?,
    })
}

/// Functions of one element or two, and everything else.
fn elements(operator: &RawOperator<'_>) -> Result<Access> {
    let code = operator.header.code;
    let pair = |walks: [Strides; 2]| Access::Elements {
        in_order: walks.iter().map(is_in_order).collect(),
        upwards: true,
    };
    let unary = [
        ops::LookupI8::CODE,
        ops::ClampF32::CODE,
        ops::SigmoidF32::CODE,
    ]
    .into_iter()
    .chain(ops::TanhF32::CODE..=ops::DequantizeI8::CODE)
    .chain(ops::AbsF32::CODE..=ops::IsInfF32::CODE);
    Ok(match code {
        ops::AddI8::CODE | ops::MulI8::CODE => {
            let params: BinaryI8Params = operator.parameters().context("parameters")?;
            pair(params.walks)
        }
        ops::AddF32::CODE
        | ops::MulF32::CODE
        | ops::SubF32::CODE
        | ops::DivF32::CODE
        | ops::PowF32::CODE
        | ops::MinF32::CODE
        | ops::MaxF32::CODE
        | ops::FmodF32::CODE => {
            let params: BinaryF32Params = operator.parameters().context("parameters")?;
            pair(params.walks)
        }
        _ if unary.into_iter().any(|unary| unary == code) => Access::Elements {
            in_order: vec![true],
            upwards: false,
        },
        _ => Access::Whole,
    })
}
