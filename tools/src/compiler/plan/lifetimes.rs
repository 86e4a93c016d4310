//! When tensors are needed, and how near each other those may lie that are needed at once.

use super::{ALIGNMENT, Problem, saving};

/// When a tensor's bytes matter: from the operator that writes it to the last that reads it. Time
/// 0 is before the first operator, when the caller writes the inputs.
#[derive(Clone, Copy, Debug)]
pub(super) struct Lifetime {
    pub(super) first: usize,
    pub(super) last: usize,
}

/// Another tensor that is needed at the same time.
#[derive(Clone, Copy, Debug)]
pub(super) struct Neighbour {
    pub(super) tensor: usize,
    /// This tensor may begin so many bytes before the other one, or more.
    pub(super) before: usize,
    /// This tensor may begin so many bytes behind the other one, or more.
    pub(super) behind: usize,
}

/// All that a placement has to keep.
#[derive(Clone, Debug)]
pub(super) struct Conflicts {
    /// Lifetime of every tensor in the arena; `None` for constants and for what nobody uses.
    pub(super) lifetimes: Vec<Option<Lifetime>>,
    /// The neighbours of every tensor.
    pub(super) neighbours: Vec<Vec<Neighbour>>,
    /// For each time, the bytes that no placement can do without.
    pub(super) needed: Vec<usize>,
}

/// Pairs of tensors that are needed at the same time: what a placement is looked for among. Models
/// have a few for each tensor; as many as here take 300 MB.
const MAX_PAIRS: usize = 6_000_000;

/// The tensor at which there are too many pairs to be listed, and how many others are needed with
/// it; `None` where there are not.
pub(super) fn crowd(problem: &Problem) -> Option<(usize, usize)> {
    let lifetimes = lifetimes(problem);
    let mut ending = vec![0usize; problem.operators.len() + 2];
    let mut starting = vec![Vec::new(); ending.len()];
    for (tensor, lifetime) in lifetimes.iter().enumerate() {
        if let Some(lifetime) = lifetime {
            starting[lifetime.first].push(tensor);
            ending[lifetime.last] += 1;
        }
    }
    let (mut alive, mut pairs) = (0usize, 0usize);
    for (starting, ending) in starting.iter().zip(&ending) {
        for &tensor in starting {
            pairs += alive;
            alive += 1;
            if pairs > MAX_PAIRS {
                return Some((tensor, alive));
            }
        }
        alive -= ending;
    }
    None
}

impl Conflicts {
    pub(super) fn of(problem: &Problem) -> Self {
        let lifetimes = lifetimes(problem);
        let end = problem.operators.len() + 2;
        let mut starting = vec![Vec::new(); end];
        for (tensor, lifetime) in lifetimes.iter().enumerate() {
            if let Some(lifetime) = lifetime {
                starting[lifetime.first].push(tensor);
            }
        }
        let mut neighbours = vec![Vec::new(); lifetimes.len()];
        let mut needed = vec![0; end];
        let mut alive: Vec<usize> = Vec::new();
        for time in 0..end {
            alive.retain(|&t| lifetimes[t].is_some_and(|l| l.last >= time));
            for &tensor in &starting[time] {
                for &other in &alive {
                    let (before, behind) = distances(problem, &lifetimes, time, tensor, other);
                    let pair = |tensor, before, behind| Neighbour {
                        tensor,
                        before,
                        behind,
                    };
                    neighbours[tensor].push(pair(other, before, behind));
                    neighbours[other].push(pair(tensor, behind, before));
                }
                alive.push(tensor);
            }
            let sum: usize = alive.iter().map(|&t| problem.sizes[t]).sum();
            needed[time] = sum.saturating_sub(shared(problem, &lifetimes, time));
        }
        Self {
            lifetimes,
            neighbours,
            needed,
        }
    }
}

/// Bytes that an operator's output shares with its inputs at best.
fn shared(problem: &Problem, lifetimes: &[Option<Lifetime>], time: usize) -> usize {
    let Some(step) = time.checked_sub(1).and_then(|i| problem.operators.get(i)) else {
        return 0;
    };
    if let Some(group) = problem.group_of(time - 1) {
        let dying = |tensor: usize| lifetimes[tensor].is_some_and(|l| l.last == group.range.end);
        let pairs = group.before.iter().filter(|((t, _), _)| dying(*t));
        let savings = pairs.map(|(&(input, output), &before)| {
            let (input, output) = (problem.sizes[input], problem.sizes[output]);
            (input + output).saturating_sub((before + input).max(output))
        });
        return savings.sum();
    }
    let output = problem.sizes[step.output];
    let dying = |&&(t, _): &&(usize, _)| lifetimes[t].is_some_and(|l| l.last == time);
    let savings = step
        .inputs
        .iter()
        .filter(dying)
        .filter_map(|&(t, overlap)| Some(saving(problem.sizes[t], output, overlap?)));
    savings.sum::<usize>().min(output)
}

/// How far `tensor`, which is written at `time`, may begin before and behind `other`.
fn distances(
    problem: &Problem,
    lifetimes: &[Option<Lifetime>],
    time: usize,
    tensor: usize,
    other: usize,
) -> (usize, usize) {
    let apart = (problem.sizes[tensor], problem.sizes[other]);
    let Some(step) = time.checked_sub(1).and_then(|i| problem.operators.get(i)) else {
        return apart;
    };
    if let Some(group) = problem.group_of(time - 1) {
        let dying = lifetimes[other].is_some_and(|l| l.last == group.range.end);
        let before = group.before.get(&(other, tensor)).filter(|_| dying);
        return before.map_or(apart, |&before| {
            (before.next_multiple_of(ALIGNMENT).min(apart.0), apart.1)
        });
    }
    if lifetimes[other].is_none_or(|l| l.last != time) {
        return apart;
    }
    let read = step.inputs.iter().find(|(input, _)| *input == other);
    let overlap = read.and_then(|(_, overlap)| *overlap);
    overlap.map_or(apart, |overlap| {
        let round = |distance: u32| (distance as usize).next_multiple_of(ALIGNMENT);
        (
            round(overlap.before).min(apart.0),
            round(overlap.behind).min(apart.1),
        )
    })
}

fn lifetimes(problem: &Problem) -> Vec<Option<Lifetime>> {
    let mut lifetimes: Vec<Option<Lifetime>> = vec![None; problem.sizes.len()];
    let mut touch = |tensor: usize, time: usize| {
        let lifetime = lifetimes[tensor].get_or_insert(Lifetime {
            first: time,
            last: time,
        });
        lifetime.first = lifetime.first.min(time);
        lifetime.last = lifetime.last.max(time);
    };
    for &input in &problem.inputs {
        touch(input, 0);
    }
    for (index, step) in problem.operators.iter().enumerate() {
        // All that a group meets is needed as long as the group is at work.
        let span = problem
            .group_of(index)
            .map_or(index..index + 1, |g| g.range.clone());
        for time in [span.start + 1, span.end] {
            touch(step.output, time);
            for &(input, _) in &step.inputs {
                touch(input, time);
            }
        }
    }
    for &output in &problem.outputs {
        touch(output, problem.operators.len() + 1);
    }
    lifetimes
}
