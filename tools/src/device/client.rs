//! The host's side of the protocol.

use std::hash::{BuildHasher as _, Hasher as _, RandomState};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};
use niwaki::artifact::DataType;
use niwaki_store::Manifest;
use niwaki_wire::{
    Answer, Decoder, Error, Head, Info, InputStatistics, PAYLOAD_BYTES, PROTOCOL, Port, Record,
    Reply, Request, Side, Source, Statistics, Unit, decode, encode, frame_bytes, piece_bytes,
};
use serde::Serialize;

use super::{Line, Refusal};
use crate::data::Slot;

/// Bytes of the longest message that is sent, however much a board takes.
const LARGEST_PAYLOAD: usize = 4096;
const FRAME: usize = frame_bytes(LARGEST_PAYLOAD);

/// How much longer a request may take for which the board runs its model, or reads all of one.
const SLOW: u32 = 12;

/// How often a board that starts is greeted in the time that a request may take.
const GREETINGS: u32 = 10;

/// How a board is talked to.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// How long to wait for an answer before the request is sent again.
    pub patience: Duration,
    /// How often it is sent again.
    pub retries: u32,
    /// End the session of another host.
    pub take_over: bool,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            patience: Duration::from_secs(5),
            retries: 3,
            take_over: false,
        }
    }
}

/// A session with a board.
pub struct Client {
    line: Box<dyn Line>,
    decoder: Box<Decoder<FRAME>>,
    options: Options,
    head: Head,
    payload: usize,
    retries: u32,
}

/// A board and its model.
#[derive(Clone, Debug, Serialize)]
pub struct BoardInfo {
    /// The board's name.
    pub board: String,
    /// The version of its firmware.
    pub firmware: String,
    /// What costs are counted in.
    pub unit: &'static str,
    /// How many of those go by in a second; 0 when that is not known.
    pub per_second: u64,
    /// The newest version of the artifact format that it reads.
    pub format: u16,
    /// The version of the numeric contract that it computes by.
    pub numerics: u16,
    /// Bytes of a slot for models; 0 when it takes none.
    pub slot_bytes: u32,
    /// Bytes of the arena.
    pub arena_bytes: u32,
    /// A model lies in the other slot, and can be activated.
    pub uploaded: bool,
    /// Why the board has not taken the model in its slot when it started, or has none.
    pub refused: Option<String>,
    /// The model that runs.
    pub model: Option<BoardModel>,
}

/// The model that runs on a board.
#[derive(Clone, Debug, Serialize)]
pub struct BoardModel {
    /// `embedded`, `slot 0` or `slot 1`.
    pub source: String,
    /// The SHA-256 in its header, in hexadecimal digits.
    pub sha256: String,
    /// Length of its file.
    pub file_bytes: u32,
    /// Bytes of the arena that it needs.
    pub arena_bytes: u32,
    /// Number of operators.
    pub operators: u32,
    /// Number of inputs.
    pub inputs: u16,
    /// Number of outputs.
    pub outputs: u16,
}

/// An input or output of a board's model.
#[derive(Clone, Debug)]
pub struct BoardPort {
    /// Name, element type and shape.
    pub slot: Slot,
    /// Length in bytes.
    pub bytes: u32,
    /// Step of a quantised value; 0 when it is not quantised.
    pub scale: f32,
    /// The integer that stands for 0.
    pub zero_point: i32,
}

impl Client {
    /// Begins a session over a line. A board that is starting is waited for.
    ///
    /// # Errors
    ///
    /// When nobody answers, another host has the board, or it speaks another version.
    pub fn connect(line: Box<dyn Line>, options: Options) -> Result<Self> {
        let mut client = Self {
            line,
            decoder: Box::new(Decoder::new()),
            options,
            head: Head::default(),
            payload: PAYLOAD_BYTES,
            retries: 0,
        };
        client.hello(options.take_over)?;
        Ok(client)
    }

    /// How often a request had to be sent again.
    pub fn retries(&self) -> u32 {
        self.retries
    }

    fn hello(&mut self, take_over: bool) -> Result<()> {
        // Seeded by the operating system, which is random enough to tell two hosts apart.
        let session = RandomState::new().build_hasher().finish() as u32;
        self.head = Head {
            session,
            sequence: 0,
        };
        let hello = Request::Hello {
            protocol: PROTOCOL,
            take_over,
        };
        let (tries, patience) = (
            GREETINGS * (1 + self.options.retries),
            self.options.patience / GREETINGS,
        );
        self.payload = self.exchange(&hello, patience, tries, |reply| match reply {
            Reply::Hello { payload, .. } => Some(usize::from(payload).min(LARGEST_PAYLOAD)),
            _ => None,
        })?;
        // Greetings that the board has found in its buffers are no lost requests.
        self.retries = 0;
        Ok(())
    }

    /// Sends a request until it is answered, and looks at the reply.
    fn ask<O>(
        &mut self,
        request: &Request<'_>,
        look: impl FnMut(Reply<'_>) -> Option<O>,
    ) -> Result<O> {
        let slow = matches!(
            request,
            Request::Run { .. }
                | Request::SelfTest
                | Request::UploadBegin { .. }
                | Request::UploadEnd
                | Request::Activate
                | Request::RollBack
        );
        let patience = self.options.patience * if slow { SLOW } else { 1 };
        self.exchange(request, patience, 1 + self.options.retries, look)
    }

    fn exchange<O>(
        &mut self,
        request: &Request<'_>,
        patience: Duration,
        tries: u32,
        mut look: impl FnMut(Reply<'_>) -> Option<O>,
    ) -> Result<O> {
        self.head.sequence = self.head.sequence.wrapping_add(1);
        let mut buffer = [0; FRAME];
        let frame = encode(&self.head, request, &mut buffer).context("the request is too long")?;
        for attempt in 0..tries {
            self.retries += u32::from(attempt > 0);
            self.line.write(frame).context("the line is broken")?;
            let deadline = Instant::now() + patience;
            let mut chunk = [0; 1024];
            loop {
                let left = deadline.saturating_duration_since(Instant::now());
                if left.is_zero() {
                    break;
                }
                let read = self.line.read(&mut chunk, left);
                let read = read.context("the line is broken")?;
                let mut bytes = chunk.get(..read).unwrap_or_default();
                while let (Some(payload), rest) = self.decoder.push(bytes) {
                    bytes = rest;
                    // An answer to what was asked before, or to another host.
                    let Some((head, answer)) = decode::<Answer<'_>>(payload) else {
                        continue;
                    };
                    if head != self.head {
                        continue;
                    }
                    let reply = answer.map_err(Refusal)?;
                    let text = format!("{reply:?}");
                    return look(reply)
                        .with_context(|| format!("the board answers something else: {text}"));
                }
            }
        }
        bail!(
            "the board does not answer ({tries} times {:.1} s): is it on, does it run \
             the application, and are port and baud rate right?",
            patience.as_secs_f64()
        )
    }

    /// The board and its model.
    ///
    /// # Errors
    ///
    /// When it does not answer.
    pub fn info(&mut self) -> Result<BoardInfo> {
        self.ask(&Request::Info, |reply| match reply {
            Reply::Info(info) => Some(board_info(&info)),
            _ => None,
        })
    }

    /// The model that runs.
    ///
    /// # Errors
    ///
    /// When there is none.
    pub fn model(&mut self) -> Result<BoardModel> {
        let info = self.info()?;
        Ok(info.model.ok_or(Refusal(Error::NoModel))?)
    }

    /// The inputs or outputs of the model.
    ///
    /// # Errors
    ///
    /// When there is no model.
    pub fn ports(&mut self, side: Side) -> Result<Vec<BoardPort>> {
        let model = self.model()?;
        let count = match side {
            Side::Input => model.inputs,
            Side::Output => model.outputs,
        };
        let port = |index| {
            self.ask(&Request::Port { side, index }, |reply| match reply {
                Reply::Port(port) => Some(board_port(&port)),
                _ => None,
            })
        };
        (0..count).map(port).collect()
    }

    /// Writes the bytes of each input and runs the model. Gives what the run took, and whether the
    /// board finds that its inputs have drifted.
    ///
    /// # Errors
    ///
    /// When the inputs are not the model's.
    pub fn run(&mut self, inputs: &[Vec<u8>], record: Record) -> Result<(u64, bool)> {
        let piece = piece_bytes(self.payload);
        for (input, bytes) in (0..).zip(inputs) {
            for (offset, bytes) in (0..).step_by(piece).zip(bytes.chunks(piece)) {
                let request = Request::Input {
                    input,
                    offset,
                    bytes,
                };
                self.ask(&request, done)?;
            }
        }
        self.ask(&Request::Run { record }, |reply| match reply {
            Reply::Ran { cost, drift } => Some((cost, drift)),
            _ => None,
        })
    }

    /// The bytes of an output of the last run.
    ///
    /// # Errors
    ///
    /// When there was none.
    pub fn output(&mut self, output: u16) -> Result<Vec<u8>> {
        let mut whole = Vec::new();
        loop {
            let offset = u32::try_from(whole.len())?;
            let request = Request::Output { output, offset };
            let piece = self.ask(&request, |reply| match reply {
                Reply::Output { bytes, .. } => Some(bytes.to_vec()),
                _ => None,
            })?;
            if piece.is_empty() {
                return Ok(whole);
            }
            whole.extend(piece);
        }
    }

    /// What the last run has recorded of each operator.
    ///
    /// # Errors
    ///
    /// When it has not.
    pub fn recorded(&mut self, record: Record) -> Result<Vec<u64>> {
        let mut numbers = Vec::new();
        loop {
            let from = u32::try_from(numbers.len())?;
            let request = match record {
                Record::Costs => Request::Profile { from },
                Record::Digests | Record::Nothing => Request::Digests { from },
            };
            let (total, page) = self.ask(&request, |reply| match reply {
                Reply::Page { total, bytes, .. } => Some((total, bytes.to_vec())),
                _ => None,
            })?;
            let page = page.as_chunks().0.iter();
            let before = numbers.len();
            numbers.extend(page.map(|eight| u64::from_le_bytes(*eight)));
            if numbers.len() >= total as usize {
                return Ok(numbers);
            }
            ensure!(
                numbers.len() > before,
                "the board sends pages without numbers"
            );
        }
    }

    /// Runs the golden vector; gives whether there is one, and the first operator that differs.
    ///
    /// # Errors
    ///
    /// When there is no model.
    pub fn self_test(&mut self) -> Result<(bool, Option<u32>)> {
        self.ask(&Request::SelfTest, |reply| match reply {
            Reply::SelfTest {
                golden,
                first_difference,
            } => Some((golden, first_difference)),
            _ => None,
        })
    }

    /// What the board has seen since it started.
    ///
    /// # Errors
    ///
    /// When it does not answer.
    pub fn statistics(&mut self) -> Result<Statistics> {
        self.ask(&Request::Statistics, |reply| match reply {
            Reply::Statistics(statistics) => Some(statistics),
            _ => None,
        })
    }

    /// What an input has been like; `None` for those that the board does not look at.
    ///
    /// # Errors
    ///
    /// When it does not answer.
    pub fn input_statistics(&mut self, input: u16) -> Result<Option<InputStatistics>> {
        let asked = self.ask(&Request::InputStatistics { input }, |reply| match reply {
            Reply::InputStatistics(statistics) => Some(statistics),
            _ => None,
        });
        match asked {
            Err(error) if error.is::<Refusal>() => Ok(None),
            asked => asked.map(Some),
        }
    }

    /// Uploads an update (see [`super::update_of`]), which then waits to be activated. `progress` is
    /// told how many bytes are there.
    ///
    /// # Errors
    ///
    /// When the board refuses it.
    pub fn upload(&mut self, update: &[u8], progress: &mut dyn FnMut(usize)) -> Result<()> {
        let (manifest, model) = update
            .split_at_checked(Manifest::BYTES)
            .context("the update is cut off: copy it again")?;
        self.ask(&Request::UploadBegin { manifest }, uploaded)?;
        let piece = piece_bytes(self.payload);
        let mut at = 0;
        while let Some(bytes) = model.get(at..).filter(|rest| !rest.is_empty()) {
            let bytes = bytes.get(..piece).unwrap_or(bytes);
            let offset = u32::try_from(at)?;
            let next = self.ask(&Request::UploadChunk { offset, bytes }, uploaded)?;
            ensure!(next as usize > at, "the board takes no bytes");
            at = next as usize;
            progress(at);
        }
        self.ask(&Request::UploadEnd, done)
    }

    /// Has the board test the uploaded model and start again with it, and greets it then.
    ///
    /// # Errors
    ///
    /// When the model fails its test, or did not start.
    pub fn activate(&mut self) -> Result<BoardModel> {
        self.restart(&Request::Activate)
    }

    /// Has the board start again with the model before, and greets it then.
    ///
    /// # Errors
    ///
    /// When there is none.
    pub fn roll_back(&mut self) -> Result<BoardModel> {
        self.restart(&Request::RollBack)
    }

    fn restart(&mut self, request: &Request<'_>) -> Result<BoardModel> {
        match self.ask(request, done) {
            Ok(()) => {}
            // The answer was lost, and the board has started again since.
            Err(error) if error.downcast_ref() == Some(&Refusal(Error::NoSession)) => {}
            Err(error) => return Err(error),
        }
        self.hello(false)?;
        let info = self.info()?;
        match (info.model, info.refused) {
            (Some(model), None) => Ok(model),
            (_, Some(reason)) => bail!("the board has not kept that model: {reason}"),
            (None, None) => Err(Refusal(Error::NoModel).into()),
        }
    }
}

impl Drop for Client {
    /// Says goodbye, so that the next host need not wait.
    fn drop(&mut self) {
        let patience = Duration::from_millis(500);
        let _ = self.exchange(&Request::Bye, patience, 2, done);
    }
}

fn done(reply: Reply<'_>) -> Option<()> {
    (reply == Reply::Done).then_some(())
}

fn uploaded(reply: Reply<'_>) -> Option<u32> {
    match reply {
        Reply::Uploaded { next } => Some(next),
        _ => None,
    }
}

fn board_info(info: &Info<'_>) -> BoardInfo {
    BoardInfo {
        board: info.board.to_owned(),
        firmware: info.firmware.to_owned(),
        unit: match info.unit {
            Unit::Instructions => "instructions",
            Unit::Cycles => "cycles",
            Unit::Microseconds => "us",
        },
        per_second: info.per_second,
        format: info.format,
        numerics: info.numerics,
        slot_bytes: info.slot_bytes,
        arena_bytes: info.arena_bytes,
        uploaded: info.uploaded,
        refused: info.refused.map(|error| Refusal(error).to_string()),
        model: info.model.map(|model| BoardModel {
            source: match model.source {
                Source::Embedded => "embedded".to_owned(),
                Source::Slot(slot) => format!("slot {slot}"),
            },
            sha256: model.sha256.map(|byte| format!("{byte:02x}")).concat(),
            file_bytes: model.file_bytes,
            arena_bytes: model.arena_bytes,
            operators: model.operators,
            inputs: model.inputs,
            outputs: model.outputs,
        }),
    }
}

fn board_port(port: &Port<'_>) -> BoardPort {
    let dims = port.dims.iter().take(port.rank.into());
    BoardPort {
        slot: Slot {
            name: port.name.to_owned(),
            dtype: match port.dtype {
                niwaki_wire::DataType::I8 => DataType::I8,
                niwaki_wire::DataType::U8 => DataType::U8,
                niwaki_wire::DataType::I16 => DataType::I16,
                niwaki_wire::DataType::U16 => DataType::U16,
                niwaki_wire::DataType::I32 => DataType::I32,
                niwaki_wire::DataType::I64 => DataType::I64,
                niwaki_wire::DataType::F32 => DataType::F32,
                niwaki_wire::DataType::Bool => DataType::Bool,
            },
            shape: dims.map(|&dim| dim as usize).collect(),
        },
        bytes: port.bytes,
        scale: port.scale,
        zero_point: port.zero_point,
    }
}
