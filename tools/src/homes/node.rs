//! WebAssembly in Node.

use std::process::Command;

use anyhow::{Context as _, Result, ensure};

use super::{Attempt, Cost, HomeRun, batch, is_installed, project_root};
use crate::artifact::Artifact;
use crate::data::Samples;

/// Runs samples in Node, with the package that `cargo xtask npm` builds.
pub(super) fn run(artifact: &Artifact, samples: &Samples) -> Result<Attempt> {
    if !is_installed("node") {
        return Ok(Attempt::NotRun(
            "Node is not installed: `apt-get install nodejs`, or see https://nodejs.org".into(),
        ));
    }
    let package = project_root().join("wasm/pkg");
    if !package.join("node.js").is_file() {
        return Ok(Attempt::NotRun(
            "the npm package is not built: `cargo xtask npm`".into(),
        ));
    }
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
