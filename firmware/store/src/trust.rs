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
    /// Checks the 32 bytes of a key, as `niwaki keygen` writes them.
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
        let wanted = crate::key_id(self.key.as_bytes());
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
