//! One run with every operator that there is.

#![no_std]
#![no_main]

use niwaki::{All, Session};
use niwaki_probe as _;

/// The root of the image.
#[allow(
    unsafe_code,
    reason = "the linker finds it by this name, which nothing else has"
)]
#[unsafe(no_mangle)]
fn niwaki_probe(session: &mut Session<'_, '_, All>) -> bool {
    session.run().is_ok()
}
