//! Runs a niwaki model on a microcontroller.
//!
//! A board brings a stream in, a stream out, something that counts instructions or cycles, and
//! the memory; this crate does the rest, and knows no board.
//!
//! [`serve`] answers a request of any number of samples with the outputs and with the digest of
//! every operator's output: that is how a test proves that a board gives the same bits as a host.
//! It answers a request for a profile with the cost of each operator. [`self_check`] needs no
//! stream.
//!
//! A [`Device`] is a board at work: it is fed over a line or by a sensor, watches itself, and takes
//! new models over the line (crate `niwaki-wire`) into a [`ModelStore`].

#![no_std]
#![deny(
    clippy::indexing_slicing,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::unreachable
)]

mod bench;
mod check;
mod device;
mod failure;
mod memory;
mod meter;
mod serve;
mod wire;

pub use check::{Report, self_check};
pub use device::{Board, Device, ModelStore, NoStore, SlotModel, Start, Turn};
pub use failure::Failure;
pub use memory::Memory;
pub use meter::Meter;
pub use serve::serve;
pub use wire::{PROFILE_MAGIC, REQUEST_MAGIC, RESPONSE_MAGIC};
