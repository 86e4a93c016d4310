//! A line of two halves.

use embedded_io::{Error as _, ErrorKind, ErrorType, Read, ReadReady, Write};

/// One line of a driver's two halves.
#[derive(Debug)]
pub struct Duplex<T, R> {
    /// What sends.
    pub tx: T,
    /// What receives.
    pub rx: R,
}

impl<T, R> ErrorType for Duplex<T, R> {
    type Error = ErrorKind;
}

impl<T, R: ReadReady> ReadReady for Duplex<T, R> {
    fn read_ready(&mut self) -> Result<bool, ErrorKind> {
        self.rx.read_ready().map_err(|error| error.kind())
    }
}

impl<T, R: Read> Read for Duplex<T, R> {
    fn read(&mut self, buffer: &mut [u8]) -> Result<usize, ErrorKind> {
        self.rx.read(buffer).map_err(|error| error.kind())
    }
}

impl<T: Write, R> Write for Duplex<T, R> {
    fn write(&mut self, bytes: &[u8]) -> Result<usize, ErrorKind> {
        self.tx.write(bytes).map_err(|error| error.kind())
    }

    fn flush(&mut self) -> Result<(), ErrorKind> {
        self.tx.flush().map_err(|error| error.kind())
    }
}
