//! LRN: local response normalisation.

use super::{Check, Memory, Operator};
use crate::artifact::{DataType, record};
use crate::error::{Fault, Rule};
use crate::kernels::{self, volume};

record! {
    /// Parameters of [`LocalResponseF32`].
    pub struct LocalResponseF32Params {
        /// Number of pixels: batch and spatial dimensions.
        pub pixels: u32,
        /// Channels.
        pub channels: u32,
        /// How many channels are summed.
        pub size: u32,
        /// ONNX's alpha.
        pub alpha: f32,
        /// ONNX's beta.
        pub beta: f32,
        /// ONNX's bias.
        pub bias: f32,
    }
}

/// ONNX `LRN` of floats, channels last.
#[derive(Debug)]
pub struct LocalResponseF32;

impl Operator for LocalResponseF32 {
    type Params = LocalResponseF32Params;

    fn check(check: &Check<'_>, p: &LocalResponseF32Params) -> Result<(), Rule> {
        check.arity(1)?;
        let len = volume(&[p.pixels, p.channels])?;
        check.expect_input(0, DataType::F32, len)?;
        check.expect_output(DataType::F32, len)?;
        (p.size > 0).then_some(()).ok_or(Rule::Parameter)
    }

    fn run(memory: &mut Memory<'_, '_>, p: &LocalResponseF32Params) -> Result<(), Fault> {
        let kernel = kernels::LocalResponse {
            channels: p.channels,
            size: p.size,
            alpha: p.alpha,
            beta: p.beta,
            bias: p.bias,
        };
        let (x, y) = memory.unary(0)?;
        kernel.run(x, y).ok_or(Fault)
    }
}
