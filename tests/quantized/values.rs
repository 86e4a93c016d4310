//! What computes with values alone: sums, pools, means, functions, and what moves elements.

use niwaki_tests::onnx::{int, ints, real, text};

use crate::net::{Affine, Net};

/// A function of one real number.
type Real = fn(f64) -> f64;

/// The output of a model whose values are about as large as its inputs.
fn output(net: &mut Net, unsigned: bool) -> Affine {
    let mut affine = net.affine(unsigned);
    affine.scale *= 1.5;
    affine
}

/// A model of one operator on one input.
fn unary(
    seed: u32,
    shape: &[i64],
    wanted: &str,
    build: impl Fn(&mut Net, &str) -> String,
    reference: impl Fn(&[f64]) -> Vec<f64>,
) {
    for unsigned in [false, true] {
        let mut net = Net::new(seed);
        let x = net.input(unsigned, shape);
        let y = build(&mut net, &x);
        let out = output(&mut net, unsigned);
        net.output(&y, out);
        net.check(&[wanted], |x| reference(&x[0]));
    }
}

#[test]
fn sums_and_products() {
    for unsigned in [false, true] {
        for operator in ["Add", "Mul"] {
            let mut net = Net::new(1);
            let a = net.input(unsigned, &[1, 3, 4, 5]);
            let b = net.input(unsigned, &[3, 1, 5]);
            let y = net.node(operator, &[&a, &b]);
            let y = net.node("Relu", &[&y]);
            let out = output(&mut net, unsigned);
            net.output(&y, out);
            net.check(&[&format!("{operator}I8")], |x| {
                let at = |i: usize| x[1][i / 20 * 5 + i % 5];
                let f = |(i, &a): (usize, &f64)| match operator {
                    "Add" => (a + at(i)).max(0.0),
                    _ => (a * at(i)).max(0.0),
                };
                x[0].iter().enumerate().map(f).collect()
            });
        }
    }
}

fn sigmoid(x: f64) -> f64 {
    1.0 / (1.0 + (-x).exp())
}

#[test]
fn functions_of_one_element_are_a_table() {
    let functions: [(&str, Real); 6] = [
        ("Sigmoid", sigmoid),
        ("Tanh", f64::tanh),
        ("Relu", |x| x.max(0.0)),
        ("HardSwish", |x| x * (x / 6.0 + 0.5).clamp(0.0, 1.0)),
        ("Elu", |x| if x < 0.0 { x.exp_m1() } else { x }),
        ("Abs", f64::abs),
    ];
    for (operator, function) in functions {
        let build = |net: &mut Net, x: &str| net.node(operator, &[x]);
        let reference = |x: &[f64]| x.iter().map(|&x| function(x)).collect();
        unary(2, &[2, 9], "LookupI8", build, reference);
    }
}

#[test]
fn an_expression_of_one_value_is_a_table() {
    let swish = |net: &mut Net, x: &str| {
        let s = net.node("Sigmoid", &[x]);
        net.node("Mul", &[x, &s])
    };
    unary(3, &[2, 9], "LookupI8", swish, |x| {
        x.iter().map(|&x| x * sigmoid(x)).collect()
    });
    // HardSwish as exporters write it.
    let hard_swish = |net: &mut Net, x: &str| {
        net.onnx.floats("three", &[1], &[3.0]);
        net.onnx.floats("six", &[], &[6.0]);
        net.onnx.floats("zero", &[], &[0.0]);
        let shifted = net.node("Add", &[x, "three"]);
        let clipped = net.node("Clip", &[&shifted, "zero", "six"]);
        let product = net.node("Mul", &[x, &clipped]);
        net.node("Div", &[&product, "six"])
    };
    unary(4, &[2, 9], "LookupI8", hard_swish, |x| {
        x.iter()
            .map(|&x| x * (x + 3.0).clamp(0.0, 6.0) / 6.0)
            .collect()
    });
}

#[test]
fn softmax_of_rows() {
    let mut net = Net::new(5);
    let x = net.input(true, &[3, 6]);
    let y = net.node("Softmax", &[&x]);
    let out = Affine {
        unsigned: true,
        scale: 1.0 / 256.0,
        zero_point: 0,
    };
    net.output(&y, out);
    net.check(&["SoftmaxI8"], |x| {
        let row = |row: &[f64]| -> Vec<f64> {
            let total: f64 = row.iter().map(|x| x.exp()).sum();
            row.iter().map(|x| x.exp() / total).collect()
        };
        x[0].chunks(6).flat_map(row).collect()
    });
}

/// Windows of 2x2 of an image `[2][4][4]`.
fn windows(x: &[f64], f: impl Fn([f64; 4]) -> f64) -> Vec<f64> {
    let mut y = Vec::new();
    for plane in x.chunks(16) {
        for at in [0, 2, 8, 10] {
            y.push(f([plane[at], plane[at + 1], plane[at + 4], plane[at + 5]]));
        }
    }
    y
}

fn two_by_two(net: &mut Net) {
    net.last().attribute.push(ints("kernel_shape", &[2, 2]));
    net.last().attribute.push(ints("strides", &[2, 2]));
}

#[test]
fn pools() {
    let average = |net: &mut Net, x: &str| {
        let y = net.node("AveragePool", &[x]);
        two_by_two(net);
        y
    };
    let mean = |x: &[f64]| windows(x, |w| w.iter().sum::<f64>() / 4.0);
    unary(6, &[1, 2, 4, 4], "AveragePoolI8", average, mean);
    let largest = |net: &mut Net, x: &str| {
        let y = net.node("MaxPool", &[x]);
        two_by_two(net);
        y
    };
    let most = |x: &[f64]| windows(x, |w| w.into_iter().fold(f64::MIN, f64::max));
    unary(7, &[1, 2, 4, 4], "MaxPoolI8", largest, most);
    let global = |net: &mut Net, x: &str| net.node("GlobalAveragePool", &[x]);
    let mean = |x: &[f64]| x.chunks(16).map(|x| x.iter().sum::<f64>() / 16.0).collect();
    unary(8, &[1, 2, 4, 4], "AveragePoolI8", global, mean);
}

#[test]
fn means_along_any_axes() {
    // [2][3][4][5], reduced along some of them.
    for axes in [&[2, 3][..], &[1, 2], &[3], &[1], &[0, 2], &[0, 1, 2, 3]] {
        for keep in [0, 1] {
            let build = |net: &mut Net, x: &str| {
                let y = net.node("ReduceMean", &[x]);
                net.last().attribute.push(ints("axes", axes));
                net.last().attribute.push(int("keepdims", keep));
                y
            };
            let reference = |x: &[f64]| mean(x, axes);
            unary(9, &[2, 3, 4, 5], "AveragePoolI8", build, reference);
        }
    }
}

fn mean(x: &[f64], axes: &[i64]) -> Vec<f64> {
    let dims = [2, 3, 4, 5];
    let kept = |axis: usize| {
        if axes.contains(&(axis as i64)) {
            1
        } else {
            dims[axis]
        }
    };
    let sizes = [kept(0), kept(1), kept(2), kept(3)];
    let mut sums = vec![0.0; sizes.iter().product()];
    for (i, x) in x.iter().enumerate() {
        let index = [i / 60, i / 20 % 3, i / 5 % 4, i % 5];
        let at = (0..4).fold(0, |at, a| at * sizes[a] + index[a] % sizes[a]);
        sums[at] += x;
    }
    let count = 120 / sums.len();
    sums.iter().map(|sum| sum / count as f64).collect()
}

#[test]
fn a_nearest_resize_passes_int8_through() {
    let resize = |net: &mut Net, x: &str| {
        net.onnx.floats("scales", &[4], &[1.0, 1.0, 2.0, 1.0]);
        let y = net.node("Resize", &[x, "", "scales"]);
        let mode = [
            text("mode", "nearest"),
            text("coordinate_transformation_mode", "asymmetric"),
            text("nearest_mode", "floor"),
        ];
        net.last().attribute.extend(mode);
        y
    };
    let doubled = |x: &[f64]| x.chunks(3).flat_map(|row| [row, row].concat()).collect();
    unary(17, &[1, 2, 4, 3], "Take", resize, doubled);
}

/// What becomes of an element of `[4][3][2]` turned to `[3][4][2]`, of which the last two rows of
/// the first axis stay, with one element of padding before each pair.
fn moved(x: &[f64]) -> Vec<f64> {
    let mut y = Vec::new();
    for i in 1..3 {
        for j in 0..4 {
            y.push(0.0);
            y.extend(&x[(j * 3 + i) * 2..][..2]);
        }
    }
    y
}

fn moves(net: &mut Net, x: &str) -> String {
    net.onnx.integers("shape", &[4, 3, 2]);
    let y = net.node("Reshape", &[x, "shape"]);
    let y = net.node("Transpose", &[&y]);
    net.last().attribute.push(ints("perm", &[1, 0, 2]));
    net.onnx.integers("starts", &[1]);
    net.onnx.integers("ends", &[3]);
    net.onnx.integers("axes", &[0]);
    let y = net.node("Slice", &[&y, "starts", "ends", "axes"]);
    net.onnx.integers("pads", &[0, 0, 1, 0, 0, 0]);
    net.node("Pad", &[&y, "pads"])
}

#[test]
fn what_moves_elements_passes_int8_through() {
    unary(10, &[1, 4, 6], "Pad", moves, moved);
}

#[test]
fn rounding_comes_before_moving() {
    // The sum is quantised only behind what moves it, and behind a function.
    for unsigned in [false, true] {
        let mut net = Net::new(11);
        let a = net.input(unsigned, &[1, 4, 6]);
        let b = net.input(unsigned, &[1, 4, 6]);
        let sum = net.node("Add", &[&a, &b]);
        let y = moves(&mut net, &sum);
        let y = net.node("Relu", &[&y]);
        let out = output(&mut net, unsigned);
        net.output(&y, out);
        net.check(&["AddI8", "Pad"], |x| {
            let sum: Vec<f64> = x[0].iter().zip(&x[1]).map(|(a, b)| a + b).collect();
            moved(&sum).iter().map(|v| v.max(0.0)).collect()
        });
    }
}

#[test]
fn moves_may_be_many() {
    // As deep as a graph gets: each move is passed by rounding, and stands for the same bytes.
    let mut net = Net::new(16);
    let a = net.input(true, &[2, 3]);
    let b = net.input(true, &[2, 3]);
    let mut y = net.node("Add", &[&a, &b]);
    for _ in 0..3000 {
        y = net.node("Transpose", &[&y]);
    }
    let out = output(&mut net, true);
    net.output(&y, out);
    net.check(&["AddI8"], |x| {
        x[0].iter().zip(&x[1]).map(|(a, b)| a + b).collect()
    });
}

#[test]
fn a_sum_that_is_split_is_computed_once() {
    let mut net = Net::new(12);
    let a = net.input(true, &[1, 6]);
    let b = net.input(true, &[1, 6]);
    let sum = net.node("Add", &[&a, &b]);
    let halves = ["half0", "half1"];
    net.onnx.node("Split", &[&sum], halves[0]);
    net.last().output.push(halves[1].into());
    net.last().attribute.push(int("axis", 1));
    let out = output(&mut net, true);
    let parameters = net.parameters(&out);
    let quantized =
        halves.map(|half| net.node("QuantizeLinear", &[half, &parameters[0], &parameters[1]]));
    let y = net.node("Concat", &[&quantized[1], &quantized[0]]);
    net.last().attribute.push(int("axis", 1));
    net.quantized_output(&y, out);
    net.check(&["AddI8"], |x| {
        let sum: Vec<f64> = x[0].iter().zip(&x[1]).map(|(a, b)| a + b).collect();
        [&sum[3..], &sum[..3]].concat()
    });
    let operators = crate::net::operators(&net.compile());
    let sums = operators.iter().filter(|name| *name == "AddI8").count();
    assert_eq!(sums, 1, "{operators:?}");
}

#[test]
fn concatenation_and_choice_bring_operands_to_one_scale() {
    for unsigned in [false, true] {
        let mut net = Net::new(13);
        let a = net.input(unsigned, &[2, 3]);
        let b = net.input(unsigned, &[2, 2]);
        let y = net.node("Concat", &[&a, &b]);
        net.last().attribute.push(int("axis", 1));
        let out = output(&mut net, unsigned);
        net.output(&y, out);
        net.check(&["Concat"], |x| {
            let rows = x[0].chunks(3).zip(x[1].chunks(2));
            rows.flat_map(|(a, b)| a.iter().chain(b).copied().collect::<Vec<_>>())
                .collect()
        });

        let mut net = Net::new(14);
        let a = net.input(unsigned, &[2, 3]);
        let b = net.input(unsigned, &[2, 3]);
        net.onnx.raw(
            "condition",
            niwaki_tests::onnx::pb::tensor_proto::DataType::Bool,
            &[3],
            &[1, 0, 1],
        );
        let y = net.node("Where", &["condition", &a, &b]);
        let out = output(&mut net, unsigned);
        net.output(&y, out);
        net.check(&["Where"], |x| {
            let pairs = x[0].iter().zip(&x[1]).enumerate();
            pairs
                .map(|(i, (a, b))| if i % 3 == 1 { *b } else { *a })
                .collect()
        });
    }
}

#[test]
fn operators_of_onnxruntime() {
    let operators: [(&str, Real); 2] = [
        ("QLinearSigmoid", sigmoid),
        ("QLinearLeakyRelu", |x| if x < 0.0 { 0.25 * x } else { x }),
    ];
    for (operator, function) in operators {
        let mut net = Net::new(15);
        let (a, out) = (net.affine(true), output(&mut net, true));
        let x = net.quantized_input(a, &[2, 5]);
        let (px, py) = (net.parameters(&a), net.parameters(&out));
        let y = net.node(operator, &[&x, &px[0], &px[1], &py[0], &py[1]]);
        net.last().domain = "com.microsoft".into();
        if operator == "QLinearLeakyRelu" {
            net.last().attribute.push(real("alpha", 0.25));
        }
        net.quantized_output(&y, out);
        net.check(&["LookupI8"], |x| {
            x[0].iter().map(|&x| function(x)).collect()
        });
    }
}
