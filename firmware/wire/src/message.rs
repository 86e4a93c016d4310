//! Questions and answers.

use serde::{Deserialize, Serialize};

use crate::{Error, InputStatistics, Statistics};

/// Whose request it is, and which one; the answer carries the same.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Head {
    /// A number that the host has drawn for all that it says from hello to goodbye.
    pub session: u32,
    /// One more than that of the request before, from 0xFFFF on to 0; the same for a retry.
    pub sequence: u16,
}

/// What a host asks for. The first variant is the same in every version.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Request<'a> {
    /// Begins a session: [`Reply::Hello`].
    Hello {
        /// The version that the host speaks, [`crate::PROTOCOL`].
        protocol: u16,
        /// End the session of another host.
        take_over: bool,
    },
    /// The board and its model: [`Reply::Info`].
    Info,
    /// An input or output of the model: [`Reply::Port`].
    Port {
        /// Which of the two.
        side: Side,
        /// Its index.
        index: u16,
    },
    /// A piece of an input of the next run. Pieces come in order, from the first byte of input 0 to
    /// the last byte of the last input; one at the very beginning starts over. [`Reply::Done`].
    Input {
        /// Index of the input.
        input: u16,
        /// Where in the input it goes, in bytes.
        offset: u32,
        /// The piece.
        #[serde(borrow)]
        bytes: &'a [u8],
    },
    /// Runs the model on the inputs, all of which have to have been written: [`Reply::Ran`].
    Run {
        /// What to write down meanwhile.
        record: Record,
    },
    /// A piece of an output of the last run: [`Reply::Output`].
    Output {
        /// Index of the output.
        output: u16,
        /// From where, in bytes.
        offset: u32,
    },
    /// Runs the golden vector: [`Reply::SelfTest`]. Inputs and outputs are gone afterwards.
    SelfTest,
    /// A page of the costs of a run with [`Record::Costs`]: [`Reply::Page`].
    Profile {
        /// The first operator of the page.
        from: u32,
    },
    /// A page of the digests of a run with [`Record::Digests`]: [`Reply::Page`].
    Digests {
        /// The first operator of the page.
        from: u32,
    },
    /// What the board has seen since it started: [`Reply::Statistics`].
    Statistics,
    /// What an input has been like: [`Reply::InputStatistics`].
    InputStatistics {
        /// Index of the input.
        input: u16,
    },
    /// Begins an upload: [`Reply::Uploaded`]. It ends one that is under way.
    UploadBegin {
        /// The first bytes of the update: they say what the model behind them is.
        #[serde(borrow)]
        manifest: &'a [u8],
    },
    /// A piece of the model; pieces come in order: [`Reply::Uploaded`].
    UploadChunk {
        /// Where in the model it goes.
        offset: u32,
        /// The piece.
        #[serde(borrow)]
        bytes: &'a [u8],
    },
    /// Checks the model, all of it: [`Reply::Done`]. It does not run yet.
    UploadEnd,
    /// Tests the uploaded model on the golden vector, and starts the board again with it:
    /// [`Reply::Done`]. The session is over then.
    Activate,
    /// Goes back to the model before the active one, in the same way: [`Reply::Done`].
    RollBack,
    /// Ends the session: [`Reply::Done`].
    Bye,
}

/// Inputs or outputs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Side {
    /// Of the model's inputs.
    Input,
    /// Of the model's outputs.
    Output,
}

/// What is written down during a run, a number for each operator.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Record {
    /// Nothing: the run costs what a run costs, and counts in [`Statistics::costs`].
    Nothing,
    /// The digest of each operator's output.
    Digests,
    /// What each operator costs.
    Costs,
}

/// What a board sends for a request.
pub type Answer<'a> = Result<Reply<'a>, Error>;

/// What a board says when it has done what it was asked for.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub enum Reply<'a> {
    /// The session has begun.
    Hello {
        /// The version that the board speaks.
        protocol: u16,
        /// Bytes of the longest message that it takes or sends.
        payload: u16,
    },
    /// It is done, and there is nothing to say about it.
    Done,
    /// The board and its model.
    Info(#[serde(borrow)] Info<'a>),
    /// An input or output.
    Port(#[serde(borrow)] Port<'a>),
    /// The model has run.
    Ran {
        /// What it took, recording included.
        cost: u64,
        /// Some input has drifted away from those of the calibration.
        drift: bool,
    },
    /// Bytes of an output.
    Output {
        /// From where they are.
        offset: u32,
        /// As many as fit; none when it ends before.
        #[serde(borrow)]
        bytes: &'a [u8],
    },
    /// What has come of the golden vector.
    SelfTest {
        /// Whether the model has one.
        golden: bool,
        /// The first operator whose output is not the golden one.
        first_difference: Option<u32>,
    },
    /// Numbers of operators.
    Page {
        /// The first operator of the page.
        from: u32,
        /// Number of operators of the model.
        total: u32,
        /// A little-endian u64 for each.
        #[serde(borrow)]
        bytes: &'a [u8],
    },
    /// What the board has seen.
    Statistics(Statistics),
    /// What an input has been like.
    InputStatistics(InputStatistics),
    /// How far the upload has come.
    Uploaded {
        /// Where the next piece goes, in bytes.
        next: u32,
    },
}

/// A board and its model.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Info<'a> {
    /// The board's name.
    pub board: &'a str,
    /// The version of its firmware.
    pub firmware: &'a str,
    /// What costs are counted in.
    pub unit: Unit,
    /// How many of those go by in a second; 0 when that is not known.
    pub per_second: u64,
    /// The newest version of the artifact format that it reads.
    pub format: u16,
    /// The version of the numeric contract that it computes by.
    pub numerics: u16,
    /// Bytes of a slot for models; 0 when it takes none.
    pub slot_bytes: u32,
    /// Bytes of the arena, which no model may need more than.
    pub arena_bytes: u32,
    /// A model lies in the other slot, and can be made to run by [`Request::Activate`].
    pub uploaded: bool,
    /// Why the board has not taken the model in its slot when it started, or has none.
    pub refused: Option<Error>,
    /// The model that runs.
    pub model: Option<ModelInfo>,
}

/// What a cost counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Unit {
    /// Executed instructions.
    Instructions,
    /// Cycles of the core's clock.
    Cycles,
    /// Microseconds.
    Microseconds,
}

/// The model that runs on a board.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ModelInfo {
    /// Where it lies.
    pub source: Source,
    /// The SHA-256 in its header.
    pub sha256: [u8; 32],
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

/// Where a model lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Source {
    /// In the image.
    Embedded,
    /// In a slot.
    Slot(u8),
}

/// An input or output of a model.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Port<'a> {
    /// Its name, the first 64 bytes of it.
    pub name: &'a str,
    /// Type of its elements.
    pub dtype: DataType,
    /// Number of dimensions.
    pub rank: u8,
    /// Dimensions in ONNX's order; 1 behind the last.
    pub dims: [u32; 6],
    /// Length in bytes.
    pub bytes: u32,
    /// Step of a quantised value; 0 when the tensor is not quantised.
    pub scale: f32,
    /// The integer that stands for 0.
    pub zero_point: i32,
    /// Least real value of the calibration.
    pub low: f32,
    /// Greatest real value of the calibration.
    pub high: f32,
}

/// A type of elements.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[allow(missing_docs, reason = "named like Rust's types")]
pub enum DataType {
    I8,
    U8,
    I16,
    U16,
    I32,
    I64,
    F32,
    Bool,
}
