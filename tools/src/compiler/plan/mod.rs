//! The memory plan: in which order operators run, and where in the arena each tensor lies.
//!
//! `order` looks for an order whose peak is low, `lifetimes` says which tensors are needed at
//! the same time and how near each other they may lie, `place` finds offsets. The loader of the
//! runtime, which shares no code with them, checks every plan that is written.

mod lifetimes;
mod order;
mod place;

use niwaki::artifact::{Operators, Record as _, Tensors};
use niwaki::ops::{Check, Overlap};
use niwaki::{All, OperatorSet as _};

use super::builder::Builder;

/// Alignment of every tensor in the arena.
const ALIGNMENT: usize = 4;

/// Where every tensor lies, and how large the arena is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plan {
    /// Offset of each tensor in the arena; 0 for constants.
    pub offsets: Vec<usize>,
    /// Size of the arena.
    pub arena_bytes: usize,
    /// What no plan for this order of operators can go below.
    pub lower_bound: usize,
}

/// What the planner sees of a model.
#[derive(Clone, Debug)]
struct Problem {
    /// Bytes of each tensor, rounded up to [`ALIGNMENT`]; 0 for constants, which lie elsewhere.
    sizes: Vec<usize>,
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
            let overlap = |i: usize| {
                let raw = Operators::new(&bytes).next()?;
                All::overlap(&Check::new(&builder.data, Tensors::new(&records), raw), i)
            };
            let mut step = Step {
                output: operator.output,
                inputs: Vec::new(),
            };
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
        Self {
            sizes: builder.tensors.iter().map(size).collect(),
            operators: builder.operators.iter().map(step).collect(),
            inputs: dynamic(inputs),
            outputs: dynamic(outputs),
        }
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
pub fn plan(builder: &mut Builder, inputs: &[usize], outputs: &[usize]) -> Plan {
    let mut problem = Problem::of(builder, inputs, outputs);
    if let Some(order) = order::better(&problem) {
        let reordered = order.iter().map(|&i| builder.operators[i].clone());
        builder.operators = reordered.collect();
        problem = Problem::of(builder, inputs, outputs);
    }
    let conflicts = lifetimes::Conflicts::of(&problem);
    place::place(&problem, &conflicts)
}
