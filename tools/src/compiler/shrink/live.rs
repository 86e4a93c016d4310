//! Which channels have to stay.
//!
//! Channels that can only go together (through a depthwise convolution, a pool, a sum) are one
//! set. Starting with nothing, a set stays as soon as something that stays reads one of its
//! channels in a way that no constant can replace.

use niwaki::artifact::Blob;

use super::known::{Channels, Known, blob, unpadded};
use super::step::{Kind, Operands, Program, Step};
use crate::compiler::builder::Builder;

/// For each tensor and channel, whether it stays.
pub(super) type Kept = Vec<Vec<bool>>;

/// What is known of the program, and which rewriting is allowed.
#[derive(Clone, Copy, Debug)]
pub(super) struct Facts<'p> {
    pub(super) program: &'p Program,
    pub(super) builder: &'p Builder,
    pub(super) known: &'p [Channels],
    /// For each step, whether it can have a bias for each class of pixels.
    pub(super) borders: &'p [bool],
}

impl Facts<'_> {
    /// The values of channel `c` of the step's first input, if the step's bias can take them in.
    pub(super) fn foldable(&self, step: &Step, c: usize) -> Option<&Known> {
        let input = *step.inputs.first()?;
        let known = self.known[input][c].as_ref()?;
        let fits = match &step.kind {
            Kind::Conv(p) => known
                .uniform()
                .is_some_and(|k| i32::from(k) == p.input_zero_point || unpadded(&p.window)),
            Kind::Matrix(p) => {
                let borders = self.program.producers[step.output];
                let borders = borders.is_some_and(|index| self.borders[index]);
                known.uniform().is_some() || p.rows == 1 || borders
            }
            _ => false,
        };
        fits.then_some(known)
    }

    /// For each output channel of a convolution or matrix product, the input channels that it
    /// reads and that its bias cannot take in.
    fn reads(&self, step: &Step, output: usize) -> Vec<usize> {
        let (weights, per_output): (Blob<i8>, usize) = match &step.kind {
            Kind::Matrix(p) => (p.weights, p.depth as usize),
            Kind::Conv(p) => {
                let taps = p.window.kernel_h * p.window.kernel_w;
                (p.weights, (taps * p.group_in) as usize)
            }
            _ => return Vec::new(),
        };
        let lanes = self.program.lanes[step.inputs[0]];
        let at = weights.offset as usize + output * per_output;
        let row = blob(&self.builder.data, Blob::<i8>::at(at as u32), per_output);
        // Filters have channels innermost, as images do.
        let used = row.iter().enumerate().filter(|(_, w)| **w != 0);
        used.map(|(j, _)| lanes.channel(j))
            .filter(|&c| self.foldable(step, c).is_none())
            .collect()
    }
}

/// Finds the channels that stay.
pub(super) fn kept(facts: &Facts<'_>) -> Kept {
    let program = facts.program;
    let mut sets = Sets::new(program);
    for step in &program.steps {
        tie(program, step, &mut sets);
    }
    let members = sets.members();
    let mut kept: Kept = program
        .lanes
        .iter()
        .map(|lanes| vec![false; lanes.channels])
        .collect();
    let mut waiting: Vec<(usize, usize)> = Vec::new();
    let mut done = vec![false; members.len()];
    for (tensor, pinned) in program.pinned.iter().enumerate() {
        if *pinned {
            waiting.extend((0..kept[tensor].len()).map(|c| (tensor, c)));
        }
    }
    let mut next = 0;
    loop {
        while let Some((tensor, channel)) = waiting.pop() {
            let set = sets.find(sets.first[tensor] + channel);
            if std::mem::replace(&mut done[set], true) {
                continue;
            }
            for &(tensor, channel) in &members[set] {
                kept[tensor][channel] = true;
                if let Some(producer) = program.producers[tensor] {
                    let step = &program.steps[producer];
                    let reads = facts.reads(step, channel);
                    waiting.extend(reads.into_iter().map(|c| (step.inputs[0], c)));
                }
            }
        }
        // A tensor of which nothing would be left keeps its first channel.
        match (next..kept.len()).find(|&tensor| !kept[tensor].contains(&true)) {
            Some(tensor) => {
                waiting.push((tensor, 0));
                next = tensor + 1;
            }
            None => return kept,
        }
    }
}

/// Unites the channels that go or stay together.
fn tie(program: &Program, step: &Step, sets: &mut Sets) {
    let output = step.output;
    let channels = program.lanes[output].channels;
    match &step.kind {
        Kind::Opaque | Kind::Conv(_) | Kind::Matrix(_) => {}
        Kind::Depthwise(_)
        | Kind::MaxPool(_)
        | Kind::AveragePool(_)
        | Kind::Lookup(_)
        | Kind::Transpose(..)
        | Kind::Pad(_)
        | Kind::Concat(false, _) => {
            for &input in &step.inputs {
                (0..channels).for_each(|c| sets.unite((input, c), (output, c)));
            }
        }
        Kind::Binary(_, _, operands) => {
            for (i, &input) in step.inputs.iter().enumerate() {
                if *operands != Operands::One(i) {
                    (0..channels).for_each(|c| sets.unite((input, c), (output, c)));
                }
            }
        }
        Kind::Concat(true, _) => {
            let mut first = 0;
            for &input in &step.inputs {
                let width = program.lanes[input].channels;
                (0..width).for_each(|c| sets.unite((input, c), (output, first + c)));
                first += width;
            }
        }
    }
}

/// Disjoint sets of channels.
struct Sets {
    /// Number of the first channel of each tensor.
    first: Vec<usize>,
    owner: Vec<(usize, usize)>,
    parent: Vec<usize>,
}

impl Sets {
    fn new(program: &Program) -> Self {
        let mut sets = Self {
            first: Vec::new(),
            owner: Vec::new(),
            parent: Vec::new(),
        };
        for (tensor, lanes) in program.lanes.iter().enumerate() {
            sets.first.push(sets.owner.len());
            sets.owner.extend((0..lanes.channels).map(|c| (tensor, c)));
        }
        sets.parent = (0..sets.owner.len()).collect();
        sets
    }

    fn find(&mut self, mut id: usize) -> usize {
        while self.parent[id] != id {
            // Halve the path, so that trees stay flat.
            self.parent[id] = self.parent[self.parent[id]];
            id = self.parent[id];
        }
        id
    }

    fn unite(&mut self, a: (usize, usize), b: (usize, usize)) {
        let [a, b] = [a, b].map(|(tensor, channel)| self.first[tensor] + channel);
        let [a, b] = [self.find(a), self.find(b)];
        self.parent[b] = a;
    }

    fn members(&mut self) -> Vec<Vec<(usize, usize)>> {
        let mut members = vec![Vec::new(); self.owner.len()];
        for id in 0..self.owner.len() {
            let set = self.find(id);
            members[set].push(self.owner[id]);
        }
        members
    }
}
