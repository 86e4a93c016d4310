//! The arithmetic that every home shares; `NUMERICS.md` is the text that it implements.

/// 1.5 x 2²³: adding it moves the fraction of a small f32 out of the mantissa, so that the
/// addition itself rounds to an integer, half to even.
const ROUNDER: f32 = 12_582_912.0;

/// Rounds half to even. Exact for every |v| ≤ 2²²; callers clamp first.
///
/// IEEE-754 requires the addition to be rounded half to even, and at 2²³ one unit in the last
/// place is 1: the low bits of the sum are the integer, in two's complement.
#[inline(always)]
pub fn round_half_even(v: f32) -> i32 {
    ((v + ROUNDER).to_bits())
        .wrapping_sub(ROUNDER.to_bits())
        .cast_signed()
}

/// Clamps with comparisons that say where NaN goes: to `low`.
#[inline(always)]
pub fn clamp_total(v: f32, low: f32, high: f32) -> f32 {
    if v >= low {
        if v > high { high } else { v }
    } else {
        low
    }
}

/// Clamps and lets NaN through, as ONNX's Relu and Clip do.
#[inline(always)]
pub fn clamp_f32(v: f32, low: f32, high: f32) -> f32 {
    if v < low {
        low
    } else if v > high {
        high
    } else {
        v
    }
}

/// How an exact real value becomes an int8: the zero point and the clamp of a quantised tensor.
///
/// The bounds are kept relative to the zero point. As they are integers, clamping before the
/// rounding gives what clamping after it would, and keeps the rounding inside its exact range.
#[derive(Clone, Copy, Debug)]
pub struct OutputStage {
    low: f32,
    high: f32,
    /// The same two as integers.
    bounds: [i32; 2],
    zero_point: i32,
}

impl OutputStage {
    /// The stage for a zero point and an inclusive range of int8 values (the fused activation).
    /// `None` when they are not `-128 <= low <= high <= 127` with the zero point in int8.
    pub fn new(zero_point: i32, low: i32, high: i32) -> Option<Self> {
        let int8 = -128..=127;
        let valid = int8.contains(&zero_point)
            && int8.contains(&low)
            && int8.contains(&high)
            && low <= high;
        valid.then(|| Self {
            low: (low - zero_point) as f32,
            high: (high - zero_point) as f32,
            bounds: [low - zero_point, high - zero_point],
            zero_point,
        })
    }

    /// The zero point.
    #[inline(always)]
    pub fn zero_point(&self) -> i32 {
        self.zero_point
    }

    /// The lowest and the highest output.
    #[inline(always)]
    pub fn range(&self) -> [i8; 2] {
        self.bounds.map(|bound| (bound + self.zero_point) as i8)
    }

    /// `clamp(round_half_even(v) + zero_point)`; NaN gives the lower bound.
    #[inline(always)]
    pub fn quantize(&self, v: f32) -> i8 {
        (round_half_even(clamp_total(v, self.low, self.high)) + self.zero_point) as i8
    }

    /// The rescale: `quantize(f32(acc) * multiplier)`.
    #[inline(always)]
    pub fn requantize(&self, acc: i32, multiplier: f32) -> i8 {
        self.quantize(acc as f32 * multiplier)
    }
}

/// `clamp(round_half_even(v) + zero_point, low, high)`, clamped first as in [`OutputStage`]; NaN
/// gives `low`. Exact where `low - zero_point` and `high - zero_point` are within 2²² of 0.
#[inline(always)]
pub fn quantize_to(v: f32, zero_point: i32, low: i32, high: i32) -> i32 {
    let [low, high] = [low, high].map(|bound| bound.wrapping_sub(zero_point) as f32);
    round_half_even(clamp_total(v, low, high)).wrapping_add(zero_point)
}

/// `(q - zero_point) * scale`, the subtraction in integers, the product in f32.
#[inline(always)]
pub fn dequantize(q: i8, zero_point: i32, scale: f32) -> f32 {
    (i32::from(q) - zero_point) as f32 * scale
}

/// e^x as the `libm` crate computes it.
#[inline]
pub fn exp(x: f32) -> f32 {
    libm::expf(x)
}

/// tanh as the `libm` crate computes it.
#[inline]
pub fn tanh(x: f32) -> f32 {
    libm::tanhf(x)
}

/// The logistic function, `1 / (1 + e^-x)`.
#[inline]
pub fn sigmoid(x: f32) -> f32 {
    1.0 / (1.0 + exp(-x))
}

/// The square root, rounded correctly as IEEE-754 has it.
#[inline]
pub fn sqrt(x: f32) -> f32 {
    libm::sqrtf(x)
}

/// x to the power of y as the `libm` crate computes it.
#[inline]
pub fn pow(x: f32, y: f32) -> f32 {
    libm::powf(x, y)
}

/// The natural logarithm as the `libm` crate computes it.
#[inline]
pub fn ln(x: f32) -> f32 {
    libm::logf(x)
}

#[cfg(test)]
mod tests {
    use super::*;

    extern crate std;

    #[test]
    fn rounding_is_half_to_even_at_every_tie_and_near_it() {
        for k in -70_000i32..70_000 {
            let tie = k as f32 + 0.5;
            assert_eq!(round_half_even(tie), (tie.round_ties_even()) as i32);
            assert_eq!(round_half_even(tie.next_up()), k + 1);
            assert_eq!(round_half_even(tie.next_down()), k);
        }
    }

    #[test]
    fn clamping_before_rounding_equals_clamping_after() {
        for zero_point in [-128, -5, 0, 7, 127] {
            for (low, high) in [(-128, 127), (zero_point, 127), (-7, 3)] {
                let stage = OutputStage::new(zero_point, low, high).unwrap();
                for step in -4000..4000i32 {
                    let v = step as f32 * 0.125;
                    let plain = (v.round_ties_even() as i32 + zero_point).clamp(low, high);
                    assert_eq!(i32::from(stage.quantize(v)), plain, "{v} {zero_point}");
                }
                for v in [f32::INFINITY, f32::NEG_INFINITY, f32::MAX, -f32::MAX] {
                    let plain = if v > 0.0 { high } else { low };
                    assert_eq!(i32::from(stage.quantize(v)), plain);
                }
                assert_eq!(i32::from(stage.quantize(f32::NAN)), low);
            }
        }
    }
}
