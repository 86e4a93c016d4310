//! The npm package.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail, ensure};
use serde::Deserialize;

use crate::report::thousands;
use crate::setup::WASI;
use crate::tool::{NODE, NPM};
use crate::{demo, paths, shell};

const TARGET: &str = "wasm32-unknown-unknown";

/// The binaries of the package, each with what it asks of its engine.
const BINARIES: [(&str, &str); 3] = [
    ("relaxed", "-Ctarget-feature=+simd128 --cfg=niwaki_relaxed"),
    ("simd128", "-Ctarget-feature=+simd128"),
    ("scalar", "-Ctarget-feature=-simd128"),
];

/// What is asked of LLVM: as fast as it goes in 80 KB of download.
///
/// With `opt-level = "s"` int8 kernels take 1.4 times as long, and the download is as large. At the
/// usual level, loops whose length is not known are neither unrolled nor turned into vectors, which
/// helps none of the int8 convolutions, only short loops are unrolled of those whose length is known
/// (2 KB of download; half as many again make the products with few rows slower), and only small
/// functions are inlined.
/// The stack holds the weights and the input that tiles are computed of (`kernels/blocks.rs`): up to 160
/// KB, and 48 KB of rows that are read from a copy.
const SMALL: [&str; 6] = [
    "-Cno-vectorize-loops",
    "-Cllvm-args=-inline-threshold=30",
    "-Cllvm-args=-unroll-runtime=false",
    "-Cllvm-args=-unroll-allow-partial=false",
    "-Cllvm-args=-unroll-threshold=60",
    "-Clink-arg=-zstack-size=327680",
];

/// Where the package is built.
pub(crate) fn folder() -> PathBuf {
    paths::root().join("wasm/pkg")
}

/// Builds the package into `wasm/pkg`, and packs it as npm would publish it.
pub(crate) fn pack() -> Result<()> {
    build()?;
    let out = paths::root().join("out");
    fs::create_dir_all(&out).with_context(|| format!("cannot make {}", out.display()))?;
    let mut command = shell::program("npm", &["pack", "--pack-destination"]);
    command.arg(&out).current_dir(folder());
    shell::run(command)?;
    sizes()
}

/// Builds the package into `wasm/pkg`. Where Node or npm is missing there is none; whoever asks
/// for that home is told so.
pub(crate) fn build() -> Result<()> {
    for tool in [&NODE, &NPM] {
        if let Some(lack) = tool.lack() {
            ensure!(!shell::is_ci(), "{lack}, which CI does not forgive");
            eprintln!("no npm package: {lack}; {}", tool.remedy());
            return Ok(());
        }
    }
    check_version(&paths::root().join("wasm/npm/package.json"))?;
    let mut modules = Vec::new();
    for (name, features) in BINARIES {
        let mut compile = shell::cargo(&[
            "build",
            "--package=niwaki-wasm",
            "--profile=wasm",
            "--target",
            TARGET,
        ]);
        let flags = [&[features], &SMALL[..]].concat().join(" ");
        compile.env("RUSTFLAGS", format!("{flags}{}", no_home()));
        // One folder for each, so that neither waits for the other to be compiled anew.
        let target = paths::target()?.join("wasm").join(name);
        compile.arg("--target-dir").arg(&target);
        shell::run(compile)?;
        let module = target.join(TARGET).join("wasm/niwaki_wasm.wasm");
        modules.push(format!("{name}={}", module.display()));
    }
    install()?;
    let mut command = shell::program(NODE.program, &["wasm/build/package.mjs"]);
    shell::run({
        command.arg(folder()).args(modules);
        command
    })
}

/// Takes the folders of this machine's dependencies out of the binaries, where panics have places in
/// them. One with a space in its name stays.
fn no_home() -> String {
    let home = std::env::var_os("CARGO_HOME").map_or_else(
        || PathBuf::from(std::env::var_os("HOME").unwrap_or_default()).join(".cargo"),
        PathBuf::from,
    );
    let sources = fs::read_dir(home.join("registry/src"));
    let folders = sources.into_iter().flatten().filter_map(Result::ok);
    folders
        .map(|folder| folder.path().display().to_string())
        .filter(|folder| !folder.contains(' '))
        .map(|folder| format!(" --remap-path-prefix={folder}="))
        .collect()
}

/// Holds the kernels of each binary with SIMD against plain loops, by random draws in Chromium, which
/// has relaxed SIMD.
pub(crate) fn check_kernels(chromium: &Path) -> Result<()> {
    install()?;
    let runner = paths::root().join("wasm/test/wasi.mjs");
    for (name, features) in BINARIES.iter().filter(|(name, _)| *name != "scalar") {
        let mut test = shell::cargo(&[
            "test",
            "--release",
            "--package=niwaki",
            "--lib",
            "--features=digests",
            "--target",
            WASI,
        ]);
        // One folder for each, as of the binaries.
        let target = paths::target()?.join("wasi").join(name);
        test.arg("--target-dir").arg(target).arg("tiles_give");
        test.env(
            "RUSTFLAGS",
            format!("{features} -Clink-arg=-zstack-size=1048576"),
        );
        let runner = format!("{} {}", NODE.program, runner.display());
        test.env("CARGO_TARGET_WASM32_WASIP1_RUNNER", runner);
        test.env("NIWAKI_CHROMIUM", chromium);
        shell::run(test)?;
    }
    Ok(())
}

/// Gets what the package is built and tested with, unless it is there.
fn install() -> Result<()> {
    let wasm = paths::root().join("wasm");
    let lock = fs::read(wasm.join("package-lock.json")).context("cannot read the lock file")?;
    // What was installed for this lock file; npm's own copy leaves things out.
    let mark = wasm.join("node_modules/.niwaki-lock");
    if fs::read(&mark).is_ok_and(|installed| installed == lock) {
        return Ok(());
    }
    let mut command = shell::program(NPM.program, &["ci", "--ignore-scripts"]);
    command.current_dir(&wasm);
    shell::run(command)?;
    fs::write(&mark, lock).with_context(|| format!("cannot write {}", mark.display()))
}

/// The models that the package is tested with, beside the example: names, files below `models/` in
/// the folder that `NIWAKI_MODELS` names, and how they are compiled. The last one runs long.
const MODELS: [(&str, &str, &[&str]); 8] = [
    ("kws01", "kws01_int8_qdq", &[]),
    ("ic01", "ic01_int8_qdq", &[]),
    ("vww01", "vww01_int8_qdq", &[]),
    ("ad01", "ad01_int8_qdq", &[]),
    ("sww01", "sww01_int8_qdq", &[]),
    (
        "photo",
        "vww01_int8_qdq",
        &[
            "--preprocess",
            r#"{"image":{"color":"bgr","layout":"nhwc","rescale":0.00392156862745098,"mean":[0.4,0.5,0.6],"std":[0.5,0.25,1.5]}}"#,
        ],
    ),
    (
        "sound",
        "ad01_fp32",
        &[
            "--float",
            "--preprocess",
            r#"{"audio":{"sample_rate":16000}}"#,
        ],
    ),
    ("long", "ultraface_rfb_320", &["--float"]),
];

/// The models that get a package of their own.
pub(crate) const SPECIALISED: [&str; 2] = ["digits", "kws01"];

/// Compiles the models of the tests, and the packages for one model; gives their folder. `None`
/// where there are no models, which CI does not forgive.
pub(crate) fn models() -> Result<Option<PathBuf>> {
    let shared = std::env::var_os("NIWAKI_MODELS")
        .map_or_else(|| paths::root().join("../shared"), PathBuf::from)
        .join("models");
    if !shared.is_dir() {
        ensure!(
            !shell::is_ci(),
            "{} is no folder: set NIWAKI_MODELS",
            shared.display()
        );
        return Ok(None);
    }
    let folder = paths::root().join("out/web");
    let packages = folder.join("web");
    fs::create_dir_all(&packages).with_context(|| format!("cannot make {}", packages.display()))?;
    let artifact = folder.join("digits.niwaki");
    fs::copy(demo::artifact(), &artifact)
        .with_context(|| format!("cannot write {}", artifact.display()))?;
    demo::compile_to(&packages.join("digits"), &["--target", "web"])?;
    let gray = r#"{"image":{"color":"gray","layout":"nchw","rescale":0.00392156862745098}}"#;
    demo::compile_to(&folder.join("picture.niwaki"), &["--preprocess", gray])?;
    for (name, file, options) in MODELS {
        let model = shared.join(format!("{file}.onnx"));
        let mut command = demo::niwaki(&["compile"])?;
        command.arg(&model).args(options).arg("-o");
        shell::run({
            command.arg(folder.join(format!("{name}.niwaki")));
            command
        })?;
        // One that takes raw data too.
        if SPECIALISED.contains(&name) || name == "photo" {
            // The package has the name of the file.
            let copy = folder.join(format!("{name}.onnx"));
            fs::copy(&model, &copy).with_context(|| format!("cannot read {}", model.display()))?;
            let mut command = demo::niwaki(&["compile", "--target", "web"])?;
            command.args(options).arg(copy).arg("-o");
            command.arg(packages.join(name));
            shell::run(command)?;
        }
    }
    Ok(Some(folder))
}

/// Bytes as they go over the line, and the most that they may be: see README.md.
#[derive(Deserialize)]
struct Size {
    name: String,
    bytes: u64,
    brotli: u64,
    limit: Option<u64>,
}

/// Prints the sizes of the package, and fails where one is above its limit.
pub(crate) fn sizes() -> Result<()> {
    sizes_of(&folder())
}

/// The same for a package in another folder, such as one for one model.
pub(crate) fn sizes_of(folder: &Path) -> Result<()> {
    let mut command = shell::program(NODE.program, &["wasm/build/sizes.mjs"]);
    command.arg(folder);
    let json = shell::stdout(command)?;
    let sizes: Vec<Size> = serde_json::from_slice(&json).context("sizes.mjs says no sizes")?;
    let mut above = Vec::new();
    for size in &sizes {
        let [bytes, brotli] = [size.bytes, size.brotli].map(thousands);
        let name = &size.name;
        let limit = size
            .limit
            .map_or_else(String::new, |limit| format!(", limit {}", thousands(limit)));
        println!("{name}: {bytes} bytes, {brotli} by brotli{limit}");
        if size.limit.is_some_and(|limit| size.brotli > limit) {
            above.push(name.as_str());
        }
    }
    ensure!(
        !sizes.is_empty(),
        "there are no files in {}",
        folder.display()
    );
    ensure!(
        above.is_empty(),
        "larger than allowed: {}",
        above.join(", ")
    );
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
