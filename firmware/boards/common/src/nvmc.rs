//! The flash of Nordic's nRF51 and nRF52, of which a board uses a part for models.
//!
//! The driver of nrf-hal takes the controller for one part and erases by the 4 KiB of an nRF52; a
//! store has three parts, and the pages of an nRF51 have 1 KiB.

use embedded_storage::nor_flash::{
    ErrorType, NorFlash, NorFlashErrorKind, ReadNorFlash, check_erase, check_read, check_write,
};
use niwaki_store::MappedFlash;
use volatile_register::{RO, RW};

/// The controller's registers from [`READY_AT`] on, as the product specifications of nRF51 and nRF52
/// have them.
#[repr(C)]
struct Registers {
    ready: RO<u32>,
    reserved: [u32; 64],
    config: RW<u32>,
    erase_page: RW<u32>,
}

/// Where the controller is, and its first register that matters.
const CONTROLLER: usize = 0x4001_E000;
const READY_AT: usize = 0x400;

const READ: u32 = 0;
const WRITE: u32 = 1;
const ERASE: u32 = 2;

/// Bytes that are written at once.
const WORD: usize = 4;

/// A part of the flash, of pages of `PAGE` bytes.
pub struct NvmcFlash<const PAGE: usize> {
    registers: &'static Registers,
    start: *mut u32,
    bytes: usize,
}

impl<const PAGE: usize> NvmcFlash<PAGE> {
    /// The part of `bytes` from the address `start`.
    ///
    /// # Safety
    ///
    /// The chip has to be an nRF51 or nRF52. The part has to be whole pages of its flash which nothing
    /// else uses, no code and no other part; all parts have to be used by one thread of execution,
    /// which is not interrupted by code that uses flash.
    #[allow(unsafe_code, reason = "addresses become flash here")]
    pub unsafe fn new(start: usize, bytes: usize) -> Self {
        let registers = core::ptr::with_exposed_provenance::<Registers>(CONTROLLER + READY_AT);
        Self {
            // SAFETY: the caller answers for the chip; all accesses are volatile and through cells.
            registers: unsafe { &*registers },
            start: core::ptr::with_exposed_provenance_mut(start),
            bytes,
        }
    }

    /// Sets what may be done to the flash, when what was done before is done.
    fn allow(&self, what: u32) {
        self.wait();
        #[allow(unsafe_code, reason = "a register may mean anything")]
        // SAFETY: it says what the next writes to flash mean, and nothing else.
        unsafe {
            self.registers.config.write(what);
        }
        self.wait();
    }

    fn wait(&self) {
        while self.registers.ready.read() & 1 == 0 {}
    }
}

impl<const PAGE: usize> ErrorType for NvmcFlash<PAGE> {
    type Error = NorFlashErrorKind;
}

impl<const PAGE: usize> ReadNorFlash for NvmcFlash<PAGE> {
    const READ_SIZE: usize = 1;

    fn read(&mut self, offset: u32, to: &mut [u8]) -> Result<(), NorFlashErrorKind> {
        check_read(self, offset, to.len())?;
        let stored = self.bytes().get(offset as usize..).unwrap_or_default();
        to.iter_mut().zip(stored).for_each(|(to, from)| *to = *from);
        Ok(())
    }

    fn capacity(&self) -> usize {
        self.bytes
    }
}

impl<const PAGE: usize> NorFlash for NvmcFlash<PAGE> {
    const WRITE_SIZE: usize = WORD;
    const ERASE_SIZE: usize = PAGE;

    fn erase(&mut self, from: u32, to: u32) -> Result<(), NorFlashErrorKind> {
        check_erase(self, from, to)?;
        self.allow(ERASE);
        for page in (from..to).step_by(PAGE) {
            let address = self.start.addr() as u32 + page;
            #[allow(unsafe_code, reason = "a register may mean anything")]
            // SAFETY: the page is in this part, which is nobody else's; no reference to its bytes is
            // alive beside this exclusive one.
            unsafe {
                self.registers.erase_page.write(address);
            }
            self.wait();
        }
        self.allow(READ);
        Ok(())
    }

    fn write(&mut self, offset: u32, bytes: &[u8]) -> Result<(), NorFlashErrorKind> {
        check_write(self, offset, bytes.len())?;
        self.allow(WRITE);
        let first = offset as usize / WORD;
        for (i, word) in bytes.as_chunks().0.iter().enumerate() {
            let to = self.start.wrapping_add(first + i);
            #[allow(unsafe_code, reason = "flash is no object of the program")]
            // SAFETY: `check_write` has seen that the word is in this part and aligned.
            unsafe {
                to.write_volatile(u32::from_le_bytes(*word));
            }
            self.wait();
        }
        self.allow(READ);
        Ok(())
    }
}

impl<const PAGE: usize> MappedFlash for NvmcFlash<PAGE> {
    #[allow(unsafe_code, reason = "flash is no object of the program")]
    fn bytes(&self) -> &[u8] {
        // SAFETY: the caller of `new` answers for the bytes; only `erase` and `write` change them, which
        // borrow this exclusively.
        unsafe { core::slice::from_raw_parts(self.start.cast(), self.bytes) }
    }
}
