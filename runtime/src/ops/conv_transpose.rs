//! ConvTranspose: ONNX `ConvTranspose` in one or two dimensions.

use super::conv::{self, Sizes};
use super::{Check, Memory, Operator};
use crate::artifact::{Blob, DataType, record};
use crate::error::{Fault, Rule};
use crate::kernels::{self, Window};

record! {
    /// Parameters of [`ConvTransposeF32`].
    pub struct ConvTransposeF32Params {
        /// Geometry: strides are steps in the output from one input to the next, padding is what
        /// is cut off from the output.
        pub window: Window,
        /// Number of groups.
        pub groups: u32,
        /// Input channels of one group.
        pub group_in: u32,
        /// Output channels of one group.
        pub group_out: u32,
        /// Smallest output value: the fused activation.
        pub low: f32,
        /// Largest output value: the fused activation.
        pub high: f32,
        /// `[groups][kernel_h][kernel_w][group_in][group_out]`.
        pub weights: Blob<f32>,
        /// `[out_c]`.
        pub bias: Blob<f32>,
    }
}

/// Sizes as those of a convolution.
fn sizes(p: &ConvTransposeF32Params) -> Result<Sizes, Rule> {
    conv::sizes(&p.window, p.groups, p.group_in, p.group_out)
}

fn weight_count(p: &ConvTransposeF32Params) -> u64 {
    sizes(p).map_or(0, |sizes| sizes.weights)
}

/// Float transposed convolution with a fused clamp.
#[derive(Debug)]
pub struct ConvTransposeF32;

impl Operator for ConvTransposeF32 {
    type Params = ConvTransposeF32Params;

    fn check(check: &Check<'_>, p: &ConvTransposeF32Params) -> Result<(), Rule> {
        check.arity(1)?;
        let sizes = sizes(p)?;
        check.expect_input(0, DataType::F32, sizes.input)?;
        check.expect_output(DataType::F32, sizes.output)?;
        check.constants(p.weights, sizes.weights)?;
        check.constants(p.bias, sizes.channels)?;
        Ok(())
    }

    fn run(memory: &mut Memory<'_, '_>, p: &ConvTransposeF32Params) -> Result<(), Fault> {
        let channels = p.groups * p.group_out;
        let filter = p.window.kernel_h * p.window.kernel_w * p.group_in;
        let kernel = kernels::ConvTransposeF32 {
            window: p.window,
            groups: p.groups,
            group_in: p.group_in,
            group_out: p.group_out,
            weights: memory.constants(p.weights, channels * filter)?,
            bias: memory.constants(p.bias, channels)?,
            low: p.low,
            high: p.high,
        };
        let (x, y) = memory.unary(0)?;
        kernel.run(x, y).ok_or(Fault)
    }

    fn macs(_: &Check<'_>, p: &ConvTransposeF32Params) -> u64 {
        let pixels = p.window.input_pixels();
        pixels.into_iter().fold(weight_count(p), |product, size| {
            product.saturating_mul(size.into())
        })
    }

    fn weight_bytes(p: &ConvTransposeF32Params) -> u64 {
        4 * weight_count(p)
    }
}
