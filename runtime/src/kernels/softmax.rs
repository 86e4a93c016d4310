//! Softmax over rows.

use crate::numerics::{OutputStage, exp};

/// Softmax over each run of `len` elements.
pub(crate) fn softmax_f32(len: u32, x: &[f32], y: &mut [f32]) -> Option<()> {
    let len = (len as usize).max(1);
    for (x, y) in x.chunks_exact(len).zip(y.chunks_exact_mut(len)) {
        let mut largest = f32::NEG_INFINITY;
        for &x in x {
            if x > largest {
                largest = x;
            }
        }
        let mut total = 0.0f32;
        for (y, &x) in y.iter_mut().zip(x) {
            *y = exp(x - largest);
            total += *y;
        }
        for y in y {
            *y /= total;
        }
    }
    Some(())
}

/// Softmax of int8 over each run of `len` elements. `exponentials[d]` is e^(-d * input scale).
pub(crate) fn softmax_i8(
    len: u32,
    exponentials: &[f32; 256],
    output_scale: f32,
    stage: OutputStage,
    x: &[i8],
    y: &mut [i8],
) -> Option<()> {
    let len = (len as usize).max(1);
    for (x, y) in x.chunks_exact(len).zip(y.chunks_exact_mut(len)) {
        let largest = x.iter().copied().fold(i8::MIN, i8::max);
        // The difference of two int8 fits in eight bits without a sign: no index is out of range.
        let exponential = |x: i8| {
            let distance = largest.wrapping_sub(x).cast_unsigned();
            exponentials.get(usize::from(distance)).copied()
        };
        let mut total = 0.0f32;
        for &x in x {
            total += exponential(x)?;
        }
        for (y, &x) in y.iter_mut().zip(x) {
            *y = stage.quantize(exponential(x)? / total / output_scale);
        }
    }
    Some(())
}
