//! ONNX in: protobuf types into a [`Graph`] with known shapes and folded constants.

mod attributes;
mod bindings;
mod branches;
mod external;
mod operators;
mod order;
mod tensors;

use std::collections::{HashMap, HashSet};
use std::path::Path;

use anyhow::{Context as _, Result, bail, ensure};
use prost::Message as _;
use tract_onnx::pb::{
    self, tensor_shape_proto::dimension::Value as Dim, type_proto::Value as Kind,
};

use crate::compiler::fold;
use crate::graph::{Constant, DataType, Graph, Node, Op, Quantization, ValueId};
pub use bindings::Bindings;
pub use operators::{supported, supported_microsoft};
use tensors::constant_from_proto;
pub use tensors::{constant_from_bytes, constant_to_proto};

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

/// Elements of an input that says how to compute: shapes, axes, indices.
const MAX_INTEGERS: usize = 1 << 24;

/// Operator sets that are supported: the conformance cases of `tests/conformance.txt` cover them.
const OPSETS: std::ops::RangeInclusive<i64> = 1..=27;

/// Reads an ONNX file, and the files beside it where its tensors are.
///
/// # Errors
///
/// Names the file and the node, operator, attribute or dimension that is not supported, and what
/// would be accepted.
pub fn import(path: &Path, dimensions: &Dimensions) -> Result<Imported> {
    let bindings = Bindings {
        dimensions: dimensions.clone(),
        ..Bindings::default()
    };
    import_bound(path, &bindings)
}

/// Reads an ONNX file, some inputs of which become constants.
///
/// # Errors
///
/// As [`import`]; names an input that is not there, or a value that does not fit it.
pub fn import_bound(path: &Path, bindings: &Bindings) -> Result<Imported> {
    let bytes = std::fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
    let place = || format!("cannot import {}", path.display());
    let mut model = decode(&bytes).with_context(place)?;
    // The folder of a bare file name is the one that we are in.
    let folder = path.parent().filter(|folder| *folder != Path::new(""));
    external::load(&mut model, folder.unwrap_or(Path::new("."))).with_context(place)?;
    let source = model.graph.as_ref();
    let constants = source.map(|source| bindings.resolve(source)).transpose();
    let constants = constants.with_context(place)?.unwrap_or_default();
    import_decoded(&model, &bytes, &bindings.dimensions, &constants).with_context(place)
}

/// What a model asks for, read without importing it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outline {
    /// Names of the inputs that have no value in it, in its order.
    pub inputs: Vec<String>,
    /// Its operators in its order, those of other domains than ONNX's own with their domain.
    pub operators: Vec<String>,
    /// Version of the default operator set.
    pub opset: i64,
}

/// Looks into an ONNX model.
///
/// # Errors
///
/// When the bytes are no ONNX model.
pub fn outline(bytes: &[u8]) -> Result<Outline> {
    let model = decode(bytes)?;
    let opset = default_opset(&model);
    let graph = model.graph.context("the model has no graph")?;
    let given: HashSet<&str> = graph.initializer.iter().map(|t| t.name.as_str()).collect();
    let inputs = graph.input.iter().map(|input| input.name.clone());
    let operator = |node: &pb::NodeProto| match node.domain.as_str() {
        "" | "ai.onnx" => node.op_type.clone(),
        domain => format!("{domain}.{}", node.op_type),
    };
    Ok(Outline {
        inputs: inputs
            .filter(|name| !given.contains(name.as_str()))
            .collect(),
        operators: graph.node.iter().map(operator).collect(),
        opset,
    })
}

fn decode(bytes: &[u8]) -> Result<pb::ModelProto> {
    let model = pb::ModelProto::decode(bytes).ok();
    model.filter(|model| model.graph.is_some()).context(
        "it is not an ONNX model: export one, for instance with torch.onnx.export or tf2onnx",
    )
}

fn default_opset(model: &pb::ModelProto) -> i64 {
    let sets = &model.opset_import;
    sets.iter()
        .find(|set| set.domain.is_empty() || set.domain == "ai.onnx")
        .map_or(1, |set| set.version)
}

/// Reads an ONNX model that has all its tensors inside. Inputs named in `constants` are taken as
/// constants.
///
/// # Errors
///
/// As [`import`], without the file.
pub fn import_bytes(
    bytes: &[u8],
    dimensions: &Dimensions,
    constants: &HashMap<String, Constant>,
) -> Result<Imported> {
    import_decoded(&decode(bytes)?, bytes, dimensions, constants)
}

/// Imports a model that was decoded from `bytes`.
fn import_decoded(
    model: &pb::ModelProto,
    bytes: &[u8],
    dimensions: &Dimensions,
    constants: &HashMap<String, Constant>,
) -> Result<Imported> {
    let opset = default_opset(model);
    let producer = format!("{} {}", model.producer_name, model.producer_version);
    Ok(Imported {
        graph: import_model(model, opset, dimensions, constants)?,
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
    budget: fold::Budget,
    /// How many branches the node that is imported lies in.
    depth: usize,
    /// Names given inside of branches, and what they stood for before.
    bound: Vec<(String, Option<ValueId>)>,
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
        budget: fold::Budget::new(),
        depth: 0,
        bound: Vec::new(),
    };
    importer.add_initializers(source)?;
    for (name, constant) in constants {
        let id = importer.graph.add_constant(name, constant.clone());
        importer.names.insert(name.clone(), id);
    }
    for input in &source.input {
        match importer.names.get(&input.name) {
            None => importer.add_input(input, dimensions)?,
            // What an array cannot say, the model does.
            Some(&id) => importer
                .graph
                .narrow
                .extend(declared_bounds(input).map(|b| (id, b))),
        }
    }
    importer.add_nodes(&source.node, opset)?;
    importer.graph.outputs = importer.outputs_of(source)?;
    let names = source.output.iter().map(|output| output.name.clone());
    importer.graph.output_names = names.collect();
    ensure!(
        !importer.graph.outputs.is_empty(),
        "the model has no output"
    );
    importer.graph.remove_dead_nodes();
    Ok(importer.graph)
}

/// Type and shape of an input of the model, and the bounds of its type when that is narrower than
/// the graph's.
fn input_type(
    input: &pb::ValueInfoProto,
    dimensions: &Dimensions,
) -> Result<(DataType, Vec<usize>, Option<tensors::Bounds>)> {
    let place = || format!("input `{}`", input.name);
    let Some(Kind::TensorType(tensor)) = input.r#type.as_ref().and_then(|t| t.value.as_ref())
    else {
        bail!(
            "{}: only tensors are supported, not sequences or maps",
            place()
        );
    };
    let (dtype, bounds) = tensors::input_type(tensor.elem_type).with_context(place)?;
    let shape = tensor
        .shape
        .as_ref()
        .with_context(|| format!("{}: it has no shape", place()))?;
    let mut dims = Vec::new();
    for (axis, dim) in shape.dim.iter().enumerate() {
        dims.push(resolve_dimension(axis, dim.value.as_ref(), dimensions).with_context(place)?);
    }
    check_size(&dims, dtype).with_context(place)?;
    Ok((dtype, dims, bounds))
}

impl Importer {
    /// Adds the constants that a graph holds.
    fn add_initializers(&mut self, source: &pb::GraphProto) -> Result<()> {
        ensure!(
            source.sparse_initializer.is_empty(),
            "sparse initializers are not supported: export dense ones"
        );
        let mut seen = HashSet::new();
        for tensor in &source.initializer {
            let (constant, bounds) = constant_from_proto(tensor)
                .with_context(|| format!("initializer `{}`", tensor.name))?;
            ensure!(
                seen.insert(&tensor.name),
                "initializer `{}` is there twice: names have to differ",
                tensor.name
            );
            let id = self.graph.add_constant(&tensor.name, constant);
            self.graph.narrow.extend(bounds.map(|bounds| (id, bounds)));
            self.bind(&tensor.name, id);
        }
        Ok(())
    }

    /// Adds nodes, in an order of execution.
    fn add_nodes(&mut self, nodes: &[pb::NodeProto], opset: i64) -> Result<()> {
        let known = |name: &str| self.names.contains_key(name);
        for index in order::execution_order(nodes, known)? {
            let node = &nodes[index];
            let name = order::label(node, index);
            self.add_node(node, opset).with_context(|| {
                format!("{name}, operator {} of operator set {opset}", node.op_type)
            })?;
        }
        Ok(())
    }

    /// The values of a graph's outputs.
    fn outputs_of(&self, source: &pb::GraphProto) -> Result<Vec<ValueId>> {
        let value = |output: &pb::ValueInfoProto| {
            let id = self.names.get(&output.name).copied();
            id.with_context(|| format!("output `{}` is computed by no node", output.name))
        };
        source.output.iter().map(value).collect()
    }

    fn add_input(&mut self, input: &pb::ValueInfoProto, dimensions: &Dimensions) -> Result<()> {
        let (dtype, dims, bounds) = input_type(input, dimensions)?;
        // An input without elements has no secret: what follows from it is known.
        let empty = dims
            .contains(&0)
            .then(|| Constant::from_bytes(dtype, &dims, &[]));
        let id = self.graph.add_value(&input.name, dtype, dims);
        // An input without elements has no secret: what follows from it is known.
        self.graph.values[id].constant = empty.transpose()?;
        self.names.insert(input.name.clone(), id);
        self.graph.inputs.push(id);
        self.graph.narrow.extend(bounds.map(|bounds| (id, bounds)));
        Ok(())
    }

    fn add_node(&mut self, node: &pb::NodeProto, opset: i64) -> Result<()> {
        if node.op_type == "If" {
            return self.add_if(node, opset);
        }
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
        let known = self.graph.values.len();
        let outputs = operators::import(&mut Context {
            graph: &mut self.graph,
            budget: &mut self.budget,
            node,
            name: name.map_or("", String::as_str),
            output,
            opset,
            inputs,
        })?;
        let made = self.graph.values[known..].iter();
        let constants = made.filter_map(|value| value.constant.as_ref());
        let bytes = constants.map(Constant::byte_len).sum();
        self.budget.charge_bytes(bytes)?;
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
            self.bind(name, id);
        }
        Ok(())
    }
}

/// Where an axis is behind a Reshape or Transpose; `None` when a Reshape divides or joins it.
fn moved_axis(op: &Op, axis: usize, from: &[usize], to: &[usize]) -> Option<usize> {
    match op {
        Op::Transpose { perm } => perm.iter().position(|&a| a == axis),
        Op::Reshape => {
            let before: usize = from[..axis].iter().product();
            let stays =
                |&a: &usize| to[a] == from[axis] && to[..a].iter().product::<usize>() == before;
            (0..to.len()).find(stays)
        }
        _ => None,
    }
}

/// The bounds of an input's type, when it is one of less than a byte.
fn declared_bounds(input: &pb::ValueInfoProto) -> Option<tensors::Bounds> {
    let kind = input.r#type.as_ref()?.value.as_ref()?;
    let Kind::TensorType(tensor) = kind;
    tensors::input_type(tensor.elem_type).ok()?.1
}

/// Refuses tensors that no artifact can hold, before memory is taken for them.
fn check_size(shape: &[usize], dtype: DataType) -> Result<()> {
    // As the runtime does, which counts dimensions of 0 as 1 here.
    let mut dims = shape.iter().map(|&dim| dim.max(1));
    let elements = dims.try_fold(1usize, usize::checked_mul);
    let bytes = elements.and_then(|n| n.checked_mul(dtype.stored().bytes()));
    ensure!(
        bytes.is_some_and(|bytes| bytes < 1 << 31),
        "a tensor of {} {shape:?} is too large: less than 2 GiB is supported",
        dtype.name()
    );
    Ok(())
}

fn resolve_dimension(axis: usize, dim: Option<&Dim>, dimensions: &Dimensions) -> Result<usize> {
    let size = match dim {
        Some(Dim::DimValue(size)) if *size >= 0 => return Ok(usize::try_from(*size)?),
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
    /// What constants may still take.
    budget: &'a mut fold::Budget,
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

    /// The node that computes a value.
    fn producer(&self, id: ValueId) -> Option<&Node> {
        // Each node is added right behind its output, so outputs rise along the nodes.
        let nodes = &self.graph.nodes;
        let index = nodes.binary_search_by_key(&id, |node| node.output).ok()?;
        nodes.get(index)
    }

    /// The name of output `i`; one made from the node's name when it is left out.
    fn output_name(&self, i: usize) -> String {
        match self.node.output.get(i) {
            // Steps of a larger operator have an output of their own.
            _ if i == 0 && !self.output.is_empty() => self.output.to_owned(),
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
        ensure!(
            constant.len() <= MAX_INTEGERS,
            "its {what} (input {i}) has {} elements; {MAX_INTEGERS} are supported",
            constant.len()
        );
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

    /// Constant weights that are dequantised and then turned or reshaped: the same of the integers,
    /// dequantised, so that what reads them finds their scales. `None` for everything else.
    fn moved_before_dequantizing(
        &mut self,
        op: &Op,
        inputs: &[ValueId],
        shape: &[usize],
    ) -> Result<Option<(Op, Vec<ValueId>)>> {
        let Some((constant, quantization)) = self.moved_quantization(op, inputs, shape) else {
            return Ok(None);
        };
        let what = (quantization.dtype, shape);
        let moved = fold::evaluate(self.graph, op, &[constant], what, self.budget)?;
        let Some(moved) = moved else {
            return Ok(None);
        };
        let name = format!("{}.moved", self.graph.values[constant].name);
        let moved = self.graph.add_constant(name, moved);
        Ok(Some((Op::Dequantize(quantization), vec![moved])))
    }

    /// The constant that is dequantised and then turned or reshaped, and how it is quantised then.
    fn moved_quantization(
        &self,
        op: &Op,
        inputs: &[ValueId],
        shape: &[usize],
    ) -> Option<(ValueId, Quantization)> {
        if !matches!(op, Op::Reshape | Op::Transpose { .. }) || shape.contains(&0) {
            return None;
        }
        let node = self.producer(*inputs.first()?)?;
        let Op::Dequantize(quantization) = &node.op else {
            return None;
        };
        let from = self.graph.constant(node.inputs[0])?.shape();
        let axis = match quantization.axis {
            None => None,
            Some(axis) => Some(moved_axis(op, axis, from, shape)?),
        };
        let quantization = Quantization {
            axis,
            ..quantization.clone()
        };
        Some((node.inputs[0], quantization))
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
        if let Some((op, inputs)) = self.moved_before_dequantizing(&op, &inputs, &shape)? {
            return self.emit_named(output, op, inputs, shape);
        }
        let dtype = op.output_type(self.graph.values[inputs[0]].dtype);
        check_size(&shape, dtype)?;
        let constant = if shape.contains(&0) {
            // Nothing to compute: operators of the runtime know no empty tensors.
            Some(Constant::from_bytes(dtype, &shape, &[])?)
        } else {
            let empty = |&&id: &&ValueId| self.graph.shape(id).contains(&0);
            if let Some(&id) = inputs.iter().find(empty) {
                let value = &self.graph.values[id];
                bail!(
                    "its input `{}` has no elements (shape {:?}), and its output {shape:?} has: that is not supported",
                    value.name,
                    value.shape
                );
            }
            fold::evaluate(self.graph, &op, &inputs, (dtype, &shape), self.budget)?
        };
        // What only moves keeps its type.
        let bounds = self.graph.narrow.get(&inputs[0]).copied();
        let bounds = bounds.filter(|_| op.moves());
        let id = match constant {
            Some(constant) => self.graph.add_constant(output, constant),
            None => {
                let id = self.graph.add_value(output, dtype, shape);
                self.graph.nodes.push(Node {
                    name: self.name.to_owned(),
                    op,
                    inputs,
                    output: id,
                });
                id
            }
        };
        self.graph.narrow.extend(bounds.map(|bounds| (id, bounds)));
        Ok(id)
    }
}
