//! Pad with a constant.

use super::{Check, Memory, Operator, by_size};
use crate::artifact::record;
use crate::error::{Fault, Rule};
use crate::kernels::{self, Strides};

record! {
    /// Parameters of [`Pad`].
    pub struct PadParams {
        /// The input's dimensions, and the steps through the output.
        pub walk: Strides,
        /// Element of the output where the input's first one goes.
        pub start: u32,
        /// The padding: an f32's bits, or an integer: its low bytes for types of less than 32 bits,
        /// with its sign continued for int64.
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
        by_size!(memory.input_tensor(0)?.dtype, T => {
            let (x, y) = memory.unary::<T, T>(0)?;
            y.fill(T::filled(p.value));
            kernels::scatter(&p.walk, p.start, x, y).ok_or(Fault)
        })
    }
}

/// An element made from the word that stands for it in the parameters.
trait Filled {
    fn filled(word: u32) -> Self;
}

impl Filled for u8 {
    fn filled(word: u32) -> Self {
        word as Self
    }
}

impl Filled for u16 {
    fn filled(word: u32) -> Self {
        word as Self
    }
}

impl Filled for u32 {
    fn filled(word: u32) -> Self {
        word
    }
}

impl Filled for [u32; 2] {
    fn filled(word: u32) -> Self {
        // The sign goes on through the high word.
        [word, (word.cast_signed() >> 31).cast_unsigned()]
    }
}
