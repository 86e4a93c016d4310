//! Normalisations and softmax.

use anyhow::{Context as _, Result, bail, ensure};
use ndarray::{ArrayD, IxDyn};

use super::{axis, broadcast, require_float, require_test};
use crate::functions::{Binary, Function, Reduction};
use crate::graph::{Constant, DataType, Op, ValueId};
use crate::import::Context;
use crate::layers::{LayerNorm, Moment};

pub(super) fn batch_normalization(context: &mut Context<'_>) -> Result<Vec<ValueId>> {
    context.only_attributes(&["epsilon", "is_test", "momentum", "spatial", "training_mode"])?;
    require_float(context)?;
    require_test(context)?;
    ensure!(
        context.int("spatial", 1) == 1,
        "non-spatial statistics are not supported: export for inference"
    );
    let shape = context.shape(0)?;
    ensure!(
        shape.len() >= 2,
        "its input has shape {shape:?}, without channels"
    );
    if context.int("training_mode", 0) != 0 {
        return normalized_by_itself(context, &shape);
    }
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
    Ok(vec![context.emit(Op::Add, vec![scaled, offset], shape)?])
}

/// Batch normalisation with the statistics of the input itself (training mode): the result, and the
/// running mean and variance that follow.
fn normalized_by_itself(context: &mut Context<'_>, shape: &[usize]) -> Result<Vec<ValueId>> {
    let x = context.input(0)?;
    for i in 1..5 {
        let found = context.shape(i)?;
        ensure!(
            found == [shape[1]],
            "input {i} has shape {found:?}; [{}] is accepted",
            shape[1]
        );
    }
    let axes: Vec<usize> = (0..shape.len()).filter(|&axis| axis != 1).collect();
    let momentum = context.float("momentum", 0.9);
    let [mean, centred, variance] = context.moments(x, &axes)?;
    let epsilon = context.float("epsilon", 1e-5);
    let standard = context.over_deviation("standard", centred, variance, epsilon)?;
    let scale = along_channels(context, 1, "scale", shape.len())?;
    let bias = along_channels(context, 2, "bias", shape.len())?;
    let scaled = context.binary("scaled", Binary::Mul, standard, scale)?;
    let mut outputs = vec![context.binary("", Binary::Add, scaled, bias)?];
    for (i, now) in [(3, mean), (4, variance)] {
        // running * momentum + now * (1 - momentum)
        let now = context.reshaped(&format!("now{i}"), now, &[shape[1]])?;
        let [old, new] =
            [momentum, 1.0 - momentum].map(|v| context.scalar(DataType::F32, v.into()));
        let kept = context.input(i)?;
        let kept = context.binary(&format!("kept{i}"), Binary::Mul, kept, old)?;
        let now = context.binary(&format!("new{i}"), Binary::Mul, now, new)?;
        let name = context.output_name(i - 2);
        outputs.push(context.emit_named(&name, Op::Add, vec![kept, now], vec![shape[1]])?);
    }
    Ok(outputs)
}

pub(super) fn local_response(context: &mut Context<'_>) -> Result<ValueId> {
    context.only_attributes(&["alpha", "beta", "bias", "size"])?;
    require_float(context)?;
    let (x, shape) = (context.input(0)?, context.shape(0)?);
    let size = u32::try_from(context.int("size", 0)).ok();
    let size = size.filter(|&size| size > 0 && shape.len() >= 2);
    let op = Op::LocalResponse {
        size: size.with_context(|| {
            format!("attribute `size` has to be at least 1, and its input of shape {shape:?} to have channels")
        })?,
        alpha: context.float("alpha", 1e-4),
        beta: context.float("beta", 0.75),
        bias: context.float("bias", 1.0),
    };
    context.emit(op, vec![x], shape)
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

/// What LayerNormalization and RMSNormalization have in common: everything but the outputs.
fn norm_of_rows(context: &Context<'_>, centred: bool) -> Result<LayerNorm> {
    context.only_attributes(&["axis", "epsilon", "stash_type"])?;
    require_float(context)?;
    ensure!(
        context.int("stash_type", 1) == 1,
        "attribute `stash_type` is not 1: statistics are computed in float32"
    );
    let shape = context.shape(0)?;
    ensure!(
        !shape.contains(&0),
        "its input of shape {shape:?} has no elements"
    );
    Ok(LayerNorm {
        axis: axis(context.int("axis", -1), shape.len())?,
        epsilon: context.float("epsilon", 1e-5),
        centred,
        result: Moment::Normalized,
    })
}

/// The same value for every row: expanded to a row's shape. `None` where it differs from row to
/// row.
fn per_row(
    context: &mut Context<'_>,
    id: ValueId,
    part: &str,
    row: &[usize],
) -> Result<Option<ValueId>> {
    let mut shape = context.graph.shape(id).to_vec();
    while shape.len() > row.len() && shape[0] == 1 {
        shape.remove(0);
    }
    if shape.len() > row.len() || broadcast(&shape, row)? != row {
        return Ok(None);
    }
    let id = context.reshaped(&format!("{part}.row"), id, &shape)?;
    if shape == row {
        return Ok(Some(id));
    }
    let name = context.part(part);
    let expanded = context.emit_named(&name, Op::Expand, vec![id], row.to_vec())?;
    Ok(Some(expanded))
}

/// Normalised rows, scaled (input 1) and shifted (input 2).
fn normalized_rows(context: &mut Context<'_>, norm: LayerNorm) -> Result<ValueId> {
    let (x, shape) = (context.input(0)?, context.shape(0)?);
    let mut inputs = vec![x];
    let mut behind = Vec::new();
    for (i, function, part) in [(1, Binary::Mul, "scale"), (2, Binary::Add, "bias")] {
        let Some(id) = context.optional_input(i) else {
            continue;
        };
        ensure!(
            broadcast(context.graph.shape(id), &shape)? == shape,
            "its {part} of shape {:?} does not fit an input of shape {shape:?}",
            context.graph.shape(id)
        );
        match per_row(context, id, part, &shape[norm.axis..])? {
            Some(row) if inputs.len() == i && behind.is_empty() => inputs.push(row),
            _ => behind.push((function, id)),
        }
    }
    let last = behind.pop();
    let part = |last: bool, part: &'static str| if last { "" } else { part };
    let name = context.part(part(last.is_none(), "rows"));
    let mut y = context.emit_named(&name, Op::LayerNorm(norm), inputs, shape)?;
    for (function, id) in behind {
        y = context.binary("scaled", function, y, id)?;
    }
    match last {
        Some((function, id)) => context.binary("", function, y, id),
        None => Ok(y),
    }
}

pub(super) fn layer_normalization(context: &mut Context<'_>) -> Result<Vec<ValueId>> {
    let norm = norm_of_rows(context, true)?;
    let (x, mut shape) = (context.input(0)?, context.shape(0)?);
    let mut outputs = vec![normalized_rows(context, norm)?];
    shape[norm.axis..].fill(1);
    for (i, result) in [(1, Moment::Mean), (2, Moment::InverseDeviation)] {
        let name = context.output_name(i);
        let op = Op::LayerNorm(LayerNorm { result, ..norm });
        outputs.push(context.emit_named(&name, op, vec![x], shape.clone())?);
    }
    Ok(outputs)
}

pub(super) fn rms_normalization(context: &mut Context<'_>) -> Result<ValueId> {
    let norm = norm_of_rows(context, false)?;
    normalized_rows(context, norm)
}

/// Per-channel parameters as `[1, channels, 1, …]`.
fn along_channels(context: &mut Context<'_>, i: usize, part: &str, rank: usize) -> Result<ValueId> {
    let id = context.input(i)?;
    let mut shape = vec![1; rank];
    shape[1] = context.graph.shape(id).iter().product();
    context.reshaped(part, id, &shape)
}

pub(super) fn instance_normalization(context: &mut Context<'_>) -> Result<ValueId> {
    context.only_attributes(&["epsilon"])?;
    require_float(context)?;
    let (x, shape) = (context.input(0)?, context.shape(0)?);
    ensure!(
        shape.len() >= 3,
        "its input has shape {shape:?}, without spatial axes"
    );
    let axes: Vec<usize> = (2..shape.len()).collect();
    let standard = context.standardized("standard", x, &axes, context.float("epsilon", 1e-5))?;
    let scale = along_channels(context, 1, "scale", shape.len())?;
    let bias = along_channels(context, 2, "bias", shape.len())?;
    let scaled = context.binary("scaled", Binary::Mul, standard, scale)?;
    context.binary("", Binary::Add, scaled, bias)
}

pub(super) fn group_normalization(context: &mut Context<'_>) -> Result<ValueId> {
    context.only_attributes(&["epsilon", "num_groups", "stash_type"])?;
    require_float(context)?;
    let (x, shape) = (context.input(0)?, context.shape(0)?);
    let groups = usize::try_from(context.int("num_groups", 0)).unwrap_or(0);
    ensure!(
        shape.len() >= 3 && groups > 0 && shape[1].is_multiple_of(groups),
        "{groups} groups do not fit an input of shape {shape:?}"
    );
    let rest: usize = shape[1..].iter().product();
    let grouped = context.reshaped("grouped", x, &[shape[0], groups, rest / groups])?;
    let epsilon = context.float("epsilon", 1e-5);
    let mut standard = context.standardized("standard", grouped, &[2], epsilon)?;
    // Operator set 18 has one scale for each group, 21 one for each channel.
    let per_group = context.opset < 21;
    let rank = if per_group { 3 } else { shape.len() };
    if !per_group {
        standard = context.reshaped("apart", standard, &shape)?;
    }
    let scale = along_channels(context, 1, "scale", rank)?;
    let bias = along_channels(context, 2, "bias", rank)?;
    let scaled = context.binary("scaled", Binary::Mul, standard, scale)?;
    let part = if per_group { "shifted" } else { "" };
    let shifted = context.binary(part, Binary::Add, scaled, bias)?;
    context.reshaped("", shifted, &shape)
}

pub(super) fn mean_variance_normalization(context: &mut Context<'_>) -> Result<ValueId> {
    context.only_attributes(&["axes"])?;
    require_float(context)?;
    let (x, shape) = (context.input(0)?, context.shape(0)?);
    let axes = context.ints("axes").unwrap_or_else(|| vec![0, 2, 3]);
    let axes = axes
        .iter()
        .map(|&a| axis(a, shape.len()))
        .collect::<Result<Vec<_>>>()?;
    let mean = context.mean("mean", x, &axes)?;
    let centred = context.binary("centred", Binary::Sub, x, mean)?;
    let square = context.binary("square", Binary::Mul, centred, centred)?;
    let variance = context.mean("variance", square, &axes)?;
    let deviation = context.function("deviation", Function::Sqrt, variance)?;
    let epsilon = context.scalar(DataType::F32, 1e-9);
    let deviation = context.binary("positive", Binary::Add, deviation, epsilon)?;
    context.binary("", Binary::Div, centred, deviation)
}

pub(super) fn lp_normalization(context: &mut Context<'_>) -> Result<ValueId> {
    context.only_attributes(&["axis", "p"])?;
    require_float(context)?;
    let (x, shape) = (context.input(0)?, context.shape(0)?);
    let axis = axis(context.int("axis", -1), shape.len())?;
    let norm = match context.int("p", 2) {
        1 => {
            let size = context.function("size", Function::Abs, x)?;
            context.reduce("norm", Reduction::Sum, size, &[axis])?
        }
        2 => {
            let square = context.binary("square", Binary::Mul, x, x)?;
            let sum = context.reduce("sum", Reduction::Sum, square, &[axis])?;
            context.function("norm", Function::Sqrt, sum)?
        }
        p => bail!("attribute `p` is {p}; 1 and 2 are accepted"),
    };
    // Zeros have the norm 0 and stay zeros.
    let least = context.scalar(DataType::F32, f32::MIN_POSITIVE.into());
    let norm = context.binary("positive", Binary::Max, norm, least)?;
    context.binary("", Binary::Div, x, norm)
}
