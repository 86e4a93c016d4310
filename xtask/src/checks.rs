//! The checks that cargo does, one function each.

use anyhow::Result;

use crate::setup::TARGETS;
use crate::{firmware, paths, shell};

/// Format and lints of both workspaces.
pub(crate) fn lint() -> Result<()> {
    format()?;
    clippy()?;
    firmware::lint(paths::root())
}

/// The format of both workspaces.
pub(crate) fn format() -> Result<()> {
    shell::run(shell::cargo(&["fmt", "--all", "--check"]))?;
    shell::run(firmware::cargo(paths::root(), &["fmt", "--all", "--check"]))
}

/// Lints of the workspace. In the release profile, as everything that depends on tract-onnx:
/// it takes minutes to compile for each profile.
pub(crate) fn clippy() -> Result<()> {
    let command = ["clippy", "--release", "--workspace", "--all-targets"];
    shell::run(shell::cargo(
        &[&command[..], &["--", "-Dwarnings"]].concat(),
    ))
}

/// The runtime's own tests and those of this program, with overflow checks on.
pub(crate) fn unit_tests() -> Result<()> {
    shell::run(shell::cargo(&[
        "test",
        "--package=niwaki",
        "--all-features",
    ]))?;
    shell::run(shell::cargo(&[
        "test",
        "--profile=xtask",
        "--package=xtask",
    ]))
}

/// The runtime for every machine, with and without its features.
pub(crate) fn runtime_targets() -> Result<()> {
    let targets = TARGETS.map(|target| ["--target", target]).concat();
    for features in ["--no-default-features", "--all-features"] {
        let build = ["build", "--release", "--package=niwaki", features];
        shell::run(shell::cargo(&[&build, &targets[..]].concat()))?;
    }
    Ok(())
}

/// The tests of all else. They are in the release profile for the reason that [`clippy`] gives,
/// and use the `niwaki` binary, the package in `wasm/pkg` and the firmware.
pub(crate) fn acceptance_tests() -> Result<()> {
    let rest = ["--workspace", "--exclude=niwaki", "--exclude=xtask"];
    shell::run(shell::cargo(&[&["test", "--release"], &rest[..]].concat()))
}

/// The documentation; a warning is an error.
pub(crate) fn doc() -> Result<()> {
    let mut command = shell::cargo(&["doc", "--release", "--no-deps", "--workspace"]);
    command.env("RUSTDOCFLAGS", "-Dwarnings");
    shell::run(command)
}
