//! What the tests share: where models and data are, and how they are compiled.

pub mod conformance;
pub mod firmware;
pub mod models;
pub mod onnx;
pub mod pruned;

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use anyhow::{Context as _, Result};
use niwaki_tools::artifact::Artifact;
use niwaki_tools::compiler::{self, Options};
use niwaki_tools::data::{Elements, Samples};
use niwaki_tools::homes::{self, Attempt, Home};
use niwaki_tools::import::{self, Bindings};

/// The root of the project.
pub fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// The folder with models, samples, data and conformance cases: `NIWAKI_MODELS`, by default
/// `shared` beside the project. Where it is absent the test is skipped, loudly; with `CI=true`
/// that is a failure.
///
/// # Panics
///
/// With `CI=true`, when it is absent.
pub fn shared() -> Option<PathBuf> {
    let path =
        std::env::var_os("NIWAKI_MODELS").map_or_else(|| root().join("../shared"), PathBuf::from);
    if path.join("models").is_dir() {
        return Some(path);
    }
    assert!(
        !in_ci(),
        "{} has no folder `models`: set NIWAKI_MODELS",
        path.display()
    );
    let thread = std::thread::current();
    let test = thread.name().unwrap_or("a test");
    eprintln!(
        "SKIPPED {test}: {} has no folder `models`; NIWAKI_MODELS names another place",
        path.display()
    );
    None
}

/// Runs samples at a home and holds outputs, every layer's digest and the self-test against the host.
/// A home that is missing is skipped, loudly.
///
/// # Panics
///
/// When something differs; with `CI=true`, when the home is missing.
pub fn same_as_host(model: &str, artifact: &Artifact, home: Home, samples: &Samples) {
    let host = artifact.run(samples).expect("the host runs");
    let what = format!("{model} on {}", home.name());
    match homes::run(home, artifact, samples).expect("the home runs") {
        Attempt::NotRun(reason) => {
            assert!(!in_ci(), "{what}: {reason}");
            eprintln!("SKIPPED {what}: {reason}");
        }
        Attempt::Ran(run) => {
            assert_eq!(run.results.len(), samples.samples.len(), "{what}");
            assert_eq!(run.self_test, None, "{what}: a golden digest differs");
            for (k, (ours, theirs)) in host.iter().zip(&run.results).enumerate() {
                assert_eq!(ours, theirs, "{what}: input {k}");
            }
            println!(
                "{what}: {} inputs, {} layers, all digests equal, {:?}",
                host.len(),
                host[0].digests.len(),
                run.cost
            );
        }
    }
}

/// True where nothing may be skipped.
pub fn in_ci() -> bool {
    std::env::var("CI").is_ok_and(|ci| ci == "true")
}

/// The `niwaki` binary, which is built beside the tests.
///
/// # Panics
///
/// When it is not there.
pub fn niwaki() -> Command {
    let exe = std::env::current_exe().expect("a test knows where it is");
    let folder = exe
        .ancestors()
        .nth(2)
        .expect("a test lies in target/PROFILE/deps");
    let binary = folder.join(format!("niwaki{}", std::env::consts::EXE_SUFFIX));
    assert!(
        binary.is_file(),
        "{} is not there: cargo build --release -p niwaki-tools",
        binary.display()
    );
    Command::new(binary)
}

/// Standard error of a finished command.
pub fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// Compiles a model that leaves nothing open.
///
/// # Errors
///
/// Those of the compiler.
pub fn compile(model: &Path, options: &Options, calibration: Option<&Samples>) -> Result<Artifact> {
    compile_bound(model, &Bindings::default(), options, calibration)
}

/// Compiles a model with what it leaves open.
///
/// # Errors
///
/// Those of the compiler.
pub fn compile_bound(
    model: &Path,
    bindings: &Bindings,
    options: &Options,
    calibration: Option<&Samples>,
) -> Result<Artifact> {
    let imported = import::import_bound(model, bindings)?;
    let compiled = compiler::compile(&imported, options, calibration)
        .with_context(|| model.display().to_string())?;
    Artifact::from_bytes(compiled.bytes())
}

/// Options that keep a float model in floats.
pub fn float() -> Options {
    Options {
        float: true,
        ..Options::default()
    }
}

/// One-input samples from rows of floats.
pub fn rows(values: &[f32], len: usize) -> Samples {
    let row = |row: &[f32]| vec![Elements::F32(row.to_vec())];
    Samples {
        samples: values.chunks_exact(len).map(row).collect(),
    }
}

/// Where an artifact's data section is.
///
/// # Panics
///
/// When the bytes are no artifact.
pub fn data_section(artifact: &[u8]) -> std::ops::Range<usize> {
    let header = niwaki::artifact::Header::open(artifact).expect("an artifact");
    let [offset, len] = header.sections[niwaki::Section::Data as usize];
    offset as usize..(offset + len) as usize
}

/// An artifact with the SHA-256 of its bytes as they are now: a forgery that only the checks of
/// its structure can find. Bytes that are too short for a header stay as they are.
pub fn sealed(mut artifact: Vec<u8>) -> Vec<u8> {
    use niwaki::artifact::{Header, MAGIC, Record as _, Words};
    let words_at = MAGIC.len() + 32;
    let words = artifact.get(words_at..).unwrap_or_default();
    if let Some(mut header) = Header::read(&mut Words::new(words)) {
        header.file_bytes = artifact.len() as u32;
        header.seal(&mut artifact);
    }
    artifact
}
