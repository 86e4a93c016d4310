//! Artifacts of unknown origin through loader and run: a refusal, or a run whose outputs depend
//! on its inputs alone. The SHA-256 is made right first, or nothing behind it would be reached.

#![no_main]

use libfuzzer_sys::fuzz_target;
use niwaki::artifact::{Header, MAGIC, Record as _, Words};
use niwaki::{Model, Session};
use niwaki_tools::compiler::work;

/// Arenas above this size are not run: the header may claim gigabytes.
const LARGEST_ARENA: usize = 1 << 22;

/// Runs above this many elementary steps are not made.
const LARGEST_RUN: u64 = 1 << 20;

/// The bytes as words, aligned, with their own length and SHA-256 in the header.
fn sealed(bytes: &[u8]) -> Vec<u32> {
    let mut bytes = bytes.to_vec();
    let words = bytes.get(MAGIC.len() + 32..).unwrap_or_default();
    if let Some(mut header) = Header::read(&mut Words::new(words)) {
        header.file_bytes = bytes.len() as u32;
        header.seal(&mut bytes);
    }
    let mut words = vec![0u32; bytes.len().div_ceil(4)];
    niwaki::as_bytes_mut(&mut words)[..bytes.len()].copy_from_slice(&bytes);
    words
}

/// The outputs of a run in an arena that holds `fill` beforehand.
fn outputs(model: &Model<'_>, fill: u32) -> Vec<Vec<u8>> {
    let mut arena = vec![fill; model.arena_bytes().div_ceil(4)];
    let arena = niwaki::as_bytes_mut(&mut arena);
    let mut session = Session::new(model, arena).expect("an arena of its size");
    session.fill_golden_inputs(7).expect("inputs of the model");
    session.run().expect("a loaded model runs");
    let outputs = 0..model.output_count();
    let bytes = |i| session.output(i).expect("an output of the model").to_vec();
    outputs.map(bytes).collect()
}

fuzz_target!(|bytes: &[u8]| {
    let words = sealed(bytes);
    let Ok(model) = Model::<'_>::new(&niwaki::as_bytes(&words)[..bytes.len()]) else {
        return;
    };
    if model.arena_bytes() > LARGEST_ARENA || work::of_model(&model) > LARGEST_RUN {
        return;
    }
    let first = outputs(&model, 0);
    assert_eq!(first, outputs(&model, 0xa5a5_a5a5), "what was in the arena shows");
});
