//! What a board can say about itself without a request.

use core::fmt;

use niwaki::OperatorSet;

use crate::bench::Bench;
use crate::{Failure, Memory, Meter};

/// The outcome of a [`self_check`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Report {
    /// Whether the artifact has a golden vector to compare with.
    pub golden: bool,
    /// The first operator whose output is not the golden one.
    pub first_difference: Option<usize>,
    /// Instructions or cycles of one run.
    pub cost: u64,
}

impl Report {
    /// True when no operator differs.
    pub fn passed(&self) -> bool {
        self.first_difference.is_none()
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.golden, self.first_difference) {
            (false, _) => f.write_str("no golden vector in this model")?,
            (true, None) => f.write_str("self-test passed, every layer has its golden bits")?,
            (true, Some(i)) => write!(f, "self-test failed, operator {i} is the first to differ")?,
        }
        write!(f, "; one run counts {}", self.cost)
    }
}

/// Runs the artifact's golden vector, then measures one run of the same inputs.
///
/// # Errors
///
/// [`Failure::Load`], [`Failure::OtherModel`] or [`Failure::Run`].
pub fn self_check<
    S: OperatorSet,
    const ARENA: usize,
    const INPUT: usize,
    const OPERATORS: usize,
>(
    artifact: &[u8],
    memory: &mut Memory<ARENA, INPUT, OPERATORS>,
    meter: &impl Meter,
) -> Result<Report, Failure> {
    let mut bench = Bench::<S>::open(artifact, memory.buffers())?;
    let golden = !bench.model().golden().is_empty();
    let first_difference = bench.self_test()?;
    bench.load_golden_inputs()?;
    let cost = bench.measured_run(meter)?;
    Ok(Report {
        golden,
        first_difference,
        cost,
    })
}
