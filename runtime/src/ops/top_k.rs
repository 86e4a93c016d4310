//! TopK: the indices; the values are a GatherElements with them.

use super::{Check, Memory, Operator};
use crate::artifact::{DataType, record};
use crate::error::{Fault, Rule};
use crate::kernels::{self, integer, volume};

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

/// The element at an index, as an integer of the same order.
fn key_at((dtype, x): integer::Source<'_>, index: usize) -> Option<i64> {
    if dtype == DataType::F32 {
        let x = x.as_chunks::<4>().0.get(index)?;
        return Some(float_key(f32::from_le_bytes(*x)));
    }
    integer::load((dtype, x), index)
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
        let dtype = memory.input_tensor(0)?.dtype;
        let (x, y) = memory.unary::<u8, i32>(0)?;
        // The complement turns an order round.
        let key = |index| match key_at((dtype, x), index) {
            Some(key) if p.largest == 0 => Some(!key),
            key => key,
        };
        kernels::top_k([p.axis, p.k, p.inner], y, key).ok_or(Fault)
    }
}
