//! ONNX's own conformance cases: reading them, running them, and what came of it.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::io::{BufReader, Read};
use std::panic::AssertUnwindSafe;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail, ensure};
use niwaki_tools::artifact::Artifact;
use niwaki_tools::compiler;
use niwaki_tools::data::{self, Elements, Samples};
use niwaki_tools::graph::Constant;
use niwaki_tools::import::{self, Outline};
use serde::Serialize;

use crate::float;

/// Inputs that say how to compute and not what from: shapes, axes, indices of slices, scales. The
/// compiler wants them constant, and takes them from the case's data.
const SETTINGS: &[(&str, &[usize])] = &[
    ("BatchNormalization", &[1, 2, 3, 4]),
    ("CenterCropPad", &[1]),
    ("Clip", &[1, 2]),
    ("Compress", &[1]),
    ("ConstantOfShape", &[0]),
    ("CumSum", &[1]),
    ("DeformConv", &[1, 3]),
    ("DequantizeLinear", &[1, 2]),
    ("Dropout", &[1, 2]),
    ("Expand", &[1]),
    ("If", &[0]),
    ("MaxUnpool", &[2]),
    ("OneHot", &[1, 2]),
    ("Pad", &[1, 2, 3]),
    ("QLinearConv", &[1, 2, 4, 5, 6, 7]),
    ("QLinearMatMul", &[1, 2, 4, 5, 6, 7]),
    ("QuantizeLinear", &[1, 2]),
    ("Range", &[0, 1, 2]),
    ("ReduceL1", &[1]),
    ("ReduceL2", &[1]),
    ("ReduceLogSum", &[1]),
    ("ReduceLogSumExp", &[1]),
    ("ReduceMax", &[1]),
    ("ReduceMean", &[1]),
    ("ReduceMin", &[1]),
    ("ReduceProd", &[1]),
    ("ReduceSum", &[1]),
    ("ReduceSumSquare", &[1]),
    ("Reshape", &[1]),
    ("Resize", &[1, 2, 3]),
    ("ReverseSequence", &[1]),
    ("Slice", &[1, 2, 3, 4]),
    ("Split", &[1]),
    ("Squeeze", &[1]),
    ("Tile", &[1, 2]),
    ("TopK", &[1]),
    ("Trilu", &[1]),
    ("Unsqueeze", &[1]),
    ("Upsample", &[1]),
];

/// Operators that compute shapes or constants, and nothing while a model runs: all their inputs
/// are constants.
const FOLDED: &[&str] = &["NonZero", "Range", "ConstantOfShape", "EyeLike"];

/// Cases whose floats are compared less closely than the others, and why.
const LOOSE: &[(&str, f64)] = &[
    // Its expected values are written with four decimals.
    (
        "node/test_averagepool_2d_ceil_last_window_starts_on_pad",
        1e-3,
    ),
];

/// Largest difference of a float, relative to its expected value: that of ONNX's own runner.
const RELATIVE: f64 = 1e-3;
/// The same, absolute.
const ABSOLUTE: f64 = 1e-7;

/// A case: the files of its folder, by name.
#[derive(Clone, Debug)]
pub struct Case {
    /// `SUITE/CASE`, for instance `node/test_abs`.
    pub name: String,
    files: HashMap<String, Vec<u8>>,
}

/// How a case ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "result", content = "reason", rename_all = "lowercase")]
pub enum Outcome {
    /// The outputs are the expected ones.
    Passed,
    /// The compiler refused the model, and said why.
    Refused(String),
    /// The outputs are others: a defect.
    Wrong(String),
    /// The compiler or the runtime panicked: a defect.
    Panicked(String),
}

/// A case and what came of it.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// `SUITE/CASE`.
    pub case: String,
    /// The operators of its model, each once.
    pub operators: BTreeSet<String>,
    /// Version of its operator set.
    pub opset: i64,
    /// Types of its inputs and outputs.
    pub types: BTreeSet<&'static str>,
    /// Which inputs were taken as constants.
    pub constants: Vec<String>,
    /// How it ended.
    #[serde(flatten)]
    pub outcome: Outcome,
}

/// Reads the cases below a folder of suites, as the `onnx` package has them in
/// `onnx/backend/test/data`.
///
/// # Errors
///
/// When a file cannot be read.
pub fn cases_in_folder(folder: &Path) -> Result<Vec<Case>> {
    let mut cases = Vec::new();
    for suite in ["node", "pytorch-converted", "pytorch-operator", "simple"] {
        for case in entries(&folder.join(suite))? {
            let name = format!("{suite}/{}", file_name(&case));
            let mut files = HashMap::new();
            for entry in entries(&case)? {
                if entry.is_dir() {
                    for file in entries(&entry)? {
                        let inner = format!("{}/{}", file_name(&entry), file_name(&file));
                        files.insert(inner, std::fs::read(&file)?);
                    }
                } else {
                    files.insert(file_name(&entry), std::fs::read(&entry)?);
                }
            }
            cases.push(Case { name, files });
        }
    }
    Ok(cases)
}

fn entries(folder: &Path) -> Result<Vec<PathBuf>> {
    let read = std::fs::read_dir(folder).with_context(|| folder.display().to_string())?;
    let mut paths = read
        .map(|entry| entry.map(|entry| entry.path()))
        .collect::<Result<Vec<_>, _>>()?;
    paths.sort();
    Ok(paths)
}

fn file_name(path: &Path) -> String {
    path.file_name()
        .map(|name| name.to_string_lossy().into_owned())
        .unwrap_or_default()
}

/// Reads the cases of an archive, those of them that `wanted` says.
///
/// # Errors
///
/// When it cannot be read.
pub fn cases_in_archive(archive: &Path, wanted: impl Fn(&str) -> bool) -> Result<Vec<Case>> {
    let mut tar = Vec::new();
    let mut reader = BufReader::new(std::fs::File::open(archive)?);
    lzma_rs::xz_decompress(&mut reader, &mut tar).context("it is no .xz archive")?;
    let mut cases: BTreeMap<String, Case> = BTreeMap::new();
    for entry in tar::Archive::new(&*tar).entries()? {
        let mut entry = entry?;
        let path = entry.path()?.to_string_lossy().into_owned();
        let mut parts = path.splitn(3, '/');
        let (Some(suite), Some(case), Some(file)) = (parts.next(), parts.next(), parts.next())
        else {
            continue;
        };
        let name = format!("{suite}/{case}");
        if wanted(&name) && !file.is_empty() && !file.ends_with('/') {
            let mut bytes = Vec::new();
            entry.read_to_end(&mut bytes)?;
            let case = cases.entry(name.clone()).or_insert_with(|| Case {
                name,
                files: HashMap::new(),
            });
            case.files.insert(file.to_owned(), bytes);
        }
    }
    Ok(cases.into_values().collect())
}

/// Why a case did not pass.
enum Failure {
    Refused(anyhow::Error),
    Wrong(anyhow::Error),
}

impl Case {
    /// Compiles the model and runs every data set of the case.
    ///
    /// Inputs that are settings are taken as constants; where the compiler wants more of them
    /// constant, such as weights, a second attempt takes all but the first.
    ///
    /// # Errors
    ///
    /// When the case itself is broken.
    pub fn run(&self) -> Result<Report> {
        let model = self.files.get("model.onnx").context("no model.onnx")?;
        let outline = import::outline(model)?;
        let mut report = Report {
            case: self.name.clone(),
            operators: outline.operators.iter().cloned().collect(),
            opset: outline.opset,
            types: BTreeSet::new(),
            constants: Vec::new(),
            outcome: Outcome::Passed,
        };
        let mut attempts = vec![settings(&outline)];
        let all_but_first: Vec<usize> = (1..outline.inputs.len()).collect();
        if !attempts.contains(&all_but_first) {
            attempts.push(all_but_first);
        }
        for (i, constants) in attempts.iter().enumerate() {
            let run = || self.attempt(model, &outline, constants, &mut report.types);
            let outcome = match std::panic::catch_unwind(AssertUnwindSafe(run)) {
                Ok(Ok(())) => Outcome::Passed,
                Ok(Err(Failure::Refused(error))) => Outcome::Refused(format!("{error:#}")),
                Ok(Err(Failure::Wrong(error))) => Outcome::Wrong(format!("{error:#}")),
                Err(panic) => Outcome::Panicked(message(&*panic)),
            };
            let refused = matches!(outcome, Outcome::Refused(_));
            // The first refusal says what is missing; a later one may be about its own constants.
            if i == 0 || !refused {
                report.constants = constants
                    .iter()
                    .filter_map(|&i| outline.inputs.get(i).cloned())
                    .collect();
                report.outcome = outcome;
            }
            if !refused {
                break;
            }
        }
        Ok(report)
    }

    fn tensor(&self, set: usize, side: &str, i: usize) -> Result<Constant> {
        let name = format!("test_data_set_{set}/{side}_{i}.pb");
        let bytes = self
            .files
            .get(&name)
            .with_context(|| format!("no {name}"))?;
        import::constant_from_bytes(bytes).with_context(|| name)
    }

    fn attempt(
        &self,
        model: &[u8],
        outline: &Outline,
        constants: &[usize],
        types: &mut BTreeSet<&'static str>,
    ) -> Result<(), Failure> {
        let mut set = 0;
        while self
            .files
            .keys()
            .any(|name| name.starts_with(&format!("test_data_set_{set}/")))
        {
            self.run_set(model, outline, constants, set, types)?;
            set += 1;
        }
        Ok(())
    }

    /// One data set; constants are those of the set.
    fn run_set(
        &self,
        model: &[u8],
        outline: &Outline,
        constants: &[usize],
        set: usize,
        types: &mut BTreeSet<&'static str>,
    ) -> Result<(), Failure> {
        let mut given = HashMap::new();
        let mut sample: Vec<Elements> = Vec::new();
        for (i, name) in outline.inputs.iter().enumerate() {
            let constant = self.tensor(set, "input", i).map_err(Failure::Refused)?;
            types.insert(constant.dtype().name());
            if constants.contains(&i) {
                given.insert(name.clone(), constant);
            } else {
                sample.push(data::array_from_constant(&constant).elements);
            }
        }
        let compiled = || -> Result<Artifact> {
            let imported = import::import_bytes(model, &import::Dimensions::new(), &given)?;
            let options = match compiler::is_quantized(&imported.graph) {
                true => compiler::Options::default(),
                false => float(),
            };
            Artifact::from_bytes(compiler::compile(&imported, &options, None)?.bytes())
        };
        let artifact = compiled().map_err(Failure::Refused)?;
        self.compare(&artifact, sample, set, types)
            .map_err(Failure::Wrong)
    }

    fn compare(
        &self,
        artifact: &Artifact,
        sample: Vec<Elements>,
        set: usize,
        types: &mut BTreeSet<&'static str>,
    ) -> Result<()> {
        let samples = Samples {
            samples: vec![sample],
        };
        let results = artifact.run(&samples)?;
        let loose = LOOSE.iter().find(|(case, _)| *case == self.name);
        let relative = loose.map_or(RELATIVE, |(_, relative)| *relative);
        let outputs = results[0].outputs.iter().zip(artifact.output_slots()?);
        for (i, (bytes, slot)) in outputs.enumerate() {
            let expected = self.tensor(set, "output", i)?;
            types.insert(expected.dtype().name());
            ensure!(
                expected.shape() == slot.shape,
                "output {i} has shape {:?}, expected is {:?}",
                slot.shape,
                expected.shape()
            );
            let expected = data::array_from_constant(&expected).elements;
            let ours = Elements::from_bytes(slot.dtype, bytes);
            ensure!(
                ours.type_name() == expected.type_name(),
                "output {i} is {}, expected is {}",
                ours.type_name(),
                expected.type_name()
            );
            let is_float = matches!(ours, Elements::F32(_));
            for (at, (a, b)) in ours.to_f64().iter().zip(expected.to_f64()).enumerate() {
                // Integers have to be equal.
                let tolerance = match is_float {
                    true => ABSOLUTE + relative * b.abs(),
                    false => 0.0,
                };
                let same = *a == b || (a.is_nan() && b.is_nan()) || (a - b).abs() <= tolerance;
                if !same {
                    bail!("output {i}, element {at}: {a}, expected {b}");
                }
            }
        }
        Ok(())
    }
}

/// Indices of the inputs that are settings of the model's first operator that has any.
fn settings(outline: &Outline) -> Vec<usize> {
    let operators = &outline.operators;
    if operators.iter().any(|op| FOLDED.contains(&op.as_str())) {
        return (0..outline.inputs.len()).collect();
    }
    let row = SETTINGS
        .iter()
        .find(|(op, _)| operators.iter().any(|o| o == op));
    let indices = row.map_or(&[][..], |(_, indices)| indices);
    let inside = indices.iter().copied();
    inside.filter(|&i| i < outline.inputs.len()).collect()
}

fn message(panic: &(dyn std::any::Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().cloned();
    text.or_else(|| panic.downcast_ref::<&str>().map(|&text| text.to_owned()))
        .unwrap_or_else(|| "a panic without a message".to_owned())
}
