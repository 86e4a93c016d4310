//! Accuracy on labelled data that no setting was chosen on.

use niwaki_tests::models::{self, Images, Variant};
use niwaki_tests::{compile, float, root, shared};
use niwaki_tools::artifact::{Artifact, real_values};
use niwaki_tools::compiler::Options;
use niwaki_tools::data::{self, Elements, Samples, Side};
use niwaki_tools::reference;
use niwaki_tools::validate::argmax;

/// Share of samples whose largest score is the label.
fn accuracy(artifact: &Artifact, samples: &Samples, labels: &[i64]) -> f64 {
    assert_eq!(samples.samples.len(), labels.len());
    let tensor = artifact.model().unwrap().output(0).unwrap();
    let results = artifact.run(samples).unwrap();
    let right = results.iter().zip(labels).filter(|(result, label)| {
        let elements = Elements::from_bytes(tensor.dtype, &result.outputs[0]);
        argmax(&real_values(&tensor, &elements)) as i64 == **label
    });
    right.count() as f64 / labels.len() as f64
}

#[test]
fn kws01_int8_has_the_reference_accuracy_on_all_clips() {
    let Some(shared) = shared() else { return };
    let artifact = models::build(&shared, "kws01", Variant::Qdq).unwrap();
    let (features, labels, _, _) = models::keyword_features(&shared).unwrap();
    let samples = features.chunks_exact(models::KEYWORD_LEN);
    let samples = Samples {
        samples: samples
            .map(|row| vec![Elements::I8(row.to_vec())])
            .collect(),
    };
    let accuracy = accuracy(&artifact, &samples, &labels);
    println!("kws01 int8, 1000 clips: {accuracy}");
    assert_eq!(accuracy, 0.902);
}

#[test]
fn kws01_quantised_here_keeps_its_accuracy() {
    let Some(shared) = shared() else { return };
    let (_, samples, labels) = models::keywords(&shared).unwrap();
    let quantized = models::build(&shared, "kws01", Variant::Quantized).unwrap();
    let float = models::build(&shared, "kws01", Variant::Float).unwrap();
    let [quantized, float] = [quantized, float].map(|a| accuracy(&a, &samples, &labels));
    println!("kws01 rows 200..999: int8 {quantized}, float {float}");
    assert_eq!(float, 0.9125);
    assert!(quantized >= 0.912, "{quantized}");
}

#[test]
fn ic01_quantised_here_keeps_its_accuracy() {
    let Some(shared) = shared() else { return };
    let test = Images::read(&shared, "test_first2000", 2000).unwrap();
    let quantized = models::build(&shared, "ic01", Variant::Quantized).unwrap();
    let float = models::build(&shared, "ic01", Variant::Float).unwrap();
    let [quantized, float] = [quantized, float].map(|a| accuracy(&a, &test.samples, &test.labels));
    println!("ic01, 2000 test images: int8 {quantized}, float {float}");
    assert_eq!(float, 0.879);
    assert!(quantized >= 0.870, "{quantized}");
}

#[test]
fn digits_loses_at_most_two_tenths_of_a_point() {
    let folder = root().join("examples/digits");
    let model = folder.join("digits.onnx");
    let slots = {
        let dimensions = niwaki_tools::import::Dimensions::new();
        let imported = niwaki_tools::import::import(&model, &dimensions).unwrap();
        reference::input_slots(&imported.graph)
    };
    let read = |name: &str| data::read_samples(&folder.join(name), &slots, Side::Input).unwrap();
    let labels = data::read_labels(&folder.join("test.npz")).unwrap();
    let (calibration, test) = (read("calibration.npz"), read("test.npz"));
    let quantized = compile(&model, &Options::default(), Some(&calibration)).unwrap();
    let float = compile(&model, &float(), None).unwrap();
    let [quantized, float] = [quantized, float].map(|a| accuracy(&a, &test, &labels));
    println!("digits, 1000 test images: int8 {quantized}, float {float}");
    assert!(float >= 0.985, "{float}");
    assert!(
        quantized >= float - 0.002,
        "int8 {quantized}, float {float}"
    );
}
