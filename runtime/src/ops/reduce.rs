//! Reductions along the middle of three dimensions, the place of the largest or smallest element,
//! and running sums.

use super::{Check, Memory, Operator};
use crate::artifact::{DataType, record};
use crate::error::{Fault, Rule};
use crate::functions;
use crate::kernels::{self, Lanes, integer};

record! {
    /// Parameters of the reductions: the input is `[outer][len][inner]`, the output
    /// `[outer][inner]`.
    pub struct ReduceParams {
        /// Number of blocks.
        pub outer: u32,
        /// Elements that become one.
        pub len: u32,
        /// Elements that lie between two of these.
        pub inner: u32,
    }
}

record! {
    /// Parameters of ArgMax and ArgMin.
    pub struct ArgParams {
        /// Number of blocks.
        pub outer: u32,
        /// Elements of which one is found.
        pub len: u32,
        /// Elements that lie between two of these.
        pub inner: u32,
        /// 1 when the last one of equal elements is meant, 0 when the first one is.
        pub last: u32,
    }
}

record! {
    /// Parameters of CumSum: input and output are `[outer][len][inner]`.
    pub struct CumSumParams {
        /// Number of blocks.
        pub outer: u32,
        /// Elements that are summed up.
        pub len: u32,
        /// Elements that lie between two of these.
        pub inner: u32,
        /// 1 when an element's sum does not hold the element itself.
        pub exclusive: u32,
        /// 1 when the sum starts at the last element.
        pub reverse: u32,
    }
}

fn check_sizes(
    check: &Check<'_>,
    [outer, len, inner]: [u32; 3],
    float: bool,
    output: Option<DataType>,
    keeps_len: bool,
) -> Result<(), Rule> {
    check.arity(1)?;
    let dtype = check.input(0)?.dtype;
    if dtype.is_integer() == float {
        return Err(Rule::DataType);
    }
    check.expect_input(0, dtype, kernels::volume(&[outer, len, inner])?)?;
    let kept = if keeps_len { len } else { 1 };
    let elements = kernels::volume(&[outer, kept, inner])?;
    check.expect_output(output.unwrap_or(dtype), elements)?;
    Ok(())
}

fn lanes([outer, len, inner]: [u32; 3]) -> Lanes {
    Lanes {
        outer: outer as usize,
        len: len as usize,
        inner: inner as usize,
    }
}

macro_rules! reductions {
    ($($float:ident, $int:ident: $start:expr, $f:expr, $int_start:expr, $int_f:expr, $what:literal;)*) => {$(
        #[doc = concat!($what, " of floats, in ascending order.")]
        #[derive(Debug)]
        pub struct $float;

        impl Operator for $float {
            type Params = ReduceParams;
            fn check(check: &Check<'_>, p: &ReduceParams) -> Result<(), Rule> {
                check_sizes(check, [p.outer, p.len, p.inner], true, None, false)
            }
            fn run(memory: &mut Memory<'_, '_>, p: &ReduceParams) -> Result<(), Fault> {
                let (x, y) = memory.unary::<f32, f32>(0)?;
                let f: fn(f32, f32) -> f32 = $f;
                let mut y = y.iter_mut();
                lanes([p.outer, p.len, p.inner])
                    .for_each(|lane| {
                        let mut value: f32 = $start;
                        for i in lane {
                            value = f(value, *x.get(i)?);
                        }
                        *y.next()? = value;
                        Some(())
                    })
                    .ok_or(Fault)
            }
        }

        #[doc = concat!($what, " of integers: in 64 bits, wrapped to the type.")]
        #[derive(Debug)]
        pub struct $int;

        impl Operator for $int {
            type Params = ReduceParams;
            fn check(check: &Check<'_>, p: &ReduceParams) -> Result<(), Rule> {
                check_sizes(check, [p.outer, p.len, p.inner], false, None, false)
            }
            fn run(memory: &mut Memory<'_, '_>, p: &ReduceParams) -> Result<(), Fault> {
                reduce_integers(memory, p, $int_start, $int_f)
            }
        }
    )*};
}

fn reduce_integers(
    memory: &mut Memory<'_, '_>,
    p: &ReduceParams,
    start: i64,
    f: fn(i64, i64) -> i64,
) -> Result<(), Fault> {
    let ([x], mut y) = memory.bytes::<1>()?;
    let mut at = 0;
    lanes([p.outer, p.len, p.inner])
        .for_each(|lane| {
            let mut value = start;
            for i in lane {
                value = f(value, integer::load(x, i)?);
            }
            integer::store(&mut y, at, value)?;
            at += 1;
            Some(())
        })
        .ok_or(Fault)
}

reductions! {
    ReduceSumF32, ReduceSumInt: 0.0, |a, b| a + b, 0, i64::wrapping_add, "The sum";
    ReduceProdF32, ReduceProdInt: 1.0, |a, b| a * b, 1, i64::wrapping_mul, "The product";
    ReduceMaxF32, ReduceMaxInt: f32::NEG_INFINITY, functions::max,
        i64::MIN, |a, b| if a > b { a } else { b }, "The largest";
    ReduceMinF32, ReduceMinInt: f32::INFINITY, functions::min,
        i64::MAX, |a, b| if a < b { a } else { b }, "The smallest";
}

/// Writes the index of the element that no other one beats.
fn find<T: Copy>(
    p: &ArgParams,
    mut load: impl FnMut(usize) -> Option<T>,
    y: &mut [[u32; 2]],
    beats: fn(T, T) -> bool,
) -> Result<(), Fault> {
    let mut y = y.iter_mut();
    lanes([p.outer, p.len, p.inner])
        .for_each(|mut lane| {
            let mut best = load(lane.next()?)?;
            let mut place = 0;
            for (i, at) in (1u32..).zip(lane) {
                let value = load(at)?;
                if beats(value, best) || (p.last != 0 && !beats(best, value)) {
                    (best, place) = (value, i);
                }
            }
            *y.next()? = [place, 0];
            Some(())
        })
        .ok_or(Fault)
}

macro_rules! places {
    ($($float:ident, $int:ident: $beats:expr, $int_beats:expr, $what:literal;)*) => {$(
        #[doc = concat!("ONNX's ", $what, " of floats; the indices are int64.")]
        #[derive(Debug)]
        pub struct $float;

        impl Operator for $float {
            type Params = ArgParams;
            fn check(check: &Check<'_>, p: &ArgParams) -> Result<(), Rule> {
                check_sizes(check, [p.outer, p.len, p.inner], true, Some(DataType::I64), false)
            }
            fn run(memory: &mut Memory<'_, '_>, p: &ArgParams) -> Result<(), Fault> {
                let (x, y) = memory.unary::<f32, [u32; 2]>(0)?;
                find(p, |i| x.get(i).copied(), y, $beats)
            }
        }

        #[doc = concat!("ONNX's ", $what, " of integers; the indices are int64.")]
        #[derive(Debug)]
        pub struct $int;

        impl Operator for $int {
            type Params = ArgParams;
            fn check(check: &Check<'_>, p: &ArgParams) -> Result<(), Rule> {
                check_sizes(check, [p.outer, p.len, p.inner], false, Some(DataType::I64), false)
            }
            fn run(memory: &mut Memory<'_, '_>, p: &ArgParams) -> Result<(), Fault> {
                let ([x], (_, y)) = memory.bytes::<1>()?;
                let y = bytemuck::try_cast_slice_mut(y).map_err(|_| Fault)?;
                find(p, |i| integer::load(x, i), y, $int_beats)
            }
        }
    )*};
}

// A NaN beats all that is none, as NumPy has it.
places! {
    ArgMaxF32, ArgMaxInt:
        |a: f32, b: f32| a > b || (a.is_nan() && !b.is_nan()), |a: i64, b: i64| a > b, "ArgMax";
    ArgMinF32, ArgMinInt:
        |a: f32, b: f32| a < b || (a.is_nan() && !b.is_nan()), |a: i64, b: i64| a < b, "ArgMin";
}

/// The running sum along a lane: calls `step` with each index and the sum for it.
fn accumulate<T: Copy>(
    p: &CumSumParams,
    zero: T,
    mut load: impl FnMut(usize) -> Option<T>,
    add: fn(T, T) -> T,
    mut step: impl FnMut(usize, T) -> Option<()>,
) -> Result<(), Fault> {
    let inner = p.inner as usize;
    lanes([p.outer, p.len, p.inner])
        .for_each(|lane| {
            let mut sum = zero;
            let mut one = |i: usize| {
                let value = load(i)?;
                let before = sum;
                sum = add(sum, value);
                step(i, if p.exclusive != 0 { before } else { sum })
            };
            if p.reverse != 0 {
                let mut i = lane.last_index()?;
                for _ in 0..p.len {
                    one(i)?;
                    i = i.wrapping_sub(inner);
                }
            } else {
                for i in lane {
                    one(i)?;
                }
            }
            Some(())
        })
        .ok_or(Fault)
}

/// ONNX's CumSum of floats.
#[derive(Debug)]
pub struct CumSumF32;

impl Operator for CumSumF32 {
    type Params = CumSumParams;
    fn check(check: &Check<'_>, p: &CumSumParams) -> Result<(), Rule> {
        check_sizes(check, [p.outer, p.len, p.inner], true, None, true)
    }
    fn run(memory: &mut Memory<'_, '_>, p: &CumSumParams) -> Result<(), Fault> {
        let (x, y) = memory.unary::<f32, f32>(0)?;
        accumulate(
            p,
            0.0,
            |i| x.get(i).copied(),
            |a, b| a + b,
            |i, sum| {
                *y.get_mut(i)? = sum;
                Some(())
            },
        )
    }
}

/// ONNX's CumSum of integers: in 64 bits, wrapped to the type.
#[derive(Debug)]
pub struct CumSumInt;

impl Operator for CumSumInt {
    type Params = CumSumParams;
    fn check(check: &Check<'_>, p: &CumSumParams) -> Result<(), Rule> {
        check_sizes(check, [p.outer, p.len, p.inner], false, None, true)
    }
    fn run(memory: &mut Memory<'_, '_>, p: &CumSumParams) -> Result<(), Fault> {
        let ([x], mut y) = memory.bytes::<1>()?;
        accumulate(
            p,
            0,
            |i| integer::load(x, i),
            i64::wrapping_add,
            |i, sum| integer::store(&mut y, i, sum),
        )
    }
}
