//! A trained model, compiled and shown to give the same bits in every home.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};

use crate::checks::RELEASE;
use crate::report::{Inspection, Validation, thousands};
use crate::{npm, paths, setup, shell};

const ONNX: &str = "examples/digits/digits.onnx";
const CALIBRATION: &str = "examples/digits/calibration.npz";
const TEST: &str = "examples/digits/test.npz";
const ARTIFACT: &str = "out/digits.niwaki";
const HOMES: &str = "host,node,qemu:cortex-m4";

/// Runs the demo; false when a home differs.
pub(crate) fn run() -> Result<bool> {
    setup::run()?;
    build_command_line()?;
    npm::build()?;
    compile()?;

    let validate = [
        "validate",
        ARTIFACT,
        "--reference",
        ONNX,
        "--data",
        TEST,
        "--labels",
        TEST,
        "--on",
        HOMES,
        "--json",
    ];
    // Where a home differs the command fails, and still reports all of them.
    let report = shell::report(niwaki(&validate)?)?;
    let validation = Validation::parse(&report)?;
    let inspection = shell::stdout(niwaki(&["inspect", ARTIFACT, "--json"])?)?;
    let inspection = Inspection::parse(&inspection)?;

    let onnx_bytes = fs::metadata(paths::root().join(ONNX))
        .with_context(|| format!("cannot read {ONNX}"))?
        .len();
    println!("{ONNX}: {} bytes", thousands(onnx_bytes));
    println!("{ARTIFACT}: {inspection}");
    println!("{}", validation.table());
    for line in validation.reasons() {
        println!("{line}");
    }
    Ok(validation.all_same())
}

/// Builds the `niwaki` binary.
pub(crate) fn build_command_line() -> Result<()> {
    shell::run(shell::cargo(&[&["build"], &RELEASE[..]].concat()))
}

/// The compiled example model.
pub(crate) fn artifact() -> PathBuf {
    paths::root().join(ARTIFACT)
}

/// The example model as it was trained.
pub(crate) fn onnx() -> PathBuf {
    paths::root().join(ONNX)
}

/// Compiles the example model with the binary.
pub(crate) fn compile() -> Result<()> {
    if let Some(folder) = artifact().parent() {
        fs::create_dir_all(folder).with_context(|| format!("cannot make {}", folder.display()))?;
    }
    compile_to(&artifact(), &[])
}

/// Compiles the example model to some place, with further options.
pub(crate) fn compile_to(output: &Path, options: &[&str]) -> Result<()> {
    let mut command = niwaki(&["compile", ONNX, "--calibrate", CALIBRATION])?;
    command.args(options).arg("-o").arg(output);
    shell::run(command)
}

pub(crate) fn niwaki(arguments: &[&str]) -> Result<Command> {
    let name = format!("niwaki{}", std::env::consts::EXE_SUFFIX);
    let binary = paths::target()?.join("release").join(name);
    Ok(shell::program(binary, arguments))
}
