//! Resampling along one axis: each output position is a weighted sum of a few input positions.

/// One axis of a tensor, seen as `[outer][axis][inner]`.
pub(crate) struct Resample<'m> {
    pub(crate) in_len: u32,
    pub(crate) out_len: u32,
    pub(crate) inner: u32,
    pub(crate) taps: u32,
    /// What an output position gets whose first index is `in_len`.
    pub(crate) outside: f32,
    /// `[out_len][taps]`.
    pub(crate) indices: &'m [u32],
    /// `[out_len][taps]`.
    pub(crate) weights: &'m [f32],
}

impl Resample<'_> {
    /// `x` is `[outer][in_len][inner]`, `y` is `[outer][out_len][inner]`.
    pub(crate) fn run(&self, x: &[f32], y: &mut [f32]) -> Option<()> {
        let inner = self.inner as usize;
        let taps = (self.taps as usize).max(1);
        let blocks = x.chunks_exact((self.in_len as usize * inner).max(1));
        let outputs = y.chunks_exact_mut((self.out_len as usize * inner).max(1));
        for (x, y) in blocks.zip(outputs) {
            let positions = self.indices.chunks_exact(taps);
            let positions = positions.zip(self.weights.chunks_exact(taps));
            for (y, (indices, weights)) in y.chunks_exact_mut(inner.max(1)).zip(positions) {
                if indices.first() == Some(&self.in_len) {
                    y.fill(self.outside);
                    continue;
                }
                y.fill(0.0);
                for (&index, &weight) in indices.iter().zip(weights) {
                    let at = index as usize * inner;
                    let x = x.get(at..at + inner)?;
                    for (y, &x) in y.iter_mut().zip(x) {
                        *y += weight * x;
                    }
                }
            }
        }
        Some(())
    }
}
