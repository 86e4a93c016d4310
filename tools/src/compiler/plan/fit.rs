//! A plan for less memory: groups of operators around each peak are run in strips until the arena
//! fits.

use std::ops::Range;

use anyhow::{Result, bail};
use niwaki::ops::MAX_GROUP;

use super::lifetimes::Conflicts;
use super::place::place;
use super::schedule::{Group, Pace};
use super::{Plan, Problem};

/// Instructions that an operator costs in each strip, beside what it computes: a rough figure, to
/// weigh plans against each other (measured on a Cortex-M4: 1,000 to 2,000).
const PART: usize = 1500;

/// Paces that are tried for the last operator of a group.
pub(super) const PACES: [Pace; 8] = {
    const fn pace(step: usize, every: usize) -> Pace {
        Pace { step, every }
    }
    [
        pace(16, 1),
        pace(8, 1),
        pace(4, 1),
        pace(2, 1),
        pace(1, 1),
        pace(1, 2),
        pace(1, 4),
        pace(1, 8),
    ]
};

/// What is aimed at, in steps: a placement takes a little more than the bound that the search
/// looks at, so a plan that fits may only be found by aiming lower.
const AIMS: usize = 24;

/// Runs groups in strips so that the arena takes at most `ram` bytes, with as little extra work as
/// the search finds. `name` gives the layer that an operator computes.
///
/// # Errors
///
/// When nothing that is found fits.
pub(super) fn fit(
    problem: &Problem,
    ram: usize,
    name: &dyn Fn(usize) -> String,
) -> Result<(Problem, Plan)> {
    let whole = place(problem, &Conflicts::of(problem));
    let mut best = (problem.clone(), whole);
    // Where nothing fits, what lies between says how far it gets.
    let above = best.1.arena_bytes;
    let below = (0..AIMS).map(|i| ram - ram * i / AIMS);
    let between = (1..AIMS).map(|i| above - above.saturating_sub(ram) * i / AIMS);
    for aim in below.chain(between) {
        if best.1.arena_bytes <= ram {
            break;
        }
        let found = lowered(problem, aim);
        let plan = place(&found, &Conflicts::of(&found));
        if plan.arena_bytes < best.1.arena_bytes {
            best = (found, plan);
        }
    }
    let (problem, plan) = best;
    if plan.arena_bytes > ram {
        let conflicts = Conflicts::of(&problem);
        let layer = peak(&conflicts).0.saturating_sub(1);
        let layer = layer.min(problem.operators.len().saturating_sub(1));
        bail!(
            "the smallest arena that was found has {} bytes, {} more than --ram allows; it is set by layer {layer}, `{}`",
            plan.arena_bytes,
            plan.arena_bytes - ram,
            name(layer)
        );
    }
    Ok((problem, plan))
}

/// The time when most is needed, and how much.
fn peak(conflicts: &Conflicts) -> (usize, usize) {
    let times = conflicts.needed.iter().copied().enumerate();
    times
        .max_by_key(|&(time, needed)| (needed, std::cmp::Reverse(time)))
        .unwrap_or_default()
}

/// The problem with groups in strips, until no time needs more than `aim` or nothing helps.
fn lowered(problem: &Problem, aim: usize) -> Problem {
    let mut problem = problem.clone();
    // Every group that is added lowers a peak; the bound is for a chain of small gains.
    for _ in 0..problem.operators.len() {
        let (time, needed) = peak(&Conflicts::of(&problem));
        if needed <= aim {
            break;
        }
        let Some(better) = around(&problem, time, needed, aim) else {
            break;
        };
        problem = better;
    }
    problem
}

/// The problem with the best group around a peak: of those that need no more than `aim` the one
/// with the least extra work, otherwise the one that needs least.
fn around(problem: &Problem, time: usize, needed: usize, aim: usize) -> Option<Problem> {
    let count = problem.operators.len();
    let at = time.saturating_sub(1).min(count.checked_sub(1)?);
    let mut best: Option<((usize, usize), Problem)> = None;
    for range in ranges(problem, at) {
        for pace in PACES {
            let Some(group) = Group::of(problem, range.clone(), pace) else {
                continue;
            };
            let work = group.moved / 2 + group.strips * range.len() * PART;
            let changed = problem.with_group(group);
            // From the time before the group to the one behind it.
            let times = range.start..=range.end + 1;
            let local = Conflicts::of(&changed).needed[times].iter().copied().max();
            let local = local.unwrap_or(0);
            let key = (local.max(aim), work);
            if local < needed && best.as_ref().is_none_or(|(least, _)| key < *least) {
                best = Some((key, changed));
            }
        }
    }
    best.map(|(_, problem)| problem)
}

/// Runs of operators around one that can all be run in strips, two or more of them.
fn ranges(problem: &Problem, at: usize) -> impl Iterator<Item = Range<usize>> {
    let can = |i: &usize| problem.operators[*i].steps.is_some();
    // The peak may lie on an operator that reads what a group could write.
    let low = (0..=at).rev().take(MAX_GROUP);
    let first = low
        .clone()
        .take_while(|i| *i == at || can(i))
        .min()
        .unwrap_or(at);
    let high = (at..problem.operators.len()).take(MAX_GROUP);
    let last = high.take_while(|i| *i == at || can(i)).max().unwrap_or(at);
    (first..=at).flat_map(move |from| {
        (at..=last)
            .filter(move |to| (1..MAX_GROUP).contains(&(to - from)))
            .map(move |to| from..to + 1)
    })
}
