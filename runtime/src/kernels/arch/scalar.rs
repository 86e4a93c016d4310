//! The reference: any machine, no unsafe code.

use core::ops::Range;

use super::{Filters, Isa, Multiplies, SUMS, Taps2d, Wide, Windows};

/// Plain loops.
pub(crate) struct Scalar;

/// The sums of products of a slice and two others.
#[inline(always)]
fn one_by_two(one: &[i8], [first, second]: [&[i8]; 2]) -> [i32; 2] {
    let mut sums = [0i32; 2];
    for ((&a, &b), &c) in one.iter().zip(first).zip(second) {
        let a = i32::from(a);
        sums[0] = sums[0].wrapping_add(a * i32::from(b));
        sums[1] = sums[1].wrapping_add(a * i32::from(c));
    }
    sums
}

/// The sums of products of each of two slices and two others.
#[inline(always)]
fn two_by_two([x, y]: [&[i8]; 2], [first, second]: [&[i8]; 2]) -> [[i32; 2]; 2] {
    let mut sums = [[0i32; 2]; 2];
    for (((&x, &y), &b), &c) in x.iter().zip(y).zip(first).zip(second) {
        let [x, y, b, c] = [x, y, b, c].map(i32::from);
        sums[0][0] = sums[0][0].wrapping_add(x * b);
        sums[0][1] = sums[0][1].wrapping_add(x * c);
        sums[1][0] = sums[1][0].wrapping_add(y * b);
        sums[1][1] = sums[1][1].wrapping_add(y * c);
    }
    sums
}

impl Isa for Scalar {
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
        let pitch = SUMS.checked_div(pixels)?;
        let row = |channel: usize| {
            let start = channel * filters.len;
            filters.weights.get(start + piece.start..start + piece.end)
        };
        let last = channels.end.checked_sub(1)?;
        let mut add = |at: usize, more: i32| {
            let sum = sums.get_mut(at)?;
            *sum = sum.wrapping_add(more);
            Some(())
        };
        for pixel in (0..pixels).step_by(2) {
            let first = x.next()?.get(..piece.len())?;
            let second = match x.next() {
                Some(second) => Some(second.get(..piece.len())?),
                None => None,
            };
            for (step, channel) in channels.clone().step_by(2).enumerate() {
                let at = pixel * pitch + 2 * step;
                // Where there are no more, the last one again: those sums are not read.
                let w = [row(channel)?, row((channel + 1).min(last))?];
                if let Some(second) = second {
                    let [[a, b], [c, d]] = two_by_two([first, second], w);
                    add(at, a)?;
                    add(at + 1, b)?;
                    add(pitch + at, c)?;
                    add(pitch + at + 1, d)?;
                } else {
                    let [a, b] = one_by_two(first, w);
                    add(at, a)?;
                    add(at + 1, b)?;
                }
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
