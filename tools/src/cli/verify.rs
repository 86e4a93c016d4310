//! `niwaki verify`.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context as _, Result};
use clap::Args;
use niwaki_tools::sign;
use serde::Serialize;

use super::thousands;

/// Check an update as a device does.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  niwaki verify model.nwu --key release.key.pub
  niwaki verify model.nwu --key release.key.pub --floor 3
      Also refuses what a device that has confirmed version 3 would refuse as older.
  niwaki verify model.nwu --key release.key.pub --json | jq .version

The exit code is 1 when a device would refuse the update.")]
pub(super) struct Verify {
    /// The update.
    update: PathBuf,
    /// The public key.
    #[arg(long, value_name = "KEY.pub")]
    key: PathBuf,
    /// The lowest version that is taken.
    #[arg(long, value_name = "N", default_value_t = 0)]
    floor: u32,
    /// Print as JSON.
    #[arg(long)]
    json: bool,
}

/// What an update says.
#[derive(Debug, Serialize)]
struct Summary {
    version: u32,
    model_bytes: u32,
    sha256: String,
    key: String,
}

impl Verify {
    pub(super) fn run(self) -> Result<ExitCode> {
        let key = sign::read_public(&self.key)?;
        let place = self.update.display();
        let update = std::fs::read(&self.update).with_context(|| format!("cannot read {place}"))?;
        let manifest = sign::verify(&update, &key, self.floor)
            .with_context(|| format!("a device would refuse {place}"))?;
        let summary = Summary {
            version: manifest.version,
            model_bytes: manifest.length,
            sha256: manifest
                .sha256
                .iter()
                .map(|byte| format!("{byte:02x}"))
                .collect(),
            key: sign::key_name(key.id()),
        };
        if self.json {
            println!("{}", serde_json::to_string_pretty(&summary)?);
            return Ok(ExitCode::SUCCESS);
        }
        println!(
            "{place}: version {}, {} bytes of model, signed by {}; SHA-256 {}",
            summary.version,
            thousands(summary.model_bytes.into()),
            summary.key,
            summary.sha256
        );
        Ok(ExitCode::SUCCESS)
    }
}
