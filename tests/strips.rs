//! Memory plans: proved apart from planner and loader, and in less memory with the same bits.

use std::path::Path;

use niwaki::{Progress, Session};
use niwaki_tests::models::{self, Variant};
use niwaki_tests::{root, same_as_host, shared};
use niwaki_tools::artifact::Artifact;
use niwaki_tools::compiler::{self, Options};
use niwaki_tools::homes::Home;
use niwaki_tools::import;
use niwaki_tools::proof::prove;

/// Int8 models, and the bytes of arena that they have to fit in.
const IN_LESS: [(&str, usize); 2] = [("ic01", 21_104), ("vww01", 30_000)];

/// The model that comes quantised, in so many bytes of arena.
fn in_strips(shared: &Path, name: &str, ram: usize) -> Artifact {
    let (options, _) = models::options(shared, name, Variant::Qdq).unwrap();
    let options = Options {
        ram: Some(ram),
        ..options
    };
    let file = models::file_name(name, Variant::Qdq);
    let path = shared.join(format!("models/{file}.onnx"));
    let imported = import::import(&path, &import::Dimensions::new()).unwrap();
    let compiled = compiler::compile(&imported, &options, None).unwrap();
    compiled
        .strips
        .iter()
        .for_each(|group| println!("{name}: {group}"));
    assert!(!compiled.strips.is_empty(), "{name} is run at once");
    Artifact::from_bytes(compiled.bytes()).unwrap()
}

#[test]
fn every_plan_of_an_acceptance_model_is_proved() {
    let Some(shared) = shared() else { return };
    for (name, variant) in models::all() {
        let artifact = models::build(&shared, name, variant).unwrap();
        prove(artifact.bytes()).unwrap_or_else(|error| panic!("{name}, {variant:?}: {error:#}"));
    }
}

#[test]
fn strips_take_less_memory_and_give_the_same_bits() {
    let Some(shared) = shared() else { return };
    for (name, ram) in IN_LESS {
        let whole = models::build(&shared, name, Variant::Qdq).unwrap();
        let strips = in_strips(&shared, name, ram);
        let arena = strips.model().unwrap().arena_bytes();
        println!("{name}: {arena} bytes of arena");
        assert!(arena <= ram, "{name}: {arena} bytes of arena");
        prove(strips.bytes()).unwrap();
        let samples = models::inputs(&shared, name, Variant::Qdq, 100).unwrap();
        assert!(
            whole.run(&samples).unwrap() == strips.run(&samples).unwrap(),
            "{name}: a layer differs"
        );
    }
}

/// Runs the golden inputs at once and piece by piece: the same outputs, and each operator as often
/// as it has strips.
fn piece_by_piece(name: &str, artifact: &Artifact) {
    let model = artifact.model().unwrap();
    let mut arena = vec![0u32; model.arena_bytes().div_ceil(4)];
    let mut session = Session::new(&model, niwaki::as_bytes_mut(&mut arena)).unwrap();
    let outputs = |session: &Session<'_, '_>| -> Vec<Vec<u8>> {
        let output = |i| session.output(i).unwrap().to_vec();
        (0..model.output_count()).map(output).collect()
    };
    session.fill_golden_inputs(1).unwrap();
    session.run().unwrap();
    let at_once = outputs(&session);
    let mut progress = Progress::default();
    for run in 0..2 {
        session.fill_golden_inputs(1).unwrap();
        let mut pieces = vec![0; model.operator_count()];
        while let Some(operator) = session.step(&mut progress).unwrap() {
            pieces[operator] += 1;
        }
        assert_eq!(progress, Progress::default(), "{name}: what is left over");
        assert!(outputs(&session) == at_once, "{name}, run {run}");
        let strips = model
            .operators()
            .map(|operator| operator.header.strips.max(1));
        assert!(
            strips.eq(pieces),
            "{name}: an operator is left out, or run again"
        );
    }
}

#[test]
fn a_run_piece_by_piece_has_the_same_bits() {
    let digits = root().join("tests/golden/format-1/digits.niwaki");
    piece_by_piece("digits", &Artifact::read(&digits).unwrap());
    let Some(shared) = shared() else { return };
    for (name, ram) in IN_LESS {
        piece_by_piece(name, &in_strips(&shared, name, ram));
    }
}

#[test]
fn strips_have_the_same_bits_on_every_home() {
    let Some(shared) = shared() else { return };
    for (name, ram) in IN_LESS {
        let artifact = in_strips(&shared, name, ram);
        let samples = models::inputs(&shared, name, Variant::Qdq, 5).unwrap();
        for home in [Home::Node, Home::QemuCortexM4] {
            same_as_host(&format!("{name} in strips"), &artifact, home, &samples);
        }
    }
}
