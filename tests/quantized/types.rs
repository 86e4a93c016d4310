//! Types of less than a byte and of 16 bits, blocks of scales, and what is refused.

use std::collections::HashMap;

use niwaki_tests::onnx::{Onnx, int, pb, value};
use niwaki_tools::artifact::Artifact;
use niwaki_tools::compiler::{self, Options};
use niwaki_tools::data::{Elements, Samples};
use niwaki_tools::import;
use pb::tensor_proto::DataType;

use crate::net::{Net, operators};

/// ONNX's numbers of uint4 and int4.
const UINT4: i32 = 21;
const INT4: i32 = 22;

#[test]
fn weights_of_four_bits_are_those_of_eight() {
    for (code, values) in [
        (INT4, [-8i8, 7, -1, 0, 3, -5, 2, 6, -7]),
        (UINT4, [0, 15, 8, 1, 14, 5, 2, 10, 7]),
    ] {
        let mut net = Net::new(1);
        let x = net.input(true, &[2, 3]);
        // Two in a byte, the first one in the low bits.
        let pairs = values.chunks(2);
        let packed = pairs.map(|pair| {
            let high = pair.get(1).copied().unwrap_or(0);
            (pair[0] as u8 & 15) | ((high as u8) << 4)
        });
        net.onnx.graph.initializer.push(pb::TensorProto {
            name: "w".into(),
            data_type: code,
            dims: vec![3, 3],
            raw_data: packed.collect(),
            ..pb::TensorProto::default()
        });
        net.onnx.floats("scale", &[3], &[0.1, 0.2, 0.3]);
        let w = net.node("DequantizeLinear", &["w", "scale"]);
        net.last().attribute.push(int("axis", 1));
        let y = net.node("MatMul", &[&x, &w]);
        let out = net.affine(true);
        net.output(&y, out);
        net.check(&["FullyConnectedI8"], |x| {
            let column = |row: &[f64], c: usize| -> f64 {
                let weights = values.iter().skip(c).step_by(3);
                let sum: f64 = row
                    .iter()
                    .zip(weights)
                    .map(|(x, &w)| x * f64::from(w))
                    .sum();
                sum * f64::from([0.1f32, 0.2, 0.3][c])
            };
            let rows = x[0].chunks(3);
            rows.flat_map(|row| [0, 1, 2].map(|c| column(row, c)))
                .collect()
        });
    }
}

fn compiled(onnx: &Onnx) -> Artifact {
    let imported = import::import_bytes(&onnx.bytes(), &HashMap::new(), &HashMap::new());
    let imported = imported.unwrap_or_else(|error| panic!("{error:#}"));
    let options = match compiler::is_quantized(&imported.graph) {
        true => Options::default(),
        false => niwaki_tests::float(),
    };
    let compiled = compiler::compile(&imported, &options, None).unwrap();
    Artifact::from_bytes(compiled.bytes()).unwrap()
}

fn run(artifact: &Artifact, input: Elements) -> Elements {
    let samples = Samples {
        samples: vec![vec![input]],
    };
    let result = artifact.run(&samples).unwrap().remove(0);
    let slot = artifact.output_slots().unwrap().remove(0);
    Elements::from_bytes(slot.dtype, &result.outputs[0])
}

#[test]
fn four_bits_are_clamped_to_their_ends() {
    let mut onnx = Onnx::new(&[1, 6]);
    onnx.floats("scale", &[], &[0.5]);
    onnx.graph.initializer.push(pb::TensorProto {
        name: "zero".into(),
        data_type: INT4,
        raw_data: vec![0x01],
        ..pb::TensorProto::default()
    });
    onnx.node("QuantizeLinear", &["x", "scale", "zero"], "q");
    onnx.node("DequantizeLinear", &["q", "scale", "zero"], "y");
    onnx.output("y");
    let y = run(
        &compiled(&onnx),
        Elements::F32(vec![-100.0, -4.5, -4.0, 0.3, 3.0, 100.0]),
    );
    // Steps of 0.5 from -8 - 1 to 7 - 1.
    assert_eq!(y, Elements::F32(vec![-4.5, -4.5, -4.0, 0.5, 3.0, 3.0]));
}

#[test]
fn blocks_of_scales_along_any_axis() {
    // A constant is folded; a value at run time is computed.
    let (rows, columns, size) = (4, 6, 3);
    let elements: Vec<i8> = (0..24).map(|i| (i * 37 % 251 - 125) as i8).collect();
    for (axis, scales) in [(1, [4, 2]), (0, [2, 6])] {
        let scale: Vec<f32> = (0..scales[0] * scales[1])
            .map(|i| 0.1 + i as f32 * 0.07)
            .collect();
        let expected: Vec<f32> = (0..24)
            .map(|i| {
                let mut at = [i / columns, i % columns];
                at[axis] /= size;
                f32::from(elements[i]) * scale[at[0] * scales[1] + at[1]]
            })
            .collect();
        let dims = [rows as i64, columns as i64];
        let node = |onnx: &mut Onnx, input: &str| {
            let shape = scales.map(|n| n as i64);
            onnx.floats("scale", &shape, &scale);
            let node = onnx.node("DequantizeLinear", &[input, "scale"], "w");
            node.attribute.push(int("axis", axis as i64));
            node.attribute.push(int("block_size", size as i64));
        };
        let mut onnx = Onnx::new(&dims);
        let bytes: Vec<u8> = elements.iter().map(|&e| e.cast_unsigned()).collect();
        onnx.raw("q", DataType::Int8, &dims, &bytes);
        node(&mut onnx, "q");
        onnx.node("Add", &["x", "w"], "y");
        onnx.output("y");
        let y = run(&compiled(&onnx), Elements::F32(vec![0.0; 24]));
        assert_eq!(y, Elements::F32(expected.clone()), "constant, axis {axis}");

        let mut onnx = Onnx::default();
        onnx.graph.input.push(value("x", DataType::Int8, &dims));
        node(&mut onnx, "x");
        onnx.output("w");
        let y = run(&compiled(&onnx), Elements::I8(elements.clone()));
        assert_eq!(y, Elements::F32(expected), "at run time, axis {axis}");
    }
}

#[test]
fn activations_of_16_bits_are_followed_step_by_step() {
    let mut onnx = Onnx::default();
    onnx.graph.input.push(value("x", DataType::Int16, &[1, 3]));
    onnx.floats("scale", &[], &[0.01]);
    onnx.raw("zero", DataType::Int16, &[], &[0, 0]);
    onnx.floats("out", &[], &[0.03]);
    onnx.floats("two", &[], &[2.5]);
    onnx.node("DequantizeLinear", &["x", "scale", "zero"], "r");
    onnx.node("Mul", &["r", "two"], "m");
    onnx.node("QuantizeLinear", &["m", "out", "zero"], "y");
    onnx.graph.output.push(value("y", DataType::Int16, &[1, 3]));
    let input = [-30_000i16, 7, 32_767];
    let y = run(&compiled(&onnx), Elements::I16(input.to_vec()));
    let expected = input.map(|q| {
        let steps = f32::from(q) * 0.01 * 2.5 / 0.03;
        steps.round_ties_even().clamp(-32_768.0, 32_767.0) as i16
    });
    assert_eq!(y, Elements::I16(expected.to_vec()));
}

#[test]
fn a_scale_that_is_computed_while_the_model_runs() {
    let mut onnx = Onnx::new(&[1, 4]);
    onnx.graph.node.push(pb::NodeProto {
        op_type: "DynamicQuantizeLinear".into(),
        name: "dynamic".into(),
        input: vec!["x".into()],
        output: ["q", "s", "z"].map(String::from).to_vec(),
        ..pb::NodeProto::default()
    });
    onnx.node("DequantizeLinear", &["q", "s", "z"], "y");
    onnx.output("y");
    let x = [-1.0f32, 0.0, 0.5, 2.0];
    let Elements::F32(y) = run(&compiled(&onnx), Elements::F32(x.to_vec())) else {
        panic!("floats come out");
    };
    let scale = 3.0f32 / 255.0;
    let zero_point = (1.0 / scale).round_ties_even();
    for (x, y) in x.iter().zip(y) {
        let q = ((x / scale).round_ties_even() + zero_point).clamp(0.0, 255.0);
        assert_eq!(y, (q - zero_point) * scale);
    }
    // All zeros have no range.
    let zeros = run(&compiled(&onnx), Elements::F32(vec![0.0; 4]));
    assert_eq!(zeros, Elements::F32(vec![0.0; 4]));
}

#[test]
fn sums_of_integers_are_exact_beyond_the_integers_of_floats() {
    // 2000 products of up to 255 * 127: 64 million, where floats count in steps of 4.
    let depth = 2000usize;
    let mut onnx = Onnx::default();
    let dims = [1, depth as i64];
    onnx.graph.input.push(value("x", DataType::Uint8, &dims));
    let weights: Vec<i8> = (0..depth).map(|i| (120 + i % 8) as i8).collect();
    let bytes: Vec<u8> = weights.iter().map(|&w| w.cast_unsigned()).collect();
    onnx.raw("w", DataType::Int8, &[depth as i64, 1], &bytes);
    onnx.node("MatMulInteger", &["x", "w"], "y");
    onnx.graph.output.push(value("y", DataType::Int32, &[1, 1]));
    let mut x: Vec<u8> = (0..depth).map(|i| 250 + (i % 5) as u8).collect();
    x[1] = 0;
    let sum: i32 = x
        .iter()
        .zip(&weights)
        .map(|(&x, &w)| i32::from(x) * i32::from(w))
        .sum();
    assert!(sum > 1 << 25 && sum % 4 != 0, "{sum} would be exact anyway");
    let y = run(&compiled(&onnx), Elements::U8(x));
    assert_eq!(y, Elements::I32(vec![sum]));
}

#[test]
fn operators_of_other_domains_are_refused_by_name() {
    for (domain, operator, words) in [
        ("my.own", "QLinearAdd", "domain `my.own`"),
        ("com.microsoft", "QLinearUnknown", "operator QLinearUnknown"),
    ] {
        let mut onnx = Onnx::new(&[1, 4]);
        onnx.node(operator, &["x"], "y").domain = domain.into();
        onnx.output("y");
        let imported = import::import_bytes(&onnx.bytes(), &HashMap::new(), &HashMap::new());
        let error = format!("{:#}", imported.map(|_| ()).unwrap_err());
        assert!(error.contains(words), "{error}");
    }
}

#[test]
fn constants_with_scales_that_are_none_are_refused() {
    for scale in [0.0, f32::NAN, f32::INFINITY] {
        let mut onnx = Onnx::new(&[1, 4]);
        onnx.raw("q", DataType::Int8, &[4], &[1, 2, 3, 4]);
        onnx.floats("scale", &[], &[scale]);
        onnx.node("DequantizeLinear", &["q", "scale"], "w");
        onnx.node("Add", &["x", "w"], "y");
        onnx.output("y");
        let imported = import::import_bytes(&onnx.bytes(), &HashMap::new(), &HashMap::new());
        let error = format!("{:#}", imported.map(|_| ()).unwrap_err());
        assert!(error.contains("node `w.node`"), "{error}");
    }
}

#[test]
fn a_negative_scale_of_a_constant_means_what_it_says() {
    // No operator takes one: the sum is that of floats.
    let mut onnx = Onnx::new(&[1, 2]);
    onnx.raw("q", DataType::Int8, &[2], &[3, 0xfe]);
    onnx.floats("scale", &[], &[-0.5]);
    onnx.node("DequantizeLinear", &["q", "scale"], "w");
    onnx.node("Add", &["x", "w"], "y");
    onnx.output("y");
    let artifact = compiled(&onnx);
    let y = run(&artifact, Elements::F32(vec![1.0, 1.0]));
    assert_eq!(
        y,
        Elements::F32(vec![-0.5, 2.0]),
        "{:?}",
        operators(&artifact)
    );
}
