//! QuantizeLinear and DequantizeLinear.

use anyhow::{Context as _, Result, ensure};

use super::axis;
use crate::graph::{DataType, Op, Quantization, ValueId};
use crate::import::Context;

/// Scale and zero point of a QuantizeLinear or DequantizeLinear of a tensor of shape `shape`.
fn quantization(
    context: &Context<'_>,
    shape: &[usize],
    default_type: DataType,
) -> Result<Quantization> {
    context.only_attributes(&[
        "axis",
        "saturate",
        "block_size",
        "output_dtype",
        "precision",
    ])?;
    ensure!(
        context.int("block_size", 0) == 0,
        "attribute `block_size` (blocked quantisation) is not supported; per tensor and per axis are"
    );
    let scale = context.graph.constant_f32(context.input(1)?);
    let scale = scale.context("its scale (input 1) has to be a constant float32")?;
    let per_axis = scale.ndim() > 0 && (scale.len() > 1 || shape.len() == 1);
    let axis = if per_axis && scale.len() > 1 {
        Some(axis(context.int("axis", 1), shape.len())?)
    } else {
        None
    };
    if let Some(axis) = axis {
        ensure!(
            scale.ndim() == 1 && scale.len() == shape[axis],
            "{} scales do not fit axis {axis} of {shape:?}",
            scale.len()
        );
    }
    ensure!(
        scale.iter().all(|s| s.is_finite() && *s > 0.0),
        "its scale has to be finite and greater than 0"
    );
    let (zero_point, dtype) = match context.optional_input(2) {
        None => (vec![0; scale.len()], default_type),
        Some(id) => {
            let constant = context.graph.constant(id);
            let constant = constant.context("its zero point (input 2) has to be a constant")?;
            let values = constant
                .to_i64()
                .context("its zero point has to be of integers")?;
            ensure!(
                values.len() == scale.len(),
                "{} zero points do not fit {} scales",
                values.len(),
                scale.len()
            );
            (values.iter().map(|&z| z as i32).collect(), constant.dtype())
        }
    };
    Ok(Quantization {
        scale: scale.iter().copied().collect(),
        zero_point,
        axis,
        dtype,
    })
}

pub(super) fn quantize_linear(context: &mut Context<'_>) -> Result<ValueId> {
    let (input, shape) = (context.input(0)?, context.shape(0)?);
    let quantization = quantization(context, &shape, DataType::U8)?;
    ensure!(
        matches!(quantization.dtype, DataType::I8 | DataType::U8),
        "quantisation to {} is not supported; int8 and uint8 are",
        quantization.dtype.name()
    );
    ensure!(
        quantization.axis.is_none(),
        "activations quantised per axis are not supported; per tensor is"
    );
    context.emit(Op::Quantize(quantization), vec![input], shape)
}

pub(super) fn dequantize_linear(context: &mut Context<'_>) -> Result<ValueId> {
    let (input, shape) = (context.input(0)?, context.shape(0)?);
    let dtype = context.graph.values[input].dtype;
    let quantization = quantization(context, &shape, dtype)?;
    ensure!(
        matches!(dtype, DataType::I8 | DataType::U8 | DataType::I32) && dtype == quantization.dtype,
        "input of type {} is not supported; int8, uint8 and int32 are",
        dtype.name()
    );
    ensure!(
        quantization.axis.is_none() || context.graph.constant(input).is_some(),
        "activations quantised per axis are not supported; per tensor is"
    );
    context.emit(Op::Dequantize(quantization), vec![input], shape)
}
