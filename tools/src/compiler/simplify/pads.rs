//! Pad before a convolution or pool, which pads by itself for nothing: no copy of the image, and no
//! room for it.

use super::super::is_quantized;
use super::Report;
use crate::graph::{Constant, Graph, Op, Quantization, ValueId, WindowAttributes};

/// Pairs of QuantizeLinear and DequantizeLinear between padding and window that are looked through.
const PAIRS: usize = 4;

/// One walk over the windows.
pub(super) fn fold(graph: &mut Graph, report: &mut Report) {
    let producers = graph.producers();
    let uses = graph.use_counts();
    let quantized = is_quantized(graph);
    for index in 0..graph.nodes.len() {
        let Some(padding) = window_padding(graph, index) else {
            continue;
        };
        let Some(found) = find_pad(graph, &producers, &uses, index) else {
            continue;
        };
        let exact = stands_for(graph, found.pad, padding)
            && (found.through.is_empty() || reads_integers(graph, &producers, found.pad))
            && (quantized || weights_are_tame(graph, index));
        if exact && take_in(graph, index, found.pad) {
            remove_pad(graph, index, &found);
            report.pads += 1;
        }
    }
}

/// The value that a window reads in its own padding; `None` for other operations, and for a pool
/// that leaves its padding out.
fn window_padding(graph: &Graph, index: usize) -> Option<f64> {
    match &graph.nodes[index].op {
        Op::Conv { .. } => Some(0.0),
        Op::AveragePool {
            window,
            count_include_pad,
        } => (*count_include_pad || is_unpadded(window)).then_some(0.0),
        Op::MaxPool(_) => Some(f64::NEG_INFINITY),
        _ => None,
    }
}

fn is_unpadded(window: &WindowAttributes) -> bool {
    let mut pads = window.pads_begin.iter().chain(&window.pads_end);
    pads.all(|&pad| pad == 0)
}

/// A Pad before a window.
struct Found {
    /// The node.
    pad: usize,
    /// The nodes between it and the window, from the pad on.
    through: Vec<usize>,
}

/// The Pad that gives the window's input, also through a QuantizeLinear and DequantizeLinear of one
/// scale, which keep a zero. Nobody else may read what lies between.
fn find_pad(
    graph: &Graph,
    producers: &[Option<usize>],
    uses: &[usize],
    index: usize,
) -> Option<Found> {
    let sole = |id: ValueId| producers[id].filter(|_| uses[id] == 1);
    let mut through = Vec::new();
    let mut id = graph.nodes[index].inputs[0];
    for _ in 0..=PAIRS {
        let above = sole(id)?;
        match &graph.nodes[above].op {
            Op::Pad { .. } => {
                through.reverse();
                return Some(Found {
                    pad: above,
                    through,
                });
            }
            Op::Dequantize(from) => {
                let quantize = sole(graph.nodes[above].inputs[0])?;
                let Op::Quantize(to) = &graph.nodes[quantize].op else {
                    return None;
                };
                if to != from || !is_plain(to) {
                    return None;
                }
                through.extend([above, quantize]);
                id = graph.nodes[quantize].inputs[0];
            }
            _ => return None,
        }
    }
    None
}

/// One scale, and a zero point that is one of the type's integers: then a zero stays a zero.
fn is_plain(q: &Quantization) -> bool {
    let in_range = |(_, zero): (f32, i32)| (-128..=127).contains(&zero);
    q.as_int8().is_some_and(in_range)
}

/// Whether the padding is that value, in the two spatial axes at the end alone.
fn stands_for(graph: &Graph, pad: usize, padding: f64) -> bool {
    let Op::Pad {
        before,
        after,
        value,
    } = &graph.nodes[pad].op
    else {
        return false;
    };
    let outer = before.iter().take(2).chain(after.iter().take(2));
    *value == padding && before.len() > 2 && outer.copied().all(|amount| amount == 0)
}

/// Whether the Pad reads what is an input of the model or comes from integers: then a
/// QuantizeLinear that comes before it instead of behind it gives the same integers, and nothing
/// is done in other arithmetic.
fn reads_integers(graph: &Graph, producers: &[Option<usize>], pad: usize) -> bool {
    let source = producers[graph.nodes[pad].inputs[0]];
    source.is_none_or(|source| matches!(graph.nodes[source].op, Op::Dequantize(_)))
}

/// Whether a float convolution gives the same bits when it leaves the padding out: products of a
/// zero are zeros for finite weights, and to add a zero changes no sum but -0.
fn weights_are_tame(graph: &Graph, index: usize) -> bool {
    let node = &graph.nodes[index];
    if !matches!(node.op, Op::Conv { .. }) {
        return true;
    }
    let floats = |id: &ValueId| match graph.constant(*id) {
        Some(Constant::F32(floats)) => Some(floats),
        _ => None,
    };
    let weights = node.inputs.get(1).and_then(floats);
    let finite = weights.is_some_and(|w| w.iter().all(|v| v.is_finite()));
    let negative_zero = (-0.0f32).to_bits();
    let bias = match node.inputs.get(2) {
        None => true,
        Some(id) => floats(id).is_some_and(|b| b.iter().all(|v| v.to_bits() != negative_zero)),
    };
    finite && bias
}

/// Adds the padding to that of the window. False, and nothing is changed, where the window would
/// then lie in padding alone somewhere, or would not give the same number of outputs.
fn take_in(graph: &mut Graph, index: usize, pad: usize) -> bool {
    let Op::Pad { before, after, .. } = &graph.nodes[pad].op else {
        return false;
    };
    let (before, after) = (before[2..].to_vec(), after[2..].to_vec());
    let input = graph.shape(graph.nodes[pad].inputs[0])[2..].to_vec();
    let output = graph.shape(graph.nodes[index].output)[2..].to_vec();
    let (Op::Conv { window, .. } | Op::AveragePool { window, .. } | Op::MaxPool(window)) =
        &mut graph.nodes[index].op
    else {
        return false;
    };
    let mut wider = window.clone();
    for axis in 0..before.len() {
        wider.pads_begin[axis] += before[axis];
        wider.pads_end[axis] += after[axis];
        let reach = (wider.kernel[axis] - 1) * wider.dilations[axis] + 1;
        let (begin, end) = (wider.pads_begin[axis], wider.pads_end[axis]);
        let steps = (begin + input[axis] + end).checked_sub(reach);
        let outputs = steps.map(|steps| steps / wider.strides[axis] + 1);
        if begin >= reach || end >= reach || outputs != Some(output[axis]) {
            return false;
        }
    }
    *window = wider;
    if let Op::AveragePool {
        count_include_pad, ..
    } = &mut graph.nodes[index].op
    {
        *count_include_pad = true;
    }
    true
}

/// Lets what has read the Pad read what the Pad has read.
fn remove_pad(graph: &mut Graph, index: usize, found: &Found) {
    let source = graph.nodes[found.pad].inputs[0];
    let first = found.through.first().copied().unwrap_or(index);
    graph.nodes[first].inputs[0] = source;
    let shape = graph.shape(source).to_vec();
    for &node in &found.through {
        let output = graph.nodes[node].output;
        graph.values[output].shape.clone_from(&shape);
    }
}
