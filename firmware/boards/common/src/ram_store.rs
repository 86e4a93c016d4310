//! A store whose flash is memory.

use niwaki_store::{Error, Store, Trust};

use crate::{RamFlash, SECTOR, Sectors};

/// The journal and two slots of `SLOT` bytes for models, a multiple of [`SECTOR`], to be put into a
/// `static`.
#[derive(Debug)]
pub struct RamStore<const SLOT: usize> {
    journal: Sectors<{ 2 * SECTOR }>,
    slots: [Sectors<SLOT>; 2],
}

impl<const SLOT: usize> RamStore<SLOT> {
    /// All zeros, and so no bytes of an image.
    pub const fn new() -> Self {
        Self {
            journal: Sectors::new(),
            slots: [const { Sectors::new() }; 2],
        }
    }

    /// Erases it and opens it. It takes models of anybody: what is in it is gone at the next reset.
    ///
    /// # Errors
    ///
    /// What the store has against the sizes.
    pub fn open(&'static mut self) -> Result<Store<RamFlash, RamFlash>, Error> {
        let journal = RamFlash::erased(&mut self.journal.0);
        let slots = self.slots.each_mut();
        Store::open(
            journal,
            slots.map(|slot| RamFlash::erased(&mut slot.0)),
            Trust::Anybody,
        )
    }
}

impl<const SLOT: usize> Default for RamStore<SLOT> {
    fn default() -> Self {
        Self::new()
    }
}
