//! What can be computed at compile time: constants, and per-channel products and sums that a
//! convolution or matrix product before them takes in.

use std::collections::HashMap;

use anyhow::{Context as _, Result, ensure};
use ndarray::{ArrayD, ArrayViewD, Axis, IxDyn};
use niwaki::{Model, Session};

use super::{emit, plan, select, work};
use crate::graph::{Constant, DataType, Graph, Node, Op, ValueId};
use crate::map_array;

/// Changes of shape and order that are looked through between a product and its bias.
const MOVES: usize = 16;

/// Elements up to which a constant is broadcast to look at it.
const BROADCAST_ELEMENTS: usize = 1 << 24;

/// What the constants of one model may still take, so that no model keeps the compiler at work for
/// hours or takes a machine's memory.
#[derive(Clone, Copy, Debug)]
pub struct Budget {
    /// Elementary steps of computing them, as [`work`] counts.
    steps: u64,
    /// Bytes of those that are computed.
    bytes: usize,
}

impl Budget {
    /// Bytes of one constant that is computed.
    pub const LARGEST_CONSTANT: usize = 1 << 26;

    /// That of a model whose import begins.
    pub fn new() -> Self {
        Self {
            steps: super::GOLDEN_STEPS,
            bytes: 4 * Self::LARGEST_CONSTANT,
        }
    }

    /// Refuses a constant before memory is taken for it.
    ///
    /// # Errors
    ///
    /// When it is larger than [`Budget::LARGEST_CONSTANT`].
    pub fn check(shape: &[usize], element_bytes: usize) -> Result<()> {
        let sizes = shape.iter().chain([&element_bytes]);
        let bytes = sizes.fold(1usize, |n, &size| n.saturating_mul(size));
        ensure!(
            bytes <= Self::LARGEST_CONSTANT,
            "a constant of shape {shape:?} is too large: those that the model computes may have {} bytes, store it as an initializer or compute it from an input",
            Self::LARGEST_CONSTANT
        );
        Ok(())
    }

    /// Charges constants that a node has made.
    ///
    /// # Errors
    ///
    /// When all constants together are too large.
    pub fn charge_bytes(&mut self, bytes: usize) -> Result<()> {
        let left = self.bytes.checked_sub(bytes);
        self.bytes = left.with_context(|| {
            format!(
                "the constants that the model computes exceed {} bytes together here: store them as initializers or compute them from an input",
                4 * Self::LARGEST_CONSTANT
            )
        })?;
        Ok(())
    }

    fn charge_steps(&mut self, steps: u64) -> Result<()> {
        let left = self.steps.checked_sub(steps);
        self.steps = left.with_context(|| {
            format!("its inputs are all constant, and to compute it takes {steps} multiply-accumulates and other steps, too many: store its result as an initializer")
        })?;
        Ok(())
    }
}

impl Default for Budget {
    fn default() -> Self {
        Self::new()
    }
}

/// The result of an operation whose inputs are all constant; `None` where one is not, or where
/// the operation has to stay. Dequantised weights stay as they are: their integers and scales are
/// needed later.
///
/// Everything but changes of shape is computed by the runtime itself, so that a constant has the
/// bits that a run would give.
///
/// # Errors
///
/// When it is beyond the budget.
pub fn evaluate(
    graph: &Graph,
    op: &Op,
    inputs: &[ValueId],
    (dtype, shape): (DataType, &[usize]),
    budget: &mut Budget,
) -> Result<Option<Constant>> {
    let constants: Option<Vec<&Constant>> = inputs.iter().map(|&id| graph.constant(id)).collect();
    let Some((constants, &first)) = constants.as_ref().and_then(|c| Some((c, c.first()?))) else {
        return Ok(None);
    };
    if matches!(op, Op::Dequantize(_)) {
        return Ok(None);
    }
    Budget::check(shape, dtype.stored().bytes())?;
    Ok(match op {
        Op::Reshape => Some(map_array!(first, a => {
            let values: Vec<_> = a.iter().copied().collect();
            ArrayD::from_shape_vec(IxDyn(shape), values)?
        })),
        Op::Transpose { perm } => Some(
            map_array!(first, a => a.clone().permuted_axes(IxDyn(perm)).as_standard_layout().into_owned()),
        ),
        _ => match compiled(constants, op, dtype, shape) {
            Some(artifact) => {
                let model: Model<'_> = Model::new(niwaki::as_bytes(&artifact))?;
                budget.charge_steps(work::of_model(&model))?;
                let bytes = computed(&model, constants);
                bytes.and_then(|bytes| Constant::from_bytes(dtype, shape, &bytes).ok())
            }
            None => None,
        },
    })
}

/// An artifact of this one operation, with the constants as inputs. `None` where the operation
/// needs some of them as constants (weights), or has no implementation: then it is left to whoever
/// compiles the whole model to say so.
fn compiled(
    constants: &[&Constant],
    op: &Op,
    dtype: DataType,
    shape: &[usize],
) -> Option<Vec<u32>> {
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
    let mut selected = select::select(&graph).ok()?;
    let ports = |ports: &[(usize, String)]| -> Vec<usize> {
        ports.iter().map(|(tensor, _)| *tensor).collect()
    };
    let plan = plan::plan(
        &mut selected.builder,
        &ports(&selected.inputs),
        &ports(&selected.outputs),
    );
    let plan = plan.ok()?;
    emit::serialise(&selected, &plan, &emit::Extras::default(), &[]).ok()
}

/// The bytes that a run of the model gives for these inputs.
fn computed(model: &Model<'_>, inputs: &[&Constant]) -> Option<Vec<u8>> {
    let mut arena = vec![0u32; model.arena_bytes().div_ceil(4)];
    let mut session = Session::new(model, niwaki::as_bytes_mut(&mut arena)).ok()?;
    for (i, constant) in inputs.iter().enumerate() {
        let bytes = constant.to_bytes();
        session.input_mut(i).ok()?.copy_from_slice(&bytes);
    }
    session.run().ok()?;
    Some(session.output(0).ok()?.to_vec())
}

/// Folds products and sums with per-channel constants into the convolution or matrix product
/// that they follow: batch normalisation, biases that exporters write as Add. Returns how many.
///
/// One pass in execution order: a fold changes nothing for the nodes before it.
pub fn fold_affine(graph: &mut Graph) -> usize {
    let producers = graph.producers();
    let mut uses = graph.use_counts();
    // What to read instead of the output of a node that is gone.
    let mut replaced: HashMap<ValueId, ValueId> = HashMap::new();
    for index in 0..graph.nodes.len() {
        for id in &mut graph.nodes[index].inputs {
            *id = replaced.get(id).copied().unwrap_or(*id);
        }
        let Some(fold) = affine(graph, &producers, &uses, index) else {
            continue;
        };
        let output = graph.nodes[index].output;
        replaced.insert(output, fold.input);
        uses[fold.input] = uses[output];
        apply_affine(graph, fold);
    }
    for id in &mut graph.outputs {
        *id = replaced.get(id).copied().unwrap_or(*id);
    }
    graph.remove_dead_nodes();
    replaced.len()
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

/// Node `index`, if it can be folded.
fn affine(
    graph: &Graph,
    producers: &[Option<usize>],
    uses: &[usize],
    index: usize,
) -> Option<Affine> {
    let node = &graph.nodes[index];
    if !matches!(node.op, Op::Add | Op::Mul) {
        return None;
    }
    [(0, 1), (1, 0)].into_iter().find_map(|(input, constant)| {
        let (input, constant) = (node.inputs[input], node.inputs[constant]);
        let constant = graph.constant_f32(constant)?;
        if graph.shape(input) != graph.shape(node.output) {
            return None;
        }
        let (base, moves) = find_base(graph, producers, uses, input)?;
        let base_node = &graph.nodes[base];
        let channel_axis = match base_node.op {
            Op::Conv { .. } | Op::ConvTranspose { .. } => 1,
            _ => graph.shape(base_node.output).len() - 1,
        };
        let values = per_channel(graph, constant, input, &moves, channel_axis)?;
        Some(Affine {
            node: index,
            input,
            base,
            values,
        })
    })
}

/// The convolution or matrix product with constant float weights that computes `id`, through
/// changes of shape and order, when nothing else uses what lies between; and the nodes that make
/// these changes, the last one first.
fn find_base(
    graph: &Graph,
    producers: &[Option<usize>],
    uses: &[usize],
    mut id: ValueId,
) -> Option<(usize, Vec<usize>)> {
    let mut moves = Vec::new();
    // Exporters write one or two of them here; a bound keeps the pass linear.
    for _ in 0..MOVES {
        if uses[id] != 1 {
            return None;
        }
        let index = producers[id]?;
        let node = &graph.nodes[index];
        match node.op {
            Op::Reshape | Op::Transpose { .. } => {
                id = node.inputs[0];
                moves.push(index);
            }
            Op::Conv { .. } | Op::ConvTranspose { group: 1, .. } | Op::MatMul { .. } => {
                let constant = node.inputs[1..]
                    .iter()
                    .all(|&input| graph.constant_f32(input).is_some());
                let is_layer = match node.op {
                    Op::MatMul { .. } => graph.shape(node.inputs[1]).len() == 2,
                    _ => true,
                };
                return (constant && is_layer).then_some((index, moves));
            }
            _ => return None,
        }
    }
    None
}

/// Puts clamps in front of the changes of shape and order behind a convolution or matrix product,
/// which then takes them in. Returns how many.
pub fn hoist_clamps(graph: &mut Graph) -> usize {
    let (producers, uses) = (graph.producers(), graph.use_counts());
    let mut count = 0;
    for index in 0..graph.nodes.len() {
        let node = &graph.nodes[index];
        if !matches!(node.op, Op::Clamp { .. }) {
            continue;
        }
        let Some((_, moves)) = find_base(graph, &producers, &uses, node.inputs[0]) else {
            continue;
        };
        count += usize::from(!moves.is_empty());
        let mut clamp = index;
        for moved in moves {
            // Nodes lie in execution order: what is moved is moved before it is clamped.
            let (before, behind) = graph.nodes.split_at_mut(clamp);
            std::mem::swap(&mut before[moved].op, &mut behind[0].op);
            let node = &graph.nodes[moved];
            let (input, output) = (node.inputs[0], node.output);
            graph.values[output].shape = graph.values[input].shape.clone();
            clamp = moved;
        }
    }
    count
}

/// A constant operand of `input` as one value for each index of `axis` of what lies before
/// `moves`, if it varies along no other axis.
fn per_channel(
    graph: &Graph,
    constant: &ArrayD<f32>,
    input: ValueId,
    moves: &[usize],
    axis: usize,
) -> Option<Vec<f32>> {
    let shape = graph.shape(input);
    let base = moves
        .last()
        .map_or(input, |&last| graph.nodes[last].inputs[0]);
    let base_shape = graph.shape(base);
    if let Some(&one) = constant.iter().next().filter(|_| constant.len() == 1) {
        return Some(vec![one; base_shape[axis]]);
    }
    // A constant with fewer elements than its broadcast: room for that is taken only where it
    // is small, so that a hostile shape costs no memory.
    if base_shape.iter().product::<usize>() > BROADCAST_ELEMENTS.max(constant.len()) {
        let plain = moves.is_empty();
        return plain.then(|| per_channel_of_same_shape(constant, shape, axis))?;
    }
    let mut full = constant.broadcast(IxDyn(shape))?.to_owned();
    for &moved in moves {
        let node = &graph.nodes[moved];
        full = match &node.op {
            Op::Transpose { perm } => {
                let mut back = vec![0; perm.len()];
                perm.iter()
                    .enumerate()
                    .for_each(|(to, &from)| back[from] = to);
                full.permuted_axes(IxDyn(&back))
            }
            _ => {
                let values = full.iter().copied().collect();
                ArrayD::from_shape_vec(IxDyn(graph.shape(node.inputs[0])), values).ok()?
            }
        };
    }
    full.axis_iter(Axis(axis)).map(|c| uniform(&c)).collect()
}

/// [`per_channel`] from the elements of the constant alone, where nothing is moved in between.
fn per_channel_of_same_shape(
    constant: &ArrayD<f32>,
    shape: &[usize],
    axis: usize,
) -> Option<Vec<f32>> {
    let missing = shape.len().checked_sub(constant.ndim())?;
    let own = axis.checked_sub(missing);
    match own.map(|own| constant.axis_iter(Axis(own))) {
        Some(channels) if channels.len() == shape[axis] => channels.map(|c| uniform(&c)).collect(),
        _ => Some(vec![uniform(&constant.view())?; shape[axis]]),
    }
}

/// The one value that all elements have, to the bit.
fn uniform(values: &ArrayViewD<'_, f32>) -> Option<f32> {
    let first = *values.iter().next()?;
    let equal = values.iter().all(|v| v.to_bits() == first.to_bits());
    equal.then_some(first)
}

fn apply_affine(graph: &mut Graph, fold: Affine) {
    let Affine {
        node,
        input,
        base,
        values,
    } = fold;
    let output_axis = match graph.nodes[base].op {
        Op::MatMul { transposed: false } | Op::ConvTranspose { .. } => 1,
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
    // The value keeps the name that the model gives to the result.
    let output = graph.nodes[node].output;
    graph.values[input].name = graph.values[output].name.clone();
}
