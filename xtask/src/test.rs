//! Everything that has to hold, before a change is a good one.

use std::cell::OnceCell;

use anyhow::{Context as _, Result, ensure};

use crate::models::{self, Image};
use crate::setup;
use crate::steps::{self, Outcome, Step};
use crate::tool::{CHROMIUM, NODE, NPM, PYTHON, QEMU, QEMU_USER, Tool};
use crate::{
    bench, checks, conformance, demo, examples, firmware, footprint, npm, panics, paths, shell,
    site, stack,
};

/// Checks everything; false when something does not hold.
pub(crate) fn run() -> Result<bool> {
    let missing = setup::run()?;
    // Built once, looked at twice.
    let images = OnceCell::new();
    Ok(steps::run(vec![
        Step::new("build the command line, the package and a model", build),
        Step::new("format", checks::format),
        Step::new("lints", checks::clippy),
        Step::new("tests of the runtime", checks::unit_tests),
        Step::new("the runtime on every machine", checks::runtime_targets),
        Step::optional("the runtime on an emulated AArch64", || aarch64(&missing)),
        Step::new("acceptance tests", checks::acceptance_tests),
        Step::new("firmware: lints, tests, no panics", firmware),
        Step::new("images of every board, and what they take", footprint),
        Step::optional("kernels on the emulated Cortex-M4", || kernels(&missing)),
        Step::optional("images of the reference models", || {
            let built = reference_images(&missing)?;
            Ok(built.map_or_else(
                |skipped| skipped,
                |built| {
                    let _ = images.set(built);
                    Outcome::Passed
                },
            ))
        }),
        Step::optional("stack of a run", || stack(&missing, images.get())),
        Step::optional("instructions and code of a run", || {
            gate(&missing, images.get())
        }),
        Step::optional("kernels in Chromium", || kernels_in_chromium(&missing)),
        Step::optional("the npm package", || package(&missing)),
        Step::optional("the examples of the npm package", || examples(&missing)),
        Step::optional("conformance", || conformance(&missing)),
        Step::new("documentation", checks::doc),
    ]))
}

fn build() -> Result<()> {
    demo::build_command_line()?;
    npm::build()?;
    demo::compile()
}

fn firmware() -> Result<()> {
    firmware::lint(paths::root())?;
    firmware::test(paths::root())?;
    panics::check(paths::root())
}

fn footprint() -> Result<()> {
    ensure!(
        footprint::run(false)?,
        "an image takes more flash or RAM than docs/footprint.json says"
    );
    Ok(())
}

/// Why a step that needs a tool cannot be taken.
fn lacking(missing: &[&Tool], needed: &Tool) -> Option<Outcome> {
    let tool = missing.iter().find(|tool| tool.program == needed.program)?;
    let lack = tool.lack().unwrap_or_default();
    Some(Outcome::Skipped(format!("{lack}; {}", tool.remedy())))
}

fn aarch64(missing: &[&Tool]) -> Result<Outcome> {
    if let Some(skipped) = lacking(missing, &QEMU_USER) {
        return Ok(skipped);
    }
    checks::aarch64()?;
    Ok(Outcome::Passed)
}

fn kernels(missing: &[&Tool]) -> Result<Outcome> {
    if let Some(skipped) = lacking(missing, &QEMU) {
        return Ok(skipped);
    }
    firmware::check_kernels(paths::root())?;
    Ok(Outcome::Passed)
}

fn kernels_in_chromium(missing: &[&Tool]) -> Result<Outcome> {
    for tool in [&NODE, &NPM, &CHROMIUM] {
        if let Some(skipped) = lacking(missing, tool) {
            return Ok(skipped);
        }
    }
    let chromium = shell::find(CHROMIUM.program).context("there is no chromium")?;
    npm::check_kernels(&chromium)?;
    Ok(Outcome::Passed)
}

/// The images of the reference models, or why they cannot be run.
fn reference_images(missing: &[&Tool]) -> Result<Result<Vec<Image>, Outcome>> {
    if let Some(skipped) = lacking(missing, &QEMU) {
        return Ok(Err(skipped));
    }
    Ok(Ok(models::images(stack::BOARD, &models::compiled()?)?))
}

fn stack(missing: &[&Tool], images: Option<&Vec<Image>>) -> Result<Outcome> {
    if let Some(skipped) = lacking(missing, &QEMU) {
        return Ok(skipped);
    }
    let images = images.context("the images are not built")?;
    ensure!(stack::check(images)?, "a run takes too much stack");
    let models: Vec<_> = images.iter().map(|image| image.model.clone()).collect();
    // Without the models that are not in the repository there is none; that was said before.
    let _ = footprint::check_minimal(&models)?;
    Ok(Outcome::Passed)
}

fn gate(missing: &[&Tool], images: Option<&Vec<Image>>) -> Result<Outcome> {
    if let Some(skipped) = lacking(missing, &QEMU) {
        return Ok(skipped);
    }
    let images = images.context("the images are not built")?;
    ensure!(
        bench::gate(images, false)?,
        "a run takes more instructions or code than docs/bench-gate.json says"
    );
    Ok(Outcome::Passed)
}

fn conformance(missing: &[&Tool]) -> Result<Outcome> {
    if let Some(skipped) = lacking(missing, &PYTHON) {
        return Ok(skipped);
    }
    conformance::check()?;
    Ok(Outcome::Passed)
}

/// The npm package and what its tests need, and nothing else.
pub(crate) fn package_alone() -> Result<bool> {
    let missing = setup::run()?;
    Ok(steps::run(vec![
        Step::new("build the command line, the package and a model", build),
        Step::optional("the npm package", || package(&missing)),
    ]))
}

/// The npm package in Node and in Chromium, with the example's model and those of MLPerf Tiny.
fn package(missing: &[&Tool]) -> Result<Outcome> {
    for tool in [&NODE, &NPM] {
        if let Some(skipped) = lacking(missing, tool) {
            return Ok(skipped);
        }
    }
    npm::pack()?;
    let Some(models) = npm::models()? else {
        return Ok(Outcome::Skipped(
            "there are no models: NIWAKI_MODELS names their folder".to_owned(),
        ));
    };
    for name in npm::SPECIALISED {
        npm::sizes_of(&models.join("web").join(name))?;
    }
    site::build()?;
    let tests = ["--test", "test/web.test.mjs", "test/site.test.mjs"];
    let mut command = shell::program(NODE.program, &tests);
    command
        .current_dir(paths::root().join("wasm"))
        .env("NIWAKI_TEST_MODELS", models);
    match shell::find(CHROMIUM.program) {
        Some(chromium) => command.env("NIWAKI_CHROMIUM", chromium),
        None => command.env_remove("NIWAKI_CHROMIUM"),
    };
    shell::run(command)?;
    Ok(match lacking(missing, &CHROMIUM) {
        Some(Outcome::Skipped(reason)) => Outcome::Skipped(format!("Node passed; {reason}")),
        _ => Outcome::Passed,
    })
}

/// Frameworks, bundlers and runtimes, each with the package that the step before has packed.
fn examples(missing: &[&Tool]) -> Result<Outcome> {
    for tool in [&NODE, &NPM, &CHROMIUM] {
        if let Some(skipped) = lacking(missing, tool) {
            return Ok(skipped);
        }
    }
    examples::check(&[])?;
    Ok(Outcome::Passed)
}
