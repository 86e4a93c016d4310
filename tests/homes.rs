//! Every acceptance model on every home: each layer's digest is equal on all of them.

use niwaki_tests::models;
use niwaki_tests::{root, same_as_host, shared};
use niwaki_tools::artifact::Artifact;
use niwaki_tools::homes::Home;

/// Inputs for each model.
const INPUTS: usize = 20;

/// Multiply-accumulates that a model is tested with, however many inputs that is: an emulated
/// board takes minutes for more.
const MACS: u64 = 100_000_000;

/// Inputs for a model of that size.
fn input_count(artifact: &Artifact) -> usize {
    let model = artifact.model().unwrap();
    let macs: u64 = model.operators().map(|operator| model.macs(operator)).sum();
    (MACS / macs.max(1)).clamp(1, INPUTS as u64) as usize
}

fn all_on(home: Home) {
    let Some(shared) = shared() else { return };
    for (name, variant) in models::all() {
        let artifact = models::build(&shared, name, variant).unwrap();
        let samples = models::inputs(&shared, name, variant, input_count(&artifact)).unwrap();
        same_as_host(&format!("{name} ({variant:?})"), &artifact, home, &samples);
    }
}

#[test]
fn every_layer_has_the_same_bits_in_node() {
    all_on(Home::Node);
}

#[test]
fn every_layer_has_the_same_bits_on_an_emulated_cortex_m4() {
    all_on(Home::QemuCortexM4);
}

#[test]
fn a_home_that_computes_something_else_is_found() {
    // The comparison itself: an artifact whose weights differ in one bit gives other digests.
    let bytes = std::fs::read(root().join("tests/golden/format-1/digits.niwaki")).unwrap();
    let artifact = Artifact::from_bytes(&bytes).unwrap();
    let slots = artifact.input_slots().unwrap();
    let data = root().join("examples/digits/test.npz");
    let side = niwaki_tools::data::Side::Input;
    let mut samples = niwaki_tools::data::read_samples(&data, &slots, side).unwrap();
    samples.samples.truncate(2);
    let first = artifact.run(&samples).unwrap();
    let mut other = bytes.clone();
    let at = niwaki_tests::data_section(&bytes).start;
    other[at] ^= 0x40;
    let other = Artifact::from_bytes(&niwaki_tests::sealed(other)).unwrap();
    assert_ne!(first, other.run(&samples).unwrap());
    assert!(
        other.self_test().unwrap().is_some(),
        "the golden digests tell"
    );
}
