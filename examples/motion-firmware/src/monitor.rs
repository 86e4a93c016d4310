//! From readings to activities, whatever the sensor does meanwhile.

use embedded_hal::delay::DelayNs;
use embedded_hal::i2c::I2c;
use embedded_io::{Read, ReadReady, Write};
use niwaki::OperatorSet;
use niwaki_firmware::{Board, Device, ModelStore};

use crate::activity::{Activity, Scores};
use crate::imu::{Imu, ImuError};
use crate::window::Window;

/// Steps after a start in which the sensor's fusion may still be at its first result.
pub const SETTLE_STEPS: u32 = 10;

/// Steps between the attempts to start a sensor that does not work: the second comes after one step,
/// the next after twice as many each, and from some point on all after this many (6.4 s).
pub const BACKOFF_STEPS: u32 = 64;

/// What a step has brought. `E` is the error of the bus.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Step<E> {
    /// The sensor has been started, or its fusion has nothing yet.
    Starting,
    /// The sensor is down, and it is not yet time to try again.
    Waiting,
    /// A start or a reading has failed. The window begins anew.
    Failed(ImuError<E>),
    /// A reading, and no result due.
    Read,
    /// A result.
    Classified(Activity, Scores),
    /// A result was due, and the model has none: a host feeds it, or it is another one than this
    /// program knows what to do with.
    Skipped,
}

/// What has been counted since the start of the board.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Readings that are, or were, in the window.
    pub readings: u32,
    /// Results.
    pub results: u32,
    /// Starts and readings that have failed.
    pub sensor_errors: u32,
    /// Times that the sensor has been started.
    pub starts: u32,
    /// Steps of a working sensor that came too late to be read; the device counts them too.
    pub missed: u32,
}

/// How the sensor is.
#[derive(Clone, Copy, Debug)]
enum Phase {
    /// Not started, or failed: to be started after so many steps.
    Down { wait: u32 },
    /// Started; without a reading after so many steps it counts as failed.
    Settling { left: u32 },
    /// At work.
    Running,
}

/// Reads the sensor, keeps the window, runs the model, and remembers the last result.
#[derive(Debug)]
pub struct Monitor<I, D> {
    imu: Imu<I>,
    delay: D,
    window: Window,
    phase: Phase,
    /// The wait after the next failure.
    backoff: u32,
    latest: Option<(Activity, Scores)>,
    counts: Counts,
}

impl<I: I2c, D: DelayNs> Monitor<I, D> {
    /// A monitor of a sensor that is started in the first step. `delay` is for the waits of its start.
    pub fn new(imu: Imu<I>, delay: D) -> Self {
        Self {
            imu,
            delay,
            window: Window::new(),
            phase: Phase::Down { wait: 0 },
            backoff: 1,
            latest: None,
            counts: Counts::default(),
        }
    }

    /// The last result, until a step brings the next one.
    pub fn latest(&self) -> Option<(Activity, Scores)> {
        self.latest
    }

    /// What has been counted.
    pub fn counts(&self) -> Counts {
        self.counts
    }

    /// Takes one step of 0.1 s, before which `missed` others went by. Of a start it returns after 0.7 s,
    /// else after the transfers and, when a result is due, the run of the model.
    ///
    /// A failure, and a step that was missed, leave a gap; the window begins anew behind it.
    pub fn step<S, T, B, L, const FRAME: usize>(
        &mut self,
        missed: u32,
        device: &mut Device<'_, S, T, B, L, FRAME>,
    ) -> Step<I::Error>
    where
        S: OperatorSet,
        T: ModelStore,
        B: Board,
        L: Read + ReadReady + Write,
    {
        if let Phase::Down { wait } = self.phase {
            return match wait.saturating_sub(missed) {
                0 => self.start(),
                wait => {
                    self.phase = Phase::Down { wait: wait - 1 };
                    Step::Waiting
                }
            };
        }
        if let (Phase::Running, 1..) = (self.phase, missed) {
            device.drop_samples(missed);
            self.counts.missed = self.counts.missed.saturating_add(missed);
            self.window.restart();
        }
        let reading = match (self.imu.read(), self.phase) {
            (Ok(reading), _) => reading,
            (Err(ImuError::NotFusing), Phase::Settling { left: left @ 1.. }) => {
                self.phase = Phase::Settling { left: left - 1 };
                return Step::Starting;
            }
            (Err(error), _) => return self.fail(error),
        };
        self.phase = Phase::Running;
        self.backoff = 1;
        self.counts.readings = self.counts.readings.wrapping_add(1);
        if self.window.push(reading.to_sample()) {
            self.classify(device)
        } else {
            Step::Read
        }
    }

    fn start(&mut self) -> Step<I::Error> {
        self.counts.starts = self.counts.starts.saturating_add(1);
        match self.imu.start(&mut self.delay) {
            Ok(()) => {
                self.phase = Phase::Settling { left: SETTLE_STEPS };
                Step::Starting
            }
            Err(error) => self.fail(error),
        }
    }

    fn fail(&mut self, error: ImuError<I::Error>) -> Step<I::Error> {
        self.counts.sensor_errors = self.counts.sensor_errors.saturating_add(1);
        self.window.restart();
        // The next step is one step away already.
        self.phase = Phase::Down {
            wait: self.backoff.saturating_sub(1),
        };
        self.backoff = self.backoff.saturating_mul(2).min(BACKOFF_STEPS);
        Step::Failed(error)
    }

    /// Runs the model on the window.
    fn classify<S, T, B, L, const FRAME: usize>(
        &mut self,
        device: &mut Device<'_, S, T, B, L, FRAME>,
    ) -> Step<I::Error>
    where
        S: OperatorSet,
        T: ModelStore,
        B: Board,
        L: Read + ReadReady + Write,
    {
        let mut scores = None;
        let ran = device.infer(
            |session| {
                // A model from a slot may have inputs of another shape or type, and is left alone then.
                let wrong = niwaki::RunError::WrongType { index: 0 };
                let input = session.input_as::<f32>(0)?;
                self.window.fill(input.try_into().map_err(|_| wrong)?);
                Ok(())
            },
            |session| {
                let output = session.output_as::<f32>(0);
                scores = output.ok().and_then(|output| output.try_into().ok());
            },
        );
        let (Ok(_), Some(scores)) = (ran, scores) else {
            return Step::Skipped;
        };
        let activity = Activity::of(&scores);
        self.latest = Some((activity, scores));
        self.counts.results = self.counts.results.wrapping_add(1);
        Step::Classified(activity, scores)
    }
}
