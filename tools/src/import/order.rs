//! The order of an ONNX graph's nodes: each behind those that it needs, as ONNX demands and not
//! every exporter keeps.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap};

use anyhow::{Result, ensure};
use tract_onnx::pb;

use super::branches::captured;

/// Nodes that a model may have; an artifact has room for 65,535 tensors.
const MAX_NODES: usize = 200_000;

/// Indices of the nodes in an order of execution, that of the file where it is one. `known` are
/// the names that have a value before the first node.
///
/// # Errors
///
/// Names the node that reads what nothing computes, that computes what another one has, or that
/// needs its own result.
pub(super) fn execution_order(
    nodes: &[pb::NodeProto],
    known: impl Fn(&str) -> bool,
) -> Result<Vec<usize>> {
    ensure!(
        nodes.len() <= MAX_NODES,
        "the model has {} nodes; {MAX_NODES} are supported",
        nodes.len()
    );
    let mut producers = HashMap::new();
    for (index, node) in nodes.iter().enumerate() {
        for name in node.output.iter().filter(|name| !name.is_empty()) {
            ensure!(
                !known(name) && producers.insert(name.as_str(), index).is_none(),
                "{}: its output `{name}` is the name of another value too: names have to differ",
                label(node, index)
            );
        }
    }
    let mut missing = vec![0usize; nodes.len()];
    let mut readers = vec![Vec::new(); nodes.len()];
    for (index, node) in nodes.iter().enumerate() {
        for name in node.input.iter().filter(|name| !name.is_empty()) {
            if !producers.contains_key(name.as_str()) {
                ensure!(
                    known(name),
                    "{}: its input `{name}` is computed by no node, and is no input or initializer of the model",
                    label(node, index)
                );
            }
        }
        // What only graphs inside of it read may be missing: they say so when they are taken in.
        let inputs = node.input.iter().map(String::as_str);
        for name in inputs.chain(captured(node)) {
            if let Some(&producer) = producers.get(name) {
                missing[index] += 1;
                readers[producer].push(index);
            }
        }
    }
    let ready = (0..nodes.len()).filter(|&index| missing[index] == 0);
    let mut ready: BinaryHeap<Reverse<usize>> = ready.map(Reverse).collect();
    let mut order = Vec::with_capacity(nodes.len());
    while let Some(Reverse(index)) = ready.pop() {
        order.push(index);
        for &reader in &readers[index] {
            missing[reader] -= 1;
            if missing[reader] == 0 {
                ready.push(Reverse(reader));
            }
        }
    }
    if let Some(start) = missing.iter().position(|&missing| missing > 0) {
        // From a node that waits to one that it waits for, until one comes a second time: that
        // one lies on the cycle.
        let mut seen = vec![false; nodes.len()];
        let mut at = start;
        while !std::mem::replace(&mut seen[at], true) {
            let inputs = nodes[at].input.iter().map(String::as_str);
            let mut waits_for = inputs
                .chain(captured(&nodes[at]))
                .filter_map(|name| producers.get(name).copied());
            at = waits_for.find(|&p| missing[p] > 0).unwrap_or(at);
        }
        anyhow::bail!(
            "{}: it needs its own result: the graph has a cycle, export the model without one",
            label(&nodes[at], at)
        );
    }
    Ok(order)
}

/// What a node is called in messages.
pub(super) fn label(node: &pb::NodeProto, index: usize) -> String {
    if node.name.is_empty() {
        format!("node {index}")
    } else {
        format!("node `{}`", node.name)
    }
}
