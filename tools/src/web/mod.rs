//! An npm package for one model.
//!
//! It is made of the package that `cargo xtask npm` has built: the compiled runtime with every
//! operator, cut down to those of the model (`specialise`), and its JavaScript. So neither Rust nor
//! npm is needed where a model is compiled, it takes a moment, and what runs is byte for byte what
//! the tests of the whole package have run.

mod specialise;
mod text;

use std::collections::BTreeSet;
use std::path::Path;

use anyhow::{Context as _, Result, ensure};

use crate::artifact::Artifact;
use crate::homes::project_root;

pub use specialise::specialise;

/// The binaries of a package.
const BINARIES: [&str; 3] = ["relaxed.wasm", "simd128.wasm", "scalar.wasm"];
/// The file of the whole package that is the entry of a specialised one, its name there, and what
/// stands in it for the model's name.
const ENTRY: [&str; 3] = ["specialised.js", "index.js", "MODEL"];
/// What the entry fetches for models that take raw data, and what their types are made of; bundlers want
/// the first in any case.
const RAW: [&str; 2] = ["raw.js", "niwaki.d.ts"];

/// Writes the package of a model into a folder, which is made when it is not there. Its name, and
/// that of the model in it, is `name`.
///
/// # Errors
///
/// When the whole package is not built, or a file cannot be written; what was there stays then.
pub fn write(artifact: &Artifact, name: &str, folder: &Path) -> Result<()> {
    let package = project_root().join("wasm/pkg");
    let read = |file: &str| {
        let path = package.join(file);
        std::fs::read(&path).with_context(|| {
            format!(
                "cannot read {}: build the npm package with `cargo xtask npm`",
                path.display()
            )
        })
    };
    let model = artifact.model()?;
    let codes: BTreeSet<u16> = model
        .operators()
        .map(|operator| operator.header.code)
        .collect();
    let mut files = Vec::new();
    for file in BINARIES {
        let whole = read(file)?;
        let cut = specialise(&whole, &codes, artifact.bytes())
            .with_context(|| format!("cannot cut {file} down to the model's operators"))?;
        files.push((file.to_owned(), cut));
    }
    let [entry, index, placeholder] = ENTRY;
    let entry = String::from_utf8(read(entry)?).context("the package is no text")?;
    let (from, to) = (
        format!("./{placeholder}.niwaki"),
        format!("./{name}.niwaki"),
    );
    ensure!(
        entry.contains(&from),
        "the package is another version's: build it again with `cargo xtask npm`"
    );
    files.push((index.to_owned(), entry.replace(&from, &to).into_bytes()));
    for file in RAW {
        files.push((file.to_owned(), read(file)?));
    }
    files.push((format!("{name}.niwaki"), artifact.bytes().to_vec()));
    files.extend(
        text::all(&model, name)?
            .into_iter()
            .map(|(file, text)| (file.to_owned(), text.into_bytes())),
    );
    std::fs::create_dir_all(folder)
        .with_context(|| format!("cannot make the folder {}", folder.display()))?;
    for (file, contents) in files {
        crate::data::write_beside(&folder.join(file), |out| {
            Ok(std::io::Write::write_all(out, &contents)?)
        })?;
    }
    Ok(())
}

/// The name of a package for the model in a file: its stem, as npm allows it.
///
/// # Errors
///
/// When nothing of the stem can stay.
pub fn package_name(model: &Path) -> Result<String> {
    let stem = model.file_stem().unwrap_or_default().to_string_lossy();
    let name: String = stem
        .to_lowercase()
        .chars()
        .map(|c| if c.is_ascii_alphanumeric() { c } else { '-' })
        .collect();
    let name = name.trim_matches('-').to_owned();
    ensure!(
        !name.is_empty(),
        "`{stem}` is no name for a package: rename the model"
    );
    Ok(name)
}
