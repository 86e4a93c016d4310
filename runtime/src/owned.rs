//! A checked model together with its bytes.

use core::fmt;
use core::marker::PhantomData;

use crate::artifact::Header;
use crate::error::LoadError;
use crate::model::Model;
use crate::ops::{All, OperatorSet};

/// A model that has passed every check, and the bytes that it was read from.
///
/// A [`Model`] borrows its bytes, so a value that lives on its own, such as an object of another
/// language, cannot hold both. This one holds the bytes and what the check found, and lends a
/// [`Model`] for the price of a few words.
///
/// `B` gives the same bytes at the same place each time it is asked: a boxed slice, a vector, an
/// `Arc`, a mapped file. One that does not can make a run fail with
/// [`crate::RunError::Internal`] or compute something else; it cannot harm memory.
///
/// ```
/// struct Classifier {
///     model: niwaki::OwnedModel<Box<[u8]>>,
///     arena: Vec<u32>,
/// }
///
/// impl Classifier {
///     fn classify(&mut self, input: &[u8]) -> Result<u8, niwaki::RunError> {
///         let arena = niwaki::as_bytes_mut(&mut self.arena);
///         let mut session = niwaki::Session::new(&self.model.model(), arena)?;
///         session.input_mut(0)?.copy_from_slice(input);
///         session.run()?;
///         Ok(session.output(0)?[0])
///     }
/// }
/// ```
pub struct OwnedModel<B, S: OperatorSet = All> {
    bytes: B,
    header: Header,
    operators: PhantomData<S>,
}

impl<B: AsRef<[u8]>, S: OperatorSet> OwnedModel<B, S> {
    /// Checks the bytes as [`Model::new`] does, and keeps them.
    ///
    /// # Errors
    ///
    /// Those of [`Model::new`].
    pub fn new(bytes: B) -> Result<Self, LoadError> {
        let header = Model::<S>::new(bytes.as_ref())?.header();
        Ok(Self::of(header, bytes))
    }

    /// Takes bytes that have passed [`Model::new`] before, as [`Model::trusted`] does, and keeps them.
    ///
    /// # Errors
    ///
    /// Those of [`Model::trusted`].
    pub fn trusted(bytes: B) -> Result<Self, LoadError> {
        let header = Model::<S>::trusted(bytes.as_ref())?.header();
        Ok(Self::of(header, bytes))
    }

    fn of(header: Header, bytes: B) -> Self {
        Self {
            bytes,
            header,
            operators: PhantomData,
        }
    }

    /// The model, borrowed. Nothing is checked again.
    pub fn model(&self) -> Model<'_, S> {
        Model::from_checked(self.header, self.bytes.as_ref())
    }

    /// The bytes, to be used for something else.
    pub fn into_bytes(self) -> B {
        self.bytes
    }
}

impl<B: AsRef<[u8]>, S: OperatorSet> fmt::Debug for OwnedModel<B, S> {
    /// Leaves the bytes out: they would be megabytes.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OwnedModel")
            .field("header", &self.header)
            .finish_non_exhaustive()
    }
}
