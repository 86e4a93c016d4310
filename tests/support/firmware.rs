//! Emulators, and programs for the emulated Cortex-M4.

use std::path::PathBuf;
use std::process::Command;

use crate::{in_ci, root, stderr};

/// What emulates it, and every other Cortex-M.
pub const QEMU: &str = "qemu-system-arm";

/// Whether this emulator is there. Where it is not the test is skipped, loudly.
///
/// # Panics
///
/// With `CI=true`, when it is not there.
pub fn has(emulator: &str) -> bool {
    let is_there = Command::new(emulator).arg("--version").output().is_ok();
    if !is_there {
        assert!(!in_ci(), "{emulator} is not installed");
        eprintln!("SKIPPED: {emulator} is not installed");
    }
    is_there
}

/// Builds the program `bin` of `package`, of the firmware's workspace, and gives the ELF's path.
///
/// # Panics
///
/// When it does not build.
pub fn program(package: &str, bin: &str, features: &str) -> PathBuf {
    const TARGET: &str = "thumbv7em-none-eabihf";
    let folder = root().join("firmware");
    let target = folder.join("target");
    let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo
        .args(["build", "--release", "--target", TARGET])
        .args(["--package", package, "--bin", bin, "--features", features])
        // What the host's settings say is for the host.
        .env_remove("RUSTFLAGS")
        .env_remove("CARGO_ENCODED_RUSTFLAGS")
        .env("CARGO_TARGET_DIR", &target)
        .current_dir(&folder);
    let output = cargo.output().expect("cargo starts");
    assert!(output.status.success(), "{}", stderr(&output));
    target.join(TARGET).join("release").join(bin)
}
