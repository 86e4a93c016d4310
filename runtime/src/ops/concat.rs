//! Concat along one axis.

use super::{Check, Memory, Operator};
use crate::artifact::record;
use crate::error::{Fault, Rule};

record! {
    /// Parameters of [`Concat`].
    pub struct ConcatParams {
        /// Product of the dimensions before the axis: how often the inputs take turns.
        pub outer: u32,
    }
}

/// Joins two or more tensors of any one type.
#[derive(Debug)]
pub struct Concat;

impl Operator for Concat {
    type Params = ConcatParams;

    fn check(check: &Check<'_>, p: &ConcatParams) -> Result<(), Rule> {
        // Any number of inputs but none.
        check.arity(check.input_count().max(1))?;
        let output = check.output()?;
        let mut total = 0u64;
        for i in 0..check.input_count() {
            let input = check.input(i)?;
            check.expect_input(i, output.dtype, input.len() as u64)?;
            let outer = p.outer.max(1) as usize;
            if p.outer == 0 || !input.len().is_multiple_of(outer) {
                return Err(Rule::ShapeMismatch);
            }
            total += input.len() as u64;
        }
        check.expect_output(output.dtype, total)?;
        Ok(())
    }

    fn run(memory: &mut Memory<'_, '_>, p: &ConcatParams) -> Result<(), Fault> {
        let outer = (p.outer as usize).max(1);
        let mut start = 0;
        for i in 0..memory.input_count() {
            let (x, y) = memory.unary::<u8, u8>(i)?;
            let (from, to) = (x.len() / outer, y.len() / outer);
            let rows = y.chunks_exact_mut(to.max(1));
            for (row, x) in rows.zip(x.chunks_exact(from.max(1))) {
                let row = row.get_mut(start..start + from).ok_or(Fault)?;
                row.iter_mut().zip(x).for_each(|(y, &x)| *y = x);
            }
            start += from;
        }
        Ok(())
    }
}
