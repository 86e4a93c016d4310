//! The store as a device opens it, and what it decides at boot.

use embedded_storage::nor_flash::NorFlash;

use crate::journal::Journal;
use crate::state::{Entry, Pair, Phase, Slot, State};
use crate::update::Updater;
use crate::{Error, Manifest, MappedFlash, Part, Trust, flash};

/// Two slots and a journal.
#[derive(Debug)]
pub struct Store<J, S> {
    journal: Journal<J>,
    slots: Pair<S>,
    trust: Trust,
    /// What the journal says; `None` when there is no record in it.
    state: Option<State>,
}

/// What a device starts with.
#[derive(Debug)]
pub struct Boot<'s, J, S> {
    /// The model to run; `None` when there is no whole one that may run.
    pub running: Option<Running<'s>>,
    /// Replaces the model, while the running one stays readable.
    pub updater: Updater<'s, J, S>,
    /// That the journal could not be written. The model is good nevertheless; what should have
    /// been recorded is decided again at the next boot.
    pub journal: Result<(), Error>,
}

/// The model that runs.
#[derive(Clone, Copy, Debug)]
pub struct Running<'s> {
    /// The artifact, read in place. It begins at a multiple of 16.
    pub model: &'s [u8],
    /// What its update said of it.
    pub manifest: Manifest,
    /// Where it lies.
    pub slot: Slot,
    /// That it is on trial: test it, and then [`Updater::confirm`] or [`Updater::roll_back`]. If
    /// neither happens before the next boot, that one returns to the model before.
    pub on_trial: bool,
}

impl<J: NorFlash, S: MappedFlash> Store<J, S> {
    /// Opens a store, and changes nothing. The journal has at least two erase pages of its own;
    /// each slot has a manifest's 128 bytes more than the largest model.
    ///
    /// # Errors
    ///
    /// [`Error::Geometry`], or [`Error::Flash`] when the journal cannot be read.
    pub fn open(journal: J, slots: [S; 2], trust: Trust) -> Result<Self, Error> {
        const { assert!(flash::suits::<S>(), "no slot fits this flash's sizes") };
        let [a, b] = slots;
        for slot in [&a, &b] {
            let bytes = slot.bytes();
            let aligned = bytes.as_ptr().addr().is_multiple_of(16);
            let fits = bytes.len() == slot.capacity() && bytes.len() > Manifest::BYTES;
            if !aligned || !fits || u32::try_from(bytes.len()).is_err() {
                return Err(Error::Geometry(Part::Slot));
            }
        }
        let (journal, state) = Journal::open(journal)?;
        Ok(Self {
            journal,
            slots: Pair { a, b },
            trust,
            state,
        })
    }

    /// Gives the flash back.
    pub fn release(self) -> (J, [S; 2]) {
        (self.journal.release(), [self.slots.a, self.slots.b])
    }

    /// Decides which model runs, and records it where that is news. To be called once when the
    /// device starts; calling it again is a restart, and takes a model on trial that was not
    /// confirmed as failed.
    ///
    /// A model on trial that was not confirmed is rejected. A model that is no longer what its
    /// manifest says, by its SHA-256, is rejected too, and the other slot's taken if it was
    /// confirmed, or was never tried and is whole. That costs a SHA-256 of the model, and with a
    /// key one verification of a signature.
    pub fn boot(&mut self) -> Boot<'_, J, S> {
        let known = self.state.unwrap_or_default();
        let mut state = self.state.unwrap_or_else(|| self.adopted());
        let mut running = self.choose(&mut state);
        let mut journal = Ok(());
        if state != known {
            journal = self.journal.append(&state);
            if journal.is_err() && running.is_some_and(|(.., on_trial)| on_trial) {
                // Without the record a trial would be repeated for ever: the good model it is.
                state = known;
                running = state.current.and_then(|slot| self.whole(&state, slot));
            }
        }
        let state = self.state.insert(state);

        // Without a running model, the slot that holds the most is the one to go on with.
        let idle = || {
            let order = |slot| match state.phase(slot) {
                Phase::Complete | Phase::Activated => 3,
                Phase::Rejected => 2,
                Phase::Receiving => 1,
                Phase::Empty | Phase::Trial | Phase::Confirmed => 0,
            };
            if order(Slot::B) > order(Slot::A) {
                Slot::B
            } else {
                Slot::A
            }
        };
        let target = running.map_or_else(idle, |(slot, ..)| slot.other());
        let (target_flash, other) = match target {
            Slot::A => (&mut self.slots.a, &self.slots.b),
            Slot::B => (&mut self.slots.b, &self.slots.a),
        };
        let running = running.and_then(|(slot, manifest, on_trial)| {
            let model = model(other, &manifest)?;
            Some(Running {
                model,
                manifest,
                slot,
                on_trial,
            })
        });
        Boot {
            running,
            updater: Updater::new(
                &mut self.journal,
                state,
                &self.trust,
                target_flash,
                target,
                running,
            ),
            journal,
        }
    }

    /// The model that a state asks for, and whether it is on trial; puts right what the state
    /// says of models that may not run.
    fn choose(&self, state: &mut State) -> Option<(Slot, Manifest, bool)> {
        // The boot before this one has run it, and nobody has confirmed it.
        if let Some(slot) = state.slot_in(Phase::Trial) {
            state.set_phase(slot, Phase::Rejected);
        }
        if let Some(slot) = state.slot_in(Phase::Activated) {
            let whole = self.whole(state, slot);
            let phase = if whole.is_some() {
                Phase::Trial
            } else {
                Phase::Rejected
            };
            state.set_phase(slot, phase);
            if whole.is_some() {
                return whole;
            }
        }
        if let Some(slot) = state.current {
            let whole = self.whole(state, slot);
            if whole.is_some() {
                return whole;
            }
            state.set_phase(slot, Phase::Rejected);
            state.current = None;
        }
        if let Some(slot) = state.slot_in(Phase::Confirmed) {
            let whole = self.whole(state, slot);
            if whole.is_some() {
                state.current = Some(slot);
                return whole;
            }
            state.set_phase(slot, Phase::Rejected);
        }
        // A whole model that nobody has tried is better than none.
        let slot = state.slot_in(Phase::Complete)?;
        let whole = self.whole(state, slot);
        let phase = if whole.is_some() {
            Phase::Trial
        } else {
            Phase::Rejected
        };
        state.set_phase(slot, phase);
        whole
    }

    /// A slot whose model is what the journal says, whole; and whether it is on trial, or will be.
    fn whole(&self, state: &State, slot: Slot) -> Option<(Slot, Manifest, bool)> {
        let entry = state.slots.of(slot);
        let (manifest, digest) = examine(self.slots.of(slot), &self.trust).ok()?;
        let on_trial = !matches!(entry.phase, Phase::Confirmed);
        (digest == entry.digest).then_some((slot, manifest, on_trial))
    }

    /// The state of a device whose journal is blank: what was flashed into its slots by a probe
    /// is good, and of two the newer.
    fn adopted(&self) -> State {
        let mut state = State::default();
        let mut newest = None;
        for slot in Slot::ALL {
            if let Ok((manifest, digest)) = examine(self.slots.of(slot), &self.trust) {
                *state.slots.of_mut(slot) = Entry {
                    phase: Phase::Confirmed,
                    digest,
                };
                if newest.is_none_or(|version| manifest.version > version) {
                    newest = Some(manifest.version);
                    state.current = Some(slot);
                    state.floor = self.trust.floor(manifest.version);
                }
            }
        }
        state
    }
}

/// The bytes of the model in a slot, behind its manifest; `None` when they are more than it has.
pub(crate) fn model<'s>(slot: &'s impl MappedFlash, manifest: &Manifest) -> Option<&'s [u8]> {
    let bytes = slot.bytes().get(Manifest::BYTES..)?;
    bytes.get(..manifest.length as usize)
}

/// Reads and verifies all of a slot: the manifest, whose it is, and the model. Gives the manifest
/// and the front of its digest.
///
/// # Errors
///
/// What is wrong with the slot's content.
pub(crate) fn examine(
    slot: &impl MappedFlash,
    trust: &Trust,
) -> Result<(Manifest, [u8; 16]), Error> {
    let manifest = Manifest::read(slot.bytes())?;
    trust.check(&manifest)?;
    match model(slot, &manifest) {
        Some(model) if manifest.is_of(model) => Ok((manifest, digest(&manifest))),
        _ => Err(Error::Damaged),
    }
}

/// The front of a manifest's SHA-256.
fn digest(manifest: &Manifest) -> [u8; 16] {
    let mut front = [0; 16];
    let digest = hmac_sha256::Hash::hash(&manifest.to_bytes());
    front
        .iter_mut()
        .zip(digest)
        .for_each(|(to, from)| *to = from);
    front
}
