//! The gate: instructions and code of the reference models must not grow unnoticed.

use std::collections::BTreeMap;
use std::fs;

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};

use crate::paths;
use crate::paths::write_beside;
use crate::report::thousands;

/// The figures that a commit is held against.
pub(super) const FILE: &str = "docs/bench-gate.json";

/// By how many percent a figure may grow.
const TOLERANCE: u64 = 2;

/// What one model costs at one home.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Figures {
    /// Executed instructions of one run.
    pub(super) instructions: u64,
    /// Machine code and constants of the image, less the model.
    pub(super) code_bytes: u64,
}

/// Figures by home and by model.
pub(super) type Table = BTreeMap<String, BTreeMap<String, Figures>>;

/// Reads the figures in the repository.
///
/// # Errors
///
/// When the file is not there or is something else.
pub(super) fn read() -> Result<Table> {
    let text = fs::read(paths::root().join(FILE)).with_context(|| {
        format!("cannot read {FILE}: `cargo xtask bench --gate --bless` writes it")
    })?;
    serde_json::from_slice(&text).with_context(|| format!("{FILE} is no table of figures"))
}

/// Writes the figures that were found; those of models that are not on this machine stay.
///
/// # Errors
///
/// When the file cannot be written.
pub(super) fn bless(found: &Table) -> Result<()> {
    let mut table = read().unwrap_or_default();
    for (home, models) in found {
        table
            .entry(home.clone())
            .or_default()
            .extend(models.clone());
    }
    let json = serde_json::to_string_pretty(&table)? + "\n";
    write_beside(&paths::root().join(FILE), json.as_bytes())?;
    println!("{FILE} is written: say in the commit's message why a figure has grown");
    Ok(())
}

/// What is wrong with the figures that were found, one line for each.
pub(super) fn complaints(blessed: &Table, found: &Table) -> Vec<String> {
    let mut complaints = Vec::new();
    for (home, models) in found {
        for (model, now) in models {
            let Some(then) = blessed.get(home).and_then(|models| models.get(model)) else {
                complaints.push(format!("{model} on {home} is not in {FILE}"));
                continue;
            };
            for (what, then, now) in [
                ("instructions", then.instructions, now.instructions),
                ("bytes of code", then.code_bytes, now.code_bytes),
            ] {
                if now * 100 > then * (100 + TOLERANCE) {
                    let percent = now as f64 / then as f64 * 100.0 - 100.0;
                    complaints.push(format!(
                        "{model} on {home}: {} {what}, {percent:.1} % more than the {} of {FILE}",
                        thousands(now),
                        thousands(then)
                    ));
                }
            }
        }
    }
    complaints
}

#[cfg(test)]
mod tests {
    use super::{Figures, Table, complaints};
    use std::collections::BTreeMap;

    fn table(instructions: u64, code_bytes: u64) -> Table {
        let figures = Figures {
            instructions,
            code_bytes,
        };
        let models = BTreeMap::from([("digits".to_owned(), figures)]);
        BTreeMap::from([("qemu:cortex-m4".to_owned(), models)])
    }

    #[test]
    fn two_percent_are_forgiven_and_no_more() {
        let blessed = table(1_000_000, 50_000);
        assert!(complaints(&blessed, &table(1_020_000, 51_000)).is_empty());
        assert!(complaints(&blessed, &table(500_000, 10_000)).is_empty());
        let slower = complaints(&blessed, &table(1_020_001, 51_000));
        let [line] = &slower[..] else {
            panic!("{slower:?}")
        };
        for part in [
            "digits",
            "qemu:cortex-m4",
            "1,020,001",
            "1,000,000",
            "2.0 %",
        ] {
            assert!(line.contains(part), "{line}");
        }
        assert_eq!(complaints(&blessed, &table(2_000_000, 60_000)).len(), 2);
    }

    #[test]
    fn what_was_never_blessed_is_named() {
        let found = complaints(&Table::new(), &table(1, 1));
        assert!(found[0].contains("is not in"), "{found:?}");
    }
}
