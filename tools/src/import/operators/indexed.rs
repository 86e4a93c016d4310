//! Elements at indices: gathers, scatters, one-hot codes, and the largest elements with their
//! places.
//!
//! Indices that are constant are checked here, and what they read is known; all others come to the
//! runtime as int32.

use anyhow::{Context as _, Result, bail, ensure};

use super::{axis, movement};
use crate::functions::Binary;
use crate::graph::{Constant, DataType, Indexed, Join, Op, ValueId};
use crate::import::Context;

/// Input `i`, integers. Refuses constant ones that are out of range: `dims` are the lengths that
/// they go along, the first for the first index and from the start again behind the last.
fn indices(context: &Context<'_>, i: usize, dims: &[usize]) -> Result<ValueId> {
    let id = context.input(i)?;
    let value = &context.graph.values[id];
    ensure!(
        matches!(value.dtype, DataType::I32 | DataType::I64),
        "its indices `{}` are {}; int32 and int64 are accepted",
        value.name,
        value.dtype.name()
    );
    ensure!(
        value.shape.contains(&0) || !dims.contains(&0),
        "its indices `{}` have an axis of length 0 to go along",
        value.name
    );
    let constant = context.graph.constant(id).and_then(Constant::to_i64);
    for (index, &len) in constant.iter().flatten().zip(dims.iter().cycle()) {
        let len = len as i64;
        ensure!(
            (-len..len).contains(index),
            "index {index} of `{}` is outside an axis of length {len}",
            value.name
        );
    }
    Ok(id)
}

/// Slices of an axis: with constant indices they are taken one by one.
pub(super) fn gathered(
    context: &mut Context<'_>,
    part: &str,
    x: ValueId,
    axis: usize,
    indices: ValueId,
) -> Result<ValueId> {
    let from = context.graph.shape(x).to_vec();
    let places = context.graph.shape(indices).to_vec();
    let shape = [&from[..axis], &places, &from[axis + 1..]].concat();
    let constant = context.graph.constant(indices).and_then(Constant::to_i64);
    if let Some(constant) = constant {
        let len = from[axis] as i64;
        let places = constant.iter().map(|index| index.rem_euclid(len.max(1)));
        let places = places.map(|index| index as u32).collect();
        let taken = if shape.len() == from.len() {
            part
        } else {
            "taken"
        };
        let taken = movement::take(context, taken, x, axis, places)?;
        return context.reshaped(part, taken, &shape);
    }
    let indices = context.cast("indices", indices, DataType::I32)?;
    let op = Op::Indexed(Indexed::Gather { axis });
    context.emit_named(&context.part(part), op, vec![x, indices], shape)
}

pub(super) fn gather(context: &mut Context<'_>) -> Result<ValueId> {
    context.only_attributes(&["axis"])?;
    let (x, shape) = (context.input(0)?, context.shape(0)?);
    let axis = axis(context.int("axis", 0), shape.len())?;
    let indices = indices(context, 1, &[shape[axis]])?;
    gathered(context, "", x, axis, indices)
}

/// Data, indices of single elements along an axis, and the axis.
fn along_axis(context: &Context<'_>) -> Result<(ValueId, ValueId, usize)> {
    let (x, from, places) = (context.input(0)?, context.shape(0)?, context.shape(1)?);
    let axis = axis(context.int("axis", 0), from.len())?;
    let fits =
        from.len() == places.len() && (0..from.len()).all(|i| i == axis || places[i] <= from[i]);
    ensure!(
        fits,
        "indices of shape {places:?} do not fit data of shape {from:?} along axis {axis}"
    );
    Ok((x, indices(context, 1, &[from[axis]])?, axis))
}

pub(super) fn gather_elements(context: &mut Context<'_>) -> Result<ValueId> {
    context.only_attributes(&["axis"])?;
    let (x, indices, axis) = along_axis(context)?;
    let shape = context.shape(1)?;
    let indices = context.cast("indices", indices, DataType::I32)?;
    let op = Op::Indexed(Indexed::GatherElements { axis });
    context.emit(op, vec![x, indices], shape)
}

/// Data, tuples of indices, and the shape of the slices that they name, those of the first
/// `batch_dims` axes each with their own data.
fn tuples(context: &Context<'_>, batch_dims: usize) -> Result<(ValueId, ValueId, Vec<usize>)> {
    let (x, from, places) = (context.input(0)?, context.shape(0)?, context.shape(1)?);
    let (&depth, outer) = places.split_last().context("its indices are a scalar")?;
    let axes = from.get(batch_dims..batch_dims + depth);
    let axes =
        axes.filter(|axes| !axes.is_empty() && outer.get(..batch_dims) == from.get(..batch_dims));
    let axes = axes.with_context(|| {
        format!("indices of shape {places:?} do not fit data of shape {from:?} and batch_dims {batch_dims}")
    })?;
    let indices = indices(context, 1, axes)?;
    Ok((x, indices, [outer, &from[batch_dims + depth..]].concat()))
}

pub(super) fn gather_nd(context: &mut Context<'_>) -> Result<ValueId> {
    context.only_attributes(&["batch_dims"])?;
    let batch_dims = usize::try_from(context.int("batch_dims", 0))?;
    let (x, indices, shape) = tuples(context, batch_dims)?;
    let indices = context.cast("indices", indices, DataType::I32)?;
    let op = Op::Indexed(Indexed::GatherNd { batch_dims });
    context.emit(op, vec![x, indices], shape)
}

/// The attribute `reduction`.
fn join(context: &Context<'_>) -> Result<Join> {
    Ok(match context.string("reduction").as_deref() {
        None | Some("none") => Join::Replace,
        Some("add") => Join::Add,
        Some("mul") => Join::Mul,
        Some("min") => Join::Min,
        Some("max") => Join::Max,
        Some(other) => {
            bail!("attribute `reduction` is `{other}`; none, add, mul, min and max are accepted")
        }
    })
}

/// A scatter of input 2 over `x`; reductions of small integers are done in int32.
fn scattered(
    context: &mut Context<'_>,
    op: fn(usize, Join) -> Indexed,
    axis: usize,
    x: ValueId,
    indices: ValueId,
) -> Result<ValueId> {
    let (join, mut updates, shape) = (join(context)?, context.input(2)?, context.shape(0)?);
    let dtype = context.dtype(x);
    ensure!(
        context.dtype(updates) == dtype,
        "its updates are {}, and its data is {}; one type is accepted",
        context.dtype(updates).name(),
        dtype.name()
    );
    if context.graph.shape(indices).contains(&0) {
        return Ok(x);
    }
    let wide = match dtype {
        _ if join == Join::Replace => dtype,
        DataType::F32 | DataType::I32 => dtype,
        DataType::I8 | DataType::U8 | DataType::I16 | DataType::U16 => DataType::I32,
        _ => bail!(
            "a reduction of {} is not supported; float32, int32 and smaller integers are",
            dtype.name()
        ),
    };
    let x = context.cast("wide", x, wide)?;
    updates = context.cast("updates", updates, wide)?;
    let indices = context.cast("indices", indices, DataType::I32)?;
    let part = if wide == dtype { "" } else { "scattered" };
    let op = Op::Indexed(op(axis, join));
    let y = context.emit_named(&context.part(part), op, vec![x, indices, updates], shape)?;
    context.cast("", y, dtype)
}

pub(super) fn scatter_elements(context: &mut Context<'_>) -> Result<ValueId> {
    context.only_attributes(&["axis", "reduction"])?;
    let (x, indices, axis) = along_axis(context)?;
    let (places, updates) = (context.shape(1)?, context.shape(2)?);
    ensure!(
        places == updates,
        "updates of shape {updates:?} do not fit indices of shape {places:?}"
    );
    let op = |axis, join| Indexed::ScatterElements { axis, join };
    scattered(context, op, axis, x, indices)
}

pub(super) fn scatter_nd(context: &mut Context<'_>) -> Result<ValueId> {
    context.only_attributes(&["reduction"])?;
    let (x, indices, slices) = tuples(context, 0)?;
    let updates = context.shape(2)?;
    ensure!(
        slices == updates,
        "updates of shape {updates:?} are not those of the slices that its indices name, {slices:?}"
    );
    let op = |_, join| Indexed::ScatterNd { join };
    scattered(context, op, 0, x, indices)
}

pub(super) fn one_hot(context: &mut Context<'_>) -> Result<ValueId> {
    context.only_attributes(&["axis"])?;
    let (mut indices, values) = (context.input(0)?, context.input(2)?);
    let mut shape = context.shape(0)?;
    let axis = axis(context.int("axis", -1), shape.len() + 1)?;
    let depth = context
        .number(1, "depth")?
        .context("its depth is missing")?;
    ensure!(
        (1.0..f64::from(1 << 28)).contains(&depth) && context.graph.shape(values) == [2],
        "its depth is {depth} and its values have shape {:?}; a depth of at least 1 and two values are accepted",
        context.graph.shape(values)
    );
    shape.insert(axis, depth as usize);
    if context.dtype(indices) == DataType::I64 {
        // What is out of range has to be so in 32 bits as well.
        let bounds = [-depth - 1.0, depth];
        let [low, high] = bounds.map(|bound| context.scalar(DataType::I64, bound.trunc()));
        indices = context.binary("low", Binary::Max, indices, low)?;
        indices = context.binary("high", Binary::Min, indices, high)?;
    }
    let indices = context.cast("indices", indices, DataType::I32)?;
    let op = Op::Indexed(Indexed::OneHot { axis });
    context.emit(op, vec![values, indices], shape)
}

pub(super) fn top_k(context: &mut Context<'_>) -> Result<Vec<ValueId>> {
    context.only_attributes(&["axis", "k", "largest", "sorted"])?;
    let (x, mut shape) = (context.input(0)?, context.shape(0)?);
    let axis = axis(context.int("axis", -1), shape.len())?;
    let k = match context.number(1, "k")? {
        Some(k) => k,
        None => context.int("k", -1) as f64,
    };
    ensure!(
        (0.0..=shape[axis] as f64).contains(&k) && context.dtype(x) != DataType::Bool,
        "its k is {k} and its input is {} {shape:?}; numbers, and a k from 0 to {} are accepted",
        context.dtype(x).name(),
        shape[axis]
    );
    shape[axis] = k as usize;
    let op = Op::Indexed(Indexed::TopK {
        axis,
        largest: context.int("largest", 1) != 0,
    });
    let places = context.part("places");
    let places = context.emit_named(&places, op, vec![x], shape.clone())?;
    let op = Op::Indexed(Indexed::GatherElements { axis });
    let values = context.emit_named(&context.part(""), op, vec![x, places], shape.clone())?;
    let (name, wide) = (context.output_name(1), Op::Cast(DataType::I64));
    Ok(vec![
        values,
        context.emit_named(&name, wide, vec![places], shape)?,
    ])
}
