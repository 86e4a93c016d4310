//! Convolutions and products, one multiplication after the other: for what
//! [`blocks`](super::blocks) has no room for, or not the weights, in programs that link no other
//! kernels beside it.

use super::arch::Weight;
use super::{Band, ConvI8, DepthwiseI8, FullyConnectedI8, Window};
use crate::numerics::OutputStage;

/// See [`ConvI8::run`].
pub(crate) fn conv<W: Weight>(
    kernel: &ConvI8<'_, W>,
    band: &Band,
    x: &[i8],
    y: &mut [i8],
) -> Option<()> {
    let ConvI8 {
        window,
        groups,
        group_in,
        group_out,
        ..
    } = *kernel;
    let len = window.kernel_h * window.kernel_w * group_in;
    let [rows, row] = W::shape(group_out, len);
    let weight = |channel: usize, element: usize| {
        let group = channel.checked_div(group_out as usize)?;
        let weights = kernel.weights.get(group * (rows * row) as usize..)?;
        W::at(weights, len as usize, channel % group_out as usize, element)
    };
    Plain {
        window,
        sizes: [groups, group_in, group_out].map(|n| n as usize),
        weight: &weight,
        input_zero_point: kernel.input_zero_point,
        bias: kernel.bias,
        multipliers: kernel.multipliers,
        stage: kernel.stage,
    }
    .run(band, x, y)
}

/// See [`FullyConnectedI8::run`].
pub(crate) fn product<W: Weight>(
    kernel: &FullyConnectedI8<'_, W>,
    x: &[i8],
    y: &mut [i8],
) -> Option<()> {
    let window = Window::line(x.len().checked_div(kernel.depth as usize)?);
    conv(&kernel.as_conv(&window), &window.whole(), x, y)
}

/// See [`DepthwiseI8::run`].
pub(crate) fn depthwise(
    kernel: &DepthwiseI8<'_>,
    band: &Band,
    x: &[i8],
    y: &mut [i8],
) -> Option<()> {
    let channels = kernel.channels as usize;
    Plain {
        window: kernel.window,
        sizes: [channels, 1, 1],
        weight: &|channel, tap| kernel.weights.get(tap * channels + channel).copied(),
        input_zero_point: kernel.input_zero_point,
        bias: kernel.bias,
        multipliers: kernel.multipliers,
        stage: kernel.stage,
    }
    .run(band, x, y)
}

struct Plain<'m> {
    window: &'m Window,
    /// Groups, input channels of one, output channels of one.
    sizes: [usize; 3],
    /// The weight of an output channel and an element of its window. Behind a pointer, so that
    /// there is one loop for all: it is short, not fast.
    weight: &'m dyn Fn(usize, usize) -> Option<i8>,
    input_zero_point: i32,
    bias: &'m [i32],
    multipliers: &'m [f32],
    stage: OutputStage,
}

impl Plain<'_> {
    #[inline(never)]
    fn run(&self, band: &Band, x: &[i8], y: &mut [i8]) -> Option<()> {
        let [groups, group_in, group_out] = self.sizes;
        let mut pixels = y.chunks_exact_mut((groups * group_out).max(1));
        self.window.for_each_pixel(band, |pixel| {
            let outputs = pixels.next()?.iter_mut().zip(self.bias);
            for (channel, (y, &bias)) in outputs.enumerate() {
                let first = channel.checked_div(group_out)? * group_in;
                let mut element = 0;
                // What the bias has of the zero point stays: see `ConvI8::run`.
                let mut sum = bias;
                for ky in 0..self.window.kernel_h {
                    for kx in 0..self.window.kernel_w {
                        let is_inside = pixel.rows.has(ky) && pixel.columns.has(kx);
                        let at = pixel.input_index(ky, kx).wrapping_mul(groups * group_in);
                        for i in 0..group_in {
                            let x = match is_inside {
                                true => i32::from(*x.get(at + first + i)?),
                                false => self.input_zero_point,
                            };
                            let w = (self.weight)(channel, element)?;
                            sum = sum.wrapping_add(x * i32::from(w));
                            element += 1;
                        }
                    }
                }
                *y = self.stage.requantize(sum, *self.multipliers.get(channel)?);
            }
            Some(())
        })
    }
}
