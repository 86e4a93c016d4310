//! ScatterElements and ScatterND: a copy of the data with updates where int32 indices say.
//!
//! Indices are data. Negative ones count from the end; an update whose index is out of range is
//! left out. Updates of one place come in the order of the indices.

use super::{Check, IndexedElementsParams, IndexedSlicesParams, Memory, Operator};
use crate::artifact::DataType;
use crate::error::{Fault, Rule};
use crate::kernels;

/// How an update joins what is there.
trait Join: Copy {
    fn join(reduction: u32, there: Self, update: Self) -> Self;
}

impl Join for f32 {
    fn join(reduction: u32, there: f32, update: f32) -> f32 {
        match reduction {
            1 => there + update,
            2 => there * update,
            3 if update < there => update,
            4 if update > there => update,
            0 => update,
            _ => there,
        }
    }
}

impl Join for i32 {
    fn join(reduction: u32, there: i32, update: i32) -> i32 {
        match reduction {
            1 => there.wrapping_add(update),
            2 => there.wrapping_mul(update),
            3 => there.min(update),
            4 => there.max(update),
            _ => update,
        }
    }
}

/// Anything may be replaced; joining is arithmetic of floats and int32.
fn check_reduction(reduction: u32, dtype: DataType) -> Result<(), Rule> {
    let good = match reduction {
        0 => true,
        1..=4 => matches!(dtype, DataType::F32 | DataType::I32),
        _ => false,
    };
    good.then_some(()).ok_or(Rule::Parameter)
}

/// Copies the data into the output.
fn copy(memory: &mut Memory<'_, '_>) -> Result<DataType, Fault> {
    let dtype = memory.input_tensor(0)?.dtype;
    let (x, y) = memory.unary::<u8, u8>(0)?;
    y.iter_mut().zip(x).for_each(|(y, &x)| *y = x);
    Ok(dtype)
}

fn elements<T: Join + bytemuck::AnyBitPattern + bytemuck::NoUninit>(
    memory: &mut Memory<'_, '_>,
    p: &IndexedElementsParams,
) -> Result<(), Fault> {
    let (indices, updates, y) = memory.pair_of::<i32, T, T>([1, 2])?;
    let mut join = |from: usize, to: usize| {
        let there = y.get_mut(to)?;
        *there = T::join(p.reduction, *there, *updates.get(from)?);
        Some(())
    };
    kernels::for_each_element(&p.walk, p.axis(), indices, kernels::exact, &mut join).ok_or(Fault)
}

fn slices<T: Join + bytemuck::AnyBitPattern + bytemuck::NoUninit>(
    memory: &mut Memory<'_, '_>,
    p: &IndexedSlicesParams,
) -> Result<(), Fault> {
    let tuples = p.kernel(1)?;
    let (indices, updates, y) = memory.pair_of::<i32, T, T>([1, 2])?;
    let join = |there, update| T::join(p.reduction, there, update);
    kernels::scatter_nd(tuples, indices, updates, y, join).ok_or(Fault)
}

/// ONNX `ScatterElements`: single elements along an axis. Inputs: data, indices, updates.
#[derive(Debug)]
pub struct ScatterElements;

impl Operator for ScatterElements {
    type Params = IndexedElementsParams;

    fn check(check: &Check<'_>, p: &IndexedElementsParams) -> Result<(), Rule> {
        check.arity(3)?;
        let data = check.input(0)?;
        let len = data.len() as u64;
        let steps = p.check(check, len, 1)?;
        check.expect_input(2, data.dtype, steps)?;
        check.expect_output(data.dtype, len)?;
        check_reduction(p.reduction, data.dtype)
    }

    fn run(memory: &mut Memory<'_, '_>, p: &IndexedElementsParams) -> Result<(), Fault> {
        let dtype = copy(memory)?;
        match (p.reduction, dtype) {
            (0, _) => {
                let (indices, updates, y) = memory.pair_of::<i32, u8, u8>([1, 2])?;
                let size = dtype.bytes();
                let mut write = |from, to| kernels::copy_element(size, (updates, from), (y, to));
                kernels::for_each_element(&p.walk, p.axis(), indices, kernels::exact, &mut write)
                    .ok_or(Fault)
            }
            (_, DataType::F32) => elements::<f32>(memory, p),
            _ => elements::<i32>(memory, p),
        }
    }
}

/// ONNX `ScatterND`: slices that tuples of indices name. Inputs: data, indices, updates.
#[derive(Debug)]
pub struct ScatterND;

impl Operator for ScatterND {
    type Params = IndexedSlicesParams;

    fn check(check: &Check<'_>, p: &IndexedSlicesParams) -> Result<(), Rule> {
        check.arity(3)?;
        let [data, indices, slices] = p.sizes()?;
        let dtype = check.output()?.dtype;
        check.expect_input(0, dtype, data)?;
        check.expect_input(1, DataType::I32, indices)?;
        check.expect_input(2, dtype, slices)?;
        check.expect_output(dtype, data)?;
        if p.batch != 1 {
            return Err(Rule::Parameter);
        }
        check_reduction(p.reduction, dtype)
    }

    fn run(memory: &mut Memory<'_, '_>, p: &IndexedSlicesParams) -> Result<(), Fault> {
        let dtype = copy(memory)?;
        match (p.reduction, dtype) {
            (0, _) => {
                // Of slices that replace others, all that matters is their bytes.
                let tuples = p.kernel(dtype.bytes())?;
                let (indices, updates, y) = memory.pair_of::<i32, u8, u8>([1, 2])?;
                kernels::scatter_nd(tuples, indices, updates, y, |_, update| update).ok_or(Fault)
            }
            (_, DataType::F32) => slices::<f32>(memory, p),
            _ => slices::<i32>(memory, p),
        }
    }
}
