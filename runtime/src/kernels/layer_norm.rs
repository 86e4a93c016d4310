//! Normalisation of rows by their own mean and variance.

use crate::numerics::sqrt;

/// What a row is normalised by, and what is given.
#[derive(Clone, Copy)]
pub(crate) struct LayerNorm<'m> {
    /// Elements of a row.
    pub(crate) len: usize,
    /// Added to the variance.
    pub(crate) epsilon: f32,
    /// The mean is subtracted; else it counts as 0: a root mean square.
    pub(crate) centred: bool,
    /// `[len]`.
    pub(crate) scale: Option<&'m [f32]>,
    /// `[len]`.
    pub(crate) bias: Option<&'m [f32]>,
}

/// Mean and inverse standard deviation of a row.
#[derive(Clone, Copy)]
pub(crate) struct Moments {
    pub(crate) mean: f32,
    pub(crate) inverse_deviation: f32,
}

impl LayerNorm<'_> {
    /// Sums in ascending order; the variance is that of the differences from the mean.
    pub(crate) fn moments(&self, row: &[f32]) -> Moments {
        let count = self.len as f32;
        let mut mean = 0.0;
        if self.centred {
            for &x in row {
                mean += x;
            }
            mean /= count;
        }
        let mut squares = 0.0f32;
        for &x in row {
            let difference = x - mean;
            squares += difference * difference;
        }
        Moments {
            mean,
            inverse_deviation: 1.0 / sqrt(squares / count + self.epsilon),
        }
    }

    /// Normalises each row of `x`.
    pub(crate) fn run(&self, x: &[f32], y: &mut [f32]) -> Option<()> {
        let len = self.len.max(1);
        for (x, y) in x.chunks_exact(len).zip(y.chunks_exact_mut(len)) {
            let moments = self.moments(x);
            for (y, &x) in y.iter_mut().zip(x) {
                *y = (x - moments.mean) * moments.inverse_deviation;
            }
            if let Some(scale) = self.scale {
                y.iter_mut().zip(scale).for_each(|(y, &scale)| *y *= scale);
            }
            if let Some(bias) = self.bias {
                y.iter_mut().zip(bias).for_each(|(y, &bias)| *y += bias);
            }
        }
        Some(())
    }

    /// One number of each row: `pick` of its moments.
    pub(crate) fn summarise(
        &self,
        x: &[f32],
        y: &mut [f32],
        pick: impl Fn(Moments) -> f32,
    ) -> Option<()> {
        let rows = x.chunks_exact(self.len.max(1));
        for (y, x) in y.iter_mut().zip(rows) {
            *y = pick(self.moments(x));
        }
        Some(())
    }
}
