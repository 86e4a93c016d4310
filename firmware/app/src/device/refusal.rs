//! Errors of the runtime as the wire carries them.

use niwaki::{LoadError, OperatorSet, Rule, RunError};
use niwaki_wire::{Error, Place};

/// Why a model is refused.
pub(super) fn of_load(error: LoadError) -> Error {
    let invalid = |place, index| Error::Invalid { place, index };
    match error {
        LoadError::NotAnArtifact => Error::NotAModel,
        LoadError::Truncated { needed, found } => Error::Truncated { needed, found },
        LoadError::NewerFormat { found, newest } => Error::OtherFormat { found, newest },
        LoadError::OtherNumerics { found, supported } => Error::OtherNumerics { found, supported },
        LoadError::Damaged => Error::Damaged,
        LoadError::Operator {
            index,
            rule: Rule::UnknownOperator(code),
        } => Error::UnknownOperator { index, code },
        LoadError::Misaligned => invalid(Place::File, 0),
        LoadError::Section(section) => invalid(Place::Section, section as u32),
        LoadError::Tensor { index, .. } => invalid(Place::Tensor, index),
        LoadError::Operator { index, .. } => invalid(Place::Operator, index),
        LoadError::Interface { index, .. } => invalid(Place::Interface, index),
    }
}

/// Why a session is refused, or a run has failed.
pub(super) fn of_run(error: RunError) -> Error {
    match error {
        RunError::ArenaTooSmall { needed, found } => Error::TooLargeForArena {
            bytes: needed,
            room: found,
        },
        RunError::ArenaMisaligned => Error::Invalid {
            place: Place::File,
            index: 0,
        },
        RunError::NoSuchTensor { .. } | RunError::WrongType { .. } => Error::NoSuchPort,
        RunError::Internal { operator } => Error::Internal { operator },
    }
}

/// Loads a model, and sees that it has room in the arena.
pub(super) fn load<'m, S: OperatorSet>(
    bytes: &'m [u8],
    arena_bytes: usize,
) -> Result<niwaki::Model<'m, S>, Error> {
    let model = niwaki::Model::<S>::new(bytes).map_err(of_load)?;
    if model.arena_bytes() > arena_bytes {
        return Err(Error::TooLargeForArena {
            bytes: model.arena_bytes() as u32,
            room: arena_bytes as u32,
        });
    }
    Ok(model)
}
