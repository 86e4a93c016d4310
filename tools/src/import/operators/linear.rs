//! Convolutions and matrix products.

use anyhow::{Context as _, Result, ensure};

use super::{broadcast, require_float};
use crate::functions::Binary;
use crate::graph::{Constant, DataType, Op, ValueId};
use crate::import::Context;

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
    let group = groups(context)?;
    ensure!(
        w[1].checked_mul(group) == Some(x[1]) && w[0].is_multiple_of(group),
        "{} input channels, weights of shape {w:?} and {group} groups do not agree",
        x[1]
    );
    let (window, spatial) = context.window(&x[2..], kernel(context, &w)?)?;
    let inputs = with_bias(context, w[0])?;
    let mut shape = vec![x[0], w[0]];
    shape.extend(spatial);
    context.emit(Op::Conv { window, group }, inputs, shape)
}

/// Attribute `group` of a convolution.
fn groups(context: &Context<'_>) -> Result<usize> {
    let group = usize::try_from(context.int("group", 1)).ok();
    let group = group.filter(|&group| group > 0);
    group.context("attribute `group` has to be at least 1")
}

/// The kernel of a convolution: that of the weights, which the attribute may say again.
fn kernel(context: &Context<'_>, weights: &[usize]) -> Result<Vec<usize>> {
    let kernel = weights[2..].to_vec();
    if let Some(given) = context.ints("kernel_shape") {
        ensure!(
            given.iter().map(|&k| k as usize).eq(kernel.iter().copied()),
            "attribute `kernel_shape` {given:?} is not that of the weights, {kernel:?}"
        );
    }
    Ok(kernel)
}

/// Input, weights, and the bias if there is one.
fn with_bias(context: &Context<'_>, channels: usize) -> Result<Vec<ValueId>> {
    let mut inputs = vec![context.input(0)?, context.input(1)?];
    if let Some(bias) = context.optional_input(2) {
        let shape = context.graph.shape(bias);
        ensure!(
            shape == [channels],
            "its bias has shape {shape:?}; [{channels}] is accepted"
        );
        inputs.push(bias);
    }
    Ok(inputs)
}

pub(super) fn conv_transpose(context: &mut Context<'_>) -> Result<ValueId> {
    context.only_attributes(&[
        "auto_pad",
        "dilations",
        "group",
        "kernel_shape",
        "output_padding",
        "output_shape",
        "pads",
        "strides",
    ])?;
    require_float(context)?;
    let (x, w) = (context.shape(0)?, context.shape(1)?);
    ensure!(
        x.len() == w.len() && x.len() >= 3 && x[1] == w[0],
        "input of shape {x:?} and weights of shape {w:?} are not those of a transposed convolution"
    );
    let group = groups(context)?;
    ensure!(
        w[0].is_multiple_of(group),
        "{} input channels do not fit {group} groups",
        w[0]
    );
    let channels = w[1].checked_mul(group).context("too many groups")?;
    let (window, spatial) = context.transposed_window(&x[2..], kernel(context, &w)?)?;
    let inputs = with_bias(context, channels)?;
    let mut shape = vec![x[0], channels];
    shape.extend(spatial);
    context.emit(Op::ConvTranspose { window, group }, inputs, shape)
}

/// Whether a value is constant, or a constant that is dequantised.
fn is_constant(context: &Context<'_>, id: ValueId) -> bool {
    let graph = &*context.graph;
    let dequantized = context.producer(id).is_some_and(|node| {
        matches!(node.op, Op::Dequantize(_)) && graph.constant(node.inputs[0]).is_some()
    });
    graph.constant(id).is_some() || dequantized
}

/// The product of two values with at least two axes each, whose batches broadcast.
fn product(context: &mut Context<'_>, part: &str, a: ValueId, b: ValueId) -> Result<ValueId> {
    let (x, w) = (
        context.graph.shape(a).to_vec(),
        context.graph.shape(b).to_vec(),
    );
    let (left, right) = (x.len() - 2, w.len() - 2);
    ensure!(
        x[left + 1] == w[right],
        "shapes {x:?} and {w:?} cannot be multiplied"
    );
    let name = context.part(part);
    let mut shape = broadcast(&x[..left], &w[..right])?;
    shape.extend([x[left], w[right + 1]]);
    if w.len() == 2 && is_constant(context, b) {
        return context.emit_named(&name, Op::MatMul { transposed: false }, vec![a, b], shape);
    }
    context.emit_named(&name, Op::BatchMatMul, vec![a, b], shape)
}

pub(super) fn mat_mul(context: &mut Context<'_>) -> Result<ValueId> {
    context.only_attributes(&[])?;
    require_float(context)?;
    let (x, w) = (context.shape(0)?, context.shape(1)?);
    let (mut a, mut b) = (context.input(0)?, context.input(1)?);
    ensure!(
        !x.is_empty() && !w.is_empty(),
        "shapes {x:?} and {w:?} cannot be multiplied"
    );
    // A vector on the left is a row, one on the right a column; the axis goes again behind.
    if let [len] = x[..] {
        a = context.reshaped("row", a, &[1, len])?;
    }
    if let [len] = w[..] {
        b = context.reshaped("column", b, &[len, 1])?;
    }
    if x.len() > 1 && w.len() > 1 {
        return product(context, "", a, b);
    }
    let y = product(context, "product", a, b)?;
    let mut shape = context.graph.shape(y).to_vec();
    if w.len() == 1 {
        shape.pop();
    }
    if x.len() == 1 {
        shape.remove(shape.len() - 1 - usize::from(w.len() > 1));
    }
    context.reshaped("", y, &shape)
}

/// Gemm step by step: what is on its right is computed at run time.
fn gemm_of_activations(context: &mut Context<'_>) -> Result<ValueId> {
    let (alpha, beta) = (context.float("alpha", 1.0), context.float("beta", 1.0));
    let mut operands = [context.input(0)?, context.input(1)?];
    let names = ["transA", "transB"];
    for (operand, name) in operands.iter_mut().zip(names) {
        if context.int(name, 0) != 0 {
            let mut shape = context.graph.shape(*operand).to_vec();
            shape.reverse();
            let op = Op::Transpose { perm: vec![1, 0] };
            *operand = context.emit_named(&context.part(name), op, vec![*operand], shape)?;
        }
    }
    let bias = context.optional_input(2).filter(|_| beta != 0.0);
    let last = bias.is_none() && alpha == 1.0;
    let part = if last { "" } else { "product" };
    let [a, b] = operands;
    let mut y = product(context, part, a, b)?;
    if alpha != 1.0 {
        let alpha = context.scalar(DataType::F32, alpha.into());
        let part = if bias.is_none() { "" } else { "scaled" };
        y = context.binary(part, Binary::Mul, y, alpha)?;
    }
    let Some(mut bias) = bias else {
        return Ok(y);
    };
    if beta != 1.0 {
        let beta = context.scalar(DataType::F32, beta.into());
        bias = context.binary("beta", Binary::Mul, bias, beta)?;
    }
    let (of_bias, shape) = (context.graph.shape(bias), context.graph.shape(y));
    ensure!(
        broadcast(of_bias, shape)? == shape,
        "its bias of shape {of_bias:?} does not fit the output {shape:?}"
    );
    context.binary("", Binary::Add, y, bias)
}

pub(super) fn gemm(context: &mut Context<'_>) -> Result<ValueId> {
    context.only_attributes(&["alpha", "beta", "broadcast", "transA", "transB"])?;
    require_float(context)?;
    let transposed = context.int("transB", 0) != 0;
    let (mut x, w) = (context.shape(0)?, context.shape(1)?);
    ensure!(
        x.len() == 2 && w.len() == 2,
        "shapes {x:?} and {w:?} are not matrices"
    );
    if !is_constant(context, context.input(1)?) {
        return gemm_of_activations(context);
    }
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
    if bias_shape == [n] && is_constant(context, bias) {
        return context.emit(Op::MatMul { transposed }, vec![input, weights, bias], shape);
    }
    let product = format!("{}.product", context.output);
    let op = Op::MatMul { transposed };
    let product = context.emit_named(&product, op, vec![input, weights], shape.clone())?;
    context.emit(Op::Add, vec![product, bias], shape)
}
