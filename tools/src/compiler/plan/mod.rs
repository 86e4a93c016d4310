//! The memory plan: in which order operators run, and where in the arena each tensor lies.
//!
//! `order` looks for an order whose peak is low, `lifetimes` says which tensors are needed at
//! the same time and how near each other they may lie, `place` finds offsets. Where that takes more
//! memory than there is, `fit` has groups of operators run in strips, which `schedule` lays out.
//! The loader of the runtime, which shares no code with them, checks every plan that is written.

mod fit;
mod lifetimes;
mod order;
mod place;
mod schedule;
#[cfg(test)]
mod tests;

use anyhow::{Result, bail};
use niwaki::artifact::{Operators, Record as _, Tensors};
use niwaki::ops::{
    Check, FullyConnectedI8, FullyConnectedI8Sparse, FullyConnectedI8Wide, Overlap,
    Registered as _, Steps,
};
use niwaki::{All, OperatorSet as _};
use serde::Serialize;

use super::builder::Builder;
use schedule::{Group, Rows};

/// Alignment of every tensor in the arena.
const ALIGNMENT: usize = 4;

/// The part of an arena that may be given for speed: one in so many.
const ROOM: usize = 32;

/// Where every tensor lies, and how large the arena is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plan {
    /// Offset of each tensor in the arena; 0 for constants.
    pub offsets: Vec<usize>,
    /// Size of the arena.
    pub arena_bytes: usize,
    /// What no plan for this order of operators can go below.
    pub lower_bound: usize,
    /// What is run in strips, to take less memory.
    pub strips: Vec<Strips>,
}

/// Operators that are run in strips.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Strips {
    /// Index of the first of them.
    pub first: usize,
    /// Index of the last.
    pub last: usize,
    /// In how many strips they are run.
    pub strips: usize,
    /// Bytes that are moved in one run, so that rows that are kept stay in one piece.
    pub moved_bytes: usize,
}

impl std::fmt::Display for Strips {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "layers {} to {} are run in {} strips, to take less memory; {} bytes are moved for it",
            self.first, self.last, self.strips, self.moved_bytes
        )
    }
}

/// What the planner sees of a model.
#[derive(Clone, Debug)]
struct Problem {
    /// Bytes of each tensor, rounded up to [`ALIGNMENT`]; 0 for constants, which lie elsewhere.
    sizes: Vec<usize>,
    /// Rows of each tensor.
    rows: Vec<Rows>,
    /// What is run in strips, in the order of execution.
    groups: Vec<Group>,
    /// The operators in the order of the builder.
    operators: Vec<Step>,
    /// Tensors that the caller writes before the first operator.
    inputs: Vec<usize>,
    /// Tensors that the caller reads after the last.
    outputs: Vec<usize>,
}

/// An operator, as far as memory goes.
#[derive(Clone, Debug)]
struct Step {
    output: usize,
    /// Tensors in the arena that it reads, each once, and how near the output may lie to each when
    /// this operator is the last to read it.
    inputs: Vec<(usize, Option<Overlap>)>,
    /// How its rows follow from those of its inputs, if it can be run in strips.
    steps: Option<Steps>,
    /// Bytes of an output row, where the kernel is faster with several rows at a time.
    faster_row: u32,
}

impl Problem {
    fn of(builder: &Builder, inputs: &[usize], outputs: &[usize]) -> Self {
        let mut records = Vec::new();
        for tensor in &builder.tensors {
            let mut record = tensor.record();
            if tensor.data.is_some() {
                record.storage = niwaki::artifact::Storage::Data;
            }
            record.write(&mut |word| records.extend(word.to_le_bytes()));
        }
        let step = |operator: &super::builder::BuiltOperator| {
            let bytes: Vec<u8> = operator
                .record
                .iter()
                .flat_map(|w| w.to_le_bytes())
                .collect();
            let raw = Operators::new(&bytes).next();
            let products = [
                FullyConnectedI8::CODE,
                FullyConnectedI8Wide::CODE,
                FullyConnectedI8Sparse::CODE,
            ];
            let is_product = raw
                .as_ref()
                .is_some_and(|raw| products.contains(&raw.header.code));
            let check = raw.map(|raw| Check::new(&builder.data, Tensors::new(&records), raw));
            let overlap = |i: usize| All::overlap(check.as_ref()?, i);
            let mut step = Step {
                output: operator.output,
                inputs: Vec::new(),
                steps: check.as_ref().and_then(All::steps),
                faster_row: 0,
            };
            if let Some(steps) = step.steps.filter(|_| is_product) {
                let bytes = builder.tensors[operator.output].byte_len();
                step.faster_row = (bytes / steps.count().max(1) as usize) as u32;
            }
            for (i, &input) in operator.inputs.iter().enumerate() {
                if builder.tensors[input].data.is_some() {
                    continue;
                }
                match step.inputs.iter_mut().find(|(known, _)| *known == input) {
                    // Read twice: both ways of reading have to allow it.
                    Some((_, known)) => {
                        *known = known.zip(overlap(i)).map(|(a, b)| Overlap {
                            before: a.before.max(b.before),
                            behind: a.behind.max(b.behind),
                        });
                    }
                    None => step.inputs.push((input, overlap(i))),
                }
            }
            step
        };
        let size = |tensor: &super::builder::BuiltTensor| match tensor.data {
            Some(_) => 0,
            None => tensor.byte_len().next_multiple_of(ALIGNMENT),
        };
        let dynamic = |tensors: &[usize]| {
            let in_arena = |&&t: &&usize| builder.tensors[t].data.is_none();
            tensors.iter().filter(in_arena).copied().collect()
        };
        let rows = |tensor: &super::builder::BuiltTensor| {
            let record = tensor.record();
            Rows {
                count: record.rows() as usize,
                len: record.row_len(),
                size: record.dtype.bytes(),
            }
        };
        Self {
            sizes: builder.tensors.iter().map(size).collect(),
            rows: builder.tensors.iter().map(rows).collect(),
            groups: Vec::new(),
            operators: builder.operators.iter().map(step).collect(),
            inputs: dynamic(inputs),
            outputs: dynamic(outputs),
        }
    }

    /// The same, with so many rows more between an output and the input that it may lie over, where
    /// that lets a kernel compute several rows at a time.
    fn with_room(&self, rows: u32) -> Self {
        let mut problem = self.clone();
        for step in &mut problem.operators {
            for overlap in step
                .inputs
                .iter_mut()
                .filter_map(|(_, overlap)| overlap.as_mut())
            {
                overlap.before += rows * step.faster_row;
                overlap.behind += rows * step.faster_row;
            }
        }
        problem
    }

    /// The same with these operators run in strips; groups that they share operators with are no
    /// more.
    fn with_group(&self, group: Group) -> Self {
        let mut problem = self.clone();
        let apart = |other: &Group| {
            other.range.end <= group.range.start || group.range.end <= other.range.start
        };
        for other in problem.groups.extract_if(.., |other| !apart(other)) {
            for step in &self.operators[other.range] {
                let rows = self.rows[step.output];
                let bytes = rows.count * rows.len * rows.size;
                problem.sizes[step.output] = bytes.next_multiple_of(ALIGNMENT);
            }
        }
        for position in 0..group.range.len() {
            let output = self.operators[group.range.start + position].output;
            problem.sizes[output] = group.bytes(self, position);
        }
        problem.groups.push(group);
        problem.groups.sort_by_key(|group| group.range.start);
        problem
    }

    /// The group of an operator.
    fn group_of(&self, operator: usize) -> Option<&Group> {
        let after = self
            .groups
            .partition_point(|group| group.range.end <= operator);
        let group = self.groups.get(after);
        group.filter(|group| group.range.contains(&operator))
    }
}

/// Bytes that the output can share at most with an input of `input` bytes that dies here.
fn saving(input: usize, output: usize, overlap: Overlap) -> usize {
    let before = (overlap.before as usize).next_multiple_of(ALIGNMENT);
    let behind = (overlap.behind as usize).next_multiple_of(ALIGNMENT);
    let span = (before + input)
        .max(output)
        .min((behind + output).max(input));
    (input + output).saturating_sub(span)
}

/// Plans the arena, and puts the builder's operators into the order of the plan.
///
/// # Errors
///
/// When so many tensors are needed at once that their places cannot be looked for.
pub fn plan(builder: &mut Builder, inputs: &[usize], outputs: &[usize]) -> Result<Plan> {
    Ok(fastest(&ordered(builder, inputs, outputs)?))
}

/// The smallest plan, or one that takes little more and is faster.
///
/// A product that lies over its input, one row apart, is computed one row at a time; with more room
/// it is computed by pairs.
fn fastest(problem: &Problem) -> Plan {
    let place = |problem: &Problem| place::place(problem, &lifetimes::Conflicts::of(problem));
    let tight = place(problem);
    if problem.operators.iter().all(|step| step.faster_row == 0) {
        return tight;
    }
    let limit = tight.arena_bytes + tight.arena_bytes / ROOM;
    let wide = [7, 3, 1]
        .into_iter()
        .map(|rows| place(&problem.with_room(rows)));
    let mut good = wide.filter(|plan| plan.arena_bytes <= limit);
    match good.next() {
        Some(plan) => Plan {
            lower_bound: tight.lower_bound,
            ..plan
        },
        None => tight,
    }
}

/// Plans an arena of at most `ram` bytes: where [`plan`] takes more, groups of operators are run in
/// strips.
///
/// # Errors
///
/// When every plan that is found takes more: names the smallest, and the layer that sets it.
pub fn plan_within(
    builder: &mut Builder,
    inputs: &[usize],
    outputs: &[usize],
    ram: usize,
) -> Result<Plan> {
    let problem = ordered(builder, inputs, outputs)?;
    let name = |operator: usize| {
        let output = builder.operators[operator].output;
        builder.tensors[output].name.clone()
    };
    let plan = fastest(&problem);
    if plan.arena_bytes <= ram {
        return Ok(plan);
    }
    let (problem, plan) = fit::fit(&problem, ram, &name)?;
    run_in_strips(builder, &problem);
    Ok(plan)
}

/// Writes the groups of a problem into the records.
fn run_in_strips(builder: &mut Builder, problem: &Problem) {
    for group in &problem.groups {
        let operators = &mut builder.operators[group.range.clone()];
        for (operator, member) in operators.iter_mut().zip(&group.members) {
            operator.run_in_strips(group.strips as u16, &member.strip);
            builder.tensors[operator.output].held = member.held as u8;
        }
    }
}

/// The problem of a builder whose operators are put into a better order, if there is one.
fn ordered(builder: &mut Builder, inputs: &[usize], outputs: &[usize]) -> Result<Problem> {
    let mut problem = Problem::of(builder, inputs, outputs);
    if let Some(order) = order::better(&problem) {
        let reordered = order.iter().map(|&i| builder.operators[i].clone());
        builder.operators = reordered.collect();
        problem = Problem::of(builder, inputs, outputs);
    }
    if let Some((tensor, alive)) = lifetimes::crowd(&problem) {
        bail!(
            "`{}`: {alive} tensors are needed at the same time here, too many to be placed: let the model use its intermediate results sooner",
            builder.tensors[tensor].name
        );
    }
    Ok(problem)
}
