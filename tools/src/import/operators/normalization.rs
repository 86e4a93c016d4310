//! Batch normalisation and softmax.

use anyhow::{Context as _, Result, ensure};
use ndarray::{ArrayD, IxDyn};

use super::{axis, require_float};
use crate::graph::{Constant, Op, ValueId};
use crate::import::Context;

pub(super) fn batch_normalization(context: &mut Context<'_>) -> Result<ValueId> {
    context.only_attributes(&["epsilon", "momentum", "spatial", "training_mode"])?;
    require_float(context)?;
    ensure!(
        context.int("training_mode", 0) == 0 && context.int("spatial", 1) == 1,
        "training mode and non-spatial statistics are not supported: export for inference"
    );
    let shape = context.shape(0)?;
    ensure!(
        shape.len() >= 2,
        "its input has shape {shape:?}, without channels"
    );
    let parameter = |i: usize| -> Result<ArrayD<f32>> {
        let values = context.graph.constant_f32(context.input(i)?);
        let values = values.with_context(|| format!("input {i} has to be a constant"))?;
        ensure!(
            values.shape() == [shape[1]],
            "input {i} has shape {:?}",
            values.shape()
        );
        Ok(values.clone())
    };
    let [scale, bias, mean, variance] =
        [parameter(1)?, parameter(2)?, parameter(3)?, parameter(4)?];
    let epsilon = context.float("epsilon", 1e-5);
    // y = (x - mean) / sqrt(variance + epsilon) * scale + bias, as one product and one sum.
    // In f64, so that the folded constants carry one rounding.
    let mut factors = Vec::new();
    let mut offsets = Vec::new();
    for c in 0..shape[1] {
        let factor = f64::from(scale[c]) / (f64::from(variance[c]) + f64::from(epsilon)).sqrt();
        factors.push(factor as f32);
        offsets.push((f64::from(bias[c]) - f64::from(mean[c]) * factor) as f32);
    }
    let mut along_channels = vec![1; shape.len() - 1];
    along_channels[0] = shape[1];
    let mut constant = |name: &str, values: Vec<f32>| -> Result<ValueId> {
        let array = ArrayD::from_shape_vec(IxDyn(&along_channels), values)?;
        let name = format!("{}.{name}", context.output);
        Ok(context.graph.add_constant(name, Constant::F32(array)))
    };
    let (factor, offset) = (constant("factor", factors)?, constant("offset", offsets)?);
    let (input, scaled) = (context.input(0)?, format!("{}.scaled", context.output));
    let scaled = context.emit_named(&scaled, Op::Mul, vec![input, factor], shape.clone())?;
    context.emit(Op::Add, vec![scaled, offset], shape)
}

pub(super) fn softmax(context: &mut Context<'_>) -> Result<ValueId> {
    context.only_attributes(&["axis"])?;
    require_float(context)?;
    let (input, shape) = (context.input(0)?, context.shape(0)?);
    let before_13 = context.opset < 13;
    let axis = axis(
        context.int("axis", if before_13 { 1 } else { -1 }),
        shape.len(),
    )?;
    if !before_13 || axis + 1 == shape.len() {
        return context.emit(Op::Softmax { axis }, vec![input], shape);
    }
    // Before operator set 13, softmax runs over all axes from `axis` on, as one.
    let rows = shape[..axis].iter().product();
    let flat = vec![rows, shape[axis..].iter().product()];
    let names = ["flat", "softmax"].map(|part| format!("{}.{part}", context.output));
    let x = context.emit_named(&names[0], Op::Reshape, vec![input], flat.clone())?;
    let y = context.emit_named(&names[1], Op::Softmax { axis: 1 }, vec![x], flat)?;
    context.emit(Op::Reshape, vec![y], shape)
}
