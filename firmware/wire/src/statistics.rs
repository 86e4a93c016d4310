//! What a board tells about its own work.

use serde::{Deserialize, Serialize};

/// What a board has seen since it started, or since its model was changed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Statistics {
    /// Runs, whoever asked for them.
    pub runs: u32,
    /// What plain runs cost.
    pub costs: Costs,
    /// The deepest that the stack has been, in bytes, and all that it has; `None` when the board
    /// does not paint its stack.
    pub stack: Option<(u32, u32)>,
    /// Frames that came in damaged.
    pub dropped_frames: u32,
    /// Times that the link failed to give bytes, such as an overrun of the UART.
    pub link_errors: u32,
    /// Samples of a sensor that came too fast.
    pub dropped_samples: u32,
    /// How sure the model has been.
    pub confidence: Confidence,
}

/// What runs cost, in [`crate::Info::unit`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Costs {
    /// How many runs were measured.
    pub runs: u32,
    /// The least.
    pub least: u64,
    /// The greatest.
    pub greatest: u64,
    /// All together; the mean is this by `runs`.
    pub sum: u64,
}

/// Bars of a [`Confidence`].
pub const BINS: usize = 16;

/// How often the largest element of output 0 was how large.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Confidence {
    /// Where the first bar begins, in real units: the least value of the calibration.
    pub low: f32,
    /// Where the last bar ends.
    pub high: f32,
    /// Runs in each of bars of the same width. What lies outside is in the first or last one.
    pub bins: [u32; BINS],
}

/// What an input has been like, beside what it was like in the calibration.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct InputStatistics {
    /// Least real value of the calibration.
    pub calibrated_low: f32,
    /// Greatest real value of the calibration.
    pub calibrated_high: f32,
    /// Runs that were looked at.
    pub runs: u32,
    /// Least real value of them.
    pub low: f32,
    /// Greatest real value of them.
    pub high: f32,
    /// Mean of all elements of all of them.
    pub mean: f32,
    /// Of a million elements, how many lay outside the calibration's range.
    pub outside_ppm: u32,
    /// What the last whole window of [`InputStatistics::WINDOW`] runs has shown.
    pub drift: Drift,
}

impl InputStatistics {
    /// Runs that are judged together.
    pub const WINDOW: u32 = 32;
    /// More elements of a million outside the calibration's range than this are a drift.
    pub const OUTSIDE_PPM: u32 = 10_000;
    /// A window whose values span less of the calibration's range than one part in this is a drift.
    pub const NARROW: f32 = 8.0;
}

/// How inputs have left what the model was calibrated on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Drift {
    /// There has been no whole window yet.
    #[default]
    Unknown,
    /// They have not.
    None,
    /// Many elements lie outside: another gain or offset.
    Outside,
    /// All elements lie close together: a sensor that is stuck, dead or covered.
    Narrow,
}
