//! Convolution with any window and any number of groups.

use core::ops::Range;

use super::arch::{self, CHANNELS, Isa, Job, Runs};
use super::filters::{Filters, PIXELS};
use super::window::{Pixel, Taps};
use super::{Band, Window};
use crate::numerics::{OutputStage, clamp_f32};

/// An int8 convolution.
pub(crate) struct ConvI8<'m> {
    pub(crate) window: &'m Window,
    pub(crate) groups: u32,
    /// Input channels of one group.
    pub(crate) group_in: u32,
    /// Output channels of one group.
    pub(crate) group_out: u32,
    pub(crate) input_zero_point: i32,
    /// `[out_c][kernel_h][kernel_w][group_in]`.
    pub(crate) weights: &'m [i8],
    /// `[out_c]`: bias - input_zero_point * (sum of the output's weights).
    pub(crate) bias: &'m [i32],
    /// `[out_c]`.
    pub(crate) multipliers: &'m [f32],
    pub(crate) stage: OutputStage,
}

/// Weights of a filter up to which its window is brought together before it is multiplied: first
/// layers, whose rows are shorter than what it costs to begin a run.
const GATHERED: usize = 64;

/// Zero points that stand in for padding, at most so many at a time.
const PADDING: usize = 32;

impl ConvI8<'_> {
    /// Of the band's rows, `x` is `[batch][in_h][in_w][in_c]`, `y` is `[batch][out_h][out_w][out_c]`.
    ///
    /// The bias holds the zero point's share of every weight, so the loops multiply plain input
    /// bytes; a weight that meets padding, where the real input is 0, counts a zero point.
    pub(crate) fn run(&self, band: &Band, x: &[i8], y: &mut [i8]) -> Option<()> {
        if self.filter_len() <= GATHERED {
            self.run_as::<true>(band, x, y)
        } else {
            self.run_as::<false>(band, x, y)
        }
    }

    /// Two functions, so that what one needs is not on the stack of the other.
    #[inline(never)]
    fn run_as<const GATHER: bool>(&self, band: &Band, x: &[i8], y: &mut [i8]) -> Option<()> {
        let kernel = self;
        arch::run(ConvJob::<GATHER> { kernel, band, x, y })
    }
}

/// One run of a convolution, whose windows are brought together or read where they are.
struct ConvJob<'j, const GATHER: bool> {
    kernel: &'j ConvI8<'j>,
    band: &'j Band,
    x: &'j [i8],
    y: &'j mut [i8],
}

impl<const GATHER: bool> Job for ConvJob<'_, GATHER> {
    #[inline(always)]
    fn on<I: Isa>(self) -> Option<()> {
        let Self { kernel, band, x, y } = self;
        let window = kernel.window;
        let out_c = kernel.group_out as usize * kernel.groups as usize;
        let mut lines = y.chunks_exact_mut((out_c * window.out_w as usize).max(1));
        window.for_each_row(band, |row| {
            let mut ox = 0;
            for outputs in lines.next()?.chunks_mut((PIXELS * out_c).max(1)) {
                let (first, second) = outputs.split_at_mut_checked(out_c)?;
                let pixels = [row.pixel(window, ox), row.pixel(window, ox + 1)];
                // Two at a time, unless they meet the padding in different ways.
                if !second.is_empty() && (GATHER || window.are_full(&pixels)) {
                    kernel.pixels::<I, PIXELS, GATHER>(pixels, x, [first, second])?;
                } else {
                    for (pixel, y) in pixels.into_iter().zip([first, second]) {
                        if !y.is_empty() {
                            kernel.pixels::<I, 1, GATHER>([pixel], x, [y])?;
                        }
                    }
                }
                ox += PIXELS as u32;
            }
            Some(())
        })
    }
}

impl ConvI8<'_> {
    /// Weights of one output channel.
    #[inline(always)]
    fn filter_len(&self) -> usize {
        (self.window.kernel_h * self.window.kernel_w * self.group_in) as usize
    }

    /// The kernel columns at which a run of input bytes begins, and how long each run is: one run
    /// where the bytes of neighbouring columns are neighbours, otherwise one for each column.
    #[inline(always)]
    fn column_runs(&self, columns: Taps) -> (Range<u32>, usize) {
        let count = columns.count();
        let [runs, width] = match self.groups == 1 && self.window.dilation_w == 1 {
            true => [count.min(1), count],
            false => [count, 1],
        };
        let len = (width * self.group_in) as usize;
        (columns.first..columns.first + runs, len)
    }

    /// All channels of `P` pixels, which meet the padding alike unless the window is gathered.
    #[inline(always)]
    fn pixels<I: Isa, const P: usize, const GATHER: bool>(
        &self,
        pixels: [Pixel; P],
        x: &[i8],
        mut y: [&mut [i8]; P],
    ) -> Option<()> {
        let [group_out, len] = [self.group_out as usize, self.filter_len()];
        for group in 0..self.groups as usize {
            let channels = group * group_out..(group + 1) * group_out;
            let filters = Filters {
                weights: self.weights.get(channels.start * len..channels.end * len)?,
                len,
                bias: self.bias.get(channels.clone())?,
                multipliers: self.multipliers.get(channels)?,
                stage: self.stage,
            };
            let mut outputs = y.each_mut().map(|_| <&mut [i8]>::default());
            for (outputs, y) in outputs.iter_mut().zip(&mut y) {
                (*outputs, *y) = core::mem::take(y).split_at_mut_checked(group_out)?;
            }
            if GATHER {
                let mut scratch = [[0; GATHERED]; P];
                for (pixel, to) in pixels.iter().zip(&mut scratch) {
                    self.gather(pixel, group, x, to.get_mut(..len)?)?;
                }
                let windows = scratch.each_ref().map(<[i8; GATHERED]>::as_slice);
                let runs = Runs::one(len);
                filters
                    .for_each_tile::<I, P>(outputs, |w, sums| I::dots(&runs, windows, w, sums))?;
            } else {
                filters.for_each_tile::<I, P>(outputs, |w, sums| {
                    self.add_products::<I, P>(&pixels, group, x, w, sums)
                })?;
            }
        }
        Some(())
    }

    /// The input under a window, zero points where it is padding.
    #[inline(always)]
    fn gather(&self, pixel: &Pixel, group: usize, x: &[i8], to: &mut [i8]) -> Option<()> {
        let group_in = self.group_in as usize;
        let in_c = group_in * self.groups as usize;
        to.fill(self.input_zero_point as i8);
        let columns = pixel.columns;
        let (starts, width) = self.column_runs(columns);
        for ky in pixel.rows.first..pixel.rows.end {
            for kx in starts.clone() {
                let from = pixel.input_index(ky, kx) * in_c + group * group_in;
                let at = (ky * self.window.kernel_w + kx) as usize * group_in;
                let to = to.get_mut(at..at + width)?.iter_mut();
                for (to, &from) in to.zip(x.get(from..from + width)?) {
                    *to = from;
                }
            }
        }
        Some(())
    }

    /// Adds what the weights of some channels give on pixels that meet the padding alike.
    #[inline(always)]
    fn add_products<I: Isa, const P: usize>(
        &self,
        pixels: &[Pixel; P],
        group: usize,
        x: &[i8],
        w: [&[i8]; CHANNELS],
        sums: &mut [[i32; CHANNELS]; P],
    ) -> Option<()> {
        let group_in = self.group_in as usize;
        let in_c = group_in * self.groups as usize;
        let row_len = self.window.kernel_w as usize * group_in;
        let Pixel { rows, columns, .. } = *pixels.first()?;
        let from = |start: usize| -> Option<[&[i8]; CHANNELS]> {
            let mut rest = w;
            for rest in &mut rest {
                *rest = rest.get(start..)?;
            }
            Some(rest)
        };
        let first_row = rows.first as usize * row_len;
        if rows.count() > 0 {
            let (starts, len) = self.column_runs(columns);
            let runs = Runs {
                rows: rows.count() as usize,
                len,
                x_stride: (self.window.in_w * self.window.dilation_h) as usize * in_c,
                w_stride: row_len,
            };
            for kx in starts {
                let mut inputs = [x; P];
                for (input, pixel) in inputs.iter_mut().zip(pixels) {
                    let start = pixel.input_index(rows.first, kx) * in_c + group * group_in;
                    *input = x.get(start..)?;
                }
                let at = first_row + kx as usize * group_in;
                I::dots(&runs, inputs, from(at)?, sums)?;
            }
        }
        if self.input_zero_point == 0 {
            return Some(());
        }
        // The padding: whole rows above and below, the ends of rows on the left and right.
        let padding = [self.input_zero_point as i8; PADDING];
        let mut pad = |start: usize, len: usize, rows: u32| -> Option<()> {
            let mut done = 0;
            while rows > 0 && done < len {
                let runs = Runs {
                    rows: rows as usize,
                    len: (len - done).min(PADDING),
                    x_stride: 0,
                    w_stride: row_len,
                };
                I::dots(&runs, [padding.as_slice(); P], from(start + done)?, sums)?;
                done += runs.len;
            }
            Some(())
        };
        let behind = rows.first.max(rows.end) as usize * row_len;
        pad(0, first_row, 1)?;
        pad(behind, (self.filter_len()).checked_sub(behind)?, 1)?;
        let on = [columns.first, columns.first.max(columns.end)].map(|k| k as usize * group_in);
        pad(first_row, on[0], rows.count())?;
        pad(first_row + on[1], row_len.checked_sub(on[1])?, rows.count())
    }
}

/// A float convolution.
pub(crate) struct ConvF32<'m> {
    pub(crate) window: &'m Window,
    pub(crate) groups: u32,
    /// Input channels of one group.
    pub(crate) group_in: u32,
    /// Output channels of one group.
    pub(crate) group_out: u32,
    /// `[groups][kernel_h][kernel_w][group_in][group_out]`.
    pub(crate) weights: &'m [f32],
    /// `[out_c]`.
    pub(crate) bias: &'m [f32],
    pub(crate) low: f32,
    pub(crate) high: f32,
}

impl ConvF32<'_> {
    /// Of the band's rows, `x` is `[batch][in_h][in_w][in_c]`, `y` is `[batch][out_h][out_w][out_c]`.
    ///
    /// Each output starts at its bias and adds its products in the order kernel row, kernel
    /// column, input channel; weights that meet padding are left out. The innermost loop runs
    /// over outputs, so that vector units may take several at a time and keep that order.
    #[inline(never)]
    pub(crate) fn run(&self, band: &Band, x: &[f32], y: &mut [f32]) -> Option<()> {
        let window = self.window;
        let [group_in, group_out] = [self.group_in as usize, self.group_out as usize];
        let in_c = group_in * self.groups as usize;
        let out_c = group_out * self.groups as usize;
        let tap_len = group_in * group_out;
        let group_len = tap_len * window.kernel_h as usize * window.kernel_w as usize;
        let mut pixels = y.chunks_exact_mut(out_c.max(1));
        window.for_each_pixel(band, |pixel| {
            let outputs = pixels.next()?;
            outputs.copy_from_slice_checked(self.bias)?;
            let groups = outputs
                .chunks_exact_mut(group_out.max(1))
                .zip(self.weights.chunks_exact(group_len.max(1)));
            for (group, (outputs, filters)) in groups.enumerate() {
                for ky in pixel.rows.first..pixel.rows.end {
                    for kx in pixel.columns.first..pixel.columns.end {
                        let start = pixel.input_index(ky, kx) * in_c + group * group_in;
                        let x = x.get(start..start + group_in)?;
                        let tap = (ky * window.kernel_w + kx) as usize * tap_len;
                        let tap = filters.get(tap..tap + tap_len)?;
                        for (&x, weights) in x.iter().zip(tap.chunks_exact(group_out.max(1))) {
                            for (y, &w) in outputs.iter_mut().zip(weights) {
                                *y += x * w;
                            }
                        }
                    }
                }
                for y in outputs {
                    *y = clamp_f32(*y, self.low, self.high);
                }
            }
            Some(())
        })
    }
}

/// `copy_from_slice` that cannot panic.
pub(crate) trait CopyChecked<T> {
    /// Copies when the lengths are equal, otherwise gives `None`.
    fn copy_from_slice_checked(&mut self, from: &[T]) -> Option<()>;
}

impl<T: Copy> CopyChecked<T> for [T] {
    #[inline(always)]
    fn copy_from_slice_checked(&mut self, from: &[T]) -> Option<()> {
        (self.len() == from.len()).then(|| self.copy_from_slice(from))
    }
}
