//! What can go wrong on the way from a request to a response.

use core::fmt;

use embedded_io::ErrorKind;
use niwaki::{LoadError, RunError};

/// Why there is no response, or not a whole one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Failure {
    /// The model is refused.
    Load(LoadError),
    /// The session is refused, or a run has failed.
    Run(RunError),
    /// The memory was laid out for another model than the one that was given.
    OtherModel,
    /// The request begins neither with [`crate::REQUEST_MAGIC`] nor with
    /// [`crate::PROFILE_MAGIC`].
    NotARequest,
    /// The request ends before its last sample.
    RequestEnds,
    /// The request cannot be read.
    Read(ErrorKind),
    /// The response cannot be written.
    Write(ErrorKind),
}

impl From<LoadError> for Failure {
    fn from(error: LoadError) -> Self {
        Self::Load(error)
    }
}

impl From<RunError> for Failure {
    fn from(error: RunError) -> Self {
        Self::Run(error)
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Load(error) => write!(f, "the model is refused: {error}"),
            Self::Run(error) => write!(f, "the run has failed: {error}"),
            Self::OtherModel => f.write_str("the image's memory was laid out for another model"),
            Self::NotARequest => f.write_str("the request begins neither with NWRQ nor with NWPQ"),
            Self::RequestEnds => f.write_str("the request ends before its last sample"),
            Self::Read(kind) => write!(f, "cannot read the request: {kind:?}"),
            Self::Write(kind) => write!(f, "cannot write the response: {kind:?}"),
        }
    }
}

impl core::error::Error for Failure {}
