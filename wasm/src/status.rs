//! How a call has ended.

use niwaki::LoadError;

/// Why a file was refused, as a number that JavaScript has a code and a remedy for
/// (`js/errors.js`); the numbers are the same there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub enum Status {
    /// It was not.
    Well = 0,
    /// [`LoadError::NotAnArtifact`].
    NotAModel = 1,
    /// [`LoadError::Truncated`].
    Truncated = 2,
    /// [`LoadError::NewerFormat`].
    NewerFormat = 3,
    /// [`LoadError::OtherNumerics`].
    OtherNumerics = 4,
    /// [`LoadError::Damaged`].
    Damaged = 5,
    /// The header agrees with the bytes, and something behind it breaks a rule.
    Invalid = 6,
}

impl From<LoadError> for Status {
    fn from(error: LoadError) -> Self {
        match error {
            LoadError::NotAnArtifact => Self::NotAModel,
            LoadError::Truncated { .. } => Self::Truncated,
            LoadError::NewerFormat { .. } => Self::NewerFormat,
            LoadError::OtherNumerics { .. } => Self::OtherNumerics,
            LoadError::Damaged => Self::Damaged,
            LoadError::Misaligned
            | LoadError::Section(_)
            | LoadError::Tensor { .. }
            | LoadError::Operator { .. }
            | LoadError::Interface { .. } => Self::Invalid,
        }
    }
}
