//! Reductions of rows of floats: one value for each row, or a running one.

use super::{Check, Memory, Operator};
use crate::artifact::{DataType, record};
use crate::error::{Fault, Rule};
use crate::kernels::{largest, log_sum_exp, volume};
use crate::numerics::{ln, sqrt};

record! {
    /// Parameters of reductions, [`ArgMaxF32`] and [`ArgMinF32`] aside.
    pub struct ReduceParams {
        /// Number of rows.
        pub rows: u32,
        /// Elements of one row.
        pub len: u32,
    }
}

record! {
    /// Parameters of [`ArgMaxF32`] and [`ArgMinF32`].
    pub struct ArgParams {
        /// Number of rows.
        pub rows: u32,
        /// Elements of one row.
        pub len: u32,
        /// Of equal elements: 0 takes the first, 1 the last.
        pub last: u32,
    }
}

record! {
    /// Parameters of [`CumSum`].
    pub struct CumSumParams {
        /// Number of rows.
        pub rows: u32,
        /// Elements of one row.
        pub len: u32,
        /// 1 when an element does not count in its own sum.
        pub exclusive: u32,
        /// 1 when sums run from the last element to the first.
        pub reverse: u32,
    }
}

fn check_rows(check: &Check<'_>, rows: u32, len: u32) -> Result<(), Rule> {
    check.arity(1)?;
    check.expect_input(0, DataType::F32, volume(&[rows, len])?)?;
    Ok(())
}

/// Folds each row in ascending order from `start`.
fn reduce(
    memory: &mut Memory<'_, '_>,
    p: &ReduceParams,
    start: f32,
    step: impl Fn(f32, f32) -> f32,
    finish: impl Fn(f32) -> f32,
) -> Result<(), Fault> {
    let (x, y) = memory.unary::<f32, f32>(0)?;
    let rows = x.chunks_exact((p.len as usize).max(1));
    for (row, y) in rows.zip(y) {
        *y = finish(row.iter().fold(start, |sum, &x| step(sum, x)));
    }
    Ok(())
}

macro_rules! reduction {
    ($name:ident, $what:literal, $start:expr, $step:expr, $finish:expr) => {
        #[doc = $what]
        #[derive(Debug)]
        pub struct $name;

        impl Operator for $name {
            type Params = ReduceParams;

            fn check(check: &Check<'_>, p: &ReduceParams) -> Result<(), Rule> {
                check_rows(check, p.rows, p.len)?;
                check.expect_output(DataType::F32, u64::from(p.rows))?;
                Ok(())
            }

            fn run(memory: &mut Memory<'_, '_>, p: &ReduceParams) -> Result<(), Fault> {
                reduce(memory, p, $start, $step, $finish)
            }
        }
    };
}

reduction!(
    ReduceSumF32,
    "ONNX `ReduceSum` of rows.",
    0.0,
    |sum, x| sum + x,
    |sum| sum
);
reduction!(
    ReduceProdF32,
    "ONNX `ReduceProd` of rows.",
    1.0,
    |product, x| product * x,
    |product| product
);
reduction!(
    ReduceMinF32,
    "ONNX `ReduceMin` of rows; NaN never wins.",
    f32::INFINITY,
    |least, x| if x < least { x } else { least },
    |least| least
);
reduction!(
    ReduceSumSquareF32,
    "ONNX `ReduceSumSquare` of rows.",
    0.0,
    |sum, x| sum + x * x,
    |sum| sum
);
reduction!(
    ReduceL1F32,
    "ONNX `ReduceL1` of rows.",
    0.0,
    |sum, x: f32| sum + x.abs(),
    |sum| sum
);
reduction!(
    ReduceL2F32,
    "ONNX `ReduceL2` of rows.",
    0.0,
    |sum, x| sum + x * x,
    sqrt
);
reduction!(
    ReduceLogSumF32,
    "ONNX `ReduceLogSum` of rows.",
    0.0,
    |sum, x| sum + x,
    ln
);

/// ONNX `ReduceLogSumExp` of rows, so that no exponential overflows.
#[derive(Debug)]
pub struct ReduceLogSumExpF32;

impl Operator for ReduceLogSumExpF32 {
    type Params = ReduceParams;

    fn check(check: &Check<'_>, p: &ReduceParams) -> Result<(), Rule> {
        ReduceSumF32::check(check, p)
    }

    fn run(memory: &mut Memory<'_, '_>, p: &ReduceParams) -> Result<(), Fault> {
        let (x, y) = memory.unary::<f32, f32>(0)?;
        for (row, y) in x.chunks_exact((p.len as usize).max(1)).zip(y) {
            let largest = largest(row);
            *y = log_sum_exp(row, largest) + largest;
        }
        Ok(())
    }
}

macro_rules! arg {
    ($name:ident, $what:literal, $better:expr) => {
        #[doc = $what]
        #[derive(Debug)]
        pub struct $name;

        impl Operator for $name {
            type Params = ArgParams;

            fn check(check: &Check<'_>, p: &ArgParams) -> Result<(), Rule> {
                check_rows(check, p.rows, p.len)?;
                check.expect_output(DataType::I64, u64::from(p.rows))?;
                Ok(())
            }

            fn run(memory: &mut Memory<'_, '_>, p: &ArgParams) -> Result<(), Fault> {
                let better: fn(f32, f32) -> bool = $better;
                let (x, y) = memory.unary::<f32, [u32; 2]>(0)?;
                for (row, y) in x.chunks_exact((p.len as usize).max(1)).zip(y) {
                    let mut best = (0, f32::NAN);
                    for (i, &x) in (0u32..).zip(row) {
                        // The first element is taken whatever it is; a NaN is never better.
                        let wins = i == 0 || better(x, best.1) || (p.last != 0 && x == best.1);
                        if wins {
                            best = (i, x);
                        }
                    }
                    *y = [best.0, 0];
                }
                Ok(())
            }
        }
    };
}

arg!(
    ArgMaxF32,
    "ONNX `ArgMax` of rows: the index of the largest element, an int64.",
    |a, b| a > b
);
arg!(
    ArgMinF32,
    "ONNX `ArgMin` of rows: the index of the smallest element, an int64.",
    |a, b| a < b
);

/// ONNX `CumSum` of rows, of float32 or int32.
#[derive(Debug)]
pub struct CumSum;

impl Operator for CumSum {
    type Params = CumSumParams;

    fn check(check: &Check<'_>, p: &CumSumParams) -> Result<(), Rule> {
        check.arity(1)?;
        let dtype = check.input(0)?.dtype;
        if !matches!(dtype, DataType::F32 | DataType::I32) {
            return Err(Rule::DataType);
        }
        let len = volume(&[p.rows, p.len])?;
        check.expect_input(0, dtype, len)?;
        check.expect_output(dtype, len)?;
        Ok(())
    }

    fn run(memory: &mut Memory<'_, '_>, p: &CumSumParams) -> Result<(), Fault> {
        if memory.input_tensor(0)?.dtype == DataType::F32 {
            let (x, y) = memory.unary::<f32, f32>(0)?;
            running(p, x, y, |sum, x| sum + x);
        } else {
            let (x, y) = memory.unary::<i32, i32>(0)?;
            running(p, x, y, i32::wrapping_add);
        }
        Ok(())
    }
}

fn running<T: Copy + Default>(p: &CumSumParams, x: &[T], y: &mut [T], add: impl Fn(T, T) -> T) {
    let len = (p.len as usize).max(1);
    for (x, y) in x.chunks_exact(len).zip(y.chunks_exact_mut(len)) {
        let pairs = y.iter_mut().zip(x);
        let mut sum = T::default();
        let mut step = |(y, &x): (&mut T, &T)| {
            let before = sum;
            sum = add(sum, x);
            *y = if p.exclusive != 0 { before } else { sum };
        };
        if p.reverse != 0 {
            pairs.rev().for_each(&mut step);
        } else {
            pairs.for_each(&mut step);
        }
    }
}
