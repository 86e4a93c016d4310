//! What each kind of operator checks: how many tensors and parameters it has, their types and
//! lengths, and the values of its parameters.

use niwaki::artifact::DataType::{self, Bool, F32, I8, I16, I32, I64, U8};
use niwaki::ops;
use niwaki::{All, LoadError, OperatorSet, Rule};

use super::parameters::Field::{
    self, Blob, Classes, FloatRange, Free, Halfwords, Int8Range, Multipliers, Outer, PoolWindow,
    Scale, Size, Start, Walk, Walks, Window, ZeroPoint, Zeros,
};
use super::parameters::{DATA, PIXELS_IN, PIXELS_OUT, STEPS, TAPS};
use super::{Row, load, record};
use crate::support::{Artifact, port};

/// A kind of operator as `FORMAT.md`, section 6, describes it, in the sizes of a valid record.
pub struct Kind {
    code: u16,
    pub name: &'static str,
    /// Type and number of elements of each input, then of the output.
    tensors: &'static [(DataType, usize)],
    parameters: &'static [Field],
}

macro_rules! kinds {
    ($($code:literal $name:ident
        ($($input:ident[$in_len:expr]),*) -> $output:ident[$out_len:expr],
        $($field:expr),*;
    )*) => {
        pub const KINDS: &[Kind] = &[$(Kind {
            code: $code,
            name: stringify!($name),
            tensors: &[$(($input, $in_len),)* ($output, $out_len)],
            parameters: &[$($field),*],
        }),*];
    };
}

// Convolutions have two groups, with three channels in and four out each; what is depthwise has
// six channels. A matrix of two rows and ten columns meets one of ten rows and six columns.
kinds! {
    1 ConvI8(I8[PIXELS_IN * 6]) -> I8[PIXELS_OUT * 8],
        Window, Size(2), Size(3), Size(4), ZeroPoint, ZeroPoint, Int8Range,
        Blob(1, 8 * TAPS * 3), Blob(4, 8), Multipliers(8);
    2 ConvF32(F32[PIXELS_IN * 6]) -> F32[PIXELS_OUT * 8],
        Window, Size(2), Size(3), Size(4), FloatRange, Blob(4, 8 * TAPS * 3), Blob(4, 8);
    3 DepthwiseConvI8(I8[PIXELS_IN * 6]) -> I8[PIXELS_OUT * 6],
        Window, Size(6), ZeroPoint, ZeroPoint, Int8Range,
        Blob(1, TAPS * 6), Blob(4, 6), Multipliers(6);
    4 DepthwiseConvF32(F32[PIXELS_IN * 6]) -> F32[PIXELS_OUT * 6],
        Window, Size(6), FloatRange, Blob(4, TAPS * 6), Blob(4, 6);
    5 FullyConnectedI8(I8[2 * 10]) -> I8[2 * 6],
        Size(2), Size(10), Size(6), ZeroPoint, Int8Range,
        Blob(1, 10 * 6), Blob(4, 6), Multipliers(6);
    6 FullyConnectedF32(F32[2 * 10]) -> F32[2 * 6],
        Size(2), Size(10), Size(6), FloatRange, Blob(4, 10 * 6), Blob(4, 6);
    7 AddI8(I8[STEPS], I8[3]) -> I8[STEPS],
        BOTH, Scale, Scale, ZeroPoint, ZeroPoint, Scale, ZeroPoint, Int8Range;
    8 AddF32(F32[STEPS], F32[3]) -> F32[STEPS], BOTH, FloatRange;
    9 MulI8(I8[STEPS], I8[3]) -> I8[STEPS],
        BOTH, Scale, Scale, ZeroPoint, ZeroPoint, Scale, ZeroPoint, Int8Range;
    10 MulF32(F32[STEPS], F32[3]) -> F32[STEPS], BOTH, FloatRange;
    11 MaxPoolI8(I8[PIXELS_IN * 6]) -> I8[PIXELS_OUT * 6], PoolWindow, Size(6);
    12 MaxPoolF32(F32[PIXELS_IN * 6]) -> F32[PIXELS_OUT * 6], PoolWindow, Size(6);
    13 AveragePoolI8(I8[PIXELS_IN * 6]) -> I8[PIXELS_OUT * 6],
        PoolWindow, Size(6), Free, Scale, ZeroPoint, Scale, ZeroPoint, Int8Range;
    14 AveragePoolF32(F32[PIXELS_IN * 6]) -> F32[PIXELS_OUT * 6], PoolWindow, Size(6), Free;
    15 SoftmaxI8(I8[2 * 10]) -> I8[2 * 10],
        Size(2), Size(10), Scale, ZeroPoint, Multipliers(256);
    16 SoftmaxF32(F32[2 * 10]) -> F32[2 * 10], Size(2), Size(10);
    17 LookupI8(I8[9]) -> I8[9], Blob(1, 256);
    18 ClampF32(F32[9]) -> F32[9], FloatRange;
    19 SigmoidF32(F32[9]) -> F32[9],;
    20 TanhF32(F32[9]) -> F32[9],;
    21 QuantizeI8(F32[9]) -> I8[9], Scale, ZeroPoint;
    22 DequantizeI8(I8[9]) -> F32[9], Scale, ZeroPoint;
    23 Transpose(I8[STEPS]) -> I8[STEPS], Walk([0, 0, 0, 1, 2, 6]);
    24 Concat(I8[8], I8[12]) -> I8[20], Outer;
    25 Pad(I8[STEPS]) -> I8[3 * 4 * 5], Walk([0, 0, 0, 20, 5, 1]), Start(20 + 5 + 1), Free;
    26 AbsF32(F32[9]) -> F32[9],;
    27 NegF32(F32[9]) -> F32[9],;
    28 ExpF32(F32[9]) -> F32[9],;
    29 LogF32(F32[9]) -> F32[9],;
    30 SqrtF32(F32[9]) -> F32[9],;
    31 ReciprocalF32(F32[9]) -> F32[9],;
    32 FloorF32(F32[9]) -> F32[9],;
    33 CeilF32(F32[9]) -> F32[9],;
    34 RoundF32(F32[9]) -> F32[9],;
    35 SignF32(F32[9]) -> F32[9],;
    36 SinF32(F32[9]) -> F32[9],;
    37 CosF32(F32[9]) -> F32[9],;
    38 ErfF32(F32[9]) -> F32[9],;
    39 HardSwishF32(F32[9]) -> F32[9],;
    40 MishF32(F32[9]) -> F32[9],;
    41 GeluF32(F32[9]) -> F32[9],;
    42 GeluTanhF32(F32[9]) -> F32[9],;
    43 SoftplusF32(F32[9]) -> F32[9],;
    44 SoftsignF32(F32[9]) -> F32[9],;
    45 EluF32(F32[9]) -> F32[9], Free;
    46 CeluF32(F32[9]) -> F32[9], Free;
    47 ThresholdedReluF32(F32[9]) -> F32[9], Free;
    48 LeakyReluF32(F32[9]) -> F32[9], Free;
    49 SwishF32(F32[9]) -> F32[9], Free;
    50 SeluF32(F32[9]) -> F32[9], Free, Free;
    51 HardSigmoidF32(F32[9]) -> F32[9], Free, Free;
    52 IsNanF32(F32[9]) -> Bool[9],;
    53 IsInfF32(F32[9]) -> Bool[9], Free, Free;
    54 FullyConnectedBorderI8(I8[2 * 3 * 10]) -> I8[2 * 3 * 6],
        Size(2), Size(3), Size(10), Size(6), Classes, Classes, ZeroPoint, Int8Range,
        Blob(1, 60), Blob(4, 6), Multipliers(6), Blob(1, 2), Blob(1, 3);
    55 ConvI8Wide(I8[PIXELS_IN * 6]) -> I8[PIXELS_OUT * 8],
        Window, Size(2), Size(3), Size(4), ZeroPoint, ZeroPoint, Int8Range,
        Blob(4, 2 * 2 * (TAPS * 3).div_ceil(4) * 4), Blob(4, 8), Multipliers(8);
    56 FullyConnectedI8Wide(I8[2 * 10]) -> I8[2 * 6],
        Size(2), Size(10), Size(6), ZeroPoint, Int8Range,
        Blob(4, 3 * 3 * 4), Blob(4, 6), Multipliers(6);
    57 FullyConnectedBorderI8Wide(I8[2 * 3 * 10]) -> I8[2 * 3 * 6],
        Size(2), Size(3), Size(10), Size(6), Classes, Classes, ZeroPoint, Int8Range,
        Blob(4, 3 * 3 * 4), Blob(4, 6), Multipliers(6), Blob(1, 2), Blob(1, 3);
    58 FullyConnectedI8Sparse(I8[2 * 10]) -> I8[2 * 6],
        Size(2), Size(10), Size(6), ZeroPoint, Int8Range,
        Halfwords(6), Blob(2, 6), Blob(4, 6), Multipliers(6);
    86 QuantizeAxis(F32[2 * 3 * 5]) -> I16[2 * 3 * 5],
        Size(2), Size(3), Size(5), Multipliers(3), Zeros(3);
    87 DequantizeAxis(I16[2 * 3 * 5]) -> F32[2 * 3 * 5],
        Size(2), Size(3), Size(5), Multipliers(3), Zeros(3);
    90 SubF32(F32[STEPS], F32[3]) -> F32[STEPS], BOTH, FloatRange;
    91 DivF32(F32[STEPS], F32[3]) -> F32[STEPS], BOTH, FloatRange;
    92 PowF32(F32[STEPS], F32[3]) -> F32[STEPS], BOTH, FloatRange;
    93 MinF32(F32[STEPS], F32[3]) -> F32[STEPS], BOTH, FloatRange;
    94 MaxF32(F32[STEPS], F32[3]) -> F32[STEPS], BOTH, FloatRange;
    95 FmodF32(F32[STEPS], F32[3]) -> F32[STEPS], BOTH, FloatRange;
    96 PReluF32(F32[STEPS], F32[3]) -> F32[STEPS], BOTH, FloatRange;
    97 EqualF32(F32[STEPS], F32[3]) -> Bool[STEPS], BOTH;
    98 LessF32(F32[STEPS], F32[3]) -> Bool[STEPS], BOTH;
    99 LessOrEqualF32(F32[STEPS], F32[3]) -> Bool[STEPS], BOTH;
    100 AddInt(I16[STEPS], I16[3]) -> I16[STEPS], BOTH;
    101 SubInt(I16[STEPS], I16[3]) -> I16[STEPS], BOTH;
    102 MulInt(I16[STEPS], I16[3]) -> I16[STEPS], BOTH;
    103 DivInt(I16[STEPS], I16[3]) -> I16[STEPS], BOTH;
    104 ModInt(I16[STEPS], I16[3]) -> I16[STEPS], BOTH;
    105 FmodInt(I16[STEPS], I16[3]) -> I16[STEPS], BOTH;
    106 PowInt(I16[STEPS], I16[3]) -> I16[STEPS], BOTH;
    107 MinInt(I16[STEPS], I16[3]) -> I16[STEPS], BOTH;
    108 MaxInt(I16[STEPS], I16[3]) -> I16[STEPS], BOTH;
    109 AndInt(I16[STEPS], I16[3]) -> I16[STEPS], BOTH;
    110 OrInt(I16[STEPS], I16[3]) -> I16[STEPS], BOTH;
    111 XorInt(I16[STEPS], I16[3]) -> I16[STEPS], BOTH;
    112 ShiftLeftInt(I16[STEPS], I16[3]) -> I16[STEPS], BOTH;
    113 ShiftRightInt(I16[STEPS], I16[3]) -> I16[STEPS], BOTH;
    114 EqualInt(I16[STEPS], I16[3]) -> Bool[STEPS], BOTH;
    115 LessInt(I16[STEPS], I16[3]) -> Bool[STEPS], BOTH;
    116 LessOrEqualInt(I16[STEPS], I16[3]) -> Bool[STEPS], BOTH;
    118 CastInt(I32[9]) -> I16[9],;
    119 CastIntToF32(I32[9]) -> F32[9],;
    120 CastF32ToInt(F32[9]) -> I32[9],;
    122 Take(I16[2 * 3 * 5]) -> I16[2 * 4 * 5], Size(2), Size(3), Size(4), Size(5), Blob(4, 4);
    123 ReduceSumF32(F32[2 * 3 * 5]) -> F32[2 * 5], Size(2), Size(3), Size(5);
    124 ReduceSumInt(I32[2 * 3 * 5]) -> I32[2 * 5], Size(2), Size(3), Size(5);
    125 ReduceProdF32(F32[2 * 3 * 5]) -> F32[2 * 5], Size(2), Size(3), Size(5);
    126 ReduceProdInt(I32[2 * 3 * 5]) -> I32[2 * 5], Size(2), Size(3), Size(5);
    127 ReduceMaxF32(F32[2 * 3 * 5]) -> F32[2 * 5], Size(2), Size(3), Size(5);
    128 ReduceMaxInt(I32[2 * 3 * 5]) -> I32[2 * 5], Size(2), Size(3), Size(5);
    129 ReduceMinF32(F32[2 * 3 * 5]) -> F32[2 * 5], Size(2), Size(3), Size(5);
    130 ReduceMinInt(I32[2 * 3 * 5]) -> I32[2 * 5], Size(2), Size(3), Size(5);
    131 ArgMaxF32(F32[2 * 3 * 5]) -> I64[2 * 5], Size(2), Size(3), Size(5), Free;
    132 ArgMaxInt(I32[2 * 3 * 5]) -> I64[2 * 5], Size(2), Size(3), Size(5), Free;
    133 ArgMinF32(F32[2 * 3 * 5]) -> I64[2 * 5], Size(2), Size(3), Size(5), Free;
    134 ArgMinInt(I32[2 * 3 * 5]) -> I64[2 * 5], Size(2), Size(3), Size(5), Free;
    135 CumSumF32(F32[2 * 3 * 5]) -> F32[2 * 3 * 5], Size(2), Size(3), Size(5), Free, Free;
    136 CumSumInt(I32[2 * 3 * 5]) -> I32[2 * 3 * 5], Size(2), Size(3), Size(5), Free, Free;
}

/// Operators whose parameters are of kinds of their own. Only the battery holds these so far: what
/// it draws has to load.
const OWN_KINDS: [&str; 20] = [
    "Where",
    "StridedCopy",
    "Lstm",
    "Gru",
    "Rnn",
    "ConvTransposeF32",
    "ResampleF32",
    "LayerNormF32",
    "MatMulF32",
    "MatMulI8",
    "Gather",
    "GatherElements",
    "GatherND",
    "ScatterElements",
    "ScatterND",
    "OneHot",
    "TopK",
    "MaxPoolIndices",
    "LpPoolF32",
    "LocalResponseF32",
];

/// The walks of an operator whose second input has three elements and repeats them.
const BOTH: Field = Walks([0, 0, 0, 12, 4, 1], [0, 0, 0, 0, 1, 0]);

/// From one tensor in the arena to the next: room for each to become larger.
const PITCH: u32 = 2048;

impl Kind {
    fn inputs(&self) -> Vec<u16> {
        (0..self.output()).collect()
    }

    fn output(&self) -> u16 {
        self.tensors.len() as u16 - 1
    }

    fn words(&self) -> Vec<u32> {
        self.parameters
            .iter()
            .flat_map(|field| field.words())
            .collect()
    }

    /// A valid artifact of one operator.
    pub fn artifact(&self) -> Artifact {
        let mut artifact = Artifact::default();
        artifact.data.bytes = vec![0; DATA];
        for (&(dtype, len), place) in self.tensors.iter().zip((0..).step_by(PITCH as usize)) {
            artifact.arena_bytes = place;
            artifact.push_activation(dtype, &[len]);
        }
        artifact.arena_bytes = PITCH * self.tensors.len() as u32;
        artifact.inputs = self.inputs().into_iter().map(port).collect();
        artifact.outputs = vec![port(self.output())];
        artifact.operators = vec![self.record(&[self.output()], &self.inputs(), &self.words())];
        artifact
    }

    fn record(&self, outputs: &[u16], inputs: &[u16], parameters: &[u32]) -> Vec<u32> {
        record(self.code, outputs, inputs, parameters)
    }

    fn row(&self, what: &str, edit: impl FnOnce(&mut Artifact), verdict: Result<(), Rule>) -> Row {
        let mut artifact = self.artifact();
        edit(&mut artifact);
        let verdict = verdict.map_err(|rule| LoadError::Operator { index: 0, rule });
        Row::new(format!("{}: {what}", self.name), artifact.file(), verdict)
    }

    /// Numbers of outputs, inputs and parameter words.
    fn counts(&self) -> Vec<Row> {
        let (output, inputs, words) = (self.output(), self.inputs(), self.words());
        let row = |what: &str, outputs: &[u16], inputs: &[u16], words: &[u32]| {
            let record = self.record(outputs, inputs, words);
            let edit = |artifact: &mut Artifact| {
                // Whatever a second output is, it lies apart from the others.
                artifact.push_activation(I8, &[1]);
                artifact.operators[0] = record;
            };
            self.row(what, edit, Err(Rule::Count))
        };
        let apart = output + 1;
        let mut rows = vec![
            row("no output", &[], &inputs, &words),
            row("two outputs", &[output, apart], &inputs, &words),
            row(
                "a word more",
                &[output],
                &inputs,
                &[&words[..], &[0]].concat(),
            ),
        ];
        if let Some((_, fewer)) = words.split_last() {
            rows.push(row("a word less", &[output], &inputs, fewer));
        }
        // Concat takes as many inputs as there are, but for none.
        let fixed = self.name != "Concat";
        let fewer = if fixed { inputs.len() } else { 1 };
        for count in 0..fewer {
            let what = format!("{count} inputs");
            rows.push(row(&what, &[output], &inputs[..count], &words));
        }
        if fixed {
            let more = [&inputs[..], &inputs[..1]].concat();
            rows.push(row("an input more", &[output], &more, &words));
        }
        rows
    }

    /// Types that tensor `i` may have beside its own, whatever those of the others.
    fn also_takes(&self, i: usize) -> &'static [DataType] {
        match (self.name, i) {
            ("LookupI8", _) => &[U8],
            ("QuantizeAxis", 1) => &[I8, U8],
            ("DequantizeAxis", 0) => &[I8, U8, I32],
            ("CastInt", _) | ("CastIntToF32", 0) | ("CastF32ToInt", 1) => &[I8, U8, I32],
            ("ArgMaxInt" | "ArgMinInt", 0) => &[I8, U8],
            _ => &[],
        }
    }

    /// Types and lengths of the tensors.
    fn elements(&self) -> Vec<Row> {
        let mut rows = Vec::new();
        for (i, &(dtype, len)) in self.tensors.iter().enumerate() {
            for other in [I8, U8, I32, F32]
                .into_iter()
                .filter(|&other| other != dtype)
            {
                let taken = self.also_takes(i).contains(&other);
                let verdict = if taken { Ok(()) } else { Err(Rule::DataType) };
                let what = format!("tensor {i} is {}", other.name());
                rows.push(self.row(&what, |a| a.tensors[i].dtype = other, verdict));
            }
            for other in [0, len - 1, len + 1] {
                // Pad's input has to fit into the output, and the rest is padding.
                let padding = self.name == "Pad" && i == 1 && other > len;
                let verdict = if padding {
                    Ok(())
                } else {
                    Err(Rule::ShapeMismatch)
                };
                let what = format!("tensor {i} has {other} elements of {len}");
                rows.push(self.row(&what, |a| a.tensors[i].dims[0] = other as u32, verdict));
            }
        }
        rows
    }

    /// Values of the parameters.
    fn values(&self) -> Vec<Row> {
        let mut rows = Vec::new();
        let mut first = 0;
        for field in self.parameters {
            for change in field.changes() {
                let mut words = self.words();
                let mut what = String::new();
                for (word, value) in change.words {
                    words[first + word] = value;
                    what += &format!("word {} = {value:#x} ", first + word);
                }
                if let Some((index, value)) = change.float {
                    what += &format!("float {index} behind word {first} = {value:?}");
                }
                let record = self.record(&[self.output()], &self.inputs(), &words);
                let edit = |artifact: &mut Artifact| {
                    artifact.operators[0] = record;
                    if let Some((index, value)) = change.float {
                        artifact.data.bytes[4 * index..][..4].copy_from_slice(&value.to_le_bytes());
                    }
                };
                rows.push(self.row(&what, edit, change.verdict));
            }
            first += field.words().len();
        }
        rows
    }
}

/// Codes that no operator has.
/// A half of the first row of wide weights that is not zero: those behind its end are refused.
fn fillings() -> Vec<Row> {
    let mut rows = Vec::new();
    let len: usize = 10;
    for name in ["FullyConnectedI8Wide", "FullyConnectedBorderI8Wide"] {
        let kind = KINDS.iter().find(|kind| kind.name == name).unwrap();
        for half in 0..len.next_multiple_of(4) * 2 {
            let weight = half / 8 * 4 + [0, 2, 1, 3][half % 4];
            let verdict = if weight < len {
                Ok(())
            } else {
                Err(Rule::Data)
            };
            let edit = |artifact: &mut Artifact| {
                // Biases and classes are elsewhere, or do not mind; multipliers have to be floats.
                let record = artifact.operators[0].as_mut_slice();
                let words = record.len() - kind.words().len()..record.len();
                let mut at = words.start;
                for field in kind.parameters {
                    if matches!(field, Multipliers(_) | Blob(1, _)) {
                        record[at] = DATA as u32 / 2;
                    }
                    at += field.words().len();
                }
                artifact.data.bytes[half * 2] = 1;
            };
            rows.push(kind.row(&format!("half {half} of its weights is 1"), edit, verdict));
        }
    }
    rows
}

/// Maps and blocks of sparse weights: rows of ten are three blocks, of which the last is half filled.
fn maps() -> Vec<Row> {
    let kind = KINDS
        .iter()
        .find(|kind| kind.name == "FullyConnectedI8Sparse");
    let kind = kind.unwrap();
    let row = |what: &str, halves: &[u16], len: u32, is_good: bool| {
        let edit = |artifact: &mut Artifact| {
            let record = artifact.operators[0].as_mut_slice();
            let words = record.len() - kind.words().len();
            record[words + 6] = len;
            // Biases and multipliers stay what they are.
            for word in [8, 9] {
                record[words + word] = DATA as u32 / 2;
            }
            for (i, half) in halves.iter().enumerate() {
                artifact.data.bytes[2 * i..][..2].copy_from_slice(&half.to_le_bytes());
            }
        };
        let verdict = if is_good { Ok(()) } else { Err(Rule::Data) };
        kind.row(what, edit, verdict)
    };
    vec![
        row("one block", &[0x8000, 0x101, 0x101], 6 + 2, true),
        row("one block too many", &[0x8000], 6, false),
        row("one block too few", &[0x8000], 6 + 4, false),
        row("all blocks", &[0xe000], 6 + 6, true),
        row("a block behind the row", &[0x1000], 6 + 2, false),
        row("the last bit of a map", &[1], 6 + 2, false),
        row("weights of half a block", &[0x2000, 0x101, 0], 6 + 2, true),
        row("a weight behind the row", &[0x2000, 0, 1], 6 + 2, false),
        row(
            "the last one of the fill",
            &[0x2000, 0, 0x100],
            6 + 2,
            false,
        ),
        row(
            "a map in the last row alone",
            &[0, 0, 0, 0, 0, 0x8000],
            6 + 2,
            true,
        ),
    ]
}

fn unknown_codes() -> Vec<Row> {
    let last = ops::TABLE.iter().map(|(code, _)| *code).max().unwrap_or(0);
    let unknown = [0, last + 1, 0x300, u16::MAX].map(|code| {
        let kind = Kind { code, ..KINDS[0] };
        let verdict = Err(Rule::UnknownOperator(code));
        kind.row(&format!("with code {code}"), |_| (), verdict)
    });
    unknown.into()
}

pub fn rows() -> Vec<Row> {
    let kinds = KINDS.iter();
    let rows = kinds.flat_map(|kind| [kind.counts(), kind.elements(), kind.values()]);
    rows.chain([unknown_codes(), fillings(), maps()])
        .flatten()
        .collect()
}

#[test]
fn operators_are_refused() {
    super::check(&rows());
}

niwaki::operator_set!(
    /// Just one operator.
    struct Lookup: LookupI8
);

#[test]
fn a_smaller_set_refuses_all_others() {
    for kind in KINDS {
        let file = kind.artifact().file();
        let rule = Rule::UnknownOperator(kind.code);
        let verdict = match kind.name {
            "LookupI8" => Ok(()),
            _ => Err(LoadError::Operator { index: 0, rule }),
        };
        assert_eq!(load::<Lookup>(&file, 0), verdict, "{}", kind.name);
        assert_eq!(load::<All>(&file, 0), Ok(()), "{}", kind.name);
        assert_eq!(All::name(kind.code), Some(kind.name));
        assert_eq!(Lookup::name(kind.code).is_some(), verdict.is_ok());
    }
}

#[test]
fn every_operator_of_the_table_is_here() {
    let kinds: Vec<_> = KINDS.iter().map(|kind| (kind.code, kind.name)).collect();
    let table = ops::TABLE.iter().copied();
    let described: Vec<_> = table
        .filter(|(_, name)| !OWN_KINDS.contains(name))
        .collect();
    assert_eq!(kinds, described);
}

#[test]
fn every_operator_has_a_parameter_that_is_refused() {
    let refuses_a_value = |kind: &&Kind| kind.values().iter().any(|row| row.verdict.is_err());
    // Functions of one float take any number, and casts have no parameters. Of these, the number of
    // words is what can be wrong, and `counts` breaks it.
    let takes_any = |kind: &&Kind| matches!(kind.code, 18..=20 | 26..=53 | 118..=120);
    for kind in KINDS {
        assert_eq!(refuses_a_value(&kind), !takes_any(&kind), "{}", kind.name);
    }
}
