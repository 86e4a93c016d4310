//! Functions of one element before changes of shape instead of behind them: the function then
//! stands right behind the operation that it may be fused with, and moves behind moves merge.

use crate::graph::{Graph, Op};

/// One walk in execution order, so that a move sinks through a whole chain of functions.
pub(super) fn sink(graph: &mut Graph) {
    let producers = graph.producers();
    let uses = graph.use_counts();
    for index in 0..graph.nodes.len() {
        let node = &graph.nodes[index];
        if !is_of_one_element(&node.op) {
            continue;
        }
        let (moved, output) = (node.inputs[0], node.output);
        let Some(above) = producers[moved].filter(|_| uses[moved] == 1) else {
            continue;
        };
        if !matches!(graph.nodes[above].op, Op::Reshape | Op::Transpose { .. }) {
            continue;
        }
        // The two nodes change their operations; the value between them is now the function's.
        let source = graph.nodes[above].inputs[0];
        let function = std::mem::replace(&mut graph.nodes[index].op, Op::Reshape);
        graph.nodes[index].op = std::mem::replace(&mut graph.nodes[above].op, function);
        let names = [above, index].map(|node| graph.nodes[node].name.clone());
        [graph.nodes[index].name, graph.nodes[above].name] = names;
        let shape = graph.shape(source).to_vec();
        let (dtype, name) = (
            graph.values[output].dtype,
            graph.values[output].name.clone(),
        );
        let between = &mut graph.values[moved];
        between.shape = shape;
        between.dtype = dtype;
        // What is computed keeps the name that the model gives to the result.
        between.name = name;
    }
}

/// Functions whose every element comes from the one element at its place.
fn is_of_one_element(op: &Op) -> bool {
    matches!(
        op,
        Op::Clamp { .. } | Op::Sigmoid | Op::Tanh | Op::Function(_) | Op::Cast(_)
    )
}
