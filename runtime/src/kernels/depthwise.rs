//! Depthwise convolution: every channel has its own filter and gives one output.

use super::conv::CopyChecked;
use super::{Band, Window};
use crate::numerics::{OutputStage, clamp_f32};

/// How many channels are summed at a time; their accumulators live on the stack.
const BLOCK: usize = 16;

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
    pub(crate) fn run(&self, band: &Band, x: &[i8], y: &mut [i8]) -> Option<()> {
        let channels = self.channels as usize;
        let mut pixels = y.chunks_exact_mut(channels.max(1));
        self.window.for_each_pixel(band, |pixel| {
            let mut start = 0;
            for outputs in pixels.next()?.chunks_mut(BLOCK) {
                let end = start + outputs.len();
                let mut sums = [0i32; BLOCK];
                let block = sums.get_mut(..outputs.len())?;
                block.copy_from_slice_checked(self.bias.get(start..end)?)?;
                let mut taps = self.weights.chunks_exact(channels.max(1));
                for ky in 0..self.window.kernel_h {
                    for kx in 0..self.window.kernel_w {
                        let weights = taps.next()?.get(start..end)?;
                        if pixel.rows.contains(ky) && pixel.columns.contains(kx) {
                            let at = pixel.input_index(ky, kx) * channels;
                            let x = x.get(at + start..at + end)?;
                            for ((sum, &x), &w) in block.iter_mut().zip(x).zip(weights) {
                                *sum = sum.wrapping_add(i32::from(x) * i32::from(w));
                            }
                        } else {
                            for (sum, &w) in block.iter_mut().zip(weights) {
                                let padding = i32::from(w).wrapping_mul(self.input_zero_point);
                                *sum = sum.wrapping_add(padding);
                            }
                        }
                    }
                }
                let multipliers = self.multipliers.get(start..end)?;
                for ((out, &sum), &multiplier) in outputs.iter_mut().zip(&*block).zip(multipliers) {
                    *out = self.stage.requantize(sum, multiplier);
                }
                start = end;
            }
            Some(())
        })
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
