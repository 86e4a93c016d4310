//! Other programs.

use std::ffi::OsStr;
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};

use anyhow::{Context, Result, bail};

use crate::paths;

/// A program with arguments, to be run from the root of the workspace.
pub(crate) fn program(name: impl AsRef<OsStr>, arguments: &[&str]) -> Command {
    let mut command = Command::new(name);
    command.args(arguments).current_dir(paths::root());
    command
}

/// Cargo: the one that has started us, so that the toolchain is the same.
pub(crate) fn cargo(arguments: &[&str]) -> Command {
    program(
        std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()),
        arguments,
    )
}

/// Shows the command line, runs it, and fails when it does.
pub(crate) fn run(mut command: Command) -> Result<()> {
    let line = line(&command);
    eprintln!("$ {line}");
    let status = command
        .status()
        .with_context(|| format!("cannot start `{line}`"))?;
    if !status.success() {
        bail!("`{line}` failed: {status}");
    }
    Ok(())
}

/// Runs a command and returns what it writes to stdout; what it writes to stderr is shown.
pub(crate) fn stdout(command: Command) -> Result<Vec<u8>> {
    let line = line(&command);
    let output = output(command)?;
    if !output.status.success() {
        bail!("`{line}` failed: {}", output.status);
    }
    Ok(output.stdout)
}

/// Like [`stdout`], for a program that reports what it found and fails when that is bad: it has
/// failed for another reason only when it reports nothing.
pub(crate) fn report(command: Command) -> Result<Vec<u8>> {
    let line = line(&command);
    let output = output(command)?;
    if !output.status.success() && output.stdout.is_empty() {
        bail!("`{line}` failed: {}", output.status);
    }
    Ok(output.stdout)
}

fn output(mut command: Command) -> Result<Output> {
    command.stderr(Stdio::inherit());
    let output = command.output();
    output.with_context(|| format!("cannot start `{}`", line(&command)))
}

/// Where a program is, if it is installed.
pub(crate) fn find(program: &str) -> Option<PathBuf> {
    let file = format!("{program}{}", std::env::consts::EXE_SUFFIX);
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path)
        .map(|folder| folder.join(&file))
        .find(|candidate| candidate.is_file())
}

/// True on a machine that has nobody to read a hint: there, what is missing is a failure.
pub(crate) fn is_ci() -> bool {
    std::env::var("CI").is_ok_and(|value| value == "true" || value == "1")
}

/// The command as one would type it.
fn line(command: &Command) -> String {
    let program = command.get_program().to_string_lossy();
    // Cargo tells us its whole path; nobody types that.
    let name = program.rsplit(['/', '\\']).next().unwrap_or_default();
    let arguments = command.get_args().map(OsStr::to_string_lossy);
    let words: Vec<_> = std::iter::once(name.into()).chain(arguments).collect();
    words.join(" ")
}
