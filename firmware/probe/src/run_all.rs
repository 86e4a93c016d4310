//! One run with every operator that there is, at once and piece by piece.

#![no_std]
#![no_main]

use niwaki::{All, Progress, Session};
use niwaki_probe as _;

/// The root of the image.
#[allow(
    unsafe_code,
    reason = "the linker finds it by this name, which nothing else has"
)]
#[unsafe(no_mangle)]
fn niwaki_probe(session: &mut Session<'_, '_, All>, progress: &mut Progress) -> bool {
    session.run().is_ok() && session.step(progress).is_ok()
}
