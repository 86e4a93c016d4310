//! The recordings of `examples/motion`, through sensor, driver, window and model.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    unreachable_pub,
    reason = "a test may panic"
)]

mod rig;

use std::cell::RefCell;
use std::f32::consts::PI;
use std::path::Path;

use embedded_hal::i2c::{ErrorKind, ErrorType, I2c, Operation};
use embedded_hal_mock::eh1::delay::NoopDelay;
use motion_firmware::model::{self, Arena, Input};
use motion_firmware::{Address, Imu, Monitor, STEPS, Scores, Step};
use motion_sensor::{Bno055, Motion, Recordings};
use rig::with_device;

/// The bus of one sensor, which the test moves.
struct Bus<'s>(&'s RefCell<Bno055>);

impl ErrorType for Bus<'_> {
    type Error = ErrorKind;
}

impl I2c for Bus<'_> {
    fn transaction(
        &mut self,
        address: u8,
        operations: &mut [Operation<'_>],
    ) -> Result<(), ErrorKind> {
        self.0.borrow_mut().transaction(address, operations)
    }
}

fn recordings() -> Recordings {
    let recordings = Recordings::read(Path::new("../motion/test.npz")).unwrap();
    assert_eq!(recordings.windows.len(), 80);
    recordings
}

/// What the model makes of a stretch of steps as the sensor gives them, without driver and window.
fn directly(session: &mut model::Session<'_>, steps: &[Motion]) -> Scores {
    let mut input: Input = model::ZEROS;
    for (t, motion) in steps.iter().enumerate() {
        for i in 0..3 {
            let lsb = (motion.acceleration[i] * 100.0).round();
            input[i * STEPS + t] = lsb / 100.0;
            let lsb = (motion.rate[i] * (16.0 * 180.0 / PI)).round();
            input[(3 + i) * STEPS + t] = lsb * (PI / 2880.0);
        }
    }
    *model::run(session, &input).unwrap()
}

/// Accuracy over whole windows, and every result as bits with the step behind which it came.
fn through_the_driver(recordings: &Recordings) -> (usize, Vec<(usize, [u32; 4])>) {
    let sensor = RefCell::new(Bno055::new());
    let (mut right, mut results) = (0, Vec::new());
    with_device(vec![], |device| {
        let mut monitor = Monitor::new(Imu::new(Bus(&sensor), Address::Low), NoopDelay);
        assert_eq!(monitor.step(0, device), Step::Starting);
        for (k, (window, &label)) in recordings
            .windows
            .iter()
            .zip(&recordings.labels)
            .enumerate()
        {
            let mut last = Step::Waiting;
            for (t, &motion) in window.iter().enumerate() {
                sensor.borrow_mut().motion = motion;
                last = monitor.step(0, device);
                if let Step::Classified(_, scores) = last {
                    results.push((k * STEPS + t + 1, scores.map(f32::to_bits)));
                }
            }
            let Step::Classified(activity, scores) = last else {
                panic!("no result at the end of window {k}: {last:?}");
            };
            assert_eq!(monitor.latest(), Some((activity, scores)));
            right += usize::from(activity.index() == usize::from(label));
        }
    });
    (right, results)
}

#[test]
fn all_results_have_the_bits_of_the_model_alone_and_all_windows_are_right() {
    let recordings = recordings();
    let steps = recordings.windows.as_flattened();
    let (right, results) = through_the_driver(&recordings);

    let mut arena = Arena::new();
    let mut session = model::session(&mut arena).unwrap();
    // One at the end of the first window, and one each second from then on.
    assert_eq!(results.len(), (steps.len() - STEPS) / 10 + 1);
    for (end, scores) in &results {
        let expected = directly(&mut session, &steps[end - STEPS..*end]);
        assert_eq!(*scores, expected.map(f32::to_bits), "at step {end}");
    }
    assert_eq!(right, 80);
}

/// In fusion the sensor's accelerometer ends at 4 g, gravity included, and its gyroscope at 2000 degrees a
/// second.
#[test]
fn the_recordings_are_within_what_the_sensor_can_measure() {
    const GRAVITY: f32 = 9.806_65;
    let recordings = recordings();
    let motions = recordings.windows.as_flattened().iter();
    let largest = |values: [f32; 3], most: f32| {
        let values = values.into_iter().map(f32::abs);
        values.fold(most, f32::max)
    };
    let (acceleration, rate) = motions.fold((0.0, 0.0), |(acceleration, rate), motion| {
        (
            largest(motion.acceleration, acceleration),
            largest(motion.rate, rate),
        )
    });
    println!("up to {acceleration} m/s² and {rate} rad/s");
    assert!(acceleration < 3.0 * GRAVITY && rate < 2000f32.to_radians());
}
