//! Depthwise convolution: ONNX `Conv` with as many groups as input and output channels.

use super::{Check, Held, Memory, Operator, Steps};
use crate::artifact::{Blob, DataType, record};
use crate::error::{Fault, Rule};
use crate::kernels::{self, Window, volume};
use crate::numerics::OutputStage;

record! {
    /// Parameters of [`DepthwiseConvI8`].
    pub struct DepthwiseI8Params {
        /// Geometry.
        pub window: Window,
        /// Channels of input and output.
        pub channels: u32,
        /// Zero point of the input.
        pub input_zero_point: i32,
        /// Zero point of the output.
        pub output_zero_point: i32,
        /// Smallest output value: the fused activation.
        pub low: i32,
        /// Largest output value: the fused activation.
        pub high: i32,
        /// `[kernel_h][kernel_w][channels]`.
        pub weights: Blob<i8>,
        /// `[channels]`: bias - input_zero_point * (sum of the channel's weights).
        pub bias: Blob<i32>,
        /// `[channels]`: input scale * weight scale / output scale.
        pub multipliers: Blob<f32>,
    }
}

record! {
    /// Parameters of [`DepthwiseConvF32`].
    pub struct DepthwiseF32Params {
        /// Geometry.
        pub window: Window,
        /// Channels of input and output.
        pub channels: u32,
        /// Smallest output value: the fused activation.
        pub low: f32,
        /// Largest output value: the fused activation.
        pub high: f32,
        /// `[kernel_h][kernel_w][channels]`.
        pub weights: Blob<f32>,
        /// `[channels]`.
        pub bias: Blob<f32>,
    }
}

/// Elements of input, output and weights.
fn sizes(window: &Window, channels: u32) -> Result<[u64; 3], Rule> {
    window.check()?;
    let [n, h, w] = window.input_pixels();
    let [_, out_h, out_w] = window.output_pixels();
    Ok([
        volume(&[n, h, w, channels])?,
        volume(&[n, out_h, out_w, channels])?,
        volume(&[window.kernel_h, window.kernel_w, channels])?,
    ])
}

fn macs(window: &Window, channels: u32) -> u64 {
    let taps = u64::from(window.kernel_h) * u64::from(window.kernel_w);
    sizes(window, channels).map_or(0, |[_, output, _]| output * taps)
}

fn weight_count(window: &Window, channels: u32) -> u64 {
    sizes(window, channels).map_or(0, |[_, _, weights]| weights)
}

/// Int8 depthwise convolution with a fused rescale and activation.
#[derive(Debug)]
pub struct DepthwiseConvI8;

impl Operator for DepthwiseConvI8 {
    type Params = DepthwiseI8Params;

    const WORKSPACE: usize = size_of::<kernels::Workspace>();

    fn check(check: &Check<'_>, p: &DepthwiseI8Params) -> Result<(), Rule> {
        check.arity(1)?;
        let [input, output, weights] = sizes(&p.window, p.channels)?;
        check.expect_input(0, DataType::I8, input)?;
        check.expect_output(DataType::I8, output)?;
        check.constants(p.weights, weights)?;
        check.constants(p.bias, u64::from(p.channels))?;
        check.multipliers(p.multipliers, u64::from(p.channels))?;
        check.zero_point(p.input_zero_point)?;
        OutputStage::new(p.output_zero_point, p.low, p.high).ok_or(Rule::Parameter)?;
        Ok(())
    }

    fn steps(_: &Check<'_>, p: &DepthwiseI8Params) -> Option<Steps> {
        Some(Steps::of_window(&p.window, p.channels, p.channels))
    }

    fn run(memory: &mut Memory<'_, '_>, p: &DepthwiseI8Params) -> Result<(), Fault> {
        let taps = p.window.kernel_h * p.window.kernel_w;
        let kernel = kernels::DepthwiseI8 {
            window: &p.window,
            channels: p.channels,
            input_zero_point: p.input_zero_point,
            weights: memory.constants(p.weights, taps * p.channels)?,
            bias: memory.constants(p.bias, p.channels)?,
            multipliers: memory.constants(p.multipliers, p.channels)?,
            stage: OutputStage::new(p.output_zero_point, p.low, p.high).ok_or(Fault)?,
        };
        let steps = Steps::of_window(&p.window, p.channels, p.channels);
        let mut held = Held::new();
        let workspace = memory.workspace(&mut held)?;
        memory.by_rows(&steps, |band, x, y| kernel.run(workspace, band, x, y))
    }

    fn macs(_: &Check<'_>, p: &DepthwiseI8Params) -> u64 {
        macs(&p.window, p.channels)
    }

    fn weight_bytes(p: &DepthwiseI8Params) -> u64 {
        weight_count(&p.window, p.channels)
    }
}

/// Float depthwise convolution with a fused clamp.
#[derive(Debug)]
pub struct DepthwiseConvF32;

impl Operator for DepthwiseConvF32 {
    type Params = DepthwiseF32Params;

    fn check(check: &Check<'_>, p: &DepthwiseF32Params) -> Result<(), Rule> {
        check.arity(1)?;
        let [input, output, weights] = sizes(&p.window, p.channels)?;
        check.expect_input(0, DataType::F32, input)?;
        check.expect_output(DataType::F32, output)?;
        check.constants(p.weights, weights)?;
        check.constants(p.bias, u64::from(p.channels))?;
        Ok(())
    }

    fn steps(_: &Check<'_>, p: &DepthwiseF32Params) -> Option<Steps> {
        Some(Steps::of_window(&p.window, p.channels, p.channels))
    }

    fn run(memory: &mut Memory<'_, '_>, p: &DepthwiseF32Params) -> Result<(), Fault> {
        let taps = p.window.kernel_h * p.window.kernel_w;
        let kernel = kernels::DepthwiseF32 {
            window: &p.window,
            channels: p.channels,
            weights: memory.constants(p.weights, taps * p.channels)?,
            bias: memory.constants(p.bias, p.channels)?,
            low: p.low,
            high: p.high,
        };
        let steps = Steps::of_window(&p.window, p.channels, p.channels);
        memory.by_rows(&steps, |band, x, y| kernel.run(band, x, y))
    }

    fn macs(_: &Check<'_>, p: &DepthwiseF32Params) -> u64 {
        macs(&p.window, p.channels)
    }

    fn weight_bytes(p: &DepthwiseF32Params) -> u64 {
        4 * weight_count(&p.window, p.channels)
    }
}
