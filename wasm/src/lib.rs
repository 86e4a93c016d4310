//! The niwaki runtime as a WebAssembly module.
//!
//! One instance of the module holds one model: its memory is the model's file and its arena, and
//! is given back when the instance is. JavaScript (`wasm/js`) writes the file and the inputs
//! into that memory, calls, and reads the outputs where they lie. There is no std, so that no
//! message of a panic that cannot happen is carried along.

// On the host, where it is tested, a library has to bring what std has.
#![cfg_attr(target_family = "wasm", no_std)]
#![cfg_attr(
    target_family = "wasm",
    allow(
        unsafe_code,
        reason = "the allocator, and names for the linker, of which the module has one each"
    )
)]

extern crate alloc;

mod engine;
mod exports;
mod linked;
mod status;

pub use engine::{Engine, Fact, Layer, Port};
pub use linked::Linked;
pub use status::Status;

#[cfg(target_family = "wasm")]
use core::fmt;

#[cfg(target_family = "wasm")]
use lol_alloc::{AssumeSingleThreaded, FreeListAllocator};

#[cfg(target_family = "wasm")]
#[global_allocator]
static ALLOCATOR: AssumeSingleThreaded<FreeListAllocator> =
    // SAFETY: the module's memory is not shared, so that no two threads are in it.
    unsafe { AssumeSingleThreaded::new(FreeListAllocator::new()) };

/// There is nobody to tell: the engine stops the instance, and JavaScript gets a `RuntimeError`.
#[cfg(target_family = "wasm")]
#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    core::arch::wasm32::unreachable()
}

/// What a panic's message would be written with. As nobody asks for one, they can go when a module
/// is cut for one model (`tools/src/web/specialise.rs`).
#[cfg(target_family = "wasm")]
#[unsafe(no_mangle)]
static NIWAKI_UNCALLED: [fn(&usize, &mut fmt::Formatter<'_>) -> fmt::Result; 2] =
    [<usize as fmt::Display>::fmt, <usize as fmt::Debug>::fmt];
