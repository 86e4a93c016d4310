//! The artifact under construction: tensors, operators with their parameters, constants.
//!
//! Values keep ONNX's axis order in the graph; in memory an image is stored channels last. A
//! [`View`] says in which order the axes of a value lie in memory, so that a transpose is a new
//! view of the same bytes, and becomes an operator only where someone needs another order.

mod functions;
mod indexed;
mod layers;
mod movement;
mod products;
mod recurrent;
mod reduce;
#[cfg(test)]
mod tests;
mod windowed;

use std::collections::HashMap;

use anyhow::Result;
use ndarray::{ArrayD, IxDyn};
use niwaki::MAX_RANK;
use niwaki::artifact::{Blob, DataType, OperatorHeader, RawOperator, Record, Strip, Tensor};
use niwaki::ops;
use niwaki::ops::{
    AffineParams, AveragePoolF32Params, AveragePoolI8Params, AxisParams, BinaryF32Params,
    BinaryI8Params, ClampParams, ConcatParams, ConvF32Params, ConvI8Params, DepthwiseF32Params,
    DepthwiseI8Params, FullyConnectedF32Params, FullyConnectedI8Params, LookupParams,
    MaxPoolParams, PadParams, Registered, SoftmaxF32Params, SoftmaxI8Params, Strides,
    TransposeParams, Window,
};

use crate::graph::{Constant, Quantization, ValueId, WindowAttributes};
pub use recurrent::RecurrentWeights;

/// A tensor of the artifact.
#[derive(Clone, Debug)]
pub struct BuiltTensor {
    /// Name in the ONNX model.
    pub name: String,
    /// The graph's value, when it is one.
    pub value: Option<ValueId>,
    /// Element type.
    pub dtype: DataType,
    /// Dimensions in ONNX's order.
    pub shape: Vec<usize>,
    /// Which axis each dimension in memory is.
    pub order: Vec<usize>,
    /// Offset in the data section, for a constant.
    pub data: Option<u32>,
    /// Scale and zero point, for a quantised tensor.
    pub affine: Option<(f32, i32)>,
    /// Rows that the arena holds at a time; 0 for all. The plan sets it.
    pub held: u8,
}

impl BuiltTensor {
    /// Size in bytes.
    pub fn byte_len(&self) -> usize {
        self.shape.iter().product::<usize>() * self.dtype.bytes()
    }

    /// The record, but for place and name.
    pub fn record(&self) -> Tensor {
        let mut dims = [1; MAX_RANK];
        let mut layout = 0;
        for (i, &axis) in self.order.iter().enumerate() {
            dims[i] = self.shape[axis] as u32;
            layout |= (axis as u32) << (4 * i);
        }
        Tensor {
            dtype: self.dtype,
            storage: niwaki::artifact::Storage::Arena,
            rank: self.order.len() as u8,
            held: self.held,
            dims,
            layout,
            offset: 0,
            scale: self.affine.map_or(0.0, |(scale, _)| scale),
            zero_point: self.affine.map_or(0, |(_, zero_point)| zero_point),
            name: niwaki::artifact::Text::EMPTY,
        }
    }
}

/// An operator of the artifact.
#[derive(Clone, Debug)]
pub struct BuiltOperator {
    /// The tensor that it writes.
    pub output: usize,
    /// The tensors that it reads.
    pub inputs: Vec<usize>,
    /// Its whole record.
    pub record: Vec<u32>,
    /// Which words of the record are offsets in the data section.
    pub blobs: Vec<usize>,
}

impl BuiltOperator {
    /// The operator with its record, which names its kind and parameters.
    pub fn new<P: Record>(code: u16, inputs: Vec<usize>, params: &P, output: usize) -> Self {
        let mut record = Vec::new();
        let indices: Vec<u16> = inputs.iter().map(|&tensor| tensor as u16).collect();
        RawOperator::write(code, &[output as u16], &indices, params, &mut |word| {
            record.push(word);
        });
        let first = record.len() - P::WORDS;
        let blobs = (0..P::WORDS.min(128)).filter(|i| P::BLOBS >> i & 1 == 1);
        Self {
            output,
            inputs,
            blobs: blobs.map(|i| first + i).collect(),
            record,
        }
    }

    /// Has it run in so many strips.
    pub fn run_in_strips(&mut self, strips: u16, strip: &Strip) {
        let mut words = Vec::new();
        strip.write(&mut |word| words.push(word));
        self.blobs.iter_mut().for_each(|at| *at += words.len());
        // The count is the upper half of the header's last word; the strip follows the header.
        self.record[OperatorHeader::WORDS - 1] |= u32::from(strips) << 16;
        let behind = OperatorHeader::WORDS..OperatorHeader::WORDS;
        self.record.splice(behind, words);
    }
}

/// A value as it lies in memory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct View {
    /// The tensor that holds it.
    pub tensor: usize,
    /// Dimensions in ONNX's order.
    pub shape: Vec<usize>,
    /// Which axis each dimension in memory is.
    pub order: Vec<usize>,
}

impl View {
    fn identity_order(&self) -> Vec<usize> {
        (0..self.shape.len()).collect()
    }

    /// Batch and spatial axes outside, channels inside.
    fn channels_last(&self) -> Vec<usize> {
        let rank = self.shape.len();
        [0].into_iter().chain(2..rank).chain([1]).collect()
    }

    /// Whether the bytes lie as they would in `order`: axes of length 1 can stand anywhere.
    fn lies_in(&self, order: &[usize]) -> bool {
        let long = |order: &[usize]| -> Vec<usize> {
            order
                .iter()
                .copied()
                .filter(|&a| self.shape[a] != 1)
                .collect()
        };
        long(&self.order) == long(order)
    }
}

/// What the output of an operator is: its name, the value that it stands for, and how it is
/// quantised.
#[derive(Clone, Debug, Default)]
pub struct Label {
    /// Name in the ONNX model.
    pub name: String,
    /// The graph's value.
    pub value: Option<ValueId>,
    /// Scale and zero point.
    pub affine: Option<(f32, i32)>,
}

/// The end of an int8 operator: what rescales, shifts and clamps its sums.
#[derive(Clone, Copy, Debug)]
pub struct Int8Output {
    /// Scale of the output.
    pub scale: f32,
    /// Zero point of the output.
    pub zero_point: i32,
    /// Smallest output value.
    pub low: i32,
    /// Largest output value.
    pub high: i32,
}

/// Integer weights of a convolution or matrix product, output channels first.
#[derive(Clone, Debug)]
pub struct Int8Weights {
    /// `[out][in / group][kernel…]`, or `[n][k]`.
    pub weights: ArrayD<i8>,
    /// One scale for each output channel.
    pub scales: Vec<f32>,
    /// One for each output channel, in units of input scale * weight scale.
    pub bias: Vec<i64>,
}

/// Float weights of a linear layer, with its bias and the clamp behind it.
#[derive(Clone, Copy, Debug)]
pub struct LinearF32<'w> {
    /// The weights, as ONNX has them.
    pub weights: &'w ArrayD<f32>,
    /// One for each output channel.
    pub bias: Option<&'w ArrayD<f32>>,
    /// Smallest and largest output.
    pub clamp: (f32, f32),
}

/// The artifact under construction.
#[derive(Clone, Debug, Default)]
pub struct Builder {
    /// All tensors.
    pub tensors: Vec<BuiltTensor>,
    /// All operators, in execution order.
    pub operators: Vec<BuiltOperator>,
    /// The data section.
    pub data: Vec<u8>,
    /// Where each run of constants is, so that equal ones are stored once.
    stored: HashMap<Vec<u8>, u32>,
    /// The length of the run at each offset.
    runs: HashMap<u32, usize>,
}

impl Builder {
    /// Adds a tensor that is not constant, in ONNX's order.
    pub fn port(&mut self, label: Label, dtype: DataType, shape: &[usize]) -> View {
        let order = (0..shape.len()).collect();
        self.tensor(label, dtype, shape.to_vec(), order)
    }

    fn tensor(
        &mut self,
        label: Label,
        dtype: DataType,
        shape: Vec<usize>,
        order: Vec<usize>,
    ) -> View {
        self.tensors.push(BuiltTensor {
            name: label.name,
            value: label.value,
            dtype,
            shape: shape.clone(),
            order: order.clone(),
            data: None,
            affine: label.affine,
            held: 0,
        });
        View {
            tensor: self.tensors.len() - 1,
            shape,
            order,
        }
    }

    pub(super) fn store_bytes(&mut self, bytes: Vec<u8>) -> u32 {
        if bytes.is_empty() {
            return 0;
        }
        if let Some(&offset) = self.stored.get(&bytes) {
            return offset;
        }
        self.data.resize(self.data.len().next_multiple_of(4), 0);
        let offset = self.data.len() as u32;
        self.data.extend(&bytes);
        self.runs.insert(offset, bytes.len());
        self.stored.insert(bytes, offset);
        offset
    }

    /// Lays the data section out anew with only what tensors and operators still name.
    pub(super) fn compact(&mut self) {
        let old = std::mem::take(&mut self.data);
        let runs = std::mem::take(&mut self.runs);
        self.stored.clear();
        let moved = |builder: &mut Self, offset: u32| match runs.get(&offset) {
            Some(len) => builder.store_bytes(old[offset as usize..][..*len].to_vec()),
            None => offset,
        };
        for i in 0..self.tensors.len() {
            if let Some(offset) = self.tensors[i].data {
                self.tensors[i].data = Some(moved(self, offset));
            }
        }
        for i in 0..self.operators.len() {
            for at in self.operators[i].blobs.clone() {
                let offset = self.operators[i].record[at];
                self.operators[i].record[at] = moved(self, offset);
            }
        }
    }

    pub(super) fn store_i8(&mut self, values: impl IntoIterator<Item = i8>) -> Blob<i8> {
        Blob::at(self.store_bytes(values.into_iter().map(i8::cast_unsigned).collect()))
    }

    pub(super) fn store_u8(&mut self, values: &[u8]) -> Blob<u8> {
        Blob::at(self.store_bytes(values.to_vec()))
    }

    pub(super) fn store_i32(&mut self, values: &[i32]) -> Blob<i32> {
        Blob::at(self.store_bytes(values.iter().flat_map(|v| v.to_le_bytes()).collect()))
    }

    pub(super) fn store_f32(&mut self, values: impl IntoIterator<Item = f32>) -> Blob<f32> {
        Blob::at(self.store_bytes(values.into_iter().flat_map(f32::to_le_bytes).collect()))
    }

    /// Adds a constant float tensor.
    pub fn constant_f32(&mut self, label: Label, array: &ArrayD<f32>) -> View {
        let offset = self.store_f32(array.iter().copied()).offset;
        self.constant(label, DataType::F32, array.shape(), offset)
    }

    /// Adds a constant int8 tensor.
    pub fn constant_i8(&mut self, label: Label, array: &ArrayD<i8>) -> View {
        let offset = self.store_i8(array.iter().copied()).offset;
        self.constant(label, DataType::I8, array.shape(), offset)
    }

    /// Adds a constant tensor of any type, as it is.
    pub fn constant_of(&mut self, label: Label, constant: &Constant) -> View {
        let offset = self.store_bytes(constant.to_bytes());
        self.constant(label, constant.dtype().stored(), constant.shape(), offset)
    }

    fn constant(&mut self, label: Label, dtype: DataType, shape: &[usize], offset: u32) -> View {
        let view = self.port(label, dtype, shape);
        self.tensors[view.tensor].data = Some(offset);
        view
    }

    fn push<O: Registered, P: Record>(
        &mut self,
        _: O,
        inputs: &[&View],
        params: &P,
        output: View,
    ) -> View {
        let inputs = inputs.iter().map(|view| view.tensor).collect();
        let operator = BuiltOperator::new(O::CODE, inputs, params, output.tensor);
        self.operators.push(operator);
        output
    }

    fn dtype(&self, view: &View) -> DataType {
        self.tensors[view.tensor].dtype
    }

    fn inherited(&self, view: &View, label: Label) -> Label {
        let affine = label.affine.or(self.tensors[view.tensor].affine);
        Label { affine, ..label }
    }

    /// The value with its axes in memory in the given order, moved only if need be.
    pub fn arranged(&mut self, view: &View, order: &[usize]) -> View {
        if view.lies_in(order) {
            return View {
                order: order.to_vec(),
                ..view.clone()
            };
        }
        let name = self.tensors[view.tensor].name.clone();
        let label = Label {
            name: format!("{name}.moved"),
            ..Label::default()
        };
        self.moved(view, order, label)
    }

    /// A copy with its axes in memory in the given order.
    fn moved(&mut self, view: &View, order: &[usize], label: Label) -> View {
        let steps = view.steps();
        let dims: Vec<usize> = order.iter().map(|&axis| view.shape[axis]).collect();
        let strides: Vec<usize> = order.iter().map(|&axis| steps[axis] as usize).collect();
        let params = TransposeParams {
            walk: walk(&dims, &strides),
        };
        let label = self.inherited(view, label);
        let dtype = self.dtype(view);
        let output = self.tensor(label, dtype, view.shape.clone(), order.to_vec());
        self.push(ops::Transpose, &[view], &params, output)
    }

    /// A copy in ONNX's order: an output of the model that no operator writes.
    pub fn copied(&mut self, view: &View, label: Label) -> View {
        self.moved(view, &view.identity_order(), label)
    }

    /// The value in ONNX's order, moved only if need be.
    pub fn in_onnx_order(&mut self, view: &View) -> View {
        self.arranged(view, &view.identity_order())
    }

    /// The same elements under another shape.
    pub fn reshaped(&mut self, view: &View, shape: &[usize]) -> View {
        let mut groups = groups(&view.shape, shape);
        let place = |axis: &usize| view.order.iter().position(|a| a == axis);
        // Axes that become others lie side by side, where the innermost of them lies.
        groups.sort_by_key(|(from, _)| from.iter().filter_map(place).max());
        let short = |shape: &[usize]| -> Vec<usize> {
            (0..shape.len()).filter(|&axis| shape[axis] == 1).collect()
        };
        let mut order = short(&view.shape);
        order.extend(groups.iter().flat_map(|(from, _)| from));
        let view = self.arranged(view, &order);
        let mut order = short(shape);
        order.extend(groups.iter().flat_map(|(_, to)| to));
        View {
            tensor: view.tensor,
            shape: shape.to_vec(),
            order,
        }
    }

    /// Axes in another order: a new view of the same bytes.
    pub fn transposed(&self, view: &View, perm: &[usize]) -> View {
        View {
            tensor: view.tensor,
            shape: perm.iter().map(|&axis| view.shape[axis]).collect(),
            order: view
                .order
                .iter()
                .filter_map(|axis| perm.iter().position(|p| p == axis))
                .collect(),
        }
    }

    fn image(&mut self, view: &View) -> View {
        self.arranged(view, &view.channels_last())
    }

    /// The runtime's window for an image (one or two spatial axes) and its output's sizes.
    fn window(image: &View, attributes: &WindowAttributes, output: &[usize]) -> Window {
        // A one-dimensional image is one row high.
        let pair = |values: &[usize], one: usize| -> [u32; 2] {
            match values {
                [w] => [one as u32, *w as u32],
                [h, w] => [*h as u32, *w as u32],
                _ => [0, 0],
            }
        };
        let [in_h, in_w] = pair(&image.shape[2..], 1);
        let [out_h, out_w] = pair(&output[2..], 1);
        let [kernel_h, kernel_w] = pair(&attributes.kernel, 1);
        let [stride_h, stride_w] = pair(&attributes.strides, 1);
        let [dilation_h, dilation_w] = pair(&attributes.dilations, 1);
        let [pad_top, pad_left] = pair(&attributes.pads_begin, 0);
        let [pad_bottom, pad_right] = pair(&attributes.pads_end, 0);
        Window {
            batch: image.shape[0] as u32,
            in_h,
            in_w,
            out_h,
            out_w,
            kernel_h,
            kernel_w,
            stride_h,
            stride_w,
            dilation_h,
            dilation_w,
            pad_top,
            pad_left,
            pad_bottom,
            pad_right,
        }
    }

    fn image_output(&mut self, label: Label, dtype: DataType, shape: &[usize]) -> View {
        let rank = shape.len();
        let order = [0].into_iter().chain(2..rank).chain([1]).collect();
        self.tensor(label, dtype, shape.to_vec(), order)
    }

    /// A float convolution with a fused clamp.
    #[expect(clippy::too_many_arguments, reason = "each is a part of ONNX's Conv")]
    pub fn conv_f32(
        &mut self,
        x: &View,
        attributes: &WindowAttributes,
        group: usize,
        weights: &ArrayD<f32>,
        bias: Option<&ArrayD<f32>>,
        (low, high): (f32, f32),
        label: Label,
        shape: &[usize],
    ) -> Result<View> {
        let x = self.image(x);
        let window = Self::window(&x, attributes, shape);
        let geometry = Geometry::new(&window, group, weights.shape());
        let bias: Vec<f32> = match bias {
            Some(bias) => bias.iter().copied().collect(),
            None => vec![0.0; geometry.out_channels],
        };
        let bias = self.store_f32(bias);
        let weights = geometry.grouped(weights)?;
        let output = self.image_output(label, DataType::F32, shape);
        if geometry.is_pointwise() {
            // [1, out, in, 1, 1] to [in, out].
            let weights = weights.permuted_axes(IxDyn(&[0, 3, 4, 2, 1]));
            let params = FullyConnectedF32Params {
                rows: window.batch * window.in_h * window.in_w,
                depth: geometry.group_in as u32,
                outputs: geometry.out_channels as u32,
                low,
                high,
                weights: self.store_f32(weights.iter().copied()),
                bias,
            };
            return Ok(self.push(ops::FullyConnectedF32, &[&x], &params, output));
        }
        if geometry.is_depthwise() {
            // [channels, 1, 1, h, w] to [h, w, channels].
            let weights = weights.permuted_axes(IxDyn(&[3, 4, 0, 1, 2]));
            let params = DepthwiseF32Params {
                window,
                channels: geometry.out_channels as u32,
                low,
                high,
                weights: self.store_f32(weights.iter().copied()),
                bias,
            };
            return Ok(self.push(ops::DepthwiseConvF32, &[&x], &params, output));
        }
        let weights = weights.permuted_axes(IxDyn(&[0, 3, 4, 2, 1]));
        let params = ConvF32Params {
            window,
            groups: group as u32,
            group_in: geometry.group_in as u32,
            group_out: geometry.group_out as u32,
            low,
            high,
            weights: self.store_f32(weights.iter().copied()),
            bias,
        };
        Ok(self.push(ops::ConvF32, &[&x], &params, output))
    }

    /// An int8 convolution with fused rescale and activation.
    #[expect(clippy::too_many_arguments, reason = "each is a part of ONNX's Conv")]
    pub fn conv_i8(
        &mut self,
        x: &View,
        (input_scale, input_zero_point): (f32, i32),
        attributes: &WindowAttributes,
        group: usize,
        weights: &Int8Weights,
        out: Int8Output,
        label: Label,
        shape: &[usize],
    ) -> Result<View> {
        let x = self.image(x);
        let window = Self::window(&x, attributes, shape);
        let geometry = Geometry::new(&window, group, weights.weights.shape());
        let (bias, multipliers) = self.rescale(
            weights,
            input_scale,
            input_zero_point,
            out.scale,
            &label.name,
        )?;
        let grouped = geometry.grouped(&weights.weights)?;
        let output = self.image_output(label, DataType::I8, shape);
        if geometry.is_pointwise() {
            let params = FullyConnectedI8Params {
                rows: window.batch * window.in_h * window.in_w,
                depth: geometry.group_in as u32,
                outputs: geometry.out_channels as u32,
                output_zero_point: out.zero_point,
                low: out.low,
                high: out.high,
                weights: self.store_i8(grouped.iter().copied()),
                bias,
                multipliers,
            };
            return Ok(self.push(ops::FullyConnectedI8, &[&x], &params, output));
        }
        if geometry.is_depthwise() {
            let weights = grouped.permuted_axes(IxDyn(&[3, 4, 0, 1, 2]));
            let params = DepthwiseI8Params {
                window,
                channels: geometry.out_channels as u32,
                input_zero_point,
                output_zero_point: out.zero_point,
                low: out.low,
                high: out.high,
                weights: self.store_i8(weights.iter().copied()),
                bias,
                multipliers,
            };
            return Ok(self.push(ops::DepthwiseConvI8, &[&x], &params, output));
        }
        // [group, out, in, h, w] to [group, out, h, w, in].
        let weights = grouped.permuted_axes(IxDyn(&[0, 1, 3, 4, 2]));
        let params = ConvI8Params {
            window,
            groups: group as u32,
            group_in: geometry.group_in as u32,
            group_out: geometry.group_out as u32,
            input_zero_point,
            output_zero_point: out.zero_point,
            low: out.low,
            high: out.high,
            weights: self.store_i8(weights.iter().copied()),
            bias,
            multipliers,
        };
        Ok(self.push(ops::ConvI8, &[&x], &params, output))
    }

    /// A float product with constant weights `[k][n]`, with a fused clamp.
    pub fn fully_connected_f32(
        &mut self,
        x: &View,
        weights: &ArrayD<f32>,
        bias: Option<&ArrayD<f32>>,
        (low, high): (f32, f32),
        label: Label,
        shape: &[usize],
    ) -> View {
        let x = self.in_onnx_order(x);
        let (depth, outputs) = (weights.shape()[0], weights.shape()[1]);
        let bias: Vec<f32> = match bias {
            Some(bias) => bias.iter().copied().collect(),
            None => vec![0.0; outputs],
        };
        let params = FullyConnectedF32Params {
            rows: (x.shape.iter().product::<usize>() / depth) as u32,
            depth: depth as u32,
            outputs: outputs as u32,
            low,
            high,
            weights: self.store_f32(weights.iter().copied()),
            bias: self.store_f32(bias),
        };
        let output = self.port(label, DataType::F32, shape);
        self.push(ops::FullyConnectedF32, &[&x], &params, output)
    }

    /// An int8 product with constant weights `[n][k]`, with fused rescale and activation.
    pub fn fully_connected_i8(
        &mut self,
        x: &View,
        (input_scale, input_zero_point): (f32, i32),
        weights: &Int8Weights,
        out: Int8Output,
        label: Label,
        shape: &[usize],
    ) -> Result<View> {
        let x = self.in_onnx_order(x);
        let (outputs, depth) = (weights.weights.shape()[0], weights.weights.shape()[1]);
        let (bias, multipliers) = self.rescale(
            weights,
            input_scale,
            input_zero_point,
            out.scale,
            &label.name,
        )?;
        let params = FullyConnectedI8Params {
            rows: (x.shape.iter().product::<usize>() / depth) as u32,
            depth: depth as u32,
            outputs: outputs as u32,
            output_zero_point: out.zero_point,
            low: out.low,
            high: out.high,
            weights: self.store_i8(weights.weights.iter().copied()),
            bias,
            multipliers,
        };
        let output = self.port(label, DataType::I8, shape);
        Ok(self.push(ops::FullyConnectedI8, &[&x], &params, output))
    }

    /// Both operands in one order of memory, and the walks through them.
    fn broadcast(
        &mut self,
        a: &View,
        b: &View,
        shape: &[usize],
    ) -> ([View; 2], [Strides; 2], Vec<usize>) {
        let rank = shape.len();
        let lifted = |view: &View| -> View {
            let missing = rank - view.shape.len();
            let mut lifted = vec![1; missing];
            lifted.extend(&view.shape);
            View {
                tensor: view.tensor,
                shape: lifted,
                order: (0..missing)
                    .chain(view.order.iter().map(|a| a + missing))
                    .collect(),
            }
        };
        let (a, b) = (lifted(a), lifted(b));
        // The operand that fills the output decides; the other one follows.
        let order = if a.shape == shape {
            a.order.clone()
        } else {
            b.order.clone()
        };
        let (a, b) = (self.arranged(&a, &order), self.arranged(&b, &order));
        let dims: Vec<usize> = order.iter().map(|&axis| shape[axis]).collect();
        let walk_through = |view: &View| -> Strides {
            let mut strides = vec![0; rank];
            let mut step = 1;
            for (i, &axis) in order.iter().enumerate().rev() {
                let dim = view.shape[axis];
                strides[i] = if dim == 1 { 0 } else { step };
                step *= dim;
            }
            walk(&dims, &strides)
        };
        let walks = merge([walk_through(&a), walk_through(&b)]);
        ([a, b], walks, order)
    }

    /// A float sum or product with a fused clamp.
    pub fn binary_f32(
        &mut self,
        product: bool,
        [a, b]: [&View; 2],
        (low, high): (f32, f32),
        label: Label,
        shape: &[usize],
    ) -> View {
        let ([a, b], walks, order) = self.broadcast(a, b, shape);
        let params = BinaryF32Params { walks, low, high };
        let output = self.tensor(label, DataType::F32, shape.to_vec(), order);
        if product {
            self.push(ops::MulF32, &[&a, &b], &params, output)
        } else {
            self.push(ops::AddF32, &[&a, &b], &params, output)
        }
    }

    /// An int8 sum or product with a fused activation.
    pub fn binary_i8(
        &mut self,
        product: bool,
        operands: [(&View, (f32, i32)); 2],
        out: Int8Output,
        label: Label,
        shape: &[usize],
    ) -> View {
        let [(a, affine_a), (b, affine_b)] = operands;
        let ([a, b], walks, order) = self.broadcast(a, b, shape);
        let params = BinaryI8Params {
            walks,
            input_scales: [affine_a.0, affine_b.0],
            input_zero_points: [affine_a.1, affine_b.1],
            output_scale: out.scale,
            output_zero_point: out.zero_point,
            low: out.low,
            high: out.high,
        };
        let output = self.tensor(label, DataType::I8, shape.to_vec(), order);
        if product {
            self.push(ops::MulI8, &[&a, &b], &params, output)
        } else {
            self.push(ops::AddI8, &[&a, &b], &params, output)
        }
    }

    /// A maximum over a window, of floats or int8.
    pub fn max_pool(
        &mut self,
        x: &View,
        attributes: &WindowAttributes,
        label: Label,
        shape: &[usize],
    ) -> View {
        let x = self.image(x);
        let params = MaxPoolParams {
            window: Self::window(&x, attributes, shape),
            channels: shape[1] as u32,
        };
        let label = self.inherited(&x, label);
        let dtype = self.dtype(&x);
        let output = self.image_output(label, dtype, shape);
        if dtype == DataType::F32 {
            self.push(ops::MaxPoolF32, &[&x], &params, output)
        } else {
            self.push(ops::MaxPoolI8, &[&x], &params, output)
        }
    }

    /// A float average over a window.
    pub fn average_pool_f32(
        &mut self,
        x: &View,
        attributes: &WindowAttributes,
        count_include_pad: bool,
        label: Label,
        shape: &[usize],
    ) -> View {
        let x = self.image(x);
        let params = AveragePoolF32Params {
            window: Self::window(&x, attributes, shape),
            channels: shape[1] as u32,
            count_include_pad: u32::from(count_include_pad),
        };
        let output = self.image_output(label, DataType::F32, shape);
        self.push(ops::AveragePoolF32, &[&x], &params, output)
    }

    /// An int8 average over a window, with fused rescale and activation.
    #[expect(
        clippy::too_many_arguments,
        reason = "each is a part of ONNX's AveragePool"
    )]
    pub fn average_pool_i8(
        &mut self,
        x: &View,
        (input_scale, input_zero_point): (f32, i32),
        attributes: &WindowAttributes,
        count_include_pad: bool,
        out: Int8Output,
        label: Label,
        shape: &[usize],
    ) -> View {
        let x = self.image(x);
        let params = AveragePoolI8Params {
            window: Self::window(&x, attributes, shape),
            channels: shape[1] as u32,
            count_include_pad: u32::from(count_include_pad),
            input_scale,
            input_zero_point,
            output_scale: out.scale,
            output_zero_point: out.zero_point,
            low: out.low,
            high: out.high,
        };
        let output = self.image_output(label, DataType::I8, shape);
        self.push(ops::AveragePoolI8, &[&x], &params, output)
    }

    /// The value with one axis innermost in memory, and the number of rows along it.
    fn with_axis_inside(&mut self, x: &View, axis: usize) -> (View, u32) {
        let mut order: Vec<usize> = x.order.iter().copied().filter(|&a| a != axis).collect();
        order.push(axis);
        let x = self.arranged(x, &order);
        let rows = x.shape.iter().product::<usize>() / x.shape[axis];
        (x, rows as u32)
    }

    /// A float softmax.
    pub fn softmax_f32(&mut self, x: &View, axis: usize, label: Label) -> View {
        let (x, rows) = self.with_axis_inside(x, axis);
        let len = x.shape[axis] as u32;
        let output = self.tensor(label, DataType::F32, x.shape.clone(), x.order.clone());
        self.push(
            ops::SoftmaxF32,
            &[&x],
            &SoftmaxF32Params { rows, len },
            output,
        )
    }

    /// An int8 softmax.
    pub fn softmax_i8(
        &mut self,
        x: &View,
        input_scale: f32,
        axis: usize,
        (output_scale, output_zero_point): (f32, i32),
        label: Label,
    ) -> View {
        let (x, rows) = self.with_axis_inside(x, axis);
        // In f64, so that each entry carries one rounding; by libm, so that every machine compiles
        // the same artifact.
        let exponentials =
            (0..256).map(|d| libm::exp(-f64::from(d) * f64::from(input_scale)) as f32);
        let params = SoftmaxI8Params {
            rows,
            len: x.shape[axis] as u32,
            output_scale,
            output_zero_point,
            exponentials: self.store_f32(exponentials),
        };
        let output = self.tensor(label, DataType::I8, x.shape.clone(), x.order.clone());
        self.push(ops::SoftmaxI8, &[&x], &params, output)
    }

    fn elementwise<O: Registered, P: Record>(
        &mut self,
        operator: O,
        x: &View,
        params: &P,
        dtype: DataType,
        label: Label,
    ) -> View {
        let output = self.tensor(label, dtype, x.shape.clone(), x.order.clone());
        self.push(operator, &[x], params, output)
    }

    /// A float clamp that no other operator took in.
    pub fn clamp_f32(&mut self, x: &View, (low, high): (f32, f32), label: Label) -> View {
        let params = ClampParams { low, high };
        self.elementwise(ops::ClampF32, x, &params, DataType::F32, label)
    }

    /// The logistic function of floats.
    pub fn sigmoid_f32(&mut self, x: &View, label: Label) -> View {
        self.elementwise(ops::SigmoidF32, x, &(), DataType::F32, label)
    }

    /// The hyperbolic tangent of floats.
    pub fn tanh_f32(&mut self, x: &View, label: Label) -> View {
        self.elementwise(ops::TanhF32, x, &(), DataType::F32, label)
    }

    /// A table of bytes, applied to each byte.
    pub fn lookup(&mut self, x: &View, table: &[u8; 256], dtype: DataType, label: Label) -> View {
        let table = Blob::at(self.store_bytes(table.to_vec()));
        self.elementwise(ops::LookupI8, x, &LookupParams { table }, dtype, label)
    }

    /// Floats to int8.
    pub fn quantize(&mut self, x: &View, (scale, zero_point): (f32, i32), label: Label) -> View {
        let params = AffineParams { scale, zero_point };
        self.elementwise(ops::QuantizeI8, x, &params, DataType::I8, label)
    }

    /// Int8 to floats.
    pub fn dequantize(&mut self, x: &View, (scale, zero_point): (f32, i32), label: Label) -> View {
        let params = AffineParams { scale, zero_point };
        self.elementwise(ops::DequantizeI8, x, &params, DataType::F32, label)
    }

    /// Floats to integers of that type, with a scale for the tensor or for each index of an axis.
    pub fn quantize_axis(&mut self, x: &View, quantization: &Quantization, label: Label) -> View {
        let params = self.axis_params(x, quantization);
        let dtype = quantization.dtype.stored();
        self.elementwise(ops::QuantizeAxis, x, &params, dtype, label)
    }

    /// Integers to floats, with a scale for the tensor or for each index of an axis.
    pub fn dequantize_axis(&mut self, x: &View, quantization: &Quantization, label: Label) -> View {
        let params = self.axis_params(x, quantization);
        self.elementwise(ops::DequantizeAxis, x, &params, DataType::F32, label)
    }

    fn axis_params(&mut self, x: &View, quantization: &Quantization) -> AxisParams {
        let len: usize = x.shape.iter().product();
        let behind = |axis: usize| x.order.iter().rev().take_while(move |&&a| a != axis);
        let inner = match quantization.axis {
            Some(axis) => behind(axis).map(|&a| x.shape[a]).product(),
            None => len,
        };
        let channels = quantization.scale.len();
        AxisParams {
            outer: (len / channels / inner) as u32,
            channels: channels as u32,
            inner: inner as u32,
            scales: self.store_f32(quantization.scale.iter().copied()),
            zero_points: self.store_i32(&quantization.zero_point),
        }
    }

    /// Values one behind the other along an axis.
    pub fn concat(&mut self, views: &[View], axis: usize, label: Label, shape: &[usize]) -> View {
        let order = views[0].order.clone();
        let views: Vec<View> = views
            .iter()
            .map(|view| self.arranged(view, &order))
            .collect();
        let outer = order.iter().take_while(|&&a| a != axis);
        let params = ConcatParams {
            outer: outer.map(|&a| shape[a] as u32).product(),
        };
        let label = self.inherited(&views[0], label);
        let dtype = self.dtype(&views[0]);
        let output = self.tensor(label, dtype, shape.to_vec(), order);
        let views: Vec<&View> = views.iter().collect();
        self.push(ops::Concat, &views, &params, output)
    }

    /// Constant padding; `value` is the word or byte that fills.
    pub fn pad(
        &mut self,
        x: &View,
        before: &[usize],
        value: u32,
        label: Label,
        shape: &[usize],
    ) -> View {
        let mut strides = vec![0; shape.len()];
        let (mut step, mut start) = (1, 0);
        for (i, &axis) in x.order.iter().enumerate().rev() {
            strides[i] = step;
            start += before[axis] * step;
            step *= shape[axis];
        }
        let dims: Vec<usize> = x.order.iter().map(|&axis| x.shape[axis]).collect();
        let params = PadParams {
            walk: walk(&dims, &strides),
            start: start as u32,
            value,
        };
        let label = self.inherited(x, label);
        let dtype = self.dtype(x);
        let output = self.tensor(label, dtype, shape.to_vec(), x.order.clone());
        self.push(ops::Pad, &[x], &params, output)
    }
}

/// Sizes of a convolution, and which of the runtime's operators it is.
struct Geometry {
    group: usize,
    group_in: usize,
    group_out: usize,
    out_channels: usize,
    kernel_h: usize,
    kernel_w: usize,
    /// Stride 1 and no padding.
    plain: bool,
}

impl Geometry {
    fn new(window: &Window, group: usize, weights: &[usize]) -> Self {
        let pads = [
            window.pad_top,
            window.pad_left,
            window.pad_bottom,
            window.pad_right,
        ];
        Self {
            group,
            group_in: weights[1],
            group_out: weights[0] / group,
            out_channels: weights[0],
            kernel_h: window.kernel_h as usize,
            kernel_w: window.kernel_w as usize,
            plain: pads == [0; 4] && window.stride_h == 1 && window.stride_w == 1,
        }
    }

    /// Each pixel is a row of a matrix product.
    fn is_pointwise(&self) -> bool {
        self.plain && self.group == 1 && self.kernel_h == 1 && self.kernel_w == 1
    }

    /// Each channel has its own filter.
    fn is_depthwise(&self) -> bool {
        self.group > 1 && self.group_in == 1 && self.group_out == 1
    }

    /// Weights as `[group][out][in][h][w]`.
    fn grouped<T: Clone>(&self, weights: &ArrayD<T>) -> Result<ArrayD<T>> {
        let shape = [
            self.group,
            self.group_out,
            self.group_in,
            self.kernel_h,
            self.kernel_w,
        ];
        let standard = weights.as_standard_layout().into_owned();
        Ok(standard.into_shape_with_order(IxDyn(&shape))?)
    }
}

/// Runs of neighbouring axes of two shapes that hold the same elements, as short as can be; axes of
/// length 1 are left out.
fn groups(from: &[usize], to: &[usize]) -> Vec<(Vec<usize>, Vec<usize>)> {
    let long = |shape: &[usize]| -> Vec<usize> {
        (0..shape.len()).filter(|&axis| shape[axis] != 1).collect()
    };
    let (mut left, mut right) = (long(from).into_iter(), long(to).into_iter());
    let mut groups = Vec::new();
    while let (Some(a), Some(b)) = (left.next(), right.next()) {
        let (mut group, mut sizes) = ((vec![a], vec![b]), (from[a], to[b]));
        while sizes.0 != sizes.1 {
            let (rest, axes, size, shape) = match sizes.0 < sizes.1 {
                true => (&mut left, &mut group.0, &mut sizes.0, from),
                false => (&mut right, &mut group.1, &mut sizes.1, to),
            };
            let Some(axis) = rest.next() else { break };
            axes.push(axis);
            *size *= shape[axis];
        }
        groups.push(group);
    }
    groups
}

/// A walk of the given dimensions, outermost first, filled up to [`MAX_RANK`] from outside.
fn walk(dims: &[usize], strides: &[usize]) -> Strides {
    let mut walk = Strides {
        dims: [1; MAX_RANK],
        strides: [0; MAX_RANK],
    };
    let first = MAX_RANK - dims.len();
    for (i, (&dim, &stride)) in dims.iter().zip(strides).enumerate() {
        walk.dims[first + i] = dim as u32;
        walk.strides[first + i] = if dim == 1 { 0 } else { stride as u32 };
    }
    walk
}

/// Joins neighbouring dimensions that both walks run through as one, so that inner loops are
/// long.
fn merge(walks: [Strides; 2]) -> [Strides; 2] {
    let [a, b] = walks;
    // Innermost first: length, and both strides.
    let mut merged: Vec<(u32, u32, u32)> = Vec::new();
    for i in (0..MAX_RANK).rev() {
        let (dim, step_a, step_b) = (a.dims[i], a.strides[i], b.strides[i]);
        match merged.last_mut() {
            _ if dim == 1 => {}
            Some((len, inner_a, inner_b))
                if step_a == *inner_a * *len && step_b == *inner_b * *len =>
            {
                *len *= dim;
            }
            _ => merged.push((dim, step_a, step_b)),
        }
    }
    let pick = |stride: fn(&(u32, u32, u32)) -> u32| {
        let mut walk = walk(&[], &[]);
        for (i, entry) in merged.iter().enumerate() {
            walk.dims[MAX_RANK - 1 - i] = entry.0;
            walk.strides[MAX_RANK - 1 - i] = stride(entry);
        }
        walk
    };
    [pick(|e| e.1), pick(|e| e.2)]
}
