//! The host's end.

use std::io::{self, ErrorKind, Read, Write};

use embedded_hal::i2c::{ErrorKind as BusError, I2c, NoAcknowledgeSource, Operation};

use crate::registers::{Bno055, Motion};
use crate::wire;

/// An operation of a transaction, with its bytes.
enum Owned {
    Write(Vec<u8>),
    Read(Vec<u8>),
}

/// A sensor, and the stream to the board that reads it.
#[derive(Debug)]
pub struct Host<S> {
    /// The sensor.
    pub sensor: Bno055,
    stream: S,
}

impl<S: Read + Write> Host<S> {
    /// A sensor that has just been switched on, at the host's end of `stream`.
    pub fn new(stream: S) -> Self {
        Self {
            sensor: Bno055::new(),
            stream,
        }
    }

    /// Moves the sensor, lets one step go by, answers what the board asks, and gives what it has to show
    /// when it is done.
    ///
    /// # Errors
    ///
    /// When the stream fails, or the board says what no board says.
    pub fn step(&mut self, motion: Motion) -> io::Result<Vec<u8>> {
        self.sensor.motion = motion;
        self.steps(1)
    }

    /// Lets `steps` steps go by at once, of which the board sees the last one in time; see
    /// [`Host::step`].
    ///
    /// # Errors
    ///
    /// As [`Host::step`].
    pub fn steps(&mut self, steps: u8) -> io::Result<Vec<u8>> {
        self.stream.write_all(&[wire::STEPS, steps])?;
        self.stream.flush()?;
        loop {
            match self.byte()? {
                wire::TRANSACTION => self.transaction()?,
                wire::DONE => {
                    let length = self.byte()?;
                    return self.bytes(length);
                }
                other => {
                    let text = format!("the board says {other:#04x}, which is nothing");
                    return Err(io::Error::new(ErrorKind::InvalidData, text));
                }
            }
        }
    }

    fn byte(&mut self) -> io::Result<u8> {
        let mut byte = [0];
        self.stream.read_exact(&mut byte)?;
        Ok(byte[0])
    }

    fn bytes(&mut self, length: u8) -> io::Result<Vec<u8>> {
        let mut bytes = vec![0; length.into()];
        self.stream.read_exact(&mut bytes)?;
        Ok(bytes)
    }

    fn transaction(&mut self) -> io::Result<()> {
        let (address, count) = (self.byte()?, self.byte()?);
        let mut owned = Vec::new();
        for _ in 0..count {
            let (kind, length) = (self.byte()?, self.byte()?);
            owned.push(match kind {
                wire::READ => Owned::Read(vec![0; length.into()]),
                _ => Owned::Write(self.bytes(length)?),
            });
        }
        let mut operations: Vec<_> = owned
            .iter_mut()
            .map(|operation| match operation {
                Owned::Write(bytes) => Operation::Write(bytes),
                Owned::Read(bytes) => Operation::Read(bytes),
            })
            .collect();
        let status = match self.sensor.transaction(address, &mut operations) {
            Ok(()) => wire::ACK,
            Err(BusError::NoAcknowledge(NoAcknowledgeSource::Data)) => wire::NACK_DATA,
            Err(BusError::NoAcknowledge(_)) => wire::NACK_ADDRESS,
            Err(_) => wire::BUS_ERROR,
        };
        let mut answer = vec![wire::ANSWER, status];
        if status == wire::ACK {
            for operation in owned {
                if let Owned::Read(bytes) = operation {
                    answer.extend(bytes);
                }
            }
        }
        self.stream.write_all(&answer)?;
        self.stream.flush()
    }
}
