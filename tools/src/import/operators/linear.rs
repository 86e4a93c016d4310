//! Convolutions and matrix products.

use anyhow::{Context as _, Result, bail, ensure};

use super::{broadcast, require_float, volume};
use crate::graph::{Constant, Op, ValueId};
use crate::import::Context;

/// The kernel of weights of that shape, which `kernel_shape` must not contradict.
pub(super) fn kernel_of(context: &Context<'_>, weights: &[usize]) -> Result<Vec<usize>> {
    let kernel = weights[2..].to_vec();
    if let Some(given) = context.ints("kernel_shape") {
        ensure!(
            given.iter().map(|&k| k as usize).eq(kernel.iter().copied()),
            "attribute `kernel_shape` {given:?} is not that of the weights, {kernel:?}"
        );
    }
    Ok(kernel)
}

/// The attribute `group`, which has to fit the shapes of input and weights.
pub(super) fn groups_of(context: &Context<'_>, x: &[usize], w: &[usize]) -> Result<usize> {
    let group = usize::try_from(context.int("group", 1))
        .ok()
        .filter(|&g| g > 0);
    let group = group.context("attribute `group` has to be at least 1")?;
    ensure!(
        w[1].checked_mul(group) == Some(x[1]) && w[0].is_multiple_of(group),
        "{} input channels, weights of shape {w:?} and {group} groups do not agree",
        x[1]
    );
    Ok(group)
}

/// The bias of a convolution, which is input `i`: one element for each output channel.
pub(super) fn bias_of(context: &Context<'_>, i: usize, channels: usize) -> Result<Option<ValueId>> {
    if let Some(bias) = context.optional_input(i) {
        let shape = context.graph.shape(bias);
        ensure!(
            shape == [channels],
            "its bias has shape {shape:?}; [{channels}] is accepted"
        );
    }
    Ok(context.optional_input(i))
}

pub(super) fn conv(context: &mut Context<'_>) -> Result<ValueId> {
    context.only_attributes(&[
        "auto_pad",
        "dilations",
        "group",
        "kernel_shape",
        "pads",
        "strides",
    ])?;
    require_float(context)?;
    let (x, w) = (context.shape(0)?, context.shape(1)?);
    ensure!(
        x.len() == w.len() && x.len() >= 3,
        "input of shape {x:?} and weights of shape {w:?} are not those of a convolution"
    );
    let group = groups_of(context, &x, &w)?;
    let (window, spatial) = context.window(&x[2..], kernel_of(context, &w)?)?;
    let mut inputs = vec![context.input(0)?, context.input(1)?];
    inputs.extend(bias_of(context, 2, w[0])?);
    let mut shape = vec![x[0], w[0]];
    shape.extend(spatial);
    if shape.len() == 5 && !shape.contains(&0) {
        return volume::conv(context, inputs, &window, group, &shape);
    }
    context.emit(Op::Conv { window, group }, inputs, shape)
}

/// Refuses a product whose right side is computed at run time.
fn require_weights(context: &Context<'_>, id: ValueId) -> Result<()> {
    let graph = &*context.graph;
    let dequantized = context.producer(id).is_some_and(|node| {
        matches!(node.op, Op::Dequantize(_)) && graph.constant(node.inputs[0]).is_some()
    });
    ensure!(
        graph.constant(id).is_some() || dequantized,
        "its right side `{}` is computed at run time; a constant is accepted",
        graph.values[id].name
    );
    Ok(())
}

pub(super) fn mat_mul(context: &mut Context<'_>) -> Result<ValueId> {
    context.only_attributes(&[])?;
    require_float(context)?;
    let (x, w) = (context.shape(0)?, context.shape(1)?);
    require_weights(context, context.input(1)?)?;
    let [k, n] = w.as_slice() else {
        bail!("its right side has shape {w:?}; a matrix [k, n] is accepted");
    };
    ensure!(
        !x.is_empty() && x.last() == Some(k),
        "shapes {x:?} and {w:?} cannot be multiplied"
    );
    let mut shape = x.clone();
    shape[x.len() - 1] = *n;
    let inputs = vec![context.input(0)?, context.input(1)?];
    context.emit(Op::MatMul { transposed: false }, inputs, shape)
}

pub(super) fn gemm(context: &mut Context<'_>) -> Result<ValueId> {
    context.only_attributes(&["alpha", "beta", "broadcast", "transA", "transB"])?;
    require_float(context)?;
    let transposed = context.int("transB", 0) != 0;
    let (mut x, w) = (context.shape(0)?, context.shape(1)?);
    require_weights(context, context.input(1)?)?;
    ensure!(
        x.len() == 2 && w.len() == 2,
        "shapes {x:?} and {w:?} are not matrices"
    );
    let mut input = context.input(0)?;
    if context.int("transA", 0) != 0 {
        x.reverse();
        let name = format!("{}.transposed", context.output);
        let op = Op::Transpose { perm: vec![1, 0] };
        input = context.emit_named(&name, op, vec![input], x.clone())?;
    }
    let (k, n) = if transposed {
        (w[1], w[0])
    } else {
        (w[0], w[1])
    };
    ensure!(x[1] == k, "shapes {x:?} and {w:?} cannot be multiplied");
    let mut weights = context.input(1)?;
    let (alpha, beta) = (context.float("alpha", 1.0), context.float("beta", 1.0));
    if alpha != 1.0 {
        let values = context.graph.constant_f32(weights).map(|w| w * alpha);
        let values = values.context("attribute `alpha` other than 1 needs float32 weights")?;
        weights = context
            .graph
            .add_constant(format!("{}.alpha", context.output), Constant::F32(values));
    }
    let shape = vec![x[0], n];
    let Some(mut bias) = context.optional_input(2).filter(|_| beta != 0.0) else {
        return context.emit(Op::MatMul { transposed }, vec![input, weights], shape);
    };
    if beta != 1.0 {
        let values = context.graph.constant_f32(bias).map(|c| c * beta);
        let values =
            values.context("attribute `beta` other than 1 needs a constant float32 bias")?;
        bias = context
            .graph
            .add_constant(format!("{}.beta", context.output), Constant::F32(values));
    }
    let bias_shape = context.graph.shape(bias).to_vec();
    ensure!(
        broadcast(&bias_shape, &shape)? == shape,
        "its bias of shape {bias_shape:?} does not fit the output {shape:?}"
    );
    if bias_shape == [n] {
        return context.emit(Op::MatMul { transposed }, vec![input, weights, bias], shape);
    }
    let product = format!("{}.product", context.output);
    let op = Op::MatMul { transposed };
    let product = context.emit_named(&product, op, vec![input, weights], shape.clone())?;
    context.emit(Op::Add, vec![product, bias], shape)
}
