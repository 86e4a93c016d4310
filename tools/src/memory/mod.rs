//! The arena over time: which tensor lies where while which operator runs, read from an artifact.

pub mod svg;

use std::collections::HashMap;

use niwaki::artifact::{Storage, Tensor};
use niwaki::ops::Group;
use niwaki::{Model, OperatorSet};
use serde::Serialize;

use crate::artifact::onnx_shape;

/// The life of a tensor in the arena.
///
/// Time counts operators: 0 is before the first one, when the caller writes the inputs, `i + 1` is
/// while operator `i` runs, and the last time is when the caller reads the outputs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Life {
    /// Name in the ONNX model; `tensor N` where the artifact has no names.
    pub name: String,
    /// Type and dimensions, for people.
    pub shape: String,
    /// Where it begins in the arena.
    pub offset: usize,
    /// Its size.
    pub bytes: usize,
    /// When it is written.
    pub first: usize,
    /// When it is read for the last time.
    pub last: usize,
}

impl Life {
    /// The address behind its last byte.
    pub fn end(&self) -> usize {
        self.offset + self.bytes
    }
}

/// The arena while one operator runs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Moment {
    /// The kind of the operator.
    pub kind: &'static str,
    /// Name of its output in the ONNX model.
    pub name: String,
    /// What is needed meanwhile, as indices of [`Timeline::lives`], in the order of addresses.
    pub live: Vec<usize>,
    /// Bytes of the arena that are needed meanwhile; those that two tensors share count once.
    pub live_bytes: usize,
    /// The address behind the last of them.
    pub top: usize,
}

/// The arena over time.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Timeline {
    /// Size of the arena.
    pub arena_bytes: usize,
    /// Every tensor in the arena, by the time when it is written.
    pub lives: Vec<Life>,
    /// Every operator, in the order of execution.
    pub moments: Vec<Moment>,
    /// The operator that sets the peak: the highest address is used while it runs, and of several
    /// such operators it needs the most. `None` for a model without operators.
    pub peak: Option<usize>,
}

impl Timeline {
    /// Reads it from a model that has been checked.
    pub fn of<S: OperatorSet>(model: &Model<'_, S>) -> Self {
        let mut lives = lives(model);
        stretch_over_groups(model, &mut lives);
        let mut live_at = vec![Vec::new(); model.operator_count() + 2];
        for (index, life) in lives.iter().enumerate() {
            live_at[life.first..=life.last]
                .iter_mut()
                .for_each(|live: &mut Vec<usize>| live.push(index));
        }
        let mut moments = Vec::new();
        for (operator, mut live) in model.operators().zip(live_at.into_iter().skip(1)) {
            live.sort_by_key(|&index| (lives[index].offset, index));
            let output = operator.output(0).and_then(|i| model.tensors().get(i));
            moments.push(Moment {
                kind: S::name(operator.header.code).unwrap_or("unknown"),
                name: output
                    .map_or("", |tensor| model.text(tensor.name))
                    .to_owned(),
                live_bytes: union(live.iter().map(|&index| &lives[index])),
                top: live.iter().map(|&i| lives[i].end()).max().unwrap_or(0),
                live,
            });
        }
        let height = |&i: &usize| (moments[i].top, moments[i].live_bytes);
        // The first of several: `max_by_key` gives the last.
        let peak = (0..moments.len()).rev().max_by_key(height);
        Self {
            arena_bytes: model.arena_bytes(),
            lives,
            moments,
            peak,
        }
    }
}

/// Operators that are run in strips take turns, so what one of them reads or writes is needed for as
/// long as all of them run.
fn stretch_over_groups<S: OperatorSet>(model: &Model<'_, S>, lives: &mut [Life]) {
    // For each time, the first and the last of its group.
    let mut groups = vec![(0, 0)];
    let mut operators = model.operators();
    while let Some(group) = Group::or_one(operators) {
        let first = groups.len();
        groups.resize(first + group.len(), (first, first + group.len() - 1));
        operators.nth(group.len() - 1);
    }
    for life in lives {
        if let Some(&(first, _)) = groups.get(life.first) {
            life.first = first;
        }
        if let Some(&(_, last)) = groups.get(life.last) {
            life.last = last;
        }
    }
}

/// Bytes that belong to at least one of these, which come by rising offsets.
fn union<'a>(lives: impl Iterator<Item = &'a Life>) -> usize {
    let (mut bytes, mut end) = (0, 0);
    for life in lives {
        bytes += life.end().saturating_sub(life.offset.max(end));
        end = end.max(life.end());
    }
    bytes
}

/// The life of every tensor in the arena; of one that is written again, its lives.
fn lives<S: OperatorSet>(model: &Model<'_, S>) -> Vec<Life> {
    let mut lives: Vec<Life> = Vec::new();
    // The present life of each tensor.
    let mut present: HashMap<usize, usize> = HashMap::new();
    let in_arena = |index: usize| {
        let tensor = model.tensors().get(u16::try_from(index).ok()?)?;
        (tensor.storage == Storage::Arena).then_some(tensor)
    };
    let life = |index: usize, tensor: &Tensor, time: usize| {
        let name = model.text(tensor.name);
        Life {
            name: match name {
                "" => format!("tensor {index}"),
                name => name.to_owned(),
            },
            shape: shape(tensor),
            offset: tensor.offset as usize,
            bytes: tensor.range().len(),
            first: time,
            last: time,
        }
    };
    for port in (0..model.input_count()).filter_map(|i| model.input_port(i)) {
        let index = port.tensor as usize;
        if let Some(tensor) = in_arena(index) {
            present.insert(index, lives.len());
            lives.push(life(index, &tensor, 0));
        }
    }
    for (time, operator) in (1..).zip(model.operators()) {
        for index in operator.inputs().map(usize::from) {
            if let Some(&life) = present.get(&index) {
                lives[life].last = time;
            }
        }
        for index in operator.outputs().map(usize::from) {
            if let Some(tensor) = in_arena(index) {
                present.insert(index, lives.len());
                lives.push(life(index, &tensor, time));
            }
        }
    }
    for port in (0..model.output_count()).filter_map(|i| model.output_port(i)) {
        if let Some(&life) = present.get(&(port.tensor as usize)) {
            lives[life].last = model.operator_count() + 1;
        }
    }
    lives
}

/// Type and dimensions in ONNX's order.
fn shape(tensor: &Tensor) -> String {
    let dims: Vec<String> = onnx_shape(tensor).iter().map(ToString::to_string).collect();
    format!("{} {}", tensor.dtype.name(), dims.join("x"))
}

#[cfg(test)]
mod tests {
    use super::{Life, union};

    #[test]
    fn shared_bytes_count_once() {
        let life = |offset, bytes| Life {
            name: String::new(),
            shape: String::new(),
            offset,
            bytes,
            first: 0,
            last: 0,
        };
        let of = |lives: &[Life]| union(lives.iter());
        assert_eq!(of(&[]), 0);
        assert_eq!(of(&[life(0, 4), life(4, 4)]), 8);
        assert_eq!(of(&[life(0, 10), life(2, 4), life(5, 10)]), 15);
        assert_eq!(of(&[life(0, 4), life(8, 4)]), 8);
    }
}
