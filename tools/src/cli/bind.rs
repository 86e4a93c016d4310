//! `--dim` and `--const`: what a model leaves open.

use clap::Args;
use niwaki_tools::import::Bindings;

/// What a model leaves open.
#[derive(Clone, Debug, Args)]
pub(super) struct Bind {
    /// Size of a symbolic dimension; a symbolic batch is 1 without it.
    #[arg(long, value_name = "NAME=N", value_parser = dimension)]
    dim: Vec<(String, usize)>,
    /// An input that is the same in every run: it becomes a constant. Several elements have commas
    /// between them, one value fills all.
    #[arg(long = "const", value_name = "NAME=VALUE", value_parser = constant)]
    constant: Vec<(String, String)>,
}

impl Bind {
    /// As the importer takes it.
    pub(super) fn bindings(&self) -> Bindings {
        Bindings {
            dimensions: self.dim.iter().cloned().collect(),
            constants: self.constant.iter().cloned().collect(),
        }
    }
}

/// `NAME=N`.
fn dimension(text: &str) -> Result<(String, usize), String> {
    let (name, size) = text
        .split_once('=')
        .ok_or_else(|| format!("`{text}` is not NAME=N, for instance batch=1"))?;
    match size.parse() {
        Ok(size) if size > 0 => Ok((name.to_owned(), size)),
        _ => Err(format!("`{size}` is not a size of at least 1")),
    }
}

/// `NAME=VALUE`.
fn constant(text: &str) -> Result<(String, String), String> {
    match text.rsplit_once('=') {
        Some((name, value)) if !name.is_empty() => Ok((name.to_owned(), value.to_owned())),
        _ => Err(format!("`{text}` is not NAME=VALUE, for instance sr=16000")),
    }
}
