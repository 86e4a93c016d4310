//! Convolutions and matrix products.

use anyhow::{Context as _, Result, ensure};

use super::{broadcast, require_float, volume};
use crate::functions::Binary;
use crate::graph::{DataType, Op, ValueId};
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

/// Attribute `group` of a convolution.
fn groups(context: &Context<'_>) -> Result<usize> {
    let group = usize::try_from(context.int("group", 1)).ok();
    let group = group.filter(|&group| group > 0);
    group.context("attribute `group` has to be at least 1")
}

/// The attribute `group`, which has to fit the shapes of input and weights.
pub(super) fn groups_of(context: &Context<'_>, x: &[usize], w: &[usize]) -> Result<usize> {
    let group = groups(context)?;
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

/// Input, weights, and the bias if there is one.
fn with_bias(context: &Context<'_>, channels: usize) -> Result<Vec<ValueId>> {
    let mut inputs = vec![context.input(0)?, context.input(1)?];
    inputs.extend(bias_of(context, 2, channels)?);
    Ok(inputs)
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
    let inputs = with_bias(context, w[0])?;
    let mut shape = vec![x[0], w[0]];
    shape.extend(spatial);
    if shape.len() == 5 && !shape.contains(&0) {
        return volume::conv(context, inputs, &window, group, &shape);
    }
    context.emit(Op::Conv { window, group }, inputs, shape)
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
    let (window, spatial) = context.transposed_window(&x[2..], kernel_of(context, &w)?)?;
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
    context.emit_named(&name, Op::MatMul { transposed: false }, vec![a, b], shape)
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

/// Input `i`, a matrix, with its axes exchanged when the attribute says so.
fn matrix(context: &mut Context<'_>, i: usize, attribute: &str) -> Result<ValueId> {
    let (input, mut shape) = (context.input(i)?, context.shape(i)?);
    ensure!(
        shape.len() == 2,
        "input {i} has shape {shape:?}, not that of a matrix"
    );
    if context.int(attribute, 0) == 0 {
        return Ok(input);
    }
    shape.reverse();
    let op = Op::Transpose { perm: vec![1, 0] };
    context.emit_named(&context.part(attribute), op, vec![input], shape)
}

/// A value times an attribute; a constant is multiplied here.
fn times(context: &mut Context<'_>, part: &str, id: ValueId, factor: f32) -> Result<ValueId> {
    if factor == 1.0 {
        return Ok(id);
    }
    let factor = context.scalar(DataType::F32, factor.into());
    context.binary(part, Binary::Mul, id, factor)
}

pub(super) fn gemm(context: &mut Context<'_>) -> Result<ValueId> {
    context.only_attributes(&["alpha", "beta", "broadcast", "transA", "transB"])?;
    require_float(context)?;
    let (mut alpha, beta) = (context.float("alpha", 1.0), context.float("beta", 1.0));
    let a = matrix(context, 0, "transA")?;
    let mut b = context.input(1)?;
    let constant = is_constant(context, b);
    let dequantized = constant && context.graph.constant(b).is_none();
    // Integers that are dequantised stay as they are: what multiplies int8 looks for them.
    let transposed = dequantized && context.int("transB", 0) != 0;
    if !transposed {
        b = matrix(context, 1, "transB")?;
    }
    if constant && !dequantized {
        b = times(context, "weights", b, alpha)?;
        alpha = 1.0;
    }
    let (x, w) = (context.graph.shape(a), context.graph.shape(b));
    let axes = if transposed { [1, 0] } else { [0, 1] };
    ensure!(
        w.len() == 2 && x[1] == w[axes[0]],
        "shapes {x:?} and {w:?} cannot be multiplied"
    );
    let shape = vec![x[0], w[axes[1]]];
    let bias = match context.optional_input(2).filter(|_| beta != 0.0) {
        Some(bias) => Some(times(context, "bias", bias, beta)?),
        None => None,
    };
    if let Some(bias) = bias.map(|bias| context.graph.shape(bias)) {
        ensure!(
            broadcast(bias, &shape)? == shape,
            "its bias of shape {bias:?} does not fit the output {shape:?}"
        );
    }
    let fused = bias.filter(|&bias| {
        let row = context.graph.shape(bias) == &shape[1..];
        row && constant && alpha == 1.0 && is_constant(context, bias)
    });
    let op = Op::MatMul { transposed };
    let mut inputs = vec![a, b];
    inputs.extend(fused);
    let last = alpha == 1.0 && fused == bias;
    let name = context.part(if last { "" } else { "product" });
    let product = context.emit_named(&name, op, inputs, shape)?;
    match bias.filter(|_| fused.is_none()) {
        None => times(context, "", product, alpha),
        Some(bias) => {
            let scaled = times(context, "scaled", product, alpha)?;
            context.binary("", Binary::Add, scaled, bias)
        }
    }
}
