//! Transpose, where the compiler found no way to leave the bytes where they are; also a copy.

use super::{Check, Memory, Operator, by_size};
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
        by_size!(memory.input_tensor(0)?.dtype, T => {
            let (x, y) = memory.unary::<T, T>(0)?;
            kernels::gather(&p.walk, x, y).ok_or(Fault)
        })
    }
}
