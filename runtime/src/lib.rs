//! Runs quantised and pruned neural networks with the same output bits on every machine.
//!
//! The crate is `no_std` and never allocates. A model is one file (an *artifact*, see
//! `FORMAT.md`), made by the `niwaki` command from an ONNX model, and read in place from flash,
//! a mapped file or WebAssembly memory. [`Model::new`] checks all of it, once; a [`Session`]
//! borrows the model and a slice for the activations (the *arena*, whose size the artifact
//! names); [`Session::run`] then neither allocates nor panics nor reads outside its slices.
//!
//! ```
//! use niwaki::{Model, Session};
//!
//! # fn demo(bytes: &[u8]) -> Result<(), Box<dyn std::error::Error>> {
//! let model: Model<'_> = Model::new(bytes)?;
//! let mut arena = vec![0u32; model.arena_bytes().div_ceil(4)];
//! let mut session = Session::new(&model, niwaki::as_bytes_mut(&mut arena))?;
//! session.input_mut(0)?.fill(0);
//! session.run()?;
//! println!("{:?}", session.output(0)?);
//! # Ok(())
//! # }
//! ```
//!
//! What each operator computes, to the bit, is written in `NUMERICS.md`.

#![no_std]
#![deny(
    clippy::indexing_slicing,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::unreachable
)]

#[cfg(target_endian = "big")]
compile_error!(
    "niwaki artifacts are little-endian and are read in place: no big-endian machine can run them"
);

// The example above runs on a host, with its allocator; and a host can be asked what it has.
#[cfg(any(test, doctest, all(feature = "std", niwaki_tiles)))]
extern crate std;

pub mod artifact;
#[cfg(feature = "digests")]
mod digest;
mod error;
pub mod functions;
#[doc(hidden)]
pub mod include;
mod kernels;
mod lifetimes;
mod model;
pub mod numerics;
pub mod ops;
mod owned;
mod session;
mod strips;

#[cfg(feature = "digests")]
pub use digest::{Digest, Xorshift32, fill_golden_input};
pub use error::{Fault, LoadError, Piece, Rule, RunError, Section};
pub use include::Arena;
pub use model::Model;
pub use ops::{All, Operator, OperatorSet};
pub use owned::OwnedModel;
pub use session::{Element, Progress, Session};

/// The version of the artifact format that this crate writes, and the newest that it reads.
pub const FORMAT_VERSION: u16 = 3;

/// The version of the numeric contract (`NUMERICS.md`) that this crate computes by.
pub const NUMERICS_VERSION: u16 = 1;

/// The largest number of dimensions of a tensor.
pub const MAX_RANK: usize = 6;

/// Alignment in bytes that a model's bytes and an arena must have in memory.
pub const ALIGNMENT: usize = 4;

/// A slice of words as bytes: an arena or a model buffer with the right alignment.
pub fn as_bytes_mut(words: &mut [u32]) -> &mut [u8] {
    bytemuck::cast_slice_mut(words)
}

/// A slice of words as bytes, shared.
pub fn as_bytes(words: &[u32]) -> &[u8] {
    bytemuck::cast_slice(words)
}

/// The first of these seeds (0 is none) for which the kernels of this machine's instruction set and
/// the scalar ones differ on random work; `None` when they always agree. For tests on boards.
#[cfg(feature = "kernel-check")]
#[doc(hidden)]
pub fn check_kernels(seeds: core::ops::Range<u32>) -> Option<u32> {
    kernels::first_difference(seeds)
}
