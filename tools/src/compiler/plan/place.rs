//! Offsets: the best of several greedy orders, then a bounded search among their permutations.

use std::cmp::Reverse;

use super::lifetimes::Conflicts;
use super::{Plan, Problem};

/// Neighbours that the search looks at, all attempts together: a fraction of a second. What is
/// left of it shrinks with the model, so that large ones get few attempts and small ones many.
const WORK: usize = 8_000_000;

/// Places every tensor. In an order of tensors, each gets the lowest offset that keeps its
/// distance from those placed before ("greedy by size for offset calculation", Pisarchyk and Lee,
/// <https://arxiv.org/abs/2001.03288>, with distances that may be less than a tensor's size).
pub(super) fn place(problem: &Problem, conflicts: &Conflicts) -> Plan {
    let lower_bound = conflicts.needed.iter().copied().max().unwrap_or(0);
    let span = |t: usize| conflicts.lifetimes[t].map_or((0, 0), |l| (l.first, l.last));
    // The most that is needed at once while a tensor is alive.
    let pressure: Vec<usize> = (0..problem.sizes.len())
        .map(|t| {
            let (first, last) = span(t);
            // Long lives are those of few tensors: their ends stand for them.
            let window = first..=last.min(first + 64);
            window.map(|time| conflicts.needed[time]).max().unwrap_or(0)
        })
        .collect();
    let all: Vec<usize> = (0..problem.sizes.len())
        .filter(|&t| conflicts.lifetimes[t].is_some())
        .collect();
    let sorted = |key: &dyn Fn(usize) -> (usize, usize, usize)| {
        let mut order = all.clone();
        order.sort_by_key(|&t| (Reverse(key(t)), t));
        order
    };
    let length = |t: usize| span(t).1 - span(t).0;
    let orders = [
        sorted(&|t| (problem.sizes[t], 0, 0)),
        sorted(&|t| (pressure[t], problem.sizes[t], 0)),
        sorted(&|t| (pressure[t], length(t), problem.sizes[t])),
        sorted(&|t| (length(t), problem.sizes[t], 0)),
        sorted(&|t| (usize::MAX - span(t).0, problem.sizes[t], 0)),
        sorted(&|t| (span(t).1, problem.sizes[t], 0)),
    ];
    let mut search = Search::new(problem, conflicts);
    let mut best: Option<(usize, Vec<usize>, Vec<usize>)> = None;
    for order in orders {
        let arena = search.greedy(&order);
        if best.as_ref().is_none_or(|(least, ..)| arena < *least) {
            best = Some((arena, order, search.offsets.clone()));
        }
    }
    let (mut arena, mut order, mut offsets) = best.unwrap_or_default();
    let mut random = niwaki::Xorshift32::new(1);
    while arena > lower_bound && search.work < WORK && order.len() > 1 {
        let mut below = |end: usize| random.next_u32() as usize % end;
        let mut other = order.clone();
        // Mostly one that ends at the top is placed earlier; sometimes two change places.
        let top: Vec<usize> = (0..order.len())
            .filter(|&i| offsets[order[i]] + problem.sizes[order[i]] == arena)
            .collect();
        if below(3) > 0 && !top.is_empty() {
            let from = top[below(top.len())];
            let to = below(from + 1);
            other[to..=from].rotate_right(1);
        } else {
            let (a, b) = (below(order.len()), below(order.len()));
            other.swap(a, b);
        }
        let found = search.greedy(&other);
        if found <= arena {
            (arena, order) = (found, other);
            offsets.clone_from(&search.offsets);
        }
    }
    Plan {
        offsets,
        arena_bytes: arena,
        lower_bound,
        strips: problem.groups.iter().map(strips).collect(),
    }
}

fn strips(group: &super::Group) -> super::Strips {
    super::Strips {
        first: group.range.start,
        last: group.range.end - 1,
        strips: group.strips,
        moved_bytes: group.moved,
    }
}

/// One attempt after the other, with what they share.
struct Search<'p> {
    problem: &'p Problem,
    conflicts: &'p Conflicts,
    offsets: Vec<usize>,
    placed: Vec<bool>,
    /// Ranges that offsets of the tensor at hand may not lie in; scratch.
    forbidden: Vec<(usize, usize)>,
    work: usize,
}

impl<'p> Search<'p> {
    fn new(problem: &'p Problem, conflicts: &'p Conflicts) -> Self {
        let count = problem.sizes.len();
        Self {
            problem,
            conflicts,
            offsets: vec![0; count],
            placed: vec![false; count],
            forbidden: Vec::new(),
            work: 0,
        }
    }

    /// Places all tensors in this order, and gives the size of the arena.
    fn greedy(&mut self, order: &[usize]) -> usize {
        self.placed.fill(false);
        self.offsets.fill(0);
        self.work += self.placed.len();
        let mut arena = 0;
        for &tensor in order {
            let neighbours = &self.conflicts.neighbours[tensor];
            self.work += neighbours.len() + 1;
            self.forbidden.clear();
            for near in neighbours.iter().filter(|near| self.placed[near.tensor]) {
                let other = self.offsets[near.tensor];
                // Open at its lower end: from there on, this tensor is far enough below.
                if near.before + near.behind > 0 {
                    self.forbidden
                        .push(((other + 1).saturating_sub(near.before), other + near.behind));
                }
            }
            self.forbidden.sort_unstable();
            let mut offset = 0;
            for &(start, end) in &self.forbidden {
                if offset < start {
                    break;
                }
                offset = offset.max(end);
            }
            self.offsets[tensor] = offset;
            self.placed[tensor] = true;
            arena = arena.max(offset + self.problem.sizes[tensor]);
        }
        arena
    }
}
