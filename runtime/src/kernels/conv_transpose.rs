//! Transposed convolution.

use super::Window;
use super::conv::CopyChecked as _;
use crate::numerics::clamp_f32;

/// A float transposed convolution.
pub(crate) struct ConvTransposeF32<'m> {
    /// Kernel, strides, dilations and padding as ONNX's ConvTranspose has them: steps from one
    /// *input* to the next in the output.
    pub(crate) window: Window,
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

/// The input position from which kernel element `k` reaches output `o`, if there is one.
#[inline(always)]
fn source(o: u32, k: u32, input: u32, stride: u32, dilation: u32, pad: u32) -> Option<usize> {
    let at = (o + pad).checked_sub(k * dilation)?;
    let stride = stride.max(1);
    let i = at / stride;
    (at % stride == 0 && i < input).then_some(i as usize)
}

impl ConvTransposeF32<'_> {
    /// `x` is `[batch][in_h][in_w][in_c]`, `y` is `[batch][out_h][out_w][out_c]`.
    ///
    /// Each output starts at its bias and adds its products in the order kernel row, kernel
    /// column, input channel.
    pub(crate) fn run(&self, x: &[f32], y: &mut [f32]) -> Option<()> {
        let w = &self.window;
        let [group_in, group_out] = [self.group_in as usize, self.group_out as usize];
        let in_c = group_in * self.groups as usize;
        let out_c = group_out * self.groups as usize;
        let tap_len = group_in * group_out;
        let group_len = tap_len * w.kernel_h as usize * w.kernel_w as usize;
        let mut pixels = y.chunks_exact_mut(out_c.max(1));
        for image in 0..w.batch as usize {
            for oy in 0..w.out_h {
                for ox in 0..w.out_w {
                    let outputs = pixels.next()?;
                    outputs.copy_from_slice_checked(self.bias)?;
                    for ky in 0..w.kernel_h {
                        let row = source(oy, ky, w.in_h, w.stride_h, w.dilation_h, w.pad_top);
                        let Some(iy) = row else { continue };
                        for kx in 0..w.kernel_w {
                            let column =
                                source(ox, kx, w.in_w, w.stride_w, w.dilation_w, w.pad_left);
                            let Some(ix) = column else { continue };
                            let pixel = (image * w.in_h as usize + iy) * w.in_w as usize + ix;
                            let x = x.get(pixel * in_c..pixel * in_c + in_c)?;
                            let tap = (ky * w.kernel_w + kx) as usize * tap_len;
                            let groups = outputs
                                .chunks_exact_mut(group_out.max(1))
                                .zip(x.chunks_exact(group_in.max(1)))
                                .zip(self.weights.chunks_exact(group_len.max(1)));
                            for ((outputs, x), weights) in groups {
                                let tap = weights.get(tap..tap + tap_len)?;
                                for (&x, row) in x.iter().zip(tap.chunks_exact(group_out.max(1))) {
                                    for (y, &w) in outputs.iter_mut().zip(row) {
                                        *y += x * w;
                                    }
                                }
                            }
                        }
                    }
                    for y in outputs {
                        *y = clamp_f32(*y, self.low, self.high);
                    }
                }
            }
        }
        Some(())
    }
}
