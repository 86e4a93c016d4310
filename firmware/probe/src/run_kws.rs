//! One run with the operators of the keyword-spotting model kws01 and no others: what a firmware
//! of one model links. Its code size is what the gate prints.

#![no_std]
#![no_main]

use niwaki::Session;
use niwaki_probe::KwsOps;

/// The root of the image.
#[allow(
    unsafe_code,
    reason = "the linker finds it by this name, which nothing else has"
)]
#[unsafe(no_mangle)]
fn niwaki_probe(session: &mut Session<'_, '_, KwsOps>) -> bool {
    session.run().is_ok()
}
