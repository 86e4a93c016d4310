//! The checks that cargo does, one function each.

use anyhow::Result;

use crate::setup::{AARCH64, TARGETS};
use crate::tool::QEMU_USER;
use crate::{firmware, paths, shell};

/// Format and lints of all workspaces.
pub(crate) fn lint() -> Result<()> {
    format()?;
    clippy()?;
    firmware::lint(paths::root())
}

/// The format of all workspaces.
pub(crate) fn format() -> Result<()> {
    shell::run(shell::cargo(&["fmt", "--all", "--check"]))?;
    for manifest in ["Cargo.toml", "boards/esp32c3/Cargo.toml"] {
        let check = ["fmt", "--all", "--check", "--manifest-path", manifest];
        shell::run(firmware::cargo(paths::root(), &check))?;
    }
    Ok(())
}

/// What is compiled in the release profile: all that depends on tract-onnx, and what shares its
/// dependencies. tract takes minutes to compile for each profile and each set of features, and
/// cargo unites features over the packages that one command names: so every command names these.
pub(crate) const RELEASE: [&str; 4] = [
    "--release",
    "--workspace",
    "--exclude=niwaki",
    "--exclude=xtask",
];

/// Lints of the workspace.
pub(crate) fn clippy() -> Result<()> {
    let deny = ["--all-targets", "--", "-Dwarnings"];
    for packages in [
        &RELEASE[..],
        &["--package=niwaki", "--all-features"],
        &XTASK,
    ] {
        shell::run(shell::cargo(&[&["clippy"], packages, &deny].concat()))?;
    }
    Ok(())
}

/// This program, which is compiled without optimisation.
const XTASK: [&str; 2] = ["--profile=xtask", "--package=xtask"];

/// The runtime's own tests and those of this program, with overflow checks on.
pub(crate) fn unit_tests() -> Result<()> {
    shell::run(shell::cargo(&[
        "test",
        "--package=niwaki",
        "--all-features",
    ]))?;
    shell::run(shell::cargo(&[&["test"], &XTASK[..]].concat()))
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

/// The runtime's tests on an emulated AArch64 that has dot products: the kernels with them and
/// without against the scalar ones, and the battery. Optimised, as the emulator takes its time.
pub(crate) fn aarch64() -> Result<()> {
    let variable = |name: &str| {
        let target = AARCH64.to_uppercase().replace('-', "_");
        format!("CARGO_TARGET_{target}_{name}")
    };
    let mut command = shell::cargo(&[
        "test",
        "--release",
        "--package=niwaki",
        "--all-features",
        "--lib",
        "--test=suite",
        "--target",
        AARCH64,
    ]);
    command.env(variable("LINKER"), "rust-lld").env(
        variable("RUNNER"),
        format!("{} -cpu max", QEMU_USER.program),
    );
    shell::run(command)
}

/// The tests of all else, which use the `niwaki` binary, the package in `wasm/pkg` and the
/// firmware.
pub(crate) fn acceptance_tests() -> Result<()> {
    shell::run(shell::cargo(&[&["test"], &RELEASE[..]].concat()))
}

/// The documentation; a warning is an error.
pub(crate) fn doc() -> Result<()> {
    for packages in [&RELEASE[..], &["--package=niwaki", "--all-features"]] {
        let mut command = shell::cargo(&[&["doc", "--no-deps"], packages].concat());
        command.env("RUSTDOCFLAGS", "-Dwarnings");
        shell::run(command)?;
    }
    Ok(())
}
