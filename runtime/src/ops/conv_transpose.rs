//! ConvTranspose: ONNX `ConvTranspose` in one or two dimensions.

use super::{Check, Memory, Operator};
use crate::artifact::{Blob, DataType, record};
use crate::error::{Fault, Rule};
use crate::kernels::{self, Window, volume};

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

/// Number of weights.
fn weight_count(p: &ConvTransposeF32Params) -> u64 {
    let taps = [p.window.kernel_h, p.window.kernel_w];
    let sizes = taps.into_iter().chain([p.groups, p.group_in, p.group_out]);
    sizes.fold(1u64, |product, size| product.saturating_mul(size.into()))
}

/// Float transposed convolution with a fused clamp.
#[derive(Debug)]
pub struct ConvTransposeF32;

impl Operator for ConvTransposeF32 {
    type Params = ConvTransposeF32Params;

    fn check(check: &Check<'_>, p: &ConvTransposeF32Params) -> Result<(), Rule> {
        check.arity(1)?;
        let w = &p.window;
        w.check()?;
        let [n, h, width] = w.input_pixels();
        let [_, out_h, out_w] = w.output_pixels();
        let input = volume(&[n, h, width, p.groups, p.group_in])?;
        let output = volume(&[n, out_h, out_w, p.groups, p.group_out])?;
        check.expect_input(0, DataType::F32, input)?;
        check.expect_output(DataType::F32, output)?;
        let taps = [p.groups, w.kernel_h, w.kernel_w, p.group_in, p.group_out];
        check.constants(p.weights, volume(&taps)?)?;
        check.constants(p.bias, volume(&[p.groups, p.group_out])?)?;
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
