//! One root for each operator, and one for what every program has: `cargo xtask sizes` adds up the
//! functions that each of them reaches.

#![no_std]
#![no_main]

use core::hint::black_box;

use niwaki::ops::{Check, Codes, Memory, Overlap, Steps};
use niwaki::{Fault, Model, OperatorSet, Rule, Session};
use niwaki_probe as _;

include!(concat!(env!("OUT_DIR"), "/each_operator.rs"));

/// Operators of which the compiler knows nothing. With a set that has none it would see that no
/// operator passes its check, and drop all that a load and a run do behind that: the checks of
/// overlaps and strips, and the strips themselves.
struct Unknown;

impl OperatorSet for Unknown {
    const CODES: Codes = Codes::NONE;
    fn check(_: &Check<'_>) -> Result<(), Rule> {
        black_box(Ok(()))
    }
    fn run(_: &mut Memory<'_, '_>) -> Result<(), Fault> {
        black_box(Ok(()))
    }
    fn steps(_: &Check<'_>) -> Option<Steps> {
        black_box(None)
    }
    fn overlap(_: &Check<'_>, _: usize) -> Option<Overlap> {
        black_box(None)
    }
}

/// A load, inputs, a run and outputs, without the code of any operator.
#[allow(unsafe_code, reason = "found by this name, which nothing else has")]
#[unsafe(no_mangle)]
#[inline(never)]
fn niwaki_base(artifact: &[u8], arena: &mut [u8], index: usize) -> Option<usize> {
    let model = Model::<Unknown>::new(artifact).ok()?;
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
    each(index, arena.len(), check, memory);
    niwaki_base(artifact, arena, index)
}
