//! Boards that run the firmware's application, over a line: a serial port, a socket, an emulator.
//!
//! The line speaks `niwaki-wire`. A [`Client`] is the host's side of it: it asks, waits, asks again,
//! and turns what a board refuses into a sentence with a remedy.

mod client;
mod emulator;
mod line;
mod refusal;
mod update;

pub use client::{BoardInfo, BoardModel, BoardPort, Client, Options};
pub use emulator::{BOARDS, Emulator};
pub use line::{Line, open_serial, open_tcp};
pub use refusal::Refusal;
pub use update::update_of;
