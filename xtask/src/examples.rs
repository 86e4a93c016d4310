//! The examples of `examples/web`: each installs the package as npm would publish it, is built, and
//! tests itself.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail, ensure};
use serde::Deserialize;

use crate::tool::{CHROMIUM, NODE, NPM};
use crate::{demo, npm, paths, setup, shell};

/// The examples, the quickest first: what fails, fails early.
const NAMES: [&str; 9] = [
    "node",
    "html",
    "deno",
    "bun",
    "esbuild",
    "cloudflare",
    "webpack",
    "vite",
    "next",
];

/// The package's name among what an example depends on.
const PACKAGE: &str = "niwaki";

/// Builds package and model, then builds and tests the examples of these names; all without names.
pub(crate) fn run(names: &[String]) -> Result<()> {
    if let Some(other) = names.iter().find(|name| !NAMES.contains(&name.as_str())) {
        bail!("there is no example `{other}`: {}", NAMES.join(", "));
    }
    setup::run()?;
    for tool in [&NODE, &NPM, &CHROMIUM] {
        if let Some(lack) = tool.lack() {
            bail!("{lack}; {}", tool.remedy());
        }
    }
    demo::build_command_line()?;
    npm::pack()?;
    demo::compile()?;
    check(names)
}

/// The same with the package and the model that are there. Node, npm and Chromium have to be.
pub(crate) fn check(names: &[String]) -> Result<()> {
    let asked = |name: &&str| names.is_empty() || names.iter().any(|asked| asked == name);
    for name in NAMES.into_iter().filter(asked) {
        eprintln!("\n-- examples/web/{name}");
        check_one(name).with_context(|| format!("the example {name}"))?;
    }
    Ok(())
}

fn check_one(name: &str) -> Result<()> {
    let web = paths::root().join("examples/web");
    let example = web.join(name);
    let public = example.join("public");
    fs::create_dir_all(&public).with_context(|| format!("cannot make {}", public.display()))?;
    copy(&demo::artifact(), &public.join("digits.niwaki"))?;
    copy(&web.join("digits.pgm"), &public.join("digits.pgm"))?;
    install(&example)?;
    npm(&example, &["run", "build", "--if-present"])?;
    npm(&example, &["test"])
}

fn copy(from: &Path, to: &Path) -> Result<()> {
    let copied = fs::copy(from, to);
    copied.with_context(|| format!("cannot copy {} to {}", from.display(), to.display()))?;
    Ok(())
}

/// Gets what the example needs, unless it was got for this lock file and this package.
fn install(example: &Path) -> Result<()> {
    let lock = fs::read(example.join("package-lock.json")).context("cannot read the lock file")?;
    let package = fs::read(packed(example, &lock)?).context("cannot read the packed package")?;
    let mark = example.join("node_modules/.niwaki-installed");
    let wanted = [lock, package].concat();
    if fs::read(&mark).is_ok_and(|installed| installed == wanted) {
        return Ok(());
    }
    npm(
        example,
        &["ci", "--prefer-offline", "--no-audit", "--no-fund"],
    )?;
    fs::write(&mark, wanted).with_context(|| format!("cannot write {}", mark.display()))
}

/// Where the lock file has the package from. Of other packages it may name no address, as
/// everybody's registry is another; and of ours no hash, as it is packed anew after each change.
fn packed(example: &Path, lock: &[u8]) -> Result<PathBuf> {
    #[derive(Deserialize)]
    struct Lock {
        packages: BTreeMap<String, Package>,
    }
    #[derive(Deserialize)]
    struct Package {
        resolved: Option<String>,
        integrity: Option<String>,
    }
    let lock: Lock = serde_json::from_slice(lock).context("the lock file is none of npm's")?;
    let own = format!("node_modules/{PACKAGE}");
    for (name, package) in &lock.packages {
        let address = package.resolved.as_deref().unwrap_or_default();
        ensure!(
            *name == own || address.is_empty(),
            "the lock file has {name} from {address}: make it anew, with `npm install --package-lock-only`"
        );
    }
    let package = lock.packages.get(&own);
    let package = package.with_context(|| format!("the lock file has no {PACKAGE}"))?;
    ensure!(
        package.integrity.is_none(),
        "the lock file has a hash of {PACKAGE}, which is packed anew after each change: take the line out"
    );
    let address = package.resolved.as_deref().unwrap_or_default();
    let path = address.strip_prefix("file:").map(|path| example.join(path));
    let path = path.with_context(|| format!("{PACKAGE} is not from a file, but from {address}"))?;
    ensure!(
        path.is_file(),
        "{} is not there: `cargo xtask npm` packs it, and a new version has another name",
        path.display()
    );
    Ok(path)
}

fn npm(example: &Path, arguments: &[&str]) -> Result<()> {
    let mut command = shell::program(NPM.program, arguments);
    command.current_dir(example);
    command.env("NEXT_TELEMETRY_DISABLED", "1");
    if let Some(chromium) = shell::find(CHROMIUM.program) {
        command.env("NIWAKI_CHROMIUM", chromium);
    }
    shell::run(command)
}
