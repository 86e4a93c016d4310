//! Keeps a model in flash, and replaces it so that the device always boots a whole one.
//!
//! Two slots hold a model each; a journal says which of them is good. A new model is received
//! into the slot that is not running, verified there, booted once on trial, and kept only when
//! the application confirms it. A power cut at any moment leaves the old model or the new one,
//! whole. README.md has the layouts, the states, and what is not guaranteed.
//!
//! ```text
//! let mut store = Store::open(journal, [slot_a, slot_b], Trust::Key(key))?;
//! let Boot { running, mut updater, .. } = store.boot();
//! // `running.model` is the artifact, read in place, while `updater` fills the other slot.
//! updater.begin(&manifest)?;
//! updater.write(chunk)?;
//! updater.finish()?;
//! updater.activate()?; // and reset: the next boot runs it on trial
//! // after the self-test of a model on trial:
//! updater.confirm()?;
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
mod flash;
mod journal;
mod manifest;
#[cfg(feature = "simulate")]
pub mod simulate;
mod state;
mod store;
mod trust;
mod update;

pub use error::{Error, Part};
pub use flash::MappedFlash;
pub use manifest::{Manifest, SIGNED_BYTES, key_id};
pub use state::{Phase, Slot};
pub use store::{Boot, Running, Store};
#[cfg(feature = "signature")]
pub use trust::PublicKey;
pub use trust::Trust;
pub use update::{Status, Updater};
