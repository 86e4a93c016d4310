//! Layers with weights, and products.

use niwaki_tests::onnx::{int, ints, pb::tensor_proto::DataType};

use crate::net::{Affine, Net};

/// Sizes of a convolution: `[batch = 1][channels][size][size]`.
#[derive(Clone, Copy)]
struct Conv {
    channels: usize,
    outputs: usize,
    groups: usize,
    size: usize,
    kernel: usize,
    pad: usize,
}

impl Conv {
    fn out(&self) -> usize {
        self.size + 2 * self.pad - self.kernel + 1
    }

    fn weights(&self) -> [i64; 4] {
        let kernel = self.kernel as i64;
        let inputs = (self.channels / self.groups) as i64;
        [self.outputs as i64, inputs, kernel, kernel]
    }

    fn input(&self) -> [i64; 4] {
        let size = self.size as i64;
        [1, self.channels as i64, size, size]
    }

    /// The convolution in real numbers.
    fn real(&self, x: &[f64], w: &[f64], bias: &[f64]) -> Vec<f64> {
        let (own, per_group) = (self.channels / self.groups, self.outputs / self.groups);
        let mut y = Vec::new();
        for (o, &bias) in bias.iter().enumerate() {
            for oy in 0..self.out() {
                for ox in 0..self.out() {
                    let mut sum = bias;
                    for i in 0..own {
                        let channel = o / per_group * own + i;
                        for ky in 0..self.kernel {
                            for kx in 0..self.kernel {
                                let at = [oy + ky, ox + kx].map(|v| v.wrapping_sub(self.pad));
                                if at.iter().all(|&v| v < self.size) {
                                    let at = (channel * self.size + at[0]) * self.size + at[1];
                                    let tap = ((o * own + i) * self.kernel + ky) * self.kernel + kx;
                                    sum += x[at] * w[tap];
                                }
                            }
                        }
                    }
                    y.push(sum);
                }
            }
        }
        y
    }
}

const PLAIN: Conv = Conv {
    channels: 5,
    outputs: 4,
    groups: 1,
    size: 6,
    kernel: 3,
    pad: 1,
};

const SHAPES: [Conv; 4] = [
    PLAIN,
    Conv {
        channels: 4,
        outputs: 4,
        groups: 4,
        ..PLAIN
    },
    Conv {
        channels: 4,
        outputs: 6,
        groups: 2,
        pad: 0,
        ..PLAIN
    },
    Conv {
        kernel: 1,
        pad: 0,
        ..PLAIN
    },
];

const ANY: &[&str] = &[];

/// How weights are quantised.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Weights {
    /// One zero point, which is not in the middle.
    Asymmetric { unsigned: bool },
    /// A scale for each output channel; uint8 with a zero point for each too.
    PerChannel { unsigned: bool, negative: bool },
}

/// Weights of a layer as floats, and an int32 bias: their names, and their values.
fn weights(
    net: &mut Net,
    kind: Weights,
    shape: &[i64],
    input_scale: f32,
) -> ([String; 2], [Vec<f64>; 2]) {
    let outputs = shape[0] as usize;
    let (unsigned, count, negative) = match kind {
        Weights::Asymmetric { unsigned } => (unsigned, 1, false),
        Weights::PerChannel { unsigned, negative } => (unsigned, outputs, negative),
    };
    let mut affines: Vec<Affine> = (0..count).map(|_| net.affine(unsigned)).collect();
    for affine in &mut affines {
        affine.scale *= if negative { -0.1 } else { 0.1 };
        if count > 1 && !unsigned {
            affine.zero_point = 0;
        }
    }
    let len = shape.iter().product::<i64>() as usize;
    let values = net.bytes(len, &affines[0]);
    let of_channel = |c: usize| affines[c % count];
    let reals = values.chunks(len / outputs).enumerate();
    let reals = reals
        .flat_map(|(c, row)| row.iter().map(move |&q| of_channel(c).real(q)))
        .collect();
    let names = ["w", "wscale", "wzero", "b", "bscale"].map(|what| net.name(what));
    let [w, scale, zero, b, bias_scale] = &names;
    let bytes: Vec<u8> = values.iter().map(|&q| q as u8).collect();
    net.onnx.raw(w, affines[0].dtype(), shape, &bytes);
    let dims: &[i64] = if count == 1 { &[] } else { &[outputs as i64] };
    let scales: Vec<f32> = affines.iter().map(|a| a.scale).collect();
    net.onnx.floats(scale, dims, &scales);
    let zeros: Vec<u8> = affines.iter().map(|a| a.zero_point as u8).collect();
    net.onnx.raw(zero, affines[0].dtype(), dims, &zeros);
    let bias: Vec<i32> = (0..outputs)
        .map(|_| net.below(4001) as i32 - 2000)
        .collect();
    let bytes: Vec<u8> = bias.iter().flat_map(|b| b.to_le_bytes()).collect();
    net.onnx.raw(b, DataType::Int32, &[outputs as i64], &bytes);
    let scales: Vec<f32> = scales.iter().map(|s| input_scale * s).collect();
    net.onnx.floats(bias_scale, dims, &scales);
    let real_bias = bias.iter().enumerate();
    let real_bias = real_bias.map(|(c, &b)| f64::from(b) * f64::from(scales[c % count]));
    let real_bias = real_bias.collect();
    let real_w = net.node("DequantizeLinear", &[w, scale, zero]);
    net.last().attribute.push(int("axis", 0));
    let real_b = net.node("DequantizeLinear", &[b, bias_scale]);
    net.last().attribute.push(int("axis", 0));
    ([real_w, real_b], [reals, real_bias])
}

/// All ways in which weights may come.
fn kinds() -> Vec<Weights> {
    let mut kinds = Vec::new();
    for unsigned in [false, true] {
        kinds.push(Weights::Asymmetric { unsigned });
        for negative in [false, true] {
            kinds.push(Weights::PerChannel { unsigned, negative });
        }
    }
    kinds
}

/// An output for sums of so many products.
fn output(net: &mut Net, unsigned: bool, terms: usize) -> Affine {
    let mut affine = net.affine(unsigned);
    affine.scale *= 0.2 * (terms as f32).sqrt();
    affine
}

#[test]
fn convolutions_with_weights_of_every_kind() {
    let mut seed = 0;
    for shape in SHAPES {
        for unsigned in [false, true] {
            for kind in kinds() {
                seed += 1;
                let mut net = Net::new(seed);
                let affine = net.affine(unsigned);
                let x = net.quantized_input(affine, &shape.input());
                let [scale, zero] = net.parameters(&affine);
                let x = net.node("DequantizeLinear", &[&x, &scale, &zero]);
                let (names, values) = weights(&mut net, kind, &shape.weights(), affine.scale);
                let y = net.node("Conv", &[&x, &names[0], &names[1]]);
                let pads = [shape.pad as i64; 4];
                net.last().attribute.push(ints("pads", &pads));
                net.last().attribute.push(int("group", shape.groups as i64));
                let terms = shape.weights()[1..].iter().product::<i64>() as usize;
                let out = output(&mut net, unsigned, terms);
                net.output(&y, out);
                let [w, b] = values;
                net.check(ANY, |x| shape.real(&x[0], &w, &b));
            }
        }
    }
}

/// `[rows][depth] x [columns][depth]`, the right side transposed.
fn product(x: &[f64], w: &[f64], bias: Option<&[f64]>, depth: usize) -> Vec<f64> {
    let dot = |a: &[f64], b: &[f64]| -> f64 { a.iter().zip(b).map(|(a, b)| a * b).sum() };
    let row = |x: &[f64]| -> Vec<f64> {
        let outputs = w.chunks(depth).enumerate();
        outputs
            .map(|(o, w)| dot(x, w) + bias.map_or(0.0, |b| b[o]))
            .collect()
    };
    x.chunks(depth).flat_map(row).collect()
}

fn transposed(x: &[f64], columns: usize) -> Vec<f64> {
    (0..columns)
        .flat_map(|c| x.iter().skip(c).step_by(columns).copied())
        .collect()
}

#[test]
fn dense_layers_with_weights_of_every_kind() {
    for (i, kind) in kinds().into_iter().enumerate() {
        for unsigned in [false, true] {
            let mut net = Net::new(500 + i as u32);
            let affine = net.affine(unsigned);
            let x = net.quantized_input(affine, &[3, 20]);
            let [scale, zero] = net.parameters(&affine);
            let x = net.node("DequantizeLinear", &[&x, &scale, &zero]);
            let (names, values) = weights(&mut net, kind, &[7, 20], affine.scale);
            let y = net.node("Gemm", &[&x, &names[0], &names[1]]);
            net.last().attribute.push(int("transB", 1));
            let out = output(&mut net, unsigned, 20);
            net.output(&y, out);
            let [w, b] = values;
            net.check(&["FullyConnectedI8"], |x| product(&x[0], &w, Some(&b), 20));
        }
    }
}

#[test]
fn a_matrix_product_with_asymmetric_weights() {
    for unsigned in [false, true] {
        let mut net = Net::new(600);
        let x = net.input(unsigned, &[2, 3, 12]);
        let mut affine = net.affine(unsigned);
        affine.zero_point += if unsigned { -affine.zero_point } else { 0 };
        let (w, values) = net.constant(affine, &[12, 5]);
        let y = net.node("MatMul", &[&x, &w]);
        let out = output(&mut net, unsigned, 100 * 12);
        net.output(&y, out);
        let w = transposed(&values, 5);
        net.check(&["FullyConnectedI8"], |x| product(&x[0], &w, None, 12));
    }
}

#[test]
fn weights_that_are_turned_behind_their_scales() {
    // PyTorch exports a dense layer as the product with a transposed weight.
    for kind in kinds() {
        let mut net = Net::new(650);
        let affine = net.affine(true);
        let x = net.quantized_input(affine, &[3, 20]);
        let [scale, zero] = net.parameters(&affine);
        let x = net.node("DequantizeLinear", &[&x, &scale, &zero]);
        let (names, values) = weights(&mut net, kind, &[7, 4, 5], affine.scale);
        net.onnx.integers("shape", &[7, 20]);
        let w = net.node("Reshape", &[&names[0], "shape"]);
        let w = net.node("Transpose", &[&w]);
        let y = net.node("MatMul", &[&x, &w]);
        let y = net.node("Add", &[&names[1], &y]);
        let out = output(&mut net, true, 20);
        net.output(&y, out);
        let [w, b] = values;
        net.check(&["FullyConnectedI8"], |x| product(&x[0], &w, Some(&b), 20));
    }
}

#[test]
fn a_product_of_two_activations_as_one_operator() {
    for [left, right] in [[false, false], [true, false], [true, true]] {
        let mut net = Net::new(700);
        let (a, b) = (net.affine(left), net.affine(right));
        let x = net.quantized_input(a, &[2, 3, 12]);
        let w = net.quantized_input(b, &[12, 5]);
        let out = output(&mut net, left, 100 * 12);
        let (pa, pb, po) = (net.parameters(&a), net.parameters(&b), net.parameters(&out));
        let inputs = [&x, &pa[0], &pa[1], &w, &pb[0], &pb[1], &po[0], &po[1]];
        let inputs = inputs.map(String::as_str);
        let y = net.node("QLinearMatMul", &inputs);
        net.quantized_output(&y, out);
        net.check(&["MatMulI8"], |x| {
            product(&x[0], &transposed(&x[1], 5), None, 12)
        });
    }
}

#[test]
fn a_product_of_two_activations_between_scales() {
    // The scores of attention: queries by keys, which are turned.
    for unsigned in [false, true] {
        let mut net = Net::new(750);
        let q = net.input(unsigned, &[2, 3, 12]);
        let k = net.input(unsigned, &[2, 5, 12]);
        let turned = net.node("Transpose", &[&k]);
        net.last().attribute.push(ints("perm", &[0, 2, 1]));
        let y = net.node("MatMul", &[&q, &turned]);
        let y = net.node("Relu", &[&y]);
        let out = output(&mut net, unsigned, 100 * 12);
        net.output(&y, out);
        net.check(&["MatMulI8"], |x| {
            let matrices = x[0].chunks(36).zip(x[1].chunks(60));
            let y = matrices.flat_map(|(q, k)| product(q, k, None, 12));
            y.map(|v| v.max(0.0)).collect()
        });
    }
}

#[test]
fn a_convolution_as_one_operator_with_channels_last() {
    let shape = PLAIN;
    let mut net = Net::new(800);
    let affine = net.affine(true);
    let size = shape.size as i64;
    let x = net.quantized_input(affine, &[1, size, size, shape.channels as i64]);
    let mut weights = net.affine(false);
    weights.scale *= 0.1;
    let bytes = net.bytes(shape.weights().iter().product::<i64>() as usize, &weights);
    let raw: Vec<u8> = bytes.iter().map(|&q| q as u8).collect();
    net.onnx.raw("w", DataType::Int8, &shape.weights(), &raw);
    let out = output(&mut net, true, 45);
    let (px, pw, po) = (
        net.parameters(&affine),
        net.parameters(&weights),
        net.parameters(&out),
    );
    let inputs = [&x, &px[0], &px[1], "w", &pw[0], &pw[1], &po[0], &po[1]];
    let y = net.node("QLinearConv", &inputs);
    net.last().domain = "com.microsoft".into();
    net.last().attribute.push(int("channels_last", 1));
    net.last().attribute.push(ints("pads", &[1; 4]));
    net.quantized_output(&y, out);
    let w: Vec<f64> = bytes.iter().map(|&q| weights.real(q)).collect();
    let bias = vec![0.0; shape.outputs];
    net.check(&["ConvI8"], |x| {
        let planes = transposed(&x[0], shape.channels);
        let y = shape.real(&planes, &w, &bias);
        transposed(&y, shape.out() * shape.out())
    });
}

#[test]
fn a_channel_whose_scale_is_next_to_nothing_gives_the_zero_point() {
    // Exporters give a channel that is always 0 a tiny scale and a bias at the end of int32: its
    // sum leaves int32, and no sum can move its output.
    let mut net = Net::new(900);
    let affine = net.affine(true);
    let x = net.quantized_input(affine, &[2, 4]);
    net.onnx.raw(
        "w",
        DataType::Int8,
        &[4, 2],
        &[100, 1, 100, 2, 100, 3, 100, 4],
    );
    net.onnx.floats("ws", &[2], &[1e-15, 0.01]);
    net.onnx.raw("wz", DataType::Int8, &[2], &[0, 0]);
    let bias: Vec<u8> = [i32::MIN, 0].iter().flat_map(|b| b.to_le_bytes()).collect();
    net.onnx.raw("b", DataType::Int32, &[2], &bias);
    let out = output(&mut net, true, 4);
    let (px, po) = (net.parameters(&affine), net.parameters(&out));
    let inputs = [&x, &px[0], &px[1], "w", "ws", "wz", "b", &po[0], &po[1]];
    let y = net.node("QGemm", &inputs);
    net.last().domain = "com.microsoft".into();
    net.quantized_output(&y, out);
    net.check(&["FullyConnectedI8"], |x| {
        let row = |x: &[f64]| {
            let sum: f64 = x
                .iter()
                .zip(1..)
                .map(|(x, w)| x * 0.01 * f64::from(w))
                .sum();
            [0.0, sum]
        };
        x[0].chunks(4).flat_map(row).collect()
    });
}
