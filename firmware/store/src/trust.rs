//! Whose models are taken.

use crate::{Error, Manifest};

/// Whose models are taken.
#[derive(Clone, Copy, Debug)]
pub enum Trust {
    /// Anybody's. Versions may go down, as nobody vouches for them.
    Anybody,
    /// Those of the owner of one key, and none older than what was confirmed.
    #[cfg(feature = "signature")]
    Key(PublicKey),
}

/// A public key for Ed25519, in the form that signatures are verified with.
#[cfg(feature = "signature")]
#[derive(Clone, Copy, Debug)]
pub struct PublicKey {
    key: ed25519_dalek::VerifyingKey,
}

#[cfg(feature = "signature")]
impl PublicKey {
    /// Reads the file of a public key that `niwaki keygen` writes: a SubjectPublicKeyInfo in DER.
    ///
    /// # Errors
    ///
    /// [`Error::BadKey`] as for [`PublicKey::new`], and when it is of another kind.
    pub fn from_der(der: &[u8; 44]) -> Result<Self, Error> {
        // RFC 8410: a sequence of the identifier 1.3.101.112, and of a string of 256 bits.
        const FRONT: [u8; 12] = [
            0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00,
        ];
        match der.split_last_chunk::<32>() {
            Some((front, key)) if *front == FRONT => Self::new(key),
            _ => Err(Error::BadKey),
        }
    }

    /// The identifier of this key: see [`crate::key_id`].
    pub fn id(&self) -> [u8; 8] {
        crate::key_id(self.key.as_bytes())
    }

    /// Checks the 32 bytes of a key.
    ///
    /// # Errors
    ///
    /// [`Error::BadKey`] when they are no point of the curve, or one of a small order, for which
    /// anybody can sign.
    pub fn new(bytes: &[u8; 32]) -> Result<Self, Error> {
        match ed25519_dalek::VerifyingKey::from_bytes(bytes) {
            Ok(key) if !key.is_weak() => Ok(Self { key }),
            _ => Err(Error::BadKey),
        }
    }

    /// Whether a manifest is signed with this key.
    ///
    /// # Errors
    ///
    /// [`Error::Unsigned`], [`Error::OtherKey`] and [`Error::BadSignature`].
    pub fn verify(&self, manifest: &Manifest) -> Result<(), Error> {
        let signature = manifest.signature.ok_or(Error::Unsigned)?;
        let wanted = self.id();
        if signature.key != wanted {
            return Err(Error::OtherKey {
                found: signature.key,
                wanted,
            });
        }
        let bytes = ed25519_dalek::Signature::from_bytes(&signature.bytes);
        self.key
            .verify_strict(&manifest.signed_bytes(), &bytes)
            .map_err(|_| Error::BadSignature)
    }
}

impl Trust {
    /// Whether a manifest's model may be run here.
    pub(crate) fn check(&self, manifest: &Manifest) -> Result<(), Error> {
        match self {
            Self::Anybody => {
                let _ = manifest;
                Ok(())
            }
            #[cfg(feature = "signature")]
            Self::Key(key) => key.verify(manifest),
        }
    }

    /// The version below which nothing is taken, after `version` was confirmed.
    pub(crate) fn floor(&self, version: u32) -> u32 {
        match self {
            // Whoever cannot sign must not be able to lock the owner of a later key out.
            Self::Anybody => {
                let _ = version;
                0
            }
            #[cfg(feature = "signature")]
            Self::Key(_) => version,
        }
    }
}
