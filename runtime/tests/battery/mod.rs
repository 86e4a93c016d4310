//! What every kernel has to pass: each operator against a naive oracle, bit for bit.
//!
//! An entry draws cases of one operator. Its oracle is written from ONNX's definition over ONNX's
//! indices, and shares nothing with the kernels; where ONNX leaves something open, such as the
//! order of a float sum, it follows `NUMERICS.md`. A case runs by [`Case::check`] alone, through
//! `Model` and `Session`: a kernel that these may choose is a kernel that the battery tests.

mod conv;
mod elementwise;
mod fully_connected;
mod geometry;
mod lookup;
mod movement;
mod oracle;
mod pool;
mod quantize;
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
}

fn check_many(cases: u64, draw: Draw) {
    for seed in 0..cases {
        let mut random = Random::new(seed);
        let mut data = Data::default();
        let case = draw(&mut random, &mut data);
        case.check(data, &mut random);
    }
}

/// Operators whose output never lies over an input: all others have to say where it may.
const APART: &[&str] = &[
    "SoftmaxI8",
    "SoftmaxF32",
    "Transpose",
    "Concat",
    "Pad",
    "QuantizeAxis",
    "DequantizeAxis",
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
        assert_eq!(overlaps, !APART.contains(name), "{name}");
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
