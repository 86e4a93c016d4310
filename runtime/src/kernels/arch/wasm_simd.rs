//! WebAssembly with SIMD128.

#![allow(unsafe_code)]

use core::arch::wasm32::{
    i16x8_load_extend_i8x8, i16x8_mul, i32x4_add, i32x4_dot_i16x8, i32x4_extend_high_i16x8,
    i32x4_extend_low_i16x8, i32x4_extract_lane, i32x4_splat, v128, v128_load, v128_store,
};

use super::scalar::Scalar;
use super::{CHANNELS, Isa, Runs, Taps2d};

/// Vectors of 128 bits.
pub(crate) struct WasmSimd;

/// Elements in a step.
const LANES: usize = 8;

/// Eight int8 as int16.
#[inline(always)]
fn load(from: &[i8; LANES]) -> v128 {
    // SAFETY: the reference is to eight bytes, and any address will do.
    unsafe { i16x8_load_extend_i8x8(from.as_ptr()) }
}

#[inline(always)]
fn total(v: v128) -> i32 {
    i32x4_extract_lane::<0>(v)
        .wrapping_add(i32x4_extract_lane::<1>(v))
        .wrapping_add(i32x4_extract_lane::<2>(v))
        .wrapping_add(i32x4_extract_lane::<3>(v))
}

impl Isa for WasmSimd {
    #[inline(always)]
    fn dots<const P: usize>(
        runs: &Runs,
        x: [&[i8]; P],
        w: [&[i8]; CHANNELS],
        sums: &mut [[i32; CHANNELS]; P],
    ) -> Option<()> {
        let whole = runs.len / LANES * LANES;
        let mut vectors = [[i32x4_splat(0); CHANNELS]; P];
        for row in 0..runs.rows {
            let mut xs = [[].as_slice(); P];
            for (to, from) in xs.iter_mut().zip(x) {
                *to = from.get(row * runs.x_stride..)?.get(..runs.len)?;
            }
            let mut ws = [[].as_slice(); CHANNELS];
            for (to, from) in ws.iter_mut().zip(w) {
                *to = from.get(row * runs.w_stride..)?.get(..runs.len)?;
            }
            let mut k = 0;
            while k < whole {
                let mut w = [i32x4_splat(0); CHANNELS];
                for (to, from) in w.iter_mut().zip(ws) {
                    *to = load(from.get(k..)?.first_chunk()?);
                }
                for (x, vectors) in xs.iter().zip(&mut vectors) {
                    let x = load(x.get(k..)?.first_chunk()?);
                    for (&w, vector) in w.iter().zip(vectors) {
                        *vector = i32x4_add(*vector, i32x4_dot_i16x8(x, w));
                    }
                }
                k += LANES;
            }
            if whole < runs.len {
                let rest = Runs::one(runs.len - whole);
                Scalar::dots(
                    &rest,
                    xs.map(|x| x.get(whole..).unwrap_or_default()),
                    ws.map(|w| w.get(whole..).unwrap_or_default()),
                    sums,
                )?;
            }
        }
        for (sums, vectors) in sums.iter_mut().zip(vectors) {
            for (sum, vector) in sums.iter_mut().zip(vectors) {
                *sum = sum.wrapping_add(total(vector));
            }
        }
        Some(())
    }

    #[inline(always)]
    fn depthwise(taps: &Taps2d, x: &[i8], w: &[i8], sums: &mut [i32]) -> Option<()> {
        let mut start = 0;
        let mut eights = sums.chunks_exact_mut(LANES);
        for sums in &mut eights {
            let (low, high) = sums.split_at_mut(LANES / 2);
            let [low, high]: [&mut [i32; 4]; 2] = [low.first_chunk_mut()?, high.first_chunk_mut()?];
            // SAFETY: the reference is to four i32.
            let mut a = unsafe { v128_load(low.as_ptr().cast()) };
            // SAFETY: the reference is to four i32.
            let mut b = unsafe { v128_load(high.as_ptr().cast()) };
            for row in 0..taps.rows {
                for column in 0..taps.columns {
                    let at = |[down, along]: [usize; 2]| row * down + column * along + start;
                    let x = load(x.get(at(taps.x_stride)..)?.first_chunk()?);
                    let w = load(w.get(at(taps.w_stride)..)?.first_chunk()?);
                    // A product of two int8 fits in 16 bits.
                    let product = i16x8_mul(x, w);
                    a = i32x4_add(a, i32x4_extend_low_i16x8(product));
                    b = i32x4_add(b, i32x4_extend_high_i16x8(product));
                }
            }
            // SAFETY: the reference is to four i32.
            unsafe { v128_store(low.as_mut_ptr().cast(), a) };
            // SAFETY: the reference is to four i32.
            unsafe { v128_store(high.as_mut_ptr().cast(), b) };
            start += LANES;
        }
        let rest = eights.into_remainder();
        if rest.is_empty() {
            return Some(());
        }
        Scalar::depthwise(taps, x.get(start..)?, w.get(start..)?, rest)
    }
}
