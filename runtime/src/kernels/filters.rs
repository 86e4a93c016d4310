//! Rows of weights, one for each output channel, under the windows of some pixels.

use core::ops::Range;

use super::arch::{Gathered, Multiplies, SUMS, Windows, Workspace};
use crate::numerics::OutputStage;

/// The weights of the output channels of one group, and how their sums become outputs.
#[derive(Clone, Copy)]
pub(crate) struct Filters<'m, W = i8> {
    /// `[channels][len]`, as [`Weight`](super::arch::Weight) lays them out.
    pub(crate) weights: &'m [W],
    /// Weights of one channel.
    pub(crate) len: usize,
    /// `[channels]`: where the sums start.
    pub(crate) bias: &'m [i32],
    /// `[channels]`.
    pub(crate) multipliers: &'m [f32],
    pub(crate) stage: OutputStage,
}

impl<W> Filters<'_, W> {
    /// Computes all channels of `pixels` pixels. Their outputs begin at `y`, `pitch` apart. `place`
    /// brings a piece of their windows together.
    ///
    /// `held` elements of each are there at once. A window that does not fit is brought together again for every block of channels.
    #[inline(always)]
    pub(crate) fn run<I: Multiplies<W>>(
        &self,
        workspace: &mut Workspace,
        pixels: usize,
        held: usize,
        mut place: impl FnMut(&mut Windows, &mut Gathered, Range<usize>) -> Option<()>,
        y: &mut [i8],
        pitch: usize,
    ) -> Option<()> {
        let block = SUMS.checked_div(pixels)?;
        let Workspace {
            windows,
            sums,
            gathered,
        } = workspace;
        let mut start = 0;
        while start < self.bias.len() {
            let channels = start..(start + block).min(self.bias.len());
            I::begin(self.bias.get(channels.clone())?, pixels, sums)?;
            let mut at = 0;
            while at < self.len {
                let piece = at..(at + held).min(self.len);
                at = piece.end;
                if start == 0 || held < self.len {
                    place(windows, gathered, piece.clone())?;
                }
                <I as Multiplies<W>>::products(
                    windows,
                    pixels,
                    self,
                    channels.clone(),
                    piece,
                    sums,
                )?;
            }
            let multipliers = self.multipliers.get(channels.clone())?;
            for (pixel, sums) in sums.chunks_exact(block).enumerate() {
                let y = y
                    .get_mut(pixel * pitch + start..)?
                    .get_mut(..channels.len())?;
                I::requantize(&self.stage, sums.get(..channels.len())?, multipliers, y)?;
            }
            start = channels.end;
        }
        Some(())
    }
}
