//! ONNX's own conformance cases.
//!
//! `conformance.txt` lists the cases that pass. A case of it that fails is an error, and so are a
//! supported operator without a case, a case that panics, and one with other results than
//! expected. `NIWAKI_BLESS=1` writes the list anew.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use niwaki_tests::conformance::{Outcome, Report, cases_in_archive};
use niwaki_tests::{root, shared};
use niwaki_tools::import;

/// Cases that give other results than expected, and why that is right.
const WRONG: &[(&str, &str)] = &[];

/// Operators that no case holds, and what does.
const NO_CASE: &[(&str, &str)] = &[];

fn list() -> PathBuf {
    root().join("tests/conformance.txt")
}

fn run_all() -> Option<Vec<Report>> {
    let folder = shared()?.join("conformance");
    let archive = folder.join("onnx-1.22.0-backend-tests-all.tar.xz");
    let cases = cases_in_archive(&archive, |_| true).unwrap();
    assert!(cases.len() > 1900, "cases are missing in the archive");
    Some(cases.iter().map(|case| case.run().unwrap()).collect())
}

#[test]
fn listed_cases_pass_and_every_operator_has_one() {
    let Some(reports) = run_all() else { return };
    let passed: BTreeSet<&str> = reports
        .iter()
        .filter(|report| report.outcome == Outcome::Passed)
        .map(|report| report.case.as_str())
        .collect();
    let others: BTreeMap<&str, &Outcome> = reports
        .iter()
        .filter(|report| report.outcome != Outcome::Passed)
        .map(|report| (report.case.as_str(), &report.outcome))
        .collect();
    let core = shared().unwrap().join("conformance/edge_core_cases.txt");
    let core = std::fs::read_to_string(core).unwrap();
    let core: Vec<&str> = core.lines().collect();
    println!(
        "{} of {} cases pass; of the {} that matter on small machines {}",
        passed.len(),
        reports.len(),
        core.len(),
        core.iter().filter(|case| passed.contains(*case)).count()
    );
    for (case, outcome) in &others {
        println!("  {case}: {outcome:?}");
    }
    if std::env::var_os("NIWAKI_BLESS").is_some() {
        let lines: Vec<&str> = passed.iter().copied().collect();
        std::fs::write(list(), lines.join("\n") + "\n").unwrap();
    }
    let listed = std::fs::read_to_string(list()).unwrap();
    for case in listed.lines() {
        assert!(passed.contains(case), "{case}: {:?}", others.get(case));
    }
    for (case, outcome) in &others {
        let known = WRONG.iter().any(|(known, _)| known == case);
        assert!(
            matches!(outcome, Outcome::Refused(_)) || known,
            "{case} is a defect: {outcome:?}"
        );
    }
    let listed: BTreeSet<&str> = listed.lines().collect();
    for operator in import::supported() {
        let has = |report: &Report| {
            listed.contains(report.case.as_str()) && report.operators.contains(operator)
        };
        let excused = NO_CASE.iter().any(|(name, _)| *name == operator);
        assert!(
            excused || reports.iter().any(has),
            "operator {operator} is supported, and no listed case has it"
        );
    }
}
