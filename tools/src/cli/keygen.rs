//! `niwaki keygen`.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Result;
use clap::Args;
use niwaki_store::key_id;
use niwaki_tools::sign;

/// Make a key to sign updates with.
#[derive(Debug, Args)]
#[command(after_help = "\
Example:
  niwaki keygen -o release.key
      Writes release.key, the private key (Ed25519 as PEM), which only you may read; and
      release.key.pub, the public key (44 bytes of DER), which goes into the firmware:
      PublicKey::from_der(include_bytes!(\"release.key.pub\")).

Keep the private key where builds do not see it, and a copy of it elsewhere: devices with its public
key take no other's models, and nobody can make it again. Files that exist are not written over.")]
pub(super) struct Keygen {
    /// Where the private key goes; the public one goes beside it, with .pub behind the name.
    #[arg(short, long, value_name = "KEY")]
    output: PathBuf,
}

impl Keygen {
    pub(super) fn run(self) -> Result<ExitCode> {
        let key = sign::generate()?;
        sign::write_key(&self.output, &key)?;
        let public = key.verifying_key();
        println!(
            "{}: the private key; keep it to yourself",
            self.output.display()
        );
        println!(
            "{}: the public key {}, for the firmware",
            sign::public_path(&self.output).display(),
            sign::key_name(key_id(public.as_bytes()))
        );
        Ok(ExitCode::SUCCESS)
    }
}
