//! A run with one panic behind it, planted where the compiler cannot rule it out: the gate has to
//! find it, or its zeros mean nothing.

#![no_std]
#![no_main]

use niwaki::{All, Session};
use niwaki_probe as _;

/// The root of the image.
#[allow(
    unsafe_code,
    reason = "the linker finds it by this name, which nothing else has"
)]
#[allow(clippy::indexing_slicing, reason = "this is the planted panic")]
#[unsafe(no_mangle)]
fn niwaki_probe(session: &mut Session<'_, '_, All>, index: usize) -> Option<u8> {
    session.run().ok()?;
    Some(session.output(0).ok()?[index])
}
