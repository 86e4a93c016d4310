//! The serial flash of Raspberry Pi's RP2040 and RP2350, of which a board uses a part for models. The
//! chip maps it into memory; it is written by functions of the chip's ROM, while code runs from RAM.

use embedded_storage::nor_flash::{
    ErrorType, NorFlash, NorFlashErrorKind, ReadNorFlash, check_erase, check_read, check_write,
};
use niwaki_store::MappedFlash;

/// Where the flash is mapped.
const MAPPED: usize = 0x1000_0000;

/// Bytes that the flash programs at once.
const PAGE: usize = 256;

/// Bytes that it erases at once.
const SECTOR: usize = 4096;

/// The larger piece that the ROM may erase where that is faster, and the flash's command for it.
const BLOCK: (u32, u8) = (64 << 10, 0xD8);

/// Code that sets up the mapping: 256 bytes of Thumb, which return.
type SetUp = [u32; 64];

/// The functions of the ROM, by the names in the chips' datasheets (RP2040, 2.8.3; RP2350, 5.4.8).
#[derive(Clone, Copy, Debug)]
pub struct Rom {
    /// `connect_internal_flash`
    pub connect: unsafe extern "C" fn(),
    /// `flash_exit_xip`
    pub exit: unsafe extern "C" fn(),
    /// `flash_range_erase`
    pub erase: unsafe extern "C" fn(u32, usize, u32, u8),
    /// `flash_range_program`
    pub program: unsafe extern "C" fn(u32, *const u8, usize),
    /// `flash_flush_cache`
    pub flush: unsafe extern "C" fn(),
    /// Where the code is that sets up the mapping: the second stage of the boot loader on an RP2040, and
    /// what the ROM leaves in its RAM on an RP2350.
    pub set_up: usize,
}

/// What is done to the flash.
#[derive(Clone, Copy)]
enum Work<'a> {
    Erase(usize),
    Program(&'a [u8]),
}

/// A part of the flash.
#[derive(Debug)]
pub struct RomFlash {
    rom: Rom,
    /// From the flash's first byte.
    start: u32,
    bytes: usize,
}

impl RomFlash {
    /// The part of `bytes` from the flash's byte `start`.
    ///
    /// # Safety
    ///
    /// The functions have to be those of the chip that this runs on. The part has to be whole sectors of
    /// its flash which nothing else uses, no code and no other part; nothing else, as the other core or
    /// DMA, may read flash while a part is written.
    #[allow(unsafe_code, reason = "addresses become flash here")]
    pub unsafe fn new(rom: Rom, start: u32, bytes: usize) -> Self {
        Self { rom, start, bytes }
    }

    /// Does the work from the part's byte `offset` on.
    fn work(&mut self, offset: u32, work: Work<'_>) {
        let at = self.start.saturating_add(offset);
        // Exceptions would run code from flash.
        cortex_m::interrupt::free(|_| {
            let code = core::ptr::with_exposed_provenance::<SetUp>(self.rom.set_up);
            #[allow(unsafe_code, reason = "the chip's own code is somewhere")]
            // SAFETY: `new` was told where the code is, and any bytes are numbers. It is no object of this
            // program, so that the access is a volatile one.
            let set_up = unsafe { code.read_volatile() };
            #[allow(unsafe_code, reason = "flash goes away and comes back")]
            // SAFETY: whoever made this answers for the ROM's functions and for the part; nothing
            // interrupts, and the range is in the part, as the callers have checked.
            unsafe {
                without_flash(&self.rom, &set_up, at, work);
            }
        });
    }
}

/// Does the work while the flash is not mapped. No code and no constant in flash is used from here on
/// until the mapping is back.
///
/// # Safety
///
/// The functions have to be those of the chip, `set_up` its code, and the range nobody's. Nothing may
/// interrupt.
#[allow(unsafe_code, reason = "it is placed in RAM, and calls the ROM")]
#[unsafe(link_section = ".data.without_flash")]
#[inline(never)]
unsafe fn without_flash(rom: &Rom, set_up: &SetUp, at: u32, work: Work<'_>) {
    // The low bit says that this is Thumb code.
    let set_up = set_up.as_ptr().map_addr(|address| address | 1);
    // SAFETY: the array holds this function, says the caller.
    let set_up: unsafe extern "C" fn() = unsafe { core::mem::transmute(set_up) };
    // SAFETY: this is the order in which the datasheets have them called, and the caller answers for
    // the range.
    unsafe {
        (rom.connect)();
        (rom.exit)();
        match work {
            Work::Erase(bytes) => (rom.erase)(at, bytes, BLOCK.0, BLOCK.1),
            Work::Program(bytes) => (rom.program)(at, bytes.as_ptr(), bytes.len()),
        }
        (rom.flush)();
        set_up();
    }
}

impl ErrorType for RomFlash {
    type Error = NorFlashErrorKind;
}

impl ReadNorFlash for RomFlash {
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

impl NorFlash for RomFlash {
    const WRITE_SIZE: usize = PAGE;
    const ERASE_SIZE: usize = SECTOR;

    fn erase(&mut self, from: u32, to: u32) -> Result<(), NorFlashErrorKind> {
        check_erase(self, from, to)?;
        self.work(from, Work::Erase(to.saturating_sub(from) as usize));
        Ok(())
    }

    fn write(&mut self, offset: u32, bytes: &[u8]) -> Result<(), NorFlashErrorKind> {
        check_write(self, offset, bytes.len())?;
        // The bytes may be in flash themselves, as those of the journal's constants are.
        let mut page = [0; PAGE];
        let mut at = offset;
        for chunk in bytes.chunks(PAGE) {
            page.iter_mut()
                .zip(chunk)
                .for_each(|(to, from)| *to = *from);
            self.work(at, Work::Program(&page));
            at = at.saturating_add(PAGE as u32);
        }
        Ok(())
    }
}

impl MappedFlash for RomFlash {
    fn bytes(&self) -> &[u8] {
        let start = core::ptr::with_exposed_provenance(MAPPED + self.start as usize);
        #[allow(unsafe_code, reason = "flash becomes a slice here")]
        // SAFETY: `new` was told that the part is flash, and that nothing else writes it; this writes it
        // only with `&mut self`, when no slice lives.
        unsafe {
            core::slice::from_raw_parts(start, self.bytes)
        }
    }
}
