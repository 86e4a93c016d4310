//! The board's end.

use core::cell::RefCell;

use embedded_hal::i2c::{ErrorKind, ErrorType, I2c, NoAcknowledgeSource, Operation};
use embedded_io::{Read, ReadReady, Write};

use crate::wire;

/// An I2C bus over a stream to a [`crate::wire`] host, which is also where steps of time come from.
///
/// The bus is `&Bus`, so that a driver has it and the program can ask for steps meanwhile.
#[derive(Debug)]
pub struct Bus<S>(RefCell<Inner<S>>);

#[derive(Debug)]
struct Inner<S> {
    stream: S,
    /// Steps that have come and nobody has taken yet.
    steps: u32,
}

impl<S: Read + ReadReady + Write> Bus<S> {
    /// A bus over `stream`.
    pub fn new(stream: S) -> Self {
        Self(RefCell::new(Inner { stream, steps: 0 }))
    }

    /// Steps that have gone by since the last call. Does not wait. A stream that fails has none.
    pub fn steps(&self) -> u32 {
        let Ok(mut inner) = self.0.try_borrow_mut() else {
            return 0;
        };
        while let Ok(true) = inner.stream.read_ready() {
            if inner.message().is_err() {
                break;
            }
        }
        core::mem::take(&mut inner.steps)
    }

    /// Says that the step is done, and what there is to show, up to 255 bytes. The host lets no time go by
    /// before. Nothing can be done about a stream that fails; then the host's time stands still.
    pub fn done(&self, shown: &[u8]) {
        let length = shown.len().min(u8::MAX.into());
        if let Ok(mut inner) = self.0.try_borrow_mut() {
            let _ = inner
                .send(&[wire::DONE, length as u8])
                .and_then(|()| inner.send(shown.get(..length).unwrap_or_default()))
                .and_then(|()| inner.stream.flush().map_err(|_| ErrorKind::Other));
        }
    }
}

impl<S: Read + Write> Inner<S> {
    /// `write_all` of embedded-io panics when a driver writes nothing.
    fn send(&mut self, mut bytes: &[u8]) -> Result<(), ErrorKind> {
        while !bytes.is_empty() {
            match self.stream.write(bytes) {
                Ok(0) | Err(_) => return Err(ErrorKind::Other),
                Ok(written) => bytes = bytes.get(written..).unwrap_or_default(),
            }
        }
        Ok(())
    }

    fn receive(&mut self, mut to: &mut [u8]) -> Result<(), ErrorKind> {
        while !to.is_empty() {
            match self.stream.read(to) {
                Ok(0) | Err(_) => return Err(ErrorKind::Other),
                Ok(read) => to = to.get_mut(read..).unwrap_or_default(),
            }
        }
        Ok(())
    }

    fn byte(&mut self) -> Result<u8, ErrorKind> {
        let mut byte = [0];
        self.receive(&mut byte)?;
        Ok(byte[0])
    }

    /// Waits for a message. Gives the status of an answer; steps are counted.
    fn message(&mut self) -> Result<Option<u8>, ErrorKind> {
        match self.byte()? {
            wire::STEPS => {
                let steps = self.byte()?;
                self.steps = self.steps.saturating_add(steps.into());
                Ok(None)
            }
            wire::ANSWER => self.byte().map(Some),
            _ => Err(ErrorKind::Other),
        }
    }

    fn ask(&mut self, address: u8, operations: &[Operation<'_>]) -> Result<u8, ErrorKind> {
        let length = |len: usize| u8::try_from(len).map_err(|_| ErrorKind::Other);
        self.send(&[wire::TRANSACTION, address, length(operations.len())?])?;
        for operation in operations {
            match operation {
                Operation::Write(bytes) => {
                    self.send(&[wire::WRITE, length(bytes.len())?])?;
                    self.send(bytes)?;
                }
                Operation::Read(bytes) => self.send(&[wire::READ, length(bytes.len())?])?,
            }
        }
        self.stream.flush().map_err(|_| ErrorKind::Other)?;
        loop {
            if let Some(status) = self.message()? {
                return Ok(status);
            }
        }
    }
}

impl<S> ErrorType for &Bus<S> {
    type Error = ErrorKind;
}

impl<S: Read + ReadReady + Write> I2c for &Bus<S> {
    fn transaction(
        &mut self,
        address: u8,
        operations: &mut [Operation<'_>],
    ) -> Result<(), ErrorKind> {
        let mut inner = self.0.try_borrow_mut().map_err(|_| ErrorKind::Other)?;
        match inner.ask(address, operations)? {
            wire::ACK => operations.iter_mut().try_for_each(|operation| {
                if let Operation::Read(bytes) = operation {
                    inner.receive(bytes)?;
                }
                Ok(())
            }),
            wire::NACK_ADDRESS => Err(ErrorKind::NoAcknowledge(NoAcknowledgeSource::Address)),
            wire::NACK_DATA => Err(ErrorKind::NoAcknowledge(NoAcknowledgeSource::Data)),
            _ => Err(ErrorKind::Bus),
        }
    }
}
