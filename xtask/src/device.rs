//! The image of a board's application, which takes models over its line.

use std::path::{Path, PathBuf};

use anyhow::{Result, bail};

use crate::firmware::{self, CORTEX_M4F};

/// Boards whose crate has a binary `device`, with the target that it is compiled for.
const BOARDS: [(&str, &str); 1] = [("mps2-an386", CORTEX_M4F)];

/// The model that an image carries when none is named: the digits example.
const EXAMPLE: &str = "tests/golden/format-3/digits.niwaki";

/// Builds the image of `board`, with `model` or the example in it, and gives the ELF's path.
///
/// # Errors
///
/// When there is no such board, the model is refused, or the firmware does not build.
pub(crate) fn build(root: &Path, board: &str, model: Option<&Path>) -> Result<PathBuf> {
    let Some((package, target)) = BOARDS.iter().find(|(name, _)| *name == board) else {
        let known = BOARDS.map(|(name, _)| name).join(", ");
        bail!("no board `{board}` has the application `device`: there are {known}");
    };
    let model = match model {
        // Cargo runs in another directory, and the build script in a third.
        Some(model) => std::path::absolute(model)?,
        None => std::path::absolute(root.join(EXAMPLE))?,
    };
    let build = ["build", "--release", "--bin=device", "--features=device"];
    let mut command = firmware::cargo(root, &build);
    command.args(["--package", package, "--target", target]);
    let built = firmware::release_folder(root, target).join("device");
    firmware::image(
        root,
        &mut command,
        &model,
        &built,
        &format!("{board}-device"),
    )
}
