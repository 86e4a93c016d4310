//! WebAssembly with SIMD128: words of two int16; and with relaxed SIMD: the dot product of bytes.
//!
//! `i32x4.relaxed_dot_i8x16_i7x16_add_s` is the same on all machines where the second operand has
//! seven bits, which no int8 has. So a weight is two elements of a word there, its part above zero and
//! its part below, and so is an input `x`: itself and `-1 - x`. What the ones give too much,
//! the parts below zero, is in the bias. A weight of -128 has no such parts.
//!
//! Sums of two products are at most 127 x 128 + 0, which fits the 16 bits that some machines have for
//! them: of the two parts of a weight one is zero.

#![allow(unsafe_code)]

use core::arch::wasm32::{
    f32x4_convert_i32x4, f32x4_div, f32x4_mul, f32x4_pmax, f32x4_pmin, f32x4_splat,
    i8x16_narrow_i16x8, i8x16_shuffle, i16x8_extend_low_i8x16, i16x8_load_extend_i8x8, i16x8_max,
    i16x8_narrow_i32x4, i16x8_neg, i16x8_shl, i16x8_splat, i32x4_add, i32x4_dot_i16x8,
    i32x4_extend_low_i16x8, i32x4_extract_lane, i32x4_relaxed_dot_i8x16_i7x16_add, i32x4_shl,
    i32x4_shuffle, i32x4_splat, i32x4_sub, i64x2_shuffle, u32x4_shr, v128, v128_load,
    v128_load32_splat, v128_load32_zero, v128_load64_zero, v128_not, v128_or, v128_store,
    v128_store32_lane,
};

use super::tiles::{Lanes, Work, rows_by_four};
use crate::numerics::{OutputStage, ROUNDER};

/// Vectors of 128 bits. With `RELAXED` they are for convolutions alone.
struct Wasm<const RELAXED: bool>;

/// Does the work.
#[inline(always)]
pub(super) fn run(work: impl Work) -> Option<()> {
    work.on::<Wasm<false>>()
}

/// The same by dot products of bytes, of weights that [`suit_relaxed`].
#[cfg(niwaki_relaxed)]
#[target_feature(enable = "relaxed-simd")]
pub(super) fn run_relaxed(work: impl Work) -> Option<()> {
    work.on::<Wasm<true>>()
}

/// Whether all of these weights have two parts of seven bits.
#[cfg(niwaki_relaxed)]
#[inline(always)]
pub(super) fn suit_relaxed(weights: &[i8]) -> bool {
    !weights.contains(&i8::MIN)
}

impl<const RELAXED: bool> Lanes for Wasm<RELAXED> {
    type V = v128;
    const LANES: usize = 4;
    const TAPS: usize = 2;
    const STEP: usize = 8;
    const WIDE: bool = false;
    const COMPACT: bool = true;
    // Of the parts below zero.
    const ONES: u32 = if RELAXED { 0x0100_0100 } else { 0x0101_0101 };
    const EXCESS: i32 = if RELAXED { -1 } else { 0 };
    const DIRECT_EXCESS: i32 = 0;

    #[inline(always)]
    unsafe fn all(value: u32) -> v128 {
        i32x4_splat(value.cast_signed())
    }

    #[inline(always)]
    unsafe fn load(from: *const u32) -> v128 {
        // SAFETY: four words are there, and any address will do.
        unsafe { v128_load(from.cast()) }
    }

    #[inline(always)]
    unsafe fn splat(from: *const u32) -> v128 {
        // SAFETY: a word is there, and any address will do.
        unsafe { v128_load32_splat(from) }
    }

    #[inline(always)]
    unsafe fn store(value: v128, to: *mut u32) {
        // SAFETY: there is room for four words.
        unsafe { v128_store(to.cast(), value) }
    }

    #[inline(always)]
    unsafe fn dot(sums: v128, x: v128, w: v128) -> v128 {
        if RELAXED {
            i32x4_relaxed_dot_i8x16_i7x16_add(x, w, sums)
        } else {
            i32x4_add(sums, i32x4_dot_i16x8(x, w))
        }
    }

    #[inline(always)]
    unsafe fn bytes(from: *const i8) -> v128 {
        // SAFETY: four bytes are there, and any address will do.
        let bytes = unsafe { v128_load32_zero(from.cast()) };
        i32x4_extend_low_i16x8(i16x8_extend_low_i8x16(bytes))
    }

    #[inline(always)]
    unsafe fn push(words: v128, bytes: v128) -> v128 {
        v128_or(u32x4_shr(words, 16), i32x4_shl(bytes, 16))
    }

    #[inline(always)]
    unsafe fn flip(words: v128) -> v128 {
        words
    }

    #[inline(always)]
    unsafe fn correct(sums: v128, total: v128) -> v128 {
        if RELAXED {
            i32x4_add(sums, total)
        } else {
            sums
        }
    }

    #[inline(always)]
    unsafe fn requantize(sums: v128, multipliers: v128, stage: &OutputStage, to: *mut i8) {
        let real = f32x4_mul(f32x4_convert_i32x4(sums), multipliers);
        // SAFETY: the caller's.
        unsafe { quantize(real, stage, to) }
    }

    #[inline(always)]
    unsafe fn requantize_some(
        sums: v128,
        multipliers: v128,
        stage: &OutputStage,
        to: *mut i8,
        count: usize,
    ) {
        // SAFETY: the caller's.
        unsafe { requantize_some(sums, multipliers, stage, to, count) }
    }

    #[inline(always)]
    unsafe fn transpose(rows: [*const i8; 4], to: *mut u32, pitch: usize) {
        // SAFETY: eight bytes are there in each row.
        let rows = rows.map(|row| unsafe { i16x8_load_extend_i8x8(row) });
        let [a, b, c, d] = if RELAXED {
            rows.map(|w| {
                let zero = i16x8_splat(0);
                let below = i16x8_max(i16x8_neg(w), zero);
                v128_or(i16x8_max(w, zero), i16x8_shl(below, 8))
            })
        } else {
            rows
        };
        let low = [
            i32x4_shuffle::<0, 4, 1, 5>(a, b),
            i32x4_shuffle::<0, 4, 1, 5>(c, d),
        ];
        let high = [
            i32x4_shuffle::<2, 6, 3, 7>(a, b),
            i32x4_shuffle::<2, 6, 3, 7>(c, d),
        ];
        let words = [
            i64x2_shuffle::<0, 2>(low[0], low[1]),
            i64x2_shuffle::<1, 3>(low[0], low[1]),
            i64x2_shuffle::<0, 2>(high[0], high[1]),
            i64x2_shuffle::<1, 3>(high[0], high[1]),
        ];
        for (word, lanes) in words.into_iter().enumerate() {
            // SAFETY: there is room for the lanes of four words.
            unsafe { v128_store(to.wrapping_add(word * pitch).cast(), lanes) };
        }
    }

    #[inline(always)]
    unsafe fn direct(sums: v128, x: *const i8, w: *const i8) -> v128 {
        // SAFETY: eight bytes are there, and any address will do.
        let [x, w] = [x, w].map(|from| unsafe { i16x8_load_extend_i8x8(from) });
        i32x4_add(sums, i32x4_dot_i16x8(x, w))
    }

    #[inline(always)]
    unsafe fn add(a: v128, b: v128) -> v128 {
        i32x4_add(a, b)
    }

    #[inline(always)]
    unsafe fn rows(x: *const i8, w: *const i8, len: usize, rows: usize) -> v128 {
        // SAFETY: the caller's.
        unsafe { rows_by_four::<Self>(x, w, len, rows) }
    }

    #[inline(always)]
    unsafe fn totals(sums: [v128; 4]) -> [i32; 4] {
        sums.map(|v| {
            i32x4_extract_lane::<0>(v)
                .wrapping_add(i32x4_extract_lane::<1>(v))
                .wrapping_add(i32x4_extract_lane::<2>(v))
                .wrapping_add(i32x4_extract_lane::<3>(v))
        })
    }

    #[inline(always)]
    fn element(x: i8) -> u32 {
        if RELAXED {
            u32::from(u16::from_le_bytes([x, !x].map(i8::cast_unsigned)))
        } else {
            i32::from(x).cast_unsigned() & 0xffff
        }
    }

    #[inline(always)]
    fn weight(w: i8) -> u32 {
        if RELAXED {
            let parts = [w.max(0), w.saturating_neg().max(0)];
            u32::from(u16::from_le_bytes(parts.map(i8::cast_unsigned)))
        } else {
            i32::from(w).cast_unsigned()
        }
    }

    #[inline(always)]
    fn convert(from: &[i8], to: &mut [u8]) {
        // By hand: the package is compiled without vectors made of loops.
        let (to, _) = to.as_chunks_mut::<2>();
        let (eights, rest) = from.as_chunks::<8>();
        let mut chunks = to.chunks_exact_mut(8);
        for (to, from) in (&mut chunks).zip(eights) {
            let wide = if RELAXED {
                // SAFETY: the reference is to eight bytes, and any address will do.
                let x = unsafe { v128_load64_zero(from.as_ptr().cast()) };
                i8x16_shuffle::<0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23>(
                    x,
                    v128_not(x),
                )
            } else {
                // SAFETY: as above.
                unsafe { i16x8_load_extend_i8x8(from.as_ptr()) }
            };
            // SAFETY: the slice is of sixteen bytes, and any address will do.
            unsafe { v128_store(to.as_mut_ptr().cast(), wide) };
        }
        let done = eights.len() * 8;
        for (to, &from) in to.iter_mut().skip(done).zip(rest) {
            let [low, high, ..] = Self::element(from).to_le_bytes();
            *to = [low, high];
        }
    }
}

/// A function of its own, as a tile asks for it many times, and every byte of code is downloaded.
///
/// # Safety
///
/// There has to be room for `count` int8.
#[inline(never)]
unsafe fn requantize_some(
    sums: v128,
    multipliers: v128,
    stage: &OutputStage,
    to: *mut i8,
    count: usize,
) {
    let mut all = [0i8; 4];
    // SAFETY: there is room for four bytes.
    unsafe { Wasm::<false>::requantize(sums, multipliers, stage, all.as_mut_ptr()) };
    for (lane, &y) in all.iter().take(count).enumerate() {
        // SAFETY: the caller's.
        unsafe { to.wrapping_add(lane).write(y) };
    }
}

/// [`OutputStage::quantize`] of four values.
///
/// # Safety
///
/// There has to be room for four int8.
#[inline(always)]
unsafe fn quantize(real: v128, stage: &OutputStage, to: *mut i8) {
    let [low, high] = stage.bounds().map(|bound| f32x4_splat(bound));
    let real = f32x4_pmin(f32x4_pmax(low, real), high);
    // As `round_half_even` does.
    let rounded = core::arch::wasm32::f32x4_add(real, f32x4_splat(ROUNDER));
    let zero_point = stage
        .zero_point()
        .wrapping_sub(ROUNDER.to_bits().cast_signed());
    let whole = i32x4_add(rounded, i32x4_splat(zero_point));
    let words = i16x8_narrow_i32x4(whole, whole);
    let bytes = i8x16_narrow_i16x8(words, words);
    // SAFETY: there is room for four bytes, and any address will do.
    unsafe { v128_store32_lane::<0>(bytes, to.cast()) };
}

/// `stage.quantize(operate(a, b) / output_scale)` of dequantised elements, four at a time; gives of how
/// many. By hand: the package is compiled without vectors made of loops.
///
/// It is the sum of two, or their product.
#[inline(never)]
pub(crate) fn affine_pairs(
    [a, b]: [&[i8]; 2],
    scales: [f32; 2],
    zero_points: [i32; 2],
    output_scale: f32,
    stage: &OutputStage,
    is_sum: bool,
    y: &mut [i8],
) -> usize {
    let stage = *stage;
    let [scale_a, scale_b] = scales.map(|scale| f32x4_splat(scale));
    let [zero_a, zero_b] = zero_points.map(|zero_point| i32x4_splat(zero_point));
    let output_scale = f32x4_splat(output_scale);
    let (y, _) = y.as_chunks_mut::<4>();
    let fours = a.as_chunks::<4>().0.iter().zip(b.as_chunks::<4>().0);
    for ((a, b), y) in fours.zip(&mut *y) {
        // SAFETY: the references are to four bytes.
        let [a, b] = [a, b].map(|four| unsafe { Wasm::<false>::bytes(four.as_ptr()) });
        let a = f32x4_mul(f32x4_convert_i32x4(i32x4_sub(a, zero_a)), scale_a);
        let b = f32x4_mul(f32x4_convert_i32x4(i32x4_sub(b, zero_b)), scale_b);
        let both = match is_sum {
            true => core::arch::wasm32::f32x4_add(a, b),
            false => f32x4_mul(a, b),
        };
        let real = f32x4_div(both, output_scale);
        // SAFETY: the reference is to four bytes.
        unsafe { quantize(real, &stage, y.as_mut_ptr()) };
    }
    y.len() * 4
}
