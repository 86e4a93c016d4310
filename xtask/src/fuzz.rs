//! Fuzzing: what is of unknown origin, an ONNX model, an artifact and what comes over a line, changed at
//! random for as long as one likes. The targets are in `tests/fuzz`; what they find stays there in `artifacts`.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

use crate::{conformance, demo, paths, shell};

/// The fuzz targets, each named after what it reads.
const TARGETS: [&str; 3] = ["model", "artifact", "frames"];

/// Largest file to begin with: small ones are changed to more purpose.
const SEED_BYTES: u64 = 8 << 10;

/// Seconds that one input may take, and MiB: more is a finding.
const TIMEOUT: u32 = 25;
const MEMORY: u32 = 3000;

/// Fuzzes `target`, or all, for so many seconds each.
///
/// # Errors
///
/// When something is found, or when cargo-fuzz or a nightly compiler is missing.
pub(crate) fn run(target: Option<&str>, seconds: u32) -> Result<()> {
    let targets: Vec<&str> = match target {
        None => TARGETS.to_vec(),
        Some(name) if TARGETS.contains(&name) => vec![name],
        Some(name) => bail!(
            "there is no target `{name}`: there are {}",
            TARGETS.join(", ")
        ),
    };
    if shell::find("cargo-fuzz").is_none() {
        bail!(
            "cargo-fuzz is not installed: `cargo install cargo-fuzz` and `rustup toolchain install nightly`"
        );
    }
    seeds(&folder().join("corpus"))?;
    for target in targets {
        let mut command = shell::program("cargo", &["+nightly", "fuzz", "run", "--fuzz-dir"]);
        command.arg(folder()).arg(target).arg("--");
        command.arg(format!("-max_total_time={seconds}"));
        command.arg(format!("-timeout={TIMEOUT}"));
        command.arg(format!("-rss_limit_mb={MEMORY}"));
        command.arg(format!("-max_len={SEED_BYTES}"));
        // Cargo names the toolchain of this program to those that it starts.
        command.env_remove("RUSTUP_TOOLCHAIN");
        shell::run(command).with_context(|| {
            format!("target `{target}` has found something, see tests/fuzz/artifacts/{target}")
        })?;
    }
    Ok(())
}

fn folder() -> PathBuf {
    paths::root().join("tests/fuzz")
}

/// Puts what the targets begin with into their corpora, where it is not yet: the small models of
/// ONNX's conformance cases and that of the digits example, and what they compile to.
fn seeds(corpus: &Path) -> Result<()> {
    // Frames begin with nothing: a few bytes are one already.
    let [models, artifacts, _] = TARGETS.map(|target| corpus.join(target));
    let done = corpus.join("seeded");
    if done.is_file() {
        return Ok(());
    }
    demo::build_command_line()?;
    fs::create_dir_all(&models)?;
    fs::create_dir_all(&artifacts)?;
    let mut count = 0;
    for suite in folders(&conformance::cases()?)? {
        for case in folders(&suite)? {
            let model = case.join("model.onnx");
            let small = fs::metadata(&model).is_ok_and(|file| file.len() <= SEED_BYTES);
            let Some(name) = case.file_name().filter(|_| small) else {
                continue;
            };
            let name = name.to_string_lossy();
            fs::copy(&model, models.join(format!("{name}.onnx")))?;
            let artifact = artifacts.join(format!("{name}.niwaki"));
            count += usize::from(compile(&model, &artifact)?);
        }
    }
    println!("{count} artifacts are compiled to begin with");
    Ok(fs::write(done, "")?)
}

/// Compiles a model, in floats if it has floats; false when it is refused.
fn compile(model: &Path, artifact: &Path) -> Result<bool> {
    for float in [&["--float"][..], &[]] {
        let mut command = demo::niwaki(&["compile"])?;
        command.arg(model).arg("-o").arg(artifact).args(float);
        if command.output()?.status.success() {
            return Ok(true);
        }
    }
    Ok(false)
}

fn folders(path: &Path) -> Result<Vec<PathBuf>> {
    let entries = fs::read_dir(path).with_context(|| format!("cannot read {}", path.display()))?;
    let paths = entries.filter_map(|entry| Some(entry.ok()?.path()));
    let mut folders: Vec<PathBuf> = paths.filter(|path| path.is_dir()).collect();
    folders.sort();
    Ok(folders)
}
