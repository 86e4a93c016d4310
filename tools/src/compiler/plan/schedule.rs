//! Strips: in which order a group of operators computes its rows, a few at a time, and how many
//! rows of each tensor have to be held for it.
//!
//! Every operator of a group has a pace, in rows for each strip, that follows from that of the last
//! one: an operator behind a stride of 2 goes half as fast. It starts as early as its inputs allow,
//! and then everything in front of it as late as the others allow, so that little is held.

use std::collections::HashMap;
use std::ops::Range;

use niwaki::artifact::Strip;
use niwaki::ops::{MAX_GROUP, Steps};

use super::{ALIGNMENT, Problem};

/// Strips of a group times its operators, as the runtime's loader bounds them.
const MAX_PARTS: usize = 4096;

/// Rows of a tensor in memory order.
#[derive(Clone, Copy, Debug)]
pub(super) struct Rows {
    pub(super) count: usize,
    /// Elements of one.
    pub(super) len: usize,
    /// Bytes of an element.
    pub(super) size: usize,
}

impl Rows {
    fn bytes(&self, rows: usize) -> usize {
        rows * self.len * self.size
    }
}

/// Rows for each strip: `step` of them for every `every` strips.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Pace {
    pub(super) step: usize,
    pub(super) every: usize,
}

impl Pace {
    fn times(self, (rows, of): (usize, usize)) -> Self {
        let (step, every) = (self.step * rows, self.every * of);
        let common = gcd(step, every).max(1);
        Self {
            step: step / common,
            every: every / common,
        }
    }
}

fn gcd(a: usize, b: usize) -> usize {
    if b == 0 { a } else { gcd(b, a % b) }
}

/// One operator of a group.
#[derive(Clone, Copy, Debug)]
pub(super) struct Member {
    pub(super) strip: Strip,
    /// Rows of its output that are held at a time; 0 for all.
    pub(super) held: usize,
}

/// Operators that are run in strips.
#[derive(Clone, Debug)]
pub(super) struct Group {
    /// Their indices.
    pub(super) range: Range<usize>,
    pub(super) strips: usize,
    pub(super) members: Vec<Member>,
    /// For a tensor that is there before the group and dies in it, and an output of the group: by
    /// how many bytes the output may begin before it, or more.
    pub(super) before: HashMap<(usize, usize), usize>,
    /// Bytes that are moved so that what is kept stays in one piece.
    pub(super) moved: usize,
}

impl Group {
    /// The group of these operators whose last one has that pace; `None` when they cannot be one.
    pub(super) fn of(problem: &Problem, range: Range<usize>, pace: Pace) -> Option<Self> {
        let draft = Draft::of(problem, range.clone(), pace)?;
        let strips = draft.clocks.iter().map(|c| c.tick(c.rows)).max()?;
        if strips == 0 || strips * range.len() > MAX_PARTS || range.len() > MAX_GROUP {
            return None;
        }
        let mut members = Vec::new();
        let mut moved = 0;
        for position in 0..range.len() {
            let (keep, mut held) = draft.kept(position, strips);
            let step = &problem.operators[range.start + position];
            let rows = problem.rows[step.output];
            if problem.is_met_outside(step.output, &range) || held >= rows.count {
                held = 0;
            }
            if held > usize::from(u8::MAX) {
                return None;
            }
            if held > 0 {
                moved += rows.bytes(keep) * strips;
            }
            let clock = &draft.clocks[position];
            let half = |value: usize| u16::try_from(value).ok().map(u32::from);
            members.push(Member {
                strip: Strip {
                    lag: u32::try_from(clock.lag).ok()?,
                    pace: half(clock.pace.step)? | half(clock.pace.every)? << 16,
                    keep_and_rest: half(keep)? | half(range.len() - 1 - position)? << 16,
                },
                held,
            });
        }
        let mut group = Self {
            range,
            strips,
            members,
            before: HashMap::new(),
            moved,
        };
        group.before = group.distances(problem);
        Some(group)
    }

    /// Bytes of the arena that the output of the member at `position` takes.
    pub(super) fn bytes(&self, problem: &Problem, position: usize) -> usize {
        let output = problem.operators[self.range.start + position].output;
        let rows = problem.rows[output];
        let bytes = match self.members[position].held {
            0 => rows.bytes(rows.count),
            held => rows.bytes(held),
        };
        bytes.next_multiple_of(ALIGNMENT)
    }

    fn done(&self, position: usize, strips: usize, rows: usize) -> usize {
        self.members[position]
            .strip
            .done(strips as u32, rows as u32) as usize
    }

    /// How near an output may lie before a tensor that dies here: in every strip, what is written
    /// ends where what is still to be read begins. An output that an earlier operator than the last
    /// reader writes has to keep clear.
    fn distances(&self, problem: &Problem) -> HashMap<(usize, usize), usize> {
        let steps = &problem.operators[self.range.clone()];
        let inside = |tensor: usize| steps.iter().any(|step| step.output == tensor);
        let mut readers: HashMap<usize, Vec<usize>> = HashMap::new();
        for (position, step) in steps.iter().enumerate() {
            for &(input, _) in step.inputs.iter().filter(|(input, _)| !inside(*input)) {
                readers.entry(input).or_default().push(position);
            }
        }
        let mut before = HashMap::new();
        for (&tensor, readers) in &readers {
            let last = readers.iter().copied().max().unwrap_or(0);
            for (writer, step) in steps.iter().enumerate().skip(last) {
                let distances = (0..self.strips)
                    .filter_map(|strip| self.distance(problem, (tensor, readers), writer, strip));
                before.insert((tensor, step.output), distances.max().unwrap_or(0));
            }
        }
        before
    }

    /// That distance in one strip; `None` when nothing is to be read any more.
    fn distance(
        &self,
        problem: &Problem,
        (tensor, readers): (usize, &[usize]),
        writer: usize,
        strip: usize,
    ) -> Option<usize> {
        let live = readers.iter().filter_map(|&reader| {
            let step = &problem.operators[self.range.start + reader];
            let rows = problem.rows[step.output];
            // The one at work still needs what it reads now.
            let next = self.done(reader, strip + usize::from(reader < writer), rows.count);
            let (first, _) = step.needed(rows, next)?;
            Some(first * problem.rows[tensor].size)
        });
        let live = live.min()?;
        let rows = problem.rows[problem.operators[self.range.start + writer].output];
        let end = self.done(writer, strip + 1, rows.count);
        let first = match self.members[writer].held {
            0 => 0,
            _ => {
                let done = self.done(writer, strip, rows.count);
                done.saturating_sub(self.members[writer].strip.keep() as usize)
            }
        };
        Some(rows.bytes(end - first).saturating_sub(live))
    }
}

/// When an operator has how many rows.
#[derive(Clone, Copy, Debug)]
struct Clock {
    pace: Pace,
    lag: usize,
    /// All of them.
    rows: usize,
}

impl Clock {
    /// The first number of strips after which there are so many rows.
    fn tick(&self, rows: usize) -> usize {
        if rows == 0 {
            return 0;
        }
        (rows * self.pace.every + self.lag).div_ceil(self.pace.step)
    }

    fn done(&self, strips: usize) -> usize {
        let ahead = (strips * self.pace.step).saturating_sub(self.lag);
        (ahead / self.pace.every).min(self.rows)
    }
}

struct Draft<'p> {
    problem: &'p Problem,
    range: Range<usize>,
    clocks: Vec<Clock>,
    /// For each operator, the positions of those of the group that read its output.
    readers: Vec<Vec<usize>>,
}

impl<'p> Draft<'p> {
    fn of(problem: &'p Problem, range: Range<usize>, pace: Pace) -> Option<Self> {
        let steps = &problem.operators[range.clone()];
        if steps.iter().any(|step| step.steps.is_none()) {
            return None;
        }
        let reads = |reader: &super::Step, tensor| reader.inputs.iter().any(|(t, _)| *t == tensor);
        let readers: Vec<Vec<usize>> = steps
            .iter()
            .map(|step| {
                let found = (0..steps.len()).filter(|&i| reads(&steps[i], step.output));
                found.collect()
            })
            .collect();
        let clock = |step: &super::Step| Clock {
            pace,
            lag: 0,
            rows: problem.rows[step.output].count,
        };
        let mut draft = Self {
            problem,
            clocks: steps.iter().map(clock).collect(),
            range,
            readers,
        };
        draft.set_paces()?;
        draft.start_early();
        draft.start_late();
        Some(draft)
    }

    fn step(&self, position: usize) -> &'p super::Step {
        &self.problem.operators[self.range.start + position]
    }

    /// Rows of the output of `producer` that have to be there for row `row` of `reader`: from the
    /// first to the one behind the last.
    fn needed(&self, reader: usize, producer: usize, row: usize) -> Option<(usize, usize)> {
        let rows = self.problem.rows[self.step(reader).output];
        let (first, end) = self.step(reader).needed(rows, row)?;
        let len = self.problem.rows[self.step(producer).output].len;
        Some((first / len, end.div_ceil(len)))
    }

    /// The paces of all operators from that of the last one. `None` when one has no reader in the
    /// group, or readers that want different paces.
    fn set_paces(&mut self) -> Option<()> {
        for position in (0..self.clocks.len().checked_sub(1)?).rev() {
            let mut pace = None;
            for &reader in &self.readers[position] {
                let wanted = self.clocks[reader]
                    .pace
                    .times(self.ratio(reader, position)?);
                if pace.is_some_and(|pace| pace != wanted) {
                    return None;
                }
                pace = Some(wanted);
            }
            self.clocks[position].pace = pace?;
        }
        Some(())
    }

    /// Rows of the output of `producer` for a row of `reader`, as a fraction: between two rows far
    /// from both ends, where there are such.
    fn ratio(&self, reader: usize, producer: usize) -> Option<(usize, usize)> {
        let rows = self.clocks[reader].rows;
        let (low, high) = (rows / 3, 2 * rows / 3);
        if high > low + 1 {
            let (a, _) = self.needed(reader, producer, low)?;
            let (b, _) = self.needed(reader, producer, high)?;
            if b > a {
                return Some((b - a, high - low));
            }
        }
        Some((self.clocks[producer].rows, rows))
    }

    /// Each operator begins as soon as its inputs allow.
    fn start_early(&mut self) {
        for reader in 0..self.clocks.len() {
            let mut lag = 0;
            for producer in 0..reader {
                if !self.readers[producer].contains(&reader) {
                    continue;
                }
                for row in 0..self.clocks[reader].rows {
                    let Some((_, end)) = self.needed(reader, producer, row) else {
                        continue;
                    };
                    let Pace { step, every } = self.clocks[reader].pace;
                    // Row `row` may be there after as many strips as row `end` is, and no earlier.
                    if let Some(earlier) = self.clocks[producer].tick(end).checked_sub(1) {
                        let least = (earlier * step + 1).saturating_sub((row + 1) * every);
                        lag = lag.max(least);
                    }
                }
            }
            self.clocks[reader].lag = lag;
        }
    }

    /// Each operator but the last begins as late as its readers allow.
    fn start_late(&mut self) {
        for producer in (0..self.clocks.len()).rev() {
            let mut lag: Option<usize> = None;
            for &reader in &self.readers[producer] {
                for row in 0..self.clocks[reader].rows {
                    let Some((_, end)) = self.needed(reader, producer, row) else {
                        continue;
                    };
                    let Pace { step, every } = self.clocks[producer].pace;
                    let most =
                        (self.clocks[reader].tick(row + 1) * step).saturating_sub(end * every);
                    lag = Some(lag.map_or(most, |lag| lag.min(most)));
                }
            }
            let clock = &mut self.clocks[producer];
            clock.lag = lag.map_or(clock.lag, |lag| lag.max(clock.lag));
        }
    }

    /// Rows of an output that a strip leaves for the next ones, and the most that are held.
    fn kept(&self, producer: usize, strips: usize) -> (usize, usize) {
        let clock = &self.clocks[producer];
        let mut keep = 0;
        for strip in 0..strips {
            for &reader in &self.readers[producer] {
                let next = self.clocks[reader].done(strip);
                if next < self.clocks[reader].rows
                    && let Some((first, _)) = self.needed(reader, producer, next)
                {
                    keep = keep.max(clock.done(strip).saturating_sub(first));
                }
            }
        }
        let held =
            (0..strips).map(|strip| clock.done(strip + 1) - clock.done(strip).saturating_sub(keep));
        (keep, held.max().unwrap_or(0))
    }
}

impl super::Step {
    /// The elements of its inputs that row `row` of the output is computed from: the first, and the
    /// one behind the last.
    fn needed(&self, rows: Rows, row: usize) -> Option<(usize, usize)> {
        let steps: Steps = self.steps?;
        if row >= rows.count {
            return None;
        }
        let needed = steps.needed_for(&(row * rows.len..(row + 1) * rows.len))?;
        Some((needed.start, needed.end))
    }
}

impl Problem {
    /// Whether an operator outside the range, or the caller, reads the tensor.
    fn is_met_outside(&self, tensor: usize, range: &Range<usize>) -> bool {
        let outside = |(i, step): (usize, &super::Step)| {
            !range.contains(&i) && step.inputs.iter().any(|(t, _)| *t == tensor)
        };
        self.outputs.contains(&tensor) || self.operators.iter().enumerate().any(outside)
    }
}
