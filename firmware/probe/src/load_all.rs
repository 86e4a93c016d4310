//! Everything around a run: a file of unknown origin is checked, and inputs and outputs are
//! reached.

#![no_std]
#![no_main]

use niwaki::{All, Model, Session};
use niwaki_probe as _;

/// The root of the image.
#[allow(
    unsafe_code,
    reason = "the linker finds it by this name, which nothing else has"
)]
#[unsafe(no_mangle)]
fn niwaki_probe(artifact: &[u8], arena: &mut [u8], index: usize) -> Option<usize> {
    let model = Model::<All>::new(artifact).ok()?;
    let mut session = Session::new(&model, arena).ok()?;
    session.input_mut(index).ok()?.fill(0);
    session.input_as::<f32>(index).ok()?.fill(0.0);
    let name = model.text(model.output_port(index)?.name);
    let macs: u64 = model.operators().map(|operator| model.macs(operator)).sum();
    let output = session.output(index).ok()?.len() + session.output_as::<i8>(index).ok()?.len();
    Some(output + name.len() + model.provenance().len() + macs as usize)
}
