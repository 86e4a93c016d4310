//! Chooses the runtime's operators for a graph, from the outputs back.
//!
//! A value is asked for either as floats or as int8. Asked for as the output of a
//! QuantizeLinear, an operation whose inputs come from DequantizeLinear is done in integers
//! where the runtime can; in every other case the graph is followed step by step in f32.

mod integers;
mod layers;
mod pointwise;
mod weights;

use std::collections::{HashMap, HashSet};

use anyhow::{Context as _, Result, ensure};
use ndarray::{ArrayD, Axis, IxDyn};
use niwaki::artifact::DataType as Stored;
use niwaki::numerics::{clamp_f32, sigmoid, tanh};

use super::builder::{Builder, Label, LinearF32, View};
use crate::functions::Function;
use crate::graph::{Constant, DataType, Graph, Node, Op, Quantization, ValueId};

/// Stack of a selection, and what each node of the longest path through the graph may add: four
/// times what the deepest chains of `tests/scale.rs` were seen to get by with.
const STACK: usize = 2 << 20;
const STACK_PER_NODE: usize = 16 << 10;

/// Operations one behind the other: what a stack of 640 MiB has room for, of which a twentieth is
/// ever touched.
const MAX_DEPTH: usize = 40_000;

/// Functions of one element that are looked through for one table or clamp. Models have one or
/// two in a row; the bound keeps selection linear.
const FUNCTIONS: usize = 16;

/// Inputs and outputs of the model, as tensors of the builder.
#[derive(Clone, Debug)]
pub struct Selected {
    /// The artifact under construction.
    pub builder: Builder,
    /// Tensor and name of each input.
    pub inputs: Vec<(usize, String)>,
    /// Tensor and name of each output.
    pub outputs: Vec<(usize, String)>,
}

/// Chooses operators for the whole graph.
///
/// # Errors
///
/// Names the layer that has no implementation or whose sums could overflow.
pub fn select(graph: &Graph) -> Result<Selected> {
    // Selection recurses from an output back to the inputs: as deep as the graph is.
    let (depth, deepest) = graph.depth();
    ensure!(
        depth <= MAX_DEPTH,
        "`{}` is the last of {depth} operations one behind the other; {MAX_DEPTH} are supported",
        deepest.map_or("", |id| &graph.values[id].name)
    );
    let stack = STACK + depth * STACK_PER_NODE;
    std::thread::scope(|scope| {
        let thread = std::thread::Builder::new().stack_size(stack);
        let thread = thread
            .spawn_scoped(scope, || select_here(graph))
            .with_context(|| format!("no memory for a stack of {stack} bytes"))?;
        match thread.join() {
            Ok(selected) => selected,
            Err(panic) => std::panic::resume_unwind(panic),
        }
    })
}

fn select_here(graph: &Graph) -> Result<Selected> {
    let mut selector = Selector {
        graph,
        producers: graph.producers(),
        uses: graph.use_counts(),
        builder: Builder::default(),
        floats: HashMap::new(),
        integers: HashMap::new(),
        plain: HashMap::new(),
        stand_ins: HashMap::new(),
        demands: integers::demands(graph),
        demanded: HashMap::new(),
        readers: HashMap::new(),
    };
    selector.find_readers();
    let mut inputs = Vec::new();
    for &id in &graph.inputs {
        inputs.push((selector.input(id)?, graph.values[id].name.clone()));
    }
    let mut outputs: Vec<(usize, String)> = Vec::new();
    let mut taken: HashSet<usize> = inputs.iter().map(|(tensor, _)| *tensor).collect();
    for (&id, name) in graph.outputs.iter().zip(&graph.output_names) {
        let tensor = selector.output(id, &taken)?;
        taken.insert(tensor);
        outputs.push((tensor, name.clone()));
    }
    Ok(Selected {
        builder: selector.builder,
        inputs,
        outputs,
    })
}

struct Selector<'g> {
    graph: &'g Graph,
    producers: Vec<Option<usize>>,
    uses: Vec<usize>,
    builder: Builder,
    /// Values that lie in memory as floats.
    floats: HashMap<ValueId, View>,
    /// Integer values that lie in memory as int8 (uint8 ones 128 lower).
    integers: HashMap<ValueId, View>,
    /// Values that lie in memory in a type of their own: all but float32 and int8, uint8 too
    /// where it is plain data.
    plain: HashMap<ValueId, View>,
    /// What [`Selector::exact_int8`] has found for float values.
    stand_ins: HashMap<ValueId, Option<Int8View>>,
    /// For each value, how all that read it quantise it.
    demands: Vec<Demand>,
    /// Float values in int8, quantised as their [`Demand`] says, that several read.
    demanded: HashMap<ValueId, View>,
    /// For each input, how the first DequantizeLinear that reads it takes its bytes.
    readers: HashMap<ValueId, &'g Quantization>,
}

/// A float value that int8 stand for exactly.
#[derive(Clone)]
struct Int8View {
    view: View,
    affine: (f32, i32),
}

/// How those that read a float value quantise it, when they do nothing else but move it before.
#[derive(Clone, Copy, PartialEq)]
enum Demand {
    /// Nobody reads it.
    Nobody,
    /// All of them with this scale and zero point.
    One(f32, i32),
    /// In several ways, or as floats.
    Mixed,
}

/// A function of one float.
#[derive(Clone, Copy)]
enum Unary {
    Clamp(f32, f32),
    Sigmoid,
    Tanh,
    Function(Function),
}

impl Unary {
    fn of(op: &Op) -> Option<Self> {
        match op {
            Op::Clamp { low, high } => Some(Self::Clamp(*low, *high)),
            Op::Sigmoid => Some(Self::Sigmoid),
            Op::Tanh => Some(Self::Tanh),
            Op::Function(function) => Some(Self::Function(*function)),
            _ => None,
        }
    }

    fn apply(self, x: f32) -> f32 {
        match self {
            Self::Clamp(low, high) => clamp_f32(x, low, high),
            Self::Sigmoid => sigmoid(x),
            Self::Tanh => tanh(x),
            Self::Function(function) => function.apply(x),
        }
    }
}

/// The word that stands for a padding of that type in the parameters of Pad.
fn padding(value: f64, dtype: DataType) -> Result<u32> {
    let (low, high) = match dtype {
        DataType::F32 => return Ok((value as f32).to_bits()),
        DataType::Bool => (0, 1),
        DataType::I8 => (-128, 127),
        DataType::U8 => (0, 255),
        DataType::I16 => (-32768, 32767),
        DataType::U16 => (0, 65535),
        DataType::I32 | DataType::I64 => (i32::MIN, i32::MAX),
    };
    ensure!(
        value.fract() == 0.0 && (f64::from(low)..=f64::from(high)).contains(&value),
        "{} cannot be padded with {value}; integers from {low} to {high} are accepted",
        dtype.name()
    );
    let word = (value as i32).cast_unsigned();
    Ok(match dtype.stored().bytes() {
        1 => word & 0xff,
        2 => word & 0xffff,
        _ => word,
    })
}

/// A byte table that turns int8 into uint8 or back: the other sign, the same order.
fn sign_table() -> [u8; 256] {
    std::array::from_fn(|i| i as u8 ^ 0x80)
}

impl<'g> Selector<'g> {
    fn label(&self, id: ValueId) -> Label {
        Label {
            name: self.graph.values[id].name.clone(),
            value: Some(id),
            affine: None,
        }
    }

    fn node(&self, id: ValueId) -> Option<&'g Node> {
        self.producers[id].map(|index| &self.graph.nodes[index])
    }

    /// The node that computes `id`, if nothing else reads the result.
    fn sole_node(&self, id: ValueId) -> Option<&'g Node> {
        self.node(id).filter(|_| self.uses[id] == 1)
    }

    fn shape(&self, id: ValueId) -> &'g [usize] {
        &self.graph.values[id].shape
    }

    fn input(&mut self, id: ValueId) -> Result<usize> {
        let value = &self.graph.values[id];
        let mut label = self.label(id);
        // How readers take the bytes is how the input is quantised.
        label.affine = self.readers.get(&id).and_then(|q| q.as_int8());
        if value.dtype == DataType::U8 {
            label.affine = label
                .affine
                .map(|(scale, zero_point)| (scale, zero_point + 128));
        }
        let view = self.builder.port(label, value.dtype.stored(), &value.shape);
        let tensor = view.tensor;
        match value.dtype {
            DataType::F32 => self.floats.insert(id, view),
            DataType::I8 => self.integers.insert(id, view),
            _ => self.plain.insert(id, view),
        };
        Ok(tensor)
    }

    /// Fills `readers`: through changes of axes and shape.
    fn find_readers(&mut self) {
        let graph = self.graph;
        let mut sources: Vec<ValueId> = (0..graph.values.len()).collect();
        for node in &graph.nodes {
            match &node.op {
                Op::Reshape | Op::Transpose { .. } => {
                    sources[node.output] = sources[node.inputs[0]];
                }
                Op::Dequantize(q) => {
                    self.readers.entry(sources[node.inputs[0]]).or_insert(q);
                }
                _ => {}
            }
        }
    }

    /// The tensor of an output: in ONNX's order, of the output's shape, and its own.
    fn output(&mut self, id: ValueId, taken: &HashSet<usize>) -> Result<usize> {
        if let Some(constant) = self.graph.constant(id)
            && constant.shape().contains(&0)
        {
            // No elements: no operator writes it.
            let label = self.label(id);
            return Ok(self.builder.constant_of(label, constant).tensor);
        }
        let view = self.value(id)?;
        let view = self.builder.in_onnx_order(&view);
        let constant = self.builder.tensors[view.tensor].data.is_some();
        let view = if taken.contains(&view.tensor) || constant {
            let label = self.label(id);
            self.builder.copied(&view, label)
        } else {
            view
        };
        // A reshape is no operator: the record carries the shape that the caller is to see.
        let tensor = &mut self.builder.tensors[view.tensor];
        tensor.shape = view.shape;
        tensor.order = view.order;
        Ok(view.tensor)
    }

    /// A value as floats in memory.
    fn float(&mut self, id: ValueId) -> Result<View> {
        if let Some(view) = self.floats.get(&id) {
            return Ok(view.clone());
        }
        let view = self.compute_float(id)?;
        self.floats.insert(id, view.clone());
        Ok(view)
    }

    fn compute_float(&mut self, id: ValueId) -> Result<View> {
        let label = self.label(id);
        if let Some(constant) = self.constant_float(id) {
            return Ok(self.builder.constant_f32(label, &constant));
        }
        let value = &self.graph.values[id];
        let Some(node) = self.node(id) else {
            anyhow::bail!("`{}` is neither constant, input nor computed", value.name);
        };
        if matches!(&node.op, Op::Indexed(op) if op.gathers())
            && let Some(int8) = self.exact_int8(id)?
        {
            // A table of int8 stays one: only what is taken from it becomes floats.
            return Ok(self.builder.dequantize(&int8.view, int8.affine, label));
        }
        let whole = (f32::NEG_INFINITY, f32::INFINITY);
        let shape = value.shape.as_slice();
        Ok(match &node.op {
            Op::Clamp { low, high } => {
                let inner = self.sole_node(node.inputs[0]);
                let fused = inner.map(|inner| self.clampable(inner, (*low, *high), label.clone()));
                match fused.transpose()?.flatten() {
                    Some(view) => view,
                    None => {
                        let x = self.float(node.inputs[0])?;
                        self.builder.clamp_f32(&x, (*low, *high), label)
                    }
                }
            }
            Op::Conv { .. } | Op::ConvTranspose { .. } | Op::MatMul { .. } | Op::Add | Op::Mul => {
                let view = self.clampable(node, whole, label)?;
                view.ok_or_else(|| anyhow::anyhow!("`{}` has no implementation", value.name))?
            }
            Op::Sigmoid => {
                let x = self.float(node.inputs[0])?;
                self.builder.sigmoid_f32(&x, label)
            }
            Op::Tanh => {
                let x = self.float(node.inputs[0])?;
                self.builder.tanh_f32(&x, label)
            }
            Op::Softmax { axis } => {
                let x = self.float(node.inputs[0])?;
                self.builder.softmax_f32(&x, *axis, label)
            }
            Op::AveragePool {
                window,
                count_include_pad,
            } => {
                let x = self.float(node.inputs[0])?;
                self.builder
                    .average_pool_f32(&x, window, *count_include_pad, label, shape)
            }
            Op::Dequantize(q) => {
                if let Some(affine) = q.as_int8() {
                    let x = self.integer(node.inputs[0])?;
                    self.builder.dequantize(&x, affine, label)
                } else {
                    let x = self.value(node.inputs[0])?;
                    self.builder.dequantize_axis(&x, q, label)
                }
            }
            Op::LayerNorm(_) | Op::Recurrent(_) | Op::Resample(_) => self.layer(node, label)?,
            _ => self.computed(node, label)?,
        })
    }

    /// A value in memory in its own type.
    fn value(&mut self, id: ValueId) -> Result<View> {
        match self.graph.values[id].dtype {
            DataType::F32 => self.float(id),
            DataType::I8 => self.integer(id),
            _ => self.plain(id),
        }
    }

    /// A value as floats, or as int8 of the same order; `None` for other types.
    fn comparable(&mut self, id: ValueId) -> Result<Option<View>> {
        Ok(match self.graph.values[id].dtype {
            DataType::F32 => Some(self.float(id)?),
            DataType::I8 | DataType::U8 => Some(self.integer(id)?),
            _ => None,
        })
    }

    /// A value of any type but float32 and int8 in memory.
    fn plain(&mut self, id: ValueId) -> Result<View> {
        if let Some(view) = self.plain.get(&id) {
            return Ok(view.clone());
        }
        let label = self.label(id);
        let value = &self.graph.values[id];
        let view = if let Some(constant) = &value.constant {
            self.builder.constant_of(label, constant)
        } else if self.is_shifted(id) {
            self.unshifted(id, label)?
        } else {
            let Some(node) = self.node(id) else {
                anyhow::bail!("`{}` is neither constant, input nor computed", value.name);
            };
            self.computed(node, label)?
        };
        self.plain.insert(id, view.clone());
        Ok(view)
    }

    /// A uint8 value whose int8, 128 lower, are what is computed.
    fn unshifted(&mut self, id: ValueId, label: Label) -> Result<View> {
        let view = self.integer(id)?;
        let affine = self.builder.tensors[view.tensor].affine;
        let label = Label {
            affine: affine.map(|(scale, zero_point)| (scale, zero_point + 128)),
            ..label
        };
        let view = self.builder.in_onnx_order(&view);
        Ok(self.builder.lookup(&view, &sign_table(), Stored::U8, label))
    }

    /// Whether a value is a uint8 that is computed as int8, 128 lower: one that was quantised, and
    /// what was moved or pooled of it since.
    fn is_shifted(&self, mut id: ValueId) -> bool {
        while self.graph.values[id].dtype == DataType::U8
            && let Some(node) = self.node(id)
        {
            match &node.op {
                Op::Quantize(q) => return q.as_int8().is_some(),
                Op::MaxPool(_) => return true,
                op if op.moves() => id = node.inputs[0],
                _ => return false,
            }
        }
        false
    }

    /// An operation on values in their own types, the same code for every type.
    fn computed(&mut self, node: &Node, label: Label) -> Result<View> {
        let value = &self.graph.values[node.output];
        if let Op::MaxPoolIndices {
            window,
            column_major,
        } = &node.op
            && let Some(x) = self.comparable(node.inputs[0])?
        {
            let shape = &value.shape;
            return Ok(self
                .builder
                .max_pool_indices(&x, window, *column_major, label, shape));
        }
        let views: Vec<View> = node
            .inputs
            .iter()
            .map(|&id| self.value(id))
            .collect::<Result<_>>()?;
        match &node.op {
            Op::Quantize(q) => return Ok(self.builder.quantize_axis(&views[0], q, label)),
            Op::MaxPool(_) if !matches!(value.dtype, DataType::F32 | DataType::I8) => {}
            Op::LpPool { window, p } => {
                let shape = &value.shape;
                return Ok(self
                    .builder
                    .lp_pool_f32(&views[0], window, *p, label, shape));
            }
            Op::LocalResponse {
                size,
                alpha,
                beta,
                bias,
            } => {
                let numbers = [*alpha, *beta, *bias];
                return Ok(self
                    .builder
                    .local_response_f32(&views[0], *size, numbers, label));
            }
            Op::MaxPool(_) => {
                return self.structural(&node.op, &views, label, &value.shape, |_| Ok(0));
            }
            op if op.moves() => {
                let fill = |v: f64| padding(v, value.dtype);
                return self.structural(&node.op, &views, label, &value.shape, fill);
            }
            Op::Indexed(op) => return Ok(self.builder.indexed(*op, &views, label, &value.shape)),
            Op::Function(function) => {
                return Ok(self.builder.function(*function, &views[0], label));
            }
            Op::IsNan => return Ok(self.builder.is_nan(&views[0], label)),
            Op::IsInf { negative, positive } => {
                let view = &views[0];
                return Ok(self.builder.is_inf(view, *negative, *positive, label));
            }
            Op::Cast(to) => return Ok(self.builder.cast(&views[0], to.stored(), label)),
            Op::Binary(function) => {
                let operands = [&views[0], &views[1]];
                return self
                    .builder
                    .binary(*function, operands, label, &value.shape);
            }
            Op::Where => {
                let choices = [&views[0], &views[1]];
                let condition = &views[2];
                return Ok(self.builder.choose(condition, choices, label, &value.shape));
            }
            Op::Reduce { reduction, axes } => {
                let shape = &value.shape;
                return Ok(self
                    .builder
                    .reduced(*reduction, &views[0], axes, label, shape));
            }
            Op::ArgExtreme {
                largest,
                last,
                axis,
            } => {
                let which = (*largest, *last);
                let shape = &value.shape;
                return Ok(self
                    .builder
                    .arg_extreme(&views[0], *axis, which, label, shape));
            }
            Op::CumSum {
                axis,
                exclusive,
                reverse,
            } => {
                let how = (*exclusive, *reverse);
                return Ok(self.builder.cumulated(&views[0], *axis, how, label));
            }
            _ => {}
        }
        anyhow::bail!(
            "`{}`: this operation on {} is not supported; float32 is, and int8 or uint8 between DequantizeLinear and QuantizeLinear",
            value.name,
            value.dtype.name()
        )
    }

    /// Constant floats: as they are, or as a constant dequantised.
    fn constant_float(&self, id: ValueId) -> Option<ArrayD<f32>> {
        if let Some(constant) = self.graph.constant_f32(id) {
            return Some(constant.clone());
        }
        let node = self.node(id)?;
        let Op::Dequantize(q) = &node.op else {
            return None;
        };
        let constant = self.graph.constant(node.inputs[0])?;
        let mut values =
            ArrayD::from_shape_vec(IxDyn(constant.shape()), constant.to_i64()?).ok()?;
        let mut floats = ArrayD::zeros(values.raw_dim());
        // One pass for each scale: over the whole tensor, or over one index of the axis.
        for (i, (&scale, &zero_point)) in q.scale.iter().zip(&q.zero_point).enumerate() {
            let (mut from, mut to) = (values.view_mut(), floats.view_mut());
            if let Some(axis) = q.axis {
                from.slice_axis_inplace(Axis(axis), (i..=i).into());
                to.slice_axis_inplace(Axis(axis), (i..=i).into());
            }
            to.zip_mut_with(&from, |y, &x| {
                *y = (x - i64::from(zero_point)) as f32 * scale;
            });
        }
        Some(floats)
    }

    /// Whether a value is a constant matrix, as it is or dequantised.
    fn is_matrix(&self, id: ValueId) -> bool {
        let constant = |id: ValueId| self.graph.constant(id).is_some();
        let dequantized = self
            .node(id)
            .is_some_and(|node| matches!(node.op, Op::Dequantize(_)) && constant(node.inputs[0]));
        self.shape(id).len() == 2 && (constant(id) || dequantized)
    }

    /// Operations that take a clamp in: `None` for others.
    fn clampable(&mut self, node: &Node, clamp: (f32, f32), label: Label) -> Result<Option<View>> {
        let shape = self.shape(node.output);
        let view = match &node.op {
            Op::Conv { window, group } => {
                let x = self.float(node.inputs[0])?;
                let (weights, bias) = self.weights(node)?;
                let bias = bias.as_ref();
                self.builder
                    .conv_f32(&x, window, *group, &weights, bias, clamp, label, shape)?
            }
            Op::MatMul { transposed: false }
                if node.inputs.len() == 2 && !self.is_matrix(node.inputs[1]) =>
            {
                let (a, b) = (self.float(node.inputs[0])?, self.float(node.inputs[1])?);
                self.builder.mat_mul_f32([&a, &b], clamp, label, shape)
            }
            Op::MatMul { transposed } => {
                let x = self.float(node.inputs[0])?;
                let (mut weights, bias) = self.weights(node)?;
                if *transposed {
                    weights = weights.reversed_axes().as_standard_layout().into_owned();
                }
                let bias = bias.as_ref();
                self.builder
                    .fully_connected_f32(&x, &weights, bias, clamp, label, shape)
            }
            Op::ConvTranspose { window, group } => {
                let x = self.float(node.inputs[0])?;
                let (weights, bias) = self.weights(node)?;
                let params = LinearF32 {
                    weights: &weights,
                    bias: bias.as_ref(),
                    clamp,
                };
                self.builder
                    .conv_transpose_f32(&x, window, *group, &params, label, shape)?
            }
            Op::Add | Op::Mul => {
                let (a, b) = (self.float(node.inputs[0])?, self.float(node.inputs[1])?);
                let product = matches!(node.op, Op::Mul);
                self.builder
                    .binary_f32(product, [&a, &b], clamp, label, shape)
            }
            _ => return Ok(None),
        };
        Ok(Some(view))
    }

    /// Float weights and bias, which have to be constant.
    fn weights(&self, node: &Node) -> Result<(ArrayD<f32>, Option<ArrayD<f32>>)> {
        let constant = |id: ValueId| {
            self.constant_float(id).ok_or_else(|| {
                anyhow::anyhow!(
                    "node `{}`: weights or bias `{}` are computed at run time; constants are accepted",
                    node.name,
                    self.graph.values[id].name
                )
            })
        };
        let bias = node.inputs.get(2).map(|&id| constant(id)).transpose()?;
        Ok((constant(node.inputs[1])?, bias))
    }

    /// Operations that move elements and compute nothing, the same for every type.
    /// `fill` turns a padding value into the word or byte that stands for it.
    fn structural(
        &mut self,
        op: &Op,
        views: &[View],
        label: Label,
        shape: &[usize],
        fill: impl Fn(f64) -> Result<u32>,
    ) -> Result<View> {
        Ok(match op {
            Op::Transpose { perm } => self.builder.transposed(&views[0], perm),
            Op::MaxPool(window) => self.builder.max_pool(&views[0], window, label, shape),
            Op::Concat { axis } => self.builder.concat(views, *axis, label, shape),
            Op::Slice { starts, steps } => {
                self.builder.sliced(&views[0], starts, steps, label, shape)
            }
            Op::Take { axis, indices } => {
                self.builder.taken(&views[0], *axis, indices, label, shape)
            }
            Op::Expand => self.builder.expanded(&views[0], label, shape),
            Op::Pad { before, value, .. } => {
                self.builder
                    .pad(&views[0], before, fill(*value)?, label, shape)
            }
            Op::Indexed(op) => self.builder.indexed(*op, views, label, shape),
            // All that is left; what it is given is what it gives.
            _ => self.builder.reshaped(&views[0], shape),
        })
    }

    /// An integer value as int8 in memory.
    fn integer(&mut self, id: ValueId) -> Result<View> {
        if let Some(view) = self.integers.get(&id) {
            return Ok(view.clone());
        }
        let view = self.compute_integer(id)?;
        self.integers.insert(id, view.clone());
        Ok(view)
    }

    fn compute_integer(&mut self, id: ValueId) -> Result<View> {
        let label = self.label(id);
        let value = &self.graph.values[id];
        if let Some(constant) = &value.constant {
            let array = match constant {
                Constant::I8(array) => array.clone(),
                Constant::U8(array) => array.mapv(|v| (v ^ 0x80).cast_signed()),
                _ => anyhow::bail!(
                    "`{}` is {}; int8 and uint8 are supported",
                    value.name,
                    value.dtype.name()
                ),
            };
            return Ok(self.builder.constant_i8(label, &array));
        }
        if value.dtype == DataType::U8 && self.node(id).is_none() {
            let plain = self.plain(id)?;
            return Ok(self.shifted(&plain, &label));
        }
        let Some(node) = self.node(id) else {
            anyhow::bail!("`{}` is neither constant, input nor computed", value.name);
        };
        if let Op::Quantize(q) = &node.op
            && let Some(affine) = q.as_int8()
        {
            let label = Label {
                affine: Some(affine),
                ..label
            };
            return self.quantized(node.inputs[0], affine, label);
        }
        let shifts = value.dtype == DataType::U8;
        if shifts && !self.is_shifted(id) || !shifts && !node.op.moves() {
            let plain = match shifts {
                true => self.plain(id)?,
                false => return self.computed(node, label),
            };
            return Ok(self.shifted(&plain, &label));
        }
        let inputs = node.inputs.iter().enumerate();
        let views: Vec<View> = inputs
            .map(|(i, &id)| match node.op.takes_indices(i) {
                true => self.value(id),
                false => self.integer(id),
            })
            .collect::<Result<_>>()?;
        let shift = if shifts { 0x80 } else { 0 };
        let fill = |v: f64| Ok(padding(v, value.dtype)? ^ shift);
        self.structural(&node.op, &views, label, &value.shape, fill)
    }

    /// A uint8 value as int8, 128 lower.
    fn shifted(&mut self, plain: &View, label: &Label) -> View {
        let affine = self.builder.tensors[plain.tensor].affine;
        let label = Label {
            name: format!("{}.int8", label.name),
            affine: affine.map(|(scale, zero_point)| (scale, zero_point - 128)),
            ..label.clone()
        };
        self.builder.lookup(plain, &sign_table(), Stored::I8, label)
    }
}
