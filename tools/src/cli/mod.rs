//! The command line.

mod bind;
mod budget;
mod compile;
mod device;
mod inspect;
mod keygen;
mod profile;
mod run;
mod sign;
mod validate;
mod verify;

use std::process::ExitCode;

use anyhow::Result;
use clap::{Parser, Subcommand};
use niwaki_tools::text::thousands;

/// Compiles ONNX models into one small file that runs with the same output bits on a host, in a
/// browser, in Node and on a microcontroller.
#[derive(Debug, Parser)]
#[command(
    name = "niwaki",
    version,
    after_help = "\
Example: quantise a model, look at it, and prove it on three machines
  niwaki compile model.onnx -o model.niwaki --calibrate calibration.npz
  niwaki inspect model.niwaki
  niwaki validate model.niwaki --reference model.onnx --data test.npz --labels test.npz \\
      --on host,node,qemu:cortex-m4"
)]
pub(crate) struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Compile an ONNX model into an artifact.
    Compile(compile::Compile),
    /// Talk to a board that runs the firmware's application: feed it, watch it, update it.
    Device(device::Device),
    /// Show what an artifact holds: inputs, outputs, layers, memory, origin.
    Inspect(inspect::Inspect),
    /// Make a key to sign updates with.
    Keygen(keygen::Keygen),
    /// Show what each layer takes at a home, and what bounds it.
    Profile(profile::ProfileCommand),
    /// Run an artifact on this machine.
    Run(run::Run),
    /// Make a signed update for a device of an artifact.
    Sign(sign::Sign),
    /// Hold an artifact against its reference, on several machines.
    Validate(validate::Validate),
    /// Check an update as a device does.
    Verify(verify::Verify),
}

impl Cli {
    /// Does what was asked for.
    ///
    /// # Errors
    ///
    /// Says what is wrong, where, and what would help.
    pub(crate) fn run(self) -> Result<ExitCode> {
        match self.command {
            Command::Compile(command) => command.run(),
            Command::Device(command) => command.run(),
            Command::Inspect(command) => command.run(),
            Command::Keygen(command) => command.run(),
            Command::Profile(command) => command.run(),
            Command::Run(command) => command.run(),
            Command::Sign(command) => command.run(),
            Command::Validate(command) => command.run(),
            Command::Verify(command) => command.run(),
        }
    }
}

/// A table without frills.
fn table(header: &[&str]) -> comfy_table::Table {
    let mut table = comfy_table::Table::new();
    table
        .load_preset(comfy_table::presets::NOTHING)
        .set_header(header.iter().copied());
    table
}
