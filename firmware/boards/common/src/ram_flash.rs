//! Memory that behaves like NOR flash, for boards without flash that the application could write. What
//! is in here is gone at the next reset.

use embedded_storage::nor_flash::{
    ErrorType, NorFlash, NorFlashErrorKind, ReadNorFlash, check_erase, check_read, check_write,
};
use niwaki_store::MappedFlash;

/// Bytes of a sector.
pub const SECTOR: usize = 4096;

/// Memory for [`RamFlash`], aligned as a model has to be.
#[repr(C, align(16))]
#[derive(Debug)]
pub struct Sectors<const BYTES: usize>(pub [u8; BYTES]);

impl<const BYTES: usize> Sectors<BYTES> {
    /// Memory for a `static`.
    pub const fn new() -> Self {
        Self([0; BYTES])
    }
}

impl<const BYTES: usize> Default for Sectors<BYTES> {
    fn default() -> Self {
        Self::new()
    }
}

/// A part of the flash.
#[derive(Debug)]
pub struct RamFlash(&'static mut [u8]);

impl RamFlash {
    /// Flash as it comes from the factory.
    pub fn erased(memory: &'static mut [u8]) -> Self {
        memory.fill(0xFF);
        Self(memory)
    }

    fn bytes_mut(&mut self, from: u32, len: usize) -> Result<&mut [u8], NorFlashErrorKind> {
        let rest = self.0.get_mut(from as usize..);
        let bytes = rest.and_then(|rest| rest.get_mut(..len));
        bytes.ok_or(NorFlashErrorKind::OutOfBounds)
    }
}

impl ErrorType for RamFlash {
    type Error = NorFlashErrorKind;
}

impl ReadNorFlash for RamFlash {
    const READ_SIZE: usize = 1;

    fn read(&mut self, offset: u32, bytes: &mut [u8]) -> Result<(), NorFlashErrorKind> {
        check_read(self, offset, bytes.len())?;
        let stored = self.bytes_mut(offset, bytes.len())?;
        bytes
            .iter_mut()
            .zip(stored)
            .for_each(|(to, from)| *to = *from);
        Ok(())
    }

    fn capacity(&self) -> usize {
        self.0.len()
    }
}

impl NorFlash for RamFlash {
    const WRITE_SIZE: usize = 4;
    const ERASE_SIZE: usize = SECTOR;

    fn erase(&mut self, from: u32, to: u32) -> Result<(), NorFlashErrorKind> {
        check_erase(self, from, to)?;
        self.bytes_mut(from, to.saturating_sub(from) as usize)?
            .fill(0xFF);
        Ok(())
    }

    fn write(&mut self, offset: u32, bytes: &[u8]) -> Result<(), NorFlashErrorKind> {
        check_write(self, offset, bytes.len())?;
        let stored = self.bytes_mut(offset, bytes.len())?;
        // A write makes zeros, and only an erase makes ones again.
        stored
            .iter_mut()
            .zip(bytes)
            .for_each(|(to, from)| *to &= from);
        Ok(())
    }
}

impl MappedFlash for RamFlash {
    fn bytes(&self) -> &[u8] {
        self.0
    }
}
