//! Biases for each class of pixels: what channels give that are constant but for their borders.

use std::collections::HashMap;

use niwaki::ops::{
    FullyConnectedBorderI8, FullyConnectedBorderI8Params, FullyConnectedI8Params, Registered as _,
};

use super::known::{Channels, Known, pixel_rows};
use super::rewrite::Change;
use super::step::{Kind, Program, Step, channel_axis, operator};
use crate::compiler::builder::{Builder, BuiltOperator};

/// Lines and columns of an image that look the same in all of some constant channels.
#[derive(Debug)]
pub(super) struct Grid {
    /// The class of each line.
    lines: Vec<u8>,
    /// The class of each column.
    columns: Vec<u8>,
    /// For each class of lines, one line of it.
    first_line: Vec<usize>,
    /// For each class of columns, one column of it.
    first_column: Vec<usize>,
}

impl Grid {
    /// Classes of the pixels of a matrix product whose rows are pixels; `None` where its rows are
    /// something else, or where there are more classes than a byte counts.
    pub(super) fn of(
        program: &Program,
        builder: &Builder,
        step: &Step,
        maps: &[&Known],
    ) -> Option<Self> {
        let Kind::Matrix(p) = &step.kind else {
            return None;
        };
        let input = step.inputs[0];
        let lanes = program.lanes[input];
        if !pixel_rows(lanes, p.depth) {
            return None;
        }
        let tensor = &builder.tensors[input];
        let axis = channel_axis(tensor, lanes)?;
        let dims = tensor.order.iter().take_while(|&&a| a != axis);
        let columns = dims.map(|&a| tensor.shape[a]).last().unwrap_or(1);
        let lines = p.rows as usize / columns;
        let line = |y: usize| -> Vec<i8> {
            let pixels = y * columns..(y + 1) * columns;
            pixels
                .flat_map(|at| maps.iter().map(move |map| map.at(at)))
                .collect()
        };
        let column = |x: usize| -> Vec<i8> {
            let pixels = (0..lines).map(|y| y * columns + x);
            pixels
                .flat_map(|at| maps.iter().map(move |map| map.at(at)))
                .collect()
        };
        let (lines, first_line) = classes(lines, line)?;
        let (columns, first_column) = classes(columns, column)?;
        Some(Self {
            lines,
            columns,
            first_line,
            first_column,
        })
    }
}

/// The class of each index, by what it looks like, and the first index of each class.
fn classes(len: usize, look: impl Fn(usize) -> Vec<i8>) -> Option<(Vec<u8>, Vec<usize>)> {
    let mut seen: HashMap<Vec<i8>, u8> = HashMap::new();
    let mut first = Vec::new();
    let mut all = Vec::new();
    for i in 0..len {
        let look = look(i);
        let class = match seen.get(&look) {
            Some(class) => *class,
            None => {
                let class = u8::try_from(first.len()).ok()?;
                first.push(i);
                seen.insert(look, class);
                class
            }
        };
        all.push(class);
    }
    Some((all, first))
}

/// For each step, whether channels that are constant but for their borders can go from its
/// input.
pub(super) fn allowed(program: &Program, builder: &Builder, known: &[Channels]) -> Vec<bool> {
    let allowed = |step: &Step| {
        let channels = step.inputs.first().map(|&input| &known[input]);
        let maps: Vec<&Known> = channels
            .into_iter()
            .flatten()
            .flatten()
            .filter(|known| known.uniform().is_none())
            .collect();
        // All of them have no fewer classes than those that go in the end.
        !maps.is_empty() && Grid::of(program, builder, step, &maps).is_some()
    };
    program.steps.iter().map(allowed).collect()
}

/// What a matrix product's bias has to be for each class of pixels, beyond that of pixel 0.
#[derive(Debug)]
pub(super) struct Classes {
    grid: Grid,
    /// `[line class][column class][output]`.
    more: Vec<i32>,
}

impl Classes {
    /// The classes of a product from whose input channels go that are constant but for their
    /// borders; `None` when there are no such, or there is but one row.
    pub(super) fn of(
        change: &Change<'_>,
        p: &FullyConnectedI8Params,
        weights: &[i8],
    ) -> Option<Self> {
        if p.rows == 1 {
            return None;
        }
        let facts = &change.facts;
        let input = change.step.inputs[0];
        let gone = change.kept[input].iter().enumerate();
        let maps: Vec<(usize, &Known)> = gone
            .filter(|(_, stays)| !**stays)
            .filter_map(|(c, _)| Some((c, facts.foldable(change.step, c)?)))
            .filter(|(_, known)| known.uniform().is_none())
            .collect();
        if maps.is_empty() {
            return None;
        }
        let looks: Vec<&Known> = maps.iter().map(|(_, known)| *known).collect();
        let grid = Grid::of(facts.program, facts.builder, change.step, &looks)?;
        let mut more = Vec::new();
        for &y in &grid.first_line {
            for &x in &grid.first_column {
                let at = y * grid.columns.len() + x;
                let stays = change.kept[change.step.output].iter();
                for (row, stays) in weights.chunks(p.depth as usize).zip(stays) {
                    if *stays {
                        let beyond = |(c, known): &(usize, &Known)| {
                            let difference = i32::from(known.at(at)) - i32::from(known.at(0));
                            i32::from(row[*c]) * difference
                        };
                        more.push(maps.iter().map(beyond).sum());
                    }
                }
            }
        }
        // No output that stays may care for these channels.
        more.iter().any(|&m| m != 0).then_some(Self { grid, more })
    }

    /// Stores the product with a bias for each class.
    pub(super) fn store(
        self,
        builder: &mut Builder,
        step: &Step,
        p: &FullyConnectedI8Params,
        bias: &[i32],
    ) -> BuiltOperator {
        let Grid { lines, columns, .. } = &self.grid;
        let biases: Vec<i32> = self
            .more
            .chunks(bias.len())
            .flat_map(|more| bias.iter().zip(more).map(|(b, m)| b.wrapping_add(*m)))
            .collect();
        let params = FullyConnectedBorderI8Params {
            lines: lines.len() as u32,
            columns: columns.len() as u32,
            depth: p.depth,
            outputs: p.outputs,
            line_classes: self.grid.first_line.len() as u32,
            column_classes: self.grid.first_column.len() as u32,
            output_zero_point: p.output_zero_point,
            low: p.low,
            high: p.high,
            weights: p.weights,
            bias: builder.store_i32(&biases),
            multipliers: p.multipliers,
            line_class: builder.store_u8(lines),
            column_class: builder.store_u8(columns),
        };
        operator(FullyConnectedBorderI8::CODE, step, &params)
    }
}
