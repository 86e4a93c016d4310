//! TopK: the indices; the values are a GatherElements with them.

use super::{Check, Memory, Operator};
use crate::artifact::{DataType, record};
use crate::error::{Fault, Rule};
use crate::kernels::{self, volume};

record! {
    /// Parameters of [`TopK`].
    pub struct TopKParams {
        /// Product of the dimensions outside the axis.
        pub outer: u32,
        /// Length of the axis.
        pub axis: u32,
        /// How many elements are taken.
        pub k: u32,
        /// Product of the dimensions inside the axis.
        pub inner: u32,
        /// 1 for the largest, 0 for the smallest.
        pub largest: u32,
    }
}

/// ONNX `TopK`: int32 indices of the `k` largest or smallest elements along an axis, best first.
#[derive(Debug)]
pub struct TopK;

/// A float as an integer of the same order: -0.0 equals 0.0, and a NaN is above all numbers.
fn float_key(v: f32) -> i64 {
    if v.is_nan() {
        return i64::MAX;
    }
    // Adding 0.0 turns -0.0 into 0.0.
    let bits = (v + 0.0).to_bits().cast_signed();
    i64::from(if bits < 0 { bits ^ i32::MAX } else { bits })
}

fn run_on<T: bytemuck::AnyBitPattern>(
    memory: &mut Memory<'_, '_>,
    p: &TopKParams,
    key: impl Fn(T) -> i64,
) -> Result<(), Fault> {
    let (x, y) = memory.unary::<T, i32>(0)?;
    // The complement turns an order round.
    let key = |v| if p.largest != 0 { key(v) } else { !key(v) };
    kernels::top_k([p.axis, p.k, p.inner], x, y, key).ok_or(Fault)
}

impl Operator for TopK {
    type Params = TopKParams;

    fn check(check: &Check<'_>, p: &TopKParams) -> Result<(), Rule> {
        check.arity(1)?;
        let dtype = check.input(0)?.dtype;
        if dtype == DataType::Bool {
            return Err(Rule::DataType);
        }
        check.expect_input(0, dtype, volume(&[p.outer, p.axis, p.inner])?)?;
        check.expect_output(DataType::I32, volume(&[p.outer, p.k, p.inner])?)?;
        (p.k <= p.axis).then_some(()).ok_or(Rule::Parameter)
    }

    fn run(memory: &mut Memory<'_, '_>, p: &TopKParams) -> Result<(), Fault> {
        match memory.input_tensor(0)?.dtype {
            DataType::F32 => run_on(memory, p, float_key),
            DataType::I8 => run_on::<i8>(memory, p, i64::from),
            DataType::U8 => run_on::<u8>(memory, p, i64::from),
            DataType::I16 => run_on::<i16>(memory, p, i64::from),
            DataType::U16 => run_on::<u16>(memory, p, i64::from),
            DataType::I32 => run_on::<i32>(memory, p, i64::from),
            DataType::I64 => run_on::<[u32; 2]>(memory, p, |[low, high]| {
                i64::from(high.cast_signed()) << 32 | i64::from(low)
            }),
            DataType::Bool => Err(Fault),
        }
    }
}
