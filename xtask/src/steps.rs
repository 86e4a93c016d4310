//! A list of checks, each announced, timed and named at the end.

use std::time::Instant;

use anyhow::Result;

/// How a check has ended that found nothing wrong.
pub(crate) enum Outcome {
    /// It ran.
    Passed,
    /// It could not run, for this reason.
    Skipped(String),
}

/// A name and what to do under it.
pub(crate) struct Step<'a> {
    name: &'static str,
    check: Box<dyn FnOnce() -> Result<Outcome> + 'a>,
}

impl<'a> Step<'a> {
    /// A step that always runs.
    pub(crate) fn new(name: &'static str, check: impl FnOnce() -> Result<()> + 'a) -> Self {
        Self::optional(name, move || check().map(|()| Outcome::Passed))
    }

    /// A step that may find that it cannot run here.
    pub(crate) fn optional(
        name: &'static str,
        check: impl FnOnce() -> Result<Outcome> + 'a,
    ) -> Self {
        Self {
            name,
            check: Box::new(check),
        }
    }
}

/// Takes the steps in order up to the first that fails, sums up, and tells whether all is well.
///
/// Later steps use what earlier ones have built, so their failures would only repeat the first.
pub(crate) fn run(steps: Vec<Step<'_>>) -> bool {
    let total = steps.len();
    let (mut passed, mut failed) = (0, 0);
    let mut summary = Vec::new();
    for (number, Step { name, check }) in (1..).zip(steps) {
        eprintln!("\n== {number}/{total} {name}");
        let start = Instant::now();
        let outcome = check();
        let seconds = start.elapsed().as_secs_f64();
        let verdict = match &outcome {
            Ok(Outcome::Passed) => {
                passed += 1;
                "passed".to_owned()
            }
            Ok(Outcome::Skipped(reason)) => format!("skipped: {reason}"),
            Err(error) => {
                failed += 1;
                eprintln!("error: {error:#}");
                "FAILED".to_owned()
            }
        };
        summary.push(format!("{seconds:8.1} s  {name}: {verdict}"));
        if outcome.is_err() {
            break;
        }
    }
    println!();
    for line in &summary {
        println!("{line}");
    }
    if summary.len() < total {
        println!(
            "{:>10}  {} steps behind the failure were not taken",
            "",
            total - summary.len()
        );
    }
    println!("{passed} passed, {failed} failed");
    failed == 0
}

#[cfg(test)]
mod tests {
    use super::{Outcome, Step, run};
    use anyhow::bail;
    use std::cell::Cell;

    #[test]
    fn the_first_failure_ends_the_list() {
        let taken = Cell::new(0);
        let count = || {
            taken.set(taken.get() + 1);
            Ok(())
        };
        assert!(run(vec![
            Step::new("one", count),
            Step::optional("two", || Ok(Outcome::Skipped("not here".to_owned()))),
            Step::new("three", count),
        ]));
        assert_eq!(taken.get(), 2);
        assert!(!run(vec![
            Step::new("wrong", || bail!("on purpose")),
            Step::new("never", count),
        ]));
        assert_eq!(taken.get(), 2);
    }
}
