//! Random chains of changes of shape and order, behind an image that lies channels last: every
//! element comes out where ONNX has it.

use ndarray::{ArrayD, IxDyn};
use niwaki::{Model, Session, Xorshift32};

use super::groups;
use crate::compiler::select::select;
use crate::compiler::{emit, plan};
use crate::graph::{DataType, Graph, Node, Op, ValueId, WindowAttributes};

/// Chains tried.
const CHAINS: usize = 2_000;

fn below(random: &mut Xorshift32, n: usize) -> usize {
    (random.next_u32() >> 8) as usize % n
}

fn node(graph: &mut Graph, op: Op, input: ValueId, shape: &[usize]) -> ValueId {
    let output = graph.add_value("v", DataType::F32, shape.to_vec());
    graph.nodes.push(Node {
        name: "n".into(),
        op,
        inputs: vec![input],
        output,
    });
    output
}

/// A pool that changes nothing, so that the value lies channels last.
fn pooled(graph: &mut Graph, x: ValueId, shape: &[usize]) -> ValueId {
    let window = WindowAttributes {
        kernel: vec![1; 2],
        strides: vec![1; 2],
        dilations: vec![1; 2],
        pads_begin: vec![0; 2],
        pads_end: vec![0; 2],
    };
    node(graph, Op::MaxPool(window), x, shape)
}

/// Another shape of as many elements, of at most five axes.
fn other_shape(random: &mut Xorshift32, shape: &[usize]) -> Vec<usize> {
    let mut rest: usize = shape.iter().product();
    let mut other = Vec::new();
    for _ in 0..below(random, 5) {
        let divisors: Vec<usize> = (1..=rest).filter(|&d| rest.is_multiple_of(d)).collect();
        other.push(divisors[below(random, divisors.len())]);
        rest /= other[other.len() - 1];
    }
    other.push(rest);
    other
}

fn run(graph: &Graph, input: &ArrayD<f32>) -> Vec<f32> {
    let mut selected = select(graph).unwrap();
    let (inputs, outputs) = (selected.inputs[0].0, selected.outputs[0].0);
    let plan = plan::plan(&mut selected.builder, &[inputs], &[outputs]).unwrap();
    let file = emit::serialise(&selected, &plan, &emit::Extras::default(), &[]).unwrap();
    let model: Model<'_> = Model::new(niwaki::as_bytes(&file)).unwrap();
    let mut arena = vec![0u32; model.arena_bytes().div_ceil(4)];
    let mut session = Session::new(&model, niwaki::as_bytes_mut(&mut arena)).unwrap();
    for (to, &from) in session.input_as(0).unwrap().iter_mut().zip(input) {
        *to = from;
    }
    session.run().unwrap();
    session.output_as(0).unwrap().to_vec()
}

#[test]
fn elements_keep_their_places_through_reshapes_and_transposes() {
    let mut random = Xorshift32::new(7);
    for chain in 0..CHAINS {
        let mut shape: Vec<usize> = (0..4).map(|_| 1 + below(&mut random, 4)).collect();
        let len: usize = shape.iter().product();
        let input = (0..len).map(|i| i as f32).collect();
        let input = ArrayD::from_shape_vec(IxDyn(&shape), input).unwrap();
        let mut expected = input.clone();
        let mut graph = Graph::default();
        let x = graph.add_value("x", DataType::F32, shape.clone());
        graph.inputs.push(x);
        let mut value = pooled(&mut graph, x, &shape);
        let mut steps = Vec::new();
        for _ in 0..1 + below(&mut random, 5) {
            let op = if below(&mut random, 2) == 0 {
                shape = other_shape(&mut random, &shape);
                expected = expected.to_shape(IxDyn(&shape)).unwrap().into_owned();
                Op::Reshape
            } else {
                let mut perm: Vec<usize> = (0..shape.len()).collect();
                for i in (1..perm.len()).rev() {
                    perm.swap(i, below(&mut random, i + 1));
                }
                shape = perm.iter().map(|&axis| shape[axis]).collect();
                let moved = expected.permuted_axes(IxDyn(&perm));
                expected = moved.as_standard_layout().into_owned();
                Op::Transpose { perm }
            };
            steps.push(format!("{op:?} {shape:?}"));
            value = node(&mut graph, op, value, &shape);
        }
        graph.outputs.push(value);
        graph.output_names.push("y".into());
        let found = run(&graph, &input);
        assert!(found.iter().eq(&expected), "chain {chain}: {steps:?}");
    }
}

#[test]
fn axes_that_hold_the_same_elements_are_found() {
    let plain = |from: &[usize], to: &[usize]| groups(from, to);
    assert_eq!(
        plain(&[2, 3, 4], &[2, 12]),
        [(vec![0], vec![0]), (vec![1, 2], vec![1])]
    );
    assert_eq!(
        plain(&[1, 6, 1, 5], &[2, 3, 1, 5]),
        [(vec![1], vec![0, 1]), (vec![3], vec![3])]
    );
    assert_eq!(plain(&[4, 6], &[6, 4]), [(vec![0, 1], vec![0, 1])]);
    assert_eq!(plain(&[1, 1], &[]), []);
}
