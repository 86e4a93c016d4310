//! The demo site: static files in `out/site`, with what its models gave on each machine.

use std::fs;
use std::path::PathBuf;

use anyhow::{Context, Result, ensure};

use crate::report::Validation;
use crate::tool::NODE;
use crate::{demo, npm, paths, setup, shell};

/// A model of the site: its name, how the page calls it, its folder, and how it is compiled.
struct Example {
    name: &'static str,
    title: &'static str,
    folder: &'static str,
    options: &'static [&'static str],
}

const EXAMPLES: [Example; 2] = [
    Example {
        name: "digits",
        title: "Digits",
        folder: "examples/digits",
        options: &[],
    },
    Example {
        name: "motion",
        title: "Motion",
        folder: "examples/motion",
        options: &["--labels", "examples/motion/labels.txt"],
    },
];

const HOMES: &str = "host,node,qemu:cortex-m4";
/// All layers of these are compared on all machines; the page shows the first one's digests.
const SAMPLES: &str = "20";

/// Where the site is built.
pub(crate) fn folder() -> PathBuf {
    paths::root().join("out/site")
}

/// Sets up, builds the command line and the package, and the site of them; serves it when asked.
pub(crate) fn run(serve: bool) -> Result<bool> {
    setup::run()?;
    demo::build_command_line()?;
    npm::build()?;
    build()?;
    println!("{}", folder().display());
    if serve {
        let mut command = shell::program(NODE.program, &["wasm/build/serve-site.mjs"]);
        command.arg(folder());
        shell::run(command)?;
    }
    Ok(true)
}

/// Builds the site of the command line and the package that are there.
///
/// # Errors
///
/// Also when a machine gives other bits than the host: such a site would be a lie.
pub(crate) fn build() -> Result<()> {
    if let Some(lack) = NODE.lack() {
        anyhow::bail!("no site: {lack}; {}", NODE.remedy());
    }
    let out = paths::root().join("out");
    fs::create_dir_all(&out).with_context(|| format!("cannot make {}", out.display()))?;
    let mut site = shell::program(NODE.program, &["wasm/build/site.mjs"]);
    site.arg(&out);
    for example in &EXAMPLES {
        let Example {
            name,
            title,
            folder,
            options,
        } = example;
        let artifact = format!("out/{name}.niwaki");
        let onnx = format!("{folder}/{name}.onnx");
        let calibration = format!("{folder}/calibration.npz");
        let mut compile = demo::niwaki(&["compile", &onnx, "--calibrate", &calibration])?;
        compile.args(*options).args(["-o", &artifact]);
        shell::run(compile)?;

        let test = format!("{folder}/test.npz");
        let validate = demo::niwaki(&[
            "validate",
            &artifact,
            "--reference",
            &onnx,
            "--data",
            &test,
            "--labels",
            &test,
            "--limit",
            SAMPLES,
            "--on",
            HOMES,
            "--json",
        ])?;
        let report = shell::report(validate)?;
        let validation = Validation::parse(&report)?;
        println!("{artifact}:\n{}", validation.table());
        for line in validation.reasons() {
            println!("{line}");
        }
        ensure!(validation.all_same(), "{artifact}: a machine differs");
        let path = out.join(format!("{name}.json"));
        fs::write(&path, report).with_context(|| format!("cannot write {}", path.display()))?;
        site.arg(format!("{name}={title}:{folder}"));
    }
    shell::run(site)
}
