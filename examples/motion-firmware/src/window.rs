//! The last five seconds.

use heapless::HistoryBuf;

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

/// A ring of the last [`STEPS`] samples, and when the next result is due.
///
/// Samples in it follow one another without a gap: who misses one calls [`Window::restart`].
#[derive(Debug, Default)]
pub struct Window {
    samples: HistoryBuf<Sample, STEPS>,
    /// Samples since the last result.
    fresh: usize,
}

impl Window {
    /// An empty window.
    pub fn new() -> Self {
        Self::default()
    }

    /// Forgets all samples.
    pub fn restart(&mut self) {
        self.samples.clear();
        self.fresh = 0;
    }

    /// Takes the next sample. True when a result is due: when the window is full for the first time, and
    /// every [`HOP`] samples from then on.
    pub fn push(&mut self, sample: Sample) -> bool {
        self.samples.write(sample);
        self.fresh += 1;
        let due = self.samples.is_full() && self.fresh >= HOP;
        if due {
            self.fresh = 0;
        }
        due
    }

    /// Writes the samples, oldest first, as the model wants them: [1,6,50], channel by channel.
    pub fn fill(&self, input: &mut model::Input) {
        let (channels, _) = input.as_chunks_mut::<STEPS>();
        for (step, sample) in self.samples.oldest_ordered().enumerate() {
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
