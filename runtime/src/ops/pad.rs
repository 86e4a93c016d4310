//! Pad with a constant.

use super::{Check, Memory, Operator};
use crate::artifact::{DataType, record};
use crate::error::{Fault, Rule};
use crate::kernels::{self, Strides};

record! {
    /// Parameters of [`Pad`].
    pub struct PadParams {
        /// The input's dimensions, and the steps through the output.
        pub walk: Strides,
        /// Element of the output where the input's first one goes.
        pub start: u32,
        /// The padding: an f32's bits, or an integer in the low byte.
        pub value: u32,
    }
}

/// Copies a tensor of any type into a larger one and fills the rest.
#[derive(Debug)]
pub struct Pad;

impl Operator for Pad {
    type Params = PadParams;

    fn check(check: &Check<'_>, p: &PadParams) -> Result<(), Rule> {
        check.arity(1)?;
        let output = check.output()?;
        check.expect_input(0, output.dtype, p.walk.steps()?)?;
        let reach = p.walk.reach().saturating_add(u64::from(p.start));
        if reach > output.len() as u64 {
            return Err(Rule::ShapeMismatch);
        }
        Ok(())
    }

    fn run(memory: &mut Memory<'_, '_>, p: &PadParams) -> Result<(), Fault> {
        match memory.input_tensor(0)?.dtype {
            DataType::I8 | DataType::U8 => {
                let (x, y) = memory.unary::<u8, u8>(0)?;
                y.fill(p.value as u8);
                kernels::scatter(&p.walk, p.start, x, y).ok_or(Fault)
            }
            DataType::I32 | DataType::F32 => {
                let (x, y) = memory.unary::<u32, u32>(0)?;
                y.fill(p.value);
                kernels::scatter(&p.walk, p.start, x, y).ok_or(Fault)
            }
        }
    }
}
