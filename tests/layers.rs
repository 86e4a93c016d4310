//! What is composed at compile time, held against what it is composed of: directions, lengths and
//! layouts of recurrent layers, transposed convolutions, products of activations, resized axes,
//! branches.

use std::collections::HashMap;

use niwaki::Xorshift32;
use niwaki_tests::float;
use niwaki_tests::onnx::pb::{self, tensor_proto::DataType};
use niwaki_tests::onnx::{Onnx, graph, int, ints, real, text, value};
use niwaki_tools::artifact::Artifact;
use niwaki_tools::data::{Elements, Samples};
use niwaki_tools::{compiler, import};

/// Random floats from -1 to 1.
fn random(seed: u32, len: usize) -> Vec<f32> {
    let mut random = Xorshift32::new(seed);
    let unit = |bits: u32| (bits >> 8) as f32 / 8_388_608.0 - 1.0;
    (0..len).map(|_| unit(random.next_u32())).collect()
}

/// Compiles and runs a model of float inputs; gives its outputs.
fn run(onnx: &Onnx, inputs: &[&[f32]]) -> Vec<Vec<f32>> {
    let imported =
        import::import_bytes(&onnx.bytes(), &import::Dimensions::new(), &HashMap::new()).unwrap();
    let compiled = compiler::compile(&imported, &float(), None).unwrap();
    let artifact = Artifact::from_bytes(compiled.bytes()).unwrap();
    let sample = inputs.iter().map(|input| Elements::F32(input.to_vec()));
    let samples = Samples {
        samples: vec![sample.collect()],
    };
    let outputs = &artifact.run(&samples).unwrap()[0].outputs;
    let floats = |bytes: &Vec<u8>| -> Vec<f32> {
        let words = bytes.as_chunks::<4>().0;
        words.iter().map(|&word| f32::from_le_bytes(word)).collect()
    };
    outputs.iter().map(floats).collect()
}

/// Checks that a model is refused with an error that holds all the words.
fn refused(onnx: &Onnx, words: &[&str]) {
    let bytes = onnx.bytes();
    let imported = import::import_bytes(&bytes, &import::Dimensions::new(), &HashMap::new());
    let compiled = imported.and_then(|imported| compiler::compile(&imported, &float(), None));
    let error = match compiled {
        Ok(_) => panic!("accepted instead of {words:?}"),
        Err(error) => format!("{error:#}"),
    };
    for word in words {
        assert!(error.contains(word), "no `{word}` in: {error}");
    }
}

const STEPS: usize = 4;
const BATCH: usize = 2;
const INPUT: usize = 3;
const HIDDEN: usize = 5;

/// One operator and its number of gates.
const CELLS: [(&str, usize); 3] = [("LSTM", 4), ("GRU", 3), ("RNN", 1)];

/// A recurrent layer over `x` of a shape, with the weights of the given directions.
fn recurrent(
    (operator, gates): (&str, usize),
    shape: [usize; 3],
    directions: &[u32],
    attributes: Vec<pb::AttributeProto>,
) -> Onnx {
    let mut onnx = Onnx::new(&shape.map(|dim| dim as i64));
    let rows = gates * HIDDEN;
    let sizes = [
        ("w", vec![rows, INPUT]),
        ("r", vec![rows, HIDDEN]),
        ("b", vec![2 * rows]),
    ];
    for (name, shape) in sizes {
        let len = shape.iter().product();
        let of = |seed: &u32| random(seed * 7 + name.len() as u32 + shape[0] as u32, len);
        let values: Vec<f32> = directions.iter().flat_map(of).collect();
        let mut dims = vec![directions.len() as i64];
        dims.extend(shape.iter().map(|&dim| dim as i64));
        onnx.floats(name, &dims, &values);
    }
    let node = onnx.node(operator, &["x", "w", "r", "b"], "y");
    node.attribute = attributes;
    node.attribute.push(int("hidden_size", HIDDEN as i64));
    let states = if operator == "LSTM" { 2 } else { 1 };
    for state in ["h", "c"].iter().take(states) {
        node.output.push((*state).into());
    }
    for name in ["y", "h", "c"].iter().take(1 + states) {
        onnx.output(name);
    }
    onnx
}

/// Rows of `len` elements, in an order.
fn picked(values: &[f32], len: usize, order: impl Iterator<Item = usize>) -> Vec<f32> {
    let row = |i: usize| values[i * len..][..len].iter().copied();
    order.flat_map(row).collect()
}

#[test]
fn both_directions_are_one_and_the_other() {
    let shape = [STEPS, BATCH, INPUT];
    let x = random(1, STEPS * BATCH * INPUT);
    let row = BATCH * HIDDEN;
    for cell in CELLS {
        let one = |seed: u32, direction: &str| {
            let onnx = recurrent(cell, shape, &[seed], vec![text("direction", direction)]);
            run(&onnx, &[&x])
        };
        let (forward, reverse) = (one(3, "forward"), one(4, "reverse"));
        let direction = vec![text("direction", "bidirectional")];
        let both = run(&recurrent(cell, shape, &[3, 4], direction), &[&x]);
        let joined = [&*forward[0], &*reverse[0]].concat();
        let order = (0..STEPS).flat_map(|t| [t, STEPS + t]);
        assert_eq!(both[0], picked(&joined, row, order), "{cell:?}");
        for state in 1..both.len() {
            assert_eq!(both[state], [&*forward[state], &*reverse[state]].concat());
        }
        // The last step is the final state, of the reverse direction the first one.
        assert_eq!(forward[1], forward[0][(STEPS - 1) * row..]);
        assert_eq!(reverse[1], reverse[0][..row]);
    }
}

#[test]
fn a_sequence_ends_where_its_length_says() {
    let lengths = [2i32, STEPS as i32];
    let x = random(1, STEPS * BATCH * INPUT);
    for cell in CELLS {
        for direction in ["forward", "reverse"] {
            let attributes = vec![text("direction", direction)];
            let mut onnx = recurrent(cell, [STEPS, BATCH, INPUT], &[3], attributes.clone());
            let bytes: Vec<u8> = lengths.iter().flat_map(|len| len.to_le_bytes()).collect();
            onnx.raw("lengths", DataType::Int32, &[BATCH as i64], &bytes);
            onnx.graph.node[0].input.push("lengths".into());
            let together = run(&onnx, &[&x]);
            for (b, &len) in lengths.iter().enumerate() {
                let len = len as usize;
                let own = picked(&x, INPUT, (0..len).map(|t| t * BATCH + b));
                let alone = recurrent(cell, [len, 1, INPUT], &[3], attributes.clone());
                let alone = run(&alone, &[&own]);
                let steps = (0..len).map(|t| t * BATCH + b);
                assert_eq!(picked(&together[0], HIDDEN, steps), alone[0], "{cell:?}");
                let behind = (len..STEPS).map(|t| t * BATCH + b);
                let behind = picked(&together[0], HIDDEN, behind);
                assert!(behind.iter().all(|&v| v == 0.0), "{cell:?}");
                for state in 1..alone.len() {
                    let own = picked(&together[state], HIDDEN, std::iter::once(b));
                    assert_eq!(own, alone[state], "{cell:?}, {direction}");
                }
            }
        }
    }
}

#[test]
fn batches_may_come_first() {
    let x = random(1, STEPS * BATCH * INPUT);
    for cell in CELLS {
        let steps_first = recurrent(cell, [STEPS, BATCH, INPUT], &[3], Vec::new());
        let batch_first = vec![int("layout", 1)];
        let batch_first = recurrent(cell, [BATCH, STEPS, INPUT], &[3], batch_first);
        let order = |outer: usize, inner: usize| {
            (0..outer).flat_map(move |o| (0..inner).map(move |i| i * outer + o))
        };
        let turned = picked(&x, INPUT, order(BATCH, STEPS));
        let [a, b] = [run(&steps_first, &[&x]), run(&batch_first, &[&turned])];
        assert_eq!(picked(&a[0], HIDDEN, order(BATCH, STEPS)), b[0], "{cell:?}");
        assert_eq!(a[1..], b[1..], "{cell:?}");
    }
}

#[test]
fn recurrent_layers_that_cannot_be_are_refused_by_name() {
    let shape = [STEPS, BATCH, INPUT];
    let with = |attribute| recurrent(CELLS[0], shape, &[3], vec![attribute]);
    let cases: [(pb::AttributeProto, &[&str]); 5] = [
        (text("direction", "sideways"), &["`direction`", "sideways"]),
        (text("direction", "bidirectional"), &["2 directions"]),
        (real("clip", -1.0), &["`clip`", "greater than 0"]),
        (int("output_sequence", 1), &["`output_sequence`"]),
        (int("layout", 1), &["initial_h"]),
    ];
    for (attribute, words) in cases {
        let mut onnx = with(attribute);
        // In the other order than `layout` says.
        onnx.floats(
            "h0",
            &[1, BATCH as i64, HIDDEN as i64],
            &[0.0; BATCH * HIDDEN],
        );
        let inputs = &mut onnx.graph.node[0].input;
        inputs.extend(["".into(), "h0".into()]);
        refused(&onnx, words);
    }
    let mut onnx = recurrent(CELLS[1], shape, &[3], Vec::new());
    onnx.integers("lengths", &[1, STEPS as i64 + 1]);
    onnx.graph.node[0].input.push("lengths".into());
    refused(&onnx, &["sequence_lens", "1 to 4 steps"]);
    let mut onnx = recurrent(CELLS[2], shape, &[3], Vec::new());
    onnx.graph.initializer.retain(|tensor| tensor.name != "w");
    let dims = [1, HIDDEN as i64, INPUT as i64];
    onnx.graph.input.push(value("w", DataType::Float, &dims));
    refused(
        &onnx,
        &["y.node", "`w`", "run time", "constants are accepted"],
    );
}

#[test]
fn a_transposed_convolution_spreads_every_input() {
    // One group of two: [in][out], stride 2, dilation 1, pads 1 and 0, output_padding 1.
    let (len, kernel, stride, before, after) = (5, 3, 2, 1, 0);
    let out_len = (len - 1) * stride + kernel - before - after + 1;
    let mut onnx = Onnx::new(&[1, 4, len as i64]);
    let (x, w) = (random(1, 4 * len), random(2, 4 * 3 * kernel));
    onnx.floats("w", &[4, 3, kernel as i64], &w);
    let node = onnx.node("ConvTranspose", &["x", "w"], "y");
    node.attribute = vec![
        int("group", 2),
        ints("strides", &[stride as i64]),
        ints("pads", &[before as i64, after as i64]),
        ints("output_padding", &[1]),
    ];
    onnx.output("y");
    let mut expected = vec![0.0f64; 6 * out_len];
    for (i, channel) in x.chunks_exact(len).enumerate() {
        for (t, &v) in channel.iter().enumerate() {
            for o in 0..3 {
                for k in 0..kernel {
                    let at = (t * stride + k).checked_sub(before);
                    let at = at.filter(|&at| at < out_len);
                    if let Some(at) = at {
                        let w = w[(i * 3 + o) * kernel + k];
                        expected[(i / 2 * 3 + o) * out_len + at] += f64::from(v) * f64::from(w);
                    }
                }
            }
        }
    }
    let y = &run(&onnx, &[&x])[0];
    assert_eq!(y.len(), expected.len());
    for (y, expected) in y.iter().zip(&expected) {
        assert!((f64::from(*y) - expected).abs() < 1e-5, "{y}, {expected}");
    }
    let too_long = ints("output_shape", &[2 * len as i64 + 20]);
    onnx.graph.node[0].attribute.push(too_long);
    refused(&onnx, &["y.node", "`output_shape`", "is accepted"]);
}

#[test]
fn a_batch_normalisation_folds_into_a_transposed_convolution() {
    let mut onnx = Onnx::new(&[1, 2, 3, 3]);
    onnx.floats("w", &[2, 3, 2, 2], &random(2, 24));
    onnx.floats("factor", &[3, 1, 1], &[0.5, 2.0, -1.0]);
    onnx.floats("offset", &[3, 1, 1], &[1.0, 0.0, 3.0]);
    onnx.node("ConvTranspose", &["x", "w"], "product");
    onnx.node("Mul", &["product", "factor"], "scaled");
    onnx.node("Add", &["scaled", "offset"], "y");
    onnx.output("y");
    let bytes = onnx.bytes();
    let imported = import::import_bytes(&bytes, &HashMap::new(), &HashMap::new()).unwrap();
    let compiled = compiler::compile(&imported, &float(), None).unwrap();
    let artifact = Artifact::from_bytes(compiled.bytes()).unwrap();
    // Channels last and back, and nothing but the convolution between.
    assert_eq!(artifact.model().unwrap().operator_count(), 3);
    onnx.output("product");
    let both = run(&onnx, &[&random(1, 18)]);
    for (c, (y, product)) in both[0].chunks(16).zip(both[1].chunks(16)).enumerate() {
        let (factor, offset) = ([0.5, 2.0, -1.0][c], [1.0, 0.0, 3.0][c]);
        for (y, product) in y.iter().zip(product) {
            assert!((y - (product * factor + offset)).abs() < 1e-5);
        }
    }
}

#[test]
fn attention_reads_its_operands_as_they_lie() {
    // Queries and keys of two heads, transposed as exporters do: no operator moves them.
    let mut onnx = Onnx::new(&[1, 4, 2, 3]);
    let node = onnx.node("Transpose", &["x"], "queries");
    node.attribute = vec![ints("perm", &[0, 2, 1, 3])];
    let node = onnx.node("Transpose", &["x"], "keys");
    node.attribute = vec![ints("perm", &[0, 2, 3, 1])];
    onnx.node("MatMul", &["queries", "keys"], "y");
    onnx.output("y");
    let x = random(1, 24);
    let y = &run(&onnx, &[&x])[0];
    for head in 0..2 {
        for i in 0..4 {
            for j in 0..4 {
                let at = |t: usize, k: usize| x[(t * 2 + head) * 3 + k];
                let mut sum = 0.0f32;
                (0..3).for_each(|k| sum += at(i, k) * at(j, k));
                assert_eq!(y[(head * 4 + i) * 4 + j], sum);
            }
        }
    }
    let imported = import::import_bytes(&onnx.bytes(), &HashMap::new(), &HashMap::new()).unwrap();
    let compiled = compiler::compile(&imported, &float(), None).unwrap();
    let artifact = Artifact::from_bytes(compiled.bytes()).unwrap();
    assert_eq!(artifact.model().unwrap().operator_count(), 1);
}

/// A Resize of one axis of 4 to 8, with attributes.
fn resized(attributes: Vec<pb::AttributeProto>, x: &[f32]) -> Vec<f32> {
    let mut onnx = Onnx::new(&[1, 1, x.len() as i64]);
    onnx.floats("scales", &[3], &[1.0, 1.0, 2.0]);
    onnx.node("Resize", &["x", "", "scales"], "y").attribute = attributes;
    onnx.output("y");
    run(&onnx, &[x]).swap_remove(0)
}

#[test]
fn an_axis_is_resized_as_its_attributes_say() {
    let x = [0.0, 1.0, 2.0, 3.0];
    let linear = |coordinates: &str| {
        let mode = text("mode", "linear");
        let coordinates = text("coordinate_transformation_mode", coordinates);
        resized(vec![mode, coordinates], &x)
    };
    let half_pixel = [0.0, 0.25, 0.75, 1.25, 1.75, 2.25, 2.75, 3.0];
    assert_eq!(linear("half_pixel"), half_pixel);
    assert_eq!(
        linear("asymmetric"),
        [0.0, 0.5, 1.0, 1.5, 2.0, 2.5, 3.0, 3.0]
    );
    let ends = linear("align_corners");
    assert_eq!([ends[0], ends[7]], [0.0, 3.0]);
    assert!(
        ends.windows(2)
            .all(|w| (w[1] - w[0] - 3.0 / 7.0).abs() < 1e-6)
    );
    let nearest = |mode: &str| {
        let coordinates = text("coordinate_transformation_mode", "asymmetric");
        resized(vec![coordinates, text("nearest_mode", mode)], &x)
    };
    assert_eq!(nearest("floor"), [0.0, 0.0, 1.0, 1.0, 2.0, 2.0, 3.0, 3.0]);
    assert_eq!(nearest("ceil"), [0.0, 1.0, 1.0, 2.0, 2.0, 3.0, 3.0, 3.0]);
    assert_eq!(nearest("round_prefer_floor"), nearest("floor"));
    assert_eq!(nearest("round_prefer_ceil"), nearest("ceil"));
}

#[test]
fn a_size_that_is_computed_at_run_time_is_refused() {
    let mut onnx = Onnx::new(&[1, 1, 4]);
    onnx.graph.input.push(value("sizes", DataType::Int64, &[3]));
    onnx.node("Resize", &["x", "", "", "sizes"], "y");
    onnx.output("y");
    refused(&onnx, &["y.node", "sizes", "run time", "constant"]);
    let mut onnx = Onnx::new(&[1, 1, 4]);
    onnx.integers("sizes", &[1, 1, 1 << 40]);
    onnx.node("Resize", &["x", "", "", "sizes"], "y");
    onnx.output("y");
    refused(&onnx, &["y.node", "axis 2", "are supported"]);
}

/// A graph of one node that reads `x` from around it.
fn branch(operator: &str, inputs: &[&str], output: &str) -> pb::GraphProto {
    let mut branch = Onnx::default();
    branch.floats("own", &[1], &[2.0]);
    branch.node(operator, inputs, output);
    branch.output(output);
    branch.graph
}

#[test]
fn an_if_is_the_branch_that_it_takes() {
    for (condition, expected) in [(1u8, [3.0, 5.0]), (0, [2.0, 6.0])] {
        let mut onnx = Onnx::new(&[2]);
        onnx.raw("condition", DataType::Bool, &[], &[condition]);
        // Two of them, whose branches use the same names inside.
        for (input, output) in [("x", "first"), ("first", "y")] {
            let node = onnx.node("If", &["condition"], output);
            node.attribute = vec![
                graph("then_branch", branch("Add", &[input, "own"], "inner")),
                graph("else_branch", branch("Mul", &[input, "own"], "inner")),
            ];
        }
        // Not seen from outside, whatever comes first in the file.
        onnx.graph.node.reverse();
        onnx.output("y");
        let y = run(&onnx, &[&[1.0, 3.0]]);
        let twice = match condition {
            1 => [expected[0] + 2.0, expected[1] + 2.0],
            _ => [expected[0] * 2.0, expected[1] * 2.0],
        };
        assert_eq!(y[0], twice);
        onnx.node("Relu", &["inner"], "z");
        onnx.output("z");
        refused(&onnx, &["z.node", "`inner`"]);
    }
}

#[test]
fn an_if_that_a_run_decides_is_refused() {
    let mut onnx = Onnx::new(&[2]);
    let condition = value("condition", DataType::Bool, &[]);
    onnx.graph.input.push(condition);
    let node = onnx.node("If", &["condition"], "y");
    node.attribute = vec![
        graph("then_branch", branch("Add", &["x", "own"], "a")),
        graph("else_branch", branch("Mul", &["x", "own"], "b")),
    ];
    onnx.output("y");
    refused(&onnx, &["y.node", "`condition`", "run time", "--const"]);
    onnx.graph.input.pop();
    onnx.raw("condition", DataType::Bool, &[2], &[1, 1]);
    refused(&onnx, &["y.node", "not one bool"]);
    onnx.graph.initializer.pop();
    onnx.raw("condition", DataType::Bool, &[], &[1]);
    onnx.graph.node[0].attribute.remove(0);
    refused(&onnx, &["y.node", "`then_branch`", "missing"]);
}
