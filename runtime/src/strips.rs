//! Whether operators that are run in strips find what they read where they read it, in every strip.

use core::ops::Range;

use crate::Model;
use crate::artifact::{RawOperator, Storage, Tensor};
use crate::error::{LoadError, Rule};
use crate::ops::{Check, Group, MAX_GROUP, OperatorSet, Part, Steps};

/// Strips of a group times its operators: bounds the time that a load takes.
const MAX_PARTS: usize = 4096;

/// What is wrong, and with which operator of the group.
type Wrong = (usize, Rule);

impl<S: OperatorSet> Model<'_, S> {
    /// Checks every group in every strip, and that tensors of which the arena holds a part are met
    /// nowhere else. Asked only of operators that have passed their own check, and of reads that
    /// are sound when each operator is taken to run once: what is left is that of strips alone.
    pub(crate) fn check_strips(&self) -> Result<(), LoadError> {
        let mut operators = self.operators();
        let mut index = 0;
        while let Some(group) = Group::or_one(operators) {
            let checked = match group.strips() {
                0 => self.check_alone(&group).map_err(|rule| (0, rule)),
                _ => self.check_group(&group),
            };
            checked.map_err(|(position, rule)| LoadError::Operator {
                index: (index + position) as u32,
                rule,
            })?;
            index += group.len();
            operators.nth(group.len() - 1);
        }
        for port in 0..self.input_count() + self.output_count() {
            let tensor = self.port(port).and_then(|port| self.port_tensor(&port));
            if tensor.is_none_or(|tensor| tensor.held != 0) {
                return Err(LoadError::Interface {
                    index: port as u32,
                    rule: Rule::Strips,
                });
            }
        }
        Ok(())
    }

    fn tensor_of(&self, index: Option<u16>) -> Result<Tensor, Rule> {
        self.tensors()
            .get(index.ok_or(Rule::Count)?)
            .ok_or(Rule::TensorIndex)
    }

    fn steps_of(&self, operator: &RawOperator<'_>) -> Result<Steps, Rule> {
        S::steps(&Check::new(self.data(), self.tensors(), *operator)).ok_or(Rule::Strips)
    }

    /// An operator that is run at once meets whole tensors only.
    fn check_alone(&self, one: &Group<'_>) -> Result<(), Rule> {
        for operator in one.operators() {
            for tensor in operator.outputs().chain(operator.inputs()) {
                if self.tensor_of(Some(tensor))?.held != 0 {
                    return Err(Rule::Strips);
                }
            }
        }
        Ok(())
    }

    fn check_group(&self, group: &Group<'_>) -> Result<(), Wrong> {
        let parts = group.len().saturating_mul(group.strips() as usize);
        if group.len() > MAX_GROUP || parts > MAX_PARTS {
            return Err((0, Rule::Strips));
        }
        let mut count = 0;
        for (position, operator) in group.operators().enumerate() {
            self.check_member(group, position, &operator)
                .map_err(|rule| (position, rule))?;
            count += 1;
        }
        if count != group.len() {
            return Err((0, Rule::Strips));
        }
        for strip in 0..group.strips() {
            for (position, operator) in group.operators().enumerate() {
                self.check_part(group, strip, position, &operator)
                    .map_err(|rule| (position, rule))?;
            }
        }
        Ok(())
    }

    /// What holds for an operator of a group in all strips: its record fits the others, it computes
    /// all of its rows, and its output has a place of its own.
    fn check_member(
        &self,
        group: &Group<'_>,
        position: usize,
        operator: &RawOperator<'_>,
    ) -> Result<(), Rule> {
        let output = self.tensor_of(operator.output(0))?;
        let fits = operator.header.outputs == 1
            && u32::from(operator.header.strips) == group.strips()
            && operator.strip.rest() as usize + position + 1 == group.len()
            && operator.strip.done(group.strips(), output.rows()) == output.rows();
        let mut others = group.operators().take(position);
        let clash = others.any(|other| {
            let other = self.tensor_of(other.output(0));
            other.is_ok_and(|other| other.overlaps(&output))
        });
        if !fits || clash {
            return Err(Rule::Strips);
        }
        self.steps_of(operator)?;
        Ok(())
    }

    /// One operator in one strip: its new rows have room, what they are computed from is there, and
    /// what they are written over is needed no more.
    fn check_part(
        &self,
        group: &Group<'_>,
        strip: u32,
        position: usize,
        operator: &RawOperator<'_>,
    ) -> Result<(), Rule> {
        let part = group.part(strip);
        let index = operator.output(0).ok_or(Rule::Count)?;
        let output = self.tensor_of(Some(index))?;
        let first = part.first_row(index, &output).ok_or(Rule::Strips)?;
        let rows = part.rows(operator, &output);
        if output.held != 0 && rows.end.saturating_sub(first) > u32::from(output.held) {
            return Err(Rule::Strips);
        }
        if !rows.is_empty() {
            let needed = self.needed(operator, &output, rows.clone())?;
            for input in operator.inputs() {
                self.check_input(group, part, position, input, &needed)?;
            }
        }
        // Rows that are kept move within the place, so all of it counts as written.
        let written = part
            .new_bytes(operator, index, &output)
            .ok_or(Rule::Strips)?;
        let written = match output.held {
            0 => written,
            _ => output.range().start..written.end,
        };
        self.check_written_over(group, part, position, &output, &written)
    }

    /// The elements of its inputs that an operator needs for these rows of its output.
    fn needed(
        &self,
        operator: &RawOperator<'_>,
        output: &Tensor,
        rows: Range<u32>,
    ) -> Result<Range<usize>, Rule> {
        let row = output.row_len();
        let elements = rows.start as usize * row..rows.end as usize * row;
        let steps = self.steps_of(operator)?;
        steps.needed_for(&elements).ok_or(Rule::Strips)
    }

    /// Whether these elements of a tensor are there when the operator at `position` reads them.
    fn check_input(
        &self,
        group: &Group<'_>,
        part: Part<'_>,
        position: usize,
        input: u16,
        needed: &Range<usize>,
    ) -> Result<(), Rule> {
        let tensor = self.tensor_of(Some(input))?;
        let writes = |operator: &RawOperator<'_>| operator.output(0) == Some(input);
        let Some(at) = group.operators().position(|operator| writes(&operator)) else {
            return (tensor.held == 0).then_some(()).ok_or(Rule::Strips);
        };
        let producer = group.operators().nth(at).ok_or(Rule::Strips)?;
        let row = tensor.row_len();
        let first = part.first_row(input, &tensor).ok_or(Rule::Strips)? as usize * row;
        let end = part.rows(&producer, &tensor).end as usize * row;
        let there = at < position && first <= needed.start && needed.end <= end;
        there.then_some(()).ok_or(Rule::Strips)
    }

    /// Whether none of these bytes belongs to a row that an operator of the group still has to read,
    /// of a tensor that was there before the group. The one at `position` is at work: it needs what
    /// it reads in this strip.
    fn check_written_over(
        &self,
        group: &Group<'_>,
        part: Part<'_>,
        position: usize,
        output: &Tensor,
        written: &Range<usize>,
    ) -> Result<(), Rule> {
        for (at, reader) in group.operators().enumerate() {
            for input in reader.inputs() {
                let tensor = self.tensor_of(Some(input))?;
                let inside = group.operators().any(|o| o.output(0) == Some(input));
                if inside || tensor.storage != Storage::Arena || !tensor.overlaps(output) {
                    continue;
                }
                let result = self.tensor_of(reader.output(0))?;
                let rows = part.rows(&reader, &result);
                let next = if at < position { rows.end } else { rows.start };
                if next == result.rows() {
                    continue;
                }
                let needed = self.needed(&reader, &result, next..result.rows())?;
                let live = tensor.range().start + needed.start * tensor.dtype.bytes();
                if written.start < tensor.range().end && live < written.end {
                    return Err(Rule::Strips);
                }
            }
        }
        Ok(())
    }
}
