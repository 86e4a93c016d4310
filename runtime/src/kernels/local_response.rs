//! Local response normalisation across channels.

use crate::numerics::pow;

/// ONNX `LRN`.
#[derive(Clone, Copy)]
pub(crate) struct LocalResponse {
    pub(crate) channels: u32,
    pub(crate) size: u32,
    pub(crate) alpha: f32,
    pub(crate) beta: f32,
    pub(crate) bias: f32,
}

impl LocalResponse {
    /// `x` and `y` are `[pixels][channels]`.
    pub(crate) fn run(&self, x: &[f32], y: &mut [f32]) -> Option<()> {
        let channels = (self.channels as usize).max(1);
        let before = self.size.saturating_sub(1) as usize / 2;
        let behind = self.size.saturating_sub(1) as usize - before;
        let factor = self.alpha / self.size as f32;
        for (x, y) in x.chunks_exact(channels).zip(y.chunks_exact_mut(channels)) {
            for (c, (y, &own)) in y.iter_mut().zip(x).enumerate() {
                let end = c.saturating_add(behind).saturating_add(1).min(channels);
                let mut squares = 0.0f32;
                for &x in x.get(c.saturating_sub(before)..end)? {
                    squares += x * x;
                }
                *y = own / pow(self.bias + factor * squares, self.beta);
            }
        }
        Some(())
    }
}
