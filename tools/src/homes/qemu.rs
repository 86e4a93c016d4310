//! Boards that QEMU emulates: an image that carries the model is built and booted.

use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, Result, ensure};

use super::{Attempt, Cost, HomeProfile, HomeRun, batch, is_installed, project_root};
use crate::artifact::Artifact;
use crate::data::Samples;

const TARGET: &str = "thumbv7em-none-eabihf";
const BOARD: &str = "mps2-an386";

/// Runs samples on the emulated Cortex-M4.
pub(super) fn run(artifact: &Artifact, samples: &Samples) -> Result<Attempt> {
    if let Some(missing) = missing() {
        return Ok(Attempt::NotRun(missing));
    }
    ask(artifact, &batch::request(samples), &|path| {
        let response = batch::read_response(path, artifact, samples.samples.len())?;
        Ok(Attempt::Ran(HomeRun {
            results: response.results,
            self_test: response.self_test,
            cost: instructions(response.cost),
        }))
    })
}

/// Counts the instructions of every operator on the emulated Cortex-M4.
pub(super) fn profile(artifact: &Artifact) -> Result<Attempt<HomeProfile>> {
    if let Some(missing) = missing() {
        return Ok(Attempt::NotRun(missing));
    }
    let request = batch::profile_request(&artifact.golden_sample()?);
    ask(artifact, &request, &|path| {
        let (run, operators) = batch::read_profile(path, artifact)?;
        Ok(Attempt::Ran(HomeProfile {
            run: instructions(run),
            operators: operators.into_iter().map(|cost| cost as f64).collect(),
        }))
    })
}

fn instructions(count: u64) -> Cost {
    Cost {
        value: count as f64,
        unit: "instructions",
    }
}

/// Builds the image that carries the model, gives it a request, and reads the response.
fn ask<T>(artifact: &Artifact, bytes: &[u8], read: &dyn Fn(&Path) -> Result<T>) -> Result<T> {
    let folder = tempfile::tempdir().context("cannot make a temporary folder")?;
    let digest = niwaki::Digest::of(niwaki::artifact::DataType::U8, artifact.bytes());
    let model = folder.path().join(format!("{digest}.niwaki"));
    let [request, response] = ["request", "response"].map(|name| folder.path().join(name));
    std::fs::write(&model, artifact.bytes())?;
    std::fs::write(&request, bytes)?;
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
    read(&response)
}

/// Says what is missing to build for the board and to emulate it.
fn missing() -> Option<String> {
    if !is_installed("qemu-system-arm") {
        return Some(
            "QEMU is not installed: `apt-get install --no-install-recommends qemu-system-arm`"
                .into(),
        );
    }
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
        .args(["xtask", "bench-image", BOARD])
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
