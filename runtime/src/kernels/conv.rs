//! Convolution with any window and any number of groups.

use super::{Band, Window, dot, sum};
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

impl ConvI8<'_> {
    /// Of the band's rows, `x` is `[batch][in_h][in_w][in_c]`, `y` is `[batch][out_h][out_w][out_c]`.
    ///
    /// The bias holds the zero point's share of every weight, so the loops multiply plain input
    /// bytes; a weight that meets padding, where the real input is 0, counts a zero point.
    #[inline(never)]
    pub(crate) fn run(&self, band: &Band, x: &[i8], y: &mut [i8]) -> Option<()> {
        let window = self.window;
        let group_in = self.group_in as usize;
        let in_c = group_in * self.groups as usize;
        let out_c = self.group_out as usize * self.groups as usize;
        let row_len = window.kernel_w as usize * group_in;
        let filter_len = row_len * window.kernel_h as usize;
        // Input bytes of neighbouring kernel columns are neighbours.
        let runs = self.groups == 1 && window.dilation_w == 1;
        let mut pixels = y.chunks_exact_mut(out_c.max(1));
        window.for_each_pixel(band, |pixel| {
            let mut filters = self.weights.chunks_exact(filter_len.max(1));
            let mut channels = self.bias.iter().zip(self.multipliers);
            let groups = pixels
                .next()?
                .chunks_exact_mut((self.group_out as usize).max(1));
            for (group, outputs) in groups.enumerate() {
                for out in outputs {
                    let (&bias, &multiplier) = channels.next()?;
                    let mut acc = bias;
                    let mut skipped = 0i32;
                    let rows = filters.next()?.chunks_exact(row_len.max(1));
                    for (ky, row) in (0u32..).zip(rows) {
                        if !pixel.rows.contains(ky) {
                            skipped = skipped.wrapping_add(sum(row));
                        } else if runs {
                            let taps = pixel.columns;
                            let (left, rest) =
                                row.split_at_checked(taps.first as usize * group_in)?;
                            let (on, right) =
                                rest.split_at_checked(taps.count() as usize * group_in)?;
                            skipped = skipped.wrapping_add(sum(left)).wrapping_add(sum(right));
                            if !on.is_empty() {
                                let start = pixel.input_index(ky, taps.first) * group_in;
                                let x = x.get(start..start + on.len())?;
                                acc = acc.wrapping_add(dot(x, on));
                            }
                        } else {
                            let taps = row.chunks_exact(group_in.max(1));
                            for (kx, tap) in (0u32..).zip(taps) {
                                if pixel.columns.contains(kx) {
                                    let start = pixel.input_index(ky, kx) * in_c + group * group_in;
                                    let x = x.get(start..start + group_in)?;
                                    acc = acc.wrapping_add(dot(x, tap));
                                } else {
                                    skipped = skipped.wrapping_add(sum(tap));
                                }
                            }
                        }
                    }
                    let padding = skipped.wrapping_mul(self.input_zero_point);
                    *out = self.stage.requantize(acc.wrapping_add(padding), multiplier);
                }
            }
            Some(())
        })
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
