//! Models as boards take them: behind a manifest.

use anyhow::{Context as _, Result};
use niwaki_store::Manifest;

/// How an update begins that `niwaki sign` has made.
const SIGNED: &[u8] = b"NWUPDATE";

/// The manifest and the model of a file: an update as it is, a model with an unsigned manifest of
/// that version.
///
/// # Errors
///
/// When the file is cut off, or larger than a manifest can say.
pub fn update_of(file: &[u8], version: u32) -> Result<Vec<u8>> {
    if file.starts_with(SIGNED) {
        file.get(Manifest::BYTES..)
            .context("the update is cut off: copy it again")?;
        return Ok(file.to_vec());
    }
    let manifest = Manifest::of(version, file).context("the model has 4 GiB or more")?;
    Ok([&manifest.to_bytes()[..], file].concat())
}
