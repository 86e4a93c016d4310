//! ONNX's own conformance cases, for the operators that the importer supports.
//!
//! `conformance.txt` lists the cases that pass. A case of it that fails is an error, and so is a
//! supported operator without a case. `NIWAKI_BLESS=1` writes the list anew.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::io::{BufReader, Read as _};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, ensure};
use niwaki_tests::{float, root, shared};
use niwaki_tools::artifact::Artifact;
use niwaki_tools::compiler::{self, Options};
use niwaki_tools::data::{self, Elements, Samples};
use niwaki_tools::graph::Constant;
use niwaki_tools::import;

/// Operators whose inputs are all data; of the others only the first input is, as the rest are
/// weights, shapes and scales, which have to be constants.
const ALL_INPUTS: [&str; 3] = ["Add", "Concat", "Mul"];

/// Cases whose floats are compared less closely than the others, and why.
const LOOSE: [(&str, f64); 1] = [
    // Its expected values are written with four decimals.
    (
        "node/test_averagepool_2d_ceil_last_window_starts_on_pad",
        1e-3,
    ),
];

/// Largest difference of a float, relative to its expected value: sums in another order.
const RELATIVE: f64 = 1e-5;

/// The files of one case, by their name in its folder.
type Case = HashMap<String, Vec<u8>>;

/// All cases of the archive whose operators are all supported, and their operators.
struct Cases {
    files: BTreeMap<String, Case>,
    operators: BTreeMap<String, Vec<String>>,
}

fn read_cases(shared: &Path) -> Cases {
    let folder = shared.join("conformance");
    let core = std::fs::read_to_string(folder.join("edge_core_cases.txt")).unwrap();
    let core: BTreeSet<&str> = core.lines().collect();
    let supported: BTreeSet<&str> = import::supported().collect();
    let table = std::fs::read_to_string(folder.join("cases_all.csv")).unwrap();
    let mut operators = BTreeMap::new();
    for line in table.lines().skip(1) {
        // suite,case,primary_op,category,ops,…: none of these five has a comma in it.
        let fields: Vec<&str> = line.split(',').collect();
        let name = format!("{}/{}", fields[0], fields[1]);
        let used = fields[4]
            .split([' ', ';'])
            .map(|op| op.split(':').next().unwrap_or(op));
        let used: Vec<String> = used.map(str::to_owned).collect();
        if core.contains(name.as_str()) && used.iter().all(|op| supported.contains(op.as_str())) {
            operators.insert(name, used);
        }
    }
    let archive = std::fs::read_dir(&folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .find(|path| path.to_string_lossy().ends_with(".tar.xz"))
        .unwrap();
    let mut tar = Vec::new();
    let mut reader = BufReader::new(std::fs::File::open(archive).unwrap());
    lzma_rs::xz_decompress(&mut reader, &mut tar).unwrap();
    let mut files: BTreeMap<String, Case> = BTreeMap::new();
    for entry in tar::Archive::new(&*tar).entries().unwrap() {
        let mut entry = entry.unwrap();
        let path = entry.path().unwrap().to_string_lossy().into_owned();
        let mut parts = path.splitn(3, '/');
        let (Some(suite), Some(case), Some(file)) = (parts.next(), parts.next(), parts.next())
        else {
            continue;
        };
        let name = format!("{suite}/{case}");
        if operators.contains_key(&name) {
            let mut bytes = Vec::new();
            entry.read_to_end(&mut bytes).unwrap();
            files
                .entry(name)
                .or_default()
                .insert(file.to_owned(), bytes);
        }
    }
    Cases { files, operators }
}

/// Compiles a case, runs its first data set, and compares the outputs.
fn run_case(files: &Case, operators: &[String], relative: f64) -> Result<()> {
    let model = files.get("model.onnx").context("no model.onnx")?;
    let tensor = |side: &str, i: usize| -> Option<Result<Constant>> {
        let bytes = files.get(&format!("test_data_set_0/{side}_{i}.pb"))?;
        Some(import::constant_from_bytes(bytes))
    };
    let mut constants = HashMap::new();
    let mut sample: Vec<Elements> = Vec::new();
    for (i, name) in import::input_names(model)?.into_iter().enumerate() {
        let constant = tensor("input", i).context("an input is missing")??;
        let is_data = i == 0 || ALL_INPUTS.contains(&operators[0].as_str());
        if is_data {
            sample.push(data::array_from_constant(&constant).elements);
        } else {
            constants.insert(name, constant);
        }
    }
    let imported = import::import_bytes(model, &import::Dimensions::new(), &constants)?;
    let options = match compiler::is_quantized(&imported.graph) {
        true => Options::default(),
        false => float(),
    };
    let artifact = Artifact::from_bytes(compiler::compile(&imported, &options, None)?.bytes())?;
    let samples = Samples {
        samples: vec![sample],
    };
    let results = artifact.run(&samples)?;
    for (i, (bytes, slot)) in results[0]
        .outputs
        .iter()
        .zip(artifact.output_slots()?)
        .enumerate()
    {
        let expected = tensor("output", i).context("an output is missing")??;
        ensure!(
            expected.shape() == slot.shape,
            "shape {:?}, expected {:?}",
            slot.shape,
            expected.shape()
        );
        let expected = data::array_from_constant(&expected).elements;
        let ours = Elements::from_bytes(slot.dtype, bytes);
        ensure!(
            ours.type_name() == expected.type_name(),
            "type {}",
            ours.type_name()
        );
        for (at, (a, b)) in ours.to_f64().iter().zip(expected.to_f64()).enumerate() {
            // Integers have to be equal.
            let tolerance = match ours {
                Elements::F32(_) => 1e-6 + relative * b.abs(),
                _ => 0.0,
            };
            ensure!(
                (a - b).abs() <= tolerance,
                "output {i}, element {at}: {a}, expected {b}"
            );
        }
    }
    Ok(())
}

fn list() -> PathBuf {
    root().join("tests/conformance.txt")
}

#[test]
fn listed_cases_pass_and_every_operator_has_one() {
    let Some(shared) = shared() else { return };
    let cases = read_cases(&shared);
    let mut passed = BTreeSet::new();
    let mut failed = BTreeMap::new();
    for (name, files) in &cases.files {
        let loose = LOOSE.iter().find(|(case, _)| case == name);
        let relative = loose.map_or(RELATIVE, |(_, relative)| *relative);
        match run_case(files, &cases.operators[name], relative) {
            Ok(()) => {
                passed.insert(name.clone());
            }
            Err(error) => {
                failed.insert(name.clone(), format!("{error:#}"));
            }
        }
    }
    println!("{} of {} cases pass", passed.len(), cases.files.len());
    for (name, error) in &failed {
        println!("  {name}: {error}");
    }
    if std::env::var_os("NIWAKI_BLESS").is_some() {
        let lines: Vec<&str> = passed.iter().map(String::as_str).collect();
        std::fs::write(list(), lines.join("\n") + "\n").unwrap();
    }
    let listed = std::fs::read_to_string(list()).unwrap();
    for name in listed.lines() {
        assert!(passed.contains(name), "{name}: {:?}", failed.get(name));
    }
    for operator in import::supported() {
        let covered = listed.lines().any(|name| {
            let operators = cases.operators.get(name);
            operators.is_some_and(|operators| operators.iter().any(|op| op == operator))
        });
        assert!(
            covered,
            "operator {operator} is supported, and no listed case has it"
        );
    }
}
