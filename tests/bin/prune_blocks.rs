//! Zeroes blocks of a QDQ model's pointwise weights, to measure what that gives: docs/sparse.md.

use std::path::PathBuf;

use anyhow::{Context as _, Result};
use clap::Parser;
use niwaki_tests::pruned::block_sparse;
use niwaki_tools::data::write_beside;

/// Zero the blocks of smallest norm in each pointwise convolution of an int8 QDQ model.
#[derive(Parser)]
struct Arguments {
    /// The model.
    model: PathBuf,
    /// Where the other one goes.
    output: PathBuf,
    /// The share of the blocks that become zero.
    #[arg(long, default_value_t = 0.75)]
    share: f64,
}

fn main() -> Result<()> {
    let arguments = Arguments::parse();
    let place = || arguments.model.display().to_string();
    let model = std::fs::read(&arguments.model).with_context(place)?;
    let pruned = block_sparse(&model, arguments.share).with_context(place)?;
    write_beside(&arguments.output, |file| {
        Ok(std::io::Write::write_all(file, &pruned)?)
    })
}
