//! What can go wrong with an update.

use core::fmt;

use embedded_storage::nor_flash::NorFlashErrorKind;

/// A part of the flash.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// The journal.
    Journal,
    /// One of the two slots.
    Slot,
}

/// Why an update, or a step of it, is refused. The model that runs is never touched.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Error {
    /// The flash reports an error.
    Flash(Part, NorFlashErrorKind),
    /// The flash does not keep what is written to it: it is worn out.
    Worn(Part),
    /// A part is too small, or does not begin at a multiple of 16.
    Geometry(Part),
    /// The bytes do not begin with the manifest of an update.
    NotAnUpdate,
    /// The manifest's layout, or a flag in it, is not known here.
    NewerManifest {
        /// Layout in the low half, flags in the high half.
        found: u32,
    },
    /// A key is built in, and the model is not signed.
    Unsigned,
    /// The model is signed with another key than the one that is built in.
    OtherKey {
        /// Identifier of the key that it is signed with.
        found: [u8; 8],
        /// Identifier of the key that is built in.
        wanted: [u8; 8],
    },
    /// The signature does not fit the manifest: one of them was changed.
    BadSignature,
    /// The public key is no point of the curve, or a weak one.
    BadKey,
    /// The model is larger than the slot.
    TooLarge {
        /// Bytes of the model.
        length: u32,
        /// Bytes that a slot has for one.
        room: u32,
    },
    /// The model is older than one that was confirmed.
    Older {
        /// Its version.
        version: u32,
        /// The lowest version that is taken.
        floor: u32,
    },
    /// The other slot holds the model to return to: confirm the one on trial, or restart, first.
    Kept,
    /// No upload has begun.
    NoUpload,
    /// The upload ends before the model does.
    Short {
        /// Bytes that have come.
        received: u32,
        /// Bytes of the model.
        length: u32,
    },
    /// The upload goes on behind the end of the model.
    Long {
        /// Bytes of the model.
        length: u32,
    },
    /// The model's SHA-256 is not the manifest's.
    Damaged,
    /// There is no whole model in the other slot.
    NothingToActivate,
    /// No model is running that could be confirmed.
    NothingToConfirm,
    /// There is no other good model to go back to.
    NothingToReturnTo,
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Flash(part, kind) => write!(f, "the flash of the {part} fails: {kind:?}"),
            Self::Worn(part) => write!(f, "the flash of the {part} is worn out"),
            Self::Geometry(part) => write!(
                f,
                "the {part} is too small, or does not begin at a multiple of 16"
            ),
            Self::NotAnUpdate => f.write_str("not an update: `niwaki sign` makes one of a model"),
            Self::NewerManifest { found } => write!(
                f,
                "layout {} of the manifest with flags {:#x} is newer than this program: update it",
                found & 0xFFFF,
                found >> 16
            ),
            Self::Unsigned => f.write_str(
                "the model is not signed, and only signed ones are taken: `niwaki sign`",
            ),
            Self::OtherKey { found, wanted } => write!(
                f,
                "the model is signed with key {}, and only key {} is taken",
                Hex(found),
                Hex(wanted)
            ),
            Self::BadSignature => {
                f.write_str("the signature is wrong: the update was changed after it was signed")
            }
            Self::BadKey => f.write_str("not a public key for Ed25519"),
            Self::TooLarge { length, room } => {
                write!(f, "the model takes {length} bytes, and a slot has {room}")
            }
            Self::Older { version, floor } => write!(
                f,
                "version {version} is older than version {floor}, which was confirmed: sign it \
                 with a higher number"
            ),
            Self::Kept => f.write_str(
                "the other slot holds the model to return to: confirm the trial, or restart, first",
            ),
            Self::NoUpload => f.write_str("no upload has begun"),
            Self::Short { received, length } => write!(
                f,
                "{received} of the model's {length} bytes have come: send the rest"
            ),
            Self::Long { length } => write!(
                f,
                "the upload goes on behind the model's {length} bytes: begin again"
            ),
            Self::Damaged => f.write_str("the model is damaged (SHA-256): send it again"),
            Self::NothingToActivate => {
                f.write_str("there is no whole model in the other slot: upload one first")
            }
            Self::NothingToConfirm => f.write_str("no model is running"),
            Self::NothingToReturnTo => f.write_str("there is no other good model to return to"),
        }
    }
}

impl core::error::Error for Error {}

impl fmt::Display for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Journal => "journal",
            Self::Slot => "slot",
        })
    }
}

/// Bytes as hexadecimal digits.
struct Hex<'a>(&'a [u8]);

impl fmt::Display for Hex<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}
