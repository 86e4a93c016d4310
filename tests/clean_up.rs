//! The clean-up of graphs: what each pass takes out, and that every output keeps its bytes.

use std::collections::HashMap;

use niwaki::Xorshift32;
use niwaki_tests::onnx::{Onnx, int, ints, pb};
use niwaki_tools::artifact::Artifact;
use niwaki_tools::compiler::{self, Options, shrink, simplify};
use niwaki_tools::import;
use pb::tensor_proto::DataType;

/// Random graphs of each kind.
const CASES: u32 = 400;

struct Compiled {
    artifact: Artifact,
    report: Option<shrink::Report>,
}

impl Compiled {
    fn of(onnx: &Onnx, shrink: bool) -> Self {
        let dimensions = import::Dimensions::new();
        let imported = import::import_bytes(&onnx.bytes(), &dimensions, &HashMap::new()).unwrap();
        let options = Options {
            float: !compiler::is_quantized(&imported.graph),
            shrink,
            ..Options::default()
        };
        let compiled = compiler::compile(&imported, &options, None).unwrap();
        Self {
            artifact: Artifact::from_bytes(compiled.bytes()).unwrap(),
            report: compiled.shrink,
        }
    }

    fn kinds(&self) -> Vec<&'static str> {
        use niwaki::OperatorSet as _;
        let model = self.artifact.model().unwrap();
        let names = model
            .operators()
            .map(|operator| niwaki::All::name(operator.header.code));
        names.map(Option::unwrap).collect()
    }

    fn outputs(&self, seed: u32) -> Vec<Vec<u8>> {
        let model = self.artifact.model().unwrap();
        let mut arena = vec![0u32; model.arena_bytes().div_ceil(4)];
        let arena = niwaki::as_bytes_mut(&mut arena);
        let mut session = niwaki::Session::new(&model, arena).unwrap();
        session.fill_golden_inputs(seed).unwrap();
        session.run().unwrap();
        let outputs = 0..model.output_count();
        outputs
            .map(|i| session.output(i).unwrap().to_vec())
            .collect()
    }
}

/// Compiles both ways, holds the outputs together, and gives the report and the operators.
fn same_outputs(onnx: &Onnx) -> (simplify::Report, Vec<&'static str>, Vec<&'static str>) {
    let [whole, shrunk] = [false, true].map(|shrink| Compiled::of(onnx, shrink));
    assert!(whole.report.is_none());
    for seed in 1..4 {
        let outputs = [&whole, &shrunk].map(|compiled| compiled.outputs(seed));
        assert!(
            outputs[0] == outputs[1],
            "{:?} gives other bytes than {:?}",
            shrunk.kinds(),
            whole.kinds()
        );
    }
    let report = shrunk.report.as_ref().unwrap().graph;
    (report, whole.kinds(), shrunk.kinds())
}

/// A graph of layers with what exporters leave between them.
struct Maker {
    onnx: Onnx,
    random: Xorshift32,
    quantized: bool,
    count: usize,
    /// The present value and its dimensions.
    at: String,
    shape: [i64; 4],
}

impl Maker {
    fn new(seed: u32, quantized: bool) -> Self {
        let shape = [1, 3, 8, 8];
        let mut maker = Self {
            onnx: Onnx::new(&shape),
            random: Xorshift32::new(seed),
            quantized,
            count: 0,
            at: "x".to_owned(),
            shape,
        };
        maker.onnx.floats("scale", &[], &[0.0625]);
        maker.onnx.raw("zero", DataType::Int8, &[], &[3]);
        maker.quantize();
        maker
    }

    fn below(&mut self, n: u32) -> i64 {
        i64::from((self.random.next_u32() >> 8) % n)
    }

    fn name(&mut self, part: &str) -> String {
        self.count += 1;
        format!("{part}{}", self.count)
    }

    /// Adds a node that reads the present value, and goes on from its output.
    fn then(&mut self, operator: &str, more: &[&str]) -> &mut pb::NodeProto {
        let output = self.name("v");
        let at = std::mem::replace(&mut self.at, output.clone());
        let inputs = [&[at.as_str()], more].concat();
        self.onnx.node(operator, &inputs, &output)
    }

    /// Quantises and dequantises, in a quantised graph; now and then twice.
    fn quantize(&mut self) {
        if self.quantized {
            for _ in 0..=self.below(2) {
                self.then("QuantizeLinear", &["scale", "zero"]);
                self.then("DequantizeLinear", &["scale", "zero"]);
            }
        }
    }

    fn transposed(&mut self) {
        self.then("Transpose", &[])
            .attribute
            .push(ints("perm", &[0, 2, 3, 1]));
        if self.below(2) == 0 {
            self.then("Relu", &[]);
        } else {
            self.quantize();
        }
        self.then("Transpose", &[])
            .attribute
            .push(ints("perm", &[0, 3, 1, 2]));
    }

    fn reshaped(&mut self) {
        let (flat, back) = (self.name("flat"), self.name("back"));
        self.onnx.integers(&flat, &[1, -1]);
        let shape = self.shape;
        self.onnx.integers(&back, &shape);
        self.then("Reshape", &[&flat]);
        match self.below(3) {
            0 => drop(self.then("Relu", &[])),
            1 => drop(self.then("Tanh", &[])),
            _ => {}
        }
        self.then("Reshape", &[&back]);
    }

    /// The same function twice, and the sum of both.
    fn repeated(&mut self) {
        let operator = ["Relu", "Sigmoid", "Tanh"][self.below(3) as usize];
        let names = [self.name("twin"), self.name("twin")];
        for name in &names {
            self.onnx.node(operator, &[&self.at], name);
        }
        let sum = self.name("sum");
        self.onnx.node("Add", &[&names[0], &names[1]], &sum);
        self.at = sum;
        self.quantize();
    }

    fn pad(&mut self) {
        let pads = self.name("pads");
        let amounts: [i64; 4] = std::array::from_fn(|_| self.below(3));
        let [top, left, bottom, right] = amounts;
        let all = [0, 0, top, left, 0, 0, bottom, right];
        self.onnx.integers(&pads, &all);
        self.then("Pad", &[&pads]);
        self.shape[2] += top + bottom;
        self.shape[3] += left + right;
        if self.below(2) == 0 {
            self.quantize();
        }
    }

    /// Sizes behind a window of 3 x 3.
    fn slide(&mut self, pad: i64, stride: i64) {
        for size in &mut self.shape[2..] {
            *size = (*size + 2 * pad - 3) / stride + 1;
        }
    }

    fn convolution(&mut self) {
        let (pad, stride) = (self.below(2), 1 + self.below(2));
        let channels = 1 + self.below(4);
        let weights = self.name("w");
        let dims = [channels, self.shape[1], 3, 3];
        let count = dims.iter().product::<i64>() as usize;
        if self.quantized {
            let (int8, zero) = (self.name("int8"), self.name("zero"));
            let bytes: Vec<u8> = (0..count).map(|_| self.below(256) as u8).collect();
            self.onnx.raw(&int8, DataType::Int8, &dims, &bytes);
            self.onnx.raw(&zero, DataType::Int8, &[], &[0]);
            self.onnx.floats(&format!("{weights}.scale"), &[], &[0.01]);
            let scale = format!("{weights}.scale");
            self.onnx
                .node("DequantizeLinear", &[&int8, &scale, &zero], &weights);
        } else {
            let floats: Vec<f32> = (0..count)
                .map(|_| self.below(256) as f32 / 128.0 - 1.0)
                .collect();
            self.onnx.floats(&weights, &dims, &floats);
        }
        let node = self.then("Conv", &[&weights]);
        node.attribute.push(ints("pads", &[pad; 4]));
        node.attribute.push(ints("strides", &[stride; 2]));
        self.shape[1] = channels;
        self.slide(pad, stride);
        self.quantize();
    }

    fn pool(&mut self) {
        let (pad, include) = (self.below(2), self.below(2));
        let node = self.then("AveragePool", &[]);
        node.attribute.push(ints("kernel_shape", &[3, 3]));
        node.attribute.push(ints("pads", &[pad; 4]));
        node.attribute.push(int("count_include_pad", include));
        self.slide(pad, 1);
        self.quantize();
    }

    fn step(&mut self) {
        match self.below(7) {
            0 => self.transposed(),
            1 => self.reshaped(),
            2 => self.repeated(),
            kind if self.shape[2].min(self.shape[3]) >= 4 => {
                if kind < 6 {
                    self.pad();
                }
                if self.below(3) > 0 {
                    self.convolution();
                } else {
                    self.pool();
                }
            }
            _ => drop(self.then("Relu", &[])),
        }
    }

    fn finish(mut self) -> Onnx {
        for _ in 0..1 + self.below(7) {
            self.step();
        }
        let at = self.at.clone();
        self.onnx.output(&at);
        self.onnx
    }
}

#[test]
fn random_graphs_keep_their_bytes() {
    for quantized in [false, true] {
        let mut sum = simplify::Report::default();
        for seed in 1..=CASES {
            let onnx = Maker::new(seed, quantized).finish();
            let (report, ..) = same_outputs(&onnx);
            sum.common += report.common;
            sum.requantized += report.requantized;
            sum.moves += report.moves;
            sum.pads += report.pads;
        }
        println!("quantised {quantized}, {CASES} graphs: {sum}");
        let found = [sum.common, sum.moves, sum.pads];
        assert!(
            found.iter().all(|&count| count > CASES as usize / 20),
            "{sum:?}"
        );
        assert_eq!(sum.requantized > 0, quantized);
    }
}

#[test]
fn a_pad_becomes_that_of_the_window() {
    for operator in ["Conv", "AveragePool"] {
        let mut onnx = Onnx::new(&[1, 2, 6, 6]);
        onnx.integers("pads", &[0, 0, 1, 2, 0, 0, 0, 1]);
        onnx.node("Pad", &["x", "pads"], "padded");
        if operator == "Conv" {
            onnx.floats("w", &[1, 2, 3, 3], &[0.25; 18]);
            onnx.node("Conv", &["padded", "w"], "y");
        } else {
            let node = onnx.node("AveragePool", &["padded"], "y");
            node.attribute.push(ints("kernel_shape", &[3, 3]));
        }
        onnx.output("y");
        let (report, whole, shrunk) = same_outputs(&onnx);
        assert_eq!(report.pads, 1, "{operator}");
        assert!(whole.contains(&"Pad") && !shrunk.contains(&"Pad"));
    }
}

#[test]
fn pads_that_are_no_zeros_or_that_others_read_stay() {
    for (value, outer) in [(1.0, 0), (0.0, 1), (-0.5, 0)] {
        let mut onnx = Onnx::new(&[1, 2, 6, 6]);
        onnx.integers("pads", &[0, outer, 1, 1, 0, 0, 1, 1]);
        onnx.floats("value", &[], &[value]);
        onnx.node("Pad", &["x", "pads", "value"], "padded");
        let channels = 2 + outer;
        onnx.floats("w", &[1, channels, 3, 3], &vec![0.5; 9 * channels as usize]);
        onnx.node("Conv", &["padded", "w"], "y");
        onnx.output("y");
        assert_eq!(same_outputs(&onnx).0.pads, 0, "{value} {outer}");
    }
    let mut onnx = Onnx::new(&[1, 2, 6, 6]);
    onnx.integers("pads", &[0, 0, 1, 1, 0, 0, 1, 1]);
    onnx.node("Pad", &["x", "pads"], "padded");
    onnx.floats("w", &[1, 2, 3, 3], &[0.5; 18]);
    onnx.node("Conv", &["padded", "w"], "y");
    onnx.output("y");
    onnx.output("padded");
    assert_eq!(same_outputs(&onnx).0.pads, 0);
}

#[test]
fn weights_that_are_not_finite_keep_their_pad() {
    for weight in [f32::INFINITY, f32::NAN] {
        let mut onnx = Onnx::new(&[1, 1, 4, 4]);
        onnx.integers("pads", &[0, 0, 1, 1, 0, 0, 1, 1]);
        onnx.node("Pad", &["x", "pads"], "padded");
        onnx.floats("w", &[1, 1, 3, 3], &[weight; 9]);
        onnx.node("Conv", &["padded", "w"], "y");
        onnx.output("y");
        assert_eq!(same_outputs(&onnx).0.pads, 0);
    }
}

#[test]
fn a_scale_whose_integers_do_not_come_back_stays() {
    for (scale, gone) in [(0.1, 1), (3e38, 0), (1e-45, 1)] {
        let mut onnx = Onnx::new(&[1, 4]);
        onnx.floats("first", &[], &[0.5]);
        onnx.floats("scale", &[], &[scale]);
        onnx.raw("zero", DataType::Int16, &[], &[0, 0]);
        onnx.node("QuantizeLinear", &["x", "scale", "zero"], "q");
        onnx.node("DequantizeLinear", &["q", "scale", "zero"], "d");
        onnx.node("QuantizeLinear", &["d", "scale", "zero"], "q2");
        onnx.node("DequantizeLinear", &["q2", "scale", "zero"], "y");
        onnx.output("y");
        let (report, ..) = same_outputs(&onnx);
        assert_eq!(report.requantized, gone, "{scale}");
    }
}

#[test]
fn what_is_repeated_is_computed_once() {
    let mut onnx = Onnx::new(&[1, 4]);
    for name in ["a", "b"] {
        // Equal constants under two names.
        let w = format!("{name}.w");
        onnx.floats(&w, &[4], &[1.0, 2.0, 3.0, 4.0]);
        onnx.node("Mul", &["x", &w], name);
        onnx.output(name);
    }
    onnx.node("Add", &["a", "b"], "y");
    onnx.output("y");
    let (report, whole, shrunk) = same_outputs(&onnx);
    assert_eq!(report.common, 1);
    let count = |kinds: &[&str]| kinds.iter().filter(|kind| **kind == "MulF32").count();
    assert_eq!((count(&whole), count(&shrunk)), (2, 1));
}

#[test]
fn attributes_and_shapes_tell_operations_apart() {
    let mut onnx = Onnx::new(&[1, 2, 6, 6]);
    for (name, size) in [("a", 2), ("b", 3)] {
        let node = onnx.node("MaxPool", &["x"], name);
        node.attribute.push(ints("kernel_shape", &[size, size]));
        onnx.output(name);
    }
    for (name, shape) in [("c", [1, 72]), ("d", [2, 36])] {
        let shape_name = format!("{name}.shape");
        onnx.integers(&shape_name, &shape);
        onnx.node("Reshape", &["x", &shape_name], name);
        onnx.output(name);
    }
    assert_eq!(same_outputs(&onnx).0.common, 0);
}
