//! Replaces the model in the slot that is not running.

use embedded_storage::nor_flash::{NorFlash, NorFlashError as _};

use crate::flash::MAX_WRITE;
use crate::journal::Journal;
use crate::state::{Entry, Phase, Slot, State};
use crate::store::{Running, examine, model};
use crate::{Error, Manifest, MappedFlash, Part, Trust};

/// Receives, activates, confirms and rolls back. The running model is never written to.
#[derive(Debug)]
pub struct Updater<'s, J, S> {
    journal: &'s mut Journal<J>,
    state: &'s mut State,
    trust: &'s Trust,
    flash: &'s mut S,
    slot: Slot,
    running: Option<(Slot, Manifest)>,
    upload: Option<Upload>,
}

/// Where a device and an update stand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Status {
    /// What slot A and slot B hold.
    pub phases: [Phase; 2],
    /// The slot of the running model.
    pub running: Option<Slot>,
    /// The good model, which the next boot runs unless another is activated.
    pub current: Option<Slot>,
    /// The slot that an upload goes to.
    pub target: Slot,
    /// The lowest version that is taken.
    pub floor: u32,
    /// Bytes of the largest model that a slot holds.
    pub room: u32,
    /// Bytes of an upload that have come, and those of its model.
    pub upload: Option<(u32, u32)>,
}

/// An upload that is under way.
#[derive(Debug)]
struct Upload {
    manifest: Manifest,
    /// Bytes of the model that have come.
    received: u32,
    /// Where the next write goes, a multiple of the unit of a write.
    at: u32,
    /// The end of what has been erased for this upload.
    erased: u32,
    /// What has come and does not fill a unit yet.
    tail: [u8; MAX_WRITE],
    tail_len: usize,
}

impl<'s, J: NorFlash, S: MappedFlash> Updater<'s, J, S> {
    pub(crate) fn new(
        journal: &'s mut Journal<J>,
        state: &'s mut State,
        trust: &'s Trust,
        flash: &'s mut S,
        slot: Slot,
        running: Option<Running<'s>>,
    ) -> Self {
        Self {
            journal,
            state,
            trust,
            flash,
            slot,
            running: running.map(|running| (running.slot, running.manifest)),
            upload: None,
        }
    }

    /// Where things stand.
    pub fn status(&self) -> Status {
        let upload = self.upload.as_ref();
        Status {
            phases: Slot::ALL.map(|slot| self.state.phase(slot)),
            running: self.running.map(|(slot, _)| slot),
            current: self.state.current,
            target: self.slot,
            floor: self.state.floor,
            room: self.room(),
            upload: upload.map(|upload| (upload.received, upload.manifest.length)),
        }
    }

    /// The manifest of the model in the other slot, if there is a model: that has run, or is to.
    pub fn other(&self) -> Option<Manifest> {
        match self.state.phase(self.slot) {
            Phase::Empty | Phase::Receiving => None,
            _ => Manifest::read(self.flash.bytes()).ok(),
        }
    }

    /// The artifact that [`Updater::activate`] would take, as it lies in the other slot: it was
    /// verified when it was received, and is again when it is activated.
    pub fn candidate(&self) -> Option<&[u8]> {
        match self.state.phase(self.slot) {
            Phase::Complete | Phase::Rejected | Phase::Activated => {
                let manifest = Manifest::read(self.flash.bytes()).ok()?;
                model(self.flash, &manifest)
            }
            _ => None,
        }
    }

    /// Begins an upload with the manifest that is in front of the model. An upload that was under
    /// way, and the model in the other slot, are gone.
    ///
    /// # Errors
    ///
    /// What is wrong with the manifest, before anything is erased; [`Error::Kept`]; or
    /// [`Error::Flash`].
    pub fn begin(&mut self, manifest: &[u8; Manifest::BYTES]) -> Result<Manifest, Error> {
        self.upload = None;
        let read = Manifest::read(manifest)?;
        self.trust.check(&read)?;
        self.not_older(&read)?;
        let (length, room) = (read.length, self.room());
        if length > room {
            return Err(Error::TooLarge { length, room });
        }
        if self.state.current == Some(self.slot) {
            return Err(Error::Kept);
        }
        // The journal has to know before the slot's content becomes meaningless.
        let entry = Entry {
            phase: Phase::Receiving,
            digest: [0; 16],
        };
        self.record(entry)?;
        let mut upload = Upload {
            manifest: read,
            received: 0,
            at: 0,
            erased: 0,
            tail: [0xFF; MAX_WRITE],
            tail_len: 0,
        };
        upload.push(self.flash, manifest)?;
        self.upload = Some(upload);
        Ok(read)
    }

    /// The next bytes of the model, any number of them. Gives how many have come. Each sector is
    /// erased when the upload comes to it.
    ///
    /// # Errors
    ///
    /// [`Error::NoUpload`]; [`Error::Long`], with nothing written; or [`Error::Flash`], and then
    /// the upload has to begin again.
    pub fn write(&mut self, bytes: &[u8]) -> Result<u32, Error> {
        let upload = self.upload.as_mut().ok_or(Error::NoUpload)?;
        let length = upload.manifest.length;
        let received = u32::try_from(bytes.len())
            .ok()
            .and_then(|len| upload.received.checked_add(len))
            .filter(|&received| received <= length)
            .ok_or(Error::Long { length })?;
        if let Err(error) = upload.push(self.flash, bytes) {
            self.upload = None;
            return Err(error);
        }
        upload.received = received;
        Ok(received)
    }

    /// Ends an upload: verifies what is in the slot now, and keeps it for [`Updater::activate`].
    ///
    /// # Errors
    ///
    /// [`Error::NoUpload`]; [`Error::Short`], and the upload may go on; [`Error::Damaged`] or
    /// [`Error::Flash`], and then it has to begin again.
    pub fn finish(&mut self) -> Result<Manifest, Error> {
        let upload = self.upload.as_mut().ok_or(Error::NoUpload)?;
        let (received, length) = (upload.received, upload.manifest.length);
        if received < length {
            return Err(Error::Short { received, length });
        }
        let (manifest, flushed) = (upload.manifest, upload.flush(self.flash));
        self.upload = None;
        flushed?;
        let (found, digest) = examine(self.flash, self.trust)?;
        if found != manifest {
            return Err(Error::Damaged);
        }
        self.record(Entry {
            phase: Phase::Complete,
            digest,
        })?;
        Ok(manifest)
    }

    /// Has the next boot run the other slot's model on trial: one that was received, or one that
    /// was rejected and is whole. Then reset the device.
    ///
    /// # Errors
    ///
    /// [`Error::NothingToActivate`], what is wrong with the model, or [`Error::Flash`].
    pub fn activate(&mut self) -> Result<Manifest, Error> {
        let entry = *self.state.slots.of(self.slot);
        match entry.phase {
            Phase::Complete | Phase::Rejected | Phase::Activated => {}
            _ => return Err(Error::NothingToActivate),
        }
        let (manifest, digest) = examine(self.flash, self.trust)?;
        if digest != entry.digest {
            return Err(Error::Damaged);
        }
        self.not_older(&manifest)?;
        self.record(Entry {
            phase: Phase::Activated,
            digest,
        })?;
        Ok(manifest)
    }

    /// Makes the running model the good one, once it has shown that it works.
    ///
    /// # Errors
    ///
    /// [`Error::NothingToConfirm`], or [`Error::Flash`], and then it is still on trial.
    pub fn confirm(&mut self) -> Result<(), Error> {
        let (slot, manifest) = self.running.ok_or(Error::NothingToConfirm)?;
        let mut state = *self.state;
        match state.phase(slot) {
            Phase::Trial => {}
            Phase::Confirmed => return Ok(()),
            // Rolled back.
            _ => return Err(Error::NothingToConfirm),
        }
        state.set_phase(slot, Phase::Confirmed);
        state.current = Some(slot);
        state.floor = state.floor.max(self.trust.floor(manifest.version));
        self.keep(state)
    }

    /// Rejects the running model, for the one in the other slot: the next boot runs that. Then
    /// reset the device. The lowest version that is taken stays as it is.
    ///
    /// # Errors
    ///
    /// [`Error::NothingToReturnTo`] when the other slot holds no confirmed model that is whole,
    /// or [`Error::Flash`].
    pub fn roll_back(&mut self) -> Result<Manifest, Error> {
        let mut state = *self.state;
        let entry = *state.slots.of(self.slot);
        if entry.phase != Phase::Confirmed {
            return Err(Error::NothingToReturnTo);
        }
        let manifest = match examine(self.flash, self.trust) {
            Ok((manifest, digest)) if digest == entry.digest => manifest,
            _ => return Err(Error::NothingToReturnTo),
        };
        if let Some((slot, _)) = self.running {
            state.set_phase(slot, Phase::Rejected);
        }
        state.current = Some(self.slot);
        self.keep(state)?;
        Ok(manifest)
    }

    fn not_older(&self, manifest: &Manifest) -> Result<(), Error> {
        let (version, floor) = (manifest.version, self.trust.floor(self.state.floor));
        if version < floor {
            return Err(Error::Older { version, floor });
        }
        Ok(())
    }

    fn room(&self) -> u32 {
        // `Store::open` has seen that the capacity fits.
        self.flash.capacity().saturating_sub(Manifest::BYTES) as u32
    }

    /// Records what is in the other slot.
    fn record(&mut self, entry: Entry) -> Result<(), Error> {
        let mut state = *self.state;
        *state.slots.of_mut(self.slot) = entry;
        self.keep(state)
    }

    fn keep(&mut self, state: State) -> Result<(), Error> {
        if *self.state != state || self.journal.is_doubtful() {
            self.journal.append(&state)?;
            *self.state = state;
        }
        Ok(())
    }
}

impl Upload {
    /// Writes bytes behind those before, and keeps what does not fill a unit.
    fn push<S: NorFlash>(&mut self, flash: &mut S, mut bytes: &[u8]) -> Result<(), Error> {
        while !bytes.is_empty() {
            if self.tail_len == 0 && bytes.len() >= S::WRITE_SIZE {
                let whole = bytes.len() - bytes.len() % S::WRITE_SIZE;
                let (units, rest) = bytes.split_at_checked(whole).unwrap_or((bytes, &[]));
                self.program(flash, units)?;
                bytes = rest;
                continue;
            }
            let room = self.tail.get_mut(self.tail_len..S::WRITE_SIZE);
            let room = room.unwrap_or_default();
            let taken = room.len().min(bytes.len());
            room.iter_mut()
                .zip(bytes)
                .for_each(|(to, from)| *to = *from);
            self.tail_len += taken;
            bytes = bytes.get(taken..).unwrap_or_default();
            if self.tail_len == S::WRITE_SIZE {
                self.flush(flash)?;
            }
        }
        Ok(())
    }

    /// Writes what has been kept, filled with ones.
    fn flush<S: NorFlash>(&mut self, flash: &mut S) -> Result<(), Error> {
        if self.tail_len == 0 {
            return Ok(());
        }
        let unit = self.tail;
        self.tail = [0xFF; MAX_WRITE];
        self.tail_len = 0;
        self.program(flash, unit.get(..S::WRITE_SIZE).unwrap_or_default())
    }

    /// Writes whole units, into sectors that it erases as it comes to them.
    fn program<S: NorFlash>(&mut self, flash: &mut S, units: &[u8]) -> Result<(), Error> {
        let failure = |error: S::Error| Error::Flash(Part::Slot, error.kind());
        // A slot ends below 2³², and so does what is in it.
        let end = self.at.saturating_add(units.len() as u32);
        let sector = S::ERASE_SIZE as u32;
        while self.erased < end {
            let next = self.erased.saturating_add(sector);
            flash.erase(self.erased, next).map_err(failure)?;
            self.erased = next;
        }
        flash.write(self.at, units).map_err(failure)?;
        self.at = end;
        Ok(())
    }
}
