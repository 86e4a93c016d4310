//! The sensor: Bosch's BNO055, through the driver `bno055`.
//!
//! A processor in it runs the fusion of accelerometer and gyroscope, and so it gives the acceleration
//! *without gravity*. That is what the model was trained on, and what a plain accelerometer cannot tell.
//!
//! # Units
//!
//! The driver resets the sensor and leaves its register `UNIT_SEL` as it is then (0x80): acceleration in
//! m/s², 100 LSB each, and angular rate in degrees a second, 16 LSB each (data sheet BST-BNO055-DS000,
//! tables 3-22 and 3-33). The model wants rad/s.

use core::f32::consts::PI;
use core::fmt;

use bno055::{BNO055OperationMode, Bno055};
use embedded_hal::delay::DelayNs;
use embedded_hal::i2c::I2c;

use crate::window::{CHANNELS, Sample};

/// m/s² in an LSB are 1 over this.
const LSB_PER_METRE: f32 = 100.0;

/// rad/s in an LSB: 1/16 of a degree.
const RADIANS_PER_LSB: f32 = PI / (180.0 * 16.0);

/// The sensor's address, which the level of its pin COM3 says. Breakout boards call it ADR or I2C_ADDR.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Address {
    /// 0x28: the pin is low, or open on most breakout boards.
    #[default]
    Low,
    /// 0x29: the pin is high.
    High,
}

/// Why there is no reading.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ImuError<E> {
    /// The bus has failed, or nobody answers at the address.
    Bus(E),
    /// What answers is no BNO055: its register 0 should be 0xA0.
    OtherChip(u8),
    /// It does not run the fusion: it has not been started, or has reset itself since.
    NotFusing,
}

impl<E> From<bno055::Error<E>> for ImuError<E> {
    fn from(error: bno055::Error<E>) -> Self {
        match error {
            bno055::Error::I2c(error) => Self::Bus(error),
            bno055::Error::InvalidChipId(id) => Self::OtherChip(id),
            // The second is about a register that is not touched here.
            bno055::Error::InvalidMode | bno055::Error::AccConfig(_) => Self::NotFusing,
        }
    }
}

impl<E: fmt::Debug> fmt::Display for ImuError<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Bus(error) => write!(f, "the I2C bus: {error:?}"),
            Self::OtherChip(id) => write!(f, "no BNO055, but a chip with the number {id:#04x}"),
            Self::NotFusing => f.write_str("the sensor does not run its fusion"),
        }
    }
}

impl<E: fmt::Debug> core::error::Error for ImuError<E> {}

/// What the sensor's registers say.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Reading {
    /// Acceleration without gravity, x, y and z, in 1/100 m/s².
    pub acceleration: [i16; 3],
    /// Angular rate about x, y and z, in 1/16 degree a second.
    pub rate: [i16; 3],
}

impl Reading {
    /// The model's channels: acceleration in m/s², then angular rate in rad/s. One operation each, so
    /// that every machine gets the same bits.
    pub fn to_sample(self) -> Sample {
        let mut sample = [0.0; CHANNELS];
        let acceleration = self.acceleration.map(|lsb| f32::from(lsb) / LSB_PER_METRE);
        let rate = self.rate.map(|lsb| f32::from(lsb) * RADIANS_PER_LSB);
        let values = acceleration.into_iter().chain(rate);
        sample
            .iter_mut()
            .zip(values)
            .for_each(|(to, value)| *to = value);
        sample
    }
}

/// A BNO055 on a bus.
pub struct Imu<I> {
    driver: Bno055<I>,
}

impl<I: I2c> Imu<I> {
    /// The sensor at an address. Nothing is sent yet.
    pub fn new(i2c: I, address: Address) -> Self {
        let driver = Bno055::new(i2c);
        Self {
            // "Alternative" is what the driver calls 0x28.
            driver: match address {
                Address::Low => driver.with_alternative_address(),
                Address::High => driver,
            },
        }
    }

    /// Resets the sensor, and has it fuse accelerometer and gyroscope (mode IMU: no magnetometer, which
    /// every motor and every steel beam disturbs). Waits for 0.7 s, most of it for the reset.
    ///
    /// # Errors
    ///
    /// [`ImuError::Bus`], without a wait where nobody answers, and [`ImuError::OtherChip`].
    pub fn start(&mut self, delay: &mut dyn DelayNs) -> Result<(), ImuError<I::Error>> {
        self.driver.init(delay)?;
        self.driver.set_mode(BNO055OperationMode::IMU, delay)?;
        Ok(())
    }

    /// Reads all six channels: three transfers of six bytes. The sensor renews its values 100 times a
    /// second, so that acceleration and rate may be 10 ms apart.
    ///
    /// # Errors
    ///
    /// [`ImuError::Bus`], and [`ImuError::NotFusing`], which a sensor is for some moments after its start
    /// and whenever it has lost its supply.
    pub fn read(&mut self) -> Result<Reading, ImuError<I::Error>> {
        // Without fusion all its values are zeros, which look like a body that stands still. But for the
        // gravity: its length is 9.8 m/s² wherever the fusion runs.
        let gravity: [i16; 3] = self.driver.gravity_fixed()?.into();
        if gravity == [0; 3] {
            return Err(ImuError::NotFusing);
        }
        Ok(Reading {
            acceleration: self.driver.linear_acceleration_fixed()?.into(),
            rate: self.driver.gyro_data_fixed()?.into(),
        })
    }

    /// The bus, to use it for something else.
    pub fn release(self) -> I {
        self.driver.destroy()
    }
}

impl<I> fmt::Debug for Imu<I> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Imu").finish_non_exhaustive()
    }
}
