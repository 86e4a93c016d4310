//! A model at work, without JavaScript.

use core::fmt;

use niwaki::artifact::Tensor;
use niwaki::{Model, OwnedModel, Progress, Session};

use crate::buffer::{AlignedBytes, zeroed_words};
use crate::{Error, Port};

/// A checked model, its inputs and its arena.
///
/// The runtime keeps inputs in the arena and uses their place again during a run. Here they are
/// kept beside it, so that a second run computes the same again, which is what a caller expects
/// who is not counting kilobytes.
pub struct Instance {
    model: OwnedModel<AlignedBytes>,
    arena: Vec<u32>,
    /// The bytes of each input, once they are set.
    inputs: Vec<Option<Vec<u8>>>,
    /// Whether the arena holds the outputs of a run on the inputs.
    has_run: bool,
    /// How far the run has come that is made piece by piece.
    progress: Progress,
}

impl Instance {
    /// Checks a copy of the bytes of an artifact and makes room to run it.
    ///
    /// # Errors
    ///
    /// [`Error::Load`] and [`Error::OutOfMemory`].
    pub fn new(bytes: &[u8]) -> Result<Self, Error> {
        let model = OwnedModel::new(AlignedBytes::copy_of(bytes)?)?;
        let arena = zeroed_words(model.model().arena_bytes())?;
        let inputs = vec![None; model.model().input_count()];
        Ok(Self {
            model,
            arena,
            inputs,
            has_run: false,
            progress: Progress::default(),
        })
    }

    /// The model.
    pub fn model(&self) -> Model<'_> {
        self.model.model()
    }

    /// The tensor of input `i`.
    ///
    /// # Errors
    ///
    /// [`Error::NoSuchInput`].
    pub fn input(&self, i: usize) -> Result<Tensor, Error> {
        self.model().input(i).ok_or_else(|| self.no_such_input(i))
    }

    /// The tensor of output `i`.
    ///
    /// # Errors
    ///
    /// [`Error::NoSuchOutput`].
    pub fn output_tensor(&self, i: usize) -> Result<Tensor, Error> {
        self.model().output(i).ok_or_else(|| self.no_such_output(i))
    }

    /// The description of input `i`.
    ///
    /// # Errors
    ///
    /// [`Error::NoSuchInput`].
    pub fn input_port(&self, i: usize) -> Result<Port, Error> {
        let model = self.model();
        let port = model.input_port(i).ok_or_else(|| self.no_such_input(i))?;
        Ok(Port::new(&model, &port, &self.input(i)?))
    }

    /// The description of output `i`.
    ///
    /// # Errors
    ///
    /// [`Error::NoSuchOutput`].
    pub fn output_port(&self, i: usize) -> Result<Port, Error> {
        let model = self.model();
        let port = model.output_port(i).ok_or_else(|| self.no_such_output(i))?;
        Ok(Port::new(&model, &port, &self.output_tensor(i)?))
    }

    fn no_such_input(&self, index: usize) -> Error {
        Error::NoSuchInput {
            index,
            count: self.model().input_count(),
        }
    }

    fn no_such_output(&self, index: usize) -> Error {
        Error::NoSuchOutput {
            index,
            count: self.model().output_count(),
        }
    }

    /// Sets the bytes of input `i`. They stay until they are set again.
    ///
    /// # Errors
    ///
    /// [`Error::NoSuchInput`] and [`Error::InputLength`].
    pub fn set_input(&mut self, i: usize, bytes: &[u8]) -> Result<(), Error> {
        let needed = self.input(i)?.byte_len();
        if bytes.len() != needed {
            return Err(Error::InputLength {
                index: i,
                needed,
                found: bytes.len(),
            });
        }
        let missing = self.no_such_input(i);
        let input = self.inputs.get_mut(i).ok_or(missing)?;
        let input = input.get_or_insert_default();
        input.clear();
        input.extend_from_slice(bytes);
        Ok(())
    }

    /// Computes the outputs from the inputs.
    ///
    /// # Errors
    ///
    /// [`Error::InputNotSet`] before every input was set, and [`Error::Run`].
    pub fn run(&mut self) -> Result<(), Error> {
        self.loaded_session()?.run()?;
        self.has_run = true;
        Ok(())
    }

    /// Does the next piece of a run, see [`Session::step`]. Gives the operator's index; `None` when
    /// the run is over and the outputs are there. Any other kind of run gives this one up.
    ///
    /// # Errors
    ///
    /// Those of [`Instance::run`].
    pub fn step(&mut self) -> Result<Option<usize>, Error> {
        let mut progress = self.progress;
        let mut session = if progress == Progress::default() {
            self.loaded_session()?
        } else {
            self.session()?
        };
        let operator = session.step(&mut progress)?;
        self.progress = progress;
        self.has_run = operator.is_none();
        Ok(operator)
    }

    /// Computes the outputs from the inputs, and the digest of every operator's output.
    ///
    /// # Errors
    ///
    /// Those of [`Instance::run`].
    pub fn run_with_digests(&mut self) -> Result<Vec<u64>, Error> {
        let mut digests = Vec::with_capacity(self.model().operator_count());
        self.loaded_session()?
            .run_digests(&mut |_, digest| digests.push(digest.0))?;
        self.has_run = true;
        Ok(digests)
    }

    /// The bytes of output `i` of the last run.
    ///
    /// # Errors
    ///
    /// [`Error::NoSuchOutput`], and [`Error::NotRun`] when no run has succeeded since the model
    /// was loaded or tested itself.
    pub fn output(&mut self, i: usize) -> Result<Vec<u8>, Error> {
        self.output_tensor(i)?;
        if !self.has_run {
            return Err(Error::NotRun);
        }
        Ok(self.session()?.output(i)?.to_vec())
    }

    /// Runs the golden vector: `None` when every operator's output is what the compiler stored,
    /// or nothing is stored; otherwise the first operator that differs. Drops the outputs.
    ///
    /// # Errors
    ///
    /// [`Error::Run`].
    pub fn self_test(&mut self) -> Result<Option<usize>, Error> {
        self.has_run = false;
        self.progress = Progress::default();
        Ok(self.session()?.self_test()?)
    }

    fn session(&mut self) -> Result<Session<'_, '_>, Error> {
        let arena = niwaki::as_bytes_mut(&mut self.arena);
        Ok(Session::new(&self.model.model(), arena)?)
    }

    /// A session that has its inputs.
    fn loaded_session(&mut self) -> Result<Session<'_, '_>, Error> {
        if let Some(index) = self.inputs.iter().position(Option::is_none) {
            return Err(Error::InputNotSet { index });
        }
        self.has_run = false;
        self.progress = Progress::default();
        let arena = niwaki::as_bytes_mut(&mut self.arena);
        let mut session = Session::new(&self.model.model(), arena)?;
        for (index, bytes) in self.inputs.iter().flatten().enumerate() {
            // `set_input` has compared the lengths.
            session.input_mut(index)?.copy_from_slice(bytes);
        }
        Ok(session)
    }
}

impl fmt::Debug for Instance {
    /// Leaves the memory out: it would be megabytes.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Instance")
            .field("model", &self.model)
            .field("has_run", &self.has_run)
            .finish_non_exhaustive()
    }
}
