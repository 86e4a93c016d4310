//! What goes over the stream, byte by byte; there is no noise on it, and so no checksum.
//!
//! From the board:
//!
//! | bytes | meaning |
//! |---|---|
//! | [`TRANSACTION`], address, count, then for each operation [`WRITE`], length, bytes or [`READ`], length | an I2C transaction of seven-bit addresses; lengths and counts are one byte |
//! | [`DONE`], length, bytes | the step is done; the bytes are what the board has to show |
//!
//! From the host:
//!
//! | bytes | meaning |
//! |---|---|
//! | [`ANSWER`], [`ACK`], the bytes of all reads | the transaction has worked |
//! | [`ANSWER`], [`NACK_ADDRESS`], [`NACK_DATA`] or [`BUS_ERROR`] | it has not |
//! | [`STEPS`], count | so many steps of 0.1 s have gone by; not while a step is being done |

/// An I2C transaction begins.
pub const TRANSACTION: u8 = b'I';
/// An operation that writes.
pub const WRITE: u8 = 0;
/// An operation that reads.
pub const READ: u8 = 1;
/// A step is done.
pub const DONE: u8 = b'D';

/// The answer to a transaction.
pub const ANSWER: u8 = b'A';
/// All was acknowledged.
pub const ACK: u8 = 0;
/// Nobody has this address.
pub const NACK_ADDRESS: u8 = 1;
/// The sensor has not taken a byte.
pub const NACK_DATA: u8 = 2;
/// The bus has failed in another way.
pub const BUS_ERROR: u8 = 3;
/// Time goes by.
pub const STEPS: u8 = b'T';
