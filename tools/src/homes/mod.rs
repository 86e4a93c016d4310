//! The homes: the machines that an artifact runs on, each driven with the same samples.

mod batch;
mod node;
mod qemu;

use std::path::PathBuf;
use std::str::FromStr;

use anyhow::{Result, bail};
use serde::Serialize;

use crate::artifact::{Artifact, SampleResult};
use crate::data::Samples;

/// A machine that an artifact runs on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Home {
    /// This machine.
    Host,
    /// The npm package's WebAssembly in Node.
    Node,
    /// An emulated Cortex-M4 (`mps2-an386`).
    QemuCortexM4,
}

impl Home {
    /// All homes, with their names on the command line.
    pub const ALL: [(Self, &'static str); 3] = [
        (Self::Host, "host"),
        (Self::Node, "node"),
        (Self::QemuCortexM4, "qemu:cortex-m4"),
    ];

    /// The name on the command line.
    pub fn name(self) -> &'static str {
        let row = Self::ALL.into_iter().find(|(home, _)| *home == self);
        row.map_or("", |(_, name)| name)
    }
}

impl FromStr for Home {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> Result<Self> {
        match Self::ALL.into_iter().find(|(_, name)| *name == text) {
            Some((home, _)) => Ok(home),
            None => {
                let names = Self::ALL.map(|(_, name)| name).join(", ");
                bail!("`{text}` is no home; {names} are")
            }
        }
    }
}

/// What one run takes, in the unit that the home can tell.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Cost {
    /// How many.
    pub value: f64,
    /// `us` (microseconds of wall time) or `instructions` (exact, executed).
    pub unit: &'static str,
}

/// What a home gave.
#[derive(Clone, Debug)]
pub struct HomeRun {
    /// One result for each sample.
    pub results: Vec<SampleResult>,
    /// The first operator whose golden digest differs there.
    pub self_test: Option<usize>,
    /// What one run takes.
    pub cost: Cost,
}

/// What each operator takes at a home.
#[derive(Clone, Debug, PartialEq)]
pub struct HomeProfile {
    /// What one run takes, at once.
    pub run: Cost,
    /// What each operator takes in a run that is looked at behind each of them, in the same unit.
    pub operators: Vec<f64>,
}

/// How an attempt to use a home ended.
#[derive(Clone, Debug)]
pub enum Attempt<T = HomeRun> {
    /// It ran.
    Ran(T),
    /// What it needs is not on this machine; the text names it and the command that installs it.
    NotRun(String),
}

/// Runs samples at a home.
///
/// # Errors
///
/// When the home is there and something goes wrong in it.
pub fn run(home: Home, artifact: &Artifact, samples: &Samples) -> Result<Attempt> {
    match home {
        Home::Host => Ok(Attempt::Ran(HomeRun {
            results: artifact.run(samples)?,
            self_test: artifact.self_test()?,
            cost: Cost {
                value: artifact.time(&samples.samples[0])?,
                unit: "us",
            },
        })),
        Home::Node => node::run(artifact, samples),
        Home::QemuCortexM4 => qemu::run(artifact, samples),
    }
}

/// Measures every operator at a home, in a run of the golden inputs.
///
/// # Errors
///
/// When the home is there and something goes wrong in it.
pub fn profile(home: Home, artifact: &Artifact) -> Result<Attempt<HomeProfile>> {
    match home {
        Home::Host => Ok(Attempt::Ran(artifact.profile()?)),
        Home::Node => node::profile(artifact),
        Home::QemuCortexM4 => qemu::profile(artifact),
    }
}

/// The root of the project: what drives Node and the boards, and what web packages are made of, lies
/// beside the compiler's sources.
/// `NIWAKI_ROOT` names another place.
pub(crate) fn project_root() -> PathBuf {
    std::env::var_os("NIWAKI_ROOT").map_or_else(
        || PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(".."),
        PathBuf::from,
    )
}

/// True when a program can be started.
fn is_installed(program: &str) -> bool {
    std::process::Command::new(program)
        .arg("--version")
        .stdout(std::process::Stdio::null())
        .stderr(std::process::Stdio::null())
        .status()
        .is_ok_and(|status| status.success())
}
