//! Lines: what carries bytes to a board and back.

use std::io::{self, ErrorKind, Write as _};
use std::net::TcpStream;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, Result};
use serial2::SerialPort;

/// A line of bytes to a board.
pub trait Line: Send {
    /// Reads what has come, and waits no longer than `patience` for it; 0 when nothing came.
    ///
    /// # Errors
    ///
    /// When the line is broken, or the other end has closed it.
    fn read(&mut self, buffer: &mut [u8], patience: Duration) -> io::Result<usize>;

    /// Sends all of these.
    ///
    /// # Errors
    ///
    /// When the line is broken.
    fn write(&mut self, bytes: &[u8]) -> io::Result<()>;
}

/// A timeout of 0 would be none.
const SHORTEST: Duration = Duration::from_millis(1);

impl Line for TcpStream {
    fn read(&mut self, buffer: &mut [u8], patience: Duration) -> io::Result<usize> {
        self.set_read_timeout(Some(patience.max(SHORTEST)))?;
        match io::Read::read(self, buffer) {
            Ok(0) => Err(io::Error::new(
                ErrorKind::UnexpectedEof,
                "the other end has closed the connection",
            )),
            read => or_nothing(read),
        }
    }

    fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.write_all(bytes)
    }
}

impl Line for SerialPort {
    fn read(&mut self, buffer: &mut [u8], patience: Duration) -> io::Result<usize> {
        self.set_read_timeout(patience.max(SHORTEST))?;
        or_nothing(io::Read::read(&mut &*self, buffer))
    }

    fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.write_all(bytes)
    }
}

/// Nothing in time is no error.
fn or_nothing(read: io::Result<usize>) -> io::Result<usize> {
    match read {
        Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => Ok(0),
        Err(error) if error.kind() == ErrorKind::Interrupted => Ok(0),
        read => read,
    }
}

/// Opens a serial port: 8 bits, no parity, 1 stop bit.
///
/// # Errors
///
/// When it cannot be opened; the text names those that are there.
pub fn open_serial(path: &Path, baud: u32) -> Result<Box<dyn Line>> {
    let port = SerialPort::open(path, baud).with_context(|| {
        let known = SerialPort::available_ports().unwrap_or_default();
        let known: Vec<_> = known
            .iter()
            .map(|port| port.display().to_string())
            .collect();
        let path = path.display();
        if known.is_empty() {
            format!("cannot open {path}: there is no serial port; is the board plugged in?")
        } else {
            format!("cannot open {path}: there are {}", known.join(", "))
        }
    })?;
    Ok(Box::new(port))
}

/// Connects to a socket, such as an emulator's `-serial tcp:HOST:PORT,server=on,wait=off`.
///
/// # Errors
///
/// When nobody listens there.
pub fn open_tcp(address: &str) -> Result<Box<dyn Line>> {
    let stream = TcpStream::connect(address).with_context(|| {
        format!(
            "cannot connect to {address}: is the emulator running, with \
             `-serial tcp:{address},server=on,wait=off`?"
        )
    })?;
    stream.set_nodelay(true)?;
    Ok(Box::new(stream))
}
