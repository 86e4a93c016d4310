//! AArch64: NEON, with the dot products of Armv8.2 where they are there; words of four int8.
//!
//! Every AArch64 processor has NEON. Dot products are known of when the program is compiled for
//! them (Apple's targets are), and when it runs with the feature `std`, which asks the system.

#![allow(unsafe_code)]

use core::arch::aarch64::{
    int8x16_t, int32x4_t, vaddq_s32, vaddvq_s32, vcombine_s16, vcvtnq_s32_f32, vcvtq_f32_s32,
    vdupq_n_f32, vdupq_n_s32, vget_lane_s32, vget_low_s8, vget_low_s16, vld1q_s8, vld1q_s32,
    vmaxnmq_f32, vminq_f32, vmovl_s8, vmovl_s16, vmull_high_s8, vmull_s8, vmulq_f32, vorrq_s32,
    vpaddlq_s16, vpaddq_s32, vqmovn_s16, vqmovn_s32, vreinterpret_s32_s8, vreinterpretq_f32_s32,
    vreinterpretq_s8_s32, vreinterpretq_s32_s64, vreinterpretq_s32_u32, vreinterpretq_s64_s32,
    vreinterpretq_u32_s32, vshlq_n_s32, vshrq_n_u32, vst1q_s32, vtrn1q_s32, vtrn1q_s64, vtrn2q_s32,
    vtrn2q_s64,
};
use core::arch::asm;

use super::tiles::{Lanes, Work, rows_by_four};
use crate::numerics::OutputStage;

/// The sets that have tiles.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Set {
    Dotprod,
    Neon,
}

impl Set {
    /// All of them, the best one first.
    #[cfg(test)]
    pub(crate) const ALL: [Self; 2] = [Self::Dotprod, Self::Neon];

    /// Whether this machine has it.
    #[inline(always)]
    pub(crate) fn is_there(self) -> bool {
        match self {
            #[cfg(feature = "std")]
            Self::Dotprod => std::arch::is_aarch64_feature_detected!("dotprod"),
            #[cfg(not(feature = "std"))]
            Self::Dotprod => cfg!(target_feature = "dotprod"),
            Self::Neon => true,
        }
    }

    /// The best that this machine has.
    #[inline(always)]
    pub(super) fn best() -> Option<Self> {
        #[cfg(test)]
        if let Some(forced) = super::FORCED.get() {
            return forced;
        }
        Some(if Self::Dotprod.is_there() {
            Self::Dotprod
        } else {
            Self::Neon
        })
    }

    /// Does the work on it; `None` when it is not there.
    #[inline(always)]
    pub(super) fn run(self, work: impl Work) -> Option<()> {
        match self {
            // SAFETY: the comparison has shown that the processor has the feature.
            Self::Dotprod if self.is_there() => unsafe { on_dotprod(work) },
            Self::Dotprod => None,
            Self::Neon => work.on::<Neon<false>>(),
        }
    }
}

/// # Safety
///
/// The processor has to have this feature.
#[target_feature(enable = "dotprod")]
unsafe fn on_dotprod(work: impl Work) -> Option<()> {
    work.on::<Neon<true>>()
}

/// Vectors of 128 bits, with dot products or without.
struct Neon<const DOTPROD: bool>;

/// The intrinsic for it is not stable (`stdarch_neon_dotprod`).
///
/// # Safety
///
/// The processor has to have this feature.
#[inline]
#[target_feature(enable = "dotprod")]
unsafe fn sdot(sums: int32x4_t, x: int8x16_t, w: int8x16_t) -> int32x4_t {
    let mut sums = sums;
    // SAFETY: the instruction is there, and changes nothing but that register.
    unsafe {
        asm!(
            "sdot {sums:v}.4s, {x:v}.16b, {w:v}.16b",
            sums = inout(vreg) sums,
            x = in(vreg) x,
            w = in(vreg) w,
            options(pure, nomem, nostack, preserves_flags)
        );
    }
    sums
}

/// The same by products of int8 in 16 bits: two of them need 17, so they are added in 32.
#[inline]
#[target_feature(enable = "neon")]
fn dot_by_pairs(sums: int32x4_t, x: int8x16_t, w: int8x16_t) -> int32x4_t {
    let low = vpaddlq_s16(vmull_s8(vget_low_s8(x), vget_low_s8(w)));
    let high = vpaddlq_s16(vmull_high_s8(x, w));
    vaddq_s32(sums, vpaddq_s32(low, high))
}

/// The four int8 of a word as i32.
#[inline]
#[target_feature(enable = "neon")]
fn widened(word: i32) -> int32x4_t {
    let bytes = vget_low_s8(vreinterpretq_s8_s32(vdupq_n_s32(word)));
    vmovl_s16(vget_low_s16(vmovl_s8(bytes)))
}

/// [`Lanes::push`].
#[inline]
#[target_feature(enable = "neon")]
fn pushed(words: int32x4_t, bytes: int32x4_t) -> int32x4_t {
    let low = vreinterpretq_s32_u32(vshrq_n_u32::<8>(vreinterpretq_u32_s32(words)));
    vorrq_s32(low, vshlq_n_s32::<24>(bytes))
}

/// Four words of four rows each, word by word.
#[inline]
#[target_feature(enable = "neon")]
fn transposed([a, b, c, d]: [int32x4_t; 4]) -> [int32x4_t; 4] {
    let pairs = |low, high| (vreinterpretq_s64_s32(low), vreinterpretq_s64_s32(high));
    let even = pairs(vtrn1q_s32(a, b), vtrn1q_s32(c, d));
    let odd = pairs(vtrn2q_s32(a, b), vtrn2q_s32(c, d));
    [
        vreinterpretq_s32_s64(vtrn1q_s64(even.0, even.1)),
        vreinterpretq_s32_s64(vtrn1q_s64(odd.0, odd.1)),
        vreinterpretq_s32_s64(vtrn2q_s64(even.0, even.1)),
        vreinterpretq_s32_s64(vtrn2q_s64(odd.0, odd.1)),
    ]
}

/// [`OutputStage::requantize`] of four sums, as a word of four int8.
#[inline]
#[target_feature(enable = "neon")]
fn requantized(sums: int32x4_t, multipliers: int32x4_t, stage: &OutputStage) -> i32 {
    let [low, high] = stage.bounds();
    let real = vmulq_f32(vcvtq_f32_s32(sums), vreinterpretq_f32_s32(multipliers));
    // The larger of a NaN and a number is the number: the lower bound, as it has to be.
    let real = vminq_f32(vmaxnmq_f32(real, vdupq_n_f32(low)), vdupq_n_f32(high));
    // Inside the bounds the conversion is exact, and rounds half to even.
    let whole = vaddq_s32(vcvtnq_s32_f32(real), vdupq_n_s32(stage.zero_point()));
    let halves = vqmovn_s32(whole);
    let bytes = vqmovn_s16(vcombine_s16(halves, halves));
    vget_lane_s32::<0>(vreinterpret_s32_s8(bytes))
}

impl<const DOTPROD: bool> Lanes for Neon<DOTPROD> {
    type V = int32x4_t;
    const LANES: usize = 4;
    const TAPS: usize = 4;
    const STEP: usize = 16;
    const WIDE: bool = true;
    const COMPACT: bool = false;
    const EXCESS: i32 = 0;
    const DIRECT_EXCESS: i32 = 0;

    #[inline(always)]
    unsafe fn all(value: u32) -> int32x4_t {
        // SAFETY: every processor of this architecture has NEON.
        unsafe { vdupq_n_s32(value.cast_signed()) }
    }

    #[inline(always)]
    unsafe fn load(from: *const u32) -> int32x4_t {
        // SAFETY: four words are there.
        unsafe { vld1q_s32(from.cast()) }
    }

    #[inline(always)]
    unsafe fn splat(from: *const u32) -> int32x4_t {
        // SAFETY: a word is there.
        let word = unsafe { from.cast::<i32>().read_unaligned() };
        // SAFETY: every processor of this architecture has NEON.
        unsafe { vdupq_n_s32(word) }
    }

    #[inline(always)]
    unsafe fn store(value: int32x4_t, to: *mut u32) {
        // SAFETY: there is room for four words.
        unsafe { vst1q_s32(to.cast(), value) }
    }

    #[inline(always)]
    unsafe fn dot(sums: int32x4_t, x: int32x4_t, w: int32x4_t) -> int32x4_t {
        // SAFETY: every processor of this architecture has NEON.
        let [x, w] = [x, w].map(|words| unsafe { vreinterpretq_s8_s32(words) });
        if DOTPROD {
            // SAFETY: the feature is there where this parameter is true.
            unsafe { sdot(sums, x, w) }
        } else {
            // SAFETY: every processor of this architecture has NEON.
            unsafe { dot_by_pairs(sums, x, w) }
        }
    }

    #[inline(always)]
    unsafe fn bytes(from: *const i8) -> int32x4_t {
        // SAFETY: four bytes are there.
        let word = unsafe { from.cast::<i32>().read_unaligned() };
        // SAFETY: every processor of this architecture has NEON.
        unsafe { widened(word) }
    }

    #[inline(always)]
    unsafe fn push(words: int32x4_t, bytes: int32x4_t) -> int32x4_t {
        // SAFETY: every processor of this architecture has NEON.
        unsafe { pushed(words, bytes) }
    }

    #[inline(always)]
    unsafe fn flip(words: int32x4_t) -> int32x4_t {
        words
    }

    #[inline(always)]
    unsafe fn correct(sums: int32x4_t, _: int32x4_t) -> int32x4_t {
        sums
    }

    #[inline(always)]
    unsafe fn requantize(
        sums: int32x4_t,
        multipliers: int32x4_t,
        stage: &OutputStage,
        to: *mut i8,
    ) {
        // SAFETY: every processor of this architecture has NEON.
        let word = unsafe { requantized(sums, multipliers, stage) };
        // SAFETY: there is room for four bytes.
        unsafe { to.cast::<i32>().write_unaligned(word) };
    }

    #[inline(always)]
    unsafe fn transpose(rows: [*const i8; 4], to: *mut u32, pitch: usize) {
        // SAFETY: four words are there in each row.
        let rows = rows.map(|row| unsafe { vld1q_s32(row.cast()) });
        // SAFETY: every processor of this architecture has NEON.
        let words = unsafe { transposed(rows) };
        for (word, lanes) in words.into_iter().enumerate() {
            // SAFETY: there is room for the lanes of four words.
            unsafe { vst1q_s32(to.wrapping_add(word * pitch).cast(), lanes) };
        }
    }

    #[inline(always)]
    unsafe fn direct(sums: int32x4_t, x: *const i8, w: *const i8) -> int32x4_t {
        // SAFETY: sixteen bytes are there.
        let [x, w] = [x, w].map(|from| unsafe { vld1q_s8(from) });
        if DOTPROD {
            // SAFETY: the feature is there where this parameter is true.
            unsafe { sdot(sums, x, w) }
        } else {
            // SAFETY: every processor of this architecture has NEON.
            unsafe { dot_by_pairs(sums, x, w) }
        }
    }

    #[inline(always)]
    unsafe fn add(a: int32x4_t, b: int32x4_t) -> int32x4_t {
        // SAFETY: every processor of this architecture has NEON.
        unsafe { vaddq_s32(a, b) }
    }

    #[inline(always)]
    unsafe fn rows(x: *const i8, w: *const i8, len: usize, rows: usize) -> int32x4_t {
        // SAFETY: the caller's.
        unsafe { rows_by_four::<Self>(x, w, len, rows) }
    }

    #[inline(always)]
    unsafe fn totals(sums: [int32x4_t; 4]) -> [i32; 4] {
        // SAFETY: every processor of this architecture has NEON.
        sums.map(|v| unsafe { vaddvq_s32(v) })
    }

    #[inline(always)]
    fn element(x: i8) -> u32 {
        u32::from(x.cast_unsigned())
    }

    #[inline(always)]
    fn convert(from: &[i8], to: &mut [u8]) {
        for (to, &from) in to.iter_mut().zip(from) {
            *to = from.cast_unsigned();
        }
    }
}
