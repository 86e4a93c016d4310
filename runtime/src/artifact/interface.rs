//! Inputs, outputs, text and golden vectors.

use super::{Record, Words, record};

record! {
    /// A run of UTF-8 in the strings section.
    pub struct Text {
        /// Offset in bytes from the start of the section.
        pub offset: u32,
        /// Length in bytes.
        pub len: u32,
    }
}

impl Text {
    /// No text.
    pub const EMPTY: Self = Self { offset: 0, len: 0 };

    /// The text, or `None` when it lies outside `strings` or is not UTF-8.
    pub fn get(self, strings: &[u8]) -> Option<&str> {
        core::str::from_utf8(self.bytes(strings)?).ok()
    }

    /// Its bytes, for who reads UTF-8 elsewhere; `None` when they lie outside `strings`.
    pub fn bytes(self, strings: &[u8]) -> Option<&[u8]> {
        let start = self.offset as usize;
        strings.get(start..start.checked_add(self.len as usize)?)
    }
}

record! {
    /// An input or output of the model.
    pub struct Port {
        /// Index of its tensor.
        pub tensor: u32,
        /// Smallest real value seen in calibration, or declared; golden inputs start here.
        pub low: f32,
        /// Largest real value seen in calibration, or declared; golden inputs end here.
        pub high: f32,
        /// Its name in the ONNX model.
        pub name: Text,
        /// Labels of the last axis, one a line; empty when there are none.
        pub labels: Text,
        /// What to do with raw data before the model sees it, as JSON; empty when nothing.
        pub preprocessing: Text,
    }
}

record! {
    /// A golden vector: inputs made from a seed, and the digest of every operator's output.
    /// The digests follow it, eight bytes each, one for each operator.
    pub struct Golden {
        /// Seed of the inputs, see `FORMAT.md`; never 0.
        pub seed: u32,
        /// Zero; keeps the digests eight-byte aligned.
        pub reserved: u32,
    }
}

impl Golden {
    /// The stored digest of each operator's output.
    pub fn digests(section: &[u8]) -> impl Iterator<Item = u64> + '_ {
        section
            .get(Self::WORDS * 4..)
            .unwrap_or_default()
            .as_chunks::<8>()
            .0
            .iter()
            .map(|eight| u64::from_le_bytes(*eight))
    }

    /// The vector at the front of the golden section, if there is one.
    pub fn open(section: &[u8]) -> Option<Self> {
        Self::read(&mut Words::new(section))
    }
}
