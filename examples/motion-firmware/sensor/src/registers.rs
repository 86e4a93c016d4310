//! The sensor: a register file, as far as its driver touches it.

use std::f32::consts::PI;

use embedded_hal::i2c::{ErrorKind, ErrorType, I2c, NoAcknowledgeSource, Operation};

/// What register 0 of a BNO055 says.
pub const CHIP_ID: u8 = 0xA0;

/// Registers, by their names in the data sheet (BST-BNO055-DS000, section 4.2).
const PAGE_ID: u8 = 0x07;
const GYR_DATA: u8 = 0x14;
const LIA_DATA: u8 = 0x28;
const GRV_DATA: u8 = 0x2E;
const UNIT_SEL: u8 = 0x3B;
const OPR_MODE: u8 = 0x3D;
const SYS_TRIGGER: u8 = 0x3F;

/// After a reset: Android's orientation, m/s² and degrees a second.
const DEFAULT_UNITS: u8 = 0x80;
const UNIT_MG: u8 = 1;
const UNIT_RPS: u8 = 1 << 1;
const RST_SYS: u8 = 1 << 5;

/// The modes from IMU to NDOF fuse.
const FUSION: std::ops::RangeInclusive<u8> = 0b1000..=0b1100;

const STANDARD_GRAVITY: f32 = 9.806_65;

/// How a body moves.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Motion {
    /// Acceleration without gravity, in m/s².
    pub acceleration: [f32; 3],
    /// Angular rate, in rad/s.
    pub rate: [f32; 3],
}

/// Transactions of the bus that are to fail.
#[derive(Clone, Copy, Debug)]
pub struct Failures {
    /// So many work before the first.
    pub after: u32,
    /// How many fail.
    pub count: u32,
    /// How.
    pub kind: ErrorKind,
}

impl Default for Failures {
    fn default() -> Self {
        Self {
            after: 0,
            count: 0,
            kind: ErrorKind::Other,
        }
    }
}

impl Failures {
    /// What becomes of the next transaction.
    fn next(&mut self) -> Result<(), ErrorKind> {
        if self.count == 0 {
            return Ok(());
        }
        match self.after.checked_sub(1) {
            Some(after) => {
                self.after = after;
                Ok(())
            }
            None => {
                self.count -= 1;
                Err(self.kind)
            }
        }
    }
}

/// A BNO055 at the address 0x28. What it measures is what [`Bno055::motion`] was set to; what it gives
/// depends on its mode and its units, as the data sheet says.
#[derive(Clone, Debug)]
pub struct Bno055 {
    /// How it is moved.
    pub motion: Motion,
    /// Its supply; without it the bus has nobody at the address, and all settings are lost.
    pub powered: bool,
    /// What it says to be, [`CHIP_ID`].
    pub chip_id: u8,
    /// Transactions that fail.
    pub failures: Failures,
    page: u8,
    units: u8,
    mode: u8,
    /// The register that is read next.
    pointer: u8,
}

impl Default for Bno055 {
    fn default() -> Self {
        Self::new()
    }
}

impl Bno055 {
    /// A sensor that has just been switched on.
    pub fn new() -> Self {
        Self {
            motion: Motion::default(),
            powered: true,
            chip_id: CHIP_ID,
            failures: Failures::default(),
            page: 0,
            units: DEFAULT_UNITS,
            mode: 0,
            pointer: 0,
        }
    }

    /// What it does at a reset, by its register or by its supply.
    pub fn reset(&mut self) {
        (self.page, self.units, self.mode, self.pointer) = (0, DEFAULT_UNITS, 0, 0);
    }

    fn write(&mut self, bytes: &[u8]) {
        let Some((&register, values)) = bytes.split_first() else {
            return;
        };
        self.pointer = register;
        for &value in values {
            match (self.page, self.pointer) {
                (_, PAGE_ID) => self.page = value,
                (0, UNIT_SEL) => self.units = value,
                (0, OPR_MODE) => self.mode = value & 0x0F,
                (0, SYS_TRIGGER) if value & RST_SYS != 0 => self.reset(),
                _ => {}
            }
            self.pointer = self.pointer.wrapping_add(1);
        }
    }

    fn register(&self, register: u8) -> u8 {
        let from = |first: u8, values: [f32; 3]| {
            let offset = usize::from(register - first);
            let value = values.get(offset / 2).copied().unwrap_or_default();
            let bytes = (value.round() as i16).to_le_bytes();
            bytes.get(offset % 2).copied().unwrap_or_default()
        };
        let fused = FUSION.contains(&self.mode);
        match (self.page, register) {
            (_, PAGE_ID) => self.page,
            (0, 0) => self.chip_id,
            (0, UNIT_SEL) => self.units,
            (0, OPR_MODE) => self.mode,
            (0, GYR_DATA..=0x19) if fused => from(GYR_DATA, self.rate()),
            (0, LIA_DATA..=0x2D) if fused => {
                from(LIA_DATA, self.acceleration(self.motion.acceleration))
            }
            (0, GRV_DATA..=0x33) if fused => {
                from(GRV_DATA, self.acceleration([0.0, 0.0, STANDARD_GRAVITY]))
            }
            _ => 0,
        }
    }

    /// In LSB of 1/100 m/s² or of 1 mg.
    fn acceleration(&self, metres: [f32; 3]) -> [f32; 3] {
        let lsb = match self.units & UNIT_MG {
            0 => 100.0,
            _ => 1000.0 / STANDARD_GRAVITY,
        };
        metres.map(|value| value * lsb)
    }

    /// In LSB of 1/16 degree a second or of 1/900 rad/s.
    fn rate(&self) -> [f32; 3] {
        let lsb = match self.units & UNIT_RPS {
            0 => 16.0 * 180.0 / PI,
            _ => 900.0,
        };
        self.motion.rate.map(|value| value * lsb)
    }
}

/// Its address with the pin COM3 low.
const ADDRESS: u8 = 0x28;

impl ErrorType for Bno055 {
    type Error = ErrorKind;
}

impl I2c for Bno055 {
    fn transaction(
        &mut self,
        address: u8,
        operations: &mut [Operation<'_>],
    ) -> Result<(), ErrorKind> {
        self.failures.next()?;
        if !self.powered {
            self.reset();
        }
        if !self.powered || address != ADDRESS {
            return Err(ErrorKind::NoAcknowledge(NoAcknowledgeSource::Address));
        }
        for operation in operations {
            match operation {
                Operation::Write(bytes) => self.write(bytes),
                Operation::Read(bytes) => {
                    for byte in bytes.iter_mut() {
                        *byte = self.register(self.pointer);
                        self.pointer = self.pointer.wrapping_add(1);
                    }
                }
            }
        }
        Ok(())
    }
}
