//! MaxPool and AveragePool; a global pool is one whose window is the whole image.

use super::{Check, Memory, Operator, Steps};
use crate::artifact::{DataType, record};
use crate::error::{Fault, Rule};
use crate::kernels::{self, IndexSteps, Window, volume};
use crate::numerics::OutputStage;

record! {
    /// Parameters of [`MaxPoolI8`] and [`MaxPoolF32`].
    pub struct MaxPoolParams {
        /// Geometry.
        pub window: Window,
        /// Channels of input and output.
        pub channels: u32,
    }
}

record! {
    /// Parameters of [`MaxPoolIndices`].
    pub struct MaxPoolIndicesParams {
        /// Geometry.
        pub window: Window,
        /// Channels of input and output.
        pub channels: u32,
        /// How indices count.
        pub steps: IndexSteps,
    }
}

record! {
    /// Parameters of [`LpPoolF32`].
    pub struct LpPoolF32Params {
        /// Geometry.
        pub window: Window,
        /// Channels of input and output.
        pub channels: u32,
        /// The norm's exponent.
        pub p: u32,
    }
}

record! {
    /// Parameters of [`AveragePoolF32`].
    pub struct AveragePoolF32Params {
        /// Geometry.
        pub window: Window,
        /// Channels of input and output.
        pub channels: u32,
        /// 1 when padding counts as zeros, 0 when the average is over the input alone.
        pub count_include_pad: u32,
    }
}

record! {
    /// Parameters of [`AveragePoolI8`].
    pub struct AveragePoolI8Params {
        /// Geometry.
        pub window: Window,
        /// Channels of input and output.
        pub channels: u32,
        /// 1 when padding counts as zeros, 0 when the average is over the input alone.
        pub count_include_pad: u32,
        /// Scale of the input.
        pub input_scale: f32,
        /// Zero point of the input.
        pub input_zero_point: i32,
        /// Scale of the output.
        pub output_scale: f32,
        /// Zero point of the output.
        pub output_zero_point: i32,
        /// Smallest output value: the fused activation.
        pub low: i32,
        /// Largest output value: the fused activation.
        pub high: i32,
    }
}

fn check_pool(
    check: &Check<'_>,
    window: &Window,
    channels: u32,
    dtype: DataType,
) -> Result<(), Rule> {
    check_pool_to(check, window, channels, [dtype, dtype])
}

fn check_pool_to(
    check: &Check<'_>,
    window: &Window,
    channels: u32,
    [from, to]: [DataType; 2],
) -> Result<(), Rule> {
    check.arity(1)?;
    window.check()?;
    let [n, h, w] = window.input_pixels();
    let [_, out_h, out_w] = window.output_pixels();
    check.expect_input(0, from, volume(&[n, h, w, channels])?)?;
    check.expect_output(to, volume(&[n, out_h, out_w, channels])?)?;
    // The divisor, and so the sum of int8 values, has to fit.
    volume(&[window.kernel_h, window.kernel_w, 256])?;
    Ok(())
}

/// The largest int8 under the window.
#[derive(Debug)]
pub struct MaxPoolI8;

impl Operator for MaxPoolI8 {
    type Params = MaxPoolParams;
    fn check(check: &Check<'_>, p: &MaxPoolParams) -> Result<(), Rule> {
        check_pool(check, &p.window, p.channels, DataType::I8)
    }
    fn steps(_: &Check<'_>, p: &MaxPoolParams) -> Option<Steps> {
        Some(Steps::of_window(&p.window, p.channels, p.channels))
    }
    fn run(memory: &mut Memory<'_, '_>, p: &MaxPoolParams) -> Result<(), Fault> {
        let steps = Steps::of_window(&p.window, p.channels, p.channels);
        memory.by_rows(&steps, |band, x, y| {
            kernels::max_pool(&p.window, p.channels, i8::MIN, band, x, y)
        })
    }
}

/// The largest float under the window.
#[derive(Debug)]
pub struct MaxPoolF32;

impl Operator for MaxPoolF32 {
    type Params = MaxPoolParams;
    fn check(check: &Check<'_>, p: &MaxPoolParams) -> Result<(), Rule> {
        check_pool(check, &p.window, p.channels, DataType::F32)
    }
    fn steps(_: &Check<'_>, p: &MaxPoolParams) -> Option<Steps> {
        Some(Steps::of_window(&p.window, p.channels, p.channels))
    }
    fn run(memory: &mut Memory<'_, '_>, p: &MaxPoolParams) -> Result<(), Fault> {
        let steps = Steps::of_window(&p.window, p.channels, p.channels);
        memory.by_rows(&steps, |band, x, y| {
            kernels::max_pool(&p.window, p.channels, f32::NEG_INFINITY, band, x, y)
        })
    }
}

/// The average of the int8 under the window, with a fused rescale and activation.
#[derive(Debug)]
pub struct AveragePoolI8;

impl Operator for AveragePoolI8 {
    type Params = AveragePoolI8Params;
    fn check(check: &Check<'_>, p: &AveragePoolI8Params) -> Result<(), Rule> {
        check_pool(check, &p.window, p.channels, DataType::I8)?;
        check.scale(p.input_scale)?;
        check.scale(p.output_scale)?;
        check.zero_point(p.input_zero_point)?;
        OutputStage::new(p.output_zero_point, p.low, p.high).ok_or(Rule::Parameter)?;
        Ok(())
    }
    fn steps(_: &Check<'_>, p: &AveragePoolI8Params) -> Option<Steps> {
        Some(Steps::of_window(&p.window, p.channels, p.channels))
    }
    fn run(memory: &mut Memory<'_, '_>, p: &AveragePoolI8Params) -> Result<(), Fault> {
        let quantization = kernels::AverageI8 {
            input_zero_point: p.input_zero_point,
            input_scale: p.input_scale,
            output_scale: p.output_scale,
            stage: OutputStage::new(p.output_zero_point, p.low, p.high).ok_or(Fault)?,
        };
        let padded = p.count_include_pad != 0;
        let steps = Steps::of_window(&p.window, p.channels, p.channels);
        memory.by_rows(&steps, |band, x, y| {
            kernels::average_pool_i8(&p.window, p.channels, padded, &quantization, band, x, y)
        })
    }
}

/// The average of the floats under the window.
#[derive(Debug)]
pub struct AveragePoolF32;

impl Operator for AveragePoolF32 {
    type Params = AveragePoolF32Params;
    fn check(check: &Check<'_>, p: &AveragePoolF32Params) -> Result<(), Rule> {
        check_pool(check, &p.window, p.channels, DataType::F32)
    }
    fn steps(_: &Check<'_>, p: &AveragePoolF32Params) -> Option<Steps> {
        Some(Steps::of_window(&p.window, p.channels, p.channels))
    }
    fn run(memory: &mut Memory<'_, '_>, p: &AveragePoolF32Params) -> Result<(), Fault> {
        let padded = p.count_include_pad != 0;
        let steps = Steps::of_window(&p.window, p.channels, p.channels);
        memory.by_rows(&steps, |band, x, y| {
            kernels::average_pool_f32(&p.window, p.channels, padded, band, x, y)
        })
    }
}

/// The index of the largest value under the window, of floats or int8.
#[derive(Debug)]
pub struct MaxPoolIndices;

impl Operator for MaxPoolIndices {
    type Params = MaxPoolIndicesParams;
    fn check(check: &Check<'_>, p: &MaxPoolIndicesParams) -> Result<(), Rule> {
        let dtype = check.input(0)?.dtype;
        if !matches!(dtype, DataType::F32 | DataType::I8) {
            return Err(Rule::DataType);
        }
        check_pool_to(check, &p.window, p.channels, [dtype, DataType::I32])
    }
    fn run(memory: &mut Memory<'_, '_>, p: &MaxPoolIndicesParams) -> Result<(), Fault> {
        let dtype = memory.input_tensor(0)?.dtype;
        let (x, y) = memory.unary::<u8, i32>(0)?;
        // Every int8 is a float, in the same order.
        let value = |i: usize| match dtype {
            DataType::F32 => x.as_chunks().0.get(i).map(|x| f32::from_le_bytes(*x)),
            _ => x.get(i).map(|&x| f32::from(x.cast_signed())),
        };
        kernels::max_pool_indices(&p.window, p.channels, &p.steps, value, y).ok_or(Fault)
    }
}

/// The p-norm of the floats under the window.
#[derive(Debug)]
pub struct LpPoolF32;

impl Operator for LpPoolF32 {
    type Params = LpPoolF32Params;
    fn check(check: &Check<'_>, p: &LpPoolF32Params) -> Result<(), Rule> {
        check_pool(check, &p.window, p.channels, DataType::F32)?;
        (p.p > 0).then_some(()).ok_or(Rule::Parameter)
    }
    fn run(memory: &mut Memory<'_, '_>, p: &LpPoolF32Params) -> Result<(), Fault> {
        let (x, y) = memory.unary(0)?;
        kernels::lp_pool_f32(&p.window, p.channels, p.p, x, y).ok_or(Fault)
    }
}
