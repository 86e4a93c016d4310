//! Weights of which whole blocks are zero: fewer bytes, and the same bits on every home.

use std::collections::HashMap;

use niwaki_tests::pruned::block_sparse;
use niwaki_tests::{models, root, same_as_host, shared};
use niwaki_tools::artifact::Artifact;
use niwaki_tools::compiler::sparsify::Sparse;
use niwaki_tools::compiler::{self, Options};
use niwaki_tools::data::{self, Samples, Side};
use niwaki_tools::homes::Home;
use niwaki_tools::{import, reference};

fn compile(model: &[u8], sparse: Sparse, calibration: Option<&Samples>) -> Artifact {
    let dimensions = import::Dimensions::new();
    let imported = import::import_bytes(model, &dimensions, &HashMap::new()).unwrap();
    let options = Options {
        sparse,
        ..Options::default()
    };
    let compiled = compiler::compile(&imported, &options, calibration).unwrap();
    Artifact::from_bytes(compiled.bytes()).unwrap()
}

/// Names of the operators, and bytes of the weights of each.
fn operators(artifact: &Artifact) -> Vec<(&'static str, u64)> {
    let model = artifact.model().unwrap();
    let name = |code: u16| {
        let mut table = niwaki::ops::TABLE.iter();
        table.find(|row| row.0 == code).unwrap().1
    };
    let operators = model.operators();
    operators
        .map(|operator| (name(operator.header.code), model.weight_bytes(operator)))
        .collect()
}

/// Holds a model with sparse weights against the same one with dense weights. Gives the share of the
/// bytes that is left of the weights that became sparse, and of all.
fn same(dense: &Artifact, sparse: &Artifact, layers: usize, inputs: &Samples) -> [f64; 2] {
    let golden = |artifact: &Artifact| artifact.model().unwrap().golden().to_vec();
    assert!(!golden(dense).is_empty());
    assert_eq!(golden(dense), golden(sparse));
    assert_eq!(dense.run(inputs).unwrap(), sparse.run(inputs).unwrap());
    let both: Vec<_> = (operators(dense).into_iter())
        .zip(operators(sparse))
        .collect();
    let changed: Vec<_> = both.iter().filter(|(a, b)| a.0 != b.0).collect();
    assert_eq!(changed.len(), layers);
    for (before, after) in &changed {
        assert_eq!(before.0, "FullyConnectedI8");
        assert_eq!(after.0, "FullyConnectedI8Sparse");
    }
    let share = |rows: &mut dyn Iterator<Item = (u64, u64)>| {
        let (dense, sparse) = rows.fold((0, 0), |sum, row| (sum.0 + row.0, sum.1 + row.1));
        sparse as f64 / dense as f64
    };
    [
        share(&mut changed.iter().map(|(a, b)| (a.1, b.1))),
        share(&mut both.iter().map(|(a, b)| (a.1, b.1))),
    ]
}

#[test]
fn a_pruned_keyword_spotter_is_smaller_and_has_the_same_bits() {
    let Some(shared) = shared() else { return };
    let model = std::fs::read(shared.join("models/kws01_int8_qdq.onnx")).unwrap();
    let model = block_sparse(&model, 0.75).unwrap();
    let [dense, sparse] = [Sparse::Never, Sparse::Auto].map(|mode| compile(&model, mode, None));
    let inputs = models::inputs(&shared, "kws01", models::Variant::Qdq, 5).unwrap();
    let [layers, all] = same(&dense, &sparse, 4, &inputs);
    println!("kws01: {layers:.4} of the bytes of its pointwise weights, {all:.4} of all");
    assert!(layers <= 0.33, "{layers}");
    // Its depthwise and first layers, a quarter of all, stay as they are.
    assert!(all <= 0.47, "{all}");
    for home in [Home::Node, Home::QemuCortexM4] {
        same_as_host("kws01 (pruned)", &sparse, home, &inputs);
    }
}

#[test]
fn digits_has_the_same_bits_on_every_home() {
    let folder = root().join("examples/digits");
    for (name, mode, layers) in [
        // What is not pruned becomes sparse only when that is asked for.
        ("digits.onnx", Sparse::Auto, 0),
        ("digits.onnx", Sparse::Always, 4),
    ] {
        let path = folder.join(name);
        let imported = import::import(&path, &import::Dimensions::new()).unwrap();
        let slots = reference::input_slots(&imported.graph);
        let samples =
            |name: &str| data::read_samples(&folder.join(name), &slots, Side::Input).unwrap();
        let calibration = samples("calibration.npz");
        let mut inputs = samples("test.npz");
        inputs.samples.truncate(5);
        let model = std::fs::read(&path).unwrap();
        let [dense, sparse] =
            [Sparse::Never, mode].map(|mode| compile(&model, mode, Some(&calibration)));
        let [layers, all] = same(&dense, &sparse, layers, &inputs);
        println!("{name}: {layers:.4} of the bytes of its sparse weights, {all:.4} of all");
        for home in [Home::Node, Home::QemuCortexM4] {
            same_as_host(name, &sparse, home, &inputs);
        }
    }
}
