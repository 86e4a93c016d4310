//! Pooling over a window, channel by channel.

use super::arch::{self, Isa, Job};
use super::{Band, Window};
use crate::artifact::record;
use crate::numerics::{OutputStage, pow, sqrt};

/// How many channels are averaged at a time; their sums live on the stack.
const BLOCK: usize = 16;

/// The largest value under the window. `lowest` is what an empty window gives; NaN never wins.
#[inline(never)]
pub(crate) fn max_pool<T: Copy + PartialOrd>(
    window: &Window,
    channels: u32,
    lowest: T,
    band: &Band,
    x: &[T],
    y: &mut [T],
) -> Option<()> {
    let channels = channels as usize;
    let mut pixels = y.chunks_exact_mut(channels.max(1));
    window.for_each_pixel(band, |pixel| {
        let outputs = pixels.next()?;
        outputs.fill(lowest);
        for ky in pixel.rows.first..pixel.rows.end {
            for kx in pixel.columns.first..pixel.columns.end {
                let at = pixel.input_index(ky, kx) * channels;
                let x = x.get(at..at + channels)?;
                for (y, &x) in outputs.iter_mut().zip(x) {
                    if x > *y {
                        *y = x;
                    }
                }
            }
        }
        Some(())
    })
}

/// The divisor of one output pixel.
fn divisor(window: &Window, pixel: &super::window::Pixel, count_include_pad: bool) -> f32 {
    let count = if count_include_pad {
        window.rows().padded_count(pixel.oy) * window.columns().padded_count(pixel.ox)
    } else {
        pixel.rows.count() * pixel.columns.count()
    };
    // A window that lies in the padding alone averages nothing: 0, not NaN.
    count.max(1) as f32
}

/// The average under the window, of int8: the sum is exact, then one rescale.
#[derive(Clone, Copy, Debug)]
pub(crate) struct AverageI8 {
    pub(crate) input_zero_point: i32,
    pub(crate) input_scale: f32,
    pub(crate) output_scale: f32,
    pub(crate) stage: OutputStage,
}

/// Averages int8: `rescale(sum(x - zero_point), input_scale / count / output_scale)`.
#[inline(never)]
pub(crate) fn average_pool_i8(
    window: &Window,
    channels: u32,
    count_include_pad: bool,
    quantization: &AverageI8,
    band: &Band,
    x: &[i8],
    y: &mut [i8],
) -> Option<()> {
    arch::run(AverageJob {
        window,
        channels: channels as usize,
        count_include_pad,
        quantization: *quantization,
        band,
        x,
        y,
    })
}

/// One run of an average of int8.
struct AverageJob<'j> {
    window: &'j Window,
    channels: usize,
    count_include_pad: bool,
    quantization: AverageI8,
    band: &'j Band,
    x: &'j [i8],
    y: &'j mut [i8],
}

impl Job for AverageJob<'_> {
    #[inline(always)]
    fn on<I: Isa>(self) -> Option<()> {
        let Self {
            window,
            channels,
            count_include_pad,
            quantization,
            band,
            x,
            y,
        } = self;
        let mut pixels = y.chunks_exact_mut(channels.max(1));
        for pixel in window.pixels(band)? {
            let count = divisor(window, &pixel, count_include_pad);
            let multiplier = quantization.input_scale / count / quantization.output_scale;
            let mut start = 0;
            for outputs in pixels.next()?.chunks_mut(BLOCK) {
                let end = start + outputs.len();
                let mut sums = [0i32; BLOCK];
                for ky in pixel.rows.first..pixel.rows.end {
                    for kx in pixel.columns.first..pixel.columns.end {
                        let at = pixel.input_index(ky, kx) * channels;
                        let x = x.get(at + start..at + end)?;
                        if cfg!(niwaki_tiles)
                            && let Some(x) = x.first_chunk::<BLOCK>()
                        {
                            // Of a length that is known, for vector units.
                            for (sum, &x) in sums.iter_mut().zip(x) {
                                *sum = sum.wrapping_add(i32::from(x));
                            }
                        } else {
                            for (sum, &x) in sums.iter_mut().zip(x) {
                                *sum = sum.wrapping_add(i32::from(x));
                            }
                        }
                    }
                }
                // The zero point of each tap, at once: sums that wrap are the same in any order.
                let taps = (pixel.rows.count() * pixel.columns.count()).cast_signed();
                let zero_points = quantization.input_zero_point.wrapping_mul(taps);
                for (out, &sum) in outputs.iter_mut().zip(&sums) {
                    let real = sum.wrapping_sub(zero_points);
                    *out = quantization.stage.requantize(real, multiplier);
                }
                start = end;
            }
        }
        Some(())
    }
}

/// Averages floats: the sum in the order kernel row, kernel column, then one division.
#[inline(never)]
pub(crate) fn average_pool_f32(
    window: &Window,
    channels: u32,
    count_include_pad: bool,
    band: &Band,
    x: &[f32],
    y: &mut [f32],
) -> Option<()> {
    let channels = channels as usize;
    let mut pixels = y.chunks_exact_mut(channels.max(1));
    window.for_each_pixel(band, |pixel| {
        let outputs = pixels.next()?;
        outputs.fill(0.0);
        for ky in pixel.rows.first..pixel.rows.end {
            for kx in pixel.columns.first..pixel.columns.end {
                let at = pixel.input_index(ky, kx) * channels;
                let x = x.get(at..at + channels)?;
                for (y, &x) in outputs.iter_mut().zip(x) {
                    *y += x;
                }
            }
        }
        let count = divisor(window, &pixel, count_include_pad);
        for y in outputs {
            *y /= count;
        }
        Some(())
    })
}

/// The p-norm under the window: the sum in the order kernel row, kernel column, then the root.
/// Where p is 1 or 2 there is no power to take.
pub(crate) fn lp_pool_f32(
    window: &Window,
    channels: u32,
    p: u32,
    x: &[f32],
    y: &mut [f32],
) -> Option<()> {
    let channels = channels as usize;
    let exponent = p as f32;
    let mut pixels = y.chunks_exact_mut(channels.max(1));
    window.for_each_pixel(&window.whole(), |pixel| {
        let outputs = pixels.next()?;
        outputs.fill(0.0);
        for ky in pixel.rows.first..pixel.rows.end {
            for kx in pixel.columns.first..pixel.columns.end {
                let at = pixel.input_index(ky, kx) * channels;
                let x = x.get(at..at + channels)?;
                for (y, &x) in outputs.iter_mut().zip(x) {
                    *y += match p {
                        1 => x.abs(),
                        2 => x * x,
                        _ => pow(x.abs(), exponent),
                    };
                }
            }
        }
        for y in outputs {
            *y = match p {
                1 => *y,
                2 => sqrt(*y),
                _ => pow(*y, 1.0 / exponent),
            };
        }
        Some(())
    })
}

record! {
    /// Steps of an index into a tensor from one image, channel, row and column to the next.
    pub struct IndexSteps {
        /// From one image to the next.
        pub batch: u32,
        /// From one channel to the next.
        pub channel: u32,
        /// From one row to the next.
        pub row: u32,
        /// From one column to the next.
        pub column: u32,
    }
}

/// The index of the largest value under the window: of the first one, if there are several. A
/// window of nothing but NaN and the lowest value names its first element, one that is off the
/// input altogether names element 0.
///
/// `value` gives an element of the input.
pub(crate) fn max_pool_indices(
    window: &Window,
    channels: u32,
    steps: &IndexSteps,
    value: impl Fn(usize) -> Option<f32>,
    y: &mut [i32],
) -> Option<()> {
    let channels = channels as usize;
    let pixels_out = window.out_h as usize * window.out_w as usize;
    let mut pixels = y.chunks_exact_mut(channels.max(1));
    let mut count = 0usize;
    window.for_each_pixel(&window.whole(), |pixel| {
        let image = count / pixels_out.max(1);
        count += 1;
        for (c, output) in pixels.next()?.iter_mut().enumerate() {
            let mut largest = f32::NEG_INFINITY;
            let mut index = None;
            for ky in pixel.rows.first..pixel.rows.end {
                for kx in pixel.columns.first..pixel.columns.end {
                    let value = value(pixel.input_index(ky, kx) * channels + c)?;
                    if index.is_none() || value > largest {
                        let place = [
                            (image as u32, steps.batch),
                            (c as u32, steps.channel),
                            (pixel.rows.position(ky), steps.row),
                            (pixel.columns.position(kx), steps.column),
                        ];
                        index = Some(place.iter().fold(0u32, |index, (i, step)| {
                            index.wrapping_add(i.wrapping_mul(*step))
                        }));
                        if value > largest {
                            largest = value;
                        }
                    }
                }
            }
            *output = index.unwrap_or(0).cast_signed();
        }
        Some(())
    })
}
