//! The models of `shared/models` that the acceptance tests compile, and data for each.

use std::path::Path;

use anyhow::{Context as _, Result, bail};
use niwaki::Xorshift32;
use niwaki_tools::artifact::Artifact;
use niwaki_tools::compiler::Options;
use niwaki_tools::data::{self, Elements, Samples, Side};
use niwaki_tools::import::{self, Bindings};
use niwaki_tools::reference;

use crate::{compile_bound, float, rows};

/// The five networks that come as float and as int8 QDQ models.
pub const PAIRS: [&str; 5] = ["kws01", "ic01", "vww01", "ad01", "sww01"];

/// Networks that come as float models only.
pub const FLOATS: [&str; 4] = [
    "mnist-8",
    "har_cnn1d",
    "fsdd_dscnn",
    "hand_keypoint_classifier",
];

/// Larger float models, and one that is fed its own state. They stay in floats.
pub const LARGER: [&str; 7] = [
    "atmega_mnist_14x14",
    "basic_pitch_nmp",
    "magika_standard_v3_3",
    "micro_kws_m_fp32",
    "silero_vad_16k_op15",
    "st_mobilenet_v2_035_128",
    "ultraface_rfb_320",
];

/// What a model leaves open.
pub fn bindings(name: &str) -> Bindings {
    match name {
        // A frame of 512 samples at 16 kHz, behind the last 64 of the frame before.
        "silero_vad_16k_op15" => Bindings {
            dimensions: [("batch", 1), ("sequence", 576)]
                .map(|(name, size)| (name.to_owned(), size))
                .into(),
            constants: [("sr".to_owned(), "16000".to_owned())].into(),
        },
        _ => Bindings::default(),
    }
}

/// Networks that come quantised alone.
pub const QUANTIZED: [&str; 4] = [
    "micro_kws_m_qoperator",
    "micro_kws_m_qdq",
    "mcunet_320kb_imagenet_int8_qdq",
    "shufflenet_v2_12_int8_qoperator",
];

/// How a model is compiled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Variant {
    /// A float model in floats.
    Float,
    /// A float model, quantised after training.
    Quantized,
    /// A model that comes quantised.
    Qdq,
}

/// Every model in every variant that it comes in.
pub fn all() -> Vec<(&'static str, Variant)> {
    let pairs = PAIRS.iter().flat_map(|&name| {
        [Variant::Float, Variant::Quantized, Variant::Qdq].map(|variant| (name, variant))
    });
    let floats = FLOATS
        .iter()
        .flat_map(|&name| [Variant::Float, Variant::Quantized].map(|variant| (name, variant)));
    let larger = LARGER.iter().map(|&name| (name, Variant::Float));
    let quantized = QUANTIZED.iter().map(|&name| (name, Variant::Qdq));
    let pairs_and_floats = pairs.chain(floats);
    pairs_and_floats.chain(larger).chain(quantized).collect()
}

/// Name of the ONNX file of a model, without its ending.
pub fn file_name(name: &str, variant: Variant) -> String {
    match variant {
        Variant::Qdq if PAIRS.contains(&name) => format!("{name}_int8_qdq"),
        _ if PAIRS.contains(&name) => format!("{name}_fp32"),
        _ => name.to_owned(),
    }
}

/// Compiles a model, calibrated on part of its labelled data where there is some, and on its
/// samples where there is none.
///
/// # Errors
///
/// Those of the compiler.
pub fn build(shared: &Path, name: &str, variant: Variant) -> Result<Artifact> {
    let model = shared.join(format!("models/{}.onnx", file_name(name, variant)));
    let (options, calibration) = options(shared, name, variant)?;
    compile_bound(&model, &bindings(name), &options, calibration.as_ref())
}

/// Compiles a model with every layer as it is in ONNX, so that each can be compared.
///
/// # Errors
///
/// Those of the compiler.
pub fn build_whole(shared: &Path, name: &str, variant: Variant) -> Result<Artifact> {
    let model = shared.join(format!("models/{}.onnx", file_name(name, variant)));
    let (options, calibration) = options(shared, name, variant)?;
    let options = Options {
        shrink: false,
        ..options
    };
    compile_bound(&model, &bindings(name), &options, calibration.as_ref())
}

/// How [`build`] compiles a model, and what it calibrates it on.
///
/// # Errors
///
/// When the data is missing.
pub fn options(shared: &Path, name: &str, variant: Variant) -> Result<(Options, Option<Samples>)> {
    Ok(match variant {
        Variant::Float => (float(), None),
        Variant::Qdq => (Options::default(), None),
        Variant::Quantized => (Options::default(), Some(calibration(shared, name)?)),
    })
}

/// Recorded inputs of a model.
///
/// # Errors
///
/// When they are missing or do not fit.
pub fn recorded_inputs(shared: &Path, name: &str, variant: Variant) -> Result<Samples> {
    let file = file_name(name, variant);
    let model = shared.join(format!("models/{file}.onnx"));
    let imported = import::import_bound(&model, &bindings(name))?;
    let slots = reference::input_slots(&imported.graph);
    let path = shared.join(format!("samples/{file}.npz"));
    data::read_samples(&path, &slots, Side::Input)
}

/// Real inputs to calibrate a float model with; none of them is used to measure accuracy.
fn calibration(shared: &Path, name: &str) -> Result<Samples> {
    match name {
        "kws01" => Ok(keywords(shared)?.0),
        "ic01" => Ok(Images::read(shared, "train_first3500", 200)?.samples),
        _ => recorded_inputs(shared, name, Variant::Float),
    }
}

/// Features of spoken keywords as floats: rows 0..199 to calibrate, the rest to test, with
/// labels.
///
/// # Errors
///
/// When the data is missing.
pub fn keywords(shared: &Path) -> Result<(Samples, Samples, Vec<i64>)> {
    let (int8, labels, scale, zero_point) = keyword_features(shared)?;
    let floats: Vec<f32> = int8
        .iter()
        .map(|&q| niwaki::numerics::dequantize(q, zero_point, scale))
        .collect();
    let all = rows(&floats, KEYWORD_LEN);
    let (first, rest) = all.samples.split_at(200);
    let samples = |part: &[Vec<Elements>]| Samples {
        samples: part.to_vec(),
    };
    Ok((samples(first), samples(rest), labels[200..].to_vec()))
}

/// Features of one keyword.
pub const KEYWORD_LEN: usize = 490;

/// Features of all 1000 keywords in int8, labels, scale and zero point.
///
/// # Errors
///
/// When the data is missing.
pub fn keyword_features(shared: &Path) -> Result<(Vec<i8>, Vec<i64>, f32, i32)> {
    let path = shared.join("data/kws_speech_commands/kws01_mfcc_int8.npz");
    let arrays = data::read_arrays(&path)?;
    let labels = data::read_labels(&path)?;
    let array = |name: &str| {
        arrays
            .get(name)
            .map(|a| &a.elements)
            .context("missing array")
    };
    let (Elements::I8(features), Elements::F32(scale), Elements::I8(zero_point)) =
        (array("x")?, array("scale")?, array("zero_point")?)
    else {
        bail!("{} has other types", path.display());
    };
    Ok((features.clone(), labels, scale[0], zero_point[0].into()))
}

/// CIFAR-10 images as ic01 takes them: raw 0 to 255, channels last.
pub struct Images {
    /// The images as floats.
    pub samples: Samples,
    /// Their classes.
    pub labels: Vec<i64>,
}

impl Images {
    /// The first `count` images of a part.
    ///
    /// # Errors
    ///
    /// When the data is missing.
    pub fn read(shared: &Path, part: &str, count: usize) -> Result<Self> {
        let path = shared.join(format!("data/cifar10/cifar10_{part}.npz"));
        let arrays = data::read_arrays(&path)?;
        let Some(Elements::U8(pixels)) = arrays.get("x").map(|a| &a.elements) else {
            bail!("{} has no array x of bytes", path.display());
        };
        let floats: Vec<f32> = pixels.iter().map(|&p| f32::from(p)).collect();
        let mut samples = rows(&floats, 32 * 32 * 3);
        let mut labels = data::read_labels(&path)?;
        samples.samples.truncate(count);
        labels.truncate(count);
        Ok(Self { samples, labels })
    }
}

/// `count` inputs for a model: recorded ones, then random ones over the recorded range.
///
/// # Errors
///
/// When the recorded ones are missing.
pub fn inputs(shared: &Path, name: &str, variant: Variant, count: usize) -> Result<Samples> {
    let mut samples = recorded_inputs(shared, name, variant)?;
    samples.samples.truncate(count);
    let mut random = Xorshift32::new(1);
    while samples.samples.len() < count {
        let first = samples.samples[0].iter();
        let sample = first.map(|like| random_like(like, &mut random));
        let sample = sample.collect::<Result<_>>();
        samples
            .samples
            .push(sample.with_context(|| name.to_owned())?);
    }
    Ok(samples)
}

/// Random elements over the range of these.
fn random_like(like: &Elements, random: &mut Xorshift32) -> Result<Elements> {
    Ok(match like {
        Elements::I8(v) => {
            Elements::I8(v.iter().map(|_| (random.next_u32() >> 24) as i8).collect())
        }
        // Bytes in wider integers.
        Elements::I32(v) => {
            Elements::I32(v.iter().map(|_| (random.next_u32() >> 24) as i32).collect())
        }
        Elements::F32(v) => {
            let (low, high) = v.iter().fold((f32::MAX, f32::MIN), |(low, high), &v| {
                (low.min(v), high.max(v))
            });
            let unit = |bits: u32| (bits >> 8) as f32 / 16_777_216.0;
            let value = |_| low + (high - low) * unit(random.next_u32());
            Elements::F32(v.iter().map(value).collect())
        }
        other => bail!("inputs of type {} are not made here", other.type_name()),
    })
}
