//! What a new machine lacks.

use std::path::Path;

use anyhow::{Result, bail};

use crate::shell;
use crate::tool::{
    CHROMIUM, NODE, NPM, PYTHON, QEMU, QEMU_RISCV, QEMU_USER, Tool, apt_get_install,
};

/// The machines that the runtime is compiled for.
pub(crate) const TARGETS: [&str; 8] = [
    "wasm32-unknown-unknown",
    "thumbv6m-none-eabi",
    "thumbv7m-none-eabi",
    "thumbv7em-none-eabihf",
    "thumbv8m.main-none-eabihf",
    "riscv32imac-unknown-none-elf",
    "riscv32imc-unknown-none-elf",
    AARCH64,
];

/// AArch64, with a C library that needs no linker and no other file of that machine.
pub(crate) const AARCH64: &str = "aarch64-unknown-linux-musl";

/// WebAssembly with what tests need of an operating system.
pub(crate) const WASI: &str = "wasm32-wasip1";

const COMPONENTS: [&str; 2] = ["clippy", "rustfmt"];

/// Gets what is missing, and returns the tools that are missing still.
///
/// A missing tool is no failure for a person, who is told how to install it and goes on without
/// that home; in CI it is one.
pub(crate) fn run() -> Result<Vec<&'static Tool>> {
    rustup("target", &TARGETS)?;
    rustup("target", &[WASI])?;
    rustup("component", &COMPONENTS)?;
    if let Err(error) = install(&lacking()) {
        eprintln!("setup: {error:#}");
    }
    let missing = lacking();
    for tool in &missing {
        let (lack, home) = (tool.lack().unwrap_or_default(), tool.home);
        eprintln!("setup: {lack}, so {home} will not be run; install it with");
        eprintln!("           {}", tool.remedy());
    }
    if !missing.is_empty() && shell::is_ci() {
        bail!("a tool is missing, which CI does not forgive (CI is set)");
    }
    Ok(missing)
}

/// Adds what the toolchain does not have yet of `wanted`.
fn rustup(kind: &str, wanted: &[&str]) -> Result<()> {
    if shell::find("rustup").is_none() {
        bail!(
            "rustup is not installed: get it from https://rustup.rs, it brings the compiler for {}",
            TARGETS.join(", ")
        );
    }
    let list = shell::stdout(shell::program("rustup", &[kind, "list", "--installed"]))?;
    let list = String::from_utf8_lossy(&list);
    // Components carry the host's name behind theirs.
    let lacks = |name: &&str| !list.lines().any(|line| line.starts_with(*name));
    let missing: Vec<_> = wanted.iter().copied().filter(lacks).collect();
    if missing.is_empty() {
        return Ok(());
    }
    shell::run(shell::program(
        "rustup",
        &[&[kind, "add"], &missing[..]].concat(),
    ))
}

fn lacking() -> Vec<&'static Tool> {
    let tools = [
        &QEMU,
        &QEMU_RISCV,
        &QEMU_USER,
        &NODE,
        &NPM,
        &PYTHON,
        &CHROMIUM,
    ]
    .into_iter();
    tools.filter(|tool| tool.lack().is_some()).collect()
}

/// Installs tools where that is a matter of one command: on Debian, as root.
fn install(tools: &[&Tool]) -> Result<()> {
    let debian = Path::new("/etc/debian_version").exists() && shell::find("apt-get").is_some();
    if tools.is_empty() || !debian || !is_root() {
        return Ok(());
    }
    let packages: Vec<_> = tools.iter().map(|tool| tool.debian).collect();
    let install = apt_get_install(&packages);
    for command in [&["apt-get", "update"][..], &install] {
        if let [program, arguments @ ..] = command {
            let mut command = shell::program(program, arguments);
            // Nobody is there to answer a package's questions.
            command.env("DEBIAN_FRONTEND", "noninteractive");
            shell::run(command)?;
        }
    }
    Ok(())
}

fn is_root() -> bool {
    let id = shell::stdout(shell::program("id", &["-u"]));
    id.is_ok_and(|id| id.trim_ascii() == b"0")
}
