//! niwaki's time beside other engines': each is a process that runs when it is told to
//! (`tests/peers`), and all of a home take turns, so that what the machine does meanwhile hits all.

use std::io::{BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use anyhow::{Context, Result, bail, ensure};
use serde::Deserialize;

use super::Row;
use crate::tool::{NODE, NPM, PYTHON};
use crate::{demo, models, npm, paths, shell};

/// Python packages, with what they depend on.
const PYTHON_PACKAGES: [&str; 3] = [
    "ai-edge-litert==2.3.0",
    "onnxruntime==1.32.0",
    "numpy==2.4.6",
];
/// The npm package; `tests/peers/package.json` has its version.
const NODE_PACKAGE: &str = "onnxruntime-web";

/// How long an engine runs in one turn, in nanoseconds, as far as its first runs foretell.
const TURN: u64 = 50_000_000;

/// A home and the engines there; niwaki is the first.
const HOMES: [(&str, &[&str]); 2] = [
    (
        "host",
        &["niwaki", "litert", "onnxruntime", "tract", "rten"],
    ),
    ("node", &["niwaki", "onnxruntime-web"]),
];

/// A model in the formats that the engines read.
struct Model {
    name: String,
    niwaki: PathBuf,
    onnx: PathBuf,
    tflite: Option<PathBuf>,
    dtype: String,
    shape: String,
}

/// Times all engines on all models, and gives rows and the engines' versions.
///
/// # Errors
///
/// When niwaki cannot be timed. A peer that cannot run a model is named, and left out there.
pub(super) fn run(rounds: usize) -> Result<(Vec<Row>, Vec<String>)> {
    for tool in [&PYTHON, &NODE, &NPM] {
        if let Some(lack) = tool.lack() {
            bail!("{lack}, and peers run in it: {}", tool.remedy());
        }
    }
    let engines = Engines::install()?;
    let mut rows = Vec::new();
    let mut versions = Vec::new();
    for model in reference_models()? {
        for (home, names) in HOMES {
            rows.extend(take_turns(
                &engines,
                home,
                names,
                &model,
                rounds,
                &mut versions,
            )?);
        }
    }
    versions.sort();
    Ok((rows, versions))
}

/// The reference models that peers can run in the same types; without those of MLPerf Tiny the
/// digits example, whose peers run it in floats.
fn reference_models() -> Result<Vec<Model>> {
    let compiled = models::compiled()?;
    let folder = models::folder();
    let mut found = Vec::new();
    for niwaki in compiled {
        let name = niwaki.file_stem().unwrap_or_default();
        let name = name.to_string_lossy().into_owned();
        let (onnx, tflite) = match &folder {
            // In floats it would be compared with int8.
            Some(_) if niwaki == demo::artifact() => continue,
            Some(folder) => (
                folder.join(format!("{name}_int8_qdq.onnx")),
                Some(folder.join(format!("{name}_int8.tflite"))),
            ),
            None => (demo::onnx(), None),
        };
        let (dtype, shape) = input(&niwaki)?;
        found.push(Model {
            name,
            niwaki,
            onnx,
            tflite,
            dtype,
            shape,
        });
    }
    Ok(found)
}

/// Type and shape of a model's one input.
fn input(model: &Path) -> Result<(String, String)> {
    #[derive(Deserialize)]
    struct Inspection {
        inputs: Vec<Input>,
    }
    #[derive(Deserialize)]
    struct Input {
        dtype: String,
        shape: Vec<usize>,
    }
    let mut inspect = demo::niwaki(&["inspect", "--json"])?;
    inspect.arg(model);
    let inspection: Inspection = serde_json::from_slice(&shell::stdout(inspect)?)
        .context("`niwaki inspect --json` reports something else")?;
    let [input] = &inspection.inputs[..] else {
        bail!("{} has not one input", model.display());
    };
    let shape: Vec<String> = input.shape.iter().map(ToString::to_string).collect();
    Ok((input.dtype.clone(), shape.join("x")))
}

/// Where the engines are.
struct Engines {
    /// niwaki, tract and rten.
    rust: PathBuf,
    python: PathBuf,
    /// The folder of npm packages.
    node: PathBuf,
}

impl Engines {
    /// Gets what is not there yet. It stays in the target folder, and beside the lock file of npm.
    fn install() -> Result<Self> {
        let target = paths::target()?.join("peers");
        let mut build = shell::cargo(&["build", "--release", "--locked", "--manifest-path"]);
        build.arg("tests/peers/Cargo.toml");
        build.env("CARGO_TARGET_DIR", &target);
        shell::run(build)?;
        npm::build()?;

        let environment = target.join("python");
        let python = environment.join("bin/python3");
        if !python.is_file() {
            let mut create = shell::program(PYTHON.program, &["-m", "venv"]);
            create.arg(&environment);
            shell::run(create)?;
        }
        let install = ["-m", "pip", "install", "--quiet"];
        shell::run(shell::program(
            &python,
            &[&install[..], &PYTHON_PACKAGES].concat(),
        ))?;

        let packages = paths::root().join("tests/peers");
        let node = packages.join("node_modules");
        if !node.join(NODE_PACKAGE).is_dir() {
            let mut npm = shell::program(NPM.program, &["ci", "--ignore-scripts"]);
            npm.current_dir(packages);
            shell::run(npm)?;
        }
        let name = format!("niwaki-peers{}", std::env::consts::EXE_SUFFIX);
        Ok(Self {
            rust: target.join("release").join(name),
            python,
            node,
        })
    }

    /// The command of an engine; `None` when the model is not there in its format.
    fn command(&self, home: &str, engine: &str, model: &Model) -> Option<Command> {
        let script = |name: &str| paths::root().join("tests/peers").join(name);
        let mut command = match (home, engine) {
            ("node", _) => {
                let mut command = shell::program(NODE.program, &[]);
                command.arg(script("peer.mjs"));
                command
            }
            (_, "litert" | "onnxruntime") => {
                let mut command = shell::program(&self.python, &[]);
                command.arg(script("peer.py"));
                command
            }
            _ => shell::program(&self.rust, &[]),
        };
        command.arg(engine);
        match (home, engine) {
            ("node", "niwaki") => command.arg(paths::root().join("wasm/pkg")),
            ("node", _) => command.arg(self.node.join(engine)),
            _ => &mut command,
        };
        command.arg(match engine {
            "niwaki" => &model.niwaki,
            "litert" => model.tflite.as_ref()?,
            _ => &model.onnx,
        });
        command.args([&model.dtype, &model.shape]);
        Some(command)
    }
}

/// An engine with a model loaded, waiting to be told to run.
struct Runner {
    engine: &'static str,
    version: String,
    process: Child,
    to: ChildStdin,
    from: BufReader<ChildStdout>,
    /// Runs in a turn.
    count: u64,
    /// The least so far, in nanoseconds.
    least: u64,
}

impl Runner {
    fn start(engine: &'static str, mut command: Command) -> Result<Self> {
        let mut process = command
            .env("OMP_NUM_THREADS", "1")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .with_context(|| format!("cannot start {engine}"))?;
        let to = process.stdin.take().context("no way in")?;
        let from = BufReader::new(process.stdout.take().context("no way out")?);
        let mut runner = Self {
            engine,
            version: String::new(),
            process,
            to,
            from,
            count: 5,
            least: u64::MAX,
        };
        // What a library prints of itself comes before.
        loop {
            let line = runner.line()?;
            if let Some(version) = line.strip_prefix("ready ") {
                runner.version = version.trim().to_owned();
                break;
            }
        }
        runner.turn()?;
        runner.count = (TURN / runner.least.max(1)).clamp(5, 10_000);
        Ok(runner)
    }

    fn line(&mut self) -> Result<String> {
        let mut line = String::new();
        let read = self.from.read_line(&mut line)?;
        ensure!(read > 0, "{} has ended", self.engine);
        Ok(line)
    }

    fn turn(&mut self) -> Result<()> {
        writeln!(self.to, "{}", self.count)?;
        self.to.flush()?;
        let line = self.line()?;
        let time = line.trim().parse();
        let time: u64 = time.with_context(|| format!("{} says `{line}`", self.engine))?;
        self.least = self.least.min(time);
        Ok(())
    }
}

impl Drop for Runner {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// The engines of a home on one model, one after the other, again and again.
fn take_turns(
    engines: &Engines,
    home: &str,
    names: &[&'static str],
    model: &Model,
    rounds: usize,
    versions: &mut Vec<String>,
) -> Result<Vec<Row>> {
    let mut runners = Vec::new();
    for &engine in names {
        let Some(command) = engines.command(home, engine, model) else {
            println!("SKIPPED {engine}, {}: not there in its format", model.name);
            continue;
        };
        match Runner::start(engine, command) {
            Ok(runner) => runners.push(runner),
            Err(error) if engine != "niwaki" => {
                println!("SKIPPED {engine}, {}: {error:#}", model.name);
            }
            Err(error) => return Err(error),
        }
    }
    for _ in 0..rounds {
        for runner in &mut runners {
            runner.turn()?;
        }
    }
    let own = runners.first().context("there is no engine")?.least as f64;
    let mut rows = Vec::new();
    for runner in &runners {
        let version = format!("{} {}", runner.engine, runner.version);
        if !versions.contains(&version) {
            versions.push(version);
        }
        let time = runner.least as f64;
        println!(
            "{home}, {}: {:<16} {:>10.1} us, niwaki's over it {:.2}",
            model.name,
            runner.engine,
            time / 1e3,
            own / time
        );
        rows.push(Row {
            home: home.to_owned(),
            model: model.name.clone(),
            engine: runner.engine.to_owned(),
            instructions: None,
            microseconds: Some(time / 1e3),
            ratio: Some(own / time),
            code_bytes: None,
        });
    }
    Ok(rows)
}
