//! The compiler's own graph: ONNX's meaning and ONNX's axis order, shapes known, constants as
//! arrays. Passes change it; [`crate::compiler`] turns it into an artifact.

use std::collections::HashMap;

use ndarray::{ArrayD, IxDyn};

use crate::functions::{Binary, Function, Reduction};
pub use crate::indexed::{Indexed, Join};
use crate::layers::{LayerNorm, Recurrent, Resampling};

/// Element type of a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum DataType {
    /// IEEE-754 binary32.
    F32,
    /// Signed 8-bit integer.
    I8,
    /// Unsigned 8-bit integer.
    U8,
    /// Signed 16-bit integer.
    I16,
    /// Unsigned 16-bit integer.
    U16,
    /// Signed 32-bit integer.
    I32,
    /// Signed 64-bit integer: shapes, axes and indices.
    I64,
    /// Boolean.
    Bool,
}

impl DataType {
    /// The name that ONNX's documentation uses.
    pub fn name(self) -> &'static str {
        match self {
            Self::F32 => "float32",
            Self::I8 => "int8",
            Self::U8 => "uint8",
            Self::I16 => "int16",
            Self::U16 => "uint16",
            Self::I32 => "int32",
            Self::I64 => "int64",
            Self::Bool => "bool",
        }
    }

    /// The type as the artifact has it.
    pub fn stored(self) -> niwaki::artifact::DataType {
        use niwaki::artifact::DataType as Stored;
        match self {
            Self::F32 => Stored::F32,
            Self::I8 => Stored::I8,
            Self::U8 => Stored::U8,
            Self::I16 => Stored::I16,
            Self::U16 => Stored::U16,
            Self::I32 => Stored::I32,
            Self::I64 => Stored::I64,
            Self::Bool => Stored::Bool,
        }
    }

    /// True for all but float32 and bool.
    pub fn is_integer(self) -> bool {
        !matches!(self, Self::F32 | Self::Bool)
    }
}

/// A constant's elements.
#[derive(Clone, Debug, PartialEq)]
pub enum Constant {
    /// float32.
    F32(ArrayD<f32>),
    /// int8.
    I8(ArrayD<i8>),
    /// uint8.
    U8(ArrayD<u8>),
    /// int16.
    I16(ArrayD<i16>),
    /// uint16.
    U16(ArrayD<u16>),
    /// int32.
    I32(ArrayD<i32>),
    /// int64.
    I64(ArrayD<i64>),
    /// bool.
    Bool(ArrayD<bool>),
}

/// Runs the same code on the array inside a [`Constant`], whatever its type.
#[macro_export]
macro_rules! with_array {
    ($constant:expr, $array:ident => $body:expr) => {
        match $constant {
            $crate::graph::Constant::F32($array) => $body,
            $crate::graph::Constant::I8($array) => $body,
            $crate::graph::Constant::U8($array) => $body,
            $crate::graph::Constant::I16($array) => $body,
            $crate::graph::Constant::U16($array) => $body,
            $crate::graph::Constant::I32($array) => $body,
            $crate::graph::Constant::I64($array) => $body,
            $crate::graph::Constant::Bool($array) => $body,
        }
    };
}

/// Applies a change of shape to the array inside a [`Constant`] and wraps the result again.
#[macro_export]
macro_rules! map_array {
    ($constant:expr, $array:ident => $body:expr) => {
        match $constant {
            $crate::graph::Constant::F32($array) => $crate::graph::Constant::F32($body),
            $crate::graph::Constant::I8($array) => $crate::graph::Constant::I8($body),
            $crate::graph::Constant::U8($array) => $crate::graph::Constant::U8($body),
            $crate::graph::Constant::I16($array) => $crate::graph::Constant::I16($body),
            $crate::graph::Constant::U16($array) => $crate::graph::Constant::U16($body),
            $crate::graph::Constant::I32($array) => $crate::graph::Constant::I32($body),
            $crate::graph::Constant::I64($array) => $crate::graph::Constant::I64($body),
            $crate::graph::Constant::Bool($array) => $crate::graph::Constant::Bool($body),
        }
    };
}

impl Constant {
    /// The dimensions.
    pub fn shape(&self) -> &[usize] {
        with_array!(self, a => a.shape())
    }

    /// Number of elements.
    pub fn len(&self) -> usize {
        with_array!(self, a => a.len())
    }

    /// True when there is no element.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Bytes of the elements as the runtime keeps them.
    pub fn byte_len(&self) -> usize {
        self.len() * self.dtype().stored().bytes()
    }

    /// The element type.
    pub fn dtype(&self) -> DataType {
        match self {
            Self::F32(_) => DataType::F32,
            Self::I8(_) => DataType::I8,
            Self::U8(_) => DataType::U8,
            Self::I16(_) => DataType::I16,
            Self::U16(_) => DataType::U16,
            Self::I32(_) => DataType::I32,
            Self::I64(_) => DataType::I64,
            Self::Bool(_) => DataType::Bool,
        }
    }

    /// The elements of a tensor of that type and shape, as the runtime keeps them.
    ///
    /// # Errors
    ///
    /// When there are more or fewer bytes than the shape needs.
    pub fn from_bytes(
        dtype: DataType,
        shape: &[usize],
        bytes: &[u8],
    ) -> Result<Self, ndarray::ShapeError> {
        fn array<T, const N: usize>(
            shape: &[usize],
            bytes: &[u8],
            read: fn([u8; N]) -> T,
        ) -> Result<ArrayD<T>, ndarray::ShapeError> {
            let elements = bytes
                .as_chunks::<N>()
                .0
                .iter()
                .map(|&element| read(element));
            ArrayD::from_shape_vec(IxDyn(shape), elements.collect())
        }
        Ok(match dtype {
            DataType::F32 => Self::F32(array(shape, bytes, f32::from_le_bytes)?),
            DataType::I8 => Self::I8(array(shape, bytes, i8::from_le_bytes)?),
            DataType::U8 => Self::U8(array(shape, bytes, u8::from_le_bytes)?),
            DataType::I16 => Self::I16(array(shape, bytes, i16::from_le_bytes)?),
            DataType::U16 => Self::U16(array(shape, bytes, u16::from_le_bytes)?),
            DataType::I32 => Self::I32(array(shape, bytes, i32::from_le_bytes)?),
            DataType::I64 => Self::I64(array(shape, bytes, i64::from_le_bytes)?),
            DataType::Bool => Self::Bool(array(shape, bytes, |[byte]: [u8; 1]| byte != 0)?),
        })
    }

    /// The elements as the runtime keeps them.
    pub fn to_bytes(&self) -> Vec<u8> {
        match self {
            Self::F32(a) => a.iter().flat_map(|v| v.to_le_bytes()).collect(),
            Self::I8(a) => a.iter().flat_map(|v| v.to_le_bytes()).collect(),
            Self::U8(a) => a.iter().copied().collect(),
            Self::I16(a) => a.iter().flat_map(|v| v.to_le_bytes()).collect(),
            Self::U16(a) => a.iter().flat_map(|v| v.to_le_bytes()).collect(),
            Self::I32(a) => a.iter().flat_map(|v| v.to_le_bytes()).collect(),
            Self::I64(a) => a.iter().flat_map(|v| v.to_le_bytes()).collect(),
            Self::Bool(a) => a.iter().map(|&v| u8::from(v)).collect(),
        }
    }

    /// The floats, if it holds floats.
    pub fn as_f32(&self) -> Option<&ArrayD<f32>> {
        match self {
            Self::F32(a) => Some(a),
            _ => None,
        }
    }

    /// All elements as integers, if it holds integers.
    pub fn to_i64(&self) -> Option<Vec<i64>> {
        match self {
            Self::I8(a) => Some(a.iter().map(|&v| i64::from(v)).collect()),
            Self::U8(a) => Some(a.iter().map(|&v| i64::from(v)).collect()),
            Self::I16(a) => Some(a.iter().map(|&v| i64::from(v)).collect()),
            Self::U16(a) => Some(a.iter().map(|&v| i64::from(v)).collect()),
            Self::I32(a) => Some(a.iter().map(|&v| i64::from(v)).collect()),
            Self::I64(a) => Some(a.iter().copied().collect()),
            Self::Bool(a) => Some(a.iter().map(|&v| i64::from(v)).collect()),
            Self::F32(_) => None,
        }
    }
}

/// Index of a value in its graph.
pub type ValueId = usize;

/// A tensor of the graph: constant, input, or some node's output.
#[derive(Clone, Debug)]
pub struct Value {
    /// Name in the ONNX model.
    pub name: String,
    /// Element type.
    pub dtype: DataType,
    /// Dimensions, ONNX's order.
    pub shape: Vec<usize>,
    /// The elements, when they are known.
    pub constant: Option<Constant>,
}

/// Scale and zero point of a quantised tensor, for the whole tensor or along one axis.
#[derive(Clone, Debug, PartialEq)]
pub struct Quantization {
    /// Real value of one step; one for the tensor, or one for each index of `axis`.
    pub scale: Vec<f32>,
    /// The quantised value that means 0, as many as scales.
    pub zero_point: Vec<i32>,
    /// The axis of per-channel quantisation.
    pub axis: Option<usize>,
    /// Element type of the quantised tensor.
    pub dtype: DataType,
}

impl Quantization {
    /// One scale and zero point for a whole int8 tensor.
    pub fn per_tensor(scale: f32, zero_point: i32) -> Self {
        Self {
            scale: vec![scale],
            zero_point: vec![zero_point],
            axis: None,
            dtype: DataType::I8,
        }
    }

    /// Scale and zero point of the int8 tensor that the runtime keeps: uint8 is stored as int8,
    /// 128 lower. `None` when there are several, or for another type.
    pub fn as_int8(&self) -> Option<(f32, i32)> {
        let shift = match self.dtype {
            DataType::I8 => 0,
            DataType::U8 => 128,
            _ => return None,
        };
        match (self.scale.as_slice(), self.zero_point.as_slice()) {
            ([scale], [zero_point]) => Some((*scale, zero_point - shift)),
            _ => None,
        }
    }
}

/// Window of a convolution or pool, spatial axes in ONNX's order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WindowAttributes {
    /// Kernel size.
    pub kernel: Vec<usize>,
    /// Steps from one output to the next.
    pub strides: Vec<usize>,
    /// Steps from one kernel element to the next.
    pub dilations: Vec<usize>,
    /// Padding before each axis.
    pub pads_begin: Vec<usize>,
    /// Padding behind each axis.
    pub pads_end: Vec<usize>,
}

/// What a node computes.
#[derive(Clone, Debug, PartialEq)]
pub enum Op {
    /// Convolution: input, weights `[out][in / group][kernel…]`, optional bias `[out]`.
    Conv {
        /// Geometry.
        window: WindowAttributes,
        /// Number of groups.
        group: usize,
    },
    /// Transposed convolution: input, weights `[in][out / group][kernel…]`, optional bias `[out]`.
    ConvTranspose {
        /// Geometry: strides are steps in the output, padding is cut off from it.
        window: WindowAttributes,
        /// Number of groups.
        group: usize,
    },
    /// Product with a constant matrix on the right: input `[…][k]`, weights, optional bias `[n]`.
    /// Or of two values `[…][m][k]` and `[…][k][n]`, whose batches broadcast: when the right one is
    /// computed at run time, or is no matrix.
    MatMul {
        /// Weights are `[n][k]` instead of `[k][n]`.
        transposed: bool,
    },
    /// Sum, broadcasting.
    Add,
    /// Product, broadcasting.
    Mul,
    /// Relu and Clip.
    Clamp {
        /// Smallest output.
        low: f32,
        /// Largest output.
        high: f32,
    },
    /// Logistic function.
    Sigmoid,
    /// Hyperbolic tangent.
    Tanh,
    /// Softmax along an axis.
    Softmax {
        /// The axis.
        axis: usize,
    },
    /// LayerNormalization and RMSNormalization.
    LayerNorm(LayerNorm),
    /// LSTM, GRU or RNN.
    Recurrent(Box<Recurrent>),
    /// Weighted sums along one axis.
    Resample(Resampling),
    /// Largest value under a window.
    MaxPool(WindowAttributes),
    /// Where the largest value under a window lies, as an int32 index into the whole input.
    MaxPoolIndices {
        /// Geometry.
        window: WindowAttributes,
        /// Indices count columns outside and rows inside (ONNX's `storage_order` 1).
        column_major: bool,
    },
    /// The p-norm of what is under a window.
    LpPool {
        /// Geometry.
        window: WindowAttributes,
        /// The exponent, at least 1.
        p: u32,
    },
    /// LRN: each value divided by a power of the squares of its neighbouring channels.
    LocalResponse {
        /// How many channels are summed.
        size: u32,
        /// ONNX's alpha.
        alpha: f32,
        /// ONNX's beta.
        beta: f32,
        /// ONNX's bias.
        bias: f32,
    },
    /// Average under a window.
    AveragePool {
        /// Geometry.
        window: WindowAttributes,
        /// Padding counts as zeros.
        count_include_pad: bool,
    },
    /// The same elements in ONNX's order under another shape.
    Reshape,
    /// Axes in another order.
    Transpose {
        /// Axis of the input for each axis of the output.
        perm: Vec<usize>,
    },
    /// Inputs one behind the other.
    Concat {
        /// The axis.
        axis: usize,
    },
    /// Constant padding.
    Pad {
        /// Elements before each axis.
        before: Vec<usize>,
        /// Elements behind each axis.
        after: Vec<usize>,
        /// The padding, in the element type's own unit.
        value: f64,
    },
    /// A function of each float.
    Function(Function),
    /// Whether each float is a NaN.
    IsNan,
    /// Whether each float is infinite.
    IsInf {
        /// The negative infinity counts.
        negative: bool,
        /// The positive infinity counts.
        positive: bool,
    },
    /// A function of two elements of one type, broadcasting.
    Binary(Binary),
    /// Elements of input 0 where input 2, a bool, is true, of input 1 elsewhere; broadcasting.
    Where,
    /// The same elements in another type.
    Cast(DataType),
    /// Every so many elements along each axis.
    Slice {
        /// The first index of each axis.
        starts: Vec<usize>,
        /// From one index to the next; not 0, negative ones go back.
        steps: Vec<i64>,
    },
    /// Indices of one axis that are known, in any order and repeated.
    Take {
        /// The axis.
        axis: usize,
        /// For each index of the output's axis, the one of the input's.
        indices: Vec<u32>,
    },
    /// Elements repeated along axes of length 1 and along new ones in front.
    Expand,
    /// One element for all along some axes, which stay with length 1.
    Reduce {
        /// What becomes of them.
        reduction: Reduction,
        /// The axes, in ascending order.
        axes: Vec<usize>,
    },
    /// The index of the largest or smallest element along an axis, which stays with length 1.
    ArgExtreme {
        /// The largest is looked for, not the smallest.
        largest: bool,
        /// The last of equal ones, not the first.
        last: bool,
        /// The axis.
        axis: usize,
    },
    /// Running sums.
    CumSum {
        /// The axis.
        axis: usize,
        /// Without the element itself.
        exclusive: bool,
        /// From the last element on.
        reverse: bool,
    },
    /// Elements read or written where indices say that are known at run time, and such indices.
    Indexed(Indexed),
    /// QuantizeLinear.
    Quantize(Quantization),
    /// DequantizeLinear.
    Dequantize(Quantization),
}

impl Op {
    /// The element type of the output, given that of input 0.
    pub fn output_type(&self, input: DataType) -> DataType {
        match self {
            Self::Quantize(q) => q.dtype,
            Self::Dequantize(_) => DataType::F32,
            Self::IsNan | Self::IsInf { .. } => DataType::Bool,
            Self::Binary(function) if function.compares() => DataType::Bool,
            Self::Cast(to) => *to,
            Self::ArgExtreme { .. } => DataType::I64,
            Self::MaxPoolIndices { .. } | Self::Indexed(Indexed::TopK { .. }) => DataType::I32,
            _ => input,
        }
    }

    /// Whether input `i` is indices, which say where and are not what is moved.
    pub fn takes_indices(&self, i: usize) -> bool {
        i == 1 && matches!(self, Self::Indexed(op) if op.gathers())
    }

    /// Moves elements and computes nothing, whatever their type.
    pub fn moves(&self) -> bool {
        matches!(
            self,
            Self::Reshape
                | Self::Transpose { .. }
                | Self::Concat { .. }
                | Self::Pad { .. }
                | Self::Slice { .. }
                | Self::Take { .. }
                | Self::Expand
        ) || matches!(self, Self::Indexed(op) if op.gathers())
    }
}

/// One operation.
#[derive(Clone, Debug)]
pub struct Node {
    /// Name in the ONNX model, for messages.
    pub name: String,
    /// What it computes.
    pub op: Op,
    /// Its inputs.
    pub inputs: Vec<ValueId>,
    /// Its output.
    pub output: ValueId,
}

/// A model: nodes in an order in which each comes behind those that it needs.
#[derive(Clone, Debug, Default)]
pub struct Graph {
    /// All tensors.
    pub values: Vec<Value>,
    /// All operations, in execution order.
    pub nodes: Vec<Node>,
    /// Inputs, in the model's order.
    pub inputs: Vec<ValueId>,
    /// Outputs, in the model's order.
    pub outputs: Vec<ValueId>,
    /// Their names: a value may be an output under another name than its own.
    pub output_names: Vec<String>,
    /// Smallest and largest value of int8 and uint8 values that ONNX has in a narrower type, such
    /// as int4.
    pub narrow: HashMap<ValueId, (i32, i32)>,
}

impl Graph {
    /// Adds a value that a node or the caller gives.
    pub fn add_value(
        &mut self,
        name: impl Into<String>,
        dtype: DataType,
        shape: Vec<usize>,
    ) -> ValueId {
        self.values.push(Value {
            name: name.into(),
            dtype,
            shape,
            constant: None,
        });
        self.values.len() - 1
    }

    /// Adds a constant.
    pub fn add_constant(&mut self, name: impl Into<String>, constant: Constant) -> ValueId {
        self.values.push(Value {
            name: name.into(),
            dtype: constant.dtype(),
            shape: constant.shape().to_vec(),
            constant: Some(constant),
        });
        self.values.len() - 1
    }

    /// The constant elements of a value.
    pub fn constant(&self, id: ValueId) -> Option<&Constant> {
        self.values[id].constant.as_ref()
    }

    /// The constant floats of a value.
    pub fn constant_f32(&self, id: ValueId) -> Option<&ArrayD<f32>> {
        self.constant(id)?.as_f32()
    }

    /// The dimensions of a value.
    pub fn shape(&self, id: ValueId) -> &[usize] {
        &self.values[id].shape
    }

    /// For each value, the index of the node that computes it.
    pub fn producers(&self) -> Vec<Option<usize>> {
        let mut producers = vec![None; self.values.len()];
        for (index, node) in self.nodes.iter().enumerate() {
            producers[node.output] = Some(index);
        }
        producers
    }

    /// For each value, how often it is used; an output of the model counts as a use.
    pub fn use_counts(&self) -> Vec<usize> {
        let mut uses = vec![0; self.values.len()];
        let read = self.nodes.iter().flat_map(|node| &node.inputs);
        for &id in read.chain(&self.outputs) {
            uses[id] += 1;
        }
        uses
    }

    /// Number of nodes on the longest path, and the value at its end.
    pub fn depth(&self) -> (usize, Option<ValueId>) {
        let mut depths = vec![0; self.values.len()];
        for node in &self.nodes {
            let deepest = node.inputs.iter().map(|&id| depths[id]).max();
            depths[node.output] = deepest.unwrap_or(0) + 1;
        }
        let outputs = self.nodes.iter().map(|node| node.output);
        let deepest = outputs.max_by_key(|&id| depths[id]);
        (deepest.map_or(0, |id| depths[id]), deepest)
    }

    /// Removes nodes whose outputs nobody uses.
    pub fn remove_dead_nodes(&mut self) {
        let mut live = vec![false; self.values.len()];
        for &id in &self.outputs {
            live[id] = true;
        }
        for node in self.nodes.iter().rev() {
            if live[node.output] {
                for &input in &node.inputs {
                    live[input] = true;
                }
            }
        }
        self.nodes.retain(|node| live[node.output]);
    }
}
