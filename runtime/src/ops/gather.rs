//! Gather, GatherElements and GatherND: elements of any type, read where int32 indices say.
//!
//! Indices are data. Negative ones count from the end; one that is out of range reads the nearest
//! element.

use super::{Check, Memory, Operator};
use crate::MAX_RANK;
use crate::artifact::{DataType, record};
use crate::error::{Fault, Rule};
use crate::kernels::{self, IndexedAxis, Strides, Tuples, volume};

record! {
    /// Parameters of [`Gather`].
    pub struct GatherParams {
        /// Product of the dimensions outside the axis.
        pub outer: u32,
        /// Length of the axis.
        pub axis: u32,
        /// Product of the dimensions inside the axis.
        pub inner: u32,
        /// Number of indices.
        pub count: u32,
    }
}

record! {
    /// Parameters of [`GatherElements`] and [`super::ScatterElements`].
    pub struct IndexedElementsParams {
        /// The dimensions of the indices, and the steps through the data; 0 along the axis.
        pub walk: Strides,
        /// Length of the axis in the data.
        pub axis: u32,
        /// Elements of the data from one index of the axis to the next.
        pub axis_stride: u32,
        /// Of ScatterElements, how an update joins what is there: 0 replaces it, 1 adds, 2
        /// multiplies, 3 takes the smaller, 4 the larger one. Of GatherElements 0.
        pub reduction: u32,
    }
}

record! {
    /// Parameters of [`GatherND`] and [`super::ScatterND`].
    pub struct IndexedSlicesParams {
        /// Product of the batch dimensions; of ScatterND 1.
        pub batch: u32,
        /// Tuples of indices in one batch.
        pub tuples: u32,
        /// Indices of one tuple.
        pub depth: u32,
        /// Length of the axis that each index of a tuple goes along; 1 behind `depth`.
        pub dims: [u32; MAX_RANK],
        /// Elements of the slice that a tuple names.
        pub inner: u32,
        /// As of [`IndexedElementsParams`].
        pub reduction: u32,
    }
}

impl IndexedElementsParams {
    /// Checks the data, which is `len` elements, and the indices, which are input `indices`.
    pub(super) fn check(&self, check: &Check<'_>, len: u64, indices: usize) -> Result<u64, Rule> {
        let steps = self.walk.steps()?;
        check.expect_input(indices, DataType::I32, steps)?;
        let far = u64::from(self.axis.checked_sub(1).ok_or(Rule::Parameter)?)
            .saturating_mul(u64::from(self.axis_stride));
        let fits = self.walk.reach().saturating_add(far) <= len;
        fits.then_some(steps).ok_or(Rule::ShapeMismatch)
    }

    pub(super) fn axis(&self) -> IndexedAxis {
        IndexedAxis {
            len: self.axis,
            stride: self.axis_stride,
        }
    }
}

impl IndexedSlicesParams {
    fn indexed(&self) -> Option<&[u32]> {
        self.dims.get(..self.depth as usize)
    }

    /// Checks the parameters; gives the lengths of data, indices and slices.
    pub(super) fn sizes(&self) -> Result<[u64; 3], Rule> {
        let dims = self.indexed().ok_or(Rule::Parameter)?;
        let axes = volume(dims)? as u32;
        if self.depth == 0 {
            return Err(Rule::Parameter);
        }
        Ok([
            volume(&[self.batch, axes, self.inner])?,
            volume(&[self.batch, self.tuples, self.depth])?,
            volume(&[self.batch, self.tuples, self.inner])?,
        ])
    }

    /// Of slices whose elements count as so many of the kernel.
    pub(super) fn kernel(&self, size: usize) -> Result<Tuples<'_>, Fault> {
        Ok(Tuples {
            dims: self.indexed().ok_or(Fault)?,
            inner: self.inner as usize * size,
        })
    }
}

/// ONNX `Gather`: slices of an axis. Inputs: the data, the indices.
#[derive(Debug)]
pub struct Gather;

impl Operator for Gather {
    type Params = GatherParams;

    fn check(check: &Check<'_>, p: &GatherParams) -> Result<(), Rule> {
        check.arity(2)?;
        let dtype = check.output()?.dtype;
        check.expect_input(0, dtype, volume(&[p.outer, p.axis, p.inner])?)?;
        check.expect_input(1, DataType::I32, u64::from(p.count))?;
        check.expect_output(dtype, volume(&[p.outer, p.count, p.inner])?)?;
        Ok(())
    }

    fn run(memory: &mut Memory<'_, '_>, p: &GatherParams) -> Result<(), Fault> {
        // Of rows, all that matters is their bytes.
        let inner = p.inner as usize * memory.input_tensor(0)?.dtype.bytes();
        let (x, indices, y) = memory.pair::<u8, i32, u8>()?;
        kernels::gather_rows(p.axis, inner, x, indices, y).ok_or(Fault)
    }
}

/// ONNX `GatherElements`: single elements along an axis. Inputs: the data, the indices.
#[derive(Debug)]
pub struct GatherElements;

impl Operator for GatherElements {
    type Params = IndexedElementsParams;

    fn check(check: &Check<'_>, p: &IndexedElementsParams) -> Result<(), Rule> {
        check.arity(2)?;
        let data = check.input(0)?;
        let steps = p.check(check, data.len() as u64, 1)?;
        check.expect_output(data.dtype, steps)?;
        (p.reduction == 0).then_some(()).ok_or(Rule::Parameter)
    }

    fn run(memory: &mut Memory<'_, '_>, p: &IndexedElementsParams) -> Result<(), Fault> {
        let size = memory.input_tensor(0)?.dtype.bytes();
        let (x, indices, y) = memory.pair::<u8, i32, u8>()?;
        let mut read = |to, from| kernels::copy_element(size, (x, from), (y, to));
        kernels::for_each_element(&p.walk, p.axis(), indices, kernels::read, &mut read).ok_or(Fault)
    }
}

/// ONNX `GatherND`: slices that tuples of indices name. Inputs: the data, the indices.
#[derive(Debug)]
pub struct GatherND;

impl Operator for GatherND {
    type Params = IndexedSlicesParams;

    fn check(check: &Check<'_>, p: &IndexedSlicesParams) -> Result<(), Rule> {
        check.arity(2)?;
        let [data, indices, slices] = p.sizes()?;
        let dtype = check.output()?.dtype;
        check.expect_input(0, dtype, data)?;
        check.expect_input(1, DataType::I32, indices)?;
        check.expect_output(dtype, slices)?;
        (p.reduction == 0).then_some(()).ok_or(Rule::Parameter)
    }

    fn run(memory: &mut Memory<'_, '_>, p: &IndexedSlicesParams) -> Result<(), Fault> {
        let tuples = p.kernel(memory.input_tensor(0)?.dtype.bytes())?;
        let (x, indices, y) = memory.pair::<u8, i32, u8>()?;
        kernels::gather_nd(tuples, p.tuples, x, indices, y).ok_or(Fault)
    }
}
