//! The last five seconds.

use crate::model;

/// Channels of a step: acceleration x, y, z in m/s², angular rate x, y, z in rad/s.
pub const CHANNELS: usize = 6;

/// Steps of a window, of 0.1 s each.
pub const STEPS: usize = 50;

/// Steps from one result to the next.
pub const HOP: usize = 10;

// What the model's file says has the last word.
const _: () = assert!(matches!(model::INPUT_SHAPE, [1, CHANNELS, STEPS]));

/// One step of all channels.
pub type Sample = [f32; CHANNELS];

/// The last [`STEPS`] samples, and when the next result is due.
///
/// Samples in it follow one another without a gap: who misses one calls [`Window::restart`].
#[derive(Debug)]
pub struct Window {
    /// Oldest first, the newest in the last place. A ring would save moving 1,200 bytes ten times a
    /// second, and have indices that the optimiser cannot see to be in range.
    samples: [Sample; STEPS],
    /// How many of them have been taken since the last [`Window::restart`].
    len: usize,
    /// Samples since the last result.
    fresh: usize,
}

impl Default for Window {
    fn default() -> Self {
        Self::new()
    }
}

impl Window {
    /// An empty window.
    pub const fn new() -> Self {
        Self {
            samples: [[0.0; CHANNELS]; STEPS],
            len: 0,
            fresh: 0,
        }
    }

    /// Forgets all samples.
    pub const fn restart(&mut self) {
        (self.len, self.fresh) = (0, 0);
    }

    /// Takes the next sample. True when a result is due: when the window is full for the first time, and
    /// every [`HOP`] samples from then on.
    pub fn push(&mut self, sample: Sample) -> bool {
        self.samples.copy_within(1.., 0);
        if let Some(newest) = self.samples.last_mut() {
            *newest = sample;
        }
        self.len = (self.len + 1).min(STEPS);
        self.fresh += 1;
        let due = self.len == STEPS && self.fresh >= HOP;
        if due {
            self.fresh = 0;
        }
        due
    }

    /// Writes the samples, oldest first, as the model wants them: [1,6,50], channel by channel. To be
    /// called when a result is due; before, there are older samples, or zeros, where some are missing.
    pub fn fill(&self, input: &mut model::Input) {
        let (channels, _) = input.as_chunks_mut::<STEPS>();
        for (step, sample) in self.samples.iter().enumerate() {
            for (channel, &value) in channels.iter_mut().zip(sample) {
                if let Some(to) = channel.get_mut(step) {
                    *to = value;
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Channel c of step t.
    fn sample(t: usize) -> Sample {
        core::array::from_fn(|c| (1000 * c + t) as f32)
    }

    #[test]
    fn results_are_due_when_it_is_full_and_then_every_second() {
        let mut window = Window::new();
        let due: heapless::Vec<usize, 8> = (0..85).filter(|&t| window.push(sample(t))).collect();
        assert_eq!(due, [49, 59, 69, 79]);
        window.restart();
        let next = (0..).find(|&t| window.push(sample(t)));
        assert_eq!(next, Some(STEPS - 1));
    }

    #[test]
    fn channels_lie_one_behind_the_other_oldest_step_first() {
        let mut window = Window::new();
        let mut input = model::ZEROS;
        for t in 0..STEPS + 7 {
            window.push(sample(t));
        }
        window.fill(&mut input);
        for (i, &value) in input.iter().enumerate() {
            assert_eq!(value, (1000 * (i / STEPS) + i % STEPS + 7) as f32);
        }
    }
}
