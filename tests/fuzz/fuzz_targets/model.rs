//! ONNX models of unknown origin through importer and compiler: an error, or an artifact that
//! loads, passes its own self-test, and gives the same bytes as one that was not shrunk.

#![no_main]

use std::collections::HashMap;

use libfuzzer_sys::fuzz_target;
use niwaki_tools::artifact::Artifact;
use niwaki_tools::compiler::{self, Options};
use niwaki_tools::import::{self, Dimensions, Imported};

/// Multiply-accumulates of the largest run: an attempt takes milliseconds.
const LARGEST_RUN: u64 = 1 << 20;

fn compiled(imported: &Imported, quantized: bool, shrink: bool) -> Option<Artifact> {
    let options = Options {
        float: !quantized,
        shrink,
        golden_steps: LARGEST_RUN,
        ..Options::default()
    };
    let compiled = compiler::compile(imported, &options, None).ok()?;
    let artifact = Artifact::from_bytes(compiled.bytes());
    Some(artifact.expect("what the compiler writes, the runtime loads"))
}

/// The outputs of the run of the golden vector's inputs.
fn outputs(artifact: &Artifact) -> Vec<Vec<u8>> {
    let model = artifact.model().expect("it has been loaded before");
    let mut arena = vec![0u32; model.arena_bytes().div_ceil(4)];
    let arena = niwaki::as_bytes_mut(&mut arena);
    let mut session = niwaki::Session::new(&model, arena).expect("an arena of its size");
    session.fill_golden_inputs(7).expect("inputs of the model");
    session.run().expect("a loaded model runs");
    let outputs = 0..model.output_count();
    let bytes = |i| session.output(i).expect("an output of the model").to_vec();
    outputs.map(bytes).collect()
}

fuzz_target!(|bytes: &[u8]| {
    let Ok(imported) = import::import_bytes(bytes, &Dimensions::new(), &HashMap::new()) else {
        return;
    };
    let quantized = compiler::is_quantized(&imported.graph);
    let Some(artifact) = compiled(&imported, quantized, true) else {
        return;
    };
    let first = artifact.self_test().expect("a loaded model runs");
    assert_eq!(first, None, "the first operator to differ from its digest");
    if let Some(whole) = compiled(&imported, quantized, false) {
        assert_eq!(outputs(&artifact), outputs(&whole), "the shrink changes outputs");
    }
});
