//! Where things are in the repository.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use serde::Deserialize;

use crate::shell;

/// The root of the workspace.
pub(crate) fn root() -> &'static Path {
    let crate_root = Path::new(env!("CARGO_MANIFEST_DIR"));
    crate_root.parent().unwrap_or(crate_root)
}

/// Where cargo puts what it builds, after every setting that has a say in it.
pub(crate) fn target() -> Result<PathBuf> {
    #[derive(Deserialize)]
    struct Metadata {
        target_directory: PathBuf,
    }
    let metadata = shell::cargo(&["metadata", "--no-deps", "--format-version", "1"]);
    let json = shell::stdout(metadata)?;
    let metadata: Metadata =
        serde_json::from_slice(&json).context("`cargo metadata` does not answer as expected")?;
    Ok(metadata.target_directory)
}

/// Writes a file beside its place and renames it: there is never half a file.
///
/// # Errors
///
/// When it cannot be written.
pub(crate) fn write_beside(path: &Path, bytes: &[u8]) -> Result<()> {
    let place = || format!("cannot write {}", path.display());
    let beside = path.with_added_extension("tmp");
    fs::write(&beside, bytes).with_context(place)?;
    fs::rename(&beside, path).with_context(place)
}
