//! Float functions of one element.

use super::{Check, Memory, Operator, Overlap, Steps};
use crate::artifact::{DataType, record};
use crate::error::{Fault, Rule};
use crate::numerics::{clamp_f32, sigmoid, tanh};

record! {
    /// Parameters of [`ClampF32`].
    pub struct ClampParams {
        /// Smallest output.
        pub low: f32,
        /// Largest output.
        pub high: f32,
    }
}

fn check_same(check: &Check<'_>) -> Result<(), Rule> {
    check.arity(1)?;
    let len = check.input(0)?.len() as u64;
    check.expect_input(0, DataType::F32, len)?;
    check.expect_output(DataType::F32, len)?;
    Ok(())
}

/// ONNX `Relu` and `Clip` where no operator before them takes them in.
#[derive(Debug)]
pub struct ClampF32;

impl Operator for ClampF32 {
    type Params = ClampParams;
    fn check(check: &Check<'_>, _: &ClampParams) -> Result<(), Rule> {
        check_same(check)
    }
    fn steps(check: &Check<'_>, _: &Self::Params) -> Option<Steps> {
        check.element_steps()
    }
    fn overlap(check: &Check<'_>, _: &Self::Params, i: usize) -> Option<Overlap> {
        check.element_overlap(i)
    }
    fn run(memory: &mut Memory<'_, '_>, p: &ClampParams) -> Result<(), Fault> {
        memory.by_elements(|x| clamp_f32(x, p.low, p.high))
    }
}

/// The logistic function.
#[derive(Debug)]
pub struct SigmoidF32;

impl Operator for SigmoidF32 {
    type Params = ();
    fn check(check: &Check<'_>, (): &()) -> Result<(), Rule> {
        check_same(check)
    }
    fn steps(check: &Check<'_>, _: &Self::Params) -> Option<Steps> {
        check.element_steps()
    }
    fn overlap(check: &Check<'_>, _: &Self::Params, i: usize) -> Option<Overlap> {
        check.element_overlap(i)
    }
    fn run(memory: &mut Memory<'_, '_>, (): &()) -> Result<(), Fault> {
        memory.by_elements(sigmoid)
    }
}

/// The hyperbolic tangent.
#[derive(Debug)]
pub struct TanhF32;

impl Operator for TanhF32 {
    type Params = ();
    fn check(check: &Check<'_>, (): &()) -> Result<(), Rule> {
        check_same(check)
    }
    fn steps(check: &Check<'_>, _: &Self::Params) -> Option<Steps> {
        check.element_steps()
    }
    fn overlap(check: &Check<'_>, _: &Self::Params, i: usize) -> Option<Overlap> {
        check.element_overlap(i)
    }
    fn run(memory: &mut Memory<'_, '_>, (): &()) -> Result<(), Fault> {
        memory.by_elements(tanh)
    }
}
