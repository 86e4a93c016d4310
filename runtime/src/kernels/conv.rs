//! Convolution with any window and any number of groups.

use core::ops::Range;

use super::arch::{GATHERED, Gathered, Isa, Job, Multiplies, PIXELS, Weight, Windows, Workspace};
use super::filters::Filters;
use super::window::Pixel;
use super::{Band, Window};
use crate::numerics::{OutputStage, clamp_f32};

/// An int8 convolution.
pub(crate) struct ConvI8<'m, W = i8> {
    pub(crate) window: &'m Window,
    pub(crate) groups: u32,
    /// Input channels of one group.
    pub(crate) group_in: u32,
    /// Output channels of one group.
    pub(crate) group_out: u32,
    pub(crate) input_zero_point: i32,
    /// `[groups][group_out][kernel_h][kernel_w][group_in]`, as [`Weight`] lays out those of a group.
    pub(crate) weights: &'m [W],
    /// `[out_c]`: bias - input_zero_point * (sum of the output's weights).
    pub(crate) bias: &'m [i32],
    /// `[out_c]`.
    pub(crate) multipliers: &'m [f32],
    pub(crate) stage: OutputStage,
}

/// Zero points that stand in for padding, at most so many at a time.
const PADDING: usize = 16;

impl<W: Weight> ConvI8<'_, W> {
    /// Of the band's rows, `x` is `[batch][in_h][in_w][in_c]`, `y` is `[batch][out_h][out_w][out_c]`.
    ///
    /// The bias holds the zero point's share of every weight, so the loops multiply plain input
    /// bytes; a weight that meets padding, where the real input is 0, counts a zero point.
    #[inline(never)]
    pub(crate) fn run(
        &self,
        workspace: &mut Workspace,
        band: &Band,
        x: &[i8],
        y: &mut [i8],
    ) -> Option<()> {
        #[cfg(niwaki_tiles)]
        if let Some(weights) = W::as_int8(self.weights) {
            let kernel = ConvI8 {
                window: self.window,
                groups: self.groups,
                group_in: self.group_in,
                group_out: self.group_out,
                input_zero_point: self.input_zero_point,
                weights,
                bias: self.bias,
                multipliers: self.multipliers,
                stage: self.stage,
            };
            // Windows that leave the room there, too: whatever was written is written again.
            if super::blocks::conv(&kernel, band, x, y).is_some() {
                return Some(());
            }
        }
        #[cfg(niwaki_tiles)]
        if super::arch::tiles::ALWAYS {
            return super::plain::conv(self, band, x, y);
        }
        let kernel = self;
        W::run(ConvJob {
            kernel,
            workspace,
            band,
            x,
            y,
        })
    }
}

/// One run of a convolution.
struct ConvJob<'j, W> {
    kernel: &'j ConvI8<'j, W>,
    workspace: &'j mut Workspace,
    band: &'j Band,
    x: &'j [i8],
    y: &'j mut [i8],
}

impl<W: Weight> Job<W> for ConvJob<'_, W> {
    #[inline(always)]
    fn on<I: Multiplies<W>>(self) -> Option<()> {
        let Self {
            kernel,
            workspace,
            band,
            x,
            y,
        } = self;
        let ConvI8 { window, groups, .. } = *kernel;
        let group_out = kernel.group_out as usize;
        let len = window.kernel_h * window.kernel_w * kernel.group_in;
        let [rows, row] = W::shape(kernel.group_out, len);
        let (len, group_len) = (len as usize, (rows * row) as usize);
        let out_c = group_out * groups as usize;
        // Other runs go there by way of an array of bytes.
        let in_place = kernel.group_in.is_multiple_of(I::ALIGN);
        // Rows of windows are runs of input.
        let by_rows = I::APART && groups == 1 && window.dilation_w == 1;
        let mut left = window.pixels(band)?;
        let mut pixels = [Pixel::default(); PIXELS];
        for y in y.chunks_mut((PIXELS * out_c).max(1)) {
            let mut count = 0;
            for to in &mut pixels {
                let Some(pixel) = left.next() else { break };
                *to = pixel;
                count += 1;
            }
            let most = if in_place { usize::MAX } else { GATHERED };
            let held = Windows::piece::<I>(count)?.min(most);
            for group in 0..groups as usize {
                let channels = group * group_out..(group + 1) * group_out;
                let filters = Filters {
                    weights: kernel
                        .weights
                        .get(group * group_len..(group + 1) * group_len)?,
                    len,
                    bias: kernel.bias.get(channels.clone())?,
                    multipliers: kernel.multipliers.get(channels.clone())?,
                    stage: kernel.stage,
                };
                let place = |windows: &mut Windows, bytes: &mut Gathered, piece: Range<usize>| {
                    let pixels = pixels.get(..count)?;
                    if by_rows && piece == (0..len) {
                        kernel.gather_rows::<I>(pixels, x, windows)
                    } else if in_place {
                        let place = |at, runs: &[&[i8]]| I::place(windows, at, runs);
                        kernel.gather(pixels, group, x, piece, place)
                    } else {
                        kernel.gather_bytes::<I>(pixels, group, x, piece, bytes, windows)
                    }
                };
                let y = y.get_mut(channels.start..)?;
                filters.run::<I>(workspace, count, held, place, y, out_c)?;
            }
        }
        Some(())
    }
}

impl<W> ConvI8<'_, W> {
    /// Brings a piece of the windows of some pixels together: gives `place` runs of input, one of
    /// each pixel, and where they begin in the piece.
    ///
    /// Not inlined: it has enough to keep in registers by itself.
    #[inline(never)]
    fn gather(
        &self,
        pixels: &[Pixel],
        group: usize,
        x: &[i8],
        piece: Range<usize>,
        mut place: impl FnMut(usize, &[&[i8]]) -> Option<()>,
    ) -> Option<()> {
        let row_len = (self.window.kernel_w * self.group_in) as usize;
        let padding = [self.input_zero_point as i8; PADDING];
        let mut ky = piece.start.checked_div(row_len)?;
        let mut within = piece.start - ky * row_len;
        let len = piece.len();
        let mut at = 0;
        while at < len {
            let mut runs = [padding.as_slice(); PIXELS];
            let runs = runs.get_mut(..pixels.len())?;
            let mut most = len - at;
            for (pixel, run) in pixels.iter().zip(&mut *runs) {
                let (from, there) = self.run_from(pixel, group, [ky, within])?;
                if let Some(from) = from {
                    *run = x.get(from..)?;
                } else {
                    most = most.min(PADDING);
                }
                most = most.min(there);
            }
            for run in &mut *runs {
                *run = run.get(..most)?;
            }
            place(at, runs)?;
            at += most;
            within += most;
            if within == row_len {
                (ky, within) = (ky + 1, 0);
            }
        }
        Some(())
    }

    /// The same of whole windows in which each row is a run, for instruction sets that have every window
    /// on its own.
    #[inline(never)]
    fn gather_rows<I: Isa>(&self, pixels: &[Pixel], x: &[i8], windows: &mut Windows) -> Option<()> {
        let Window {
            kernel_h,
            kernel_w,
            in_w,
            dilation_h,
            ..
        } = *self.window;
        let in_c = self.group_in as usize;
        let row_len = kernel_w as usize * in_c;
        let line = (in_w * dilation_h) as usize * in_c;
        let padding = [self.input_zero_point as i8; PADDING];
        for (n, pixel) in pixels.iter().enumerate() {
            let Pixel { rows, columns, .. } = *pixel;
            let mut place = |at, run: &[i8]| I::place_run(windows, pixels.len(), n, at, run);
            let inside = rows.count() > 0 && columns.count() > 0;
            if !inside || rows.count() < kernel_h || columns.count() < kernel_w {
                let mut at = 0;
                while at < kernel_h as usize * row_len {
                    let left = kernel_h as usize * row_len - at;
                    place(at, padding.get(..left.min(PADDING))?)?;
                    at += PADDING;
                }
            }
            if !inside {
                continue;
            }
            let len = columns.count() as usize * in_c;
            let mut at = rows.first as usize * row_len + columns.first as usize * in_c;
            let mut from = pixel.input_index(rows.first, columns.first) * in_c;
            for _ in rows.first..rows.end {
                place(at, x.get(from..from + len)?)?;
                at += row_len;
                from += line;
            }
        }
        Some(())
    }

    /// The same for instruction sets that cannot place runs of this length.
    #[inline(never)]
    fn gather_bytes<I: Isa>(
        &self,
        pixels: &[Pixel],
        group: usize,
        x: &[i8],
        piece: Range<usize>,
        bytes: &mut Gathered,
        windows: &mut Windows,
    ) -> Option<()> {
        let len = piece.len();
        self.gather(pixels, group, x, piece, |at, runs| {
            for (bytes, run) in bytes.iter_mut().zip(runs) {
                // A loop, as so few are copied faster than a function is called.
                for (to, &from) in bytes.get_mut(at..)?.iter_mut().zip(*run) {
                    *to = from;
                }
            }
            Some(())
        })?;
        let mut runs = [[].as_slice(); PIXELS];
        for (run, bytes) in runs.iter_mut().zip(&*bytes) {
            *run = bytes.get(..len)?;
        }
        I::place(windows, 0, runs.get(..pixels.len())?)
    }

    /// Where the input under an element of a window begins, `None` in the padding, and how many
    /// elements from there on are one run.
    #[inline(always)]
    fn run_from(
        &self,
        pixel: &Pixel,
        group: usize,
        [ky, within]: [usize; 2],
    ) -> Option<(Option<usize>, usize)> {
        let Pixel { rows, columns, .. } = *pixel;
        let group_in = self.group_in as usize;
        let in_c = group_in * self.groups as usize;
        let row_len = self.window.kernel_w as usize * group_in;
        let ky = ky as u32;
        if ky < rows.first || ky >= rows.end {
            return Some((None, row_len - within));
        }
        // Where the row meets the input.
        let on = columns.first as usize * group_in;
        if within < on {
            return Some((None, on - within));
        }
        let behind = columns.end as usize * group_in;
        if within >= behind {
            return Some((None, row_len - within));
        }
        // Kernel columns whose bytes are neighbours are one run.
        let (kx, within, there) = if self.groups == 1 && self.window.dilation_w == 1 {
            (columns.first, within - on, behind - within)
        } else {
            let kx = within.checked_div(group_in)?;
            let within = within - kx * group_in;
            (kx as u32, within, group_in - within)
        };
        let from = pixel.input_index(ky, kx) * in_c + group * group_in + within;
        Some((Some(from), there))
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
