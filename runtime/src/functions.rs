//! Functions of one float, as `NUMERICS.md` (5.11) writes them out: the operators compute them, and
//! the compiler makes its tables of them.

use crate::numerics::{clamp_f32, exp, sigmoid, tanh};
pub use crate::numerics::{ln as log, pow, sqrt};

/// The sign bit cleared.
#[inline]
pub fn abs(x: f32) -> f32 {
    f32::from_bits(x.to_bits() & 0x7fff_ffff)
}

/// 1, -1, or the zero or NaN itself.
#[inline]
pub fn sign(x: f32) -> f32 {
    if x > 0.0 {
        1.0
    } else if x < 0.0 {
        -1.0
    } else {
        x
    }
}

/// The largest integer that is not above.
#[inline]
pub fn floor(x: f32) -> f32 {
    libm::floorf(x)
}

/// The smallest integer that is not below.
#[inline]
pub fn ceil(x: f32) -> f32 {
    libm::ceilf(x)
}

/// The nearest integer, the even one of two that are equally near.
#[inline]
pub fn round(x: f32) -> f32 {
    libm::rintf(x)
}

/// The sine, as the `libm` crate computes it.
#[inline]
pub fn sin(x: f32) -> f32 {
    libm::sinf(x)
}

/// The cosine, as the `libm` crate computes it.
#[inline]
pub fn cos(x: f32) -> f32 {
    libm::cosf(x)
}

/// The error function, as the `libm` crate computes it.
#[inline]
pub fn erf(x: f32) -> f32 {
    libm::erff(x)
}

/// Exponential linear unit (Clevert et al. 2016).
#[inline]
pub fn elu(x: f32, alpha: f32) -> f32 {
    if x < 0.0 { alpha * (exp(x) - 1.0) } else { x }
}

/// Scaled exponential linear unit (Klambauer et al. 2017).
#[inline]
pub fn selu(x: f32, alpha: f32, gamma: f32) -> f32 {
    if x > 0.0 {
        gamma * x
    } else {
        gamma * (alpha * (exp(x) - 1.0))
    }
}

/// Continuously differentiable exponential linear unit (Barron 2017).
#[inline]
pub fn celu(x: f32, alpha: f32) -> f32 {
    if x < 0.0 {
        alpha * (exp(x / alpha) - 1.0)
    } else {
        x
    }
}

/// `alpha * x + beta` between 0 and 1.
#[inline]
pub fn hard_sigmoid(x: f32, alpha: f32, beta: f32) -> f32 {
    clamp_f32(alpha * x + beta, 0.0, 1.0)
}

/// `x * hard_sigmoid(x)` with alpha 1/6 and beta 1/2 (Howard et al. 2019).
#[inline]
pub fn hard_swish(x: f32) -> f32 {
    x * hard_sigmoid(x, 1.0 / 6.0, 0.5)
}

/// `log(1 + e^x)`, without overflow.
#[inline]
pub fn softplus(x: f32) -> f32 {
    if x > 0.0 {
        x + libm::log1pf(exp(-x))
    } else {
        libm::log1pf(exp(x))
    }
}

/// `x / (1 + |x|)`.
#[inline]
pub fn softsign(x: f32) -> f32 {
    x / (1.0 + abs(x))
}

/// `x * tanh(softplus(x))` (Misra 2019).
#[inline]
pub fn mish(x: f32) -> f32 {
    x * tanh(softplus(x))
}

/// Gaussian error linear unit by the error function (Hendrycks and Gimpel 2016).
#[inline]
pub fn gelu(x: f32) -> f32 {
    0.5 * x * (1.0 + erf(x * core::f32::consts::FRAC_1_SQRT_2))
}

/// Gaussian error linear unit by its approximation with tanh.
#[inline]
pub fn gelu_tanh(x: f32) -> f32 {
    // The root of 2 / pi.
    const FACTOR: f32 = 0.797_884_6;
    0.5 * x * (1.0 + tanh(FACTOR * (x + 0.044_715 * (x * x * x))))
}

/// `x` above `alpha`, 0 elsewhere.
#[inline]
pub fn thresholded_relu(x: f32, alpha: f32) -> f32 {
    if x > alpha { x } else { 0.0 }
}

/// `x`, or `alpha * x` below 0.
#[inline]
pub fn leaky_relu(x: f32, alpha: f32) -> f32 {
    if x < 0.0 { alpha * x } else { x }
}

/// `x * sigmoid(alpha * x)` (Ramachandran et al. 2017).
#[inline]
pub fn swish(x: f32, alpha: f32) -> f32 {
    x * sigmoid(alpha * x)
}

/// The remainder of a division that is rounded toward zero, with the sign of `x`. It is exact, so
/// every right algorithm gives the same bits; this one is long division of the significands, and
/// cannot panic, which the `libm` crate's can for all that the compiler sees.
pub fn fmod(x: f32, y: f32) -> f32 {
    const FRACTION: u32 = (1 << 23) - 1;
    /// Significand and exponent, so that the value is significand * 2^(exponent - 150).
    fn parts(v: f32) -> (u32, u32) {
        let (exponent, fraction) = ((v.to_bits() >> 23) & 0xff, v.to_bits() & FRACTION);
        match exponent {
            0 => (fraction, 1),
            _ => (fraction | (1 << 23), exponent),
        }
    }
    let (dividend, divisor) = (x.abs(), y.abs());
    if !dividend.is_finite() || y.is_nan() || divisor == 0.0 {
        return f32::NAN;
    }
    if dividend < divisor {
        return x;
    }
    let ((rest, high), (divisor, low)) = (parts(dividend), parts(divisor));
    // `low` is at most `high`, and the divisor is not 0.
    let rest = (low..high).fold(rest.checked_rem(divisor).unwrap_or(0), |rest, _| {
        (rest << 1).checked_rem(divisor).unwrap_or(0)
    });
    // Back to a fraction of 23 bits with its leading one, as far as the exponent lets it.
    let shift = rest
        .leading_zeros()
        .saturating_sub(8)
        .min(low.saturating_sub(1));
    let significand = rest << shift;
    let exponent = match significand >> 23 {
        0 => 0,
        _ => low - shift,
    };
    f32::from_bits((exponent << 23) | (significand & FRACTION)).copysign(x)
}

/// The smaller one; NaN when either is.
#[inline]
pub fn min(a: f32, b: f32) -> f32 {
    if a < b || a.is_nan() { a } else { b }
}

/// The larger one; NaN when either is.
#[inline]
pub fn max(a: f32, b: f32) -> f32 {
    if a > b || a.is_nan() { a } else { b }
}
