//! What a board refuses, in a sentence that says what would help.

use std::fmt;

use niwaki::{All, OperatorSet as _};
use niwaki_wire::{Error, PROTOCOL};

use crate::text::thousands;

/// A board has not done what it was asked for. Its model runs as before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Refusal(pub Error);

impl std::error::Error for Refusal {}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let bytes = |bytes: u32| thousands(bytes.into());
        let hex = |id: [u8; 8]| id.map(|byte| format!("{byte:02x}")).concat();
        match self.0 {
            Error::OtherProtocol { board } if board > PROTOCOL => write!(
                f,
                "the board speaks version {board} of the protocol, this program version {PROTOCOL}: \
                 update niwaki"
            ),
            Error::OtherProtocol { board } => write!(
                f,
                "the board speaks version {board} of the protocol, this program version {PROTOCOL}: \
                 flash the board with a newer image"
            ),
            Error::Busy { session } => write!(
                f,
                "another host has the board (session {session:08x}): wait until it is done, or end \
                 its session with --take-over"
            ),
            Error::NoSession => f.write_str(
                "another host has taken the board over, or it has started again: try again",
            ),
            Error::Malformed => f.write_str(
                "the board does not know this request: flash it with a newer image",
            ),
            Error::NoModel => {
                f.write_str("the board has no model: `upload` one and `activate` it")
            }
            Error::NoSuchPort => f.write_str("the model has no such input or output"),
            Error::OutOfOrder { next } => write!(
                f,
                "a piece was lost, the board waits for byte {}: try again",
                bytes(next)
            ),
            Error::SampleIncomplete { found, needed } => write!(
                f,
                "the board has {} of the {} bytes of a sample: try again",
                bytes(found),
                bytes(needed)
            ),
            Error::NotRecorded => {
                f.write_str("another run has come between, or a sensor feeds the model: try again")
            }
            Error::TooManyOperators { operators, room } => write!(
                f,
                "the model has {operators} operators, and the image has room to record {room}: \
                 build it with room for more"
            ),
            Error::TooLargeForSlot { bytes: found, room } => write!(
                f,
                "the model has {} bytes, and a slot of this board {}: compile it smaller (int8, \
                 int4, pruned), or build an image with larger slots",
                bytes(found),
                bytes(room)
            ),
            // What operators work in is behind the arena that the command line knows.
            Error::TooLargeForArena { bytes: found, room } => write!(
                f,
                "the model needs an arena of {} bytes, and the image has {}: compile it with `--ram` and \
                 {} bytes less than the arena that `niwaki inspect` shows, or build an image with a \
                 larger arena",
                bytes(found),
                bytes(room),
                bytes(found.saturating_sub(room))
            ),
            Error::NotAModel => f.write_str(
                "this is no niwaki model: make one with `niwaki compile MODEL.onnx -o MODEL.niwaki`",
            ),
            Error::Truncated { needed, found } => write!(
                f,
                "the board has {} of the model's {} bytes: upload it again",
                bytes(found),
                bytes(needed)
            ),
            Error::Damaged => f.write_str(
                "the model is damaged (SHA-256): upload it again; if that does not help, compile or \
                 sign it again",
            ),
            Error::OtherFormat { found, newest } => write!(
                f,
                "the model has format version {found}, and the image reads up to {newest}: flash a \
                 newer image, or compile the model with the image's version of niwaki"
            ),
            Error::OtherNumerics { found, supported } => write!(
                f,
                "the model was made for numeric contract {found}, and the image computes by \
                 {supported}: compile the model again with the image's version of niwaki"
            ),
            Error::UnknownOperator { index, code } => match All::name(code) {
                Some(name) => write!(
                    f,
                    "the image lacks operator {name} (code {code}), which the model uses as its \
                     operator {index}: build an image with an operator set that has it"
                ),
                None => write!(
                    f,
                    "the image lacks the operator of code {code}, which the model uses as its \
                     operator {index}: flash a newer image"
                ),
            },
            Error::Invalid { place, index } => write!(
                f,
                "the model breaks a rule of the format at {place:?} {index}: `niwaki inspect` says \
                 which; compile it again"
            ),
            Error::SelfTestFailed { operator } => write!(
                f,
                "the model gives other bits on this board than where it was made, from operator \
                 {operator} on: please report it, with the model and the image"
            ),
            Error::NotAnUpdate => f.write_str(
                "this is no update, or one that the image does not know: give it a .niwaki file, or \
                 one that `niwaki sign` has made",
            ),
            Error::Unsigned => f.write_str(
                "the board takes signed models only: sign it with `niwaki sign`",
            ),
            Error::OtherKey { found, wanted } => write!(
                f,
                "the model is signed with key {}, and the board takes those of key {}: sign it with \
                 that one",
                hex(found),
                hex(wanted)
            ),
            Error::BadSignature => f.write_str(
                "the signature is wrong, the update was changed after it was signed: sign it again",
            ),
            Error::OldVersion { found, least } => write!(
                f,
                "the model has version {found}, and the board takes none below {least}: sign it with \
                 a higher version"
            ),
            Error::NoStore => f.write_str(
                "the board has no place for models: build an image with a store, or with this model \
                 embedded",
            ),
            Error::OnTrial => f.write_str(
                "the other slot holds the model that the board returns to when the one on trial \
                 fails: restart the board first",
            ),
            Error::NoUpload => f.write_str("no upload is under way: begin it again"),
            Error::NothingToActivate => {
                f.write_str("no uploaded model waits: `upload` one first")
            }
            Error::NothingToRollBackTo => {
                f.write_str("the board has no other good model to go back to: `upload` one")
            }
            Error::Flash => f.write_str(
                "the board's flash fails or is worn out: try again; if that does not help, the board \
                 has to be replaced",
            ),
            Error::Internal { operator } => write!(
                f,
                "a defect of niwaki, in operator {operator}: please report it, with the model"
            ),
        }
    }
}
