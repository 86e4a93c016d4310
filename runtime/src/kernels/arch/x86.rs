//! x86-64: AVX-512, AVX2, and the scalar loops, chosen when the program runs.
//!
//! Without VNNI: the crate that tells features apart has no name for it, and asking the processor at
//! every run is slow on virtual machines.

#![allow(unsafe_code)]

use core::arch::x86_64::{
    __m128i, __m256i, __m512i, _mm_add_epi32, _mm_hadd_epi32, _mm_loadu_si128, _mm_storeu_si128,
    _mm256_add_epi32, _mm256_castsi256_si128, _mm256_cvtepi8_epi16, _mm256_cvtepi16_epi32,
    _mm256_extracti128_si256, _mm256_loadu_si256, _mm256_madd_epi16, _mm256_maskz_loadu_epi8,
    _mm256_mullo_epi16, _mm256_setzero_si256, _mm256_storeu_si256, _mm512_add_epi32,
    _mm512_castsi512_si256, _mm512_cvtepi8_epi16, _mm512_extracti64x4_epi64, _mm512_madd_epi16,
    _mm512_setzero_si512,
};

use super::scalar::Scalar;
use core::ops::Range;

use super::{CHANNELS, Filters, Isa, Job, SUMS, Taps2d, Windows};

cpufeatures::new!(avx512, "avx512f", "avx512bw", "avx512vl");
cpufeatures::new!(avx2, "avx2");

/// Does the job on the best of the three.
#[inline(always)]
pub(super) fn run(job: impl Job) -> Option<()> {
    if avx512::get() {
        // SAFETY: the processor and the system have all that the function is compiled for.
        unsafe { on_avx512(job) }
    } else if avx2::get() {
        // SAFETY: as above.
        unsafe { on_avx2(job) }
    } else {
        job.on::<Scalar>()
    }
}

/// # Safety
///
/// The processor has to have these features.
#[target_feature(enable = "avx512f,avx512bw,avx512vl")]
unsafe fn on_avx512(job: impl Job) -> Option<()> {
    job.on::<Avx512>()
}

/// # Safety
///
/// The processor has to have this feature.
#[target_feature(enable = "avx2")]
unsafe fn on_avx2(job: impl Job) -> Option<()> {
    job.on::<Avx2>()
}

/// AVX2. Used inside [`on_avx2`] and [`on_avx512`] alone.
struct Avx2;

/// AVX-512 with BW and VL. Used inside [`on_avx512`] alone.
struct Avx512;

/// The sums of the lanes of four vectors, added to `sums`.
#[inline]
#[target_feature(enable = "avx2")]
fn add_totals(vectors: [__m256i; CHANNELS], sums: &mut [i32; CHANNELS]) {
    let [a, b, c, d] =
        vectors.map(|v| _mm_add_epi32(_mm256_castsi256_si128(v), _mm256_extracti128_si256::<1>(v)));
    let totals = _mm_hadd_epi32(_mm_hadd_epi32(a, b), _mm_hadd_epi32(c, d));
    let place: *mut __m128i = sums.as_mut_ptr().cast();
    // SAFETY: the reference is to four i32.
    let before = unsafe { _mm_loadu_si128(place) };
    let after = _mm_add_epi32(before, totals);
    // SAFETY: the reference is to four i32.
    unsafe { _mm_storeu_si128(place, after) };
}

/// Sixteen int8 as int16.
///
/// # Safety
///
/// `from` has to be the first of sixteen.
#[inline]
#[target_feature(enable = "avx2")]
unsafe fn load_16(from: *const i8) -> __m256i {
    // SAFETY: the caller's.
    _mm256_cvtepi8_epi16(unsafe { _mm_loadu_si128(from.cast()) })
}

/// Up to 32 int8 as int16, and zeros behind them.
///
/// # Safety
///
/// As many as `mask` has bits have to be there.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vl")]
unsafe fn load_32(mask: u32, from: *const i8) -> __m512i {
    // SAFETY: the caller's; what the mask leaves out is not read.
    _mm512_cvtepi8_epi16(unsafe { _mm256_maskz_loadu_epi8(mask, from) })
}

/// # Safety
///
/// All slices have to be of one length.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vl")]
unsafe fn dots_avx512<const P: usize>(
    x: [&[i8]; P],
    w: [&[i8]; CHANNELS],
    sums: &mut [[i32; CHANNELS]; P],
) {
    let len = w.first().map_or(0, |w| w.len());
    let mut vectors = [[_mm512_setzero_si512(); CHANNELS]; P];
    let mut k = 0;
    while k < len {
        let left = len - k;
        let mask = if left < 32 { (1u32 << left) - 1 } else { !0 };
        // SAFETY: the mask ends where the slice does.
        let w = w.map(|w| unsafe { load_32(mask, w.as_ptr().wrapping_add(k)) });
        for (x, vectors) in x.iter().zip(&mut vectors) {
            // SAFETY: the mask ends where the slice does.
            let x = unsafe { load_32(mask, x.as_ptr().wrapping_add(k)) };
            for (&w, vector) in w.iter().zip(vectors) {
                *vector = _mm512_add_epi32(*vector, _mm512_madd_epi16(x, w));
            }
        }
        k += 32;
    }
    for (vectors, sums) in vectors.iter().zip(sums) {
        let halves = vectors.map(|v| {
            let high = _mm512_extracti64x4_epi64::<1>(v);
            _mm256_add_epi32(_mm512_castsi512_si256(v), high)
        });
        add_totals(halves, sums);
    }
}

/// # Safety
///
/// All slices have to be of one length.
#[inline]
#[target_feature(enable = "avx2")]
unsafe fn dots_avx2<const P: usize>(
    x: [&[i8]; P],
    w: [&[i8]; CHANNELS],
    sums: &mut [[i32; CHANNELS]; P],
) {
    let len = w.first().map_or(0, |w| w.len());
    let mut vectors = [[_mm256_setzero_si256(); CHANNELS]; P];
    let mut k = 0;
    while k + 16 <= len {
        // SAFETY: the step ends at or before the end of the slice.
        let w = w.map(|w| unsafe { load_16(w.as_ptr().wrapping_add(k)) });
        for (x, vectors) in x.iter().zip(&mut vectors) {
            // SAFETY: the step ends at or before the end of the slice.
            let x = unsafe { load_16(x.as_ptr().wrapping_add(k)) };
            for (&w, vector) in w.iter().zip(vectors) {
                *vector = _mm256_add_epi32(*vector, _mm256_madd_epi16(x, w));
            }
        }
        k += 16;
    }
    for (x, sums) in x.iter().zip(&mut *sums) {
        for (w, sum) in w.iter().zip(sums) {
            for (&x, &w) in x.iter().zip(*w).skip(k) {
                *sum = sum.wrapping_add(i32::from(x) * i32::from(w));
            }
        }
    }
    for (vectors, sums) in vectors.into_iter().zip(sums) {
        add_totals(vectors, sums);
    }
}

/// Sums of sixteen channels of a depthwise window.
///
/// # Safety
///
/// Sixteen elements have to be there at every tap.
#[inline]
#[target_feature(enable = "avx2")]
unsafe fn depthwise_16(taps: &Taps2d, x: *const i8, w: *const i8, sums: &mut [i32; 16]) {
    let [low, high]: [*mut __m256i; 2] = {
        let (low, high) = sums.split_at_mut(8);
        [low.as_mut_ptr().cast(), high.as_mut_ptr().cast()]
    };
    // SAFETY: eight i32 begin there.
    let mut a = unsafe { _mm256_loadu_si256(low) };
    // SAFETY: eight i32 begin there.
    let mut b = unsafe { _mm256_loadu_si256(high) };
    for row in 0..taps.rows {
        for column in 0..taps.columns {
            let at = |[down, along]: [usize; 2]| row * down + column * along;
            // SAFETY: the caller's.
            let x = unsafe { load_16(x.wrapping_add(at(taps.x_stride))) };
            // SAFETY: the caller's.
            let w = unsafe { load_16(w.wrapping_add(at(taps.w_stride))) };
            // A product of two int8 fits in 16 bits.
            let product = _mm256_mullo_epi16(x, w);
            let wide = _mm256_cvtepi16_epi32(_mm256_castsi256_si128(product));
            a = _mm256_add_epi32(a, wide);
            let wide = _mm256_cvtepi16_epi32(_mm256_extracti128_si256::<1>(product));
            b = _mm256_add_epi32(b, wide);
        }
    }
    // SAFETY: eight i32 begin there.
    unsafe { _mm256_storeu_si256(low, a) };
    // SAFETY: eight i32 begin there.
    unsafe { _mm256_storeu_si256(high, b) };
}

impl Isa for Avx2 {
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
            1 => windows.products::<1>(filters, channels, piece, sums, |x, w, sums| {
                // SAFETY: they are of one length; the features are there, see `Avx2`.
                unsafe { dots_avx2(x, w, sums) }
            }),
            2 => windows.products::<2>(filters, channels, piece, sums, |x, w, sums| {
                // SAFETY: they are of one length; the features are there, see `Avx2`.
                unsafe { dots_avx2(x, w, sums) }
            }),
            _ => None,
        }
    }

    #[inline(always)]
    fn depthwise(taps: &Taps2d, x: &[i8], w: &[i8], sums: &mut [i32]) -> Option<()> {
        let mut start = 0;
        let mut blocks = sums.chunks_exact_mut(16);
        for sums in &mut blocks {
            let (x, w) = (x.get(start..)?, w.get(start..)?);
            if !taps.fit(16, x.len(), w.len()) {
                return None;
            }
            // SAFETY: `fit` has shown where the taps lie; the features are there, see `Avx2`.
            unsafe { depthwise_16(taps, x.as_ptr(), w.as_ptr(), sums.first_chunk_mut()?) };
            start += 16;
        }
        let rest = blocks.into_remainder();
        if rest.is_empty() {
            return Some(());
        }
        Scalar::depthwise(taps, x.get(start..)?, w.get(start..)?, rest)
    }
}

impl Isa for Avx512 {
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
            1 => windows.products::<1>(filters, channels, piece, sums, |x, w, sums| {
                // SAFETY: they are of one length; the features are there, see `Avx512`.
                unsafe { dots_avx512(x, w, sums) }
            }),
            2 => windows.products::<2>(filters, channels, piece, sums, |x, w, sums| {
                // SAFETY: they are of one length; the features are there, see `Avx512`.
                unsafe { dots_avx512(x, w, sums) }
            }),
            _ => None,
        }
    }

    #[inline(always)]
    fn depthwise(taps: &Taps2d, x: &[i8], w: &[i8], sums: &mut [i32]) -> Option<()> {
        Avx2::depthwise(taps, x, w, sums)
    }
}

#[cfg(all(test, feature = "digests"))]
#[allow(clippy::indexing_slicing, clippy::unwrap_used)]
mod tests {
    use super::super::Workspace;
    use super::*;
    use crate::numerics::OutputStage;

    extern crate std;
    use std::vec::Vec;

    /// Sums of some drawn runs and taps: what an instruction set gives for a seed.
    struct Draw<'s>(u32, &'s mut Vec<i32>);

    impl Job for Draw<'_> {
        #[inline(always)]
        fn on<I: Isa>(self) -> Option<()> {
            let mut random = crate::Xorshift32::new(self.0);
            let mut below = |end: usize| random.next_u32() as usize % end.max(1);
            let extreme = below(2) == 0;
            let mut bytes = |len: usize| -> Vec<i8> {
                let draw = |_| match extreme {
                    true => [-128, 127][below(2)],
                    false => below(256) as u8 as i8,
                };
                (0..len).map(draw).collect()
            };
            let (x, w) = (bytes(2048), bytes(2048));
            let [x, w] = [x.as_slice(), w.as_slice()];
            let (len, outputs) = (1 + below(150), 1 + below(12));
            let pixels = 1 + below(I::PIXELS);
            let filters = Filters {
                weights: &w[..len * outputs],
                len,
                bias: &[],
                multipliers: &[],
                stage: OutputStage::new(0, -128, 127)?,
            };
            let start = below(len);
            let piece = start..start + 1 + below(len - start);
            let Workspace { mut windows, .. } = Workspace::new();
            let runs = [(); 8].map(|()| &x[below(900)..][..piece.len()]);
            let cut = below(piece.len()) / I::ALIGN as usize * I::ALIGN as usize;
            I::place(&mut windows, 0, &runs.map(|run| &run[..cut])[..pixels])?;
            I::place(&mut windows, cut, &runs.map(|run| &run[cut..])[..pixels])?;
            let first = below(outputs);
            let channels = first..first + 1 + below(outputs - first);
            let count = channels.len();
            let mut sums = [7; SUMS];
            I::products(
                &windows,
                pixels,
                &filters,
                channels,
                piece.clone(),
                &mut sums,
            )?;
            for sums in sums.chunks_exact(SUMS / pixels) {
                self.1.extend(&sums[..count]);
            }
            let multipliers: Vec<f32> = (0..count)
                .map(|_| below(1 << 20) as f32 * [1e-6, 1e-9, 1e-12, 1e3][below(4)])
                .collect();
            let sums: Vec<i32> = (0..count)
                .map(|_| (below(1 << 32) as u32).cast_signed() >> below(32))
                .collect();
            let low = below(256) as i32 - 128;
            let high = low + below((128 - low) as usize) as i32;
            let stage = OutputStage::new(below(256) as i32 - 128, low, high)?;
            let mut y = std::vec![0; count];
            I::requantize(&stage, &sums, &multipliers, &mut y)?;
            self.1.extend(y.iter().map(|&y| i32::from(y)));
            let taps = Taps2d {
                rows: below(6),
                columns: below(6),
                x_stride: [below(100), below(60)],
                w_stride: [below(100), below(60)],
            };
            let mut sums = std::vec![3; below(17)];
            I::depthwise(&taps, &x[below(900)..], &w[below(900)..], &mut sums)?;
            self.1.extend(sums);
            // What leaves its slice is refused.
            let short = Filters {
                weights: &w[..len * outputs - 1],
                ..filters
            };
            let all = (0..outputs, 0..len);
            let mut sums = [0; SUMS];
            assert!(I::products(&windows, pixels, &short, all.0, all.1, &mut sums).is_none());
            assert!(
                I::depthwise(&taps, &x[2048..], w, &mut [0]).is_none()
                    || taps.rows * taps.columns == 0
            );
            Some(())
        }
    }

    #[test]
    fn every_instruction_set_gives_the_scalar_sums() {
        // A machine without one of them would test nothing.
        assert!(avx2::get(), "this test needs a machine with AVX2");
        for seed in 1..10_000 {
            let [mut scalar, mut with_avx2, mut best] = [(); 3].map(|()| Vec::new());
            Draw(seed, &mut scalar).on::<Scalar>().unwrap();
            // SAFETY: the feature is there.
            unsafe { on_avx2(Draw(seed, &mut with_avx2)) }.unwrap();
            run(Draw(seed, &mut best)).unwrap();
            assert_eq!(scalar, with_avx2, "AVX2, seed {seed}");
            assert_eq!(scalar, best, "the best, seed {seed}");
        }
    }
}
