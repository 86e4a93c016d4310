//! Groups of operators that are run in strips: some rows of the first, the rows of the second that
//! can be computed from them, and so on, then the next rows of the first. Between them, the arena
//! holds a few rows of each tensor instead of all.
//!
//! Where a strip begins and ends for each operator is a function of the strip's number alone
//! ([`crate::artifact::Strip`]), so that a run keeps no state and the loader can look at every
//! strip before the first run.

use core::ops::Range;

use crate::artifact::{Operators, RawOperator, Tensor};

/// How many operators a group has at most: bounds what a load costs, and what a run keeps on the
/// stack for the digests of a group.
pub const MAX_GROUP: usize = 32;

/// Operators next to each other that are run strip by strip.
#[derive(Clone, Copy, Debug)]
pub struct Group<'m> {
    /// The first of them, and all that follow.
    operators: Operators<'m>,
    len: usize,
    strips: u32,
}

impl<'m> Group<'m> {
    /// The group that these operators begin with; the first one alone, in 0 strips, when it is run
    /// at once. `None` when there is no operator.
    pub fn or_one(operators: Operators<'m>) -> Option<Self> {
        let first = Operators::next(&mut { operators })?;
        Some(Self {
            operators,
            len: first.strip.rest() as usize + 1,
            strips: u32::from(first.header.strips),
        })
    }

    /// The operators of the group.
    pub fn operators(&self) -> impl Iterator<Item = RawOperator<'m>> + use<'m> {
        self.operators.take(self.len)
    }

    /// How many operators it has.
    pub fn len(&self) -> usize {
        self.len
    }

    /// True when it has none, which no group is.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// How many strips it is run in; 0 for an operator that is run at once.
    pub fn strips(&self) -> u32 {
        self.strips
    }

    /// Strip `index` of the group.
    pub fn part(&self, index: u32) -> Part<'m> {
        Part {
            group: *self,
            index,
        }
    }
}

/// One strip of a group.
#[derive(Clone, Copy, Debug)]
pub struct Part<'m> {
    group: Group<'m>,
    index: u32,
}

impl Part<'_> {
    /// The rows of its output that `operator` computes in this strip.
    pub fn rows(&self, operator: &RawOperator<'_>, output: &Tensor) -> Range<u32> {
        let done = |strips| operator.strip.done(strips, output.rows());
        done(self.index)..done(self.index + 1)
    }

    /// The row of a tensor that its place in the arena begins with during this strip: 0 for one
    /// that is held as a whole. `None` when no operator of the group writes one that is not.
    pub fn first_row(&self, index: u16, tensor: &Tensor) -> Option<u32> {
        if tensor.held == 0 {
            return Some(0);
        }
        let writes = |operator: &RawOperator<'_>| operator.output(0) == Some(index);
        let producer = self.group.operators().find(writes)?;
        Some(first_held(&producer, tensor, self.index))
    }

    /// Whether no strip follows.
    pub fn is_last(&self) -> bool {
        self.index + 1 >= self.group.strips
    }

    /// The bytes of the arena that `operator` writes in this strip, of its output `index`.
    pub fn new_bytes(
        &self,
        operator: &RawOperator<'_>,
        index: u16,
        output: &Tensor,
    ) -> Option<Range<usize>> {
        let row = output.row_len() * output.dtype.bytes();
        let first = self.first_row(index, output)?;
        let rows = self.rows(operator, output);
        let at = |end: u32| Some(output.offset as usize + end.checked_sub(first)? as usize * row);
        Some(at(rows.start)?..at(rows.end)?)
    }

    /// By how many rows the output's place moves on when this strip begins.
    pub(crate) fn step(&self, operator: &RawOperator<'_>, output: &Tensor) -> u32 {
        if output.held == 0 || self.index == 0 {
            return 0;
        }
        let first = |strip| first_held(operator, output, strip);
        first(self.index) - first(self.index - 1)
    }
}

/// The first row that memory holds during strip `strip` of a tensor that `producer` writes.
fn first_held(producer: &RawOperator<'_>, tensor: &Tensor, strip: u32) -> u32 {
    let done = producer.strip.done(strip, tensor.rows());
    done.saturating_sub(producer.strip.keep())
}
