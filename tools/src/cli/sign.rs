//! `niwaki sign`.

use std::io::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Result;
use clap::Args;
use niwaki_store::{Manifest, key_id};
use niwaki_tools::artifact::Artifact;
use niwaki_tools::{data, sign};

use super::thousands;

/// Make a signed update for a device of an artifact.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  niwaki keygen -o release.key
  niwaki sign model.niwaki --key release.key --version 3 -o model.nwu
  niwaki verify model.nwu --key release.key.pub

A device that has confirmed version 3 takes no update with a lower version, whoever signed it.")]
pub(super) struct Sign {
    /// The artifact.
    artifact: PathBuf,
    /// The private key.
    #[arg(long, value_name = "KEY")]
    key: PathBuf,
    /// Number of this release of the model: higher than those before.
    #[arg(long, value_name = "N")]
    version: u32,
    /// Where the update goes.
    #[arg(short, long, value_name = "OUT.nwu")]
    output: PathBuf,
}

impl Sign {
    pub(super) fn run(self) -> Result<ExitCode> {
        let artifact = Artifact::read(&self.artifact)?;
        let key = sign::read_private(&self.key)?;
        let update = sign::sign(&artifact, self.version, &key)?;
        data::write_beside(&self.output, |file| Ok(file.write_all(&update)?))?;
        println!(
            "{}: version {}, {} bytes of model behind {} of manifest, signed by {}",
            self.output.display(),
            self.version,
            thousands((update.len() - Manifest::BYTES) as u64),
            Manifest::BYTES,
            sign::key_name(key_id(key.verifying_key().as_bytes()))
        );
        Ok(ExitCode::SUCCESS)
    }
}
