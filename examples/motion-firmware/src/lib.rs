//! Badminton, running, standing or walking: from an accelerometer and gyroscope on an I2C bus, on a
//! microcontroller.
//!
//! A [`Monitor`] reads the sensor ([`Imu`]) every 0.1 s, keeps the last five seconds ([`Window`]), and
//! runs the model of `examples/motion` on them once a second, in a `niwaki_firmware::Device`. So the
//! board watches itself (what a run costs, whether inputs drift, how sure the model is), and a host
//! can look, or bring another model, with `niwaki device`.
//!
//! All of this is generic over embedded-hal's traits, has no heap and no way to panic; the programs in
//! `src/bin` add a board's pins, clock and memory map. [`serve`] is the loop that they end in.

#![no_std]
#![deny(
    clippy::indexing_slicing,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::unreachable
)]

mod activity;
mod imu;
mod monitor;
mod pace;
mod serve;
mod window;

/// The model: `examples/motion/motion.onnx` in int8, as the README says how.
pub mod model {
    niwaki::include_model!("../motion.niwaki");
}

pub use activity::{ACTIVITIES, Activity, Scores};
pub use imu::{Address, Imu, ImuError, Reading};
pub use monitor::{BACKOFF_STEPS, Counts, Monitor, SETTLE_STEPS, Step};
pub use pace::Pace;
pub use serve::serve;
pub use window::{CHANNELS, HOP, STEPS, Sample, Window};

/// Readings in a second: those that the model was trained on.
pub const RATE: u64 = 10;
