//! A simulated BNO055 for a board that an emulator runs.
//!
//! QEMU emulates no such sensor, and no I2C bus on ARM's MPS2 boards. So the transactions of the bus go
//! over a UART to the host, where [`Bno055`], the register file of a sensor, answers them. The driver on
//! the board, and all that is above it, is the same as with a real bus.
//!
//! Both ends of the stream are here, and what they say is in [`wire`]:
//!
//! - [`Bus`], the board's, is an embedded-hal `I2c` over any embedded-io stream, without `std`;
//! - [`Host`] (feature `std`) has the sensor, and says when a step of time has gone by. It goes on when
//!   the board is done with the step, so that a run is the same every time, however slow the emulator.

#![cfg_attr(not(feature = "std"), no_std)]
#![deny(
    clippy::indexing_slicing,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::unreachable
)]

mod bus;
#[cfg(feature = "std")]
mod host;
#[cfg(feature = "recordings")]
mod recordings;
#[cfg(feature = "std")]
mod registers;
pub mod wire;

pub use bus::Bus;
/// How a transaction of [`Failures`] fails.
pub use embedded_hal::i2c::ErrorKind;
#[cfg(feature = "std")]
pub use host::Host;
#[cfg(feature = "recordings")]
pub use recordings::Recordings;
#[cfg(feature = "std")]
pub use registers::{Bno055, CHIP_ID, Failures, Motion};
