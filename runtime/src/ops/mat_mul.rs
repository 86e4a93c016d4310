//! MatMul of two operands that are both activations: attention, and what a model computes.

use super::{Check, Memory, Operator};
use crate::artifact::{DataType, record};
use crate::error::{Fault, Rule};
use crate::kernels::{MatMulShape, volume};
use crate::numerics::OutputStage;

record! {
    /// Parameters of [`MatMulF32`].
    pub struct MatMulF32Params {
        /// Sizes and steps.
        pub shape: MatMulShape,
        /// Smallest output value: the fused activation.
        pub low: f32,
        /// Largest output value: the fused activation.
        pub high: f32,
    }
}

record! {
    /// Parameters of [`MatMulI8`].
    pub struct MatMulI8Params {
        /// Sizes and steps.
        pub shape: MatMulShape,
        /// Zero points of both operands.
        pub input_zero_points: [i32; 2],
        /// Left scale * right scale / output scale.
        pub multiplier: f32,
        /// Zero point of the output.
        pub output_zero_point: i32,
        /// Smallest output value: the fused activation.
        pub low: i32,
        /// Largest output value: the fused activation.
        pub high: i32,
    }
}

fn check_shape(check: &Check<'_>, shape: &MatMulShape, dtype: DataType) -> Result<(), Rule> {
    check.arity(2)?;
    let [left, right] = &shape.batch;
    let [.., last] = left.dims;
    if left.dims != right.dims || last != 1 {
        return Err(Rule::ShapeMismatch);
    }
    let matrix = volume(&[shape.rows, shape.columns])?;
    let batch = left.steps()?;
    volume(&[shape.rows, shape.depth])?;
    volume(&[shape.depth, shape.columns])?;
    let far = |sizes: [u32; 2], steps: [u32; 2]| {
        let pairs = sizes.into_iter().zip(steps);
        pairs.fold(0u64, |far, (size, step)| {
            far.saturating_add(u64::from(size.saturating_sub(1)).saturating_mul(step.into()))
        })
    };
    let left_len = far([shape.rows, shape.depth], shape.left).saturating_add(left.reach());
    let right_len = far([shape.depth, shape.columns], shape.right).saturating_add(right.reach());
    check.expect_input(0, dtype, left_len)?;
    check.expect_input(1, dtype, right_len)?;
    check.expect_output(dtype, batch.saturating_mul(matrix))?;
    Ok(())
}

fn macs(shape: &MatMulShape) -> u64 {
    let [left, _] = &shape.batch;
    let sizes = [shape.rows, shape.depth, shape.columns];
    let factors = left.dims.into_iter().chain(sizes);
    factors.fold(1u64, |product, size| product.saturating_mul(size.into()))
}

/// Float matrix product with a fused clamp.
#[derive(Debug)]
pub struct MatMulF32;

impl Operator for MatMulF32 {
    type Params = MatMulF32Params;

    fn check(check: &Check<'_>, p: &MatMulF32Params) -> Result<(), Rule> {
        check_shape(check, &p.shape, DataType::F32)
    }

    fn run(memory: &mut Memory<'_, '_>, p: &MatMulF32Params) -> Result<(), Fault> {
        let (a, b, y) = memory.binary::<f32, f32>()?;
        p.shape.run_f32(a, b, (p.low, p.high), y).ok_or(Fault)
    }

    fn macs(_: &Check<'_>, p: &MatMulF32Params) -> u64 {
        macs(&p.shape)
    }
}

/// Int8 matrix product with a fused rescale and activation: the sum is exact, then one rescale.
#[derive(Debug)]
pub struct MatMulI8;

impl Operator for MatMulI8 {
    type Params = MatMulI8Params;

    fn check(check: &Check<'_>, p: &MatMulI8Params) -> Result<(), Rule> {
        check_shape(check, &p.shape, DataType::I8)?;
        for zero_point in p.input_zero_points {
            check.zero_point(zero_point)?;
        }
        if !p.multiplier.is_finite() || p.multiplier < 0.0 {
            return Err(Rule::Parameter);
        }
        OutputStage::new(p.output_zero_point, p.low, p.high).ok_or(Rule::Parameter)?;
        Ok(())
    }

    fn run(memory: &mut Memory<'_, '_>, p: &MatMulI8Params) -> Result<(), Fault> {
        let stage = OutputStage::new(p.output_zero_point, p.low, p.high).ok_or(Fault)?;
        let (a, b, y) = memory.binary::<i8, i8>()?;
        let finish = |sum| stage.requantize(sum, p.multiplier);
        let done = p.shape.run_i8(a, b, p.input_zero_points, y, finish);
        done.ok_or(Fault)
    }

    fn macs(_: &Check<'_>, p: &MatMulI8Params) -> u64 {
        macs(&p.shape)
    }
}
