//! Depthwise convolution: every channel has its own filter and gives one output.

use super::arch::{self, Isa, Job, SUMS, Taps2d, Workspace};
use super::conv::CopyChecked;
use super::filters::Filters;
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
        #[cfg(niwaki_tiles)]
        // Windows that leave the room there, too: whatever was written is written again.
        if super::blocks::depthwise(self, band, x, y).is_some() {
            return Some(());
        }
        #[cfg(niwaki_tiles)]
        if arch::tiles::ALWAYS {
            return super::plain::depthwise(self, band, x, y);
        }
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
        let channels = kernel.channels as usize;
        let padding = [kernel.input_zero_point as i8; SUMS];
        let window = kernel.window;
        let mut rest = y;
        let single = |pixel: Pixel, workspace: &mut Workspace, y: &mut [i8]| {
            let mut start = 0;
            for outputs in y.chunks_mut(SUMS) {
                let end = start + outputs.len();
                I::begin(kernel.bias.get(start..end)?, 1, &mut workspace.sums)?;
                let sums = workspace.sums.get_mut(..outputs.len())?;
                kernel.add_products::<I>(&pixel, x, &padding, start, sums)?;
                let multipliers = kernel.multipliers.get(start..end)?;
                I::requantize(&kernel.stage, sums, multipliers, outputs)?;
                start = end;
            }
            Some(())
        };
        if !I::ROWS {
            let mut pixels = rest.chunks_exact_mut(channels.max(1));
            return window.for_each_pixel(band, |pixel| single(pixel, workspace, pixels.next()?));
        }
        let filters = Filters {
            weights: kernel.weights,
            len: 0,
            bias: kernel.bias,
            multipliers: kernel.multipliers,
            stage: kernel.stage,
        };
        let line = (window.in_w * window.dilation_h) as usize * channels;
        let taps = Taps2d {
            rows: window.kernel_h as usize,
            columns: window.kernel_w as usize,
            x_stride: [line, window.dilation_w as usize * channels],
            w_stride: [window.kernel_w as usize * channels, channels],
        };
        let step = window.stride_w as usize * channels;
        window.for_each_span(band, |pixel, alike| {
            let is_whole =
                [pixel.rows.count(), pixel.columns.count()] == [window.kernel_h, window.kernel_w];
            let count = if is_whole { alike } else { 1 };
            let (y, behind) =
                core::mem::take(&mut rest).split_at_mut_checked(count as usize * channels)?;
            rest = behind;
            if is_whole {
                let x = x.get(pixel.input_index(0, 0) * channels..)?;
                I::depthwise_row(&taps, x, step, &filters, &mut workspace.sums, y)?;
            } else {
                single(pixel, workspace, y)?;
            }
            Some(count)
        })
    }
}

impl DepthwiseI8<'_> {
    /// Adds what the channels from `start` on give on a pixel.
    #[inline(always)]
    fn add_products<I: Isa>(
        &self,
        pixel: &Pixel,
        x: &[i8],
        padding: &[i8],
        start: usize,
        sums: &mut [i32],
    ) -> Option<()> {
        let channels = self.channels as usize;
        let window = self.window;
        let Pixel { rows, columns, .. } = *pixel;
        let whole_row = window.kernel_w as usize * channels;
        let taps = |rows: u32, columns: u32, x_stride: [usize; 2]| Taps2d {
            rows: rows as usize,
            columns: columns as usize,
            x_stride,
            w_stride: [whole_row, channels],
        };
        let weights = |ky: u32, kx: u32| {
            let tap = (ky * window.kernel_w + kx) as usize;
            self.weights.get(tap * channels + start..)
        };
        if rows.count() > 0 && columns.count() > 0 {
            let line = (window.in_w * window.dilation_h) as usize * channels;
            let strides = [line, window.dilation_w as usize * channels];
            let x = x.get(pixel.input_index(rows.first, columns.first) * channels + start..)?;
            let w = weights(rows.first, columns.first)?;
            I::depthwise(&taps(rows.count(), columns.count(), strides), x, w, sums)?;
        }
        let full = [window.kernel_h, window.kernel_w];
        if [rows.count(), columns.count()] == full || self.input_zero_point == 0 {
            return Some(());
        }
        // The padding: rows above and below, columns on the left and right.
        let mut pad = |[ky, rows]: [u32; 2], [kx, columns]: [u32; 2]| -> Option<()> {
            if rows == 0 || columns == 0 {
                return Some(());
            }
            I::depthwise(
                &taps(rows, columns, [0, 0]),
                padding,
                weights(ky, kx)?,
                sums,
            )
        };
        let [below, right] = [rows, columns].map(|taps| taps.first.max(taps.end));
        let on = [rows.first, rows.count()];
        pad([0, rows.first], [0, window.kernel_w])?;
        pad([below, window.kernel_h - below], [0, window.kernel_w])?;
        pad(on, [0, columns.first])?;
        pad(on, [right, window.kernel_w - right])
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
