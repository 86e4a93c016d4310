//! A small quantised model under construction, and the check that it is computed in integers and
//! gives what the graph means in real numbers.

use std::collections::HashMap;

use niwaki::Xorshift32;
use niwaki_tests::float;
use niwaki_tests::onnx::{Onnx, pb, value};
use niwaki_tools::artifact::Artifact;
use niwaki_tools::compiler::{self, Options};
use niwaki_tools::data::{Elements, Samples};
use niwaki_tools::import;
use pb::tensor_proto::DataType;

/// Random inputs for each model.
const SAMPLES: usize = 12;

/// How near to a tie the real value may be where either neighbour is right: what is computed in
/// binary32 may lie on the other side.
const NEAR_TIE: f64 = 1e-3;

/// int8 or uint8, with scale and zero point.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Affine {
    pub(crate) unsigned: bool,
    pub(crate) scale: f32,
    pub(crate) zero_point: i32,
}

impl Affine {
    pub(crate) fn dtype(&self) -> DataType {
        if self.unsigned {
            DataType::Uint8
        } else {
            DataType::Int8
        }
    }

    fn lowest(&self) -> i32 {
        if self.unsigned { 0 } else { -128 }
    }

    pub(crate) fn real(&self, q: i32) -> f64 {
        f64::from(q - self.zero_point) * f64::from(self.scale)
    }
}

/// The model, and what a reference needs to know of it.
pub(crate) struct Net {
    pub(crate) onnx: Onnx,
    random: Xorshift32,
    inputs: Vec<(Affine, usize)>,
    output: Option<Affine>,
    names: usize,
}

impl Net {
    pub(crate) fn new(seed: u32) -> Self {
        Self {
            onnx: Onnx::default(),
            random: Xorshift32::new(seed),
            inputs: Vec::new(),
            output: None,
            names: 0,
        }
    }

    pub(crate) fn below(&mut self, end: u32) -> u32 {
        // The low bits of xorshift are its weakest.
        (self.random.next_u32() >> 8) % end
    }

    /// A number between the two.
    pub(crate) fn between(&mut self, low: f32, high: f32) -> f32 {
        low + (high - low) * self.below(1 << 16) as f32 / 65_536.0
    }

    pub(crate) fn name(&mut self, what: &str) -> String {
        self.names += 1;
        format!("{what}{}", self.names)
    }

    /// A random scale and zero point.
    pub(crate) fn affine(&mut self, unsigned: bool) -> Affine {
        let scale = self.between(0.01, 0.05);
        let mut affine = Affine {
            unsigned,
            scale,
            zero_point: 0,
        };
        affine.zero_point = affine.lowest() + self.below(256) as i32;
        affine
    }

    pub(crate) fn bytes(&mut self, len: usize, affine: &Affine) -> Vec<i32> {
        let lowest = affine.lowest();
        (0..len).map(|_| lowest + self.below(256) as i32).collect()
    }

    /// Adds initialisers for scale and zero point: their names.
    pub(crate) fn parameters(&mut self, affine: &Affine) -> [String; 2] {
        let [scale, zero] = [self.name("scale"), self.name("zero")];
        self.onnx.floats(&scale, &[], &[affine.scale]);
        let byte = [affine.zero_point as u8];
        self.onnx.raw(&zero, affine.dtype(), &[], &byte);
        [scale, zero]
    }

    /// Adds a quantised input of the model: its name.
    pub(crate) fn quantized_input(&mut self, affine: Affine, shape: &[i64]) -> String {
        let name = self.name("x");
        let x = value(&name, affine.dtype(), shape);
        self.onnx.graph.input.push(x);
        self.inputs
            .push((affine, shape.iter().product::<i64>() as usize));
        name
    }

    fn dequantized(&mut self, quantized: &str, affine: &Affine) -> String {
        let [scale, zero] = self.parameters(affine);
        let real = self.name("real");
        self.onnx
            .node("DequantizeLinear", &[quantized, &scale, &zero], &real);
        real
    }

    /// Adds an input that is dequantised: the name of its floats.
    pub(crate) fn input(&mut self, unsigned: bool, shape: &[i64]) -> String {
        let affine = self.affine(unsigned);
        let x = self.quantized_input(affine, shape);
        self.dequantized(&x, &affine)
    }

    /// Adds a random quantised constant: the name of its floats, and their values.
    pub(crate) fn constant(&mut self, affine: Affine, shape: &[i64]) -> (String, Vec<f64>) {
        let values = self.bytes(shape.iter().product::<i64>() as usize, &affine);
        let name = self.name("constant");
        let bytes: Vec<u8> = values.iter().map(|&q| q as u8).collect();
        self.onnx.raw(&name, affine.dtype(), shape, &bytes);
        let reals = values.iter().map(|&q| affine.real(q)).collect();
        (self.dequantized(&name, &affine), reals)
    }

    /// Adds an operator with one output.
    pub(crate) fn node(&mut self, operator: &str, inputs: &[&str]) -> String {
        let output = self.name("v");
        self.onnx.node(operator, inputs, &output);
        output
    }

    /// The node that was added last.
    pub(crate) fn last(&mut self) -> &mut pb::NodeProto {
        self.onnx.graph.node.last_mut().expect("there is a node")
    }

    /// Says that this value is an output of the model, quantised so.
    pub(crate) fn quantized_output(&mut self, name: &str, affine: Affine) {
        let output = value(name, affine.dtype(), &[]);
        self.onnx.graph.output.push(output);
        self.output = Some(affine);
    }

    /// Quantises a value, which is an output of the model.
    pub(crate) fn output(&mut self, real: &str, affine: Affine) {
        let [scale, zero] = self.parameters(&affine);
        let q = self.node("QuantizeLinear", &[real, &scale, &zero]);
        self.quantized_output(&q, affine);
    }

    /// The model as an artifact.
    pub(crate) fn compile(&self) -> Artifact {
        let bytes = self.onnx.bytes();
        let imported = import::import_bytes(&bytes, &HashMap::new(), &HashMap::new());
        let imported = imported.unwrap_or_else(|error| panic!("{error:#}"));
        let options = match compiler::is_quantized(&imported.graph) {
            true => Options::default(),
            false => float(),
        };
        let compiled = compiler::compile(&imported, &options, None);
        let compiled = compiled.unwrap_or_else(|error| panic!("{error:#}"));
        Artifact::from_bytes(compiled.bytes()).unwrap()
    }

    /// Checks that the model has the operators `wanted`, nothing that computes in floats, and that
    /// its output is the reference's, which gets the real values of the inputs.
    pub(crate) fn check(&mut self, wanted: &[&str], reference: impl Fn(&[Vec<f64>]) -> Vec<f64>) {
        let artifact = self.compile();
        let operators = operators(&artifact);
        let floats = |name: &&String| name.ends_with("F32") || name.contains("quantize");
        assert_eq!(operators.iter().find(floats), None, "{operators:?}");
        for name in wanted {
            assert!(
                operators.iter().any(|op| op == name),
                "{name}: {operators:?}"
            );
        }
        let output = self.output.expect("it has an output");
        for _ in 0..SAMPLES {
            let inputs = self.inputs.clone();
            let sample: Vec<Vec<i32>> = inputs
                .iter()
                .map(|(affine, len)| self.bytes(*len, affine))
                .collect();
            let reals: Vec<Vec<f64>> = sample
                .iter()
                .zip(&inputs)
                .map(|(values, (affine, _))| values.iter().map(|&q| affine.real(q)).collect())
                .collect();
            let ours = run(&artifact, &sample, &inputs);
            compare(&ours, &reference(&reals), &output);
        }
    }
}

/// The names of an artifact's operators.
pub(crate) fn operators(artifact: &Artifact) -> Vec<String> {
    use niwaki::OperatorSet as _;
    let model = artifact.model().unwrap();
    let name = |code| {
        niwaki::All::name(code)
            .expect("a code of the table")
            .to_owned()
    };
    model.operators().map(|op| name(op.header.code)).collect()
}

fn run(artifact: &Artifact, sample: &[Vec<i32>], inputs: &[(Affine, usize)]) -> Vec<i32> {
    let elements = sample.iter().zip(inputs).map(|(values, (affine, _))| {
        if affine.unsigned {
            Elements::U8(values.iter().map(|&q| q as u8).collect())
        } else {
            Elements::I8(values.iter().map(|&q| q as i8).collect())
        }
    });
    let samples = Samples {
        samples: vec![elements.collect()],
    };
    let result = artifact.run(&samples).unwrap().remove(0);
    let slot = artifact.output_slots().unwrap().remove(0);
    let output = Elements::from_bytes(slot.dtype, &result.outputs[0]);
    output.to_f64().iter().map(|&v| v as i32).collect()
}

/// Holds integers against real values, which are rounded to the nearest step.
fn compare(ours: &[i32], reals: &[f64], output: &Affine) {
    assert_eq!(ours.len(), reals.len(), "elements of the output");
    for (i, (&ours, &real)) in ours.iter().zip(reals).enumerate() {
        let steps = real / f64::from(output.scale);
        let (low, high) = (output.lowest(), output.lowest() + 255);
        let nearest = |v: f64| (v.round_ties_even() as i32 + output.zero_point).clamp(low, high);
        let right = nearest(steps - NEAR_TIE)..=nearest(steps + NEAR_TIE);
        assert!(
            right.contains(&ours),
            "element {i} is {ours}, and {steps} steps from {} really",
            output.zero_point
        );
    }
}
