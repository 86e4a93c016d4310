//! `niwaki profile` at every home, on the digits example.

use niwaki_tests::{in_ci, niwaki, root, stderr};
use niwaki_tools::artifact::Artifact;

/// The report of a home; `None` where it is missing, which is said.
fn profile(home: &str) -> Option<serde_json::Value> {
    let model = root().join("tests/golden/format-1/digits.niwaki");
    let mut command = niwaki();
    command
        .arg("profile")
        .arg(&model)
        .args(["--on", home, "--json"]);
    let output = command.output().unwrap();
    if !output.status.success() {
        let reason = stderr(&output);
        assert!(reason.contains("cannot be used") && !in_ci(), "{reason}");
        eprintln!("SKIPPED {home}: {reason}");
        return None;
    }
    let report: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();

    let artifact = Artifact::read(&model).unwrap();
    let model = artifact.model().unwrap();
    let layers = report["layers"].as_array().unwrap();
    assert_eq!(layers.len(), model.operator_count());
    for (layer, operator) in layers.iter().zip(model.operators()) {
        assert_eq!(layer["macs"], model.macs(operator));
        assert!(layer["cost"].as_f64().unwrap() > 0.0, "{home}: {layer}");
    }
    Some(report)
}

#[test]
fn every_layer_has_a_time() {
    for home in ["host", "node"] {
        if let Some(report) = profile(home) {
            assert_eq!(report["unit"], "us");
        }
    }
}

#[test]
fn the_instructions_of_the_layers_are_those_of_the_run() {
    let Some(report) = profile("qemu:cortex-m4") else {
        return;
    };
    assert_eq!(report["unit"], "instructions");
    let [run, layers] = ["run", "operators_total"].map(|key| report[key].as_f64().unwrap());
    // What looking at each layer costs comes to them.
    assert!(
        (run..run * 1.02).contains(&layers),
        "{layers} instructions of layers in a run of {run}"
    );
}

#[test]
fn a_home_that_does_not_exist_is_refused_with_those_that_do() {
    let model = root().join("tests/golden/format-1/digits.niwaki");
    let mut command = niwaki();
    let output = command.arg("profile").arg(model).args(["--on", "moon"]);
    let output = output.output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    assert!(
        stderr(&output).contains("qemu:cortex-m4"),
        "{}",
        stderr(&output)
    );
}
