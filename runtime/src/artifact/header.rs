//! The first 120 bytes of an artifact.

use super::{Record, Words, record};
use crate::error::{LoadError, Section};
use crate::{FORMAT_VERSION, NUMERICS_VERSION};

/// The first eight bytes of every artifact. The line ends show a transfer that mangled text.
pub const MAGIC: [u8; 8] = *b"NIWAKI\r\n";

record! {
    /// What every reader needs before anything else. Stored at offset 0, right behind [`MAGIC`]
    /// and the SHA-256.
    pub struct Header {
        /// Format version in the low half, numerics version in the high half.
        pub versions: u32,
        /// Length of the whole file in bytes.
        pub file_bytes: u32,
        /// Bytes of activation memory that a session needs.
        pub arena_bytes: u32,
        /// Number of operators.
        pub operator_count: u32,
        /// Number of inputs.
        pub input_count: u32,
        /// Number of outputs.
        pub output_count: u32,
        /// Offset and length in bytes of each section, in the order of [`Section::ALL`].
        pub sections: [[u32; 2]; 7],
    }
}

impl Header {
    /// A header of the versions that this crate writes, and otherwise empty.
    pub fn new() -> Self {
        Self {
            versions: u32::from(FORMAT_VERSION) | u32::from(NUMERICS_VERSION) << 16,
            ..Self::default()
        }
    }

    /// Where the SHA-256 starts; it covers all that follows it.
    const DIGEST_AT: usize = MAGIC.len();
    /// Where the words start.
    const WORDS_AT: usize = Self::DIGEST_AT + 32;
    /// Length of magic, SHA-256 and words.
    pub const BYTES: usize = Self::WORDS_AT + Self::WORDS * 4;

    /// Reads the header and checks all that can be checked without knowing a record: magic,
    /// versions, length, SHA-256 and that each section lies inside the file.
    pub fn open(bytes: &[u8]) -> Result<Self, LoadError> {
        let header = Self::glance(bytes)?;
        let file = bytes.get(..header.file_bytes as usize);
        let file = file.ok_or(LoadError::Damaged)?;
        let stored = file.get(Self::DIGEST_AT..Self::WORDS_AT);
        let covered = file.get(Self::WORDS_AT..).ok_or(LoadError::Damaged)?;
        let mut hash: fn(&[u8]) -> [u8; 32] = hmac_sha256::Hash::hash;
        if cfg!(not(target_family = "wasm")) {
            // Called through a pointer, it stays a function of its own, by whose name the panic gate knows
            // the two slices in it that the optimiser cannot see to be sound. There is no such gate for
            // WebAssembly, where a module that is cut for one model keeps all that has a pointer.
            hash = core::hint::black_box(hash);
        }
        if stored != Some(hash(covered).as_slice()) {
            return Err(LoadError::Damaged);
        }
        for section in Section::ALL {
            header
                .section(file, section)
                .ok_or(LoadError::Section(section))?;
        }
        Ok(header)
    }

    /// Reads the header and checks magic, versions and length.
    pub(crate) fn glance(bytes: &[u8]) -> Result<Self, LoadError> {
        let found = u32::try_from(bytes.len()).unwrap_or(u32::MAX);
        if !bytes.starts_with(&MAGIC) {
            return Err(LoadError::NotAnArtifact);
        }
        let cut = |needed| LoadError::Truncated { needed, found };
        let words = bytes.get(Self::WORDS_AT..).unwrap_or_default();
        let header = Self::read(&mut Words::new(words)).ok_or(cut(Self::BYTES as u32))?;
        let [format, numerics] = [header.versions as u16, (header.versions >> 16) as u16];
        if format > FORMAT_VERSION || format == 0 {
            return Err(LoadError::NewerFormat {
                found: format,
                newest: FORMAT_VERSION,
            });
        }
        if numerics != NUMERICS_VERSION {
            return Err(LoadError::OtherNumerics {
                found: numerics,
                supported: NUMERICS_VERSION,
            });
        }
        if header.file_bytes > found {
            return Err(cut(header.file_bytes));
        }
        Ok(header)
    }

    /// The bytes of one section; `None` when they are not inside the file, behind the header and
    /// 16-byte aligned.
    pub fn section<'m>(&self, file: &'m [u8], section: Section) -> Option<&'m [u8]> {
        let [offset, len] = *self.sections.get(section as usize)?;
        let start = offset as usize;
        if start < Self::BYTES || !start.is_multiple_of(16) {
            return None;
        }
        file.get(start..start.checked_add(len as usize)?)
    }

    /// Writes magic, digest and words to the front of `file`, which holds the sections already.
    /// `file` has to be at least [`Header::BYTES`] long; otherwise nothing is written.
    pub fn seal(&self, file: &mut [u8]) {
        let mut at = Self::WORDS_AT;
        self.write(&mut |word| {
            if let Some(four) = file.get_mut(at..at + 4) {
                four.copy_from_slice(&word.to_le_bytes());
            }
            at += 4;
        });
        let digest = hmac_sha256::Hash::hash(file.get(Self::WORDS_AT..).unwrap_or_default());
        if let Some((magic, rest)) = file.split_first_chunk_mut::<8>()
            && let Some(stored) = rest.first_chunk_mut::<32>()
        {
            *magic = MAGIC;
            *stored = digest;
        }
    }
}
