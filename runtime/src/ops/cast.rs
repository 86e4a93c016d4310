//! Cast between types. QuantizeLinear and DequantizeLinear are others, see `quantize`.

use super::{Check, Memory, Operator};
use crate::artifact::DataType;
use crate::error::{Fault, Rule};
use crate::kernels::integer;

/// Checks one input and one output of the same length, both integers or float as told.
fn check(check: &Check<'_>, from_float: bool, to_float: bool) -> Result<(), Rule> {
    check.arity(1)?;
    let (input, output) = (check.input(0)?, check.output()?);
    if input.dtype.is_integer() == from_float || output.dtype.is_integer() == to_float {
        return Err(Rule::DataType);
    }
    check.expect_output(output.dtype, input.len() as u64)?;
    Ok(())
}

/// Integers (bool included) to integers: the low bits; to bool whether it is not 0.
#[derive(Debug)]
pub struct CastInt;

impl Operator for CastInt {
    type Params = ();
    fn check(tensors: &Check<'_>, (): &()) -> Result<(), Rule> {
        check(tensors, false, false)
    }
    fn run(memory: &mut Memory<'_, '_>, (): &()) -> Result<(), Fault> {
        let ([x], mut y) = memory.bytes::<1>()?;
        let len = y.1.len() / y.0.bytes().max(1);
        for i in 0..len {
            let value = integer::load(x, i).ok_or(Fault)?;
            integer::store(&mut y, i, value).ok_or(Fault)?;
        }
        Ok(())
    }
}

/// Integers (bool included) to floats: rounded to nearest, ties to even.
#[derive(Debug)]
pub struct CastIntToF32;

impl Operator for CastIntToF32 {
    type Params = ();
    fn check(tensors: &Check<'_>, (): &()) -> Result<(), Rule> {
        check(tensors, false, true)
    }
    fn run(memory: &mut Memory<'_, '_>, (): &()) -> Result<(), Fault> {
        let ([x], (_, y)) = memory.bytes::<1>()?;
        for (i, y) in y.as_chunks_mut::<4>().0.iter_mut().enumerate() {
            let value = integer::load(x, i).ok_or(Fault)?;
            *y = (value as f32).to_le_bytes();
        }
        Ok(())
    }
}

/// Floats to integers: rounded toward zero, the type's nearest where it is beyond the range, 0 for
/// a NaN. To bool: whether it is not 0, which a NaN is not.
#[derive(Debug)]
pub struct CastF32ToInt;

impl Operator for CastF32ToInt {
    type Params = ();
    fn check(tensors: &Check<'_>, (): &()) -> Result<(), Rule> {
        check(tensors, true, false)
    }
    fn run(memory: &mut Memory<'_, '_>, (): &()) -> Result<(), Fault> {
        let ([(_, x)], mut y) = memory.bytes::<1>()?;
        for (i, x) in x.as_chunks::<4>().0.iter().enumerate() {
            let x = f32::from_le_bytes(*x);
            let value = match y.0 {
                DataType::I8 => i64::from(x as i8),
                DataType::U8 => i64::from(x as u8),
                DataType::I16 => i64::from(x as i16),
                DataType::U16 => i64::from(x as u16),
                DataType::I32 => i64::from(x as i32),
                DataType::I64 => x as i64,
                DataType::Bool => i64::from(x != 0.0),
                DataType::F32 => return Err(Fault),
            };
            integer::store(&mut y, i, value).ok_or(Fault)?;
        }
        Ok(())
    }
}
