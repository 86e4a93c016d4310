//! Memory with the alignment that the runtime asks for.

use crate::Error;

/// That many zeros; an [`Error`], not an abort, when there is no room for them. A file may ask
/// for any size, so a page that loads a foreign one must be able to go on.
pub(crate) fn zeroed_words(bytes: usize) -> Result<Vec<u32>, Error> {
    let words = bytes.div_ceil(size_of::<u32>());
    let mut buffer = Vec::new();
    buffer
        .try_reserve_exact(words)
        .map_err(|_| Error::OutOfMemory { bytes })?;
    buffer.resize(words, 0);
    Ok(buffer)
}

/// An aligned copy of bytes.
pub(crate) struct AlignedBytes {
    words: Vec<u32>,
    len: usize,
}

impl AlignedBytes {
    /// Copies.
    pub(crate) fn copy_of(bytes: &[u8]) -> Result<Self, Error> {
        let mut words = zeroed_words(bytes.len())?;
        niwaki::as_bytes_mut(&mut words)[..bytes.len()].copy_from_slice(bytes);
        Ok(Self {
            words,
            len: bytes.len(),
        })
    }
}

impl AsRef<[u8]> for AlignedBytes {
    fn as_ref(&self) -> &[u8] {
        &niwaki::as_bytes(&self.words)[..self.len]
    }
}
