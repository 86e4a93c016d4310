//! The manifest of an update: 128 bytes in front of a model, little-endian.
//!
//! ```text
//!   0  "NWUPDATE"
//!   8  layout: u16 = 1
//!  10  flags: u16, bit 0: signed; all others are 0
//!  12  version of the model: u32
//!  16  length of the model in bytes: u32
//!  20  identifier of the key: the first 8 bytes of the public key's SHA-256; 0 when unsigned
//!  28  0: u32
//!  32  SHA-256 of the model
//!  64  Ed25519 signature of the 64 bytes before it; 0 when unsigned
//! 128  the model
//! ```
//!
//! The signature covers the model by its SHA-256 and its length, so that an upload can be refused
//! before anything is erased for it.

use crate::Error;

/// How an update begins.
const MAGIC: [u8; 8] = *b"NWUPDATE";
/// The layout that this version writes and reads.
const LAYOUT: u16 = 1;
/// The flag of a signed manifest.
const SIGNED: u16 = 1;

/// How many bytes of a manifest are signed.
pub const SIGNED_BYTES: usize = 64;

/// What an update says of its model.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Manifest {
    /// Version of the model: grows from one release to the next.
    pub version: u32,
    /// Length of the model in bytes.
    pub length: u32,
    /// SHA-256 of the model.
    pub sha256: [u8; 32],
    /// Who has signed it, if anybody has.
    pub signature: Option<Signature>,
}

/// The signature of a manifest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Signature {
    /// The key's identifier: see [`key_id`].
    pub key: [u8; 8],
    /// The Ed25519 signature.
    pub bytes: [u8; 64],
}

/// The identifier of a public key: the first 8 bytes of its SHA-256.
pub fn key_id(public: &[u8; 32]) -> [u8; 8] {
    let [a, b, c, d, e, f, g, h, ..] = hmac_sha256::Hash::hash(public);
    [a, b, c, d, e, f, g, h]
}

impl Manifest {
    /// Bytes of a manifest; the model follows.
    pub const BYTES: usize = 128;

    /// The manifest of a model, unsigned. `None` when the model is of 4 GiB or more.
    pub fn of(version: u32, model: &[u8]) -> Option<Self> {
        Some(Self {
            version,
            length: u32::try_from(model.len()).ok()?,
            sha256: hmac_sha256::Hash::hash(model),
            signature: None,
        })
    }

    /// The same, signed: `sign` gives the Ed25519 signature of [`SIGNED_BYTES`] bytes by the key
    /// that belongs to `public`.
    pub fn signed(
        mut self,
        public: &[u8; 32],
        sign: impl FnOnce(&[u8; SIGNED_BYTES]) -> [u8; 64],
    ) -> Self {
        let mut signature = Signature {
            key: key_id(public),
            bytes: [0; 64],
        };
        self.signature = Some(signature);
        signature.bytes = sign(&self.signed_bytes());
        self.signature = Some(signature);
        self
    }

    /// Reads a manifest from the front of an update. The model and the signature are not looked
    /// at.
    ///
    /// # Errors
    ///
    /// [`Error::NotAnUpdate`] and [`Error::NewerManifest`].
    pub fn read(update: &[u8]) -> Result<Self, Error> {
        let mut rest = update;
        if field(&mut rest)? != MAGIC {
            return Err(Error::NotAnUpdate);
        }
        let layout = u16::from_le_bytes(field(&mut rest)?);
        let flags = u16::from_le_bytes(field(&mut rest)?);
        if layout != LAYOUT || flags & !SIGNED != 0 {
            let found = u32::from(layout) | u32::from(flags) << 16;
            return Err(Error::NewerManifest { found });
        }
        let version = u32::from_le_bytes(field(&mut rest)?);
        let length = u32::from_le_bytes(field(&mut rest)?);
        let key = field(&mut rest)?;
        let zero: [u8; 4] = field(&mut rest)?;
        let sha256 = field(&mut rest)?;
        let bytes = field(&mut rest)?;
        let signed = flags & SIGNED != 0;
        if zero != [0; 4] || !signed && (key != [0; 8] || bytes != [0; 64]) {
            return Err(Error::NotAnUpdate);
        }
        Ok(Self {
            version,
            length,
            sha256,
            signature: signed.then_some(Signature { key, bytes }),
        })
    }

    /// The 128 bytes.
    pub fn to_bytes(&self) -> [u8; Self::BYTES] {
        let signature = self.signature.map_or([0; 64], |signature| signature.bytes);
        concat(&[&self.signed_bytes(), &signature])
    }

    /// The bytes that a signature covers.
    pub fn signed_bytes(&self) -> [u8; SIGNED_BYTES] {
        let flags = if self.signature.is_some() { SIGNED } else { 0 };
        let key = self.signature.map_or([0; 8], |signature| signature.key);
        concat(&[
            &MAGIC,
            &LAYOUT.to_le_bytes(),
            &flags.to_le_bytes(),
            &self.version.to_le_bytes(),
            &self.length.to_le_bytes(),
            &key,
            &[0; 4],
            &self.sha256,
        ])
    }

    /// Whether `model` is the one that this manifest is of: its length and its SHA-256.
    pub fn is_of(&self, model: &[u8]) -> bool {
        model.len() == self.length as usize && hmac_sha256::Hash::hash(model) == self.sha256
    }
}

/// The next bytes of a manifest.
fn field<const N: usize>(rest: &mut &[u8]) -> Result<[u8; N], Error> {
    let (field, behind) = rest.split_first_chunk().ok_or(Error::NotAnUpdate)?;
    *rest = behind;
    Ok(*field)
}

/// Parts behind each other, as many as fit, and zeros.
fn concat<const N: usize>(parts: &[&[u8]]) -> [u8; N] {
    let mut whole = [0; N];
    let bytes = parts.iter().copied().flatten();
    whole
        .iter_mut()
        .zip(bytes)
        .for_each(|(to, from)| *to = *from);
    whole
}
