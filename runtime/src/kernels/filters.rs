//! Rows of int8 weights, one for each output channel, under some pixels of input.

use super::arch::{CHANNELS, Isa};
use crate::numerics::OutputStage;

/// Pixels that are summed together: each weight that is read serves all of them.
pub(crate) const PIXELS: usize = 2;

/// The weights of the output channels of one group, and how their sums become outputs.
#[derive(Clone, Copy)]
pub(crate) struct Filters<'m> {
    /// `[channels][len]`.
    pub(crate) weights: &'m [i8],
    /// Weights of one channel.
    pub(crate) len: usize,
    /// `[channels]`: where the sums start.
    pub(crate) bias: &'m [i32],
    /// `[channels]`.
    pub(crate) multipliers: &'m [f32],
    pub(crate) stage: OutputStage,
}

impl<'m> Filters<'m> {
    /// Computes all channels of `P` pixels, whose outputs are in `y`. `sum` adds the products of
    /// the channels whose weights it gets.
    ///
    /// [`CHANNELS`] of them are computed at a time. What is left over at the end is computed with
    /// the last one again, and again.
    #[inline(always)]
    pub(crate) fn for_each_tile<I: Isa, const P: usize>(
        &self,
        mut y: [&mut [i8]; P],
        mut sum: impl FnMut([&'m [i8]; CHANNELS], &mut [[i32; CHANNELS]; P]) -> Option<()>,
    ) -> Option<()> {
        // A copy, which stays in registers: the outputs that are written cannot be in it.
        let stage = self.stage;
        let mut weights = self.weights;
        let biases = self.bias.chunks(CHANNELS);
        let multipliers = self.multipliers.chunks(CHANNELS);
        for (bias, multipliers) in biases.zip(multipliers) {
            let (rows, starts);
            if let Some(four) = bias.first_chunk() {
                let (a, rest) = weights.split_at_checked(self.len)?;
                let (b, rest) = rest.split_at_checked(self.len)?;
                let (c, rest) = rest.split_at_checked(self.len)?;
                let (d, rest) = rest.split_at_checked(self.len)?;
                (rows, starts, weights) = ([a, b, c, d], *four, rest);
            } else {
                (rows, starts, weights) = self.fewer(weights, bias)?;
            }
            let mut sums = [starts; P];
            sum(rows, &mut sums)?;
            for (y, sums) in y.iter_mut().zip(&sums) {
                let (outputs, rest) = core::mem::take(y).split_at_mut_checked(bias.len())?;
                *y = rest;
                for ((out, &sum), &multiplier) in outputs.iter_mut().zip(sums).zip(multipliers) {
                    *out = I::requantize(&stage, sum, multiplier);
                }
            }
        }
        Some(())
    }

    /// The rows and biases of less than [`CHANNELS`] channels, the last one's repeated, and the
    /// weights behind them.
    #[inline(never)]
    #[allow(clippy::type_complexity, reason = "used once")]
    fn fewer(
        &self,
        mut weights: &'m [i8],
        bias: &[i32],
    ) -> Option<([&'m [i8]; CHANNELS], [i32; CHANNELS], &'m [i8])> {
        let mut rows = [weights; CHANNELS];
        let mut starts = [0; CHANNELS];
        for ((row, start), &bias) in rows.iter_mut().zip(&mut starts).zip(bias) {
            (*row, weights) = weights.split_at_checked(self.len)?;
            *start = bias;
        }
        let last = *rows.get(bias.len().checked_sub(1)?)?;
        for row in rows.get_mut(bias.len()..)? {
            *row = last;
        }
        Some((rows, starts, weights))
    }
}
