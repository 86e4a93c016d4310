//! A session and the buffers beside its arena.

use embedded_io::{Read, Write};
use niwaki::artifact::Golden;
use niwaki::{Model, OperatorSet, RunError, Session};

use crate::memory::Buffers;
use crate::meter::{Meter, niwaki_run_begin, niwaki_run_end};
use crate::{Failure, wire};

/// A model at work, one sample at a time.
pub(crate) struct Bench<'a, S: OperatorSet> {
    session: Session<'a, 'a, S>,
    sample: &'a mut [u8],
    /// One digest for each operator, or one cost: little-endian.
    digests: &'a mut [[u8; 8]],
}

impl<'a, S: OperatorSet> Bench<'a, S> {
    /// Opens the model in buffers that were laid out for it.
    pub(crate) fn open(artifact: &'a [u8], buffers: Buffers<'a>) -> Result<Self, Failure> {
        let model = Model::<S>::new(artifact)?;
        let inputs = (0..model.input_count()).filter_map(|i| model.input(i));
        let sample_bytes: usize = inputs.map(|tensor| tensor.byte_len()).sum();
        if buffers.sample.len() != sample_bytes || buffers.digests.len() != model.operator_count() {
            return Err(Failure::OtherModel);
        }
        Ok(Self::of(&model, buffers)?)
    }

    /// Takes a model that has been checked. Where there are fewer digests than operators, those of
    /// the last operators are dropped.
    pub(crate) fn of(model: &Model<'a, S>, buffers: Buffers<'a>) -> Result<Self, RunError> {
        let Buffers {
            arena,
            sample,
            digests,
        } = buffers;
        Ok(Self {
            session: Session::new(model, arena)?,
            sample,
            digests,
        })
    }

    /// The session, to write inputs and to read outputs.
    pub(crate) fn session(&mut self) -> &mut Session<'a, 'a, S> {
        &mut self.session
    }

    /// The model.
    pub(crate) fn model(&self) -> &Model<'a, S> {
        self.session.model()
    }

    /// See [`Session::self_test`]. Destroys the inputs.
    pub(crate) fn self_test(&mut self) -> Result<Option<usize>, RunError> {
        self.session.self_test()
    }

    /// Takes the next sample, the bytes of all inputs in their order, from a request.
    pub(crate) fn read_sample(&mut self, request: &mut impl Read) -> Result<(), Failure> {
        wire::read(request, self.sample)
    }

    /// Copies the sample to the inputs, which have to be written before each run.
    pub(crate) fn load_sample(&mut self) -> Result<(), Failure> {
        let mut rest = &*self.sample;
        for i in 0..self.session.model().input_count() {
            let input = self.session.input_mut(i)?;
            let (bytes, behind) = rest
                .split_at_checked(input.len())
                .ok_or(Failure::OtherModel)?;
            input.copy_from_slice(bytes);
            rest = behind;
        }
        Ok(())
    }

    /// Fills the inputs with those of the golden vector, or with others like them.
    pub(crate) fn load_golden_inputs(&mut self) -> Result<(), RunError> {
        let golden = Golden::open(self.model().golden()).unwrap_or_default();
        self.session.fill_golden_inputs(golden.seed)
    }

    /// Runs once, without an observer, and gives what it took.
    pub(crate) fn measured_run(&mut self, meter: &impl Meter) -> Result<u64, RunError> {
        let start = meter.now();
        niwaki_run_begin();
        let result = self.session.run();
        niwaki_run_end();
        let cost = meter.now().saturating_sub(start);
        result.map(|()| cost)
    }

    /// Runs once and keeps the digest of each operator's output.
    pub(crate) fn observed_run(&mut self) -> Result<(), RunError> {
        let digests = &mut *self.digests;
        self.session.run_digests(&mut |operator, digest| {
            if let Some(place) = digests.get_mut(operator) {
                *place = digest.0.to_le_bytes();
            }
        })
    }

    /// Runs once and keeps the cost of each operator, all strips of it together. What an observer
    /// costs is counted too, some hundred instructions for each operator and strip.
    pub(crate) fn profiled_run(&mut self, meter: &impl Meter) -> Result<(), RunError> {
        let costs = &mut *self.digests;
        costs.fill([0; 8]);
        let mut start = meter.now();
        self.session.run_observed(&mut |operator, _, _| {
            let now = meter.now();
            if let Some(place) = costs.get_mut(operator) {
                let cost = u64::from_le_bytes(*place).saturating_add(now.saturating_sub(start));
                *place = cost.to_le_bytes();
            }
            start = now;
        })
    }

    /// Writes the costs of the last profiled run.
    pub(crate) fn write_costs(&self, response: &mut impl Write) -> Result<(), Failure> {
        wire::write(response, self.digests.as_flattened())
    }

    /// Writes the outputs and digests of the last observed run.
    pub(crate) fn write_results(&self, response: &mut impl Write) -> Result<(), Failure> {
        for i in 0..self.model().output_count() {
            wire::write(response, self.session.output(i)?)?;
        }
        wire::write(response, self.digests.as_flattened())
    }
}
