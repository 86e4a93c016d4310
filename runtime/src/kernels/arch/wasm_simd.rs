//! WebAssembly with SIMD128.

#![allow(unsafe_code)]

use core::arch::wasm32::{
    i16x8_load_extend_i8x8, i16x8_mul, i32x4_add, i32x4_dot_i16x8, i32x4_extend_high_i16x8,
    i32x4_extend_low_i16x8, i32x4_extract_lane, i32x4_splat, v128, v128_load, v128_store,
};

use super::scalar::Scalar;
use core::ops::Range;

use super::{CHANNELS, Filters, Isa, SUMS, Taps2d, Windows};

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

/// Of slices of one length.
#[inline(always)]
fn dots<const P: usize>(x: [&[i8]; P], w: [&[i8]; CHANNELS], sums: &mut [[i32; CHANNELS]; P]) {
    let xs = x.map(<[i8]>::as_chunks::<LANES>);
    let ws = w.map(<[i8]>::as_chunks::<LANES>);
    let mut vectors = [[i32x4_splat(0); CHANNELS]; P];
    let steps = ws.first().map_or(0, |(w, _)| w.len());
    for step in 0..steps {
        let at = |(eights, _): (&[[i8; LANES]], _)| eights.get(step).map_or(i32x4_splat(0), load);
        let w = ws.map(at);
        for (&x, vectors) in xs.iter().zip(&mut vectors) {
            let x = at(x);
            for (&w, vector) in w.iter().zip(vectors) {
                *vector = i32x4_add(*vector, i32x4_dot_i16x8(x, w));
            }
        }
    }
    for ((vectors, sums), (_, x)) in vectors.iter().zip(sums).zip(xs) {
        for ((&vector, sum), (_, w)) in vectors.iter().zip(sums).zip(ws) {
            let rest = x.iter().zip(w).map(|(&x, &w)| i32::from(x) * i32::from(w));
            *sum = rest.fold(sum.wrapping_add(total(vector)), i32::wrapping_add);
        }
    }
}

impl Isa for WasmSimd {
    const PIXELS: usize = 2;
    const ELEMENT: usize = 1;

    #[inline(always)]
    fn place(windows: &mut Windows, at: usize, runs: &[&[i8]]) -> Option<()> {
        windows.place(at, runs)
    }

    #[inline(always)]
    fn products(
        windows: &Windows,
        pixels: usize,
        filters: &Filters<'_>,
        channels: Range<usize>,
        piece: Range<usize>,
        sums: &mut [i32; SUMS],
    ) -> Option<()> {
        match pixels {
            1 => windows.products::<1>(filters, channels, piece, sums, dots),
            2 => windows.products::<2>(filters, channels, piece, sums, dots),
            _ => None,
        }
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
