//! What every kernel has to pass: each operator against a naive oracle, bit for bit.
//!
//! An entry draws cases of one operator. Its oracle is written from ONNX's definition over ONNX's
//! indices, and shares nothing with the kernels; where ONNX leaves something open, such as the
//! order of a float sum, it follows `NUMERICS.md`. A case runs by [`Case::check`] alone, through
//! `Model` and `Session`: a kernel that these may choose is a kernel that the battery tests.

mod conv;
mod conv_transpose;
mod elementwise;
mod fully_connected;
mod functions;
mod geometry;
mod indexed;
mod integers;
mod lookup;
mod movement;
mod normalization;
mod oracle;
mod pool;
mod product;
mod quantize;
mod recurrent;
mod resample;
mod softmax;
mod unary;
mod walk;

use niwaki::ops::{self, Registered};

use crate::support::{Case, Data, Random};

/// Draws a case; what its parameters point to goes into the data section.
pub type Draw = fn(&mut Random, &mut Data) -> Case;

/// Lists the operators, each with its number of cases and its way to draw one, and makes a test
/// of each row.
macro_rules! battery {
    ($($op:ident: $cases:literal x $module:ident::$draw:ident,)*) => {
        /// Name of the operator, and how to draw a case of it.
        pub const ENTRIES: &[(&str, Draw)] = &[$((ops::$op::NAME, $module::$draw)),*];

        /// One test for each operator.
        #[allow(non_snake_case, reason = "tests carry the operators' own names")]
        mod operator {
            use super::*;

            $(
                #[test]
                fn $op() {
                    check_many($cases, $module::$draw);
                }
            )*
        }
    };
}

battery! {
    ConvI8: 400 x conv::int8,
    ConvF32: 400 x conv::float,
    DepthwiseConvI8: 600 x conv::depthwise_int8,
    DepthwiseConvF32: 600 x conv::depthwise_float,
    FullyConnectedI8: 600 x fully_connected::int8,
    FullyConnectedF32: 600 x fully_connected::float,
    FullyConnectedBorderI8: 600 x fully_connected::border_int8,
    ConvI8Wide: 400 x conv::int8_wide,
    FullyConnectedI8Wide: 600 x fully_connected::int8_wide,
    FullyConnectedBorderI8Wide: 600 x fully_connected::border_int8_wide,
    FullyConnectedI8Sparse: 1200 x fully_connected::int8_sparse,
    AddI8: 1000 x elementwise::add_int8,
    AddF32: 1000 x elementwise::add_float,
    MulI8: 1000 x elementwise::mul_int8,
    MulF32: 1000 x elementwise::mul_float,
    MaxPoolI8: 600 x pool::max_int8,
    MaxPoolF32: 600 x pool::max_float,
    AveragePoolI8: 800 x pool::average_int8,
    AveragePoolF32: 600 x pool::average_float,
    SoftmaxI8: 200 x softmax::int8,
    SoftmaxF32: 200 x softmax::float,
    LookupI8: 300 x lookup::bytes,
    ClampF32: 300 x unary::clamp,
    SigmoidF32: 300 x unary::sigmoid,
    TanhF32: 300 x unary::tanh,
    QuantizeI8: 500 x quantize::to_int8,
    DequantizeI8: 300 x quantize::to_float,
    Transpose: 1000 x movement::transpose,
    Concat: 1000 x movement::concat,
    Pad: 1000 x movement::pad,
    QuantizeAxis: 500 x quantize::axis,
    DequantizeAxis: 300 x quantize::axis_to_float,
    AbsF32: 200 x functions::abs,
    NegF32: 200 x functions::neg,
    ExpF32: 200 x functions::exp,
    LogF32: 200 x functions::log,
    SqrtF32: 200 x functions::sqrt,
    ReciprocalF32: 200 x functions::reciprocal,
    FloorF32: 200 x functions::floor,
    CeilF32: 200 x functions::ceil,
    RoundF32: 200 x functions::round,
    SignF32: 200 x functions::sign,
    SinF32: 200 x functions::sin,
    CosF32: 200 x functions::cos,
    ErfF32: 200 x functions::erf,
    HardSwishF32: 200 x functions::hard_swish,
    MishF32: 200 x functions::mish,
    GeluF32: 200 x functions::gelu,
    GeluTanhF32: 200 x functions::gelu_tanh,
    SoftplusF32: 200 x functions::softplus,
    SoftsignF32: 200 x functions::softsign,
    EluF32: 200 x functions::elu,
    CeluF32: 200 x functions::celu,
    ThresholdedReluF32: 200 x functions::thresholded_relu,
    LeakyReluF32: 200 x functions::leaky_relu,
    SwishF32: 200 x functions::swish,
    SeluF32: 200 x functions::selu,
    HardSigmoidF32: 200 x functions::hard_sigmoid,
    IsNanF32: 200 x functions::is_nan,
    IsInfF32: 200 x functions::is_inf,
    SubF32: 300 x elementwise::sub,
    DivF32: 300 x elementwise::div,
    PowF32: 300 x elementwise::pow,
    MinF32: 300 x elementwise::min,
    MaxF32: 300 x elementwise::max,
    FmodF32: 300 x elementwise::fmod,
    PReluF32: 300 x elementwise::prelu,
    EqualF32: 300 x integers::equal_float,
    LessF32: 300 x integers::less_float,
    LessOrEqualF32: 300 x integers::less_or_equal_float,
    AddInt: 300 x integers::add,
    SubInt: 300 x integers::sub,
    MulInt: 300 x integers::mul,
    DivInt: 300 x integers::div,
    ModInt: 300 x integers::modulo,
    FmodInt: 300 x integers::fmod,
    PowInt: 300 x integers::pow,
    MinInt: 300 x integers::min,
    MaxInt: 300 x integers::max,
    AndInt: 300 x integers::and,
    OrInt: 300 x integers::or,
    XorInt: 300 x integers::xor,
    ShiftLeftInt: 300 x integers::shift_left,
    ShiftRightInt: 300 x integers::shift_right,
    EqualInt: 300 x integers::equal,
    LessInt: 300 x integers::less,
    LessOrEqualInt: 300 x integers::less_or_equal,
    Where: 300 x integers::choose,
    CastInt: 300 x integers::cast,
    CastIntToF32: 300 x integers::cast_to_float,
    CastF32ToInt: 300 x integers::cast_from_float,
    StridedCopy: 300 x integers::strided_copy,
    Take: 300 x integers::take,
    ReduceSumF32: 300 x integers::sum,
    ReduceSumInt: 300 x integers::sum_int,
    ReduceProdF32: 300 x integers::product,
    ReduceProdInt: 300 x integers::product_int,
    ReduceMaxF32: 300 x integers::largest,
    ReduceMaxInt: 300 x integers::largest_int,
    ReduceMinF32: 300 x integers::smallest,
    ReduceMinInt: 300 x integers::smallest_int,
    ArgMaxF32: 300 x integers::arg_max,
    ArgMaxInt: 300 x integers::arg_max_int,
    ArgMinF32: 300 x integers::arg_min,
    ArgMinInt: 300 x integers::arg_min_int,
    CumSumF32: 300 x integers::cum_sum,
    CumSumInt: 300 x integers::cum_sum_int,
    Lstm: 400 x recurrent::lstm,
    Gru: 400 x recurrent::gru,
    Rnn: 400 x recurrent::rnn,
    ConvTransposeF32: 400 x conv_transpose::float,
    ResampleF32: 400 x resample::float,
    LayerNormF32: 400 x normalization::layer,
    MatMulF32: 600 x product::float,
    MatMulI8: 600 x product::int8,
    Gather: 600 x indexed::gather,
    GatherElements: 600 x indexed::gather_elements,
    GatherND: 600 x indexed::gather_nd,
    ScatterElements: 800 x indexed::scatter_elements,
    ScatterND: 800 x indexed::scatter_nd,
    OneHot: 400 x indexed::one_hot,
    TopK: 400 x indexed::top_k,
    MaxPoolIndices: 400 x pool::max_indices,
    LpPoolF32: 400 x pool::norm,
    LocalResponseF32: 300 x normalization::local_response,
}

fn check_many(cases: u64, draw: Draw) {
    for seed in 0..cases {
        let mut random = Random::new(seed);
        let mut data = Data::default();
        let case = draw(&mut random, &mut data);
        case.check(data, &mut random);
    }
}

/// Operators whose output may lie over an input, beside the functions of one float.
const OVERLAPPING: &[&str] = &[
    "ConvI8",
    "ConvF32",
    "DepthwiseConvI8",
    "DepthwiseConvF32",
    "FullyConnectedI8",
    "FullyConnectedF32",
    "FullyConnectedBorderI8",
    "ConvI8Wide",
    "FullyConnectedI8Wide",
    "FullyConnectedBorderI8Wide",
    "FullyConnectedI8Sparse",
    "AddI8",
    "AddF32",
    "MulI8",
    "MulF32",
    "SubF32",
    "DivF32",
    "PowF32",
    "MinF32",
    "MaxF32",
    "FmodF32",
    "PReluF32",
    "MaxPoolI8",
    "MaxPoolF32",
    "AveragePoolI8",
    "AveragePoolF32",
    "LookupI8",
    "ClampF32",
    "SigmoidF32",
    "TanhF32",
    "QuantizeI8",
    "DequantizeI8",
];

/// The battery lays outputs over inputs where an operator says that it may: these say so.
#[test]
fn operators_that_overlap_do() {
    for (name, draw) in ENTRIES {
        let overlaps = (0..50).any(|seed| {
            let mut random = Random::new(seed);
            let mut data = Data::default();
            let case = draw(&mut random, &mut data);
            case.can_overlap(data, &mut random)
        });
        let function = ops::TABLE
            .iter()
            .any(|(code, other)| other == name && (26..=53).contains(code));
        let expected = function || OVERLAPPING.contains(name);
        assert_eq!(overlaps, expected, "{name}");
    }
}

#[test]
fn every_operator_of_the_table_has_an_entry() {
    for (_, name) in ops::TABLE {
        assert!(
            ENTRIES.iter().any(|(entry, _)| entry == name),
            "operator {name} has no entry in the battery"
        );
    }
    for (name, draw) in ENTRIES {
        let case = draw(&mut Random::new(0), &mut Data::default());
        assert!(
            ops::TABLE.contains(&(case.code, name)),
            "the entry {name} draws cases of operator {}",
            case.code
        );
    }
}
