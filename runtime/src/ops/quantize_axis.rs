//! QuantizeLinear and DequantizeLinear with a scale for each index of an axis, and of types that no
//! kernel computes in.

use super::{Check, Memory, Operator};
use crate::artifact::{Blob, DataType, record};
use crate::error::{Fault, Rule};
use crate::kernels::{integer, volume};
use crate::numerics::quantize_to;

record! {
    /// Parameters of [`QuantizeAxis`] and [`DequantizeAxis`].
    pub struct AxisParams {
        /// Product of the dimensions before the axis.
        pub outer: u32,
        /// Indices of the axis; 1 when there is one scale for the tensor.
        pub channels: u32,
        /// Product of the dimensions behind the axis.
        pub inner: u32,
        /// `[channels]`: real value of one step.
        pub scales: Blob<f32>,
        /// `[channels]`: the quantised value that means 0.
        pub zero_points: Blob<i32>,
    }
}

/// Smallest and largest value of a type that tensors are quantised to; `None` for others.
fn range(dtype: DataType) -> Option<(i32, i32)> {
    Some(match dtype {
        DataType::I8 => (-128, 127),
        DataType::U8 => (0, 255),
        DataType::I16 => (-32768, 32767),
        DataType::U16 => (0, 65535),
        _ => return None,
    })
}

fn check(check: &Check<'_>, p: &AxisParams, quantized: DataType) -> Result<u64, Rule> {
    check.arity(1)?;
    let len = volume(&[p.outer, p.channels, p.inner])?;
    let channels = u64::from(p.channels);
    check.multipliers(p.scales, channels)?;
    let (low, high) = match quantized {
        DataType::I32 => (i32::MIN, i32::MAX),
        dtype => range(dtype).ok_or(Rule::DataType)?,
    };
    let zero_points = check.constants(p.zero_points, channels)?;
    if !zero_points.iter().all(|z| (low..=high).contains(z)) {
        return Err(Rule::Parameter);
    }
    Ok(len)
}

/// Scale and zero point of each run of `inner` elements.
fn affines<'m>(
    memory: &Memory<'m, '_>,
    p: &AxisParams,
) -> Result<impl Iterator<Item = (f32, i32)> + use<'m>, Fault> {
    let scales = memory.constants(p.scales, p.channels)?;
    let zero_points = memory.constants(p.zero_points, p.channels)?;
    let pairs = scales.iter().copied().zip(zero_points.iter().copied());
    Ok(pairs.cycle())
}

/// `clamp(round_half_even(x / scale) + zero_point)`, to the range of the output's type.
#[derive(Debug)]
pub struct QuantizeAxis;

impl Operator for QuantizeAxis {
    type Params = AxisParams;

    fn check(context: &Check<'_>, p: &AxisParams) -> Result<(), Rule> {
        let dtype = context.output()?.dtype;
        range(dtype).ok_or(Rule::DataType)?;
        let len = check(context, p, dtype)?;
        context.expect_input(0, DataType::F32, len)?;
        context.expect_output(dtype, len)?;
        Ok(())
    }

    fn run(memory: &mut Memory<'_, '_>, p: &AxisParams) -> Result<(), Fault> {
        let affines = affines(memory, p)?;
        let ([(_, x)], mut y) = memory.bytes::<1>()?;
        let (low, high) = range(y.0).ok_or(Fault)?;
        let mut at = 0;
        let runs = x.as_chunks::<4>().0.chunks_exact((p.inner as usize).max(1));
        for (x, (scale, zero_point)) in runs.zip(affines) {
            for x in x {
                let x = f32::from_le_bytes(*x) / scale;
                let q = quantize_to(x, zero_point, low, high);
                integer::store(&mut y, at, i64::from(q)).ok_or(Fault)?;
                at += 1;
            }
        }
        Ok(())
    }
}

/// `(q - zero_point) * scale`, of int8, uint8, int16, uint16 or int32.
#[derive(Debug)]
pub struct DequantizeAxis;

impl Operator for DequantizeAxis {
    type Params = AxisParams;

    fn check(context: &Check<'_>, p: &AxisParams) -> Result<(), Rule> {
        let dtype = context.input(0)?.dtype;
        let len = check(context, p, dtype)?;
        context.expect_input(0, dtype, len)?;
        context.expect_output(DataType::F32, len)?;
        Ok(())
    }

    fn run(memory: &mut Memory<'_, '_>, p: &AxisParams) -> Result<(), Fault> {
        let affines = affines(memory, p)?;
        let ([x], (_, y)) = memory.bytes::<1>()?;
        let mut at = 0;
        let runs = y
            .as_chunks_mut::<4>()
            .0
            .chunks_exact_mut((p.inner as usize).max(1));
        for (y, (scale, zero_point)) in runs.zip(affines) {
            for y in y {
                let q = integer::load(x, at).ok_or(Fault)? as i32;
                *y = (q.wrapping_sub(zero_point) as f32 * scale).to_le_bytes();
                at += 1;
            }
        }
        Ok(())
    }
}
