//! The reference: any machine, no unsafe code.

use core::ops::Range;

use super::{Filters, Isa, SUMS, Taps2d, Windows};

/// Plain loops.
pub(crate) struct Scalar;

/// Adds to `sums[p][c]` the products of `x[p]` and `w[c]`, which are of one length.
#[inline(always)]
fn add_tile<const P: usize, const C: usize>(
    x: [&[i8]; P],
    w: [&[i8]; C],
    sums: [&mut [i32; C]; P],
) -> Option<()> {
    let mut totals = [[0i32; C]; P];
    // Four elements at a time, so that their places are known without a check of each.
    let x = x.map(<[i8]>::as_chunks::<4>);
    let w = w.map(<[i8]>::as_chunks::<4>);
    let steps = w.first()?.0.len();
    for step in 0..steps {
        let mut fours = [&[0i8; 4]; C];
        for (four, (w, _)) in fours.iter_mut().zip(&w) {
            *four = w.get(step)?;
        }
        for (totals, (x, _)) in totals.iter_mut().zip(&x) {
            let x = x.get(step)?;
            for (total, w) in totals.iter_mut().zip(fours) {
                for (&x, &w) in x.iter().zip(w) {
                    *total = total.wrapping_add(i32::from(x) * i32::from(w));
                }
            }
        }
    }
    for (totals, (_, x)) in totals.iter_mut().zip(x) {
        for (total, (_, w)) in totals.iter_mut().zip(w) {
            for (&x, &w) in x.iter().zip(w) {
                *total = total.wrapping_add(i32::from(x) * i32::from(w));
            }
        }
    }
    for (sums, totals) in sums.into_iter().zip(totals) {
        for (sum, total) in sums.iter_mut().zip(totals) {
            *sum = sum.wrapping_add(total);
        }
    }
    Some(())
}

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
        let mut x = windows.bytes(pixels);
        let first = x.next()?.get(..piece.len())?;
        // The second pixel, or the same again.
        let second = x.next().unwrap_or(first).get(..piece.len())?;
        let pitch = SUMS.checked_div(pixels)?;
        let row = |channel: usize| {
            let start = channel * filters.len;
            filters.weights.get(start + piece.start..start + piece.end)
        };
        let last = channels.end.checked_sub(1)?;
        for (at, channel) in channels.step_by(2).enumerate() {
            // Where there are no more, the last one again: those sums are not read.
            let w = [row(channel)?, row((channel + 1).min(last))?];
            let at = 2 * at;
            if pixels == 1 {
                add_tile([first], w, [sums.get_mut(at..)?.first_chunk_mut()?])?;
            } else {
                let (low, high) = sums.split_at_mut_checked(pitch)?;
                let to = [
                    low.get_mut(at..)?.first_chunk_mut()?,
                    high.get_mut(at..)?.first_chunk_mut()?,
                ];
                add_tile([first, second], w, to)?;
            }
        }
        Some(())
    }

    #[inline(always)]
    fn depthwise(taps: &Taps2d, x: &[i8], w: &[i8], sums: &mut [i32]) -> Option<()> {
        // Some channels at a time, whose sums stay in registers over all taps.
        const BLOCK: usize = 4;
        let mut blocks = sums.chunks_exact_mut(BLOCK);
        let mut start = 0;
        for sums in &mut blocks {
            add_taps::<BLOCK>(taps, x, w, start, sums.first_chunk_mut()?)?;
            start += BLOCK;
        }
        for sum in blocks.into_remainder().chunks_exact_mut(1) {
            add_taps::<1>(taps, x, w, start, sum.first_chunk_mut()?)?;
            start += 1;
        }
        Some(())
    }
}

/// Adds to `sums[c]` the products of input and weights at channel `start + c` of every tap.
#[inline(always)]
fn add_taps<const C: usize>(
    taps: &Taps2d,
    x: &[i8],
    w: &[i8],
    start: usize,
    sums: &mut [i32; C],
) -> Option<()> {
    let mut totals = *sums;
    let [mut x_row, mut w_row] = [start; 2];
    for _ in 0..taps.rows {
        let [mut x_at, mut w_at] = [x_row, w_row];
        for _ in 0..taps.columns {
            let x = x.get(x_at..)?.first_chunk::<C>()?;
            let w = w.get(w_at..)?.first_chunk::<C>()?;
            for ((total, &x), &w) in totals.iter_mut().zip(x).zip(w) {
                *total = total.wrapping_add(i32::from(x) * i32::from(w));
            }
            x_at += taps.x_stride[1];
            w_at += taps.w_stride[1];
        }
        x_row += taps.x_stride[0];
        w_row += taps.w_stride[0];
    }
    *sums = totals;
    Some(())
}
