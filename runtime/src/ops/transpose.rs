//! Transpose, where the compiler found no way to leave the bytes where they are; also a copy.

use super::{Check, Memory, Operator};
use crate::artifact::record;
use crate::error::{Fault, Rule};
use crate::kernels::{self, Strides};

record! {
    /// Parameters of [`Transpose`].
    pub struct TransposeParams {
        /// The output's dimensions, and the steps through the input.
        pub walk: Strides,
    }
}

/// Reorders elements of any type.
#[derive(Debug)]
pub struct Transpose;

impl Operator for Transpose {
    type Params = TransposeParams;

    fn check(check: &Check<'_>, p: &TransposeParams) -> Result<(), Rule> {
        check.arity(1)?;
        let dtype = check.input(0)?.dtype;
        check.expect_input(0, dtype, p.walk.reach())?;
        check.expect_output(dtype, p.walk.steps()?)?;
        Ok(())
    }

    fn run(memory: &mut Memory<'_, '_>, p: &TransposeParams) -> Result<(), Fault> {
        if memory.input_tensor(0)?.dtype.bytes() == 1 {
            let (x, y) = memory.unary::<u8, u8>(0)?;
            kernels::gather(&p.walk, x, y).ok_or(Fault)
        } else {
            let (x, y) = memory.unary::<u32, u32>(0)?;
            kernels::gather(&p.walk, x, y).ok_or(Fault)
        }
    }
}
