//! Values that are another value under a second name: the same operation on the same inputs, moves
//! that undo each other, integers that were dequantised and quantised again.

use std::collections::HashMap;

use niwaki::numerics::quantize_to;

use super::super::is_quantized;
use super::{Renamed, Report};
use crate::graph::{Constant, DataType, Graph, Op, Quantization, ValueId};

/// Indices of a Take up to which two of them are compared: a table of a million entries does not
/// come twice.
const TAKEN: usize = 4096;

/// Scales along an axis up to which every integer of every scale is tried.
const SCALES: usize = 256;

/// An operation and its inputs, to find another one like it: the operation as text, which says all
/// of its attributes to the bit, and the output's shape.
type Key = (String, Vec<ValueId>, Vec<usize>);

/// One walk in execution order: what a node reads is simplified before the node.
pub(super) fn simplify(graph: &mut Graph, report: &mut Report) {
    let quantized = is_quantized(graph);
    let producers = graph.producers();
    let mut renamed = Renamed::new(graph);
    unite_constants(graph, &mut renamed);
    let mut known: HashMap<Key, ValueId> = HashMap::new();
    for index in 0..graph.nodes.len() {
        renamed.apply(&mut graph.nodes[index].inputs);
        let output = graph.nodes[index].output;
        if merge_moves(graph, &producers, index) {
            report.moves += 1;
        }
        let node = &graph.nodes[index];
        if is_identity(graph, index) {
            renamed.rename(output, node.inputs[0]);
            report.moves += 1;
            continue;
        }
        if let Some(integers) = requantized(graph, &producers, index) {
            renamed.rename(output, integers);
            report.requantized += 1;
            continue;
        }
        if !is_comparable(&node.op, quantized) {
            continue;
        }
        let key = (
            format!("{:?}", node.op),
            node.inputs.clone(),
            graph.shape(output).to_vec(),
        );
        match known.get(&key) {
            Some(&first) => {
                renamed.rename(output, first);
                report.common += 1;
            }
            None => {
                known.insert(key, output);
            }
        }
    }
    renamed.apply(&mut graph.outputs);
}

/// Whether two of these operations may become one. In a quantised graph, products and sums stay
/// apart: whether they are done in integers may depend on who else reads them.
fn is_comparable(op: &Op, quantized: bool) -> bool {
    match op {
        Op::Take { indices, .. } => indices.len() <= TAKEN,
        Op::Conv { .. } | Op::MatMul { .. } | Op::Add | Op::Mul => !quantized,
        _ => true,
    }
}

/// Lets readers of equal constants read one of them.
fn unite_constants(graph: &Graph, renamed: &mut Renamed) {
    let mut known: HashMap<(u64, usize), Vec<ValueId>> = HashMap::new();
    for (id, value) in graph.values.iter().enumerate() {
        let Some(constant) = &value.constant else {
            continue;
        };
        let bytes = constant.to_bytes();
        let digest = niwaki::Digest::of(niwaki::artifact::DataType::U8, &bytes).0;
        let alike = known.entry((digest, bytes.len())).or_default();
        let same = |other: &&ValueId| {
            let other = graph.constant(**other);
            other.is_some_and(|other| is_same(constant, &bytes, other))
        };
        match alike.iter().find(same) {
            Some(&first) => renamed.rename(id, first),
            None => alike.push(id),
        }
    }
}

fn is_same(constant: &Constant, bytes: &[u8], other: &Constant) -> bool {
    other.dtype() == constant.dtype()
        && other.shape() == constant.shape()
        && other.to_bytes() == bytes
}

/// Lets a Reshape of a Reshape, and a Transpose of a Transpose, read what the first one read.
fn merge_moves(graph: &mut Graph, producers: &[Option<usize>], index: usize) -> bool {
    let Some(inner) = producers[graph.nodes[index].inputs[0]] else {
        return false;
    };
    let merged = match (&graph.nodes[index].op, &graph.nodes[inner].op) {
        (Op::Reshape, Op::Reshape) => Op::Reshape,
        (Op::Transpose { perm }, Op::Transpose { perm: first }) => Op::Transpose {
            perm: perm.iter().map(|&axis| first[axis]).collect(),
        },
        _ => return false,
    };
    // The inner node has been merged with the one before it: no longer chain is left.
    let source = graph.nodes[inner].inputs[0];
    let node = &mut graph.nodes[index];
    node.op = merged;
    node.inputs = vec![source];
    true
}

/// Whether a move gives its input as it is.
fn is_identity(graph: &Graph, index: usize) -> bool {
    let node = &graph.nodes[index];
    let same_shape = graph.shape(node.inputs[0]) == graph.shape(node.output);
    match &node.op {
        Op::Transpose { perm } => perm.iter().copied().eq(0..perm.len()),
        Op::Concat { .. } => node.inputs.len() == 1,
        // An axis of its whole length, from its first element on.
        Op::Slice { steps, .. } => same_shape && steps.iter().all(|&step| step > 0),
        // Negative amounts have become slices.
        Op::Reshape | Op::Expand | Op::Pad { .. } => same_shape,
        _ => false,
    }
}

/// The integers that a QuantizeLinear gives back: those of a DequantizeLinear of the same scale
/// and zero point.
fn requantized(graph: &Graph, producers: &[Option<usize>], index: usize) -> Option<ValueId> {
    let node = &graph.nodes[index];
    let Op::Quantize(to) = &node.op else {
        return None;
    };
    let inner = &graph.nodes[producers[node.inputs[0]]?];
    let Op::Dequantize(from) = &inner.op else {
        return None;
    };
    (from == to && comes_back(to)).then_some(inner.inputs[0])
}

/// Whether each integer of the type comes back from its float: not where the scale is so large
/// that the float is infinite, or so small that it has few digits. All are tried.
fn comes_back(q: &Quantization) -> bool {
    let (low, high) = match q.dtype {
        DataType::I8 => (-128, 127),
        DataType::U8 => (0, 255),
        DataType::I16 => (-32768, 32767),
        DataType::U16 => (0, 65535),
        _ => return false,
    };
    q.scale.len() <= SCALES
        && q.scale.iter().zip(&q.zero_point).all(|(&scale, &zero)| {
            (low..=high).all(|integer| {
                let float = (integer - zero) as f32 * scale;
                quantize_to(float / scale, zero, low, high) == integer
            })
        })
}
