//! A line over a driver that has embedded-hal's non-blocking traits and not those of embedded-io.

use embedded_hal_nb::{nb, serial};
use embedded_io::{ErrorKind, ErrorType, Read, ReadReady, Write};

/// A UART as a line. Reads and writes wait.
#[derive(Debug)]
pub struct NbLine<U> {
    uart: U,
    /// A byte that has come and that nobody has read yet.
    ahead: Option<u8>,
}

impl<U> NbLine<U> {
    /// A line over `uart`.
    pub fn new(uart: U) -> Self {
        Self { uart, ahead: None }
    }
}

impl<U> ErrorType for NbLine<U> {
    type Error = ErrorKind;
}

/// `None` when the driver would have to wait.
fn now<T, E>(result: nb::Result<T, E>) -> Result<Option<T>, ErrorKind> {
    match result {
        Ok(value) => Ok(Some(value)),
        Err(nb::Error::WouldBlock) => Ok(None),
        // An overrun, noise, or a break: a frame is lost, and its checksum says so.
        Err(nb::Error::Other(_)) => Err(ErrorKind::Other),
    }
}

impl<U: serial::Read<u8>> ReadReady for NbLine<U> {
    fn read_ready(&mut self) -> Result<bool, ErrorKind> {
        if self.ahead.is_none() {
            self.ahead = now(self.uart.read())?;
        }
        Ok(self.ahead.is_some())
    }
}

impl<U: serial::Read<u8>> Read for NbLine<U> {
    fn read(&mut self, buffer: &mut [u8]) -> Result<usize, ErrorKind> {
        let Some(first) = buffer.first_mut() else {
            return Ok(0);
        };
        while !self.read_ready()? {
            core::hint::spin_loop();
        }
        *first = self.ahead.take().unwrap_or_default();
        Ok(1)
    }
}

impl<U: serial::Write<u8>> Write for NbLine<U> {
    fn write(&mut self, bytes: &[u8]) -> Result<usize, ErrorKind> {
        let Some(&first) = bytes.first() else {
            return Ok(0);
        };
        while now(self.uart.write(first))?.is_none() {
            core::hint::spin_loop();
        }
        Ok(1)
    }

    fn flush(&mut self) -> Result<(), ErrorKind> {
        while now(self.uart.flush())?.is_none() {
            core::hint::spin_loop();
        }
        Ok(())
    }
}
