//! Depthwise convolution: every channel has its own filter and gives one output.

use core::ops::Range;

use super::arch::{self, Isa, Job, SUMS, Taps2d, Workspace};
use super::conv::CopyChecked;
use super::window::Pixel;
use super::{Band, Window};
use crate::numerics::{OutputStage, clamp_f32};

/// An int8 depthwise convolution.
pub(crate) struct DepthwiseI8<'m> {
    pub(crate) window: &'m Window,
    pub(crate) channels: u32,
    pub(crate) input_zero_point: i32,
    /// `[kernel_h][kernel_w][channels]`.
    pub(crate) weights: &'m [i8],
    /// `[channels]`: bias - input_zero_point * (sum of the channel's weights).
    pub(crate) bias: &'m [i32],
    /// `[channels]`.
    pub(crate) multipliers: &'m [f32],
    pub(crate) stage: OutputStage,
}

impl DepthwiseI8<'_> {
    /// Of the band's rows, `x` is `[batch][in_h][in_w][channels]`, `y` is `[batch][out_h][out_w][channels]`.
    #[inline(never)]
    pub(crate) fn run(
        &self,
        workspace: &mut Workspace,
        band: &Band,
        x: &[i8],
        y: &mut [i8],
    ) -> Option<()> {
        let kernel = self;
        arch::run(DepthwiseJob {
            kernel,
            workspace,
            band,
            x,
            y,
        })
    }
}

/// One run of a depthwise convolution.
struct DepthwiseJob<'j> {
    kernel: &'j DepthwiseI8<'j>,
    workspace: &'j mut Workspace,
    band: &'j Band,
    x: &'j [i8],
    y: &'j mut [i8],
}

impl Job for DepthwiseJob<'_> {
    #[inline(always)]
    fn on<I: Isa>(self) -> Option<()> {
        let Self {
            kernel,
            workspace,
            band,
            x,
            y,
        } = self;
        let Workspace { windows, sums } = workspace;
        let DepthwiseI8 { window, .. } = *kernel;
        let channels = kernel.channels as usize;
        let [kernel_h, kernel_w] = [window.kernel_h, window.kernel_w].map(|taps| taps as usize);
        let taps = kernel_h * kernel_w;
        let line = (window.in_w * window.dilation_h) as usize * channels;
        let strides = [line, window.dilation_w as usize * channels];
        let windows = windows.bytes_mut(1).next()?;
        let mut pixels = y.chunks_exact_mut(channels.max(1));
        window.for_each_pixel(band, |pixel| {
            let y = pixels.next()?;
            let is_whole =
                [pixel.rows.count(), pixel.columns.count()] == [window.kernel_h, window.kernel_w];
            // Channels that are summed together, and how many of their taps.
            let (block, held) = if is_whole {
                (SUMS, taps)
            } else {
                let block = windows.len().checked_div(taps)? & !3;
                let block = block.clamp(BLOCK, SUMS);
                (block, windows.len().checked_div(block)?)
            };
            let mut start = 0;
            while start < channels {
                let end = (start + block).min(channels);
                I::begin(kernel.bias.get(start..end)?, 1, sums)?;
                let sums = sums.get_mut(..end - start)?;
                let w_stride = [kernel_w * channels, channels];
                if is_whole {
                    let taps = Taps2d {
                        rows: kernel_h,
                        columns: kernel_w,
                        x_stride: strides,
                        w_stride,
                    };
                    let x = x.get(pixel.input_index(0, 0) * channels + start..)?;
                    I::depthwise(&taps, x, kernel.weights.get(start..)?, sums)?;
                } else {
                    // Brought together, padding included, as many taps as there is room for.
                    let mut first = 0;
                    while first < taps {
                        let count = held.min(taps - first);
                        kernel.gather(&pixel, x, first..first + count, start..end, windows)?;
                        let rows = if count == taps { kernel_h } else { 1 };
                        let columns = count.checked_div(rows)?;
                        let taps = Taps2d {
                            rows,
                            columns,
                            x_stride: [columns * sums.len(), sums.len()],
                            w_stride,
                        };
                        let w = kernel.weights.get(first * channels + start..)?;
                        I::depthwise(&taps, windows, w, sums)?;
                        first += count;
                    }
                }
                let multipliers = kernel.multipliers.get(start..end)?;
                I::requantize(&kernel.stage, sums, multipliers, y.get_mut(start..end)?)?;
                start = end;
            }
            Some(())
        })
    }
}

/// Channels of a window with padding that are summed together at least.
const BLOCK: usize = 4;

impl DepthwiseI8<'_> {
    /// Writes some channels of some taps of a window one behind the other, `[taps][channels]`, zero
    /// points where it is padding.
    #[inline(always)]
    fn gather(
        &self,
        pixel: &Pixel,
        x: &[i8],
        taps: Range<usize>,
        channels: Range<usize>,
        to: &mut [i8],
    ) -> Option<()> {
        let Pixel { rows, columns, .. } = *pixel;
        let kernel_w = self.window.kernel_w as usize;
        let mut ky = taps.start.checked_div(kernel_w)? as u32;
        let mut kx = taps.start.checked_rem(kernel_w)? as u32;
        let mut to = to.chunks_exact_mut(channels.len().max(1));
        for _ in taps {
            let to = to.next()?;
            if (rows.first..rows.end).contains(&ky) && (columns.first..columns.end).contains(&kx) {
                let from = pixel.input_index(ky, kx) * self.channels as usize;
                let from = x.get(from + channels.start..from + channels.end)?;
                to.copy_from_slice_checked(from)?;
            } else {
                to.fill(self.input_zero_point as i8);
            }
            kx += 1;
            if kx == self.window.kernel_w {
                (ky, kx) = (ky + 1, 0);
            }
        }
        Some(())
    }
}

/// A float depthwise convolution.
pub(crate) struct DepthwiseF32<'m> {
    pub(crate) window: &'m Window,
    pub(crate) channels: u32,
    /// `[kernel_h][kernel_w][channels]`.
    pub(crate) weights: &'m [f32],
    /// `[channels]`.
    pub(crate) bias: &'m [f32],
    pub(crate) low: f32,
    pub(crate) high: f32,
}

impl DepthwiseF32<'_> {
    /// Of the band's rows, `x` is `[batch][in_h][in_w][channels]`, `y` is `[batch][out_h][out_w][channels]`.
    ///
    /// Each output starts at its bias and adds its products in the order kernel row, kernel
    /// column; weights that meet padding are left out.
    #[inline(never)]
    pub(crate) fn run(&self, band: &Band, x: &[f32], y: &mut [f32]) -> Option<()> {
        let channels = self.channels as usize;
        let mut pixels = y.chunks_exact_mut(channels.max(1));
        self.window.for_each_pixel(band, |pixel| {
            let outputs = pixels.next()?;
            outputs.copy_from_slice_checked(self.bias)?;
            for ky in pixel.rows.first..pixel.rows.end {
                for kx in pixel.columns.first..pixel.columns.end {
                    let at = pixel.input_index(ky, kx) * channels;
                    let x = x.get(at..at + channels)?;
                    let tap = (ky * self.window.kernel_w + kx) as usize * channels;
                    let weights = self.weights.get(tap..tap + channels)?;
                    for ((y, &x), &w) in outputs.iter_mut().zip(x).zip(weights) {
                        *y += x * w;
                    }
                }
            }
            for y in outputs {
                *y = clamp_f32(*y, self.low, self.high);
            }
            Some(())
        })
    }
}
