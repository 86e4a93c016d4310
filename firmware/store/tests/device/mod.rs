//! A simulated device with a store.

// Each test uses what it needs.
#![allow(dead_code)]

use ed25519_dalek::{Signer as _, SigningKey};
use niwaki_store::simulate::{Power, SimFlash};
use niwaki_store::{Boot, Error, Manifest, PublicKey, Store, Trust};

/// A device whose flash has units of `WRITE` bytes and sectors of `ERASE`.
pub(crate) struct Device<const WRITE: usize, const ERASE: usize> {
    store: Option<Store<SimFlash<WRITE, ERASE>, SimFlash<WRITE, ERASE>>>,
    trust: Trust,
}

impl<const WRITE: usize, const ERASE: usize> Device<WRITE, ERASE> {
    /// A device with erased flash of so many sectors for the journal, and for each slot.
    pub(crate) fn new(power: &Power, journal: usize, slot: usize, trust: Trust) -> Self {
        let slots = [slot; 2].map(|sectors| SimFlash::new(sectors, power));
        Self::of(SimFlash::new(journal, power), slots, trust)
    }

    /// A device of these parts.
    pub(crate) fn of(
        journal: SimFlash<WRITE, ERASE>,
        slots: [SimFlash<WRITE, ERASE>; 2],
        trust: Trust,
    ) -> Self {
        Self {
            store: Some(Store::open(journal, slots, trust).unwrap()),
            trust,
        }
    }

    /// The same bytes in a flash with another power.
    pub(crate) fn copy(&mut self, power: &Power) -> Self {
        let (journal, [a, b]) = self.store.take().unwrap().release();
        let part = |flash: &SimFlash<WRITE, ERASE>| {
            SimFlash::holding(niwaki_store::MappedFlash::bytes(flash), power)
        };
        let copy = Self::of(part(&journal), [part(&a), part(&b)], self.trust);
        self.store = Some(Store::open(journal, [a, b], self.trust).unwrap());
        copy
    }

    /// Does something to the flash while the device is off.
    pub(crate) fn change(
        &mut self,
        change: impl FnOnce(&mut SimFlash<WRITE, ERASE>, &mut [SimFlash<WRITE, ERASE>; 2]),
    ) {
        let (mut journal, mut slots) = self.store.take().unwrap().release();
        change(&mut journal, &mut slots);
        self.store = Some(Store::open(journal, slots, self.trust).unwrap());
    }

    /// Takes other models from now on.
    pub(crate) fn trust(&mut self, trust: Trust) {
        self.trust = trust;
        self.change(|_, _| {});
    }

    /// Starts: nothing is known but what is in the flash.
    pub(crate) fn start(&mut self) -> Boot<'_, SimFlash<WRITE, ERASE>, SimFlash<WRITE, ERASE>> {
        self.change(|_, _| {});
        self.store.as_mut().unwrap().boot()
    }

    /// Starts, and gives the model that runs.
    pub(crate) fn boot(&mut self) -> Option<Vec<u8>> {
        self.start().running.map(|running| running.model.to_vec())
    }

    /// Starts, receives an update in chunks of so many bytes, and activates it.
    pub(crate) fn upload(&mut self, update: &[u8], chunk: usize) -> Result<(), Error> {
        let Boot {
            mut updater,
            journal,
            ..
        } = self.start();
        journal?;
        let (manifest, model) = update
            .split_first_chunk::<{ Manifest::BYTES }>()
            .ok_or(Error::NotAnUpdate)?;
        updater.begin(manifest)?;
        for chunk in model.chunks(chunk) {
            updater.write(chunk)?;
        }
        updater.finish()?;
        updater.activate()?;
        Ok(())
    }

    /// All of an update: upload, restart on trial, confirmation.
    pub(crate) fn update(&mut self, update: &[u8], chunk: usize) -> Result<(), Error> {
        self.upload(update, chunk)?;
        let Boot {
            running,
            mut updater,
            journal,
        } = self.start();
        journal?;
        let model = &update[Manifest::BYTES..];
        assert!(running.is_some_and(|running| running.on_trial && running.model == model));
        updater.confirm()
    }
}

/// Bytes that look like a model to a store: any.
pub(crate) fn random(seed: u64, len: usize) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 32) as u8
    };
    (0..len).map(|_| next()).collect()
}

/// An update that nobody has signed.
pub(crate) fn unsigned(version: u32, model: &[u8]) -> Vec<u8> {
    let manifest = Manifest::of(version, model).unwrap();
    [&manifest.to_bytes()[..], model].concat()
}

/// An update signed by a key.
pub(crate) fn signed(key: &SigningKey, version: u32, model: &[u8]) -> Vec<u8> {
    let manifest = Manifest::of(version, model)
        .unwrap()
        .signed(key.verifying_key().as_bytes(), |bytes| {
            key.sign(bytes).to_bytes()
        });
    [&manifest.to_bytes()[..], model].concat()
}

/// A key to sign with, and the trust in it.
pub(crate) fn key(seed: u8) -> (SigningKey, Trust) {
    let key = SigningKey::from_bytes(&[seed; 32]);
    let public = PublicKey::new(key.verifying_key().as_bytes()).unwrap();
    (key, Trust::Key(public))
}
