//! What each request does.

use niwaki::artifact::{DataType, Port, Storage, Tensor};
use niwaki::{FORMAT_VERSION, Model, NUMERICS_VERSION, OperatorSet, RunError, Session};
use niwaki_wire::{
    Answer, Error, Info, ModelInfo, Record, Reply, Request, Side, Source, Statistics, piece_bytes,
};

use super::refusal::{load, of_run};
use super::watch::Watch;
use super::{Board, ModelStore, bench};

/// Bytes of names in answers.
const BOARD_NAME_BYTES: usize = 32;
const PORT_NAME_BYTES: usize = 64;

/// The model, its memory and its store: all that a request can be about.
#[derive(Debug)]
pub(super) struct Core<'a, S: OperatorSet, T> {
    pub(super) store: T,
    model: Option<(Model<'a, S>, &'a [u8], Source)>,
    arena: &'a mut [u8],
    digests: &'a mut [[u8; 8]],
    pub(super) refused: Option<Error>,
    /// A model is to be changed, for which the board starts anew.
    pub(super) restart: bool,
    /// How far a host has come with the inputs.
    input: Position,
    /// What the outputs in the arena belong to.
    recorded: Option<Record>,
    /// Bytes of the upload that have come.
    upload: u32,
    watch: Watch,
    pub(super) dropped_samples: u32,
}

/// Where the next piece of a sample goes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Position {
    input: u16,
    offset: u32,
    /// Bytes of all inputs up to here.
    total: u32,
}

impl<'a, S: OperatorSet, T: ModelStore> Core<'a, S, T> {
    pub(super) fn new(store: T, arena: &'a mut [u8], digests: &'a mut [[u8; 8]]) -> Self {
        Self {
            store,
            model: None,
            arena,
            digests,
            refused: None,
            restart: false,
            input: Position::default(),
            recorded: None,
            upload: 0,
            watch: Watch::default(),
            dropped_samples: 0,
        }
    }

    pub(super) fn model(&self) -> Option<&Model<'a, S>> {
        self.model.as_ref().map(|(model, ..)| model)
    }

    /// Takes a model that suits this image and passes its self-test.
    pub(super) fn take(&mut self, bytes: &'a [u8], source: Source) -> Result<(), Error> {
        let model = load::<S>(bytes, self.arena.len())?;
        self_test(&model, self.arena)?;
        self.model = Some((model, bytes, source));
        Ok(())
    }

    /// Ends what a host has begun.
    pub(super) fn forget_host(&mut self) {
        self.input = Position::default();
        self.recorded = None;
    }

    /// Runs the model on a sample that does not come from a host.
    pub(super) fn infer(
        &mut self,
        board: &impl Board,
        fill: impl FnOnce(&mut Session<'_, '_, S>) -> Result<(), RunError>,
        read: impl FnOnce(&Session<'_, '_, S>),
    ) -> Result<u64, Error> {
        self.forget_host();
        let model = self.model.as_ref().map(|(model, ..)| model);
        let mut bench = bench(model, self.arena, self.digests)?;
        fill(bench.session()).map_err(of_run)?;
        self.watch.look_at_inputs(bench.session());
        let cost = bench.measured_run(board).map_err(of_run)?;
        self.watch.look_at_output(bench.session());
        self.watch.measured(cost);
        read(bench.session());
        Ok(cost)
    }

    /// Does what a request asks for and sends one answer.
    pub(super) fn answer(
        &mut self,
        request: Request<'_>,
        board: &impl Board,
        link: (u32, u32),
        payload: usize,
        send: &mut impl FnMut(&Answer<'_>),
    ) {
        let piece = piece_bytes(payload);
        let answer = match request {
            // The owner of the session has them answered before.
            Request::Hello { .. } | Request::Bye => Ok(Reply::Done),
            Request::Info => Ok(Reply::Info(self.info(board))),
            Request::Port { side, index } => self.port(side, index),
            Request::Input {
                input,
                offset,
                bytes,
            } => self.input(input, offset, bytes),
            Request::Run { record } => self.run(record, board),
            Request::Output { output, offset } => self.output(output, offset, piece),
            Request::SelfTest => self.self_test(),
            Request::Profile { from } => self.page(Record::Costs, from, piece),
            Request::Digests { from } => self.page(Record::Digests, from, piece),
            Request::Statistics => Ok(Reply::Statistics(self.statistics(board, link))),
            Request::InputStatistics { input } => self
                .model()
                .filter(|model| usize::from(input) < model.input_count())
                .and_then(|_| self.watch.input(input.into()))
                .map(Reply::InputStatistics)
                .ok_or(Error::NoSuchPort),
            Request::UploadBegin { manifest } => self.upload_begin(manifest),
            Request::UploadChunk { offset, bytes } => self.upload_chunk(offset, bytes),
            Request::UploadEnd => self.upload_end(),
            Request::Activate => self.activate(),
            Request::RollBack => self.store.roll_back().map(|()| {
                self.restart = true;
                Reply::Done
            }),
        };
        send(&answer);
    }

    fn info(&self, board: &impl Board) -> Info<'static> {
        let model = self.model.as_ref().map(|(model, bytes, source)| ModelInfo {
            source: *source,
            sha256: stored_sha256(bytes),
            file_bytes: model.file_bytes() as u32,
            arena_bytes: model.arena_bytes() as u32,
            operators: model.operator_count() as u32,
            inputs: model.input_count() as u16,
            outputs: model.output_count() as u16,
        });
        Info {
            board: cut(board.name(), BOARD_NAME_BYTES),
            firmware: env!("CARGO_PKG_VERSION"),
            unit: board.unit(),
            per_second: board.per_second(),
            format: FORMAT_VERSION,
            numerics: NUMERICS_VERSION,
            slot_bytes: self.store.room(),
            arena_bytes: self.arena.len() as u32,
            uploaded: self.store.candidate().is_some(),
            refused: self.refused,
            model,
        }
    }

    fn port(&self, side: Side, index: u16) -> Answer<'a> {
        let model = self.model().ok_or(Error::NoModel)?;
        let index = usize::from(index);
        let (port, tensor) = match side {
            Side::Input => (model.input_port(index), model.input(index)),
            Side::Output => (model.output_port(index), model.output(index)),
        };
        let described = port.zip(tensor).ok_or(Error::NoSuchPort)?;
        Ok(Reply::Port(describe(model, described)))
    }

    fn input(&mut self, input: u16, offset: u32, bytes: &[u8]) -> Answer<'static> {
        if (input, offset) == (0, 0) {
            self.input = Position::default();
        }
        let mut at = self.input;
        if (input, offset) != (at.input, at.offset) {
            return Err(Error::OutOfOrder { next: at.total });
        }
        let model = self.model.as_ref().map(|(model, ..)| model);
        let mut bench = bench(model, self.arena, self.digests)?;
        let tensor = bench.session().input_mut(input.into()).map_err(of_run)?;
        let whole = tensor.len() as u32;
        let places = tensor.get_mut(offset as usize..).unwrap_or_default();
        let places = places
            .get_mut(..bytes.len())
            .ok_or(Error::OutOfOrder { next: at.total })?;
        places.copy_from_slice(bytes);
        at.offset += bytes.len() as u32;
        at.total += bytes.len() as u32;
        if at.offset == whole {
            (at.input, at.offset) = (input.saturating_add(1), 0);
        }
        self.input = at;
        self.recorded = None;
        Ok(Reply::Done)
    }

    fn run(&mut self, record: Record, board: &impl Board) -> Answer<'static> {
        let model = self.model().ok_or(Error::NoModel)?;
        let (operators, room) = (model.operator_count() as u32, self.digests.len() as u32);
        if record != Record::Nothing && operators > room {
            return Err(Error::TooManyOperators { operators, room });
        }
        let sizes = (0..model.input_count()).filter_map(|i| model.input(i));
        let needed = sizes.map(|tensor| tensor.byte_len() as u32).sum();
        let found = self.input.total;
        if found != needed {
            return Err(Error::SampleIncomplete { found, needed });
        }
        // Whatever becomes of the run, its inputs are gone.
        self.forget_host();
        let model = self.model.as_ref().map(|(model, ..)| model);
        let mut bench = bench(model, self.arena, self.digests)?;
        self.watch.look_at_inputs(bench.session());
        let begin = board.now();
        let cost = match record {
            Record::Nothing => bench.measured_run(board),
            Record::Digests => bench.observed_run().map(|()| board.now() - begin),
            Record::Costs => bench.profiled_run(board).map(|()| board.now() - begin),
        };
        let cost = cost.map_err(of_run)?;
        self.watch.look_at_output(bench.session());
        if record == Record::Nothing {
            self.watch.measured(cost);
        }
        self.recorded = Some(record);
        Ok(Reply::Ran {
            cost,
            drift: self.watch.drift(),
        })
    }

    fn output(&self, output: u16, offset: u32, piece: usize) -> Answer<'_> {
        let model = self.model().ok_or(Error::NoModel)?;
        let tensor = model.output(output.into()).ok_or(Error::NoSuchPort)?;
        self.recorded.ok_or(Error::NotRecorded)?;
        let whole = match tensor.storage {
            Storage::Arena => self.arena.get(tensor.range()),
            Storage::Data => model.data().get(tensor.range()),
        };
        let rest = whole.and_then(|whole| whole.get(offset as usize..));
        let rest = rest.unwrap_or_default();
        Ok(Reply::Output {
            offset,
            bytes: rest.get(..piece).unwrap_or(rest),
        })
    }

    fn self_test(&mut self) -> Answer<'static> {
        self.forget_host();
        let (model, ..) = self.model.as_ref().ok_or(Error::NoModel)?;
        let mut session = Session::new(model, self.arena).map_err(of_run)?;
        let first = session.self_test().map_err(of_run)?;
        Ok(Reply::SelfTest {
            golden: !model.golden().is_empty(),
            first_difference: first.map(|operator| operator as u32),
        })
    }

    fn page(&self, record: Record, from: u32, piece: usize) -> Answer<'_> {
        let model = self.model().ok_or(Error::NoModel)?;
        if self.recorded != Some(record) {
            return Err(Error::NotRecorded);
        }
        let numbers = self.digests.get(..model.operator_count());
        let numbers = numbers.unwrap_or_default().get(from as usize..);
        let rest = numbers.unwrap_or_default().as_flattened();
        Ok(Reply::Page {
            from,
            total: model.operator_count() as u32,
            bytes: rest.get(..piece).unwrap_or(rest),
        })
    }

    fn statistics(&self, board: &impl Board, (frames, errors): (u32, u32)) -> Statistics {
        let output = self.model().and_then(|model| model.output_port(0));
        Statistics {
            runs: self.watch.runs,
            costs: self.watch.costs,
            stack: board.stack(),
            dropped_frames: frames,
            link_errors: errors,
            dropped_samples: self.dropped_samples,
            confidence: self.watch.confidence(output),
        }
    }

    fn upload_begin(&mut self, manifest: &[u8]) -> Answer<'static> {
        self.upload = 0;
        self.store.begin(manifest)?;
        Ok(Reply::Uploaded { next: 0 })
    }

    fn upload_chunk(&mut self, offset: u32, bytes: &[u8]) -> Answer<'static> {
        let next = self.upload;
        if offset != next {
            return Err(Error::OutOfOrder { next });
        }
        self.store.write(bytes)?;
        self.upload = next.saturating_add(bytes.len() as u32);
        Ok(Reply::Uploaded { next: self.upload })
    }

    fn upload_end(&mut self) -> Answer<'static> {
        self.store.finish()?;
        let candidate = self.store.candidate().ok_or(Error::NothingToActivate)?;
        load::<S>(candidate, self.arena.len())?;
        Ok(Reply::Done)
    }

    fn activate(&mut self) -> Answer<'static> {
        if self.store.room() == 0 {
            return Err(Error::NoStore);
        }
        let candidate = self.store.candidate().ok_or(Error::NothingToActivate)?;
        let model = load::<S>(candidate, self.arena.len())?;
        // The arena is the running model's, which has nothing in it that has to last.
        self.input = Position::default();
        self.recorded = None;
        self_test(&model, self.arena)?;
        self.store.activate()?;
        self.restart = true;
        Ok(Reply::Done)
    }
}

/// Runs the golden vector in the arena.
fn self_test<S: OperatorSet>(model: &Model<'_, S>, arena: &mut [u8]) -> Result<(), Error> {
    let mut session = Session::new(model, arena).map_err(of_run)?;
    match session.self_test().map_err(of_run)? {
        None => Ok(()),
        Some(operator) => Err(Error::SelfTestFailed {
            operator: operator as u32,
        }),
    }
}

/// The SHA-256 that a checked artifact has in its header.
fn stored_sha256(bytes: &[u8]) -> [u8; 32] {
    let behind_magic = bytes.get(niwaki::artifact::MAGIC.len()..);
    let stored = behind_magic.and_then(<[u8]>::first_chunk);
    stored.copied().unwrap_or_default()
}

fn describe<'m, S: OperatorSet>(
    model: &Model<'m, S>,
    (port, tensor): (Port, Tensor),
) -> niwaki_wire::Port<'m> {
    // As the tensor lies in memory, into ONNX's order.
    let mut dims = [1; niwaki::MAX_RANK];
    for (axis, &dim) in tensor.axes().zip(tensor.shape()) {
        if let Some(place) = dims.get_mut(axis) {
            *place = dim;
        }
    }
    niwaki_wire::Port {
        name: cut(model.text(port.name), PORT_NAME_BYTES),
        dtype: match tensor.dtype {
            DataType::I8 => niwaki_wire::DataType::I8,
            DataType::U8 => niwaki_wire::DataType::U8,
            DataType::I16 => niwaki_wire::DataType::I16,
            DataType::U16 => niwaki_wire::DataType::U16,
            DataType::I32 => niwaki_wire::DataType::I32,
            DataType::I64 => niwaki_wire::DataType::I64,
            DataType::F32 => niwaki_wire::DataType::F32,
            DataType::Bool => niwaki_wire::DataType::Bool,
        },
        rank: tensor.rank,
        dims,
        bytes: tensor.byte_len() as u32,
        scale: tensor.scale,
        zero_point: tensor.zero_point,
        low: port.low,
        high: port.high,
    }
}

/// The front of a text.
fn cut(text: &str, bytes: usize) -> &str {
    text.get(..text.floor_char_boundary(bytes)).unwrap_or("")
}
