//! The arithmetic that every home shares; `NUMERICS.md` is the text that it implements.

/// 1.5 x 2²³: adding it moves the fraction of a small f32 out of the mantissa, so that the
/// addition itself rounds to an integer, half to even.
pub(crate) const ROUNDER: f32 = 12_582_912.0;

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

    /// The lowest and the highest output less the zero point.
    #[cfg(niwaki_tiles)]
    #[inline(always)]
    pub(crate) fn bounds(&self) -> [f32; 2] {
        [self.low, self.high]
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

    /// What [`Self::quantize`] gives for a value that has been rounded to this integer, half to even.
    #[inline(always)]
    fn saturate(&self, rounded: i32) -> i8 {
        let [low, high] = self.bounds;
        let clamped = if rounded < low { low } else { rounded };
        let clamped = if clamped > high { high } else { clamped };
        (clamped + self.zero_point) as i8
    }

    /// The rescale: `quantize(f32(acc) * multiplier)`.
    #[inline(always)]
    pub fn requantize(&self, acc: i32, multiplier: f32) -> i8 {
        if SOFT_FLOAT && let Some(rounded) = round_product(acc, multiplier) {
            return self.saturate(rounded);
        }
        self.quantize(acc as f32 * multiplier)
    }
}

/// Whether floats are computed by integer instructions, many for each.
const SOFT_FLOAT: bool = cfg!(all(
    target_os = "none",
    any(
        all(target_arch = "arm", not(target_abi = "eabihf")),
        all(target_arch = "riscv32", not(target_feature = "f")),
    )
));

/// `f32(acc) * multiplier`, rounded to an integer, half to even, without a float operation; or, beyond
/// 512, any integer beyond that. `None` where it would take more than that to be sure, for one product
/// in 2¹⁵ and for numbers that no rescale has.
///
/// The exact product is |acc| times the 24 bits of the multiplier's mantissa, times a power of two.
/// As an f32 it differs from that by at most 2⁻¹⁶ while it is below 512, as it has 24 bits. So it is on
/// the same side of a half, unless the exact product is that close to one.
#[inline(always)]
fn round_product(acc: i32, multiplier: f32) -> Option<i32> {
    let bits = multiplier.to_bits();
    // The sign has to be 0. The product's unit is 2^-shift.
    let shift = 150u32.wrapping_sub(bits >> 23);
    let magnitude = acc.unsigned_abs();
    if magnitude >= 1 << 24 || !(17..48).contains(&shift) {
        return None;
    }
    let product = u64::from(magnitude) * u64::from((bits & 0x7f_ffff) | 0x80_0000);
    let whole = (product >> shift) as u32;
    if whole >= 512 {
        return Some(if acc < 0 { -512 } else { 512 });
    }
    // The first 17 bits behind the point.
    let fraction = ((product >> (shift - 17)) as u32) & 0x1_ffff;
    const HALF: u32 = 1 << 16;
    if fraction.wrapping_sub(HALF - 3) < 6 {
        return None;
    }
    let rounded = (whole + u32::from(fraction > HALF)).cast_signed();
    Some(if acc < 0 { -rounded } else { rounded })
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
    fn rounding_without_floats_is_rounding_with_them() {
        let mut random = crate::Xorshift32::new(1);
        let stage = OutputStage::new(3, -128, 127).unwrap();
        let mut unsure = 0;
        const DRAWS: u32 = 20_000_000;
        for _ in 0..DRAWS {
            let acc = random.next_u32().cast_signed() >> (random.next_u32() % 32);
            // From 2^-40 to 2: all that a shift allows, and some more on both sides.
            let exponent = 127 - 40 + random.next_u32() % 42;
            let mut mantissa = random.next_u32() & 0x7f_ffff;
            if mantissa & 3 == 0 {
                // Few bits, so that products are ties or near them.
                mantissa &= 0x7c_0000;
            }
            let multiplier = f32::from_bits((exponent << 23) | mantissa);
            let real = acc as f32 * multiplier;
            match round_product(acc, multiplier) {
                Some(rounded) if real.abs() < 512.0 => {
                    assert_eq!(
                        rounded,
                        real.round_ties_even() as i32,
                        "{acc} {multiplier:e}"
                    );
                }
                Some(rounded) => assert_eq!(stage.saturate(rounded), stage.quantize(real)),
                None => unsure += 1,
            }
        }
        assert!(unsure < DRAWS / 2, "{unsure}");
        // Ties are left to floats.
        assert_eq!(round_product(5, 0.5), None);
        assert_eq!(round_product(-3, 0.25), Some(-1));
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
