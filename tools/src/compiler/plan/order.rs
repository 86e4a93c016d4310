//! The order of execution.

use std::collections::BTreeSet;

use super::{Problem, saving};

/// Ready operators that are weighed for each step: keeps wide graphs from taking quadratic time.
const WEIGHED: usize = 256;

/// An order of operators whose peak is lower than that of the order as it is, if one is found:
/// of all operators that could run next, the one with the least memory while it runs, then the
/// one that leaves the least behind.
pub(super) fn better(problem: &Problem) -> Option<Vec<usize>> {
    let count = problem.operators.len();
    let consumers = consumers(problem);
    let mut producer = vec![None; problem.sizes.len()];
    for (i, step) in problem.operators.iter().enumerate() {
        producer[step.output] = Some(i);
    }
    let mut waiting: Vec<usize> = problem
        .operators
        .iter()
        .map(|step| {
            step.inputs
                .iter()
                .filter(|(t, _)| producer[*t].is_some())
                .count()
        })
        .collect();
    let mut ready: BTreeSet<usize> = (0..count).filter(|&i| waiting[i] == 0).collect();
    let mut memory = Memory::new(problem);
    let mut order = Vec::with_capacity(count);
    while let Some(next) = ready
        .iter()
        .take(WEIGHED)
        .copied()
        .min_by_key(|&i| (memory.while_running(i), memory.left_by(i), i))
    {
        ready.remove(&next);
        memory.run(next);
        order.push(next);
        for &reader in &consumers[problem.operators[next].output] {
            waiting[reader] -= 1;
            if waiting[reader] == 0 {
                ready.insert(reader);
            }
        }
    }
    let mut as_it_is = Memory::new(problem);
    (0..count).for_each(|i| as_it_is.run(i));
    (order.len() == count && memory.peak < as_it_is.peak).then_some(order)
}

/// The operators that read each tensor.
fn consumers(problem: &Problem) -> Vec<Vec<usize>> {
    let mut consumers = vec![Vec::new(); problem.sizes.len()];
    for (i, step) in problem.operators.iter().enumerate() {
        for &(input, _) in &step.inputs {
            consumers[input].push(i);
        }
    }
    consumers
}

/// Bytes in use while operators run one after the other.
struct Memory<'p> {
    problem: &'p Problem,
    /// How many more times each tensor is read, by the caller too.
    reads: Vec<usize>,
    live: usize,
    peak: usize,
}

impl<'p> Memory<'p> {
    fn new(problem: &'p Problem) -> Self {
        let mut reads: Vec<usize> = consumers(problem).iter().map(Vec::len).collect();
        problem.outputs.iter().for_each(|&t| reads[t] += 1);
        let live = problem.inputs.iter().map(|&t| problem.sizes[t]).sum();
        Self {
            problem,
            reads,
            live,
            peak: live,
        }
    }

    fn dying(&self, i: usize) -> impl Iterator<Item = (usize, Option<niwaki::ops::Overlap>)> + '_ {
        let inputs = self.problem.operators[i].inputs.iter().copied();
        inputs.filter(|(t, _)| self.reads[*t] == 1)
    }

    fn while_running(&self, i: usize) -> usize {
        let output = self.problem.sizes[self.problem.operators[i].output];
        let savings = self
            .dying(i)
            .filter_map(|(t, overlap)| Some(saving(self.problem.sizes[t], output, overlap?)));
        self.live + output - savings.sum::<usize>().min(output)
    }

    fn left_by(&self, i: usize) -> usize {
        let output = self.problem.sizes[self.problem.operators[i].output];
        let freed: usize = self.dying(i).map(|(t, _)| self.problem.sizes[t]).sum();
        self.live + output - freed
    }

    fn run(&mut self, i: usize) {
        self.peak = self.peak.max(self.while_running(i));
        self.live = self.left_by(i);
        for &(input, _) in &self.problem.operators[i].inputs {
            self.reads[input] -= 1;
        }
    }
}
