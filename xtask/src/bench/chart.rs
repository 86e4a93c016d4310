//! The chart of the README: time beside other engines, as bars.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use anyhow::{Context, Result, ensure};

use super::{Report, Row};
use crate::paths;
use crate::paths::write_beside;

const FILE: &str = "docs/bench.svg";

/// Sizes in pixels.
const WIDTH: f64 = 760.0;
const BARS_AT: f64 = 230.0;
const BARS_WIDTH: f64 = 420.0;
const LINE: f64 = 18.0;

/// The longest bar, in multiples of niwaki's; longer ones are cut, and their figures tell.
const LONGEST: f64 = 8.0;

/// Draws the rows of a report that have a time.
///
/// # Errors
///
/// When the report cannot be read or has no such rows.
pub(super) fn draw(from: &Path) -> Result<()> {
    let name = from.display();
    let text = fs::read(from).with_context(|| format!("cannot read {name}"))?;
    let report: Report = serde_json::from_slice(&text)
        .with_context(|| format!("{name} is no report of `cargo xtask bench --json`"))?;
    let svg = svg(&report).with_context(|| format!("{name} cannot be drawn"))?;
    write_beside(&paths::root().join(FILE), svg.as_bytes())?;
    println!("{FILE} is written");
    Ok(())
}

/// The picture. Every group of bars, a model at a home, is drawn to niwaki's time in it.
fn svg(report: &Report) -> Result<String> {
    let timed: Vec<&Row> = report
        .rows
        .iter()
        .filter(|row| row.microseconds.is_some())
        .collect();
    ensure!(!timed.is_empty(), "no row has a time: measure with --peers");
    let mut body = String::new();
    let mut y = 58.0;
    let mut seen = BTreeSet::new();
    for first in &timed {
        if !seen.insert((&first.home, &first.model)) {
            continue;
        }
        let group = || {
            let same = |row: &&&Row| row.home == first.home && row.model == first.model;
            timed.iter().filter(same)
        };
        let own = group()
            .find(|row| row.engine == "niwaki")
            .and_then(|row| row.microseconds);
        let own = own.context("a model has no row of niwaki's")?;
        let _ = writeln!(
            body,
            "<text class=\"head\" x=\"16\" y=\"{:.0}\">{}, {}</text>",
            y + 13.0,
            escaped(&first.model),
            escaped(&first.home)
        );
        for row in group() {
            let time = row.microseconds.unwrap_or(0.0);
            let bar = (time / own).min(LONGEST) / LONGEST * BARS_WIDTH;
            let class = if row.engine == "niwaki" {
                "own"
            } else {
                "peer"
            };
            let cut = if time / own > LONGEST { " …" } else { "" };
            let _ = writeln!(
                body,
                "<text x=\"{:.0}\" y=\"{:.0}\" text-anchor=\"end\">{}</text>\
                 <rect class=\"{class}\" x=\"{BARS_AT:.0}\" y=\"{:.0}\" width=\"{bar:.1}\" height=\"12\"/>\
                 <text x=\"{:.1}\" y=\"{:.0}\">{time:.1} µs{cut}</text>",
                BARS_AT - 8.0,
                y + 13.0,
                escaped(&row.engine),
                y + 3.0,
                BARS_AT + bar + 6.0,
                y + 13.0,
            );
            y += LINE;
        }
        y += 10.0;
    }
    let height = y + 6.0;
    Ok(format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{WIDTH:.0}\" height=\"{height:.0}\" \
         viewBox=\"0 0 {WIDTH:.0} {height:.0}\" role=\"img\">\n\
         <title>Time of one inference, int8, one thread</title>\n\
         <style>text{{font:12px system-ui,sans-serif;fill:#24292f}}.title{{font-weight:600;font-size:15px}}\
         .head{{font-weight:600}}.own{{fill:#2f7d4f}}.peer{{fill:#9aa4ae}}\
         @media(prefers-color-scheme:dark){{text{{fill:#d6dce2}}.own{{fill:#58b37d}}.peer{{fill:#66707a}}}}\
         </style>\n\
         <text class=\"title\" x=\"16\" y=\"22\">Time of one inference, int8, one thread: shorter is better</text>\n\
         <text x=\"16\" y=\"42\">{}; each group to its own scale</text>\n{body}</svg>\n",
        escaped(&report.machine.cpu)
    ))
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
}
