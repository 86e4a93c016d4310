//! What can go wrong while a model is put into an image.

use std::path::PathBuf;
use std::{fmt, io};

use niwaki::LoadError;

/// Why no model was embedded. Its text is one line and says what to do.
#[derive(Debug)]
pub enum Error {
    /// The environment variable of that name is not set.
    Unset(String),
    /// The artifact cannot be read.
    Read(PathBuf, io::Error),
    /// The file is not an artifact that this version of niwaki runs.
    Refused(PathBuf, LoadError),
    /// The output directory cannot be written.
    Write(PathBuf, io::Error),
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unset(variable) => write!(
                f,
                "{variable} is not set: give it the path of the model that this image carries, \
                 a .niwaki file made with `niwaki compile MODEL.onnx -o MODEL.niwaki`"
            ),
            Self::Read(path, error) => write!(f, "cannot read {}: {error}", path.display()),
            Self::Refused(path, error) => write!(f, "{} is refused: {error}", path.display()),
            Self::Write(path, error) => write!(f, "cannot write {}: {error}", path.display()),
        }
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Read(_, error) | Self::Write(_, error) => Some(error),
            Self::Refused(_, error) => Some(error),
            Self::Unset(_) => None,
        }
    }
}
