//! Integers of any type, widened to 64 bits and wrapped back: one loop for all types and
//! functions, because models use them for a few indices and masks, and code costs flash.

use super::Strides;
use super::strided::for_each_row;
use crate::artifact::DataType;

/// The elements of a tensor as bytes, and their type.
pub(crate) type Source<'s> = (DataType, &'s [u8]);
/// Where elements go, and their type.
pub(crate) type Target<'s> = (DataType, &'s mut [u8]);

fn element<const N: usize>(bytes: &[u8], i: usize) -> Option<[u8; N]> {
    bytes.get(i.checked_mul(N)?..)?.first_chunk::<N>().copied()
}

/// Element `i`; a bool as 0 or 1. `None` beyond the end, and for floats.
pub(crate) fn load((dtype, bytes): Source<'_>, i: usize) -> Option<i64> {
    Some(match dtype {
        DataType::I8 => i8::from_le_bytes(element(bytes, i)?).into(),
        DataType::U8 => u8::from_le_bytes(element(bytes, i)?).into(),
        DataType::Bool => i64::from(element::<1>(bytes, i)? != [0]),
        DataType::I16 => i16::from_le_bytes(element(bytes, i)?).into(),
        DataType::U16 => u16::from_le_bytes(element(bytes, i)?).into(),
        DataType::I32 => i32::from_le_bytes(element(bytes, i)?).into(),
        DataType::I64 => i64::from_le_bytes(element(bytes, i)?),
        DataType::F32 => return None,
    })
}

/// Writes element `i`: the low bits of `value`, or, for bool, whether it is not 0.
pub(crate) fn store((dtype, bytes): &mut Target<'_>, i: usize, value: i64) -> Option<()> {
    let size = dtype.bytes();
    let value = match dtype {
        DataType::Bool => i64::from(value != 0),
        _ => value,
    };
    let place = bytes.get_mut(i.checked_mul(size)?..)?.get_mut(..size)?;
    for (byte, from) in place.iter_mut().zip(value.to_le_bytes()) {
        *byte = from;
    }
    Some(())
}

/// `y[i] = f(a[i], b[i])` with broadcasting.
pub(crate) fn broadcast(
    walks: [&Strides; 2],
    [a, b]: [Source<'_>; 2],
    mut y: Target<'_>,
    f: fn(i64, i64) -> i64,
) -> Option<()> {
    let [walk_a, walk_b] = walks;
    let (len, stride_a) = walk_a.inner();
    let (_, stride_b) = walk_b.inner();
    let mut at = 0;
    for_each_row(walks, |[mut i, mut j]| {
        for _ in 0..len {
            store(&mut y, at, f(load(a, i)?, load(b, j)?))?;
            at += 1;
            i = i.checked_add(stride_a)?;
            j = j.checked_add(stride_b)?;
        }
        Some(())
    })
}

/// The quotient, rounded toward zero; 0 when the divisor is.
pub(crate) fn divide(a: i64, b: i64) -> i64 {
    if b == 0 { 0 } else { a.wrapping_div(b) }
}

/// The remainder of [`divide`], with the sign of `a`; 0 when the divisor is.
pub(crate) fn remainder(a: i64, b: i64) -> i64 {
    if b == 0 { 0 } else { a.wrapping_rem(b) }
}

/// The remainder with the sign of the divisor, as Python has it; 0 when the divisor is.
pub(crate) fn floor_mod(a: i64, b: i64) -> i64 {
    let rest = remainder(a, b);
    if rest != 0 && (rest < 0) != (b < 0) {
        rest.wrapping_add(b)
    } else {
        rest
    }
}

/// `a` to the power `b`; for a negative exponent the real value, rounded toward zero.
pub(crate) fn pow(a: i64, b: i64) -> i64 {
    if b < 0 {
        return match a {
            1 => 1,
            -1 if b & 1 == 0 => 1,
            -1 => -1,
            _ => 0,
        };
    }
    let (mut base, mut exponent, mut result) = (a, b, 1i64);
    while exponent > 0 {
        if exponent & 1 == 1 {
            result = result.wrapping_mul(base);
        }
        base = base.wrapping_mul(base);
        exponent >>= 1;
    }
    result
}

/// `a << b`; 0 when no bit can be left.
pub(crate) fn shift_left(a: i64, b: i64) -> i64 {
    if (0..64).contains(&b) { a << b } else { 0 }
}

/// `a >> b`; what is left behind the last bit is the sign.
pub(crate) fn shift_right(a: i64, b: i64) -> i64 {
    if (0..64).contains(&b) {
        a >> b
    } else {
        a >> 63
    }
}
