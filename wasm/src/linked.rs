//! The operators, as a table in memory.

use niwaki::ops::{Check, Codes, ENTRIES, Entry, Memory, Overlap, Steps};
use niwaki::{Fault, OperatorSet, Rule};

/// What stands at a code that no operator has.
const NONE: Entry = Entry {
    code: 0,
    name: "",
    check: |check| Err(Rule::UnknownOperator(check.code())),
    run: |_| Err(Fault),
    steps: |_| None,
    overlap: |_, _| None,
};

/// One row for each code up to the largest.
pub(crate) const ROWS: usize = {
    let (mut rows, mut i) = (0, 0);
    while i < ENTRIES.len() {
        if rows <= ENTRIES[i].code as usize {
            rows = ENTRIES[i].code as usize + 1;
        }
        i += 1;
    }
    rows
};

/// The operators by their codes. Row 0 is [`NONE`], as no operator has the code 0: a package for
/// one model is made by laying that row over those of all operators that the model does not use
/// (`tools/src/web/specialise.rs`), whose code then belongs to nobody and goes.
///
/// Exported, for that purpose alone.
#[cfg_attr(
    target_family = "wasm",
    unsafe(no_mangle),
    allow(unsafe_code, reason = "one module has one name for one thing")
)]
pub(crate) static NIWAKI_OPERATORS: [Entry; ROWS] = {
    let mut rows = [NONE; ROWS];
    let mut i = 0;
    while i < ENTRIES.len() {
        rows[ENTRIES[i].code as usize] = ENTRIES[i];
        i += 1;
    }
    rows
};

/// The operators in `NIWAKI_OPERATORS`.
#[derive(Debug)]
pub struct Linked;

fn entry(code: u16) -> &'static Entry {
    NIWAKI_OPERATORS.get(usize::from(code)).unwrap_or(&NONE)
}

impl OperatorSet for Linked {
    /// What the table has is known when a module is cut, and not here.
    const CODES: Codes = Codes::ALL;

    fn check(check: &Check<'_>) -> Result<(), Rule> {
        (entry(check.code()).check)(check)
    }

    fn run(memory: &mut Memory<'_, '_>) -> Result<(), Fault> {
        (entry(memory.code()).run)(memory)
    }

    fn steps(check: &Check<'_>) -> Option<Steps> {
        (entry(check.code()).steps)(check)
    }

    fn overlap(check: &Check<'_>, i: usize) -> Option<Overlap> {
        (entry(check.code()).overlap)(check, i)
    }

    /// Nobody counts here: it is the compiler's to say.
    fn macs(_: &Check<'_>) -> u64 {
        0
    }

    fn weight_bytes(_: &Check<'_>) -> u64 {
        0
    }

    fn name(code: u16) -> Option<&'static str> {
        Some(entry(code).name).filter(|name| !name.is_empty())
    }
}
