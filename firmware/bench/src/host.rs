//! Files of the host as streams.

use core::ffi::CStr;

use embedded_io::{ErrorKind, ErrorType, Read, Write};
use semihosting::fs::File;
use semihosting::io::{self, Read as _, Write as _};

/// Longest path, with its terminating zero.
const PATH_BYTES: usize = 1024;

/// A file of the host. Each read and each write is one trap into the debugger: use large ones.
pub(crate) struct HostFile(File);

impl HostFile {
    /// Opens a file to read.
    pub(crate) fn open(path: &str) -> Result<Self, ErrorKind> {
        with_c_str(path, |path| File::open(path))
    }

    /// Opens a file to write, and makes it empty.
    pub(crate) fn create(path: &str) -> Result<Self, ErrorKind> {
        with_c_str(path, |path| File::create(path))
    }
}

/// The host wants its paths with a zero behind them.
fn with_c_str(
    path: &str,
    open: impl FnOnce(&CStr) -> io::Result<File>,
) -> Result<HostFile, ErrorKind> {
    let mut buffer = [0; PATH_BYTES];
    let front = buffer
        .get_mut(..path.len())
        .ok_or(ErrorKind::InvalidInput)?;
    front.copy_from_slice(path.as_bytes());
    let path = CStr::from_bytes_until_nul(&buffer).map_err(|_| ErrorKind::InvalidInput)?;
    open(path).map(HostFile).map_err(|error| kind(&error))
}

fn kind(error: &io::Error) -> ErrorKind {
    match error.kind() {
        io::ErrorKind::NotFound => ErrorKind::NotFound,
        io::ErrorKind::PermissionDenied => ErrorKind::PermissionDenied,
        io::ErrorKind::Interrupted => ErrorKind::Interrupted,
        _ => ErrorKind::Other,
    }
}

impl ErrorType for HostFile {
    type Error = ErrorKind;
}

impl Read for HostFile {
    fn read(&mut self, buffer: &mut [u8]) -> Result<usize, ErrorKind> {
        self.0.read(buffer).map_err(|error| kind(&error))
    }
}

impl Write for HostFile {
    fn write(&mut self, bytes: &[u8]) -> Result<usize, ErrorKind> {
        match self.0.write(bytes) {
            Ok(0) if !bytes.is_empty() => Err(ErrorKind::WriteZero),
            Ok(written) => Ok(written),
            Err(error) => Err(kind(&error)),
        }
    }

    fn flush(&mut self) -> Result<(), ErrorKind> {
        // What is written is with the host already.
        Ok(())
    }
}
