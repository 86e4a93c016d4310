//! The lossless shrink: takes out channels that are the same on every input, and channels that
//! nobody reads. The output of the model keeps its bytes on every input.
//!
//! It works on the operators that selection has chosen, because only these say how a value is
//! computed to the bit: whether a sum is one of integers, and what clamp is fused. An operator
//! that is not known here reads all its channels, and keeps them.
//!
//! 1. `step` reads the operators and finds where channels lie.
//! 2. `known` finds channels whose values do not depend on the input, in execution order: by
//!    what they are computed from, and by the `range` that they can have.
//! 3. `live` finds the channels that have to stay, from the outputs back.
//! 4. `rewrite` takes the others out; what they gave goes into biases, by `borders` into one
//!    bias for each class of pixels where padding makes borders differ.

mod borders;
mod known;
mod live;
mod range;
mod rewrite;
mod step;
#[cfg(test)]
mod tests;

use anyhow::{Context as _, Result};
use niwaki::OperatorSet as _;
use niwaki::artifact::{Operators, Tensors};
use niwaki::ops::Check;
use serde::Serialize;

use super::builder::Builder;
use super::select::Selected;
use super::simplify;

/// What a model costs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Cost {
    /// Multiply-accumulates of one run.
    pub macs: u64,
    /// Bytes of weights, without biases, multipliers and tables.
    pub weight_bytes: u64,
    /// Bytes of all constants.
    pub data_bytes: u64,
}

impl Cost {
    fn of(builder: &Builder) -> Self {
        let mut cost = Self {
            macs: 0,
            weight_bytes: 0,
            data_bytes: builder.data.len() as u64,
        };
        for operator in &builder.operators {
            let bytes: Vec<u8> = operator
                .record
                .iter()
                .flat_map(|w| w.to_le_bytes())
                .collect();
            if let Some(raw) = Operators::new(&bytes).next() {
                let check = Check::new(&builder.data, Tensors::new(&[]), raw);
                cost.macs += niwaki::All::macs(&check);
                cost.weight_bytes += niwaki::All::weight_bytes(&check);
            }
        }
        cost
    }
}

/// What was taken out, and what that saved.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Report {
    /// What was cleaned up in the graph before.
    pub graph: simplify::Report,
    /// Channels that were the same on every input, over all tensors.
    pub constant_channels: usize,
    /// Channels that nothing read.
    pub unread_channels: usize,
    /// Matrix products that have a bias for each class of pixels now.
    pub border_products: usize,
    /// Before.
    pub before: Cost,
    /// After.
    pub after: Cost,
}

impl Report {
    /// Whether anything was taken out.
    pub fn has_changed(&self) -> bool {
        self.has_fewer_channels() || self.graph.has_changed()
    }

    fn has_fewer_channels(&self) -> bool {
        self.constant_channels + self.unread_channels > 0
    }
}

impl std::fmt::Display for Report {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if self.graph.has_changed() {
            write!(f, "{}", self.graph)?;
        }
        if !self.has_fewer_channels() {
            return Ok(());
        }
        if self.graph.has_changed() {
            writeln!(f)?;
        }
        let (before, after) = (self.before, self.after);
        write!(
            f,
            "shrunk without loss: {} channels that no input changes and {} that nobody reads are \
             out; {} multiply-accumulates were {}, {} bytes of weights were {}",
            self.constant_channels,
            self.unread_channels,
            after.macs,
            before.macs,
            after.weight_bytes,
            before.weight_bytes
        )
    }
}

/// Takes out of the chosen operators what does not change the output; `graph` is what has been
/// cleaned up before, for the report.
///
/// # Errors
///
/// Only for a defect of the compiler.
pub fn shrink(selected: &mut Selected, graph: simplify::Report) -> Result<Report> {
    let before = Cost::of(&selected.builder);
    let program = step::Program::of(selected);
    let known = known::known(&program, &selected.builder);
    let allowed = borders::allowed(&program, &selected.builder, &known);
    let kept = live::kept(&live::Facts {
        program: &program,
        builder: &selected.builder,
        known: &known,
        borders: &allowed,
    });
    let (mut constant_channels, mut unread_channels) = (0, 0);
    for (known, kept) in known.iter().zip(&kept) {
        for (known, _) in known.iter().zip(kept).filter(|(_, kept)| !**kept) {
            match known {
                Some(_) => constant_channels += 1,
                None => unread_channels += 1,
            }
        }
    }
    let border_products = rewrite::rewrite(&program, &known, &allowed, &kept, selected)
        .context("the lossless shrink failed: compile with --no-shrink, and report it")?;
    Ok(Report {
        graph,
        constant_channels,
        unread_channels,
        border_products,
        before,
        after: Cost::of(&selected.builder),
    })
}
