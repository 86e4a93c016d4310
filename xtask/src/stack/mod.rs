//! The stack of a run: measured on the emulated Cortex-M4, in the image that a user would flash.
//!
//! A debugger stops the program right before `Session::run`, fills the memory below the stack
//! pointer with a pattern, lets the program run to right behind it, and looks how deep the pattern
//! is gone. Nothing in the image is there for this measurement but two marks that do nothing.

mod gdb;

use std::fs;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use anyhow::{Context, Result, bail, ensure};
use object::{Object as _, ObjectSymbol as _};

use crate::models;
use crate::report::thousands;
use crate::tool::QEMU;
use gdb::Debugger;

/// The board with the core that the limit is for.
pub(crate) const BOARD: &str = "mps2-an386";

/// The functions that the firmware calls right before and behind the run.
const BEGIN: &str = "niwaki_run_begin";
const END: &str = "niwaki_run_end";

/// What a run may take: a firmware engineer sets so much aside and forgets it.
const LIMIT: u32 = 1176;

/// Bytes below the stack pointer that are watched.
const WATCHED: u32 = 16 << 10;

/// What they are filled with: no value that a run would write by itself.
const PATTERN: [u8; 4] = [0xc5, 0x5c, 0xa9, 0x9a];

/// The register of the stack pointer.
const SP: usize = 13;

/// Measures `models`, or the digits example and the int8 models of MLPerf Tiny where those are;
/// false when one takes more than [`LIMIT`].
///
/// # Errors
///
/// When a model does not compile or an image does not run.
pub(crate) fn run(models: &[PathBuf]) -> Result<bool> {
    if let Some(lack) = QEMU.lack() {
        bail!("{lack}, and the stack is measured in it: {}", QEMU.remedy());
    }
    let mut models = models.to_vec();
    if models.is_empty() {
        models = models::compiled()?;
    }
    check(&models::images(BOARD, &models)?)
}

/// Measures images; false when one takes more than [`LIMIT`].
///
/// # Errors
///
/// When an image does not run.
pub(crate) fn check(images: &[models::Image]) -> Result<bool> {
    let mut good = true;
    for image in images {
        let bytes = measure(&image.elf)?;
        let verdict = if bytes <= LIMIT { "" } else { ", too much" };
        println!(
            "{}: {} bytes of stack{verdict}",
            image.name,
            thousands(bytes.into())
        );
        good &= bytes <= LIMIT;
    }
    if !good {
        println!("a run may take {} bytes of stack", thousands(LIMIT.into()));
    }
    Ok(good)
}

/// Bytes of stack of the run of an image for [`BOARD`].
///
/// # Errors
///
/// When it does not run, or has no marks around the run.
pub(crate) fn measure(image: &Path) -> Result<u32> {
    let [begin, end] = [BEGIN, END].map(|name| address(image, name));
    let (mut emulator, port) = start(image)?;
    let measured = Debugger::connect(port).and_then(|debugger| watch(debugger, begin?, end?));
    // Where the debugger could not end it.
    let _ = emulator.kill();
    emulator.wait()?;
    measured.with_context(|| format!("cannot measure the stack in {}", image.display()))
}

/// The address of a function in an image.
fn address(image: &Path, name: &str) -> Result<u32> {
    let bytes = fs::read(image)?;
    let file = object::File::parse(&*bytes)?;
    let symbol = file.symbol_by_name(name);
    let symbol = symbol.with_context(|| format!("{} has no function {name}", image.display()))?;
    // The lowest bit says that its code is Thumb.
    Ok(u32::try_from(symbol.address())? & !1)
}

/// Starts an image, stopped before its first instruction, and gives the port for a debugger.
fn start(image: &Path) -> Result<(Child, u16)> {
    // A port that is free now. If another program takes it first, the emulator says so and ends.
    let port = TcpListener::bind(("127.0.0.1", 0))?.local_addr()?.port();
    let emulator = Command::new(QEMU.program)
        .args([
            "-M",
            BOARD,
            "-nographic",
            "-monitor",
            "none",
            "-serial",
            "none",
        ])
        .args(["-icount", "shift=0", "-S", "-gdb"])
        .arg(format!("tcp:127.0.0.1:{port}"))
        .args(["-semihosting-config", "enable=on,target=native", "-kernel"])
        .arg(image)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        // It says that a debugger has ended it; a failure shows by what the debugger misses.
        .stderr(Stdio::null())
        .spawn()
        .context("cannot start the emulator")?;
    Ok((emulator, port))
}

/// Bytes that the stack grows by from `begin` to `end`.
fn watch(mut debugger: Debugger, begin: u32, end: u32) -> Result<u32> {
    debugger.run_to(begin)?;
    let top = debugger.register(SP)?;
    let bottom = top - WATCHED;
    debugger.write(bottom, &PATTERN.repeat(WATCHED as usize / PATTERN.len()))?;
    debugger.run_to(end)?;
    ensure!(
        debugger.register(SP)? == top,
        "the run is called from another frame than its marks"
    );
    let memory = debugger.read(bottom, WATCHED)?;
    debugger.kill()?;
    let untouched = memory
        .chunks(PATTERN.len())
        .take_while(|word| *word == PATTERN);
    let left = (untouched.count() * PATTERN.len()) as u32;
    ensure!(left > 0, "a run takes more than {WATCHED} bytes");
    Ok(WATCHED - left)
}
