//! What a host and a board that runs niwaki models say to each other, and how it is framed.
//!
//! The host asks, the board answers, one question at a time, over anything that carries bytes: a
//! UART, USB-CDC, a socket of an emulator. `no_std`, no `alloc`.
//!
//! - A **message** is a [`Head`] and a [`Request`], [`Reply`] or [`Error`], in
//!   [postcard](https://postcard.jamesmunns.com/wire-format)'s bytes.
//! - A **frame** is a message and its CRC-32, by COBS made free of zeros, between two zeros. So a
//!   receiver that has lost its place, in noise or in a frame that was cut, finds it again at the
//!   next zero.
//! - A **session** is what one host says from [`Request::Hello`] to [`Request::Bye`]. A board has
//!   one at a time, and tells other hosts so.
//! - A **sequence number** comes with each request. A request that comes again with the number of
//!   the last one is a retry: the board answers it with the same bytes, and does nothing twice.
//!
//! ```
//! use niwaki_wire::{Decoder, Head, Request, decode, encode};
//!
//! let head = Head { session: 7, sequence: 1 };
//! let mut frame = [0; 64];
//! let frame = encode(&head, &Request::Info, &mut frame).expect("it has room");
//! let mut decoder = Decoder::<64>::new();
//! let (payload, rest) = decoder.push(frame);
//! let message = payload.and_then(decode::<Request<'_>>);
//! assert_eq!((message, rest.len()), (Some((head, Request::Info)), 0));
//! ```

#![no_std]
#![deny(
    clippy::indexing_slicing,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::unreachable
)]

mod error;
mod frame;
mod message;
mod statistics;

pub use error::{Error, Place};
pub use frame::{
    Decoder, PAYLOAD_BYTES, decode, decode_head, encode, frame_bytes, payload_bytes, piece_bytes,
};
pub use message::{
    Answer, DataType, Head, Info, ModelInfo, Port, Record, Reply, Request, Side, Source, Unit,
};
pub use statistics::{BINS, Confidence, Costs, Drift, InputStatistics, Statistics};

/// The version of this protocol. A board tells a host of another version which one it speaks:
/// [`Head`], [`Request::Hello`] and [`Error::OtherProtocol`] are the same in all of them.
pub const PROTOCOL: u16 = 1;
