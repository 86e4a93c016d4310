//! Convolutions, one product after the other: for windows that [`blocks`](super::blocks) has no room
//! for, in programs that link no other kernels beside it.

use super::{Band, ConvI8, DepthwiseI8, Window};
use crate::numerics::OutputStage;

/// See [`ConvI8::run`].
pub(crate) fn conv(kernel: &ConvI8<'_>, band: &Band, x: &[i8], y: &mut [i8]) -> Option<()> {
    let ConvI8 {
        window,
        groups,
        group_in,
        group_out,
        ..
    } = *kernel;
    let [groups, group_in, group_out] = [groups, group_in, group_out].map(|n| n as usize);
    let taps = (window.kernel_h * window.kernel_w) as usize;
    Plain {
        window,
        sizes: [groups, group_in, group_out],
        weights: kernel.weights,
        weight_steps: [taps * group_in, group_in],
        input_zero_point: kernel.input_zero_point,
        bias: kernel.bias,
        multipliers: kernel.multipliers,
        stage: kernel.stage,
    }
    .run(band, x, y)
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
        weights: kernel.weights,
        weight_steps: [1, channels],
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
    weights: &'m [i8],
    /// Weights from an output channel to the next, and from a tap to the next.
    weight_steps: [usize; 2],
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
                let mut weights = channel * self.weight_steps[0];
                // What the bias has of the zero point stays: see `ConvI8::run`.
                let mut sum = bias;
                for ky in 0..self.window.kernel_h {
                    for kx in 0..self.window.kernel_w {
                        let is_inside = pixel.rows.has(ky) && pixel.columns.has(kx);
                        let at = match is_inside {
                            true => pixel.input_index(ky, kx) * groups * group_in + first,
                            false => 0,
                        };
                        let x = x.get(at..at + group_in)?;
                        let w = self.weights.get(weights..weights + group_in)?;
                        weights += self.weight_steps[1];
                        for (&x, &w) in x.iter().zip(w) {
                            let x = match is_inside {
                                true => i32::from(x),
                                false => self.input_zero_point,
                            };
                            sum = sum.wrapping_add(x * i32::from(w));
                        }
                    }
                }
                *y = self.stage.requantize(sum, *self.multipliers.get(channel)?);
            }
            Some(())
        })
    }
}
