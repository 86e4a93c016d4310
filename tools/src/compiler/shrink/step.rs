//! The chosen operators with their parameters, and where channels lie in each tensor.

use niwaki::artifact::{DataType, Operators, Record};
use niwaki::ops::{
    AddI8, AveragePoolI8, AveragePoolI8Params, BinaryI8Params, Concat, ConcatParams, ConvI8,
    ConvI8Params, DepthwiseConvI8, DepthwiseI8Params, FullyConnectedI8, FullyConnectedI8Params,
    LookupI8, LookupParams, MaxPoolI8, MaxPoolParams, MulI8, Pad, PadParams, Registered as _,
    Transpose, TransposeParams,
};

use crate::compiler::builder::{Builder, BuiltOperator, BuiltTensor};
use crate::compiler::select::Selected;

/// Where the channels of a tensor lie: element `e` belongs to channel `e / inner % channels`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Lanes {
    /// Number of channels.
    pub(super) channels: usize,
    /// Elements from one channel to the next; 1 where channels lie innermost.
    pub(super) inner: usize,
}

impl Lanes {
    /// The channel of element `e`.
    pub(super) fn channel(self, e: usize) -> usize {
        e / self.inner % self.channels
    }

    /// Which of its channel's elements `e` is.
    pub(super) fn position(self, e: usize) -> usize {
        e / self.inner / self.channels * self.inner + e % self.inner
    }

    fn innermost(channels: u32) -> Self {
        Self {
            channels: channels as usize,
            inner: 1,
        }
    }
}

/// How the operands of a sum or product meet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Operands {
    /// Element by element.
    Same,
    /// This operand is one element, for all of the other's.
    One(usize),
    /// This operand has one element for each channel of the other.
    Row(usize),
}

/// An operator whose channels are understood.
#[derive(Clone, Debug)]
pub(super) enum Kind {
    Conv(ConvI8Params),
    Depthwise(DepthwiseI8Params),
    Matrix(FullyConnectedI8Params),
    Binary(bool, BinaryI8Params, Operands),
    MaxPool(MaxPoolParams),
    AveragePool(AveragePoolI8Params),
    Lookup(LookupParams),
    /// Along the channels, or (`false`) along another axis.
    Concat(bool, ConcatParams),
    /// And which of the walk's dimensions are the channels.
    Transpose(TransposeParams, usize),
    Pad(PadParams),
    /// Anything else: reads every channel, and every channel of its output stays.
    Opaque,
}

/// One operator.
#[derive(Clone, Debug)]
pub(super) struct Step {
    pub(super) kind: Kind,
    pub(super) inputs: Vec<usize>,
    pub(super) output: usize,
}

/// All operators, and the channels of all tensors.
#[derive(Debug)]
pub(super) struct Program {
    pub(super) steps: Vec<Step>,
    pub(super) lanes: Vec<Lanes>,
    /// Elements of each tensor.
    pub(super) len: Vec<usize>,
    /// Tensors whose channels all stay.
    pub(super) pinned: Vec<bool>,
    /// The operator that writes each tensor.
    pub(super) producers: Vec<Option<usize>>,
}

impl Program {
    /// Reads the operators that selection has chosen.
    pub(super) fn of(selected: &Selected) -> Self {
        let builder = &selected.builder;
        let count = builder.tensors.len();
        let mut program = Self {
            steps: Vec::new(),
            lanes: builder.tensors.iter().map(innermost_axis).collect(),
            len: builder
                .tensors
                .iter()
                .map(|t| t.shape.iter().product())
                .collect(),
            pinned: vec![false; count],
            producers: vec![None; count],
        };
        for (tensor, _) in selected.inputs.iter().chain(&selected.outputs) {
            program.pinned[*tensor] = true;
        }
        for (index, operator) in builder.operators.iter().enumerate() {
            let step = program.step(builder, operator);
            program.producers[step.output] = Some(index);
            let stays = match &step.kind {
                Kind::Opaque => true,
                Kind::Conv(p) => p.groups > 1,
                _ => false,
            };
            if stays {
                for &tensor in step.inputs.iter().chain([&step.output]) {
                    program.pinned[tensor] = true;
                }
            }
            program.steps.push(step);
        }
        for (tensor, built) in builder.tensors.iter().enumerate() {
            program.pinned[tensor] |= channel_axis(built, program.lanes[tensor]).is_none();
        }
        program
    }

    /// Number of elements that a channel of a tensor has.
    pub(super) fn positions(&self, tensor: usize) -> usize {
        self.len[tensor] / self.lanes[tensor].channels
    }

    fn step(&mut self, builder: &Builder, operator: &BuiltOperator) -> Step {
        let bytes = |tensor: &usize| {
            let dtype = builder.tensors[*tensor].dtype;
            matches!(dtype, DataType::I8 | DataType::U8)
        };
        let inputs = operator.inputs.clone();
        let output = operator.output;
        let understood = inputs.iter().chain([&output]).all(bytes)
            && !inputs.is_empty()
            && builder.tensors[output].data.is_none();
        let kind = understood.then(|| self.kind(operator)).flatten();
        let kind = kind.map_or(Kind::Opaque, |(kind, lanes)| {
            self.lanes[output] = lanes;
            kind
        });
        Step {
            kind,
            inputs,
            output,
        }
    }

    /// What the operator is and how channels lie in its output; `None` where its channels are
    /// not those of its inputs.
    fn kind(&self, operator: &BuiltOperator) -> Option<(Kind, Lanes)> {
        let words: Vec<u8> = operator
            .record
            .iter()
            .flat_map(|w| w.to_le_bytes())
            .collect();
        let raw = Operators::new(&words).next()?;
        let input = operator.inputs[0];
        let lanes = self.lanes[input];
        // Images and rows have their channels innermost, as many as the parameters say.
        let wide = |channels: u32| (lanes == Lanes::innermost(channels)).then_some(lanes);
        Some(match raw.header.code {
            ConvI8::CODE => {
                let p: ConvI8Params = raw.parameters()?;
                wide(p.groups * p.group_in)?;
                (Kind::Conv(p), Lanes::innermost(p.groups * p.group_out))
            }
            DepthwiseConvI8::CODE => {
                let p: DepthwiseI8Params = raw.parameters()?;
                (Kind::Depthwise(p), wide(p.channels)?)
            }
            FullyConnectedI8::CODE => {
                let p: FullyConnectedI8Params = raw.parameters()?;
                let group = lanes.channels * lanes.inner;
                if !(p.depth as usize).is_multiple_of(group) {
                    return None;
                }
                (Kind::Matrix(p), Lanes::innermost(p.outputs))
            }
            code @ (AddI8::CODE | MulI8::CODE) => {
                let p: BinaryI8Params = raw.parameters()?;
                let [a, b] = [operator.inputs[0], *operator.inputs.get(1)?];
                let (operands, lanes) = self.operands(&p, [a, b])?;
                (Kind::Binary(code == MulI8::CODE, p, operands), lanes)
            }
            MaxPoolI8::CODE => {
                let p: MaxPoolParams = raw.parameters()?;
                (Kind::MaxPool(p), wide(p.channels)?)
            }
            AveragePoolI8::CODE => {
                let p: AveragePoolI8Params = raw.parameters()?;
                (Kind::AveragePool(p), wide(p.channels)?)
            }
            LookupI8::CODE => (Kind::Lookup(raw.parameters()?), lanes),
            Concat::CODE => {
                let p: ConcatParams = raw.parameters()?;
                let (along, lanes) = self.concat(&p, &operator.inputs)?;
                (Kind::Concat(along, p), lanes)
            }
            Transpose::CODE => {
                let p: TransposeParams = raw.parameters()?;
                let walk = &p.walk;
                let at = (0..walk.dims.len())
                    .find(|&i| walk.dims[i] > 1 && walk.strides[i] == 1)
                    .filter(|&i| wide(walk.dims[i]).is_some())?;
                let whole = |i: usize| i == at || walk.strides[i].is_multiple_of(walk.dims[at]);
                if !(0..walk.dims.len()).all(whole) {
                    return None;
                }
                let inner = walk.dims[at + 1..].iter().product::<u32>() as usize;
                (Kind::Transpose(p, at), Lanes { inner, ..lanes })
            }
            Pad::CODE => {
                let p: PadParams = raw.parameters()?;
                let ([outer @ .., stride], [.., dim]) = (p.walk.strides, p.walk.dims);
                wide(dim)?;
                let steps = outer.iter().chain([&p.start]);
                if stride != 1 || !steps.clone().all(|s| s.is_multiple_of(dim)) {
                    return None;
                }
                // A pixel of the output has to be as wide as one of the input.
                if !self.len[operator.output].is_multiple_of(dim as usize) {
                    return None;
                }
                (Kind::Pad(p), lanes)
            }
            _ => return None,
        })
    }

    fn operands(&self, p: &BinaryI8Params, inputs: [usize; 2]) -> Option<(Operands, Lanes)> {
        let [a, b] = p.walks;
        let [dims @ .., columns] = a.dims;
        let [.., rows] = dims;
        let flat = a.dims[..a.dims.len() - 1].iter().all(|&dim| dim == 1);
        let two = a.dims[..a.dims.len() - 2].iter().all(|&dim| dim == 1);
        let strides = |walk: &niwaki::ops::Strides| {
            let [.., outer, inner] = walk.strides;
            [outer, inner]
        };
        let [sa, sb] = [strides(&a), strides(&b)];
        let lanes = inputs.map(|tensor| self.lanes[tensor]);
        if flat && sa[1] == 1 && sb[1] == 1 {
            // A constant operand lies as the other one does.
            return (lanes[0] == lanes[1]).then_some((Operands::Same, lanes[0]));
        }
        for (one, whole) in [(0, 1), (1, 0)] {
            let (s_one, s_whole) = ([sa, sb][one], [sa, sb][whole]);
            if flat && s_one[1] == 0 && s_whole[1] == 1 && self.len[inputs[one]] == 1 {
                return Some((Operands::One(one), lanes[whole]));
            }
            if two
                && rows > 1
                && s_one == [0, 1]
                && s_whole == [columns, 1]
                && lanes[one] == Lanes::innermost(columns)
                && lanes[whole] == Lanes::innermost(columns)
            {
                return Some((Operands::Row(one), lanes[whole]));
            }
        }
        None
    }

    fn concat(&self, p: &ConcatParams, inputs: &[usize]) -> Option<(bool, Lanes)> {
        let outer = (p.outer as usize).max(1);
        let lanes: Vec<Lanes> = inputs.iter().map(|&tensor| self.lanes[tensor]).collect();
        let rows: Vec<usize> = inputs.iter().map(|&t| self.len[t] / outer).collect();
        if lanes.iter().any(|lanes| lanes.inner != 1) {
            return None;
        }
        if lanes
            .iter()
            .zip(&rows)
            .all(|(lanes, row)| lanes.channels == *row)
        {
            let channels = rows.iter().sum();
            return Some((true, Lanes { channels, inner: 1 }));
        }
        let same = lanes.iter().all(|l| *l == lanes[0]);
        let whole = rows.iter().all(|row| row.is_multiple_of(lanes[0].channels));
        (same && whole).then_some((false, lanes[0]))
    }
}

/// Until an operator says otherwise, channels are the last axis in memory that is longer than 1.
fn innermost_axis(tensor: &BuiltTensor) -> Lanes {
    let dims = tensor.order.iter().rev().map(|&axis| tensor.shape[axis]);
    let channels = dims.into_iter().find(|&dim| dim > 1).unwrap_or(1);
    Lanes { channels, inner: 1 }
}

/// The axis of a tensor's shape that its channels are.
pub(super) fn channel_axis(tensor: &BuiltTensor, lanes: Lanes) -> Option<usize> {
    let mut inner = 1;
    for &axis in tensor.order.iter().rev() {
        let dim = tensor.shape[axis];
        if inner == lanes.inner && dim == lanes.channels {
            return Some(axis);
        }
        inner *= dim;
    }
    None
}

/// A record with its parameters changed.
pub(super) fn operator<P: Record>(code: u16, step: &Step, params: &P) -> BuiltOperator {
    BuiltOperator::new(code, step.inputs.clone(), params, step.output)
}
