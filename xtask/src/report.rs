//! What the `niwaki` command reports as JSON, and how the demo shows it.

use std::fmt;

use anyhow::{Context, Result};
use comfy_table::{CellAlignment, Table, presets};
use serde::Deserialize;

/// The report of `niwaki validate --json`.
#[derive(Deserialize)]
pub(crate) struct Validation {
    homes: Vec<Home>,
}

/// One place where the artifact was to run.
#[derive(Deserialize)]
struct Home {
    home: String,
    status: Status,
    reason: Option<String>,
    samples: Option<u64>,
    same_bits: Option<bool>,
    self_test: Option<bool>,
    accuracy: Option<f64>,
    reference_accuracy: Option<f64>,
    cost: Option<Cost>,
}

#[derive(Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Status {
    Ok,
    NotRun,
}

/// Of one inference.
#[derive(Clone, Copy, Deserialize)]
struct Cost {
    value: f64,
    unit: Unit,
}

#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Unit {
    Us,
    Instructions,
}

impl Validation {
    /// Reads the report.
    pub(crate) fn parse(json: &[u8]) -> Result<Self> {
        serde_json::from_slice(json).context("`niwaki validate --json` reports something else")
    }

    /// False when a home that ran differs from the host or from its own golden vector.
    pub(crate) fn all_same(&self) -> bool {
        self.homes.iter().all(Home::is_same)
    }

    /// A row for each home.
    pub(crate) fn table(&self) -> Table {
        let mut table = Table::new();
        table
            .load_preset(presets::UTF8_FULL_CONDENSED)
            .set_header([
                "home",
                "samples",
                "accuracy float",
                "accuracy int8",
                "same bits",
                "per inference",
            ])
            .add_rows(self.homes.iter().map(Home::row));
        for column in table.column_iter_mut().skip(1) {
            column.set_cell_alignment(CellAlignment::Right);
        }
        table
    }

    /// A line for each home that was not run.
    pub(crate) fn reasons(&self) -> impl Iterator<Item = String> + '_ {
        let not_run = self
            .homes
            .iter()
            .filter(|home| home.status == Status::NotRun);
        not_run.map(|home| {
            let reason = home.reason.as_deref().unwrap_or("no reason given");
            format!("{} was not run: {reason}", home.home)
        })
    }
}

impl Home {
    /// Nothing is claimed of a home that was not run: it does not differ.
    fn is_same(&self) -> bool {
        self.status == Status::NotRun
            || (self.same_bits == Some(true) && self.self_test != Some(false))
    }

    fn row(&self) -> [String; 6] {
        let percent = |share: Option<f64>| share.map(|share| format!("{:.2} %", share * 100.0));
        let same_bits = match (self.status, self.is_same()) {
            (Status::NotRun, _) => "not run",
            (Status::Ok, true) => "yes",
            (Status::Ok, false) => "no",
        };
        let cells = [
            Some(self.home.clone()),
            self.samples.map(thousands),
            percent(self.reference_accuracy),
            percent(self.accuracy),
            Some(same_bits.to_owned()),
            self.cost.map(|cost| cost.to_string()),
        ];
        cells.map(|cell| cell.unwrap_or_else(|| "-".to_owned()))
    }
}

impl fmt::Display for Cost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.unit {
            Unit::Us => write!(f, "{:.3} ms", self.value / 1000.0),
            Unit::Instructions => write!(f, "{} instructions", thousands(self.value as u64)),
        }
    }
}

/// The report of `niwaki inspect --json`.
#[derive(Deserialize)]
pub(crate) struct Inspection {
    file_bytes: u64,
    arena_bytes: u64,
    macs: u64,
}

impl Inspection {
    /// Reads the report.
    pub(crate) fn parse(json: &[u8]) -> Result<Self> {
        serde_json::from_slice(json).context("`niwaki inspect --json` reports something else")
    }
}

impl fmt::Display for Inspection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} bytes, arena {} bytes, {} multiply-accumulates",
            thousands(self.file_bytes),
            thousands(self.arena_bytes),
            thousands(self.macs)
        )
    }
}

/// A number with its thousands set apart.
pub(crate) fn thousands(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::{Inspection, Validation, thousands};

    const REPORT: &str = r#"{"model": "m", "reference": "r", "homes": [
        {"home": "host", "status": "ok", "reason": null, "samples": 1000, "same_bits": true,
         "self_test": true, "max_abs_error": 0.01, "argmax_agreement": 0.999, "accuracy": 0.9912,
         "reference_accuracy": 0.992, "cost": {"value": 123.4, "unit": "us"}},
        {"home": "qemu:cortex-m4", "status": "ok", "reason": null, "samples": 1000,
         "same_bits": SAME, "self_test": true, "max_abs_error": 0.01, "argmax_agreement": 0.999,
         "accuracy": 0.9912, "reference_accuracy": 0.992,
         "cost": {"value": 1234567, "unit": "instructions"}},
        {"home": "node", "status": "not_run", "reason": "node is not installed", "samples": 0,
         "same_bits": null, "self_test": null, "accuracy": null, "cost": null}]}"#;

    #[test]
    fn a_home_that_differs_is_told_from_one_that_was_not_run() -> anyhow::Result<()> {
        let same = Validation::parse(REPORT.replace("SAME", "true").as_bytes())?;
        let differs = Validation::parse(REPORT.replace("SAME", "false").as_bytes())?;
        assert!(same.all_same() && !differs.all_same());
        let table = same.table().to_string();
        for cell in [
            "99.20 %",
            "99.12 %",
            "0.123 ms",
            "1,234,567 instructions",
            "not run",
        ] {
            assert!(table.contains(cell), "no `{cell}` in\n{table}");
        }
        let reasons: Vec<_> = same.reasons().collect();
        assert_eq!(reasons, ["node was not run: node is not installed"]);
        Ok(())
    }

    #[test]
    fn another_report_is_refused() {
        assert!(Validation::parse(b"{}").is_err());
        assert!(Inspection::parse(b"").is_err());
    }

    #[test]
    fn thousands_are_set_apart() {
        assert_eq!(thousands(0), "0");
        assert_eq!(thousands(999), "999");
        assert_eq!(thousands(1_000), "1,000");
        assert_eq!(thousands(12_345_678), "12,345,678");
    }
}
