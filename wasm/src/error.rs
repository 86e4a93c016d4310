//! What a call can be refused for.

use core::fmt;

use niwaki::{LoadError, RunError};

/// Why a call was refused; its text is the message of the JavaScript `Error`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Error {
    /// The file is not one that this program can run.
    Load(LoadError),
    /// There is no memory left for the model or its arena.
    OutOfMemory {
        /// Bytes that were asked for.
        bytes: usize,
    },
    /// The model has no input of that index.
    NoSuchInput {
        /// The index asked for.
        index: usize,
        /// How many inputs there are.
        count: usize,
    },
    /// The model has no output of that index.
    NoSuchOutput {
        /// The index asked for.
        index: usize,
        /// How many outputs there are.
        count: usize,
    },
    /// An input was set with another number of bytes than its tensor has.
    InputLength {
        /// The input's index.
        index: usize,
        /// Bytes that the tensor has.
        needed: usize,
        /// Bytes that were given.
        found: usize,
    },
    /// A run was asked for before every input was set.
    InputNotSet {
        /// The first input that is missing.
        index: usize,
    },
    /// An output was asked for that no run has computed.
    NotRun,
    /// A run failed.
    Run(RunError),
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Load(error) => error.fmt(f),
            Self::OutOfMemory { bytes } => write!(f, "no room for {bytes} bytes of memory"),
            Self::NoSuchInput { index, count } => {
                write!(
                    f,
                    "there is no input {index}: the model has {count}, counted from 0"
                )
            }
            Self::NoSuchOutput { index, count } => {
                write!(
                    f,
                    "there is no output {index}: the model has {count}, counted from 0"
                )
            }
            Self::InputLength {
                index,
                needed,
                found,
            } => write!(f, "input {index} has {needed} bytes, not {found}"),
            Self::InputNotSet { index } => {
                write!(
                    f,
                    "input {index} is not set: call setInput({index}, bytes) before a run"
                )
            }
            Self::NotRun => f.write_str("there is no output yet: call run() first"),
            Self::Run(error) => error.fmt(f),
        }
    }
}

impl core::error::Error for Error {}

impl From<LoadError> for Error {
    fn from(error: LoadError) -> Self {
        Self::Load(error)
    }
}

impl From<RunError> for Error {
    fn from(error: RunError) -> Self {
        Self::Run(error)
    }
}
