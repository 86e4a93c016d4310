//! Load and run with the operators of kws01: a whole program of one model, but for its inputs. Its
//! size is what the table of `cargo xtask sizes` is held against.

#![no_std]
#![no_main]

use niwaki::{Model, Session};
use niwaki_probe::KwsOps;

/// The root of the image.
#[allow(
    unsafe_code,
    reason = "the linker finds it by this name, which nothing else has"
)]
#[unsafe(no_mangle)]
fn niwaki_probe(artifact: &[u8], arena: &mut [u8], index: usize) -> Option<usize> {
    let model = Model::<KwsOps>::new(artifact).ok()?;
    let mut session = Session::new(&model, arena).ok()?;
    session.input_mut(index).ok()?.fill(0);
    session.run().ok()?;
    Some(session.output(index).ok()?.len())
}
