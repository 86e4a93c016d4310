//! OneHot.

use super::{Check, Memory, Operator};
use crate::artifact::{DataType, record};
use crate::error::{Fault, Rule};
use crate::kernels::{self, volume};

record! {
    /// Parameters of [`OneHot`].
    pub struct OneHotParams {
        /// Product of the dimensions of the indices before the new axis.
        pub outer: u32,
        /// Length of the new axis.
        pub depth: u32,
        /// Product of the dimensions of the indices behind the new axis.
        pub inner: u32,
    }
}

/// ONNX `OneHot`. Inputs: int32 indices, of which one that is out of range sets nothing; the two
/// values off and on, of any type.
#[derive(Debug)]
pub struct OneHot;

impl Operator for OneHot {
    type Params = OneHotParams;

    fn check(check: &Check<'_>, p: &OneHotParams) -> Result<(), Rule> {
        check.arity(2)?;
        let dtype = check.output()?.dtype;
        check.expect_input(0, DataType::I32, volume(&[p.outer, p.inner])?)?;
        check.expect_input(1, dtype, 2)?;
        check.expect_output(dtype, volume(&[p.outer, p.depth, p.inner])?)?;
        Ok(())
    }

    fn run(memory: &mut Memory<'_, '_>, p: &OneHotParams) -> Result<(), Fault> {
        let (indices, values, y) = memory.pair::<i32, u8, u8>()?;
        kernels::one_hot(p.depth, p.inner, indices, values, y).ok_or(Fault)
    }
}
