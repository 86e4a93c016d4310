//! ONNX `ConvTranspose`, as a scatter of each input over the outputs that it reaches.

use niwaki::ops::{ConvTransposeF32, ConvTransposeF32Params, Window};

use super::oracle::clip;
use crate::support::{Case, Data, Nd, Operand, Random};

/// One spatial axis by ONNX's names.
#[derive(Clone, Copy)]
struct Axis {
    input: usize,
    kernel: usize,
    stride: usize,
    dilation: usize,
    pad_begin: usize,
    output: usize,
}

impl Axis {
    fn draw(random: &mut Random) -> Self {
        loop {
            let axis = Self {
                input: random.between(1, 6),
                kernel: random.between(1, 5),
                stride: random.between(1, 4),
                dilation: random.pick(&[1, 1, 2, 3]),
                pad_begin: random.pick(&[0, 0, 1, 2]),
                output: 0,
            };
            let whole = axis.stride * (axis.input - 1) + (axis.kernel - 1) * axis.dilation + 1;
            let pads = axis.pad_begin + random.pick(&[0, 0, 1, 2]);
            let output = (whole + random.below(axis.stride)).checked_sub(pads);
            if let Some(output) = output.filter(|&output| output > 0) {
                return Self { output, ..axis };
            }
        }
    }

    /// The output that input `i` reaches through kernel element `k`.
    fn reached(&self, i: usize, k: usize) -> Option<usize> {
        let at = (i * self.stride + k * self.dilation).checked_sub(self.pad_begin)?;
        (at < self.output).then_some(at)
    }
}

pub fn float(random: &mut Random, data: &mut Data) -> Case {
    let (height, width) = (Axis::draw(random), Axis::draw(random));
    let batch = random.between(1, 2);
    let [groups, group_in, group_out] = [
        random.between(1, 3),
        random.between(1, 4),
        random.between(1, 4),
    ];
    let mut float = random.floats();
    let x = Nd::from_fn(
        &[batch, groups * group_in, height.input, width.input],
        |_| float(),
    );
    let mut float = random.floats();
    // ONNX: [in][out / groups][kernel...].
    let dims = [groups * group_in, group_out, height.kernel, width.kernel];
    let w = Nd::from_fn(&dims, |_| float());
    let bias: Vec<f32> = (0..groups * group_out).map(|_| float()).collect();
    let range = random.float_clamp();

    let dims = [batch, groups * group_out, height.output, width.output];
    let y = Nd::from_fn(&dims, |place| {
        let [n, c, oy, ox] = *place else { panic!() };
        let (group, o) = (c / group_out, c % group_out);
        let mut sum = bias[c];
        for ky in 0..height.kernel {
            for kx in 0..width.kernel {
                for iy in (0..height.input).filter(|&i| height.reached(i, ky) == Some(oy)) {
                    for ix in (0..width.input).filter(|&i| width.reached(i, kx) == Some(ox)) {
                        for i in group * group_in..(group + 1) * group_in {
                            let product = x.at(&[n, i, iy, ix]) * w.at(&[i, o, ky, kx]);
                            sum += product;
                        }
                    }
                }
            }
        }
        clip(sum, range)
    });

    // [group][in][out][h][w] to [group][h][w][in][out].
    let grouped = Nd {
        dims: vec![groups, group_in, group_out, height.kernel, width.kernel],
        values: w.values,
    };
    let params = ConvTransposeF32Params {
        window: Window {
            batch: batch as u32,
            in_h: height.input as u32,
            in_w: width.input as u32,
            out_h: height.output as u32,
            out_w: width.output as u32,
            kernel_h: height.kernel as u32,
            kernel_w: width.kernel as u32,
            stride_h: height.stride as u32,
            stride_w: width.stride as u32,
            dilation_h: height.dilation as u32,
            dilation_w: width.dilation as u32,
            pad_top: height.pad_begin as u32,
            pad_left: width.pad_begin as u32,
            pad_bottom: 0,
            pad_right: 0,
        },
        groups: groups as u32,
        group_in: group_in as u32,
        group_out: group_out as u32,
        low: range.0,
        high: range.1,
        weights: data.put(random, &grouped.permuted(&[0, 3, 4, 1, 2]).values),
        bias: data.put(random, &bias),
    };
    let (x, y) = (Operand::channels_last(&x), Operand::channels_last(&y));
    Case::new::<ConvTransposeF32>(params, vec![x], y)
}
