//! Matrix product with constant weights of which whole blocks are zero.

use super::arch::sparse::{BAND, Best, GROUP, PIXELS, SparseIsa, SparseRows, Workspace};
use crate::numerics::OutputStage;

/// Rows that are computed as fast as one or two.
pub(crate) const SPARSE_PIXELS: u32 = PIXELS as u32;

/// An int8 product with sparse weights.
pub(crate) struct SparseProductI8<'m> {
    /// Elements of one input row.
    pub(crate) depth: u32,
    /// Elements of one output row.
    pub(crate) outputs: u32,
    /// `[outputs][depth]`.
    pub(crate) weights: SparseRows<'m>,
    /// `[outputs]`: bias - input_zero_point * (sum of the output's weights).
    pub(crate) bias: &'m [i32],
    /// `[outputs]`.
    pub(crate) multipliers: &'m [f32],
    pub(crate) stage: OutputStage,
}

impl SparseProductI8<'_> {
    /// `x` is `[rows][depth]`, `y` is `[rows][outputs]`.
    #[inline(never)]
    pub(crate) fn run(&self, workspace: &mut Workspace, x: &[i8], y: &mut [i8]) -> Option<()> {
        #[cfg(niwaki_tiles)]
        if super::blocks::sparse_product(self, x, y).is_some() {
            return Some(());
        }
        self.run_on::<Best>(workspace, x, y)
    }

    #[inline(always)]
    fn run_on<I: SparseIsa>(
        &self,
        Workspace { bands, sums }: &mut Workspace,
        x: &[i8],
        y: &mut [i8],
    ) -> Option<()> {
        let [depth, outputs] = [self.depth, self.outputs].map(|n| n as usize);
        let rows = x.chunks((PIXELS * depth).max(1));
        for (x, y) in rows.zip(y.chunks_mut((PIXELS * outputs).max(1))) {
            let count = x.len().checked_div(depth)?;
            // Two and three are four, of which the last are there several times.
            let pixels = if count == 1 { 1 } else { PIXELS };
            let mut cursor = self.weights.cursor();
            let mut first = 0;
            while first < outputs {
                let channels = first..(first + GROUP).min(outputs);
                let mut start = 0;
                while start < depth {
                    if first == 0 || depth > BAND {
                        let band = start..(start + BAND).min(depth);
                        let mut rows = [[].as_slice(); PIXELS];
                        let mut left = x.chunks_exact(depth);
                        let mut row = [].as_slice();
                        for to in rows.get_mut(..pixels)? {
                            row = left.next().unwrap_or(row);
                            *to = row.get(band.clone())?;
                        }
                        I::place_band(bands, rows.get(..pixels)?)?;
                    }
                    let bias = match start {
                        0 => Some(self.bias.get(channels.clone())?),
                        _ => None,
                    };
                    I::add_blocks(bands, pixels, &mut cursor, bias, sums)?;
                    start += BAND;
                }
                let multipliers = self.multipliers.get(channels.clone())?;
                let pixels = y.chunks_exact_mut(outputs).zip(sums.chunks_exact(GROUP));
                for (y, sums) in pixels {
                    let sums = sums.get(..channels.len())?;
                    I::requantize(&self.stage, sums, multipliers, y.get_mut(channels.clone())?)?;
                }
                first += GROUP;
            }
        }
        Some(())
    }
}
