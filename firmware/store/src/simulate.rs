//! NOR flash in memory: erasing sets whole sectors to ones, writing only clears bits, and power
//! goes off at the operation that a test asks for, in the middle of it.
//!
//! An operation is the write of one unit, or the erasure of one sector. All parts of a flash share
//! one [`Power`], which counts their operations.

extern crate std;

use core::cell::Cell;
use std::rc::Rc;
use std::vec::Vec;

use embedded_storage::nor_flash::{
    ErrorType, NorFlash, NorFlashError, NorFlashErrorKind, ReadNorFlash, check_erase, check_read,
    check_write,
};

use crate::MappedFlash;

/// What the operation leaves behind in which power goes off.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tear {
    /// Nothing: it had not begun.
    Before,
    /// The front half of the bytes is done, the rest is untouched.
    Front,
    /// The back half of the bytes is done, the rest is untouched.
    Back,
    /// Every bit that was to change has changed, or not.
    Bits,
    /// A write has cleared any bits of its unit; an erasure has left any bytes in its sector.
    Garbage,
    /// All of it is done, and nobody was told.
    After,
}

impl Tear {
    /// Every one.
    pub const ALL: [Self; 6] = [
        Self::Before,
        Self::Front,
        Self::Back,
        Self::Bits,
        Self::Garbage,
        Self::After,
    ];
}

/// The power of all parts of one simulated device.
#[derive(Clone, Debug, Default)]
pub struct Power(Rc<Supply>);

#[derive(Debug, Default)]
struct Supply {
    done: Cell<u64>,
    cut: Cell<Option<(u64, Tear)>>,
    off: Cell<bool>,
    random: Cell<u64>,
}

impl Power {
    /// Power that stays on. The seed decides what torn operations leave.
    pub fn new(seed: u64) -> Self {
        let power = Self::default();
        power
            .0
            .random
            .set(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1);
        power
    }

    /// Operations since the device was made or last restored.
    pub fn operations(&self) -> u64 {
        self.0.done.get()
    }

    /// Power goes off in the operation `index`, counted from now.
    pub fn cut_at(&self, index: u64, tear: Tear) {
        self.0.done.set(0);
        self.0.cut.set(Some((index, tear)));
    }

    /// Power is back, and stays.
    pub fn restore(&self) {
        self.0.done.set(0);
        self.0.cut.set(None);
        self.0.off.set(false);
    }

    /// Whether power is off.
    pub fn is_off(&self) -> bool {
        self.0.off.get()
    }

    /// What happens to the next operation: `None` all of it, otherwise power goes off in it.
    fn step(&self) -> Result<Option<Tear>, SimError> {
        if self.is_off() {
            return Err(SimError::Off);
        }
        let index = self.0.done.replace(self.0.done.get() + 1);
        let tear = self.0.cut.get().filter(|(at, _)| *at == index);
        self.0.off.set(tear.is_some());
        Ok(tear.map(|(_, tear)| tear))
    }

    /// A random byte (xorshift64*).
    fn random(&self) -> u8 {
        let mut x = self.0.random.get();
        x ^= x >> 12;
        x ^= x << 25;
        x ^= x >> 27;
        self.0.random.set(x);
        (x.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 56) as u8
    }
}

/// What a simulated flash refuses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SimError {
    /// Power is off.
    Off,
    /// A write to what has been written to since it was erased: a flash with error correction
    /// would spoil it.
    NotErased,
    /// An address or a length that the flash does not have.
    Bounds(NorFlashErrorKind),
}

impl NorFlashError for SimError {
    fn kind(&self) -> NorFlashErrorKind {
        match self {
            Self::Off | Self::NotErased => NorFlashErrorKind::Other,
            Self::Bounds(kind) => *kind,
        }
    }
}

/// A part of a simulated flash with units of `WRITE` bytes and sectors of `ERASE`.
#[derive(Debug)]
pub struct SimFlash<const WRITE: usize, const ERASE: usize> {
    memory: Vec<u8>,
    /// Where it begins in the memory, so that it is aligned to 16 bytes.
    start: usize,
    /// How often each sector was erased.
    wear: Vec<u32>,
    power: Power,
}

impl<const WRITE: usize, const ERASE: usize> SimFlash<WRITE, ERASE> {
    /// Erased flash of a number of sectors.
    pub fn new(sectors: usize, power: &Power) -> Self {
        Self::holding(&std::vec![0xFF; sectors * ERASE], power)
    }

    /// Flash with these bytes in it, as many as whole sectors have.
    pub fn holding(content: &[u8], power: &Power) -> Self {
        let mut memory = std::vec![0xFF; content.len() + 15];
        let start = memory.as_ptr().align_offset(16);
        for (to, from) in memory.iter_mut().skip(start).zip(content) {
            *to = *from;
        }
        Self {
            memory,
            start,
            wear: std::vec![0; content.len() / ERASE],
            power: power.clone(),
        }
    }

    /// How often each sector was erased.
    pub fn wear(&self) -> &[u32] {
        &self.wear
    }

    /// Flips one bit, as years do.
    pub fn rot(&mut self, at: usize, bit: u8) {
        if let Some(byte) = self.range(at, 1).first_mut() {
            *byte ^= 1 << (bit % 8);
        }
    }

    fn range(&mut self, at: usize, len: usize) -> &mut [u8] {
        let start = self.start + at;
        self.memory.get_mut(start..start + len).unwrap_or_default()
    }

    /// Writes a unit, or erases a sector without one, or as much of that as power lasts for.
    fn change(&mut self, at: usize, unit: Option<&[u8]>) -> Result<(), SimError> {
        let tear = self.power.step()?;
        let power = self.power.clone();
        let bytes = self.range(at, unit.map_or(ERASE, <[u8]>::len));
        let Some(tear) = tear else {
            match unit {
                Some(unit) => bytes.copy_from_slice(unit),
                None => bytes.fill(0xFF),
            }
            return Ok(());
        };
        let half = bytes.len() / 2;
        for (i, byte) in bytes.iter_mut().enumerate() {
            let new = unit.map_or(0xFF, |unit| unit.get(i).copied().unwrap_or(*byte));
            let done = match tear {
                Tear::Before => 0,
                Tear::Front => {
                    if i < half {
                        0xFF
                    } else {
                        0
                    }
                }
                Tear::Back => {
                    if i < half {
                        0
                    } else {
                        0xFF
                    }
                }
                Tear::Bits | Tear::Garbage => power.random(),
                Tear::After => 0xFF,
            };
            *byte = match (tear, unit) {
                (Tear::Garbage, None) => done,
                (Tear::Garbage, Some(_)) => *byte & done,
                _ => *byte ^ ((*byte ^ new) & done),
            };
        }
        Err(SimError::Off)
    }
}

impl<const WRITE: usize, const ERASE: usize> ErrorType for SimFlash<WRITE, ERASE> {
    type Error = SimError;
}

impl<const WRITE: usize, const ERASE: usize> ReadNorFlash for SimFlash<WRITE, ERASE> {
    const READ_SIZE: usize = 1;

    fn read(&mut self, offset: u32, bytes: &mut [u8]) -> Result<(), SimError> {
        if self.power.is_off() {
            return Err(SimError::Off);
        }
        check_read(self, offset, bytes.len()).map_err(SimError::Bounds)?;
        bytes.copy_from_slice(self.range(offset as usize, bytes.len()));
        Ok(())
    }

    fn capacity(&self) -> usize {
        self.wear.len() * ERASE
    }
}

impl<const WRITE: usize, const ERASE: usize> NorFlash for SimFlash<WRITE, ERASE> {
    const WRITE_SIZE: usize = WRITE;
    const ERASE_SIZE: usize = ERASE;

    fn erase(&mut self, from: u32, to: u32) -> Result<(), SimError> {
        check_erase(self, from, to).map_err(SimError::Bounds)?;
        for sector in from as usize / ERASE..to as usize / ERASE {
            if let Some(wear) = self.wear.get_mut(sector) {
                *wear += 1;
            }
            self.change(sector * ERASE, None)?;
        }
        Ok(())
    }

    fn write(&mut self, offset: u32, bytes: &[u8]) -> Result<(), SimError> {
        check_write(self, offset, bytes.len()).map_err(SimError::Bounds)?;
        for (i, unit) in bytes.chunks(WRITE).enumerate() {
            let at = offset as usize + i * WRITE;
            if self.range(at, WRITE).iter().any(|&byte| byte != 0xFF) {
                return Err(if self.power.is_off() {
                    SimError::Off
                } else {
                    SimError::NotErased
                });
            }
            self.change(at, Some(unit))?;
        }
        Ok(())
    }
}

impl<const WRITE: usize, const ERASE: usize> MappedFlash for SimFlash<WRITE, ERASE> {
    fn bytes(&self) -> &[u8] {
        let end = self.start + self.capacity();
        self.memory.get(self.start..end).unwrap_or_default()
    }
}
