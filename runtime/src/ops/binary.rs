//! Functions of two tensors with ONNX's broadcasting, beyond Add and Mul: floats to floats, floats
//! to bool, integers, and the choice between two tensors.

use super::elementwise::{BinaryF32Params, check_walks, overlap, run_f32};
use super::{Check, Memory, Operator, Overlap, by_size};
use crate::artifact::{DataType, record};
use crate::error::{Fault, Rule};
use crate::functions;
use crate::kernels::{self, Strides, integer};

record! {
    /// Parameters of the comparisons and of the integer functions.
    pub struct WalksParams {
        /// The output's dimensions, and the steps through each input.
        pub walks: [Strides; 2],
    }
}

record! {
    /// Parameters of [`Where`].
    pub struct WhereParams {
        /// The output's dimensions, and the steps through condition and both choices.
        pub walks: [Strides; 3],
    }
}

macro_rules! floats {
    ($($name:ident: $f:expr, $what:literal;)*) => {$(
        #[doc = concat!("ONNX's ", $what, " of floats with a fused clamp.")]
        #[derive(Debug)]
        pub struct $name;

        impl Operator for $name {
            type Params = BinaryF32Params;
            fn check(check: &Check<'_>, p: &BinaryF32Params) -> Result<(), Rule> {
                check_walks(check, &p.walks, DataType::F32, DataType::F32)
            }
            fn overlap(check: &Check<'_>, p: &BinaryF32Params, i: usize) -> Option<Overlap> {
                overlap(check, &p.walks, i)
            }
            fn run(memory: &mut Memory<'_, '_>, p: &BinaryF32Params) -> Result<(), Fault> {
                run_f32(memory, p, $f)
            }
        }
    )*};
}

floats! {
    SubF32: |a: f32, b: f32| a - b, "Sub";
    DivF32: |a: f32, b: f32| a / b, "Div";
    PowF32: functions::pow, "Pow";
    MinF32: functions::min, "Min";
    MaxF32: functions::max, "Max";
    FmodF32: functions::fmod, "Mod with `fmod`";
    PReluF32: |x: f32, slope: f32| if x < 0.0 { slope * x } else { x }, "PRelu";
}

macro_rules! float_comparisons {
    ($($name:ident: $f:expr, $what:literal;)*) => {$(
        #[doc = concat!("ONNX's ", $what, " of floats.")]
        #[derive(Debug)]
        pub struct $name;

        impl Operator for $name {
            type Params = WalksParams;
            fn check(check: &Check<'_>, p: &WalksParams) -> Result<(), Rule> {
                check_walks(check, &p.walks, DataType::F32, DataType::Bool)
            }
            fn run(memory: &mut Memory<'_, '_>, p: &WalksParams) -> Result<(), Fault> {
                let (a, b, y) = memory.binary::<f32, u8>()?;
                let [walk_a, walk_b] = &p.walks;
                let f: fn(&f32, &f32) -> bool = $f;
                kernels::broadcast([walk_a, walk_b], a, b, y, |a, b| u8::from(f(&a, &b)))
                    .ok_or(Fault)
            }
        }
    )*};
}

float_comparisons! {
    EqualF32: |a, b| a == b, "Equal";
    LessF32: |a, b| a < b, "Less";
    LessOrEqualF32: |a, b| a <= b, "LessOrEqual";
}

/// Inputs of one integer type (bool included), and an output of it or of bool.
fn check_integers(check: &Check<'_>, p: &WalksParams, to_bool: bool) -> Result<(), Rule> {
    let dtype = check.input(0)?.dtype;
    if !dtype.is_integer() {
        return Err(Rule::DataType);
    }
    let output = if to_bool { DataType::Bool } else { dtype };
    check_walks(check, &p.walks, dtype, output)
}

fn run_integers(
    memory: &mut Memory<'_, '_>,
    p: &WalksParams,
    f: fn(i64, i64) -> i64,
) -> Result<(), Fault> {
    let ([a, b], y) = memory.bytes::<2>()?;
    let [walk_a, walk_b] = &p.walks;
    integer::broadcast([walk_a, walk_b], [a, b], y, f).ok_or(Fault)
}

macro_rules! integers {
    ($($name:ident($to_bool:literal): $f:expr, $what:literal;)*) => {$(
        #[doc = concat!("ONNX's ", $what, " of integers: in 64 bits, wrapped to the type.")]
        #[derive(Debug)]
        pub struct $name;

        impl Operator for $name {
            type Params = WalksParams;
            fn check(check: &Check<'_>, p: &WalksParams) -> Result<(), Rule> {
                check_integers(check, p, $to_bool)
            }
            fn run(memory: &mut Memory<'_, '_>, p: &WalksParams) -> Result<(), Fault> {
                run_integers(memory, p, $f)
            }
        }
    )*};
}

integers! {
    AddInt(false): i64::wrapping_add, "Add";
    SubInt(false): i64::wrapping_sub, "Sub";
    MulInt(false): i64::wrapping_mul, "Mul";
    DivInt(false): integer::divide, "Div";
    ModInt(false): integer::floor_mod, "Mod";
    FmodInt(false): integer::remainder, "Mod with `fmod`";
    PowInt(false): integer::pow, "Pow";
    MinInt(false): |a, b| if a < b { a } else { b }, "Min";
    MaxInt(false): |a, b| if a > b { a } else { b }, "Max";
    AndInt(false): |a, b| a & b, "And and BitwiseAnd";
    OrInt(false): |a, b| a | b, "Or and BitwiseOr";
    XorInt(false): |a, b| a ^ b, "Xor and BitwiseXor";
    ShiftLeftInt(false): integer::shift_left, "BitShift to the left";
    ShiftRightInt(false): integer::shift_right, "BitShift to the right";
    EqualInt(true): |a, b| i64::from(a == b), "Equal";
    LessInt(true): |a, b| i64::from(a < b), "Less";
    LessOrEqualInt(true): |a, b| i64::from(a <= b), "LessOrEqual";
}

/// ONNX's Where: an element of input 1 where input 0 is true, of input 2 elsewhere; any type.
#[derive(Debug)]
pub struct Where;

impl Operator for Where {
    type Params = WhereParams;

    fn check(check: &Check<'_>, p: &WhereParams) -> Result<(), Rule> {
        check.arity(3)?;
        let [condition, a, b] = &p.walks;
        if condition.dims != a.dims || condition.dims != b.dims {
            return Err(Rule::ShapeMismatch);
        }
        let dtype = check.output()?.dtype;
        check.expect_output(dtype, condition.steps()?)?;
        check.expect_input(0, DataType::Bool, condition.reach())?;
        check.expect_input(1, dtype, a.reach())?;
        check.expect_input(2, dtype, b.reach())?;
        Ok(())
    }

    fn run(memory: &mut Memory<'_, '_>, p: &WhereParams) -> Result<(), Fault> {
        let dtype = memory.input_tensor(1)?.dtype;
        let ([condition, a, b], (_, y)) = memory.bytes::<3>()?;
        let [walk_condition, walk_a, walk_b] = &p.walks;
        by_size!(dtype, T => {
            let a: &[T] = bytemuck::try_cast_slice(a.1).map_err(|_| Fault)?;
            let b: &[T] = bytemuck::try_cast_slice(b.1).map_err(|_| Fault)?;
            let y: &mut [T] = bytemuck::try_cast_slice_mut(y).map_err(|_| Fault)?;
            kernels::choose([walk_condition, walk_a, walk_b], condition.1, [a, b], y).ok_or(Fault)
        })
    }
}
