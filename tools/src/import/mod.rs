//! ONNX in: protobuf types into a [`Graph`] with known shapes and folded constants.

mod attributes;
mod operators;
mod tensors;

use std::collections::HashMap;
use std::path::Path;

use anyhow::{Context as _, Result, bail, ensure};
use prost::Message as _;
use tract_onnx::pb::{
    self, tensor_shape_proto::dimension::Value as Dim, type_proto::Value as Kind,
};

use crate::compiler::fold;
use crate::graph::{Constant, Graph, Node, Op, ValueId};
pub use operators::supported;
pub use tensors::constant_from_bytes;
use tensors::constant_from_proto;

/// What `--dim NAME=N` gives: sizes of symbolic dimensions.
pub type Dimensions = HashMap<String, usize>;

/// An ONNX model and what its file was.
#[derive(Clone, Debug)]
pub struct Imported {
    /// The graph.
    pub graph: Graph,
    /// SHA-256 of the file, hexadecimal.
    pub sha256: String,
    /// What the file says made it.
    pub producer: String,
    /// Version of the default operator set.
    pub opset: i64,
}

/// Operator sets that are supported: the conformance cases of `tests/conformance.txt` cover them.
const OPSETS: std::ops::RangeInclusive<i64> = 6..=25;

/// Reads an ONNX file.
///
/// # Errors
///
/// Names the file and the node, operator, attribute or dimension that is not supported, and what
/// would be accepted.
pub fn import(path: &Path, dimensions: &Dimensions) -> Result<Imported> {
    let bytes = std::fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
    import_bytes(&bytes, dimensions, &HashMap::new())
        .with_context(|| format!("cannot import {}", path.display()))
}

/// Names of the inputs of an ONNX model that have no value in it, in its order.
///
/// # Errors
///
/// When the bytes are no ONNX model.
pub fn input_names(bytes: &[u8]) -> Result<Vec<String>> {
    let graph = pb::ModelProto::decode(bytes)?.graph;
    let graph = graph.context("the model has no graph")?;
    let given: Vec<&str> = graph.initializer.iter().map(|t| t.name.as_str()).collect();
    let names = graph.input.iter().map(|input| input.name.clone());
    Ok(names
        .filter(|name| !given.contains(&name.as_str()))
        .collect())
}

/// Reads an ONNX model. Inputs named in `constants` are taken as constants.
///
/// # Errors
///
/// As [`import`], without the file.
pub fn import_bytes(
    bytes: &[u8],
    dimensions: &Dimensions,
    constants: &HashMap<String, Constant>,
) -> Result<Imported> {
    let model = pb::ModelProto::decode(bytes).ok();
    let model = model.filter(|model| model.graph.is_some()).context(
        "it is not an ONNX model: export one, for instance with torch.onnx.export or tf2onnx",
    )?;
    let opset = model
        .opset_import
        .iter()
        .find(|set| set.domain.is_empty() || set.domain == "ai.onnx")
        .map_or(1, |set| set.version);
    let producer = format!("{} {}", model.producer_name, model.producer_version);
    Ok(Imported {
        graph: import_model(&model, opset, dimensions, constants)?,
        sha256: hex(&hmac_sha256::Hash::hash(bytes)),
        producer: producer.trim().to_owned(),
        opset,
    })
}

/// Bytes in hexadecimal.
fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The state of an import: the graph so far, and which value each ONNX name stands for.
struct Importer {
    graph: Graph,
    names: HashMap<String, ValueId>,
}

fn import_model(
    model: &pb::ModelProto,
    opset: i64,
    dimensions: &Dimensions,
    constants: &HashMap<String, Constant>,
) -> Result<Graph> {
    let source = model.graph.as_ref().context("the model has no graph")?;
    ensure!(
        OPSETS.contains(&opset),
        "operator set {opset} is not supported, {} to {} are: convert the model with onnx.version_converter",
        OPSETS.start(),
        OPSETS.end()
    );
    let mut importer = Importer {
        graph: Graph::default(),
        names: HashMap::new(),
    };
    ensure!(
        source.sparse_initializer.is_empty(),
        "sparse initializers are not supported: export dense ones"
    );
    for tensor in &source.initializer {
        let constant = constant_from_proto(tensor)
            .with_context(|| format!("initializer `{}`", tensor.name))?;
        let id = importer.graph.add_constant(&tensor.name, constant);
        importer.names.insert(tensor.name.clone(), id);
    }
    for (name, constant) in constants {
        let id = importer.graph.add_constant(name, constant.clone());
        importer.names.insert(name.clone(), id);
    }
    for input in &source.input {
        if !importer.names.contains_key(&input.name) {
            importer.add_input(input, dimensions)?;
        }
    }
    for (index, node) in source.node.iter().enumerate() {
        let name = if node.name.is_empty() {
            format!("node {index}")
        } else {
            format!("node `{}`", node.name)
        };
        importer.add_node(node, opset).with_context(|| {
            format!("{name}, operator {} of operator set {opset}", node.op_type)
        })?;
    }
    for output in &source.output {
        let id = *importer
            .names
            .get(&output.name)
            .with_context(|| format!("output `{}` is computed by no node", output.name))?;
        importer.graph.outputs.push(id);
        importer.graph.output_names.push(output.name.clone());
    }
    ensure!(
        !importer.graph.outputs.is_empty(),
        "the model has no output"
    );
    importer.graph.remove_dead_nodes();
    Ok(importer.graph)
}

impl Importer {
    fn add_input(&mut self, input: &pb::ValueInfoProto, dimensions: &Dimensions) -> Result<()> {
        let place = || format!("input `{}`", input.name);
        let Some(Kind::TensorType(tensor)) = input.r#type.as_ref().and_then(|t| t.value.as_ref())
        else {
            bail!(
                "{}: only tensors are supported, not sequences or maps",
                place()
            );
        };
        let dtype = tensors::data_type(tensor.elem_type).with_context(place)?;
        let shape = tensor
            .shape
            .as_ref()
            .with_context(|| format!("{}: it has no shape", place()))?;
        let mut dims = Vec::new();
        for (axis, dim) in shape.dim.iter().enumerate() {
            dims.push(resolve_dimension(axis, dim.value.as_ref(), dimensions).with_context(place)?);
        }
        let id = self.graph.add_value(&input.name, dtype, dims);
        self.names.insert(input.name.clone(), id);
        self.graph.inputs.push(id);
        Ok(())
    }

    fn add_node(&mut self, node: &pb::NodeProto, opset: i64) -> Result<()> {
        ensure!(
            node.domain.is_empty() || node.domain == "ai.onnx",
            "operators of domain `{}` are not supported, those of ai.onnx are",
            node.domain
        );
        let mut inputs = Vec::new();
        for name in &node.input {
            inputs.push(match self.names.get(name) {
                Some(&id) => Some(id),
                None if name.is_empty() => None,
                None => bail!("input `{name}` is computed by no node before it"),
            });
        }
        while inputs.last() == Some(&None) {
            inputs.pop();
        }
        ensure!(
            node.output.iter().any(|name| !name.is_empty()),
            "it has no output"
        );
        let output = node.output[0].as_str();
        let name = if node.name.is_empty() {
            node.output.iter().find(|name| !name.is_empty())
        } else {
            Some(&node.name)
        };
        let outputs = operators::import(&mut Context {
            graph: &mut self.graph,
            node,
            name: name.map_or("", String::as_str),
            output,
            opset,
            inputs,
        })?;
        for (i, name) in node.output.iter().enumerate() {
            if name.is_empty() {
                continue;
            }
            let id = *outputs.get(i).with_context(|| {
                format!(
                    "output {i}, `{name}`, is not supported: only the first {} are",
                    outputs.len()
                )
            })?;
            self.names.insert(name.clone(), id);
        }
        Ok(())
    }
}

fn resolve_dimension(axis: usize, dim: Option<&Dim>, dimensions: &Dimensions) -> Result<usize> {
    let size = match dim {
        Some(Dim::DimValue(size)) if *size > 0 => usize::try_from(*size)?,
        Some(Dim::DimParam(name)) if dimensions.contains_key(name) => dimensions[name],
        // The first axis is the batch: one sample at a time.
        _ if axis == 0 => 1,
        Some(Dim::DimParam(name)) => bail!(
            "dimension {axis} is `{name}`: shapes have to be known, give its size with --dim {name}=N"
        ),
        _ => bail!("dimension {axis} is not known: export the model with a fixed size there"),
    };
    ensure!(size > 0, "dimension {axis} is 0: it has to be at least 1");
    Ok(size)
}

/// One ONNX node on its way into the graph.
struct Context<'a> {
    graph: &'a mut Graph,
    node: &'a pb::NodeProto,
    name: &'a str,
    /// Name of output 0; empty when it is left out.
    output: &'a str,
    opset: i64,
    /// Inputs; `None` where an optional one is left out.
    inputs: Vec<Option<ValueId>>,
}

impl Context<'_> {
    /// Input `i`, which has to be there.
    fn input(&self, i: usize) -> Result<ValueId> {
        let id = self.inputs.get(i).copied().flatten();
        id.with_context(|| format!("input {i} is missing"))
    }

    /// Input `i`, or `None` when it is left out.
    fn optional_input(&self, i: usize) -> Option<ValueId> {
        self.inputs.get(i).copied().flatten()
    }

    /// The name of output `i`; one made from the node's name when it is left out.
    fn output_name(&self, i: usize) -> String {
        match self.node.output.get(i) {
            Some(name) if !name.is_empty() => name.clone(),
            _ => format!("{}.{i}", self.name),
        }
    }

    /// The dimensions of input `i`.
    fn shape(&self, i: usize) -> Result<Vec<usize>> {
        Ok(self.graph.shape(self.input(i)?).to_vec())
    }

    /// The integers of input `i`, which has to be constant; `None` when it is left out.
    fn integers(&self, i: usize, what: &str) -> Result<Option<Vec<i64>>> {
        let Some(id) = self.optional_input(i) else {
            return Ok(None);
        };
        let constant = self.graph.constant(id).with_context(|| {
            format!(
                "its {what} (input {i}, `{}`) is computed at run time; a constant is accepted",
                self.graph.values[id].name
            )
        })?;
        let integers = constant.to_i64();
        Ok(Some(integers.with_context(|| {
            format!("its {what} (input {i}) has to be of integers")
        })?))
    }

    /// Adds the node's operation and returns its output.
    fn emit(&mut self, op: Op, inputs: Vec<ValueId>, shape: Vec<usize>) -> Result<ValueId> {
        let name = self.output.to_owned();
        self.emit_named(&name, op, inputs, shape)
    }

    /// Adds an operation whose output has a name of its own.
    fn emit_named(
        &mut self,
        output: &str,
        op: Op,
        inputs: Vec<ValueId>,
        shape: Vec<usize>,
    ) -> Result<ValueId> {
        ensure!(
            shape.len() <= niwaki::MAX_RANK,
            "its output has {} dimensions; {} are supported",
            shape.len(),
            niwaki::MAX_RANK
        );
        let dtype = op.output_type(self.graph.values[inputs[0]].dtype);
        let constant = if shape.contains(&0) {
            // Nothing to compute. The runtime has no empty tensors: they live in the graph only.
            Some(Constant::from_bytes(dtype, &shape, &[])?)
        } else {
            fold::evaluate(self.graph, &op, &inputs, dtype, &shape)
        };
        if let Some(constant) = constant {
            return Ok(self.graph.add_constant(output, constant));
        }
        let id = self.graph.add_value(output, dtype, shape);
        self.graph.nodes.push(Node {
            name: self.name.to_owned(),
            op,
            inputs,
            output: id,
        });
        Ok(id)
    }
}
