//! What picks or turns rows round.

use anyhow::{Context as _, Result, ensure};
use ndarray::{ArrayD, IxDyn};

use super::{axis, indexed, movement};
use crate::functions::Binary;
use crate::graph::{Constant, DataType, ValueId};
use crate::import::Context;

pub(super) fn compress(context: &mut Context<'_>) -> Result<ValueId> {
    context.only_attributes(&["axis"])?;
    let (mut x, mut shape) = (context.input(0)?, context.shape(0)?);
    let mut along = 0;
    if context.attribute("axis").is_some() {
        along = axis(context.int("axis", 0), shape.len())?;
    } else {
        shape = vec![shape.iter().product()];
        x = context.reshaped("flat", x, &shape)?;
    }
    let condition = context.integers(1, "condition")?;
    let condition = condition.context("its condition is missing")?;
    ensure!(
        condition.len() <= shape[along],
        "a condition of {} elements does not fit axis {along} of {shape:?}",
        condition.len()
    );
    let kept = (0u32..).zip(&condition).filter(|(_, keep)| **keep != 0);
    let kept = kept.map(|(i, _)| i).collect();
    movement::take(context, "", x, along, kept)
}

pub(super) fn non_zero(context: &mut Context<'_>) -> Result<ValueId> {
    context.only_attributes(&[])?;
    let shape = context.shape(0)?;
    let constant = context.graph.constant(context.input(0)?);
    let constant = constant.context(
        "its input is computed at run time, and with it the size of its output; a constant is accepted",
    )?;
    let hits: Vec<bool> = match constant {
        Constant::F32(values) => values.iter().map(|&v| v != 0.0).collect(),
        other => {
            let values = other.to_i64().unwrap_or_default();
            values.iter().map(|&v| v != 0).collect()
        }
    };
    let hits = ArrayD::from_shape_vec(IxDyn(&shape), hits)?;
    let places: Vec<IxDyn> = hits
        .indexed_iter()
        .filter(|(_, hit)| **hit)
        .map(|(place, _)| place)
        .collect();
    let places = ArrayD::from_shape_fn(IxDyn(&[shape.len(), places.len()]), |at| {
        places[at[1]][at[0]] as i64
    });
    let name = context.part("");
    Ok(context.graph.add_constant(name, Constant::I64(places)))
}

pub(super) fn reverse_sequence(context: &mut Context<'_>) -> Result<ValueId> {
    context.only_attributes(&["batch_axis", "time_axis"])?;
    let (x, shape) = (context.input(0)?, context.shape(0)?);
    let (batch, time) = (context.int("batch_axis", 1), context.int("time_axis", 0));
    ensure!(
        shape.len() >= 2 && matches!((batch, time), (0, 1) | (1, 0)),
        "batch_axis {batch} and time_axis {time} of shape {shape:?}; 0 and 1 of at least two are accepted"
    );
    let (batch, time) = (batch as usize, time as usize);
    let lens = context.input(1)?;
    ensure!(
        context.graph.shape(lens) == [shape[batch]],
        "its sequence_lens have shape {:?}; [{}] is accepted",
        context.graph.shape(lens),
        shape[batch]
    );
    // Both axes as one, along which rows are gathered: step t of a sequence of length n comes from
    // n - 1 - t where t < n, and stays behind it.
    let mut along = [1, 1];
    along[batch] = shape[batch];
    let lens = context.cast("lens", lens, DataType::I32)?;
    let lens = context.reshaped("lens.apart", lens, &along)?;
    let steps = context.count_up("steps", shape[time], time, 2)?;
    let one = context.scalar(DataType::I32, 1.0);
    let last = context.binary("last", Binary::Sub, lens, one)?;
    let mirrored = context.binary("mirrored", Binary::Sub, last, steps)?;
    let inside = context.binary("inside", Binary::Less, steps, lens)?;
    let source = context.choose("source", inside, mirrored, steps)?;
    let sequences = context.count_up("sequences", shape[batch], batch, 2)?;
    let (outer, inner) = if time == 0 {
        (source, sequences)
    } else {
        (sequences, source)
    };
    let width = context.scalar(DataType::I32, shape[1] as f64);
    let rows = context.binary("rows", Binary::Mul, outer, width)?;
    let rows = context.binary("row", Binary::Add, rows, inner)?;
    let rows = context.reshaped("row.flat", rows, &[shape[0] * shape[1]])?;
    let flat = [&[shape[0] * shape[1]], &shape[2..]].concat();
    let flat = context.reshaped("flat", x, &flat)?;
    let turned = indexed::gathered(context, "turned", flat, 0, rows)?;
    context.reshaped("", turned, &shape)
}
