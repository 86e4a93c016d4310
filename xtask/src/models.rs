//! The reference models: what stack, instructions and code are measured with.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use crate::{demo, firmware, paths, shell};

/// The int8 models of MLPerf Tiny, where models are.
const MLPERF_TINY: [&str; 5] = ["kws01", "ic01", "vww01", "ad01", "sww01"];

/// A model and its image for a board.
pub(crate) struct Image {
    /// The model's name.
    pub(crate) name: String,
    /// The model, a .niwaki file.
    pub(crate) model: PathBuf,
    /// The ELF file.
    pub(crate) elf: PathBuf,
}

/// The folder of ONNX and TFLite models, if it is there: `NIWAKI_MODELS`, by default `shared`
/// beside the project.
pub(crate) fn folder() -> Option<PathBuf> {
    let folder = std::env::var_os("NIWAKI_MODELS")
        .map_or_else(|| paths::root().join("../shared"), PathBuf::from)
        .join("models");
    if folder.is_dir() {
        return Some(folder);
    }
    println!(
        "SKIPPED {}: {} is not there; NIWAKI_MODELS names another place",
        MLPERF_TINY.join(", "),
        folder.display()
    );
    None
}

/// Compiles the digits example and the int8 models of MLPerf Tiny, where those are.
///
/// # Errors
///
/// When a model does not compile.
pub(crate) fn compiled() -> Result<Vec<PathBuf>> {
    demo::build_command_line()?;
    demo::compile()?;
    let mut compiled = vec![demo::artifact()];
    let Some(folder) = folder() else {
        return Ok(compiled);
    };
    let out = paths::target()?.join("models");
    fs::create_dir_all(&out)?;
    for model in MLPERF_TINY {
        let artifact = out.join(format!("{model}.niwaki"));
        let mut command = demo::niwaki(&["compile"])?;
        command.arg(folder.join(format!("{model}_int8_qdq.onnx")));
        command.arg("-o").arg(&artifact);
        shell::run(command)?;
        compiled.push(artifact);
    }
    Ok(compiled)
}

/// Builds the image of a board for each model.
///
/// # Errors
///
/// When one does not build.
pub(crate) fn images(board: &str, models: &[PathBuf]) -> Result<Vec<Image>> {
    let image = |model: &PathBuf| {
        Ok(Image {
            name: name(model)?,
            model: model.clone(),
            elf: firmware::bench_image(paths::root(), board, model)?,
        })
    };
    models.iter().map(image).collect()
}

/// A model's name: its file's, without the extension.
fn name(model: &Path) -> Result<String> {
    let stem = model.file_stem();
    let stem = stem.with_context(|| format!("`{}` names no file", model.display()))?;
    Ok(stem.to_string_lossy().into_owned())
}
