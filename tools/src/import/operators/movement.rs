//! What takes, repeats or rearranges elements.

use anyhow::{Context as _, Result, ensure};

use super::{axis, broadcast};
use crate::compiler::fold::Budget;
use crate::graph::{Op, ValueId};
use crate::import::Context;

pub(super) fn expand(context: &mut Context<'_>) -> Result<ValueId> {
    context.only_attributes(&[])?;
    let (x, from) = (context.input(0)?, context.shape(0)?);
    let target = context
        .integers(1, "shape")?
        .context("its shape is missing")?;
    let target: Vec<usize> = target
        .iter()
        .map(|&dim| usize::try_from(dim).context("its shape has a negative dimension"))
        .collect::<Result<_>>()?;
    let shape = broadcast(&from, &target)?;
    context.emit(Op::Expand, vec![x], shape)
}

/// Takes these indices of one axis.
pub(super) fn take(
    context: &mut Context<'_>,
    part: &str,
    x: ValueId,
    axis: usize,
    indices: Vec<u32>,
) -> Result<ValueId> {
    let mut shape = context.graph.shape(x).to_vec();
    shape[axis] = indices.len();
    context.emit_named(
        &context.part(part),
        Op::Take { axis, indices },
        vec![x],
        shape,
    )
}

pub(super) fn tile(context: &mut Context<'_>) -> Result<ValueId> {
    context.only_attributes(&[])?;
    let (mut value, shape) = (context.input(0)?, context.shape(0)?);
    let repeats = context
        .integers(1, "repeats")?
        .context("its repeats are missing")?;
    ensure!(
        repeats.len() == shape.len() && repeats.iter().all(|r| (1..1 << 24).contains(r)),
        "repeats {repeats:?} do not fit shape {shape:?}"
    );
    for (axis, (&dim, &repeat)) in shape.iter().zip(&repeats).enumerate() {
        if repeat != 1 {
            Budget::check(&[repeat as usize, dim], size_of::<u32>())?;
            let indices = (0..repeat).flat_map(|_| 0..dim as u32).collect();
            value = take(context, &format!("tiled{axis}"), value, axis, indices)?;
        }
    }
    Ok(value)
}

/// The axes that values are for: as given, by default all.
fn listed_axes(axes: Option<Vec<i64>>, count: usize, rank: usize) -> Result<Vec<usize>> {
    let axes = axes.unwrap_or_else(|| (0..count as i64).collect());
    ensure!(
        axes.len() == count,
        "{count} values do not fit {} axes",
        axes.len()
    );
    axes.iter().map(|&v| axis(v, rank)).collect()
}

pub(super) fn slice(context: &mut Context<'_>) -> Result<ValueId> {
    context.only_attributes(&["axes", "ends", "starts"])?;
    let (x, mut shape) = (context.input(0)?, context.shape(0)?);
    let list = |i: usize, name: &str| -> Result<Option<Vec<i64>>> {
        Ok(context.integers(i, name)?.or_else(|| context.ints(name)))
    };
    let starts = list(1, "starts")?.context("its starts are missing")?;
    let ends = list(2, "ends")?.context("its ends are missing")?;
    let steps = context
        .integers(4, "steps")?
        .unwrap_or_else(|| vec![1; starts.len()]);
    let axes = listed_axes(list(3, "axes")?, starts.len(), shape.len())?;
    ensure!(
        ends.len() == starts.len() && steps.len() == starts.len(),
        "{} starts, {} ends and {} steps do not fit together",
        starts.len(),
        ends.len(),
        steps.len()
    );
    let mut first = vec![0; shape.len()];
    let mut step = vec![1; shape.len()];
    for (i, &axis) in axes.iter().enumerate() {
        let dim = shape[axis] as i64;
        ensure!(steps[i] != 0, "its step is 0");
        let back = steps[i] < 0;
        // As Python: negative indices count from the end, what is beyond an end is at it.
        let (low, high) = if back { (-1, dim - 1) } else { (0, dim) };
        let place = |v: i64| (if v < 0 { v.saturating_add(dim) } else { v }).clamp(low, high);
        let (from, to) = (place(starts[i]), place(ends[i]));
        let distance = if back { from - to } else { to - from };
        let width = steps[i].unsigned_abs();
        let count = (distance.max(0) as u64).div_ceil(width) as usize;
        shape[axis] = count;
        first[axis] = from.max(0) as usize;
        step[axis] = if count > 1 { steps[i] } else { 1 };
    }
    let op = Op::Slice {
        starts: first,
        steps: step,
    };
    context.emit(op, vec![x], shape)
}

pub(super) fn split(context: &mut Context<'_>) -> Result<Vec<ValueId>> {
    context.only_attributes(&["axis", "num_outputs", "split"])?;
    let (x, shape) = (context.input(0)?, context.shape(0)?);
    let axis = axis(context.int("axis", 0), shape.len())?;
    let sizes = match context.integers(1, "split")? {
        Some(sizes) => Some(sizes),
        None => context.ints("split"),
    };
    let sizes: Vec<usize> = match sizes {
        Some(sizes) => sizes
            .iter()
            .map(|&size| usize::try_from(size).context("a size is negative"))
            .collect::<Result<_>>()?,
        None => {
            let count = context.int("num_outputs", context.node.output.len() as i64);
            let count = usize::try_from(count).ok();
            let count = count.filter(|n| (1..=shape[axis]).contains(n));
            let count = count.with_context(|| {
                format!(
                    "attribute `num_outputs` has to be from 1 to {}, the length of the axis",
                    shape[axis]
                )
            })?;
            let size = shape[axis].div_ceil(count);
            let start = |i: usize| (i * size).min(shape[axis]);
            (0..count).map(|i| start(i + 1) - start(i)).collect()
        }
    };
    ensure!(
        sizes
            .iter()
            .fold(0usize, |sum, &size| sum.saturating_add(size))
            == shape[axis],
        "sizes {sizes:?} do not fill axis {axis} of {shape:?}"
    );
    let mut outputs = Vec::new();
    let mut first = 0;
    for (i, &size) in sizes.iter().enumerate() {
        let mut starts = vec![0; shape.len()];
        starts[axis] = first;
        first += size;
        let mut part = shape.clone();
        part[axis] = size;
        let op = Op::Slice {
            starts,
            steps: vec![1; shape.len()],
        };
        let name = context.output_name(i);
        outputs.push(context.emit_named(&name, op, vec![x], part)?);
    }
    Ok(outputs)
}

/// Four dimensions and the block size of DepthToSpace and SpaceToDepth.
fn blocks(context: &Context<'_>) -> Result<([usize; 4], usize)> {
    let shape = context.shape(0)?;
    let dims: [usize; 4] = shape
        .as_slice()
        .try_into()
        .with_context(|| format!("its input has shape {shape:?}; four dimensions are accepted"))?;
    let size = usize::try_from(context.int("blocksize", 0))
        .ok()
        .filter(|b| (1..1 << 15).contains(b));
    Ok((
        dims,
        size.context("attribute `blocksize` has to be from 1 to 32767")?,
    ))
}

/// A reshape, a transpose and a reshape.
fn rearranged(
    context: &mut Context<'_>,
    apart: &[usize],
    perm: &[usize],
    shape: &[usize],
) -> Result<ValueId> {
    let x = context.input(0)?;
    let apart = context.reshaped("apart", x, apart)?;
    let moved: Vec<usize> = perm
        .iter()
        .map(|&p| context.graph.shape(apart)[p])
        .collect();
    let op = Op::Transpose {
        perm: perm.to_vec(),
    };
    let moved = context.emit_named(&context.part("moved"), op, vec![apart], moved)?;
    context.reshaped("", moved, shape)
}

pub(super) fn depth_to_space(context: &mut Context<'_>) -> Result<ValueId> {
    context.only_attributes(&["blocksize", "mode"])?;
    let ([n, c, h, w], b) = blocks(context)?;
    ensure!(
        c.is_multiple_of(b * b),
        "{c} channels do not fit blocks of {b} x {b}"
    );
    let depth = c / (b * b);
    let shape = [n, depth, h * b, w * b];
    if context.string("mode").as_deref() == Some("CRD") {
        rearranged(
            context,
            &[n, depth, b, b, h, w],
            &[0, 1, 4, 2, 5, 3],
            &shape,
        )
    } else {
        rearranged(
            context,
            &[n, b, b, depth, h, w],
            &[0, 3, 4, 1, 5, 2],
            &shape,
        )
    }
}

pub(super) fn space_to_depth(context: &mut Context<'_>) -> Result<ValueId> {
    context.only_attributes(&["blocksize"])?;
    let ([n, c, h, w], b) = blocks(context)?;
    ensure!(
        h.is_multiple_of(b) && w.is_multiple_of(b),
        "{h} x {w} pixels do not fit blocks of {b} x {b}"
    );
    let shape = [n, c * b * b, h / b, w / b];
    rearranged(
        context,
        &[n, c, h / b, b, w / b, b],
        &[0, 3, 5, 1, 2, 4],
        &shape,
    )
}

/// Padding with elements of the input itself, `pads` being those before and behind each axis.
pub(super) fn pad_with_itself(
    context: &mut Context<'_>,
    mode: &str,
    pads: &[(usize, i64, i64)],
) -> Result<ValueId> {
    let mut value = context.input(0)?;
    for &(axis, before, behind) in pads {
        let len = context.graph.shape(value)[axis] as i64;
        let small = [before, behind]
            .iter()
            .all(|pad| pad.unsigned_abs() < 1 << 28);
        ensure!(
            small && before + len + behind >= 0,
            "pads {before} and {behind} do not fit an axis of length {len}"
        );
        let padded = (before + len + behind) as usize;
        Budget::check(&[padded], size_of::<u32>())?;
        let indices: Vec<u32> = (-before..len + behind)
            .map(|i| {
                let index = match mode {
                    "edge" => i.clamp(0, len - 1),
                    "wrap" => i.rem_euclid(len),
                    // Reflection without the edge: a period of 2 * (len - 1).
                    _ if len == 1 => 0,
                    _ => {
                        let period = 2 * (len - 1);
                        let place = i.rem_euclid(period);
                        place.min(period - place)
                    }
                };
                index as u32
            })
            .collect();
        if before != 0 || behind != 0 {
            value = take(context, &format!("padded{axis}"), value, axis, indices)?;
        }
    }
    Ok(value)
}
