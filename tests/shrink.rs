//! The lossless shrink: what it takes out, and that every output keeps its bytes.

use std::path::Path;

use niwaki_tests::models::{self, PAIRS, QUANTIZED, Variant};
use niwaki_tests::{root, shared};
use niwaki_tools::compiler::{self, Compiled, Options};
use niwaki_tools::data::Samples;
use niwaki_tools::{artifact::Artifact, import};

fn compile(shared: &Path, name: &str, variant: Variant, shrink: bool) -> Compiled {
    let (options, calibration) = models::options(shared, name, variant).unwrap();
    let options = Options { shrink, ..options };
    let file = models::file_name(name, variant);
    let model = shared.join(format!("models/{file}.onnx"));
    let imported = import::import(&model, &import::Dimensions::new()).unwrap();
    compiler::compile(&imported, &options, calibration.as_ref()).unwrap()
}

/// Compiles both ways and holds the outputs of `count` inputs together.
fn same_outputs(shared: &Path, name: &str, variant: Variant, count: usize) -> Compiled {
    let [whole, shrunk] = [false, true].map(|shrink| compile(shared, name, variant, shrink));
    let samples = models::inputs(shared, name, variant, count).unwrap();
    let outputs = |compiled: &Compiled, samples: &Samples| -> Vec<_> {
        let artifact = Artifact::from_bytes(compiled.bytes()).unwrap();
        let results = artifact.run(samples).unwrap();
        results.into_iter().map(|result| result.outputs).collect()
    };
    assert_eq!(
        outputs(&whole, &samples),
        outputs(&shrunk, &samples),
        "{name} ({variant:?})"
    );
    let report = shrunk.shrink.as_ref().unwrap();
    println!("{name} ({variant:?}), {count} inputs: {report}");
    shrunk
}

#[test]
fn outputs_keep_their_bytes() {
    let Some(shared) = shared() else { return };
    for name in PAIRS {
        for variant in [Variant::Qdq, Variant::Quantized, Variant::Float] {
            // The two that dead channels are looked for in get the most inputs.
            let many = variant == Variant::Qdq && ["vww01", "sww01"].contains(&name);
            same_outputs(&shared, name, variant, if many { 1000 } else { 20 });
        }
    }
    for name in QUANTIZED {
        same_outputs(&shared, name, Variant::Qdq, 6);
    }
}

#[test]
fn vww01_loses_all_its_dead_channels() {
    let Some(shared) = shared() else { return };
    let shrunk = same_outputs(&shared, "vww01", Variant::Qdq, 20);
    let report = shrunk.shrink.unwrap();
    assert_eq!(report.before.macs, 7_489_664);
    // Half of them: what is left when every channel with weights of zero is out.
    assert!(report.after.macs <= 3_733_073, "{}", report.after.macs);
    assert!(
        report.after.weight_bytes <= 29_286,
        "{}",
        report.after.weight_bytes
    );
}

#[test]
fn without_dead_channels_nothing_changes() {
    let folder = root().join("examples/digits");
    let dimensions = import::Dimensions::new();
    let imported = import::import(&folder.join("digits.onnx"), &dimensions).unwrap();
    let options = |shrink| Options {
        shrink,
        ..niwaki_tests::float()
    };
    let [whole, shrunk] =
        [false, true].map(|shrink| compiler::compile(&imported, &options(shrink), None).unwrap());
    let report = shrunk.shrink.as_ref().unwrap();
    assert!(!report.has_changed());
    assert_eq!(report.before, report.after);
    let data = |compiled: &Compiled| {
        let artifact = Artifact::from_bytes(compiled.bytes()).unwrap();
        artifact.model().unwrap().data().len()
    };
    assert_eq!(data(&whole), data(&shrunk));
}
