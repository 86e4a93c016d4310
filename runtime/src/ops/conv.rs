//! Conv: ONNX `Conv` in one or two dimensions, any stride, padding, dilation and group count.

use super::{Check, Held, Memory, Operator, Steps};
use crate::artifact::{Blob, DataType, record};
use crate::error::{Fault, Rule};
use crate::kernels::{self, Weight, Wide, Window, volume};
use crate::numerics::OutputStage;

record! {
    /// Parameters of [`ConvI8`] and [`ConvI8Wide`].
    pub struct ConvI8Params {
        /// Geometry.
        pub window: Window,
        /// Number of groups.
        pub groups: u32,
        /// Input channels of one group.
        pub group_in: u32,
        /// Output channels of one group.
        pub group_out: u32,
        /// Zero point of the input.
        pub input_zero_point: i32,
        /// Zero point of the output.
        pub output_zero_point: i32,
        /// Smallest output value: the fused activation.
        pub low: i32,
        /// Largest output value: the fused activation.
        pub high: i32,
        /// `[out_c][kernel_h][kernel_w][group_in]`; of [`ConvI8Wide`] as FORMAT.md, 6, says.
        pub weights: Blob<i8>,
        /// `[out_c]`: bias - input_zero_point * (sum of the output's weights).
        pub bias: Blob<i32>,
        /// `[out_c]`: input scale * weight scale / output scale.
        pub multipliers: Blob<f32>,
    }
}

record! {
    /// Parameters of [`ConvF32`].
    pub struct ConvF32Params {
        /// Geometry.
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

/// Sizes that follow from a convolution's parameters.
pub(super) struct Sizes {
    pub(super) input: u64,
    pub(super) output: u64,
    pub(super) weights: u64,
    pub(super) channels: u64,
}

/// Checks the window, and that no size is too large.
pub(super) fn sizes(
    window: &Window,
    groups: u32,
    group_in: u32,
    group_out: u32,
) -> Result<Sizes, Rule> {
    window.check()?;
    let [n, h, w] = window.input_pixels();
    let [_, out_h, out_w] = window.output_pixels();
    let Window {
        kernel_h, kernel_w, ..
    } = *window;
    Ok(Sizes {
        input: volume(&[n, h, w, groups, group_in])?,
        output: volume(&[n, out_h, out_w, groups, group_out])?,
        weights: volume(&[groups, group_out, kernel_h, kernel_w, group_in])?,
        channels: volume(&[groups, group_out])?,
    })
}

/// The rows that it computes one by one.
fn steps(window: &Window, groups: u32, group_in: u32, group_out: u32) -> Steps {
    Steps::of_window(window, groups * group_in, groups * group_out)
}

fn macs(window: &Window, groups: u32, group_in: u32, group_out: u32) -> u64 {
    sizes(window, groups, group_in, group_out).map_or(0, |sizes| {
        let filter = sizes.weights / sizes.channels;
        sizes.output * filter
    })
}

fn weight_count(window: &Window, groups: u32, group_in: u32, group_out: u32) -> u64 {
    sizes(window, groups, group_in, group_out).map_or(0, |sizes| sizes.weights)
}

/// Rows of a group, and elements of one.
fn weights_i8<W: Weight>(p: &ConvI8Params) -> [u32; 2] {
    W::shape(
        p.group_out,
        p.window.kernel_h * p.window.kernel_w * p.group_in,
    )
}

fn check_i8<W: Weight>(check: &Check<'_>, p: &ConvI8Params) -> Result<(), Rule> {
    check.arity(1)?;
    let sizes = sizes(&p.window, p.groups, p.group_in, p.group_out)?;
    check.expect_input(0, DataType::I8, sizes.input)?;
    check.expect_output(DataType::I8, sizes.output)?;
    let [rows, row] = weights_i8::<W>(p);
    let weights = check.constants(p.weights.of::<W>(), volume(&[p.groups, rows, row])?)?;
    let len = p.window.kernel_h * p.window.kernel_w * p.group_in;
    if !W::are_filled_up(weights, len) {
        return Err(Rule::Data);
    }
    check.constants(p.bias, sizes.channels)?;
    check.multipliers(p.multipliers, sizes.channels)?;
    check.zero_point(p.input_zero_point)?;
    OutputStage::new(p.output_zero_point, p.low, p.high).ok_or(Rule::Parameter)?;
    Ok(())
}

#[inline(always)]
fn run_i8<W: Weight>(memory: &mut Memory<'_, '_>, p: &ConvI8Params) -> Result<(), Fault> {
    let channels = p.groups * p.group_out;
    let [rows, row] = weights_i8::<W>(p);
    let kernel = kernels::ConvI8 {
        window: &p.window,
        groups: p.groups,
        group_in: p.group_in,
        group_out: p.group_out,
        input_zero_point: p.input_zero_point,
        weights: memory.constants(p.weights.of::<W>(), p.groups * rows * row)?,
        bias: memory.constants(p.bias, channels)?,
        multipliers: memory.constants(p.multipliers, channels)?,
        stage: OutputStage::new(p.output_zero_point, p.low, p.high).ok_or(Fault)?,
    };
    let steps = steps(&p.window, p.groups, p.group_in, p.group_out);
    let mut held = Held::new();
    let workspace = memory.workspace(&mut held)?;
    memory.by_rows(&steps, |band, x, y| kernel.run(workspace, band, x, y))
}

fn weight_bytes_i8<W: Weight>(p: &ConvI8Params) -> u64 {
    let [rows, row] = weights_i8::<W>(p);
    u64::from(p.groups * rows * row) * size_of::<W>() as u64
}

/// Int8 convolution with a fused rescale and activation.
#[derive(Debug)]
pub struct ConvI8;

/// The same with weights in 16 bits, in the order that Cortex-M4 and M7 multiply them.
#[derive(Debug)]
pub struct ConvI8Wide;

macro_rules! int8 {
    ($operator:ident of $weight:ty) => {
        impl Operator for $operator {
            type Params = ConvI8Params;

            const WORKSPACE: usize = size_of::<kernels::Workspace>();

            fn check(check: &Check<'_>, p: &ConvI8Params) -> Result<(), Rule> {
                check_i8::<$weight>(check, p)
            }

            fn steps(_: &Check<'_>, p: &ConvI8Params) -> Option<Steps> {
                Some(steps(&p.window, p.groups, p.group_in, p.group_out))
            }

            fn run(memory: &mut Memory<'_, '_>, p: &ConvI8Params) -> Result<(), Fault> {
                run_i8::<$weight>(memory, p)
            }

            fn macs(_: &Check<'_>, p: &ConvI8Params) -> u64 {
                macs(&p.window, p.groups, p.group_in, p.group_out)
            }

            fn weight_bytes(p: &ConvI8Params) -> u64 {
                weight_bytes_i8::<$weight>(p)
            }
        }
    };
}

int8!(ConvI8 of i8);
int8!(ConvI8Wide of Wide);

/// Float convolution with a fused clamp.
#[derive(Debug)]
pub struct ConvF32;

impl Operator for ConvF32 {
    type Params = ConvF32Params;

    fn check(check: &Check<'_>, p: &ConvF32Params) -> Result<(), Rule> {
        check.arity(1)?;
        let sizes = sizes(&p.window, p.groups, p.group_in, p.group_out)?;
        check.expect_input(0, DataType::F32, sizes.input)?;
        check.expect_output(DataType::F32, sizes.output)?;
        check.constants(p.weights, sizes.weights)?;
        check.constants(p.bias, sizes.channels)?;
        Ok(())
    }

    fn steps(_: &Check<'_>, p: &ConvF32Params) -> Option<Steps> {
        Some(steps(&p.window, p.groups, p.group_in, p.group_out))
    }

    fn run(memory: &mut Memory<'_, '_>, p: &ConvF32Params) -> Result<(), Fault> {
        let channels = p.groups * p.group_out;
        let filter = p.window.kernel_h * p.window.kernel_w * p.group_in;
        let kernel = kernels::ConvF32 {
            window: &p.window,
            groups: p.groups,
            group_in: p.group_in,
            group_out: p.group_out,
            weights: memory.constants(p.weights, channels * filter)?,
            bias: memory.constants(p.bias, channels)?,
            low: p.low,
            high: p.high,
        };
        let steps = steps(&p.window, p.groups, p.group_in, p.group_out);
        memory.by_rows(&steps, |band, x, y| kernel.run(band, x, y))
    }

    fn macs(_: &Check<'_>, p: &ConvF32Params) -> u64 {
        macs(&p.window, p.groups, p.group_in, p.group_out)
    }

    fn weight_bytes(p: &ConvF32Params) -> u64 {
        4 * weight_count(&p.window, p.groups, p.group_in, p.group_out)
    }
}
