//! What JavaScript calls: numbers and addresses alone.
//!
//! References stand for addresses that [`create`] has given and [`file`] and others give.

#![cfg(target_family = "wasm")]
#![allow(
    unsafe_code,
    reason = "the linker exports by these names, of which the module has one each"
)]

use alloc::vec::Vec;
use core::sync::atomic::AtomicU32;
use core::sync::atomic::Ordering::Relaxed;

use niwaki::{Digest, RunError};

use crate::engine::{Engine, Layer, Port};
use crate::status::Status;

/// [`Engine::new`]; null when there is not as much memory. The engine is there for as long as the
/// module's instance.
#[unsafe(no_mangle)]
extern "C" fn create(file_bytes: usize, arena_bytes: usize) -> Option<&'static mut Engine> {
    // A `Box` has something to say where memory ends, which would be a kilobyte of the download.
    let mut room = Vec::new();
    room.try_reserve_exact(1).ok()?;
    if room.capacity() > room.len() {
        room.push(Engine::new(file_bytes, arena_bytes)?);
    }
    room.leak().first_mut()
}

/// [`Engine::prepare`].
#[unsafe(no_mangle)]
extern "C" fn prepare(engine: &mut Engine, file_bytes: usize, arena_bytes: usize) -> bool {
    engine.prepare(file_bytes, arena_bytes)
}

/// [`Engine::file_mut`].
#[unsafe(no_mangle)]
extern "C" fn file(engine: &mut Engine) -> *mut u8 {
    engine.file_mut().as_mut_ptr()
}

/// [`Engine::load`]; a [`Status`].
#[unsafe(no_mangle)]
extern "C" fn load(engine: &mut Engine) -> u32 {
    engine.load().map_or_else(Status::from, |()| Status::Well) as u32
}

/// [`Engine::load_known`] for the file of [`NIWAKI_FILE`]; a [`Status`].
///
/// In a package for one model it goes by the name of [`load`] (`tools/src/web/specialise.rs`).
#[unsafe(no_mangle)]
extern "C" fn load_known(engine: &mut Engine) -> u32 {
    let [low, high] = &NIWAKI_FILE;
    let digest = Digest(u64::from(low.load(Relaxed)) | u64::from(high.load(Relaxed)) << 32);
    engine.load_known(digest).err().unwrap_or(Status::Well) as u32
}

/// The digest of the file that a package for one model is made for, the low half first: written
/// into the module when it is cut. Atomics, as the compiler must not know their values, and not zero,
/// so that they lie in the module.
#[unsafe(no_mangle)]
static NIWAKI_FILE: [AtomicU32; 2] = [const { AtomicU32::new(u32::MAX) }; 2];

/// The address of [`Engine::message`].
#[unsafe(no_mangle)]
extern "C" fn message(engine: &Engine) -> *const u8 {
    engine.message().as_ptr()
}

/// The length of [`Engine::message`].
#[unsafe(no_mangle)]
extern "C" fn message_bytes(engine: &Engine) -> usize {
    engine.message().len()
}

/// [`Engine::fact`].
#[unsafe(no_mangle)]
extern "C" fn fact(engine: &Engine, fact: u32) -> u32 {
    engine.fact(fact)
}

/// [`Engine::port`].
#[unsafe(no_mangle)]
extern "C" fn port(engine: &mut Engine, index: usize) -> Option<&Port> {
    engine.port(index)
}

/// [`Engine::layer`].
#[unsafe(no_mangle)]
extern "C" fn layer(engine: &mut Engine, index: usize) -> Option<&Layer> {
    engine.layer(index)
}

/// Nothing more to tell.
const DONE: i32 = -1;

/// An operator's index; [`DONE`] where there is none; below that, the one at fault: -2 for the
/// first, -3 for the second, and so on.
fn outcome(result: Result<Option<usize>, RunError>) -> i32 {
    match result {
        Ok(None) => DONE,
        Ok(Some(index)) => index as i32,
        Err(RunError::Internal { operator }) => DONE - 1 - operator as i32,
        Err(_) => DONE - 1,
    }
}

/// [`Engine::run`].
#[unsafe(no_mangle)]
extern "C" fn run(engine: &mut Engine) -> i32 {
    outcome(engine.run().map(|()| None))
}

/// [`Engine::begin`].
#[unsafe(no_mangle)]
extern "C" fn begin(engine: &mut Engine) {
    engine.begin();
}

/// [`Engine::step`].
#[unsafe(no_mangle)]
extern "C" fn step(engine: &mut Engine) -> i32 {
    outcome(engine.step())
}

/// [`Engine::activation`].
#[unsafe(no_mangle)]
extern "C" fn activation(engine: &mut Engine) -> Option<&Port> {
    engine.activation()
}

/// [`Engine::self_test`].
#[unsafe(no_mangle)]
extern "C" fn self_test(engine: &mut Engine) -> i32 {
    outcome(engine.self_test())
}

/// The address of what [`Engine::run_digests`] gives, one for each operator; null when it fails.
#[unsafe(no_mangle)]
extern "C" fn run_digests(engine: &mut Engine) -> *const u64 {
    engine
        .run_digests()
        .map_or(core::ptr::null(), <[u64]>::as_ptr)
}
