//! Places for tensors in the arena: greedy by size, by lifetimes.

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
}

/// When a tensor's bytes matter: from the operator that writes it to the last that reads it.
#[derive(Clone, Copy, Debug)]
struct Lifetime {
    first: usize,
    last: usize,
}

impl Lifetime {
    fn meets(self, other: Self) -> bool {
        self.first <= other.last && other.first <= self.last
    }
}

/// Plans the arena. The largest tensors are placed first, each at the lowest offset where it
/// meets none that lives at the same time ("greedy by size for offset calculation", Pisarchyk
/// and Lee, <https://arxiv.org/abs/2001.03288>).
pub fn plan(builder: &Builder, inputs: &[usize], outputs: &[usize]) -> Plan {
    let lifetimes = lifetimes(builder, inputs, outputs);
    let mut order: Vec<usize> = (0..builder.tensors.len())
        .filter(|&t| lifetimes[t].is_some())
        .collect();
    order.sort_by_key(|&t| (std::cmp::Reverse(builder.tensors[t].byte_len()), t));
    let mut offsets = vec![0; builder.tensors.len()];
    let mut placed: Vec<usize> = Vec::new();
    let mut arena_bytes = 0;
    for tensor in order {
        let size = builder.tensors[tensor].byte_len();
        let mut neighbours: Vec<(usize, usize)> = placed
            .iter()
            .filter(|&&other| match (lifetimes[tensor], lifetimes[other]) {
                (Some(a), Some(b)) => a.meets(b),
                _ => false,
            })
            .map(|&other| {
                (
                    offsets[other],
                    offsets[other] + builder.tensors[other].byte_len(),
                )
            })
            .collect();
        neighbours.sort_unstable();
        let mut offset = 0;
        for (start, end) in neighbours {
            if offset + size <= start {
                break;
            }
            offset = offset.max(end.next_multiple_of(ALIGNMENT));
        }
        offsets[tensor] = offset;
        placed.push(tensor);
        arena_bytes = arena_bytes.max(offset + size);
    }
    Plan {
        offsets,
        arena_bytes: arena_bytes.next_multiple_of(ALIGNMENT),
    }
}

/// Lifetime of every tensor in the arena; `None` for constants and for what nobody uses. Time 0
/// is before the first operator, when the caller writes the inputs.
fn lifetimes(builder: &Builder, inputs: &[usize], outputs: &[usize]) -> Vec<Option<Lifetime>> {
    let mut lifetimes: Vec<Option<Lifetime>> = vec![None; builder.tensors.len()];
    let mut touch = |tensor: usize, time: usize| {
        if builder.tensors[tensor].data.is_none() {
            let lifetime = lifetimes[tensor].get_or_insert(Lifetime {
                first: time,
                last: time,
            });
            lifetime.last = time;
        }
    };
    for &input in inputs {
        touch(input, 0);
    }
    for (index, operator) in builder.operators.iter().enumerate() {
        touch(operator.output, index + 1);
        for &input in &operator.inputs {
            touch(input, index + 1);
        }
    }
    for &output in outputs {
        touch(output, builder.operators.len() + 1);
    }
    lifetimes
}
