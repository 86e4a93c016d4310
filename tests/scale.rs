//! Synthetic graphs of 1,000, 3,000 and 10,000 nodes: time grows about as the number of nodes.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use niwaki_tests::onnx::{Onnx, pb::tensor_proto::DataType};
use niwaki_tests::{float, shared};
use niwaki_tools::artifact::Artifact;
use niwaki_tools::compiler::{self, Options};
use niwaki_tools::data::{Elements, Samples};
use niwaki_tools::import;

const SIZES: [usize; 3] = [1_000, 3_000, 10_000];

/// The whole compilation of the largest graph.
const LIMIT: Duration = Duration::from_secs(20);

/// n log n would make the step from 1,000 to 10,000 nodes 13 times as long. What a busy machine
/// adds is allowed for; a quadratic step would take 100 times as long.
const GROWTH: f64 = 40.0;

/// Times below this one are noise.
const NOISE: Duration = Duration::from_millis(20);

/// Relu and Add in turn, one behind the other.
fn chain(nodes: usize) -> Onnx {
    let mut onnx = Onnx::new(&[1, 8]);
    onnx.floats("one", &[8], &[1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0]);
    let mut last = "x".to_owned();
    for i in 0..nodes {
        let name = format!("v{i}");
        match i % 2 {
            0 => onnx.node("Add", &[&last, "one"], &name),
            _ => onnx.node("Sigmoid", &[&last], &name),
        };
        last = name;
    }
    onnx.output(&last);
    onnx
}

/// As many branches as nodes, joined pair by pair.
fn wide(nodes: usize) -> Onnx {
    let mut onnx = Onnx::new(&[1, 8]);
    let mut layer = Vec::new();
    for i in 0..nodes / 2 {
        let (name, own) = (format!("branch{i}"), format!("own{i}"));
        // Each adds something else, or the compiler would find that they are all one.
        onnx.floats(&own, &[1], &[i as f32]);
        onnx.node("Add", &["x", &own], &name);
        layer.push(name);
    }
    let mut joined = 0;
    while layer.len() > 1 {
        let pairs = layer.chunks(2);
        layer = pairs
            .map(|pair| {
                let [a, b] = pair else {
                    return pair[0].clone();
                };
                joined += 1;
                let name = format!("sum{joined}");
                onnx.node("Add", &[a, b], &name);
                name
            })
            .collect();
    }
    onnx.output(&layer[0]);
    onnx
}

/// Matrix product, batch normalisation as Mul and Add (which fold), Relu, and the sum with what
/// came before.
fn ladder(nodes: usize) -> Onnx {
    let mut onnx = Onnx::new(&[1, 4]);
    let weights: Vec<f32> = (0..16).map(|i| (i as f32 - 7.5) / 64.0).collect();
    let mut last = "x".to_owned();
    for i in 0..nodes / 5 {
        let name = |part: &str| format!("{part}{i}");
        let (w, factor, offset) = (name("w"), name("factor"), name("offset"));
        onnx.floats(&w, &[4, 4], &weights);
        onnx.floats(&factor, &[4], &[1.0, 0.5, 2.0, 1.5]);
        onnx.floats(&offset, &[4], &[0.1, 0.2, -0.1, 0.0]);
        onnx.node("MatMul", &[&last, &w], &name("product"));
        onnx.node("Mul", &[&name("product"), &factor], &name("scaled"));
        onnx.node("Add", &[&name("scaled"), &offset], &name("shifted"));
        onnx.node("Relu", &[&name("shifted")], &name("relu"));
        onnx.node("Add", &[&name("relu"), &last], &name("sum"));
        last = name("sum");
    }
    onnx.output(&last);
    onnx
}

/// A sum and a function in turn, each between DequantizeLinear and QuantizeLinear, the sum's
/// between Transposes: eight nodes a step, of which two are operators.
fn quantized(nodes: usize) -> Onnx {
    let mut onnx = Onnx::new(&[2, 4]);
    onnx.floats("scale", &[], &[0.01]);
    onnx.raw("zero", DataType::Int8, &[], &[3]);
    onnx.raw("c", DataType::Int8, &[4, 2], &[1, 2, 3, 4, 5, 6, 7, 8]);
    onnx.node("DequantizeLinear", &["c", "scale", "zero"], "constant");
    onnx.node("QuantizeLinear", &["x", "scale", "zero"], "q");
    let mut last = "q".to_owned();
    for i in 0..nodes / 5 {
        let name = |part: &str| format!("{part}{i}");
        onnx.node("DequantizeLinear", &[&last, "scale", "zero"], &name("a"));
        onnx.node("Transpose", &[&name("a")], &name("moved"));
        onnx.node("Add", &[&name("moved"), "constant"], &name("sum"));
        onnx.node("Transpose", &[&name("sum")], &name("back"));
        onnx.node(
            "QuantizeLinear",
            &[&name("back"), "scale", "zero"],
            &name("b"),
        );
        onnx.node(
            "DequantizeLinear",
            &[&name("b"), "scale", "zero"],
            &name("c"),
        );
        onnx.node("Sigmoid", &[&name("c")], &name("function"));
        last = name("d");
        onnx.node(
            "QuantizeLinear",
            &[&name("function"), "scale", "zero"],
            &last,
        );
    }
    onnx.node("DequantizeLinear", &[&last, "scale", "zero"], "y");
    onnx.output("y");
    onnx
}

fn compile(bytes: &[u8], options: &Options, calibration: Option<&Samples>) -> Artifact {
    let dimensions = import::Dimensions::new();
    let imported = import::import_bytes(bytes, &dimensions, &HashMap::new()).unwrap();
    let compiled = compiler::compile(&imported, options, calibration).unwrap();
    Artifact::from_bytes(compiled.bytes()).unwrap()
}

/// Times of a graph in three sizes, the best of two each.
fn check(name: &str, build: fn(usize) -> Onnx, run: impl Fn(&[u8]) -> Artifact) {
    let times = SIZES.map(|nodes| {
        let bytes = build(nodes).bytes();
        let timed = (0..2).map(|_| {
            let start = Instant::now();
            let artifact = run(&bytes);
            let time = start.elapsed();
            assert!(artifact.model().unwrap().operator_count() >= nodes * 2 / 5);
            time
        });
        timed.min().unwrap()
    });
    println!("{name}: {SIZES:?} nodes in {times:?}");
    assert!(times[2] < LIMIT, "{name}: {times:?}");
    let growth = times[2].as_secs_f64() / times[0].max(NOISE).as_secs_f64();
    assert!(
        growth < GROWTH,
        "{name}: {growth} times from 1,000 to 10,000 nodes"
    );
}

#[test]
fn a_chain_compiles_in_time_about_linear() {
    check("chain", chain, |bytes| compile(bytes, &float(), None));
}

#[test]
fn a_wide_graph_compiles_in_time_about_linear() {
    check("wide", wide, |bytes| compile(bytes, &float(), None));
}

#[test]
fn a_residual_ladder_compiles_in_time_about_linear() {
    check("ladder", ladder, |bytes| compile(bytes, &float(), None));
}

#[test]
fn a_quantised_chain_compiles_in_time_about_linear() {
    let options = Options::default();
    check("quantised chain", quantized, |bytes| {
        compile(bytes, &options, None)
    });
}

#[test]
fn a_residual_ladder_is_quantised_in_time_about_linear() {
    let samples = Samples {
        samples: vec![vec![Elements::F32(vec![0.5, -0.25, 1.0, 0.125])]],
    };
    let options = Options::default();
    check("ladder, quantised", ladder, |bytes| {
        compile(bytes, &options, Some(&samples))
    });
}

/// What a float MobileNetV2 for images of 128 x 128 may take to compile. It takes a fifth of a
/// second; a busy machine is given time.
const MOBILENET: Duration = Duration::from_secs(10);

#[test]
fn a_mobilenet_compiles_in_a_moment() {
    let Some(shared) = shared() else { return };
    let bytes = std::fs::read(shared.join("models/st_mobilenet_v2_035_128.onnx")).unwrap();
    let timed = (0..3).map(|_| {
        let start = Instant::now();
        compile(&bytes, &float(), None);
        start.elapsed()
    });
    let time = timed.min().unwrap();
    println!("st_mobilenet_v2_035_128 in {time:?}; 2 s are wanted of an idle machine");
    assert!(time < MOBILENET, "{time:?}");
}
