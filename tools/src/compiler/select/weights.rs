//! Constant weights of a layer in integers: less their zero points, as int8.

use ndarray::{ArrayD, Axis, IxDyn, Slice};

use super::{Label, Selector, View};
use crate::compiler::builder::Int8Weights;
use crate::graph::{Constant, Op, Quantization, ValueId};

/// Weights as a layer takes them.
pub(super) struct LayerWeights {
    /// int8 weights. Those that int8 does not hold are a sum of several, one for each time that
    /// their input channel is there.
    pub(super) weights: Int8Weights,
    /// Input channels (of a group) that the layer wants again, behind the others.
    again: Vec<usize>,
}

impl LayerWeights {
    /// The input of the layer with the channels that it wants again, in each of `groups` along
    /// `axis`.
    pub(super) fn input(
        &self,
        selector: &mut Selector<'_>,
        x: &View,
        axis: usize,
        groups: usize,
    ) -> View {
        if self.again.is_empty() {
            return x.clone();
        }
        let own = x.shape[axis] / groups;
        let group = |g: usize| {
            (0..own)
                .chain(self.again.iter().copied())
                .map(move |i| (g * own + i) as u32)
        };
        let indices: Vec<u32> = (0..groups).flat_map(group).collect();
        let mut shape = x.shape.clone();
        shape[axis] = indices.len();
        let label = Label {
            name: format!("{}.again", selector.builder.tensors[x.tensor].name),
            ..Label::default()
        };
        selector.builder.taken(x, axis, &indices, label, &shape)
    }
}

impl Selector<'_> {
    /// Weights less their zero points, with their scales along the output axis, and an int32 bias
    /// in units of input scale * weight scale; `None` when they are anything else.
    pub(super) fn int8_weights(
        &self,
        weights: ValueId,
        axis: usize,
        bias: Option<ValueId>,
        input_scale: f32,
    ) -> Option<LayerWeights> {
        let node = self.node(weights)?;
        let Op::Dequantize(q) = &node.op else {
            return None;
        };
        let mut values = centred(self.graph.constant(node.inputs[0])?, q)?;
        let channels = values.shape()[axis];
        if q.axis.is_some_and(|a| a != axis) {
            return None;
        }
        let mut scales = spread(&q.scale, channels);
        let mut bias = match bias {
            None => vec![0; channels],
            Some(id) => self.int32_bias(id, &scales, input_scale)?,
        };
        // A negative scale is a positive one with all signs turned, to the bit.
        for (c, scale) in scales.iter_mut().enumerate().filter(|(_, s)| **s < 0.0) {
            *scale = -*scale;
            bias[c] = -bias[c];
            values.index_axis_mut(Axis(axis), c).mapv_inplace(|w| -w);
        }
        let (weights, again) = split(values, 1 - axis)?;
        let weights = Int8Weights {
            weights,
            scales,
            bias,
        };
        Some(LayerWeights { weights, again })
    }

    /// An int32 bias whose scale is that of the sums, but for how the exporter rounded it.
    fn int32_bias(&self, id: ValueId, scales: &[f32], input_scale: f32) -> Option<Vec<i64>> {
        let node = self.node(id)?;
        let Op::Dequantize(q) = &node.op else {
            return None;
        };
        let Constant::I32(array) = self.graph.constant(node.inputs[0])? else {
            return None;
        };
        let own = spread(&q.scale, scales.len());
        let fits = own.iter().zip(scales).all(|(&bias, &weight)| {
            let sum = input_scale * weight;
            (bias - sum).abs() <= sum.abs() * 1e-5
        });
        let plain = array.len() == scales.len() && q.zero_point.iter().all(|&z| z == 0);
        (fits && plain).then(|| array.iter().map(|&b| b.into()).collect())
    }
}

/// A scale for each channel.
fn spread(scales: &[f32], channels: usize) -> Vec<f32> {
    match scales {
        [one] => vec![*one; channels],
        all => all.to_vec(),
    }
}

/// int8 or uint8 weights less their zero points, which lie between -255 and 255.
fn centred(weights: &Constant, q: &Quantization) -> Option<ArrayD<i32>> {
    if !matches!(weights, Constant::I8(_) | Constant::U8(_)) {
        return None;
    }
    let integers = weights.to_i64()?.into_iter().map(|w| w as i32);
    let mut values = ArrayD::from_shape_vec(IxDyn(weights.shape()), integers.collect()).ok()?;
    match (q.axis, q.zero_point.as_slice()) {
        (_, [zero_point]) => values.mapv_inplace(|w| w - zero_point),
        (Some(axis), all) => {
            for (mut channel, zero_point) in values.axis_iter_mut(Axis(axis)).zip(all) {
                channel.mapv_inplace(|w| w - zero_point);
            }
        }
        (None, _) => return None,
    }
    Some(values)
}

/// The values as int8. What is beyond int8 goes into copies of its index along `axis`, behind the
/// others: which ones, in their order.
fn split(mut rest: ArrayD<i32>, axis: usize) -> Option<(ArrayD<i8>, Vec<usize>)> {
    let part = |w: i32| w.clamp(-128, 127);
    let mut parts = vec![rest.mapv(|w| part(w) as i8)];
    rest.mapv_inplace(|w| w - part(w));
    let mut again = Vec::new();
    while rest.iter().any(|&w| w != 0) {
        for i in 0..rest.shape()[axis] {
            let slice = Slice::from(i..=i);
            let index = rest.slice_axis(Axis(axis), slice);
            if index.iter().any(|&w| w != 0) {
                parts.push(index.mapv(|w| part(w) as i8));
                again.push(i);
            }
        }
        rest.mapv_inplace(|w| w - part(w));
    }
    let views: Vec<_> = parts.iter().map(|part| part.view()).collect();
    Some((ndarray::concatenate(Axis(axis), &views).ok()?, again))
}
