//! The reference: any machine, no unsafe code.

use core::ops::Range;

use super::{Filters, Isa, Multiplies, SUMS, Taps2d, Wide, Windows};

/// Plain loops.
pub(crate) struct Scalar;

impl Isa for Scalar {
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
        let sums = sums.chunks_exact_mut(SUMS.checked_div(pixels)?);
        for (x, sums) in windows.bytes(pixels).zip(sums) {
            let x = x.get(..piece.len())?;
            for (channel, sum) in channels.clone().zip(sums) {
                let start = channel * filters.len;
                let w = filters
                    .weights
                    .get(start + piece.start..start + piece.end)?;
                *sum = (x.iter().zip(w)).fold(*sum, |sum, (&x, &w)| {
                    sum.wrapping_add(i32::from(x) * i32::from(w))
                });
            }
        }
        Some(())
    }

    #[inline(always)]
    fn depthwise(taps: &Taps2d, x: &[i8], w: &[i8], sums: &mut [i32]) -> Option<()> {
        for row in 0..taps.rows {
            for column in 0..taps.columns {
                let at = |[down, along]: [usize; 2]| row * down + column * along;
                let x = x.get(at(taps.x_stride)..)?.get(..sums.len())?;
                let w = w.get(at(taps.w_stride)..)?.get(..sums.len())?;
                for ((sum, &x), &w) in sums.iter_mut().zip(x).zip(w) {
                    *sum = sum.wrapping_add(i32::from(x) * i32::from(w));
                }
            }
        }
        Some(())
    }
}

impl Multiplies<Wide> for Scalar {
    #[inline(always)]
    fn products(
        windows: &Windows,
        pixels: usize,
        filters: &Filters<'_, Wide>,
        channels: Range<usize>,
        piece: Range<usize>,
        sums: &mut [i32; SUMS],
    ) -> Option<()> {
        if !piece.start.is_multiple_of(4) {
            return None;
        }
        let row = filters.len.div_ceil(4);
        let sums = sums.chunks_exact_mut(SUMS.checked_div(pixels)?);
        for (x, sums) in windows.bytes(pixels).zip(sums) {
            let x = x.get(..piece.len())?;
            for (channel, sum) in channels.clone().zip(sums) {
                let start = channel / 2 * row + piece.start / 4;
                let steps = filters.weights.get(start..start + x.len().div_ceil(4))?;
                for (x, step) in x.chunks(4).zip(steps) {
                    let [a, c, b, d, second @ ..] = bytemuck::cast::<_, [i16; 8]>(*step);
                    let first = [a, b, c, d];
                    let [a, c, b, d] = second;
                    let w = if channel.is_multiple_of(2) {
                        first
                    } else {
                        [a, b, c, d]
                    };
                    *sum = x.iter().zip(w).fold(*sum, |sum, (&x, w)| {
                        sum.wrapping_add(i32::from(x) * i32::from(w))
                    });
                }
            }
        }
        Some(())
    }
}
