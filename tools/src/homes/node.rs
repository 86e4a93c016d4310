//! WebAssembly in Node.

use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context as _, Result, ensure};
use serde::Deserialize;

use super::{Attempt, Cost, HomeProfile, HomeRun, batch, is_installed, project_root};
use crate::artifact::Artifact;
use crate::data::Samples;

/// Runs samples in Node, with the package that `cargo xtask npm` builds.
pub(super) fn run(artifact: &Artifact, samples: &Samples) -> Result<Attempt> {
    let package = match package() {
        Ok(package) => package,
        Err(missing) => return Ok(Attempt::NotRun(missing)),
    };
    let folder = tempfile::tempdir().context("cannot make a temporary folder")?;
    let [model, request, response] =
        ["model.niwaki", "request", "response"].map(|name| folder.path().join(name));
    std::fs::write(&model, artifact.bytes())?;
    std::fs::write(&request, batch::request(samples))?;
    let output = Command::new("node")
        .arg(project_root().join("wasm/node/batch.mjs"))
        .args([&package, &model, &request, &response])
        .output()
        .context("cannot start node")?;
    ensure!(
        output.status.success() || response.is_file(),
        "node failed: {}",
        String::from_utf8_lossy(&output.stderr).trim()
    );
    let response = batch::read_response(&response, artifact, samples.samples.len())?;
    Ok(Attempt::Ran(HomeRun {
        results: response.results,
        self_test: response.self_test,
        cost: Cost {
            value: response.cost as f64 / 1e3,
            unit: "us",
        },
    }))
}

/// The package's folder, or what is missing and the command that brings it.
fn package() -> Result<PathBuf, String> {
    if !is_installed("node") {
        return Err(
            "Node is not installed: `apt-get install nodejs`, or see https://nodejs.org".into(),
        );
    }
    let package = project_root().join("wasm/pkg");
    if !package.join("node.js").is_file() {
        return Err("the npm package is not built: `cargo xtask npm`".into());
    }
    Ok(package)
}

/// Times every operator in Node.
pub(super) fn profile(artifact: &Artifact) -> Result<Attempt<HomeProfile>> {
    /// What `profile.mjs` prints, in nanoseconds.
    #[derive(Deserialize)]
    struct Times {
        run: f64,
        operators: Vec<f64>,
    }
    let package = match package() {
        Ok(package) => package,
        Err(missing) => return Ok(Attempt::NotRun(missing)),
    };
    let folder = tempfile::tempdir().context("cannot make a temporary folder")?;
    let [model, sample] = ["model.niwaki", "sample"].map(|name| folder.path().join(name));
    std::fs::write(&model, artifact.bytes())?;
    std::fs::write(&sample, artifact.golden_sample()?)?;
    let output = Command::new("node")
        .arg(project_root().join("wasm/node/profile.mjs"))
        .args([&package, &model, &sample])
        .output()
        .context("cannot start node")?;
    ensure!(
        output.status.success(),
        "node failed: {}",
        String::from_utf8_lossy(&output.stderr).trim()
    );
    let times: Times =
        serde_json::from_slice(&output.stdout).context("node printed something else than times")?;
    Ok(Attempt::Ran(HomeProfile {
        run: Cost {
            value: times.run / 1e3,
            unit: "us",
        },
        operators: times.operators.iter().map(|time| time / 1e3).collect(),
    }))
}
