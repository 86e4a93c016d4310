//! `--weights-layout fast`: other operators and larger weights, the same bytes in every tensor.

use niwaki_tests::{models, root, same_as_host, shared};
use niwaki_tools::artifact::Artifact;
use niwaki_tools::compiler::{self, Options, WeightsLayout};
use niwaki_tools::data::{self, Samples, Side};
use niwaki_tools::homes::Home;
use niwaki_tools::{import, reference};

/// The digits example in a layout and so much memory, and inputs of it.
fn digits(weights_layout: WeightsLayout, ram: Option<usize>) -> (Artifact, Samples) {
    let folder = root().join("examples/digits");
    let dimensions = import::Dimensions::new();
    let imported = import::import(&folder.join("digits.onnx"), &dimensions).unwrap();
    let slots = reference::input_slots(&imported.graph);
    let samples = |name: &str| data::read_samples(&folder.join(name), &slots, Side::Input).unwrap();
    let options = Options {
        weights_layout,
        ram,
        ..Options::default()
    };
    let compiled =
        compiler::compile(&imported, &options, Some(&samples("calibration.npz"))).unwrap();
    let mut inputs = samples("test.npz");
    inputs.samples.truncate(5);
    (Artifact::from_bytes(compiled.bytes()).unwrap(), inputs)
}

/// Names of the operators, and bytes of their weights.
fn operators(artifact: &Artifact) -> (Vec<&'static str>, u64) {
    let model = artifact.model().unwrap();
    let name = |code: u16| {
        niwaki::ops::TABLE
            .iter()
            .find(|row| row.0 == code)
            .unwrap()
            .1
    };
    let names = model.operators().map(|o| name(o.header.code)).collect();
    let bytes = model.operators().map(|o| model.weight_bytes(o)).sum();
    (names, bytes)
}

/// Holds the layouts against each other on these inputs; the golden digests of both are equal as
/// well.
fn same(what: &str, [small, fast]: [&Artifact; 2], inputs: &Samples) {
    let (narrow, narrow_bytes) = operators(small);
    let (wide, wide_bytes) = operators(fast);
    let widened = narrow.iter().map(|name| match *name {
        "ConvI8" | "FullyConnectedI8" | "FullyConnectedBorderI8" => format!("{name}Wide"),
        same => same.to_owned(),
    });
    assert_eq!(wide, widened.collect::<Vec<_>>(), "{what}");
    assert_ne!(wide, narrow, "{what} has no operator with two layouts");
    assert!(narrow_bytes < wide_bytes, "{what}");
    assert!(!small.model().unwrap().golden().is_empty(), "{what}");
    let golden = |artifact: &Artifact| artifact.model().unwrap().golden().to_vec();
    assert_eq!(golden(small), golden(fast), "{what}");
    assert_eq!(
        small.run(inputs).unwrap(),
        fast.run(inputs).unwrap(),
        "{what}"
    );
}

#[test]
fn digits_has_the_same_bits_on_every_home() {
    for ram in [None, Some(5000)] {
        let (small, inputs) = digits(WeightsLayout::Small, ram);
        let (fast, _) = digits(WeightsLayout::Fast, ram);
        same("digits", [&small, &fast], &inputs);
        for home in [Home::Node, Home::QemuCortexM4] {
            same_as_host("digits (fast)", &fast, home, &inputs);
        }
    }
}

#[test]
fn models_have_the_same_bits() {
    let Some(shared) = shared() else { return };
    for name in ["kws01", "vww01", "ic01", "ad01", "sww01"] {
        let variant = models::Variant::Qdq;
        let model = shared.join(format!("models/{}.onnx", models::file_name(name, variant)));
        let artifact = |weights_layout| {
            let options = Options {
                weights_layout,
                ..Options::default()
            };
            niwaki_tests::compile_bound(&model, &models::bindings(name), &options, None).unwrap()
        };
        let [small, fast] = [WeightsLayout::Small, WeightsLayout::Fast].map(artifact);
        let inputs = models::inputs(&shared, name, variant, 2).unwrap();
        same(name, [&small, &fast], &inputs);
        same_as_host(name, &fast, Home::QemuCortexM4, &inputs);
    }
}
