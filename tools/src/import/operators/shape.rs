//! What changes shapes, moves elements, or is a constant.

use anyhow::{Context as _, Result, bail, ensure};
use ndarray::{ArrayD, IxDyn};

use super::{axes, axis, movement};
use crate::graph::{Constant, Op, ValueId};
use crate::import::{Context, tensors};

fn reshape_to(context: &mut Context<'_>, shape: Vec<usize>) -> Result<ValueId> {
    let (input, from) = (context.input(0)?, context.shape(0)?);
    ensure!(
        from.iter().product::<usize>() == shape.iter().product::<usize>(),
        "shape {from:?} cannot become {shape:?}"
    );
    context.emit(Op::Reshape, vec![input], shape)
}

pub(super) fn identity(context: &mut Context<'_>) -> Result<ValueId> {
    // A name for the same value: nothing to compute.
    context.input(0)
}

pub(super) fn reshape(context: &mut Context<'_>) -> Result<ValueId> {
    context.only_attributes(&["allowzero"])?;
    let from = context.shape(0)?;
    let target = context
        .integers(1, "shape")?
        .context("its shape (input 1) is missing")?;
    let keep_zero = context.int("allowzero", 0) != 0;
    let mut shape = Vec::new();
    for (i, &dim) in target.iter().enumerate() {
        shape.push(match dim {
            -1 => 1,
            0 if !keep_zero => *from
                .get(i)
                .context("its shape copies a dimension that is not there")?,
            dim => usize::try_from(dim).context("its shape has a negative dimension")?,
        });
    }
    let product = shape.iter().try_fold(1usize, |n, &dim| n.checked_mul(dim));
    ensure!(product.is_some(), "its shape {target:?} is too large");
    if let Some(unknown) = target.iter().position(|&dim| dim == -1) {
        let (have, rest) = (
            from.iter().product::<usize>(),
            shape.iter().product::<usize>(),
        );
        ensure!(
            rest > 0 && have.is_multiple_of(rest),
            "shape {from:?} cannot become {target:?}"
        );
        shape[unknown] = have / rest;
    }
    reshape_to(context, shape)
}

pub(super) fn flatten(context: &mut Context<'_>) -> Result<ValueId> {
    context.only_attributes(&["axis"])?;
    let from = context.shape(0)?;
    let value = context.int("axis", 1);
    // Unlike elsewhere, the axis may be the rank itself.
    let split = if value == from.len() as i64 {
        from.len()
    } else {
        axis(value, from.len())?
    };
    let shape = vec![
        from[..split].iter().product(),
        from[split..].iter().product(),
    ];
    reshape_to(context, shape)
}

pub(super) fn squeeze(context: &mut Context<'_>) -> Result<ValueId> {
    context.only_attributes(&["axes"])?;
    let from = context.shape(0)?;
    let axes = axes(context, from.len())?;
    let mut shape = Vec::new();
    for (i, &dim) in from.iter().enumerate() {
        let dropped = axes.as_ref().map_or(dim == 1, |axes| axes.contains(&i));
        ensure!(
            !dropped || dim == 1,
            "axis {i} of {from:?} is not 1 and cannot be squeezed"
        );
        if !dropped {
            shape.push(dim);
        }
    }
    reshape_to(context, shape)
}

pub(super) fn unsqueeze(context: &mut Context<'_>) -> Result<ValueId> {
    context.only_attributes(&["axes"])?;
    let from = context.shape(0)?;
    let count = match context.integers(1, "axes")? {
        Some(axes) => axes.len(),
        None => context.ints("axes").context("its axes are missing")?.len(),
    };
    let rank = from.len() + count;
    ensure!(
        rank <= niwaki::MAX_RANK,
        "its output has {rank} dimensions; {} are supported",
        niwaki::MAX_RANK
    );
    let axes = axes(context, rank)?.context("its axes are missing")?;
    let mut rest = from.iter().copied();
    let shape = (0..rank)
        .map(|i| {
            if axes.contains(&i) {
                Some(1)
            } else {
                rest.next()
            }
        })
        .collect::<Option<Vec<_>>>();
    reshape_to(context, shape.context("its axes do not fit")?)
}

pub(super) fn transpose(context: &mut Context<'_>) -> Result<ValueId> {
    context.only_attributes(&["perm"])?;
    let (input, from) = (context.input(0)?, context.shape(0)?);
    let perm = match context.ints("perm") {
        Some(perm) => perm
            .iter()
            .map(|&p| axis(p, from.len()))
            .collect::<Result<Vec<_>>>()?,
        None => (0..from.len()).rev().collect(),
    };
    let mut sorted = perm.clone();
    sorted.sort_unstable();
    ensure!(
        sorted.iter().copied().eq(0..from.len()),
        "attribute `perm` {perm:?} is no permutation"
    );
    let shape = perm.iter().map(|&p| from[p]).collect();
    context.emit(Op::Transpose { perm }, vec![input], shape)
}

pub(super) fn concat(context: &mut Context<'_>) -> Result<ValueId> {
    context.only_attributes(&["axis"])?;
    let mut shape = context.shape(0)?;
    let axis = axis(context.int("axis", 1), shape.len())?;
    let mut inputs: Vec<ValueId> = context.inputs.iter().flatten().copied().collect();
    let first = inputs[0];
    let dtype = context.graph.values[first].dtype;
    shape[axis] = 0;
    for &id in &inputs {
        let value = &context.graph.values[id];
        let fits = value.shape.len() == shape.len()
            && (0..shape.len()).all(|i| i == axis || value.shape[i] == shape[i]);
        ensure!(
            fits && value.dtype == dtype,
            "input `{}` ({} {:?}) does not fit the others",
            value.name,
            value.dtype.name(),
            value.shape
        );
        shape[axis] += value.shape[axis];
    }
    // Empty inputs, as arithmetic on shapes has them, add nothing; the runtime knows none.
    inputs.retain(|&id| !context.graph.shape(id).contains(&0));
    match inputs.as_slice() {
        [] => context.emit(Op::Concat { axis }, vec![first], shape),
        [one] => Ok(*one),
        _ => {
            let parts = in_parts(context, axis, inputs)?;
            context.emit(Op::Concat { axis }, parts, shape)
        }
    }
}

/// Concatenates runs of inputs first, until an operator's record has room for what is left.
fn in_parts(
    context: &mut Context<'_>,
    axis: usize,
    mut inputs: Vec<ValueId>,
) -> Result<Vec<ValueId>> {
    let most = usize::from(u8::MAX);
    let mut level = 0;
    while inputs.len() > most {
        let mut parts = Vec::new();
        for (i, run) in inputs.chunks(most).enumerate() {
            let mut shape = context.graph.shape(run[0]).to_vec();
            shape[axis] = run.iter().map(|&id| context.graph.shape(id)[axis]).sum();
            let name = context.part(&format!("part{level}.{i}"));
            parts.push(context.emit_named(&name, Op::Concat { axis }, run.to_vec(), shape)?);
        }
        inputs = parts;
        level += 1;
    }
    Ok(inputs)
}

pub(super) fn pad(context: &mut Context<'_>) -> Result<ValueId> {
    context.only_attributes(&["mode", "pads", "value"])?;
    let mode = context.string("mode").unwrap_or_else(|| "constant".into());
    ensure!(
        ["constant", "edge", "reflect", "wrap"].contains(&mode.as_str()),
        "mode `{mode}` is not supported; constant, edge, reflect and wrap are"
    );
    let (input, from) = (context.input(0)?, context.shape(0)?);
    let pads = match context.integers(1, "pads")? {
        Some(pads) => pads,
        None => context.ints("pads").context("its pads are missing")?,
    };
    let axes = match context.integers(3, "axes")? {
        Some(axes) => axes
            .iter()
            .map(|&a| axis(a, from.len()))
            .collect::<Result<Vec<_>>>()?,
        None => (0..from.len()).collect(),
    };
    ensure!(
        pads.len() == 2 * axes.len(),
        "{} pads do not fit {} axes",
        pads.len(),
        axes.len()
    );
    if mode != "constant" {
        let pads: Vec<(usize, i64, i64)> = axes
            .iter()
            .enumerate()
            .map(|(i, &axis)| (axis, pads[i], pads[i + axes.len()]))
            .collect();
        return movement::pad_with_itself(context, &mode, &pads);
    }
    let value = match context.optional_input(2) {
        None => f64::from(context.float("value", 0.0)),
        Some(id) => {
            let constant = context
                .graph
                .constant(id)
                .context("its value has to be a constant")?;
            match constant {
                Constant::F32(a) => f64::from(a.iter().next().copied().unwrap_or(0.0)),
                other => other.to_i64().and_then(|v| v.first().copied()).unwrap_or(0) as f64,
            }
        }
    };
    let (mut before, mut after) = (vec![0; from.len()], vec![0; from.len()]);
    let mut starts = vec![0; from.len()];
    let mut inner = from.clone();
    for (i, &axis) in axes.iter().enumerate() {
        let (begin, end) = (pads[i], pads[i + axes.len()]);
        // Negative pads cut the tensor.
        let cut = |pad: i64| pad.min(0).unsigned_abs() as usize;
        let rest = from[axis]
            .checked_sub(cut(begin))
            .and_then(|n| n.checked_sub(cut(end)));
        let fits = [begin, end].iter().all(|pad| pad.unsigned_abs() < 1 << 28);
        inner[axis] = rest.filter(|_| fits).with_context(|| {
            format!("pads {pads:?} do not fit shape {from:?}, or are too large")
        })?;
        starts[axis] = cut(begin);
        before[axis] = begin.max(0) as usize;
        after[axis] = end.max(0) as usize;
    }
    let mut input = input;
    if inner != from {
        let op = Op::Slice {
            starts,
            steps: vec![1; from.len()],
        };
        input = context.emit_named(&context.part("cut"), op, vec![input], inner.clone())?;
    }
    let shape = (0..from.len())
        .map(|i| before[i] + inner[i] + after[i])
        .collect();
    context.emit(
        Op::Pad {
            before,
            after,
            value,
        },
        vec![input],
        shape,
    )
}

pub(super) fn constant(context: &mut Context<'_>) -> Result<ValueId> {
    let Some(attribute) = context.node.attribute.first() else {
        bail!("it has no value");
    };
    let mut bounds = None;
    let constant = match attribute.name.as_str() {
        "value" => {
            let tensor = attribute.t.as_ref().context("its value is not a tensor")?;
            let (constant, narrow) = tensors::constant_from_proto(tensor)?;
            bounds = narrow;
            constant
        }
        "value_float" => Constant::F32(ArrayD::from_elem(IxDyn(&[]), attribute.f)),
        "value_floats" => Constant::F32(ndarray::arr1(&attribute.floats).into_dyn()),
        "value_int" => Constant::I64(ArrayD::from_elem(IxDyn(&[]), attribute.i)),
        "value_ints" => Constant::I64(ndarray::arr1(&attribute.ints).into_dyn()),
        other => bail!(
            "attribute `{other}` is not supported; value, value_float, value_floats, value_int and value_ints are"
        ),
    };
    let id = context.graph.add_constant(context.output, constant);
    context
        .graph
        .narrow
        .extend(bounds.map(|bounds| (id, bounds)));
    Ok(id)
}
