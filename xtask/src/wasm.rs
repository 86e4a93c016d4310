//! The browser and Node package.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result, bail};
use serde::Deserialize;
use wasm_bindgen_cli_support::Bindgen;

use crate::report::thousands;
use crate::{paths, shell};

const TARGET: &str = "wasm32-unknown-unknown";

/// What the package asks of its engine: SIMD128, which all browsers and Node have had since 2023.
const FEATURES: &str = "-Ctarget-feature=+simd128";

/// Compiles the glue, makes its JavaScript, and puts both beside the package's hand-written files.
///
/// The binding step is a library call, so that there is no tool to install whose version could be
/// another than that of the glue.
pub(crate) fn build() -> Result<()> {
    let mut compile = shell::cargo(&[
        "build",
        "--package=niwaki-wasm",
        "--profile=wasm",
        "--target",
        TARGET,
    ]);
    compile.env("RUSTFLAGS", FEATURES);
    shell::run(compile)?;
    let module = paths::target()?.join(TARGET).join("wasm/niwaki_wasm.wasm");
    let package = paths::root().join("wasm/pkg");
    if package.exists() {
        fs::remove_dir_all(&package)
            .with_context(|| format!("cannot replace {}", package.display()))?;
    }
    Bindgen::new()
        .input_path(&module)
        .out_name("niwaki")
        .web(true)?
        .typescript(true)
        .remove_name_section(true)
        .remove_producers_section(true)
        // Without it, `init()` would not know where the module is.
        .omit_default_module_path(false)
        .generate(&package)
        .with_context(|| format!("cannot bind {}", module.display()))?;
    copy_files(&paths::root().join("wasm/npm"), &package)?;
    let bytes = fs::metadata(package.join("niwaki_bg.wasm"))?.len();
    eprintln!("wasm/pkg: niwaki_bg.wasm has {} bytes", thousands(bytes));
    Ok(())
}

fn copy_files(from: &Path, to: &Path) -> Result<()> {
    check_version(&from.join("package.json"))?;
    for entry in fs::read_dir(from)? {
        let file = entry?;
        fs::copy(file.path(), to.join(file.file_name()))
            .with_context(|| format!("cannot copy {}", file.path().display()))?;
    }
    Ok(())
}

/// npm needs the version in a file of its own; it has to be the workspace's.
fn check_version(manifest: &Path) -> Result<()> {
    #[derive(Deserialize)]
    struct Manifest {
        version: String,
    }
    let name = manifest.display();
    let text = fs::read(manifest).with_context(|| format!("cannot read {name}"))?;
    let found: Manifest =
        serde_json::from_slice(&text).with_context(|| format!("{name} is not a package.json"))?;
    let workspace = env!("CARGO_PKG_VERSION");
    if found.version != workspace {
        let version = found.version;
        bail!(
            "{name} has version {version}: make it {workspace}, as in the workspace's Cargo.toml"
        );
    }
    Ok(())
}
