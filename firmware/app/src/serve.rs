//! The answer to a request.

use embedded_io::{Error as _, Read, Write};
use niwaki::OperatorSet;

use crate::bench::Bench;
use crate::memory::Buffers;
use crate::wire::{self, ResponseHead, Wanted};
use crate::{Failure, Memory, Meter};

/// Reads a request, runs every sample, and writes the response.
///
/// A model or a session that is refused, and a request that ends before its first sample, are
/// answered with a refusal.
///
/// # Errors
///
/// [`Failure`], for what has been answered with a refusal too. A failure behind the first sample
/// leaves the response cut off.
pub fn serve<S: OperatorSet, const ARENA: usize, const INPUT: usize, const OPERATORS: usize>(
    artifact: &[u8],
    memory: &mut Memory<ARENA, INPUT, OPERATORS>,
    meter: &impl Meter,
    request: &mut impl Read,
    response: &mut impl Write,
) -> Result<(), Failure> {
    let answered = match begin::<S>(artifact, memory.buffers(), meter, request) {
        Ok(begun) => begun.answer(meter, request, response),
        Err(failure) => wire::write_refusal(response, &failure).and(Err(failure)),
    };
    let flushed = response.flush();
    answered.and(flushed.map_err(|error| Failure::Write(error.kind())))
}

/// A request whose first sample has been run, to see what it costs.
struct Begun<'a, S: OperatorSet> {
    bench: Bench<'a, S>,
    wanted: Wanted,
    samples: u32,
    head: ResponseHead,
}

/// Does all that can go wrong for a reason that the response has to name.
fn begin<'a, S: OperatorSet>(
    artifact: &'a [u8],
    buffers: Buffers<'a>,
    meter: &impl Meter,
    request: &mut impl Read,
) -> Result<Begun<'a, S>, Failure> {
    let mut bench = Bench::<S>::open(artifact, buffers)?;
    let (wanted, samples) = wire::read_request_head(request)?;
    let self_test = bench.self_test()?;
    let mut cost = 0;
    if samples > 0 {
        bench.read_sample(request)?;
        bench.load_sample()?;
        cost = bench.measured_run(meter)?;
    }
    let head = ResponseHead {
        self_test,
        operators: bench.model().operator_count(),
        cost,
    };
    Ok(Begun {
        bench,
        wanted,
        samples,
        head,
    })
}

impl<S: OperatorSet> Begun<'_, S> {
    fn answer(
        mut self,
        meter: &impl Meter,
        request: &mut impl Read,
        response: &mut impl Write,
    ) -> Result<(), Failure> {
        self.head.write(response)?;
        for sample in 0..self.samples {
            if sample > 0 {
                self.bench.read_sample(request)?;
            }
            self.bench.load_sample()?;
            match self.wanted {
                Wanted::Results => {
                    self.bench.observed_run()?;
                    self.bench.write_results(response)?;
                }
                Wanted::Costs => {
                    self.bench.profiled_run(meter)?;
                    self.bench.write_costs(response)?;
                }
            }
        }
        Ok(())
    }
}
