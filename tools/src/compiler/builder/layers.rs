//! Float layers: transposed convolutions, products of two activations, normalisations of rows,
//! resampling.

use anyhow::Result;
use ndarray::IxDyn;
use niwaki::artifact::{Blob, DataType};
use niwaki::ops;
use niwaki::ops::{
    ConvTransposeF32Params, LayerNormF32Params, MatMulF32Params, MatMulShape, ResampleF32Params,
    Strides,
};

use super::{Builder, Label, LinearF32, View, walk};
use crate::graph::WindowAttributes;
use crate::layers::{LayerNorm, Moment, Resampling};

impl Builder {
    /// A float transposed convolution with a fused clamp; weights `[in][out / group][kernel…]`.
    ///
    /// # Errors
    ///
    /// When the weights do not have the shape that they should have.
    pub fn conv_transpose_f32(
        &mut self,
        x: &View,
        attributes: &WindowAttributes,
        group: usize,
        linear: &LinearF32<'_>,
        label: Label,
        shape: &[usize],
    ) -> Result<View> {
        let x = self.image(x);
        let window = Self::window(&x, attributes, shape);
        let (group_in, group_out) = (x.shape[1] / group, shape[1] / group);
        let taps = [window.kernel_h as usize, window.kernel_w as usize];
        let apart = [group, group_in, group_out, taps[0], taps[1]];
        let weights = linear.weights.as_standard_layout().into_owned();
        let weights = weights.into_shape_with_order(IxDyn(&apart))?;
        // [group][in][out][h][w] to [group][h][w][in][out].
        let weights = weights.permuted_axes(IxDyn(&[0, 3, 4, 1, 2]));
        let bias: Vec<f32> = match linear.bias {
            Some(bias) => bias.iter().copied().collect(),
            None => vec![0.0; shape[1]],
        };
        let params = ConvTransposeF32Params {
            window,
            groups: group as u32,
            group_in: group_in as u32,
            group_out: group_out as u32,
            low: linear.clamp.0,
            high: linear.clamp.1,
            weights: self.store_f32(weights.iter().copied()),
            bias: self.store_f32(bias),
        };
        let output = self.image_output(label, DataType::F32, shape);
        Ok(self.push(ops::ConvTransposeF32, &[&x], &params, output))
    }

    /// Sizes and steps of a product of two activations, each of which may lie in any order: the
    /// output `shape` is `[…][rows][columns]`, and batches broadcast.
    pub(super) fn mat_mul_shape([a, b]: [&View; 2], shape: &[usize]) -> MatMulShape {
        let batch = shape.len() - 2;
        let mut dims = shape[..batch].to_vec();
        dims.push(1);
        let operand = |view: &View| -> (Strides, [u32; 2]) {
            let steps = view.steps();
            let own = view.shape.len() - 2;
            let mut strides = vec![0; batch - own];
            let stride = |axis: usize| match view.shape[axis] {
                1 => 0,
                _ => steps[axis] as usize,
            };
            strides.extend((0..own).map(stride));
            strides.push(0);
            let matrix = [steps[own] as u32, steps[own + 1] as u32];
            (walk(&dims, &strides), matrix)
        };
        let ((left_batch, left), (right_batch, right)) = (operand(a), operand(b));
        MatMulShape {
            batch: [left_batch, right_batch],
            rows: shape[batch] as u32,
            depth: a.shape[a.shape.len() - 1] as u32,
            columns: shape[batch + 1] as u32,
            left,
            right,
        }
    }

    /// A float product of two activations with a fused clamp.
    pub fn mat_mul_f32(
        &mut self,
        operands: [&View; 2],
        (low, high): (f32, f32),
        label: Label,
        shape: &[usize],
    ) -> View {
        let params = MatMulF32Params {
            shape: Self::mat_mul_shape(operands, shape),
            low,
            high,
        };
        let output = self.port(label, DataType::F32, shape);
        self.push(ops::MatMulF32, &operands, &params, output)
    }

    /// Rows normalised by their own mean and variance; `rest` are scale and bias, if there are.
    pub fn layer_norm(
        &mut self,
        x: &View,
        rest: &[View],
        norm: LayerNorm,
        label: Label,
        shape: &[usize],
    ) -> View {
        // A row in ONNX's order, as scale and bias have it; rows in the order in which they lie.
        let outside = x.order.iter().copied().filter(|&axis| axis < norm.axis);
        let order: Vec<usize> = outside.chain(norm.axis..x.shape.len()).collect();
        let x = self.arranged(x, &order);
        let len: usize = x.shape[norm.axis..].iter().product();
        let params = LayerNormF32Params {
            rows: (x.shape.iter().product::<usize>() / len) as u32,
            len: len as u32,
            epsilon: norm.epsilon,
            centred: norm.centred.into(),
            result: match norm.result {
                Moment::Normalized => 0,
                Moment::Mean => 1,
                Moment::InverseDeviation => 2,
            },
        };
        let rest: Vec<View> = rest.iter().map(|view| self.in_onnx_order(view)).collect();
        let inputs: Vec<&View> = std::iter::once(&x).chain(&rest).collect();
        let output = self.tensor(label, DataType::F32, shape.to_vec(), order);
        self.push(ops::LayerNormF32, &inputs, &params, output)
    }

    /// Weighted sums along one axis, wherever it lies in memory.
    pub fn resampled(
        &mut self,
        x: &View,
        resampling: &Resampling,
        label: Label,
        shape: &[usize],
    ) -> View {
        let axis = resampling.axis;
        let (outer, inner) = Self::around(x, axis);
        let indices = resampling.indices.iter().flat_map(|i| i.to_le_bytes());
        let params = ResampleF32Params {
            outer,
            in_len: x.shape[axis] as u32,
            out_len: shape[axis] as u32,
            inner,
            taps: resampling.taps as u32,
            outside: resampling.outside,
            indices: Blob::at(self.store_bytes(indices.collect())),
            weights: self.store_f32(resampling.weights.iter().copied()),
        };
        let output = self.tensor(label, DataType::F32, shape.to_vec(), x.order.clone());
        self.push(ops::ResampleF32, &[x], &params, output)
    }
}
