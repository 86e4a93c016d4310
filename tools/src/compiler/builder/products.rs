//! The ends of int8 products, and products and means that are no layer with weights.

use anyhow::{Result, ensure};
use niwaki::artifact::{Blob, DataType};
use niwaki::ops;
use niwaki::ops::MatMulI8Params;

use super::{Builder, Int8Output, Int8Weights, Label, View};
use crate::graph::WindowAttributes;

/// How far from 0 an output may be for its rounding to be 0, with room for the roundings of the
/// multiplier.
const STILL: f32 = 0.49;

impl Builder {
    /// Folds the zero point into the bias, computes the multipliers, and proves that no sum can
    /// leave i32, or that it does not matter.
    pub(super) fn rescale(
        &mut self,
        weights: &Int8Weights,
        input_scale: f32,
        input_zero_point: i32,
        output_scale: f32,
        name: &str,
    ) -> Result<(Blob<i32>, Blob<f32>)> {
        let (mut folded, mut multipliers) = (Vec::new(), Vec::new());
        let channels = weights.weights.outer_iter().zip(&weights.bias).enumerate();
        for (c, (channel, &bias)) in channels {
            let multiplier = input_scale * weights.scales[c] / output_scale;
            ensure!(
                multiplier.is_finite(),
                "`{name}`: its scales give a multiplier that is not finite"
            );
            let sum: i64 = channel.iter().map(|&w| i64::from(w)).sum();
            let magnitude: i64 = channel.iter().map(|&w| i64::from(w).abs()).sum();
            let start = bias - i64::from(input_zero_point) * sum;
            // Every partial sum, whatever the order: products of plain input bytes, and zero
            // points where a weight meets padding.
            let largest = start.abs() + magnitude * 128;
            // A channel whose scale is next to nothing (its bias is then as large as int32 goes)
            // gives the zero point whatever its sum is, wrapped or not.
            let still = largest as f32 * multiplier < STILL;
            ensure!(
                largest <= i64::from(i32::MAX) || still,
                "`{name}`: the sum of output channel {c} may reach {largest}, beyond 32 bits: use smaller weights or split the layer"
            );
            folded.push(start as i32);
            multipliers.push(multiplier);
        }
        Ok((self.store_i32(&folded), self.store_f32(multipliers)))
    }

    /// An int8 product of two values, broadcasting over all axes but the last two, with fused
    /// rescale and activation.
    pub fn mat_mul_i8(
        &mut self,
        [(a, affine_a), (b, affine_b)]: [(&View, (f32, i32)); 2],
        out: Int8Output,
        label: Label,
        shape: &[usize],
    ) -> Result<View> {
        let depth = a.shape[a.shape.len() - 1];
        let reach = |zero_point: i32| i64::from((127 - zero_point).max(zero_point + 128));
        let largest = depth as i64 * reach(affine_a.1) * reach(affine_b.1);
        ensure!(
            largest <= i64::from(i32::MAX),
            "`{}`: its sums may reach {largest}, beyond 32 bits: split the product",
            label.name
        );
        let multiplier = affine_a.0 * affine_b.0 / out.scale;
        ensure!(
            multiplier.is_finite(),
            "`{}`: its scales give a multiplier that is not finite",
            label.name
        );
        let params = MatMulI8Params {
            shape: Self::mat_mul_shape([a, b], shape),
            input_zero_points: [affine_a.1, affine_b.1],
            multiplier,
            output_zero_point: out.zero_point,
            low: out.low,
            high: out.high,
        };
        let output = self.port(label, DataType::I8, shape);
        Ok(self.push(ops::MatMulI8, &[a, b], &params, output))
    }

    /// The mean of int8 along axes, with fused rescale and activation: one element for each index
    /// of the other axes, in their order, then axes of length 1.
    pub fn mean_i8(
        &mut self,
        x: &View,
        affine: (f32, i32),
        axes: &[usize],
        out: Int8Output,
        label: Label,
    ) -> View {
        let kept: Vec<usize> = (0..x.shape.len()).filter(|a| !axes.contains(a)).collect();
        let perm: Vec<usize> = kept.iter().chain(axes).copied().collect();
        let mut view = self.transposed(x, &perm);
        if kept.len() != 2 || !(1..=2).contains(&axes.len()) {
            let size = |axes: &[usize]| axes.iter().map(|&a| x.shape[a]).product();
            view = self.reshaped(&view, &[1, size(&kept), size(axes)]);
        }
        let kernel = view.shape[2..].to_vec();
        let mut shape = view.shape.clone();
        shape[2..].fill(1);
        let window = WindowAttributes {
            strides: vec![1; kernel.len()],
            dilations: vec![1; kernel.len()],
            pads_begin: vec![0; kernel.len()],
            pads_end: vec![0; kernel.len()],
            kernel,
        };
        self.average_pool_i8(&view, affine, &window, false, out, label, &shape)
    }
}
