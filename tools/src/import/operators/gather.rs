//! Gather with indices that are known when compiling.

use anyhow::{Context as _, Result, ensure};

use super::{axis, movement};
use crate::graph::ValueId;
use crate::import::Context;

pub(super) fn gather_constant(context: &mut Context<'_>) -> Result<ValueId> {
    context.only_attributes(&["axis"])?;
    let (x, shape) = (context.input(0)?, context.shape(0)?);
    let axis = axis(context.int("axis", 0), shape.len())?;
    let values = context.integers(1, "indices")?;
    let values = values.context("its indices are missing")?;
    let len = shape[axis] as i64;
    let mut indices = Vec::new();
    for &value in &values {
        ensure!(
            (-len..len).contains(&value),
            "index {value} is outside an axis of length {len}"
        );
        indices.push(value.rem_euclid(len) as u32);
    }
    let inner = context.shape(1)?;
    let mut gathered = shape[..axis].to_vec();
    gathered.extend(&inner);
    gathered.extend(&shape[axis + 1..]);
    let part = if inner.len() == 1 { "" } else { "taken" };
    let taken = movement::take(context, part, x, axis, indices)?;
    context.reshaped("", taken, &gathered)
}
