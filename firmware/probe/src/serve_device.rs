//! All that a device does with what comes over its line: requests, runs, uploads, updates.

#![no_std]
#![no_main]

use embedded_io::{ErrorKind, ErrorType, Read, ReadReady, Write};
use embedded_storage::nor_flash::{
    ErrorType as FlashErrorType, NorFlash, NorFlashErrorKind, ReadNorFlash,
};
use niwaki_firmware::{Board, Device, Meter, Turn};
use niwaki_probe::KwsOps;
use niwaki_store::{MappedFlash, Updater};
use niwaki_wire::Unit;

/// A board of which the optimiser knows nothing.
struct Opaque {
    now: fn() -> u64,
    ready: fn() -> Result<bool, ErrorKind>,
    read: fn(&mut [u8]) -> Result<usize, ErrorKind>,
    write: fn(&[u8]) -> Result<usize, ErrorKind>,
}

impl Meter for Opaque {
    fn now(&self) -> u64 {
        (self.now)()
    }
}

impl Board for Opaque {
    fn name(&self) -> &'static str {
        "probe"
    }

    fn unit(&self) -> Unit {
        Unit::Cycles
    }

    fn per_second(&self) -> u64 {
        (self.now)()
    }
}

impl ErrorType for Opaque {
    type Error = ErrorKind;
}

impl ReadReady for Opaque {
    fn read_ready(&mut self) -> Result<bool, ErrorKind> {
        (self.ready)()
    }
}

impl Read for Opaque {
    fn read(&mut self, buffer: &mut [u8]) -> Result<usize, ErrorKind> {
        (self.read)(buffer)
    }
}

impl Write for Opaque {
    fn write(&mut self, bytes: &[u8]) -> Result<usize, ErrorKind> {
        (self.write)(bytes)
    }

    fn flush(&mut self) -> Result<(), ErrorKind> {
        (self.write)(&[]).map(|_| ())
    }
}

/// Flash of which the optimiser knows nothing.
struct OpaqueFlash {
    bytes: &'static [u8],
    read: fn(u32, &mut [u8]) -> Result<(), NorFlashErrorKind>,
    erase: fn(u32, u32) -> Result<(), NorFlashErrorKind>,
    write: fn(u32, &[u8]) -> Result<(), NorFlashErrorKind>,
}

impl FlashErrorType for OpaqueFlash {
    type Error = NorFlashErrorKind;
}

impl ReadNorFlash for OpaqueFlash {
    const READ_SIZE: usize = 1;

    fn read(&mut self, offset: u32, bytes: &mut [u8]) -> Result<(), NorFlashErrorKind> {
        (self.read)(offset, bytes)
    }

    fn capacity(&self) -> usize {
        self.bytes.len()
    }
}

impl NorFlash for OpaqueFlash {
    const WRITE_SIZE: usize = 4;
    const ERASE_SIZE: usize = 4096;

    fn erase(&mut self, from: u32, to: u32) -> Result<(), NorFlashErrorKind> {
        (self.erase)(from, to)
    }

    fn write(&mut self, offset: u32, bytes: &[u8]) -> Result<(), NorFlashErrorKind> {
        (self.write)(offset, bytes)
    }
}

impl MappedFlash for OpaqueFlash {
    fn bytes(&self) -> &[u8] {
        self.bytes
    }
}

type Slots<'d> = Updater<'d, OpaqueFlash, OpaqueFlash>;

/// The root of the image.
#[allow(
    unsafe_code,
    reason = "the linker finds it by this name, which nothing else has"
)]
#[unsafe(no_mangle)]
fn niwaki_probe(device: &mut Device<'_, KwsOps, Slots<'_>, Opaque, Opaque>) -> bool {
    device.poll() == Turn::Go
}
