//! Boards that QEMU emulates: an image that carries the model is built and booted.

use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, Result, ensure};

use super::{Attempt, Cost, HomeRun, batch, is_installed, project_root};
use crate::artifact::Artifact;
use crate::data::Samples;

const TARGET: &str = "thumbv7em-none-eabihf";
const BOARD: &str = "mps2-an386";

/// Runs samples on the emulated Cortex-M4.
pub(super) fn run(artifact: &Artifact, samples: &Samples) -> Result<Attempt> {
    if !is_installed("qemu-system-arm") {
        return Ok(Attempt::NotRun(
            "QEMU is not installed: `apt-get install --no-install-recommends qemu-system-arm`"
                .into(),
        ));
    }
    if let Some(missing) = missing_target() {
        return Ok(Attempt::NotRun(missing));
    }
    let folder = tempfile::tempdir().context("cannot make a temporary folder")?;
    let digest = niwaki::Digest::of(niwaki::artifact::DataType::U8, artifact.bytes());
    let model = folder.path().join(format!("{digest}.niwaki"));
    let [request, response] = ["request", "response"].map(|name| folder.path().join(name));
    std::fs::write(&model, artifact.bytes())?;
    std::fs::write(&request, batch::request(samples))?;
    let image = build(&model)?;
    let arguments = [&request, &response]
        .map(|path| format!("arg={}", path.display()))
        .join(",");
    // One instruction a nanosecond, whatever the host does: the board's clock counts
    // instructions, and a run is the same every time.
    let output = Command::new("qemu-system-arm")
        .args([
            "-M",
            BOARD,
            "-nographic",
            "-monitor",
            "none",
            "-serial",
            "none",
        ])
        .args(["-icount", "shift=0", "-kernel"])
        .arg(&image)
        .arg("-semihosting-config")
        .arg(format!("enable=on,target=native,{arguments}"))
        .stdin(std::process::Stdio::null())
        .output()
        .context("cannot start qemu-system-arm")?;
    ensure!(
        output.status.success() || response.is_file(),
        "the image failed on {BOARD}: {}{}",
        String::from_utf8_lossy(&output.stdout).trim(),
        String::from_utf8_lossy(&output.stderr).trim()
    );
    let response = batch::read_response(&response, artifact, samples.samples.len())?;
    Ok(Attempt::Ran(HomeRun {
        results: response.results,
        self_test: response.self_test,
        cost: Cost {
            value: response.cost as f64,
            unit: "instructions",
        },
    }))
}

/// Says what is missing to compile for the board.
fn missing_target() -> Option<String> {
    if !is_installed("cargo") {
        return Some("cargo is not installed: see https://rustup.rs".into());
    }
    let folder = Command::new("rustc")
        .args(["--print", "target-libdir", "--target", TARGET])
        .output()
        .ok()
        .map(|output| String::from_utf8_lossy(&output.stdout).trim().to_owned())?;
    (!Path::new(&folder).is_dir())
        .then(|| format!("Rust's {TARGET} target is not installed: `rustup target add {TARGET}`"))
}

/// Builds the image that carries `model` and gives its path.
///
/// The image keeps the model file's name, and the artifact's digest is in that name: two models
/// never share an image.
fn build(model: &Path) -> Result<std::path::PathBuf> {
    let output = Command::new("cargo")
        .args(["xtask", "firmware", BOARD])
        .arg(model)
        .current_dir(project_root())
        .output()
        .context("cannot start cargo")?;
    ensure!(
        output.status.success(),
        "the firmware does not build: {}",
        String::from_utf8_lossy(&output.stderr).trim()
    );
    let path = String::from_utf8(output.stdout)?;
    let path = path.lines().last().context("the build named no image")?;
    Ok(path.into())
}
