//! Where uploaded models go.

use embedded_storage::nor_flash::NorFlash;
use niwaki_store::{Error as StoreError, Manifest, MappedFlash, Running, Slot, Updater};
use niwaki_wire::Error;

use super::SlotModel;

/// A place for a model beside the one that runs, which it never touches.
///
/// An update is a manifest and a model. It is received, verified, and waits; when the board starts
/// again after [`ModelStore::activate`], that model runs on trial, until it is confirmed.
pub trait ModelStore {
    /// Bytes of the largest model that there is room for.
    fn room(&self) -> u32;

    /// The verified model that waits, aligned as a model has to be.
    fn candidate(&self) -> Option<&[u8]>;

    /// Begins an upload with the manifest of a model. Nothing is changed when it is refused.
    ///
    /// # Errors
    ///
    /// What is wrong with the manifest, or with the store.
    fn begin(&mut self, manifest: &[u8]) -> Result<(), Error>;

    /// Takes the next bytes of the model.
    ///
    /// # Errors
    ///
    /// [`Error::NoUpload`], [`Error::Flash`], or that there are more bytes than was said.
    fn write(&mut self, bytes: &[u8]) -> Result<(), Error>;

    /// Ends the upload: the model is verified, and is [`ModelStore::candidate`] from now on.
    ///
    /// # Errors
    ///
    /// [`Error::NoUpload`], [`Error::Truncated`], [`Error::Damaged`] or [`Error::Flash`].
    fn finish(&mut self) -> Result<(), Error>;

    /// Has the board run the candidate, when it starts again.
    ///
    /// # Errors
    ///
    /// [`Error::NothingToActivate`], [`Error::OldVersion`] or [`Error::Flash`].
    fn activate(&mut self) -> Result<(), Error>;

    /// Keeps the model that runs on trial.
    ///
    /// # Errors
    ///
    /// [`Error::Flash`]; then it is still on trial.
    fn confirm(&mut self) -> Result<(), Error>;

    /// Has the board run the model before, when it starts again.
    ///
    /// # Errors
    ///
    /// [`Error::NothingToRollBackTo`] or [`Error::Flash`].
    fn roll_back(&mut self) -> Result<(), Error>;
}

/// The store of a board that runs the model in its image and no other.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoStore;

impl ModelStore for NoStore {
    fn room(&self) -> u32 {
        0
    }

    fn candidate(&self) -> Option<&[u8]> {
        None
    }

    fn begin(&mut self, _: &[u8]) -> Result<(), Error> {
        Err(Error::NoStore)
    }

    fn write(&mut self, _: &[u8]) -> Result<(), Error> {
        Err(Error::NoStore)
    }

    fn finish(&mut self) -> Result<(), Error> {
        Err(Error::NoStore)
    }

    fn activate(&mut self) -> Result<(), Error> {
        Err(Error::NoStore)
    }

    fn confirm(&mut self) -> Result<(), Error> {
        Err(Error::NoStore)
    }

    fn roll_back(&mut self) -> Result<(), Error> {
        Err(Error::NoStore)
    }
}

/// Two slots in flash.
impl<J: NorFlash, S: MappedFlash> ModelStore for Updater<'_, J, S> {
    fn room(&self) -> u32 {
        self.status().room
    }

    fn candidate(&self) -> Option<&[u8]> {
        self.candidate()
    }

    fn begin(&mut self, manifest: &[u8]) -> Result<(), Error> {
        let manifest: &[u8; Manifest::BYTES] =
            manifest.try_into().map_err(|_| Error::NotAnUpdate)?;
        self.begin(manifest).map(|_| ()).map_err(of_store)
    }

    fn write(&mut self, bytes: &[u8]) -> Result<(), Error> {
        self.write(bytes).map(|_| ()).map_err(of_store)
    }

    fn finish(&mut self) -> Result<(), Error> {
        self.finish().map(|_| ()).map_err(of_store)
    }

    fn activate(&mut self) -> Result<(), Error> {
        self.activate().map(|_| ()).map_err(of_store)
    }

    fn confirm(&mut self) -> Result<(), Error> {
        self.confirm().map_err(of_store)
    }

    fn roll_back(&mut self) -> Result<(), Error> {
        self.roll_back().map(|_| ()).map_err(of_store)
    }
}

impl<'m> From<Running<'m>> for SlotModel<'m> {
    fn from(running: Running<'m>) -> Self {
        Self {
            bytes: running.model,
            slot: match running.slot {
                Slot::A => 0,
                Slot::B => 1,
            },
            on_trial: running.on_trial,
        }
    }
}

/// Errors of the store as the wire carries them.
fn of_store(error: StoreError) -> Error {
    match error {
        StoreError::Flash(..) | StoreError::Worn(_) | StoreError::Geometry(_) => Error::Flash,
        StoreError::NotAnUpdate | StoreError::NewerManifest { .. } => Error::NotAnUpdate,
        StoreError::Unsigned => Error::Unsigned,
        StoreError::OtherKey { found, wanted } => Error::OtherKey { found, wanted },
        StoreError::BadSignature | StoreError::BadKey => Error::BadSignature,
        StoreError::TooLarge { length, room } => Error::TooLargeForSlot {
            bytes: length,
            room,
        },
        StoreError::Older { version, floor } => Error::OldVersion {
            found: version,
            least: floor,
        },
        StoreError::Kept => Error::OnTrial,
        StoreError::NoUpload => Error::NoUpload,
        StoreError::Short { received, length } => Error::Truncated {
            needed: length,
            found: received,
        },
        StoreError::Long { length } => Error::OutOfOrder { next: length },
        StoreError::Damaged => Error::Damaged,
        StoreError::NothingToActivate | StoreError::NothingToConfirm => Error::NothingToActivate,
        StoreError::NothingToReturnTo => Error::NothingToRollBackTo,
    }
}
