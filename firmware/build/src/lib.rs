//! Checks the model of a firmware image in its build script, and finds the board's memory map for the
//! linker.
//!
//! The script names an environment variable that holds the path of an artifact:
//!
//! ```no_run
//! niwaki_build::embed_model("NIWAKI_MODEL");
//! ```
//!
//! and the program includes the copy that the script has made:
//!
//! ```ignore
//! mod model {
//!     niwaki::include_model!(concat!(env!("OUT_DIR"), "/model.niwaki"));
//! }
//! ```
//!
//! The file is checked here, with all that the runtime checks: a model that is damaged, too new
//! or not a model stops the build, not the device. A program whose model has a fixed place needs no build
//! script, and can name it in `include_model!`.

mod error;

pub use error::Error;

use std::path::Path;
use std::{env, fs};

use niwaki::{All, Model};

/// The copy's name.
const ARTIFACT: &str = "model.niwaki";

/// Writes `OUT_DIR/model.niwaki`, a copy of the artifact whose path is in the environment variable
/// `variable`. On failure the build stops, with a message that says what to do.
///
/// To be called from a build script.
pub fn embed_model(variable: &str) {
    println!("cargo::rerun-if-env-changed={variable}");
    if let Err(error) = embed_from_environment(variable) {
        println!("cargo::error={error}");
    }
}

/// Gives the linker a board's memory map, the file `memory` beside or above the crate's `Cargo.toml`, as the `memory.x` that the
/// script `link.x` of cortex-m-rt includes, and has each binary linked by that script.
///
/// To be called from a build script. On failure the build stops.
pub fn link_with(memory: &str) {
    println!("cargo::rerun-if-changed={memory}");
    let out = env::var_os("OUT_DIR").unwrap_or_default();
    let out = Path::new(&out);
    if let Err(error) = fs::copy(memory, out.join("memory.x")) {
        println!("cargo::error=cannot copy {memory}: {error}");
    }
    println!("cargo::rustc-link-search={}", out.display());
    println!("cargo::rustc-link-arg-bins=-Tlink.x");
    // Sections start where the map says, not on pages.
    println!("cargo::rustc-link-arg-bins=--nmagic");
}

fn embed_from_environment(variable: &str) -> Result<(), Error> {
    let path = env::var_os(variable).ok_or_else(|| Error::Unset(variable.to_owned()))?;
    let path = Path::new(&path);
    println!("cargo::rerun-if-changed={}", path.display());
    let out = env::var_os("OUT_DIR").ok_or_else(|| Error::Unset("OUT_DIR".to_owned()))?;
    embed(path, Path::new(&out))
}

/// Checks the artifact at `path`, and copies it into `out` as `model.niwaki`.
///
/// # Errors
///
/// [`Error`] when a file cannot be read or written, or when the artifact is refused.
pub fn embed(path: &Path, out: &Path) -> Result<(), Error> {
    let bytes = fs::read(path).map_err(|error| Error::Read(path.to_owned(), error))?;
    let words = to_words(&bytes);
    Model::<All>::new(niwaki::as_bytes(&words))
        .map_err(|error| Error::Refused(path.to_owned(), error))?;
    // A copy has a name that the program knows, and does not change while the program is compiled.
    let to = out.join(ARTIFACT);
    fs::write(&to, bytes).map_err(|error| Error::Write(to, error))
}

/// The bytes at the alignment that a model needs, padded with zeros to whole words.
fn to_words(bytes: &[u8]) -> Vec<u32> {
    let mut words = vec![0; bytes.len().div_ceil(4)];
    let aligned = niwaki::as_bytes_mut(&mut words).iter_mut();
    aligned.zip(bytes).for_each(|(to, &from)| *to = from);
    words
}
