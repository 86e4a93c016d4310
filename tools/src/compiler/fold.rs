//! What can be computed at compile time: constants, and per-channel products and sums that a
//! convolution or matrix product before them takes in.

use ndarray::{ArrayD, Axis, IxDyn};
use niwaki::{Model, Session};

use super::{emit, plan, select};
use crate::graph::{Constant, DataType, Graph, Node, Op, ValueId};
use crate::map_array;

/// The result of an operation whose inputs are all constant; `None` where one is not, or where
/// the operation has to stay. Dequantised weights stay as they are: their integers and scales are
/// needed later.
///
/// Everything but changes of shape is computed by the runtime itself, so that a constant has the
/// bits that a run would give.
pub fn evaluate(
    graph: &Graph,
    op: &Op,
    inputs: &[ValueId],
    dtype: DataType,
    shape: &[usize],
) -> Option<Constant> {
    let constants: Vec<&Constant> = inputs
        .iter()
        .map(|&id| graph.constant(id))
        .collect::<Option<_>>()?;
    let first = *constants.first()?;
    match op {
        Op::Reshape => Some(map_array!(first, a => {
            let values: Vec<_> = a.iter().copied().collect();
            ArrayD::from_shape_vec(IxDyn(shape), values).ok()?
        })),
        Op::Transpose { perm } => Some(
            map_array!(first, a => a.clone().permuted_axes(IxDyn(perm)).as_standard_layout().into_owned()),
        ),
        Op::Dequantize(_) => None,
        _ => compute(&constants, op, dtype, shape),
    }
}

/// Compiles a graph of this one operation, with the constants as inputs, and runs it. `None` where
/// the operation needs some of them as constants (weights), or has no implementation: then it is
/// left to whoever compiles the whole model to say so.
fn compute(constants: &[&Constant], op: &Op, dtype: DataType, shape: &[usize]) -> Option<Constant> {
    let mut graph = Graph::default();
    for (i, constant) in constants.iter().enumerate() {
        let id = graph.add_value(i.to_string(), constant.dtype(), constant.shape().to_vec());
        graph.inputs.push(id);
    }
    let output = graph.add_value("output", dtype, shape.to_vec());
    graph.nodes.push(Node {
        name: String::new(),
        op: op.clone(),
        inputs: graph.inputs.clone(),
        output,
    });
    graph.outputs.push(output);
    graph.output_names.push(String::new());
    let selected = select::select(&graph).ok()?;
    let ports = |ports: &[(usize, String)]| -> Vec<usize> {
        ports.iter().map(|(tensor, _)| *tensor).collect()
    };
    let plan = plan::plan(
        &selected.builder,
        &ports(&selected.inputs),
        &ports(&selected.outputs),
    );
    let artifact = emit::serialise(&selected, &plan, &emit::Extras::default(), &[]).ok()?;
    let model: Model<'_> = Model::new(niwaki::as_bytes(&artifact)).ok()?;
    let mut arena = vec![0u32; model.arena_bytes().div_ceil(4)];
    let mut session = Session::new(&model, niwaki::as_bytes_mut(&mut arena)).ok()?;
    for (i, constant) in constants.iter().enumerate() {
        session
            .input_mut(i)
            .ok()?
            .copy_from_slice(&constant.to_bytes());
    }
    session.run().ok()?;
    Constant::from_bytes(dtype, shape, session.output(0).ok()?).ok()
}

/// Folds products and sums with per-channel constants into the convolution or matrix product
/// that they follow: batch normalisation, biases that exporters write as Add. Returns how many.
pub fn fold_affine(graph: &mut Graph) -> usize {
    let mut folded = 0;
    while let Some(fold) = find_affine(graph) {
        apply_affine(graph, fold);
        folded += 1;
    }
    graph.remove_dead_nodes();
    folded
}

/// A sum or product to be folded.
struct Affine {
    /// The node that goes away.
    node: usize,
    /// Its input that stays.
    input: ValueId,
    /// The convolution or matrix product.
    base: usize,
    /// One constant for each output channel.
    values: Vec<f32>,
}

fn find_affine(graph: &Graph) -> Option<Affine> {
    let producers = graph.producers();
    let uses = graph.use_counts();
    for (index, node) in graph.nodes.iter().enumerate() {
        if !matches!(node.op, Op::Add | Op::Mul) {
            continue;
        }
        for (input, constant) in [(0, 1), (1, 0)] {
            let (input, constant) = (node.inputs[input], node.inputs[constant]);
            let Some(constant) = graph.constant_f32(constant) else {
                continue;
            };
            if graph.shape(input) != graph.shape(node.output) {
                continue;
            }
            let Some(base) = find_base(graph, &producers, &uses, input) else {
                continue;
            };
            let base_node = &graph.nodes[base];
            let channel_axis = match base_node.op {
                Op::Conv { .. } => 1,
                _ => graph.shape(base_node.output).len() - 1,
            };
            let base_shape = graph.shape(base_node.output);
            if let Some(values) =
                per_channel(constant, graph.shape(input), base_shape, channel_axis)
            {
                return Some(Affine {
                    node: index,
                    input,
                    base,
                    values,
                });
            }
        }
    }
    None
}

/// The convolution or matrix product with constant float weights that computes `id`, through
/// changes of shape, when nothing else uses what lies between.
fn find_base(
    graph: &Graph,
    producers: &[Option<usize>],
    uses: &[usize],
    mut id: ValueId,
) -> Option<usize> {
    loop {
        if uses[id] != 1 {
            return None;
        }
        let index = producers[id]?;
        let node = &graph.nodes[index];
        match node.op {
            Op::Reshape => id = node.inputs[0],
            Op::Conv { .. } | Op::MatMul { .. } => {
                let constant = node.inputs[1..]
                    .iter()
                    .all(|&input| graph.constant_f32(input).is_some());
                return constant.then_some(index);
            }
            _ => return None,
        }
    }
}

/// The constant as one value for each index of `axis` of `base_shape`, if it varies along no
/// other axis.
fn per_channel(
    constant: &ArrayD<f32>,
    shape: &[usize],
    base_shape: &[usize],
    axis: usize,
) -> Option<Vec<f32>> {
    let full: Vec<f32> = constant.broadcast(IxDyn(shape))?.iter().copied().collect();
    let full = ArrayD::from_shape_vec(IxDyn(base_shape), full).ok()?;
    full.axis_iter(Axis(axis))
        .map(|channel| {
            let first = *channel.iter().next()?;
            channel
                .iter()
                .all(|v| v.to_bits() == first.to_bits())
                .then_some(first)
        })
        .collect()
}

fn apply_affine(graph: &mut Graph, fold: Affine) {
    let Affine {
        node,
        input,
        base,
        values,
    } = fold;
    let output_axis = match graph.nodes[base].op {
        Op::MatMul { transposed: false } => 1,
        _ => 0,
    };
    let product = matches!(graph.nodes[node].op, Op::Mul);
    let base_inputs = graph.nodes[base].inputs.clone();
    let mut bias = match base_inputs.get(2).and_then(|&id| graph.constant_f32(id)) {
        Some(bias) => bias.iter().copied().collect(),
        None => vec![0.0; values.len()],
    };
    if product && let Some(weights) = graph.constant_f32(base_inputs[1]) {
        let mut weights = weights.clone();
        for (mut channel, factor) in weights.axis_iter_mut(Axis(output_axis)).zip(&values) {
            channel.mapv_inplace(|w| w * factor);
        }
        let name = format!("{}.folded", graph.values[base_inputs[1]].name);
        graph.nodes[base].inputs[1] = graph.add_constant(name, Constant::F32(weights));
        bias.iter_mut()
            .zip(&values)
            .for_each(|(b, factor)| *b *= factor);
    } else {
        bias.iter_mut().zip(&values).for_each(|(b, v)| *b += v);
    }
    let name = format!("{}.bias", graph.values[graph.nodes[base].output].name);
    let bias = graph.add_constant(name, Constant::F32(ndarray::arr1(&bias).into_dyn()));
    graph.nodes[base].inputs.truncate(2);
    graph.nodes[base].inputs.push(bias);
    let output = graph.nodes[node].output;
    // The value keeps the name that the model gives to the result.
    graph.values[input].name = graph.values[output].name.clone();
    for reader in &mut graph.nodes {
        for id in &mut reader.inputs {
            if *id == output {
                *id = input;
            }
        }
    }
    for id in &mut graph.outputs {
        if *id == output {
            *id = input;
        }
    }
    graph.nodes.remove(node);
}
