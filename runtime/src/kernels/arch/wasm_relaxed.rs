//! WebAssembly with relaxed SIMD: the dot product of bytes.
//!
//! `i32x4.relaxed_dot_i8x16_i7x16_add_s` is the same on all machines where the second operand has
//! seven bits, which no int8 has. So a weight is two elements of a word, its part above zero and
//! its part below, and so is an input `x`: itself and `-1 - x`. What the ones give too much,
//! the parts below zero, is in the bias. A weight of -128 has no such parts.
//!
//! Sums of two products are at most 127 x 128 + 0 here, which fits the 16 bits that some machines
//! have for them: of the two parts of a weight one is zero.

#![allow(unsafe_code)]

use core::arch::wasm32::{
    i8x16_shuffle, i16x8_load_extend_i8x8, i16x8_max, i16x8_neg, i16x8_shl, i16x8_splat, i32x4_add,
    i32x4_relaxed_dot_i8x16_i7x16_add, v128, v128_load64_zero, v128_not, v128_or, v128_store,
};

use super::tiles::{Lanes, Work};
use super::wasm_simd::{WasmSimd, transpose_words};
use crate::numerics::OutputStage;

/// Whether all of these weights have two parts of seven bits.
#[inline(always)]
pub(super) fn suits(weights: &[i8]) -> bool {
    !weights.contains(&i8::MIN)
}

/// Vectors of 128 bits, for convolutions.
struct WasmRelaxed;

/// Does the work.
#[target_feature(enable = "relaxed-simd")]
pub(super) fn run(work: impl Work) -> Option<()> {
    work.on::<WasmRelaxed>()
}

impl Lanes for WasmRelaxed {
    type V = v128;
    const LANES: usize = 4;
    const TAPS: usize = 2;
    const STEP: usize = 8;
    const WIDE: bool = false;
    const COMPACT: bool = true;
    // Of the parts below zero.
    const ONES: u32 = 0x0100_0100;
    const EXCESS: i32 = -1;
    const DIRECT_EXCESS: i32 = 0;

    #[inline(always)]
    unsafe fn all(value: u32) -> v128 {
        // SAFETY: the caller's.
        unsafe { WasmSimd::all(value) }
    }

    #[inline(always)]
    unsafe fn load(from: *const u32) -> v128 {
        // SAFETY: the caller's.
        unsafe { WasmSimd::load(from) }
    }

    #[inline(always)]
    unsafe fn splat(from: *const u32) -> v128 {
        // SAFETY: the caller's.
        unsafe { WasmSimd::splat(from) }
    }

    #[inline(always)]
    unsafe fn store(value: v128, to: *mut u32) {
        // SAFETY: the caller's.
        unsafe { WasmSimd::store(value, to) }
    }

    #[inline(always)]
    unsafe fn dot(sums: v128, x: v128, w: v128) -> v128 {
        i32x4_relaxed_dot_i8x16_i7x16_add(x, w, sums)
    }

    #[inline(always)]
    unsafe fn bytes(from: *const i8) -> v128 {
        // SAFETY: the caller's.
        unsafe { WasmSimd::bytes(from) }
    }

    #[inline(always)]
    unsafe fn push(words: v128, bytes: v128) -> v128 {
        // SAFETY: the caller's.
        unsafe { WasmSimd::push(words, bytes) }
    }

    #[inline(always)]
    unsafe fn flip(words: v128) -> v128 {
        words
    }

    #[inline(always)]
    unsafe fn correct(sums: v128, total: v128) -> v128 {
        i32x4_add(sums, total)
    }

    #[inline(always)]
    unsafe fn requantize(sums: v128, multipliers: v128, stage: &OutputStage, to: *mut i8) {
        // SAFETY: the caller's.
        unsafe { WasmSimd::requantize(sums, multipliers, stage, to) }
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
        unsafe { WasmSimd::requantize_some(sums, multipliers, stage, to, count) }
    }

    #[inline(always)]
    unsafe fn transpose(rows: [*const i8; 4], to: *mut u32, pitch: usize) {
        let rows = rows.map(|row| {
            // SAFETY: eight bytes are there in each row.
            let w = unsafe { i16x8_load_extend_i8x8(row) };
            let zero = i16x8_splat(0);
            let below = i16x8_max(i16x8_neg(w), zero);
            v128_or(i16x8_max(w, zero), i16x8_shl(below, 8))
        });
        // SAFETY: the caller's.
        unsafe { transpose_words(rows, to, pitch) }
    }

    #[inline(always)]
    unsafe fn direct(sums: v128, x: *const i8, w: *const i8) -> v128 {
        // SAFETY: the caller's.
        unsafe { WasmSimd::direct(sums, x, w) }
    }

    #[inline(always)]
    unsafe fn add(a: v128, b: v128) -> v128 {
        i32x4_add(a, b)
    }

    #[inline(always)]
    unsafe fn rows(x: *const i8, w: *const i8, len: usize, rows: usize) -> v128 {
        // SAFETY: the caller's.
        unsafe { WasmSimd::rows(x, w, len, rows) }
    }

    #[inline(always)]
    unsafe fn totals(sums: [v128; 4]) -> [i32; 4] {
        // SAFETY: the caller's.
        unsafe { WasmSimd::totals(sums) }
    }

    #[inline(always)]
    fn element(x: i8) -> u32 {
        u32::from(u16::from_le_bytes([x, !x].map(i8::cast_unsigned)))
    }

    #[inline(always)]
    fn weight(w: i8) -> u32 {
        let parts = [w.max(0), w.saturating_neg().max(0)];
        u32::from(u16::from_le_bytes(parts.map(i8::cast_unsigned)))
    }

    #[inline(always)]
    fn convert(from: &[i8], to: &mut [u8]) {
        let (to, _) = to.as_chunks_mut::<2>();
        let (eights, rest) = from.as_chunks::<8>();
        let mut chunks = to.chunks_exact_mut(8);
        for (to, from) in (&mut chunks).zip(eights) {
            // SAFETY: the reference is to eight bytes, and any address will do.
            let x = unsafe { v128_load64_zero(from.as_ptr().cast()) };
            let both = i8x16_shuffle::<0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23>(
                x,
                v128_not(x),
            );
            // SAFETY: the slice is of sixteen bytes, and any address will do.
            unsafe { v128_store(to.as_mut_ptr().cast(), both) };
        }
        let done = eights.len() * 8;
        for (to, &from) in to.iter_mut().skip(done).zip(rest) {
            let [low, high, ..] = Self::element(from).to_le_bytes();
            *to = [low, high];
        }
    }
}
