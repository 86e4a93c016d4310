//! `niwaki profile`.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Result, bail};
use clap::Args;
use niwaki_tools::artifact::Artifact;
use niwaki_tools::homes::{self, Attempt, Home};
use niwaki_tools::profile::{Layer, Profile};

use super::{table, thousands};

/// Show what each layer takes at a home, and what bounds it.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  niwaki profile model.niwaki
      Microseconds on this machine, one thread: the least of many runs for each layer.
  niwaki profile model.niwaki --on qemu:cortex-m4
      Executed instructions, in steps of 40 (the board's clock); the same every time.
  niwaki profile model.niwaki --on node --json | jq '.layers | max_by(.cost)'

Columns:
  share     part of what all layers take
  MACs/us   multiply-accumulates per microsecond, or per instruction
  products  part of the layer's cost that its products would take at the rate of the fastest
            layer of this run
  bound     multiply: products are at least half of the cost; faster products make it faster
            overhead: they are less; loads and stores, padding, rescaling and short loops are more
            memory: no products at all; it moves elements or computes a function of each

The yardstick is the model's own fastest layer, not the machine's peak: where every layer is slow,
none looks slow. Inputs are those of the golden vector; layers in strips have their strips added
up. Looking at a run behind every layer costs something too, so that the layers together take a
little more than `one run`, which is measured apart.")]
pub(super) struct ProfileCommand {
    /// The artifact.
    artifact: PathBuf,
    /// Where to run: host, node or qemu:cortex-m4.
    #[arg(long, value_name = "HOME", default_value = "host")]
    on: Home,
    /// Print as JSON.
    #[arg(long)]
    json: bool,
}

impl ProfileCommand {
    pub(super) fn run(self) -> Result<ExitCode> {
        let artifact = Artifact::read(&self.artifact)?;
        let measured = match homes::profile(self.on, &artifact)? {
            Attempt::Ran(measured) => measured,
            Attempt::NotRun(reason) => bail!("{} cannot be used: {reason}", self.on.name()),
        };
        let profile = Profile::of(&artifact, &measured)?;
        if self.json {
            let mut json = serde_json::to_value(&profile)?;
            json["model"] = serde_json::to_value(&self.artifact)?;
            json["home"] = self.on.name().into();
            println!("{}", serde_json::to_string_pretty(&json)?);
        } else {
            print(&profile, self.on);
        }
        Ok(ExitCode::SUCCESS)
    }
}

/// A cost: instructions are whole.
fn cost(profile: &Profile, value: f64) -> String {
    match profile.unit {
        "instructions" => thousands(value as u64),
        _ => format!("{value:.2}"),
    }
}

fn print(profile: &Profile, home: Home) {
    let per = match profile.unit {
        "instructions" => "MACs/instr.",
        _ => "MACs/us",
    };
    let mut table = table(&[
        "#",
        "operator",
        "shape",
        profile.unit,
        "share",
        "MACs",
        per,
        "products",
        "bound",
    ]);
    for layer in &profile.layers {
        table.add_row(row(profile, layer));
    }
    for column in 3..8 {
        if let Some(column) = table.column_mut(column) {
            column.set_cell_alignment(comfy_table::CellAlignment::Right);
        }
    }
    println!("{table}\n");
    println!(
        "on {}: one run {} {}, its layers {}; {} multiply-accumulates, {:.2} {per}",
        home.name(),
        cost(profile, profile.run),
        profile.unit,
        cost(profile, profile.operators_total),
        thousands(profile.macs),
        profile.macs as f64 / profile.run,
    );
}

fn row(profile: &Profile, layer: &Layer) -> [String; 9] {
    let dimensions: Vec<String> = layer.shape.iter().map(ToString::to_string).collect();
    let with_products = |text: String| if layer.macs > 0 { text } else { "-".to_owned() };
    [
        layer.index.to_string(),
        layer.operator.to_owned(),
        dimensions.join("x"),
        cost(profile, layer.cost),
        format!("{:.1} %", layer.share * 100.0),
        with_products(thousands(layer.macs)),
        with_products(format!("{:.2}", layer.rate)),
        with_products(format!("{:.0} %", layer.products * 100.0)),
        layer.bound.name().to_owned(),
    ]
}
