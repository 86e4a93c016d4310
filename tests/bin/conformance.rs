//! Runs ONNX's conformance cases and writes what came of them. `cargo xtask conformance` gets the
//! cases and calls this.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::io::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Result;
use clap::Parser;
use niwaki_tests::conformance::{Outcome, Report, cases_in_folder};
use niwaki_tools::data::write_beside;
use niwaki_tools::{import, progress};

/// Run the ONNX backend tests.
#[derive(Parser)]
struct Arguments {
    /// The folder with the suites, `onnx/backend/test/data` of the Python package.
    #[arg(long)]
    cases: PathBuf,
    /// Where the list of all cases with their results goes.
    #[arg(long, value_name = "OUT.json")]
    json: Option<PathBuf>,
    /// Where the page for people goes.
    #[arg(long, value_name = "PAGE.md")]
    page: Option<PathBuf>,
}

fn main() -> Result<ExitCode> {
    let arguments = Arguments::parse();
    let cases = cases_in_folder(&arguments.cases)?;
    // A panic is reported as the case's result.
    std::panic::set_hook(Box::new(|_| {}));
    let bar = progress::bar("cases", cases.len());
    let mut reports = Vec::new();
    for case in &cases {
        reports.push(case.run()?);
        bar.inc(1);
    }
    bar.finish_and_clear();
    if let Some(path) = &arguments.json {
        let json = serde_json::to_string_pretty(&reports)?;
        write_beside(path, |file| Ok(writeln!(file, "{json}")?))?;
    }
    if let Some(path) = &arguments.page {
        write_beside(path, |file| Ok(file.write_all(page(&reports).as_bytes())?))?;
    }
    let count =
        |wanted: fn(&Outcome) -> bool| reports.iter().filter(|r| wanted(&r.outcome)).count();
    let (passed, refused) = (
        count(|outcome| *outcome == Outcome::Passed),
        count(|outcome| matches!(outcome, Outcome::Refused(_))),
    );
    let defects = reports.len() - passed - refused;
    println!(
        "{passed} of {} cases pass, {refused} are refused by name, {defects} are wrong",
        reports.len()
    );
    for report in &reports {
        if let Outcome::Wrong(reason) | Outcome::Panicked(reason) = &report.outcome {
            println!("  {}: {reason}", report.case);
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// What one operator's cases gave.
#[derive(Default)]
struct Row<'r> {
    opsets: BTreeSet<i64>,
    types: BTreeSet<&'static str>,
    passed: usize,
    others: Vec<&'r Report>,
}

/// The page for people: a table of the supported operators, and every case that does not pass.
fn page(reports: &[Report]) -> String {
    let mut rows: BTreeMap<&str, Row<'_>> = BTreeMap::new();
    for report in reports {
        for operator in &report.operators {
            let row = rows.entry(operator).or_default();
            if report.outcome == Outcome::Passed {
                row.passed += 1;
                row.opsets.insert(report.opset);
                row.types.extend(&report.types);
            } else {
                row.others.push(report);
            }
        }
    }
    let supported: BTreeSet<&str> = import::supported().collect();
    let total = reports.len();
    let passed = reports.iter().filter(|r| r.outcome == Outcome::Passed);
    let mut text = format!(
        "# Operators\n\n\
         Written by `cargo xtask conformance`, which runs the backend tests of the `onnx` 1.22.0 \
         package: {} of {total} cases pass. Inputs that say how to compute (shapes, axes, scales, \
         weights where the operator wants them constant) are taken as constants from the case. \
         Floats are compared as ONNX's own runner does (relative 1e-3, absolute 1e-7), integers have \
         to be equal.\n\n\
         An operator counts for each case whose model has it. Opsets and types are those of the \
         cases that pass. What is refused is refused by the compiler, with the reason below.\n\n\
         ## Supported\n\n\
         | operator | opsets | types | pass | do not |\n|---|---|---|---:|---:|\n",
        passed.count()
    );
    for name in &supported {
        let empty = Row::default();
        let row = rows.get(name).unwrap_or(&empty);
        let opsets: Vec<String> = row.opsets.iter().map(ToString::to_string).collect();
        let types: Vec<&str> = row.types.iter().copied().collect();
        let _ = writeln!(
            text,
            "| {name} | {} | {} | {} | {} |",
            opsets.join(", "),
            types.join(", "),
            row.passed,
            row.others.len()
        );
    }
    let microsoft: Vec<&str> = import::supported_microsoft().collect();
    let _ = writeln!(
        text,
        "\nOf onnxruntime's own operators (domain `com.microsoft`, for which the `onnx` package has no \
         cases; `tests/quantized` has): {}.",
        microsoft.join(", ")
    );
    text.push_str(
        "\n## Cases of supported operators that do not pass\n\n| case | why |\n|---|---|\n",
    );
    let ours = |report: &&Report| {
        report
            .operators
            .iter()
            .all(|op| supported.contains(op.as_str()))
    };
    for report in reports.iter().filter(ours) {
        let reason = match &report.outcome {
            Outcome::Passed => continue,
            Outcome::Refused(reason) => reason.clone(),
            Outcome::Wrong(reason) => format!("**wrong:** {reason}"),
            Outcome::Panicked(reason) => format!("**panics:** {reason}"),
        };
        let reason = reason.replace('|', "\\|").replace('\n', " ");
        let _ = writeln!(text, "| {} | {reason} |", report.case);
    }
    let others: BTreeSet<&str> = rows.keys().copied().collect();
    let others: Vec<&str> = others.difference(&supported).copied().collect();
    let _ = writeln!(
        text,
        "\n## Not supported\n\n{} operators of the cases: {}.",
        others.len(),
        others.join(", ")
    );
    text
}
