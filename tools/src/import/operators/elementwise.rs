//! Functions of one element, and of two with broadcasting.

use anyhow::{Context as _, Result, ensure};

use super::{broadcast, require_float};
use crate::graph::{DataType, Op, ValueId};
use crate::import::Context;

fn binary(context: &mut Context<'_>, op: Op) -> Result<ValueId> {
    context.only_attributes(&[])?;
    require_float(context)?;
    let shape = broadcast(&context.shape(0)?, &context.shape(1)?)?;
    let inputs = vec![context.input(0)?, context.input(1)?];
    context.emit(op, inputs, shape)
}

pub(super) fn add(context: &mut Context<'_>) -> Result<ValueId> {
    binary(context, Op::Add)
}

pub(super) fn mul(context: &mut Context<'_>) -> Result<ValueId> {
    binary(context, Op::Mul)
}

fn unary(context: &mut Context<'_>, op: Op) -> Result<ValueId> {
    require_float(context)?;
    let (input, shape) = (context.input(0)?, context.shape(0)?);
    context.emit(op, vec![input], shape)
}

pub(super) fn relu(context: &mut Context<'_>) -> Result<ValueId> {
    context.only_attributes(&[])?;
    unary(
        context,
        Op::Clamp {
            low: 0.0,
            high: f32::INFINITY,
        },
    )
}

pub(super) fn sigmoid(context: &mut Context<'_>) -> Result<ValueId> {
    context.only_attributes(&[])?;
    unary(context, Op::Sigmoid)
}

pub(super) fn tanh(context: &mut Context<'_>) -> Result<ValueId> {
    context.only_attributes(&[])?;
    unary(context, Op::Tanh)
}

pub(super) fn clip(context: &mut Context<'_>) -> Result<ValueId> {
    context.only_attributes(&["min", "max"])?;
    let bound = |i: usize, name: &str, default: f32| -> Result<f32> {
        let Some(id) = context.optional_input(i) else {
            return Ok(context.float(name, default));
        };
        let values = context.graph.constant_f32(id);
        let values = values
            .with_context(|| format!("its {name} (input {i}) has to be a constant float32"))?;
        values
            .iter()
            .next()
            .copied()
            .with_context(|| format!("its {name} is empty"))
    };
    let low = bound(1, "min", f32::NEG_INFINITY)?;
    // ONNX: where min is above max, every element becomes max.
    let high = bound(2, "max", f32::INFINITY)?;
    let op = Op::Clamp {
        low: low.min(high),
        high,
    };
    let inputs = vec![context.input(0)?];
    ensure!(
        context.graph.values[inputs[0]].dtype == DataType::F32,
        "only float32 is supported"
    );
    let shape = context.shape(0)?;
    context.emit(op, inputs, shape)
}
