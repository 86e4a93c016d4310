//! The chores of this repository, each one verb: what CI does, a person does with the same word.

mod bench;
mod boards;
mod checks;
mod conformance;
mod demo;
mod examples;
mod firmware;
mod footprint;
mod fuzz;
mod image;
mod models;
mod npm;
mod panics;
mod paths;
mod report;
mod setup;
mod shell;
mod site;
mod sizes;
mod stack;
mod steps;
mod test;
mod tool;
mod uf2;

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Result;
use clap::{Parser, Subcommand};

/// The chores of the niwaki repository.
#[derive(Parser)]
#[command(bin_name = "cargo xtask")]
struct Arguments {
    #[command(subcommand)]
    chore: Chore,
}

#[derive(Subcommand)]
enum Chore {
    /// Get what a new machine lacks: Rust targets, qemu-system-arm, node, npm, pip, chromium.
    Setup,
    /// Build the npm package into wasm/pkg, pack it into out, and print its sizes.
    Npm {
        /// Test it too, in Node and in Chromium.
        #[arg(long)]
        test: bool,
    },
    /// Build the demo site into out/site: static files that any server serves.
    Site {
        /// Serve it on this machine.
        #[arg(long)]
        serve: bool,
    },
    /// Compile a trained model and show that it gives the same bits in every home.
    Demo,
    /// Build and test the examples of examples/web: frameworks, bundlers and runtimes.
    Examples {
        /// Folders there; by default all.
        names: Vec<String>,
    },
    /// Check everything: what CI runs.
    Test,
    /// Check format and lints.
    #[command(visible_alias = "clippy")]
    Lint,
    /// Build the documentation; a warning is an error.
    Doc,
    /// Build the image of a board's application, which takes models over its line, and print its path:
    /// an ELF file, or UF2 for the Picos.
    Firmware {
        /// The board, a folder in firmware/boards.
        board: String,
        /// The model that it runs before it is sent one, a .niwaki file; by default the digits example.
        model: Option<PathBuf>,
    },
    /// Build the image that is measured: it runs samples of files on an emulated machine. Print its path.
    BenchImage {
        /// The machine, as QEMU calls it.
        machine: String,
        /// The model, a .niwaki file.
        model: PathBuf,
    },
    /// Measure flash and RAM of every image; fail when one has grown by more than 2 %.
    Footprint {
        /// Take the figures as those of the repository: docs/footprint.*, and the README's table.
        #[arg(long)]
        bless: bool,
        /// Instead, what the smallest program with this model takes on a Cortex-M4: flash, arena, stack; by
        /// default kws01.
        #[arg(long, value_name = "MODEL.niwaki", num_args = 0..=1, conflicts_with = "bless")]
        minimal: Option<Option<PathBuf>>,
    },
    /// Run ONNX's backend tests and write docs/operators.md.
    Conformance {
        /// Where a list of all cases with their results goes.
        #[arg(long, value_name = "OUT.json")]
        json: Option<PathBuf>,
    },
    /// Prove that a run of a model can neither panic nor allocate.
    Panics,
    /// Measure the code of each operator on each machine, for `niwaki compile --target`.
    Sizes,
    /// Change models and artifacts at random, and see that nothing panics or hangs.
    Fuzz {
        /// `model` or `artifact`; by default both, one after the other.
        target: Option<String>,
        /// How long, for each.
        #[arg(long, default_value_t = 600)]
        seconds: u32,
    },
    /// Measure instructions, code, and time beside other engines.
    Bench(bench::Bench),
    /// Measure the stack of a run on the emulated Cortex-M4; fail beyond what ARCHITECTURE.md says.
    Stack {
        /// Models, .niwaki files; by default the digits example and those of MLPerf Tiny.
        models: Vec<PathBuf>,
    },
}

fn main() -> ExitCode {
    match run(&Arguments::parse().chore) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// Does a chore; false when it has found something wrong and said so.
fn run(chore: &Chore) -> Result<bool> {
    match chore {
        Chore::Setup => setup::run().map(|_| true),
        Chore::Npm { test: false } => npm::pack().map(|()| true),
        Chore::Npm { test: true } => test::package_alone(),
        Chore::Site { serve } => site::run(*serve),
        Chore::Demo => demo::run(),
        Chore::Examples { names } => examples::run(names).map(|()| true),
        Chore::Test => test::run(),
        Chore::Lint => checks::lint().map(|()| true),
        Chore::Doc => checks::doc().map(|()| true),
        Chore::Firmware { board, model } => {
            let board = boards::find(board)?;
            let image = board.image(model.as_deref())?;
            println!("{}", board.uf2(&image)?.unwrap_or(image).display());
            Ok(true)
        }
        Chore::BenchImage { machine, model } => {
            let image = firmware::bench_image(paths::root(), machine, model)?;
            println!("{}", image.display());
            Ok(true)
        }
        Chore::Footprint {
            minimal: Some(model),
            ..
        } => footprint::minimal(model.as_deref()).map(|()| true),
        Chore::Footprint {
            bless,
            minimal: None,
        } => footprint::run(*bless),
        Chore::Conformance { json } => conformance::run(json.as_deref()).map(|()| true),
        Chore::Panics => panics::check(paths::root()).map(|()| true),
        Chore::Sizes => sizes::measure(paths::root()).map(|()| true),
        Chore::Fuzz { target, seconds } => fuzz::run(target.as_deref(), *seconds).map(|()| true),
        Chore::Bench(bench) => bench::run(bench),
        Chore::Stack { models } => stack::run(models),
    }
}
