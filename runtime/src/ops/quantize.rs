//! QuantizeLinear and DequantizeLinear of whole tensors.

use super::{Check, Memory, Operator, Overlap, Steps};
use crate::artifact::{DataType, record};
use crate::error::{Fault, Rule};
use crate::numerics::{OutputStage, dequantize};

record! {
    /// Scale and zero point of an int8 tensor.
    pub struct AffineParams {
        /// Real value of one step.
        pub scale: f32,
        /// The quantised value that means 0.
        pub zero_point: i32,
    }
}

/// `clamp(round_half_even(x / scale) + zero_point)`.
#[derive(Debug)]
pub struct QuantizeI8;

impl Operator for QuantizeI8 {
    type Params = AffineParams;

    fn check(check: &Check<'_>, p: &AffineParams) -> Result<(), Rule> {
        check.arity(1)?;
        let len = check.input(0)?.len() as u64;
        check.expect_input(0, DataType::F32, len)?;
        check.expect_output(DataType::I8, len)?;
        check.scale(p.scale)?;
        check.zero_point(p.zero_point)
    }

    fn steps(check: &Check<'_>, _: &Self::Params) -> Option<Steps> {
        check.element_steps()
    }

    fn overlap(check: &Check<'_>, _: &Self::Params, i: usize) -> Option<Overlap> {
        check.element_overlap(i)
    }

    fn run(memory: &mut Memory<'_, '_>, p: &AffineParams) -> Result<(), Fault> {
        let stage = OutputStage::new(p.zero_point, -128, 127).ok_or(Fault)?;
        memory.by_elements(|x: f32| stage.quantize(x / p.scale))
    }
}

/// `(q - zero_point) * scale`.
#[derive(Debug)]
pub struct DequantizeI8;

impl Operator for DequantizeI8 {
    type Params = AffineParams;

    fn check(check: &Check<'_>, p: &AffineParams) -> Result<(), Rule> {
        check.arity(1)?;
        let len = check.input(0)?.len() as u64;
        check.expect_input(0, DataType::I8, len)?;
        check.expect_output(DataType::F32, len)?;
        check.scale(p.scale)?;
        check.zero_point(p.zero_point)
    }

    fn steps(check: &Check<'_>, _: &Self::Params) -> Option<Steps> {
        check.element_steps()
    }

    fn overlap(check: &Check<'_>, _: &Self::Params, i: usize) -> Option<Overlap> {
        check.element_overlap(i)
    }

    fn run(memory: &mut Memory<'_, '_>, p: &AffineParams) -> Result<(), Fault> {
        memory.by_elements(|x: i8| dequantize(x, p.zero_point, p.scale))
    }
}
