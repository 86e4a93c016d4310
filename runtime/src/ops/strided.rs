//! Copies that pick elements: with signed steps, or by a list of indices along one axis.

use super::{Check, Memory, Operator, by_size};
use crate::MAX_RANK;
use crate::artifact::{Blob, record};
use crate::error::{Fault, Rule};
use crate::kernels;

record! {
    /// Parameters of [`StridedCopy`].
    pub struct StridedCopyParams {
        /// Length of each dimension of the output, outermost first; 1 where there are fewer.
        pub dims: [u32; MAX_RANK],
        /// Elements of the input from one index to the next; 0 repeats, negative ones go back.
        pub strides: [i32; MAX_RANK],
        /// Element of the input where the output's first one comes from.
        pub start: u32,
    }
}

/// Slice, Expand, Tile, Split and flips: each step of a walk takes an element of the input.
#[derive(Debug)]
pub struct StridedCopy;

impl Operator for StridedCopy {
    type Params = StridedCopyParams;

    fn check(check: &Check<'_>, p: &StridedCopyParams) -> Result<(), Rule> {
        check.arity(1)?;
        let input = check.input(0)?;
        check.expect_output(input.dtype, kernels::volume(&p.dims)?)?;
        // The lowest and the highest element that the walk comes to.
        let (mut low, mut high) = (i64::from(p.start), i64::from(p.start));
        for (&dim, &stride) in p.dims.iter().zip(&p.strides) {
            let far = i64::from(dim.saturating_sub(1)) * i64::from(stride);
            low = low.saturating_add(far.min(0));
            high = high.saturating_add(far.max(0));
        }
        let inside = low >= 0 && high < input.len() as i64;
        inside.then_some(()).ok_or(Rule::ShapeMismatch)
    }

    fn run(memory: &mut Memory<'_, '_>, p: &StridedCopyParams) -> Result<(), Fault> {
        by_size!(memory.input_tensor(0)?.dtype, T => {
            let (x, y) = memory.unary::<T, T>(0)?;
            kernels::strided_copy(&p.dims, &p.strides, p.start, x, y).ok_or(Fault)
        })
    }
}

record! {
    /// Parameters of [`Take`].
    pub struct TakeParams {
        /// Product of the dimensions before the axis.
        pub outer: u32,
        /// Length of the axis in the input.
        pub input_len: u32,
        /// Length of the axis in the output.
        pub output_len: u32,
        /// Product of the dimensions behind the axis.
        pub inner: u32,
        /// For each index of the axis in the output, the one in the input.
        pub indices: Blob<u32>,
    }
}

/// Picks indices of one axis that the compiler knows, in any order and repeated: reflections.
#[derive(Debug)]
pub struct Take;

impl Operator for Take {
    type Params = TakeParams;

    fn check(check: &Check<'_>, p: &TakeParams) -> Result<(), Rule> {
        check.arity(1)?;
        let dtype = check.input(0)?.dtype;
        check.expect_input(0, dtype, kernels::volume(&[p.outer, p.input_len, p.inner])?)?;
        check.expect_output(dtype, kernels::volume(&[p.outer, p.output_len, p.inner])?)?;
        let indices = check.constants(p.indices, p.output_len.into())?;
        let inside = indices.iter().all(|&index| index < p.input_len);
        inside.then_some(()).ok_or(Rule::Parameter)
    }

    fn run(memory: &mut Memory<'_, '_>, p: &TakeParams) -> Result<(), Fault> {
        let indices = memory.constants(p.indices, p.output_len)?;
        let bytes = memory.input_tensor(0)?.dtype.bytes();
        let row = (p.inner as usize).checked_mul(bytes).ok_or(Fault)?;
        let block = row.checked_mul(p.input_len as usize).ok_or(Fault)?;
        let ([(_, x)], (_, y)) = memory.bytes::<1>()?;
        let mut rows = y.chunks_exact_mut(row.max(1));
        for from in x.chunks_exact(block.max(1)) {
            for &index in indices {
                let start = (index as usize).checked_mul(row).ok_or(Fault)?;
                let picked = from.get(start..).and_then(|from| from.get(..row));
                let to = rows.next().ok_or(Fault)?;
                to.iter_mut()
                    .zip(picked.ok_or(Fault)?)
                    .for_each(|(y, &x)| *y = x);
            }
        }
        Ok(())
    }
}
