//! ONNX models that contradict themselves or were damaged: an error that names the place, or a
//! compiled model, and never a panic.

use std::collections::HashMap;

use niwaki::Xorshift32;
use niwaki_tests::onnx::{Onnx, int, ints, pb::tensor_proto::DataType};
use niwaki_tests::{float, root};
use niwaki_tools::compiler::{self, Options};
use niwaki_tools::import;

/// Damaged models tried.
const CASES: usize = 20_000;

fn imported(bytes: &[u8]) -> anyhow::Result<import::Imported> {
    import::import_bytes(bytes, &import::Dimensions::new(), &HashMap::new())
}

/// Checks that a model is refused with an error that holds all the words.
fn refused(onnx: &Onnx, words: &[&str]) {
    let error = match imported(&onnx.bytes()) {
        Ok(_) => panic!("accepted instead of {words:?}"),
        Err(error) => format!("{error:#}"),
    };
    for word in words {
        assert!(error.contains(word), "no `{word}` in: {error}");
    }
}

#[test]
fn nodes_may_stand_in_any_order_but_not_in_a_circle() {
    let mut onnx = Onnx::new(&[1, 4]);
    onnx.node("Relu", &["a"], "b");
    onnx.node("Sigmoid", &["x"], "a");
    onnx.output("b");
    let graph = imported(&onnx.bytes()).unwrap().graph;
    let names: Vec<_> = graph.nodes.iter().map(|node| node.name.as_str()).collect();
    assert_eq!(names, ["a.node", "b.node"]);

    let mut onnx = Onnx::new(&[1, 4]);
    onnx.node("Add", &["x", "c"], "a");
    onnx.node("Relu", &["a"], "b");
    onnx.node("Relu", &["b"], "c");
    onnx.node("Relu", &["c"], "d");
    onnx.output("d");
    refused(&onnx, &["node `a.node`", "cycle"]);
}

#[test]
fn names_that_are_missing_or_double_are_named() {
    let mut onnx = Onnx::new(&[1, 4]);
    onnx.node("Add", &["x", "weights"], "y");
    onnx.output("y");
    refused(
        &onnx,
        &["node `y.node`", "`weights`", "no input or initializer"],
    );

    let mut onnx = Onnx::new(&[1, 4]);
    onnx.node("Relu", &["x"], "y");
    onnx.node("Tanh", &["x"], "y");
    onnx.output("y");
    refused(&onnx, &["`y`", "names have to differ"]);

    let mut onnx = Onnx::new(&[1, 4]);
    onnx.floats("w", &[1], &[1.0]);
    onnx.floats("w", &[1], &[2.0]);
    onnx.node("Add", &["x", "w"], "y");
    onnx.output("y");
    refused(&onnx, &["initializer `w`", "names have to differ"]);
}

#[test]
fn sizes_that_no_memory_holds_are_refused() {
    let mut onnx = Onnx::new(&[1, 4]);
    onnx.floats("w", &[1 << 30, 1 << 30, 1 << 30], &[1.0]);
    onnx.node("Add", &["x", "w"], "y");
    onnx.output("y");
    refused(&onnx, &["initializer `w`", "1 elements"]);

    let mut onnx = Onnx::new(&[1, 4]);
    onnx.floats("w", &[1; 1000], &[1.0]);
    onnx.node("Add", &["x", "w"], "y");
    onnx.output("y");
    refused(&onnx, &["initializer `w`", "1000 dimensions"]);

    let mut onnx = Onnx::new(&[1, i64::MAX, 4]);
    onnx.node("Relu", &["x"], "y");
    onnx.output("y");
    refused(&onnx, &["input `x`", "too large"]);

    let mut onnx = Onnx::new(&[1 << 16, 1]);
    onnx.floats("w", &[1, 1 << 16], &vec![1.0; 1 << 16]);
    onnx.node("Add", &["x", "w"], "y");
    onnx.output("y");
    refused(&onnx, &["node `y.node`", "too large"]);
}

#[test]
fn extreme_attributes_are_refused() {
    for name in ["strides", "dilations", "pads"] {
        for value in [i64::MAX, i64::MIN, -1, 1 << 31] {
            let mut onnx = Onnx::new(&[1, 1, 8, 8]);
            onnx.floats("w", &[1, 1, 2, 2], &[1.0; 4]);
            let count = if name == "pads" { 4 } else { 2 };
            let node = onnx.node("Conv", &["x", "w"], "y");
            node.attribute.push(ints(name, &vec![value; count]));
            onnx.output("y");
            refused(&onnx, &["node `y.node`", name]);
        }
    }
    let mut onnx = Onnx::new(&[1, 4]);
    onnx.integers("pads", &[i64::MAX, i64::MAX, i64::MAX, i64::MAX]);
    onnx.node("Pad", &["x", "pads"], "y");
    onnx.output("y");
    refused(&onnx, &["node `y.node`", "too large"]);

    let mut onnx = Onnx::new(&[1, 4]);
    onnx.integers("shape", &[i64::MAX, i64::MAX, -1]);
    onnx.node("Reshape", &["x", "shape"], "y");
    onnx.output("y");
    refused(&onnx, &["node `y.node`", "too large"]);
}

#[test]
fn scales_that_are_none_are_refused() {
    for scale in [0.0, -1.0, f32::NAN, f32::INFINITY] {
        let mut onnx = Onnx::new(&[1, 4]);
        onnx.floats("scale", &[], &[scale]);
        onnx.node("QuantizeLinear", &["x", "scale"], "q");
        onnx.node("DequantizeLinear", &["q", "scale"], "y");
        onnx.output("y");
        refused(&onnx, &["node `q.node`", "finite and greater than 0"]);
    }
}

/// A model of operators whose scales and zero points are inputs.
fn quantized() -> Vec<u8> {
    let mut onnx = Onnx::new(&[1, 4, 4, 4]);
    onnx.floats("s", &[], &[0.1]);
    onnx.floats("ws", &[4], &[0.1, 0.2, 0.3, 0.4]);
    onnx.raw("z", DataType::Uint8, &[], &[3]);
    onnx.raw("wz", DataType::Int8, &[4], &[0; 4]);
    onnx.raw("w", DataType::Int8, &[4, 2, 1, 1], &[7; 8]);
    onnx.raw("v", DataType::Int8, &[4, 3], &[9; 12]);
    onnx.raw("vz", DataType::Int8, &[], &[2]);
    onnx.raw("b", DataType::Int32, &[4], &[1; 16]);
    onnx.node("QuantizeLinear", &["x", "s", "z"], "q");
    let conv = ["q", "s", "z", "w", "ws", "wz", "s", "z", "b"];
    onnx.node("QLinearConv", &conv, "c")
        .attribute
        .push(int("group", 2));
    let pool = onnx.node("QLinearGlobalAveragePool", &["c", "s", "z", "s", "z"], "p");
    pool.attribute.push(int("channels_last", 1));
    pool.domain = "com.microsoft".into();
    onnx.node("Flatten", &["p"], "f");
    let product = ["f", "s", "z", "v", "s", "vz", "s", "z"];
    onnx.node("QLinearMatMul", &product, "m");
    onnx.node("MatMulInteger", &["f", "v", "z", "vz"], "i");
    onnx.node("Cast", &["i"], "r").attribute.push(int("to", 1));
    onnx.node("DequantizeLinear", &["m", "s", "z"], "d");
    onnx.node("Add", &["r", "d"], "y");
    onnx.output("y");
    onnx.bytes()
}

#[test]
fn damaged_quantised_models_are_refused_or_compile() {
    let original = quantized();
    compiler::compile(&imported(&original).unwrap(), &Options::default(), None).unwrap();
    let mut random = Xorshift32::new(2);
    let mut compiled = 0;
    for _ in 0..CASES {
        let mut bytes = original.clone();
        for _ in 0..1 + random.next_u32() % 3 {
            let at = random.next_u32() as usize % bytes.len();
            bytes[at] = match random.next_u32() % 3 {
                0 => bytes[at] ^ 1 << (random.next_u32() % 8),
                1 => (random.next_u32() % 8) as u8,
                _ => random.next_u32() as u8,
            };
        }
        if let Ok(imported) = imported(&bytes) {
            let result = compiler::compile(&imported, &Options::default(), None);
            compiled += usize::from(result.is_ok());
        }
    }
    println!("{compiled} of {CASES} damaged quantised models compile");
    assert!(compiled > 0 && compiled < CASES);
}

#[test]
fn damaged_models_are_refused_or_compile() {
    let original = std::fs::read(root().join("examples/digits/digits.onnx")).unwrap();
    let mut random = Xorshift32::new(1);
    let mut compiled = 0;
    for _ in 0..CASES {
        let mut bytes = original.clone();
        for _ in 0..1 + random.next_u32() % 4 {
            // Weights are most of the file; what describes the graph lies at its two ends.
            let end = random.next_u32() as usize % 1500;
            let at = if random.next_u32().is_multiple_of(2) {
                end
            } else {
                bytes.len() - 1 - end
            };
            bytes[at] = match random.next_u32() % 3 {
                0 => bytes[at] ^ 1 << (random.next_u32() % 8),
                1 => random.next_u32() as u8,
                _ => 0xff,
            };
        }
        if let Ok(imported) = imported(&bytes) {
            compiled += usize::from(compiler::compile(&imported, &float(), None).is_ok());
        }
    }
    println!("{compiled} of {CASES} damaged models compile");
    assert!(compiled > 0 && compiled < CASES);
}
