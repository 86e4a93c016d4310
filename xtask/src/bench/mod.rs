//! What one inference costs: instructions on emulated cores, time beside other engines, and a gate
//! that keeps the former from growing.

mod chart;
mod count;
mod gate;
mod peers;

use std::fs;
use std::path::PathBuf;

use anyhow::{Result, bail, ensure};
use clap::Args;
use serde::{Deserialize, Serialize};

use crate::models::{self, Image};
use crate::paths::write_beside;
use crate::report::thousands;
use crate::shell;
use crate::tool::QEMU;

/// What to measure.
#[derive(Args)]
#[command(after_help = "\
Examples:
  cargo xtask bench --icount
      Executed instructions of one run, exactly, and bytes of code of each reference model.
  cargo xtask bench --icount --core cortex-m0,cortex-m3,cortex-m4,cortex-m55
      The same on other cores.
  cargo xtask bench --icount --functions 12 out/digits.niwaki
      The twelve functions where most of them go.
  cargo xtask bench --peers --json bench.json
      Microseconds beside LiteRT, onnxruntime, tract and rten on this machine, and beside
      onnxruntime-web in Node: one thread, all engines in one run, in turn. The first time takes ten
      minutes, to compile tract. LiteRT and onnxruntime are installed into target/.
  cargo xtask bench --chart bench.json
      Draws docs/bench.svg.
  cargo xtask bench --gate
      Fails when instructions or code of a reference model are 2 % more than in
      docs/bench-gate.json; `--gate --bless` writes that file.

Models are .niwaki files, by default the digits example and, where they are, the int8 models of MLPerf
Tiny. The peers take theirs by name, in the format that each reads.")]
pub(crate) struct Bench {
    /// Count executed instructions on emulated cores.
    #[arg(long)]
    icount: bool,
    /// Show the N functions that most instructions are executed in.
    #[arg(long, value_name = "N", requires = "icount")]
    functions: Option<usize>,
    /// The cores to count on: cortex-m0, cortex-m3, cortex-m4, cortex-m55.
    #[arg(
        long = "core",
        value_name = "CORE",
        value_delimiter = ',',
        default_value = "cortex-m4"
    )]
    cores: Vec<String>,
    /// Time niwaki beside other engines.
    #[arg(long)]
    peers: bool,
    /// How often the engines take turns.
    #[arg(long, value_name = "N", default_value_t = 15, requires = "peers")]
    rounds: usize,
    /// Where the rows go.
    #[arg(long, value_name = "OUT.json")]
    json: Option<PathBuf>,
    /// Draw docs/bench.svg from rows that were written before.
    #[arg(long, value_name = "IN.json")]
    chart: Option<PathBuf>,
    /// Hold instructions and code against docs/bench-gate.json.
    #[arg(long)]
    gate: bool,
    /// Write docs/bench-gate.json instead: the commit's message has to say why.
    #[arg(long, requires = "gate")]
    bless: bool,
    /// Models to count with, instead of the reference set.
    #[arg(requires = "icount")]
    models: Vec<PathBuf>,
}

/// A core that the firmware has a board for.
struct Core {
    name: &'static str,
    board: &'static str,
    /// What QEMU calls the machine.
    machine: &'static str,
}

const CORES: [Core; 4] = [
    Core {
        name: "cortex-m0",
        board: "mps2-an385-armv6m",
        machine: "mps2-an385",
    },
    Core {
        name: "cortex-m3",
        board: "mps2-an385",
        machine: "mps2-an385",
    },
    Core {
        name: "cortex-m4",
        board: "mps2-an386",
        machine: "mps2-an386",
    },
    Core {
        name: "cortex-m55",
        board: "mps3-an547",
        machine: "mps3-an547",
    },
];

/// The home's name of a core, as `niwaki validate --on` has it.
fn home(core: &Core) -> String {
    format!("qemu:{}", core.name)
}

/// Rows, and the machine that they are of.
#[derive(Serialize, Deserialize)]
struct Report {
    machine: Machine,
    rows: Vec<Row>,
}

/// One measurement.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Row {
    home: String,
    model: String,
    engine: String,
    /// Executed instructions of one run.
    instructions: Option<u64>,
    /// Wall time of one run.
    microseconds: Option<f64>,
    /// niwaki's time over this engine's, both of one run of this command.
    ratio: Option<f64>,
    /// Machine code and constants of the image, less the model.
    code_bytes: Option<u64>,
}

/// The machine, and the programs whose versions have a say.
#[derive(Serialize, Deserialize)]
struct Machine {
    cpu: String,
    threads: usize,
    os: String,
    rustc: String,
    qemu: String,
    node: String,
    /// Versions of the engines.
    engines: Vec<String>,
}

impl Machine {
    fn this(engines: Vec<String>) -> Self {
        let cpu = fs::read_to_string("/proc/cpuinfo").ok().and_then(|text| {
            let line = text.lines().find(|line| line.starts_with("model name"))?;
            Some(line.split_once(':')?.1.trim().to_owned())
        });
        let version = |program: &str| {
            let text = shell::stdout(shell::program(program, &["--version"]));
            let text = text.unwrap_or_default();
            let text = String::from_utf8_lossy(&text);
            text.lines().next().unwrap_or("none").to_owned()
        };
        Self {
            cpu: cpu.unwrap_or_else(|| std::env::consts::ARCH.to_owned()),
            threads: std::thread::available_parallelism().map_or(1, Into::into),
            os: std::env::consts::OS.to_owned(),
            rustc: version("rustc"),
            qemu: version(QEMU.program),
            node: version("node"),
            engines,
        }
    }
}

/// Measures; false when the gate finds something.
///
/// # Errors
///
/// When something cannot be measured.
pub(crate) fn run(bench: &Bench) -> Result<bool> {
    if let Some(from) = &bench.chart {
        chart::draw(from)?;
    }
    let mut rows = Vec::new();
    let mut engines = Vec::new();
    let mut good = true;
    if bench.icount {
        let models = match &bench.models[..] {
            [] => models::compiled()?,
            models => models.to_vec(),
        };
        for name in &bench.cores {
            let core = core(name)?;
            let images = models::images(core.board, &models)?;
            rows.extend(count(core, &images, bench.functions)?);
        }
    }
    if bench.gate {
        let core = core("cortex-m4")?;
        let images = models::images(core.board, &models::compiled()?)?;
        good = gate(&images, bench.bless)?;
    }
    if bench.peers {
        let (timed, versions) = peers::run(bench.rounds)?;
        rows.extend(timed);
        engines = versions;
    }
    ensure!(
        bench.icount || bench.gate || bench.peers || bench.chart.is_some(),
        "nothing to measure: --icount, --peers, --gate or --chart; --help has examples"
    );
    if let Some(path) = &bench.json {
        let report = Report {
            machine: Machine::this(engines),
            rows,
        };
        let json = serde_json::to_string_pretty(&report)? + "\n";
        write_beside(&std::path::absolute(path)?, json.as_bytes())?;
    }
    Ok(good)
}

fn core(name: &str) -> Result<&'static Core> {
    let Some(core) = CORES.iter().find(|core| core.name == name) else {
        let known = CORES.map(|core| core.name).join(", ");
        bail!("the firmware has no board with a `{name}`: it has {known}");
    };
    if let Some(lack) = QEMU.lack() {
        bail!(
            "{lack}, and instructions are counted in it: {}",
            QEMU.remedy()
        );
    }
    Ok(core)
}

/// Counts and prints.
fn count(core: &Core, images: &[Image], functions: Option<usize>) -> Result<Vec<Row>> {
    let mut rows = Vec::new();
    for image in images {
        let counted = count::count(image, core.machine)?;
        println!(
            "{}, {}: {} instructions, {} bytes of code",
            home(core),
            image.name,
            thousands(counted.instructions),
            thousands(counted.code_bytes)
        );
        let mut by_count: Vec<_> = counted.functions.iter().collect();
        by_count.sort_by_key(|(_, count)| std::cmp::Reverse(**count));
        for (name, &count) in by_count.into_iter().take(functions.unwrap_or(0)) {
            let percent = count as f64 / counted.instructions as f64 * 100.0;
            println!("{:>14} {percent:5.1} %  {name}", thousands(count));
        }
        rows.push(Row {
            home: home(core),
            model: image.name.clone(),
            engine: "niwaki".to_owned(),
            instructions: Some(counted.instructions),
            microseconds: None,
            ratio: None,
            code_bytes: Some(counted.code_bytes),
        });
    }
    Ok(rows)
}

/// Holds the images of the reference models for the Cortex-M4 against the file in the repository,
/// or writes that; false when something has grown.
///
/// # Errors
///
/// When an image does not run, or there is no such file.
pub(crate) fn gate(images: &[Image], bless: bool) -> Result<bool> {
    let core = core("cortex-m4")?;
    let mut found = gate::Table::new();
    for row in count(core, images, None)? {
        let figures = gate::Figures {
            instructions: row.instructions.unwrap_or(0),
            code_bytes: row.code_bytes.unwrap_or(0),
        };
        found
            .entry(row.home)
            .or_default()
            .insert(row.model, figures);
    }
    if bless {
        gate::bless(&found)?;
        return Ok(true);
    }
    let complaints = gate::complaints(&gate::read()?, &found);
    for complaint in &complaints {
        println!("{complaint}");
    }
    if !complaints.is_empty() {
        println!(
            "make it smaller, or write the figures anew with `cargo xtask bench --gate --bless` and \
             say in the commit's message why they have grown"
        );
    }
    Ok(complaints.is_empty())
}
