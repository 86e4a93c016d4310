//! The niwaki runtime as a WebAssembly module.
//!
//! One instance of the module holds one model: its memory is the model's file and its arena, and
//! is given back when the instance is. JavaScript (`wasm/js`) writes the file and the inputs
//! into that memory, calls, and reads the outputs where they lie. There is no std, so that no
//! message of a panic that cannot happen is carried along.

// On the host, where it is tested, a library has to bring what std has.
#![cfg_attr(target_family = "wasm", no_std)]

extern crate alloc;

mod engine;
mod exports;
mod linked;
mod status;

pub use engine::{Engine, Fact, Layer, Port};
pub use linked::Linked;
pub use status::Status;

#[cfg(target_family = "wasm")]
#[global_allocator]
static ALLOCATOR: dlmalloc::GlobalDlmalloc = dlmalloc::GlobalDlmalloc;

/// There is nobody to tell: the engine stops the instance, and JavaScript gets a `RuntimeError`.
#[cfg(target_family = "wasm")]
#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    core::arch::wasm32::unreachable()
}
