//! One root for each operator, and one for what every program has: `cargo xtask sizes` adds up the
//! functions that each of them reaches.

#![no_std]
#![no_main]

use niwaki::ops::{Check, Memory};
use niwaki::{Model, OperatorSet, Session};
use niwaki_probe as _;

include!(concat!(env!("OUT_DIR"), "/each_operator.rs"));

niwaki::operator_set! {
    /// No operator.
    struct Nothing:
}

/// A load, inputs, a run and outputs, without any operator.
#[allow(unsafe_code, reason = "found by this name, which nothing else has")]
#[unsafe(no_mangle)]
#[inline(never)]
fn niwaki_base(artifact: &[u8], arena: &mut [u8], index: usize) -> Option<usize> {
    let model = Model::<Nothing>::new(artifact).ok()?;
    let mut session = Session::new(&model, arena).ok()?;
    session.input_mut(index).ok()?.fill(0);
    session.run().ok()?;
    Some(session.output(index).ok()?.len())
}

/// The root of the image.
#[allow(
    unsafe_code,
    reason = "the linker finds it by this name, which nothing else has"
)]
#[unsafe(no_mangle)]
fn niwaki_probe(
    index: usize,
    check: &Check<'_>,
    memory: &mut Memory<'_, '_>,
    artifact: &[u8],
    arena: &mut [u8],
) -> Option<usize> {
    if each(index, check, memory) {
        return niwaki_base(artifact, arena, index);
    }
    None
}
