//! `If`: the branch that is taken is known when compiling, and its nodes come into the graph.

use std::collections::HashSet;

use anyhow::{Context as _, Result, ensure};
use tract_onnx::pb;

use super::Importer;
use crate::graph::ValueId;

/// Graphs that a node has as attributes.
fn graphs(node: &pb::NodeProto) -> impl Iterator<Item = &pb::GraphProto> {
    let attributes = node.attribute.iter();
    attributes.flat_map(|attribute| attribute.g.iter().chain(&attribute.graphs))
}

/// Names that the graphs of a node read from around them.
pub(super) fn captured(node: &pb::NodeProto) -> Vec<&str> {
    let mut names = Vec::new();
    for graph in graphs(node) {
        let inputs = graph.input.iter().map(|input| input.name.as_str());
        let constants = graph.initializer.iter().map(|t| t.name.as_str());
        let outputs = graph.node.iter().flat_map(|node| &node.output);
        let own: HashSet<&str> = inputs
            .chain(constants)
            .chain(outputs.map(String::as_str))
            .collect();
        let read = graph.node.iter().flat_map(|node| {
            let inputs = node.input.iter().map(String::as_str);
            inputs.chain(captured(node))
        });
        let given = graph.output.iter().map(|output| output.name.as_str());
        names.extend(read.chain(given).filter(|name| !own.contains(name)));
    }
    names
}

impl Importer {
    /// Gives a name to a value.
    pub(super) fn bind(&mut self, name: &str, id: ValueId) {
        let before = self.names.insert(name.to_owned(), id);
        if self.depth > 0 {
            self.bound.push((name.to_owned(), before));
        }
    }

    /// Adds the nodes of the branch that an `If` takes.
    pub(super) fn add_if(&mut self, node: &pb::NodeProto, opset: i64) -> Result<()> {
        let branch = self.branch(node)?;
        ensure!(
            branch.input.is_empty() && branch.output.len() == node.output.len(),
            "its branch has {} inputs and {} outputs; none and {} are accepted",
            branch.input.len(),
            branch.output.len(),
            node.output.len()
        );
        let mark = self.bound.len();
        self.depth += 1;
        let outputs = self.add_graph(branch, opset);
        self.depth -= 1;
        // What the branch has named is not seen outside of it.
        for (name, before) in self.bound.split_off(mark).into_iter().rev() {
            match before {
                Some(id) => self.names.insert(name, id),
                None => self.names.remove(&name),
            };
        }
        for (name, id) in node.output.iter().zip(outputs?) {
            self.bind(name, id);
        }
        Ok(())
    }

    /// The branch that an `If` takes.
    fn branch<'n>(&self, node: &'n pb::NodeProto) -> Result<&'n pb::GraphProto> {
        let name = node.input.first().context("its condition is missing")?;
        let id = *self
            .names
            .get(name)
            .with_context(|| format!("its condition `{name}` is computed by no node before it"))?;
        let condition = self.graph.constant(id).with_context(|| {
            format!(
                "its condition `{name}` is computed at run time; one that is known when compiling is accepted: an input that decides it is given with --const NAME=VALUE"
            )
        })?;
        let taken = match condition.to_i64().as_deref() {
            Some([condition]) => *condition != 0,
            _ => anyhow::bail!("its condition `{name}` is not one bool"),
        };
        let wanted = if taken { "then_branch" } else { "else_branch" };
        let attribute = node.attribute.iter().find(|a| a.name == wanted);
        let graph = attribute.and_then(|attribute| attribute.g.as_ref());
        graph.with_context(|| format!("attribute `{wanted}` is missing"))
    }

    /// Adds constants and nodes of a graph; gives its outputs.
    pub(super) fn add_graph(
        &mut self,
        source: &pb::GraphProto,
        opset: i64,
    ) -> Result<Vec<ValueId>> {
        let known = |name: &str| self.names.contains_key(name);
        for tensor in &source.initializer {
            ensure!(
                !known(&tensor.name),
                "initializer `{}` has the name of another value: names have to differ",
                tensor.name
            );
        }
        self.add_initializers(source)?;
        self.add_nodes(&source.node, opset)?;
        self.outputs_of(source)
    }
}
