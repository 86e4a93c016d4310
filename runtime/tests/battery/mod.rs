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
mod geometry;
mod indexed;
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
