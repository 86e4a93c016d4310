//! The artifact against what onnxruntime recorded, layer by layer and output by output.

use std::collections::HashMap;
use std::path::Path;

use niwaki::artifact::Tensor;
use niwaki::ops::{AddI8, BinaryI8Params, Registered as _};
use niwaki::{Session, numerics};
use niwaki_tests::models::{self, FLOATS, LARGER, PAIRS, Variant};
use niwaki_tests::shared;
use niwaki_tools::artifact::{Artifact, memory_indices, write_inputs};
use niwaki_tools::data::{self, Elements, Side};

/// How far from a tie a sum may be that onnxruntime rounds the other way, in output steps. Its
/// QLinearAdd rounds differently from ONNX's step-by-step meaning there (see NUMERICS.md).
const NEAR_TIE: f64 = 2e-5;

/// Recorded outputs of layers for each of two inputs, by the name of the value.
type Layers = HashMap<String, Vec<Vec<i8>>>;

/// Two inputs, and the layers recorded for them.
fn recorded_layers(path: &Path) -> (Vec<Vec<i8>>, Layers) {
    let arrays = data::read_arrays(path).unwrap();
    let mut inputs = Vec::new();
    let mut layers = Layers::new();
    for (name, array) in arrays {
        let Elements::I8(values) = &array.elements else {
            panic!("{name} is not int8");
        };
        let len = values.len() / 2;
        let halves: Vec<Vec<i8>> = values.chunks_exact(len).map(<[i8]>::to_vec).collect();
        if name == "x" {
            inputs = halves;
        } else {
            let (_, name) = name.split_once(' ').unwrap();
            layers.insert(name.to_owned(), halves);
        }
    }
    (inputs, layers)
}

/// The exact sums of an AddI8 in output steps, in memory order of its output.
fn exact_sums(params: &BinaryI8Params, a: &[i8], b: &[i8]) -> Vec<f64> {
    let real = |q: i8, i: usize| {
        (f64::from(q) - f64::from(params.input_zero_points[i])) * f64::from(params.input_scales[i])
    };
    let sum = |(&a, &b): (&i8, &i8)| (real(a, 0) + real(b, 1)) / f64::from(params.output_scale);
    a.iter().zip(b).map(sum).collect()
}

fn as_i8(bytes: &[u8]) -> Vec<i8> {
    bytes.iter().map(|b| b.cast_signed()).collect()
}

/// Runs one input and holds every recorded layer against ours. Where a sum near a tie differs,
/// the recorded bytes are put in its place, so that later layers are compared from the same
/// inputs. Gives how many layers were compared and how many elements were near ties.
fn compare_layers(
    artifact: &Artifact,
    input: &[i8],
    layers: &Layers,
    sample: usize,
) -> (usize, usize) {
    let model = artifact.model().unwrap();
    let mut arena = vec![0u32; model.arena_bytes().div_ceil(4)];
    let mut session = Session::new(&model, niwaki::as_bytes_mut(&mut arena)).unwrap();
    write_inputs(&mut session, &[Elements::I8(input.to_vec())]).unwrap();
    let operators: Vec<_> = model.operators().collect();
    // Outputs as they were given on, for the sums that read them.
    let mut given: HashMap<u16, Vec<i8>> = HashMap::new();
    let (mut compared, mut ties) = (0, 0);
    session
        .run_observed(&mut |index, tensor: &Tensor, bytes| {
            let operator = operators[index];
            let name = model.text(tensor.name).replace('/', "|");
            if let Some(recorded) = layers.get(&name) {
                let recorded = &recorded[sample];
                let exact = (operator.header.code == AddI8::CODE).then(|| {
                    let params = operator.parameters().unwrap();
                    let input = |i| &given[&operator.input(i).unwrap()];
                    (params, exact_sums(&params, input(0), input(1)))
                });
                for (&expected, at) in recorded.iter().zip(memory_indices(tensor)) {
                    let ours = bytes[at].cast_signed();
                    if ours == expected {
                        continue;
                    }
                    let (params, exact) = exact.as_ref().unwrap_or_else(|| {
                        panic!("{name}, element {at}: {ours}, recorded {expected}")
                    });
                    let distance = (exact[at].fract().abs() - 0.5).abs();
                    assert!(
                        (i16::from(ours) - i16::from(expected)).abs() == 1 && distance < NEAR_TIE,
                        "{name}, element {at}: {ours}, recorded {expected}, exactly {} steps",
                        exact[at]
                    );
                    let right = exact[at].round_ties_even() + f64::from(params.output_zero_point);
                    assert_eq!(f64::from(ours), right, "{name}: ours is the right one");
                    bytes[at] = expected.cast_unsigned();
                    ties += 1;
                }
                compared += 1;
            }
            given.insert(operator.output(0).unwrap(), as_i8(bytes));
        })
        .unwrap();
    (compared, ties)
}

#[test]
fn every_recorded_layer_of_the_int8_models_is_equal() {
    let Some(shared) = shared() else { return };
    for name in PAIRS {
        let artifact = models::build_whole(&shared, name, Variant::Qdq).unwrap();
        let (inputs, layers) = recorded_layers(&shared.join(format!("samples/{name}_layers.npz")));
        for (sample, input) in inputs.iter().enumerate() {
            let (compared, ties) = compare_layers(&artifact, input, &layers, sample);
            println!("{name}, input {sample}: {compared} layers equal but for {ties} near ties");
            assert_eq!(
                compared,
                layers.len(),
                "{name}: a recorded layer is not in the artifact"
            );
            assert!(ties == 0 || name == "ic01", "{name} has {ties} near ties");
        }
    }
}

/// Rounds the sums near ties of an AddI8's output as onnxruntime does: down.
fn round_near_ties_down(params: &BinaryI8Params, exact: &[f64], bytes: &mut [u8]) {
    for (byte, exact) in bytes.iter_mut().zip(exact) {
        let above = exact - exact.floor() - 0.5;
        if above > 0.0 && above < NEAR_TIE {
            let lower = exact.floor() as i32 + params.output_zero_point;
            *byte = (lower.clamp(params.low, params.high) as i8).cast_unsigned();
        }
    }
}

#[test]
fn every_recorded_output_of_the_int8_models_is_equal() {
    let Some(shared) = shared() else { return };
    for name in PAIRS {
        let artifact = models::build(&shared, name, Variant::Qdq).unwrap();
        let path = shared.join(format!("samples/{name}_qlinear.npz"));
        let inputs = data::read_samples(&path, &artifact.input_slots().unwrap(), Side::Input);
        let outputs = data::read_samples(&path, &artifact.output_slots().unwrap(), Side::Output);
        let (inputs, outputs) = (inputs.unwrap(), outputs.unwrap());
        let ours = artifact.run(&inputs).unwrap();
        let mut differing = Vec::new();
        for (k, (ours, recorded)) in ours.iter().zip(&outputs.samples).enumerate() {
            if ours.outputs[0] != recorded[0].to_bytes() {
                differing.push(k);
            }
        }
        println!(
            "{name}: {} of {} outputs differ",
            differing.len(),
            ours.len()
        );
        if name != "ic01" {
            assert!(differing.is_empty(), "{name}: samples {differing:?}");
            continue;
        }
        // What differs follows from sums near ties: rounded as onnxruntime rounds them, it is
        // equal.
        for k in differing {
            let rounded = run_rounding_down(&artifact, &inputs.samples[k]);
            assert_eq!(
                rounded,
                outputs.samples[k][0].to_bytes(),
                "{name}, sample {k}"
            );
        }
    }
}

fn run_rounding_down(artifact: &Artifact, sample: &[Elements]) -> Vec<u8> {
    let model = artifact.model().unwrap();
    let mut arena = vec![0u32; model.arena_bytes().div_ceil(4)];
    let mut session = Session::new(&model, niwaki::as_bytes_mut(&mut arena)).unwrap();
    write_inputs(&mut session, sample).unwrap();
    let operators: Vec<_> = model.operators().collect();
    let mut given: HashMap<u16, Vec<i8>> = HashMap::new();
    session
        .run_observed(&mut |index, _, bytes| {
            let operator = operators[index];
            if operator.header.code == AddI8::CODE {
                let params = operator.parameters().unwrap();
                let input = |i| &given[&operator.input(i).unwrap()];
                let exact = exact_sums(&params, input(0), input(1));
                round_near_ties_down(&params, &exact, bytes);
            }
            given.insert(operator.output(0).unwrap(), as_i8(bytes));
        })
        .unwrap();
    session.output(0).unwrap().to_vec()
}

/// How far a float model may be from what was recorded, in parts of the largest output. Sums in
/// another order differ the more, the longer they are; these two take logarithms and norms of them.
fn tolerance(name: &str) -> f64 {
    match name {
        "basic_pitch_nmp" | "magika_standard_v3_3" => 1e-3,
        _ => 1e-4,
    }
}

#[test]
fn float_outputs_are_within_a_ten_thousandth() {
    let Some(shared) = shared() else { return };
    for name in PAIRS.into_iter().chain(FLOATS).chain(LARGER) {
        let artifact = models::build(&shared, name, Variant::Float).unwrap();
        let inputs = models::recorded_inputs(&shared, name, Variant::Float).unwrap();
        let file = models::file_name(name, Variant::Float);
        let slots = artifact.output_slots().unwrap();
        let path = shared.join(format!("samples/{file}.npz"));
        let recorded = data::read_samples(&path, &slots, Side::Output).unwrap();
        assert_eq!(inputs.samples.len(), recorded.samples.len(), "{name}");
        let mut worst = 0.0f64;
        for (ours, recorded) in artifact.run(&inputs).unwrap().iter().zip(&recorded.samples) {
            assert_eq!(ours.outputs.len(), recorded.len(), "{name}");
            for ((bytes, recorded), slot) in ours.outputs.iter().zip(recorded).zip(&slots) {
                let ours = Elements::from_bytes(slot.dtype, bytes).to_f64();
                let recorded = recorded.to_f64();
                let largest = recorded.iter().fold(0.0f64, |m, v| m.max(v.abs()));
                for (a, b) in ours.iter().zip(&recorded) {
                    worst = worst.max((a - b).abs() / largest);
                }
            }
        }
        println!("{name}: {worst:.2e} of the largest output");
        assert!(worst <= tolerance(name), "{name}: {worst:e}");
    }
}

/// Models that come quantised: how far their outputs may be from the recorded ones, and why.
const QUANTIZED: [(&str, f64, &str); 4] = [
    (
        "micro_kws_m_qoperator",
        0.0,
        "onnxruntime has integer kernels for each of its operators",
    ),
    (
        "shufflenet_v2_12_int8_qoperator",
        0.0,
        "onnxruntime has integer kernels; its sums are what is rounded at no other place",
    ),
    (
        "micro_kws_m_qdq",
        3.0 / 255.0 + 1e-6,
        "recorded from its float path: three steps of the output apart from its integer path",
    ),
    (
        "mcunet_320kb_imagenet_int8_qdq",
        3.0,
        "recorded from its float path: three steps of the output apart from its integer path",
    ),
];

#[test]
fn outputs_of_models_that_come_quantised_are_as_near_as_the_table_says() {
    let Some(shared) = shared() else { return };
    for (name, tolerance, reason) in QUANTIZED {
        let artifact = models::build(&shared, name, Variant::Qdq).unwrap();
        let path = shared.join(format!("samples/{name}.npz"));
        let inputs = data::read_samples(&path, &artifact.input_slots().unwrap(), Side::Input);
        let outputs = data::read_samples(&path, &artifact.output_slots().unwrap(), Side::Output);
        let (slots, outputs) = (artifact.output_slots().unwrap(), outputs.unwrap().samples);
        let (mut worst, mut differ) = (0.0f64, 0);
        for (ours, recorded) in artifact.run(&inputs.unwrap()).unwrap().iter().zip(&outputs) {
            let ours = Elements::from_bytes(slots[0].dtype, &ours.outputs[0]).to_f64();
            for (a, b) in ours.iter().zip(recorded[0].to_f64()) {
                worst = worst.max((a - b).abs());
                differ += usize::from(*a != b);
            }
        }
        println!("{name}: {differ} values differ, by {worst} at most ({reason})");
        assert!(worst <= tolerance, "{name}: {worst}; {reason}");
    }
}

#[test]
fn the_rounding_that_the_comparison_assumes_is_the_runtimes() {
    // The tests above take `numerics` for what AddI8 does; hold them together once.
    let stage = numerics::OutputStage::new(3, -128, 127).unwrap();
    for (real, expected) in [(0.5f32, 3), (1.5, 5), (2.5, 5), (-0.5, 3), (4.500_009_5, 8)] {
        assert_eq!(stage.quantize(real), expected, "{real}");
    }
}

#[test]
fn arenas_of_the_int8_models_are_no_larger_than_the_best_known() {
    let Some(shared) = shared() else { return };
    let bounds = [
        ("kws01", 9_500),
        ("ic01", 34_500),
        ("vww01", 37_500),
        ("ad01", 768),
        ("sww01", 6_656),
    ];
    for (name, most) in bounds {
        let artifact = models::build(&shared, name, Variant::Qdq).unwrap();
        let arena = artifact.model().unwrap().arena_bytes();
        println!("{name}: {arena} bytes of arena");
        assert!(
            arena <= most,
            "{name}: {arena} bytes of arena, {most} wanted"
        );
    }
}
