//! What a board says when it cannot do what it was asked for.

use serde::{Deserialize, Serialize};

/// Why a board has not done what a host asked for. A host makes a sentence with a remedy of it; the
/// model that runs is as it was before.
///
/// The first variant is the same in every version.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Error {
    /// The host speaks another version of the protocol.
    OtherProtocol {
        /// The version that the board speaks.
        board: u16,
    },
    /// Another host has the board.
    Busy {
        /// That host's session.
        session: u32,
    },
    /// The session has not begun, or another host has taken the board over.
    NoSession,
    /// A whole frame holds no request that this board knows.
    Malformed,
    /// The board has no model.
    NoModel,
    /// The model has no such input or output.
    NoSuchPort,
    /// A piece does not follow the one before.
    OutOfOrder {
        /// Where the next piece goes: byte of the file, or of all inputs one behind the other.
        next: u32,
    },
    /// The run needs all inputs.
    SampleIncomplete {
        /// Bytes that have been written since the last run.
        found: u32,
        /// Bytes of all inputs.
        needed: u32,
    },
    /// There is no run to tell about, or it did not record this.
    NotRecorded,
    /// There is no room to record a number for each operator.
    TooManyOperators {
        /// Operators of the model.
        operators: u32,
        /// Operators that there is room for.
        room: u32,
    },
    /// The model is larger than a slot.
    TooLargeForSlot {
        /// Bytes of the model.
        bytes: u32,
        /// Bytes of a slot.
        room: u32,
    },
    /// The model needs more memory than the board has set aside.
    TooLargeForArena {
        /// Bytes that the model needs.
        bytes: u32,
        /// Bytes of the arena.
        room: u32,
    },
    /// What was uploaded is no niwaki artifact.
    NotAModel,
    /// The upload ended before the file did.
    Truncated {
        /// Bytes of the file.
        needed: u32,
        /// Bytes that came.
        found: u32,
    },
    /// The model's SHA-256 is not that of its bytes.
    Damaged,
    /// The model is of a format version that this image does not read.
    OtherFormat {
        /// Its version.
        found: u16,
        /// The newest that the image reads.
        newest: u16,
    },
    /// The model was made for another version of the numeric contract.
    OtherNumerics {
        /// Its version.
        found: u16,
        /// The version that the image computes by.
        supported: u16,
    },
    /// The image lacks an operator of the model.
    UnknownOperator {
        /// Index of the operator in the model.
        index: u32,
        /// Its code.
        code: u16,
    },
    /// The model breaks another rule of the format.
    Invalid {
        /// Which kind of record.
        place: Place,
        /// Index of the record.
        index: u32,
    },
    /// The model gives other bits on this board than on the host that made it.
    SelfTestFailed {
        /// The first operator that differs.
        operator: u32,
    },
    /// The upload does not begin with a manifest, or with one that this image does not know.
    NotAnUpdate,
    /// This board takes signed models only, and this one is not.
    Unsigned,
    /// The model is signed with another key than that in the image.
    OtherKey {
        /// Identifier of the key that it is signed with.
        found: [u8; 8],
        /// Identifier of the key in the image.
        wanted: [u8; 8],
    },
    /// The signature does not fit what it signs.
    BadSignature,
    /// The model is older than one that has been here.
    OldVersion {
        /// Its version.
        found: u32,
        /// The least that is taken.
        least: u32,
    },
    /// The board takes no models.
    NoStore,
    /// The other slot holds the model that the board returns to when the one on trial fails.
    OnTrial,
    /// There is no upload under way.
    NoUpload,
    /// There is no checked model that waits.
    NothingToActivate,
    /// There is no model to go back to.
    NothingToRollBackTo,
    /// The flash memory does not do what it should, or is worn out.
    Flash,
    /// A defect of niwaki.
    Internal {
        /// The operator that it showed in.
        operator: u32,
    },
}

/// A part of an artifact.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Place {
    /// Section of that index.
    Section,
    /// A tensor.
    Tensor,
    /// An operator.
    Operator,
    /// An input or output.
    Interface,
    /// The whole file.
    File,
}
