//! The application of a board that is fed over a line, or by a sensor, and updated over the line.
//!
//! A [`Device`] lives from one start of the board to the next. It chooses its model when it is made:
//! the one in the active slot, or the one in the image. A board calls [`Device::poll`] in a loop, and
//! starts the device anew when that says so:
//!
//! ```ignore
//! let mut refused = None;
//! loop {
//!     let Boot { running, updater, .. } = store.boot();
//!     let start = Start { slot: running.map(Into::into), embedded: Some(MODEL), refused };
//!     let mut device: Device<'_, Operators, _, _, _> =
//!         Device::new(start, updater, &mut memory, &board, &mut uart);
//!     refused = loop {
//!         if let Turn::Restart(refused) = device.poll() {
//!             break refused;
//!         }
//!     };
//! }
//! ```
//!
//! There is no heap, and no way to panic.

mod answer;
mod board;
mod host;
mod refusal;
mod store;
mod watch;

pub use board::Board;
pub use store::{ModelStore, NoStore};

use embedded_io::{Read, ReadReady, Write};
use niwaki::{Model, OperatorSet, RunError, Session};
use niwaki_wire::{Decoder, Error, PAYLOAD_BYTES, Source, frame_bytes};

use crate::Memory;
use crate::bench::Bench;
use crate::memory::Buffers;
use answer::Core;
use host::Host;

/// Bytes that are taken from the line at once.
const CHUNK_BYTES: usize = 64;

/// What a device may begin with.
#[derive(Clone, Copy, Debug, Default)]
pub struct Start<'m> {
    /// The model in the active slot.
    pub slot: Option<SlotModel<'m>>,
    /// The model in the image.
    pub embedded: Option<&'m [u8]>,
    /// Why the device before this one had to start anew, see [`Turn::Restart`].
    pub refused: Option<Error>,
}

/// A model in a slot.
#[derive(Clone, Copy, Debug)]
pub struct SlotModel<'m> {
    /// The artifact.
    pub bytes: &'m [u8],
    /// The slot's number.
    pub slot: u8,
    /// It has to show that it works before it is kept.
    pub on_trial: bool,
}

/// What the board has to do after a call of [`Device::poll`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Turn {
    /// Call it again.
    Go,
    /// Start anew, or reset the processor: another model is to run. Where a model has failed on
    /// trial it comes with the reason, for [`Start::refused`].
    Restart(Option<Error>),
}

/// A model at work, with a line to a host.
///
/// `FRAME` bytes hold the longest frame that comes or goes, see [`frame_bytes`].
#[derive(Debug)]
pub struct Device<'a, S, T, B, L, const FRAME: usize = { frame_bytes(PAYLOAD_BYTES) }>
where
    S: OperatorSet,
{
    core: Core<'a, S, T>,
    board: &'a B,
    link: &'a mut L,
    decoder: Decoder<FRAME>,
    host: Host<FRAME>,
    link_errors: u32,
    turn: Turn,
}

impl<'a, S, T, B, L, const FRAME: usize> Device<'a, S, T, B, L, FRAME>
where
    S: OperatorSet,
    T: ModelStore,
    B: Board,
    L: Read + ReadReady + Write,
{
    /// Chooses the model and tests it on its golden vector: the one in the slot, or the one in the
    /// image where that is none, or does not suit this image. A model that fails on trial makes the
    /// first [`Device::poll`] ask for a restart.
    pub fn new<const ARENA: usize, const INPUT: usize, const OPERATORS: usize>(
        start: Start<'a>,
        store: T,
        memory: &'a mut Memory<ARENA, INPUT, OPERATORS>,
        board: &'a B,
        link: &'a mut L,
    ) -> Self {
        let Buffers { arena, digests, .. } = memory.buffers();
        let mut core = Core::new(store, arena, digests);
        core.refused = start.refused;
        let mut turn = Turn::Go;
        if let Some(slot) = start.slot {
            match core.take(slot.bytes, Source::Slot(slot.slot)) {
                // When the journal fails the model is tested again at the next start.
                Ok(()) if slot.on_trial => drop(core.store.confirm()),
                Ok(()) => {}
                Err(error) => core.refused = Some(error),
            }
            if slot.on_trial && core.model().is_none() {
                turn = Turn::Restart(core.refused);
            }
        }
        if let (None, Some(bytes)) = (core.model(), start.embedded)
            && let Err(error) = core.take(bytes, Source::Embedded)
        {
            core.refused = core.refused.or(Some(error));
        }
        Self {
            core,
            board,
            link,
            decoder: Decoder::new(),
            host: Host::new(),
            link_errors: 0,
            turn,
        }
    }

    /// Answers what has come over the line, and returns when nothing more is there.
    pub fn poll(&mut self) -> Turn {
        self.board.still_alive();
        let mut chunk = [0; CHUNK_BYTES];
        while self.turn == Turn::Go {
            let read = match self.link.read_ready() {
                Ok(false) => break,
                Ok(true) => self.link.read(&mut chunk),
                Err(error) => Err(error),
            };
            match read {
                Ok(0) => break,
                Ok(len) => self.take(chunk.get(..len).unwrap_or_default()),
                Err(_) => {
                    self.link_errors = self.link_errors.saturating_add(1);
                    break;
                }
            }
        }
        self.turn
    }

    /// Takes bytes from the line, and answers the frames that end in them.
    fn take(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() && self.turn == Turn::Go {
            let dropped = self.decoder.dropped();
            let (payload, rest) = self.decoder.push(bytes);
            bytes = rest;
            let Some(payload) = payload else { break };
            let link = (dropped, self.link_errors);
            let reply = self.host.hear(payload, &mut self.core, self.board, link);
            // A line that takes nothing has nobody at its end who could be told.
            let sent = reply.is_none_or(|frame| send(self.link, frame));
            self.link_errors = self.link_errors.saturating_add(u32::from(!sent));
            if self.core.restart {
                self.turn = Turn::Restart(None);
            }
        }
    }

    /// The model, if there is one.
    pub fn model(&self) -> Option<&Model<'a, S>> {
        self.core.model()
    }

    /// Runs the model on a sample of a sensor: `fill` writes all inputs, `read` looks at the outputs.
    /// Gives what the run cost.
    ///
    /// From the first input that a host writes to its goodbye the model is the host's; samples that
    /// come meanwhile are counted as dropped.
    ///
    /// # Errors
    ///
    /// [`Error::NoModel`], [`Error::Busy`] when a host has the model, and those of `fill`.
    pub fn infer(
        &mut self,
        fill: impl FnOnce(&mut Session<'_, '_, S>) -> Result<(), RunError>,
        read: impl FnOnce(&Session<'_, '_, S>),
    ) -> Result<u64, Error> {
        if let Some(session) = self.host.feeding(self.board) {
            self.drop_samples(1);
            return Err(Error::Busy { session });
        }
        self.core.infer(self.board, fill, read)
    }

    /// Counts samples of a sensor that came faster than they could be taken.
    pub fn drop_samples(&mut self, samples: u32) {
        self.core.dropped_samples = self.core.dropped_samples.saturating_add(samples);
    }
}

/// Writes a frame; false when the line fails. `write_all` of embedded-io panics when a driver writes
/// nothing.
fn send(link: &mut impl Write, mut bytes: &[u8]) -> bool {
    while !bytes.is_empty() {
        match link.write(bytes) {
            Ok(0) | Err(_) => return false,
            Ok(written) => bytes = bytes.get(written..).unwrap_or_default(),
        }
    }
    link.flush().is_ok()
}

/// The model in the arena, for one request.
fn bench<'b, S: OperatorSet>(
    model: Option<&Model<'b, S>>,
    arena: &'b mut [u8],
    digests: &'b mut [[u8; 8]],
) -> Result<Bench<'b, S>, Error> {
    let buffers = Buffers {
        arena,
        sample: &mut [],
        digests,
    };
    Bench::of(model.ok_or(Error::NoModel)?, buffers).map_err(refusal::of_run)
}
