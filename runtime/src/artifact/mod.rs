//! The artifact: records of little-endian words, each with its reader and writer in one place.
//!
//! `FORMAT.md` describes the file in full. Nothing here knows operators or kernels; the
//! compiler writes with the same definitions that the runtime reads with.

mod header;
mod interface;
mod operator;
mod tensor;

pub use header::{Header, MAGIC};
pub use interface::{Golden, Port, Text};
pub use operator::{OperatorHeader, Operators, RawOperator, Strip};
pub use tensor::{DataType, Storage, Tensor, Tensors};

use core::marker::PhantomData;

/// Something stored as a fixed number of 32-bit little-endian words.
pub trait Record: Sized {
    /// How many words it takes.
    const WORDS: usize;
    /// Which of its words are offsets of [`Blob`]s: bit `i` for word `i`. A compiler that lays
    /// the data section out anew needs to know; a run does not.
    const BLOBS: u128 = 0;
    /// Reads it; `None` when the words end early or one has no meaning.
    fn read(words: &mut Words<'_>) -> Option<Self>;
    /// Writes it, word by word.
    fn write(&self, sink: &mut dyn FnMut(u32));
}

/// A reader of words; what is left of a record.
#[derive(Clone, Copy, Debug)]
pub struct Words<'m>(&'m [u8]);

impl<'m> Words<'m> {
    /// Starts reading at the first byte.
    pub fn new(bytes: &'m [u8]) -> Self {
        Self(bytes)
    }

    /// The next word.
    pub fn next_word(&mut self) -> Option<u32> {
        let (word, rest) = self.0.split_first_chunk::<4>()?;
        self.0 = rest;
        Some(u32::from_le_bytes(*word))
    }

    /// How many bytes are left.
    pub fn remaining(&self) -> usize {
        self.0.len()
    }
}

impl Record for u32 {
    const WORDS: usize = 1;
    fn read(words: &mut Words<'_>) -> Option<Self> {
        words.next_word()
    }
    fn write(&self, sink: &mut dyn FnMut(u32)) {
        sink(*self);
    }
}

impl Record for i32 {
    const WORDS: usize = 1;
    fn read(words: &mut Words<'_>) -> Option<Self> {
        words.next_word().map(u32::cast_signed)
    }
    fn write(&self, sink: &mut dyn FnMut(u32)) {
        sink(self.cast_unsigned());
    }
}

impl Record for f32 {
    const WORDS: usize = 1;
    fn read(words: &mut Words<'_>) -> Option<Self> {
        words.next_word().map(f32::from_bits)
    }
    fn write(&self, sink: &mut dyn FnMut(u32)) {
        sink(self.to_bits());
    }
}

impl<T: Record + Copy + Default, const N: usize> Record for [T; N] {
    const WORDS: usize = T::WORDS * N;
    const BLOBS: u128 = {
        let (mut blobs, mut i) = (0, 0);
        while i < N && T::BLOBS != 0 {
            blobs |= T::BLOBS << (i * T::WORDS);
            i += 1;
        }
        blobs
    };
    fn read(words: &mut Words<'_>) -> Option<Self> {
        let mut all = [T::default(); N];
        for one in &mut all {
            *one = T::read(words)?;
        }
        Some(all)
    }
    fn write(&self, sink: &mut dyn FnMut(u32)) {
        for one in self {
            one.write(sink);
        }
    }
}

/// Where a run of values starts in the data section; its length follows from the operator.
#[derive(Debug, PartialEq, Eq)]
pub struct Blob<T> {
    /// Offset in bytes from the start of the data section.
    pub offset: u32,
    element: PhantomData<T>,
}

impl<T> Clone for Blob<T> {
    fn clone(&self) -> Self {
        *self
    }
}
impl<T> Copy for Blob<T> {}

impl<T> Default for Blob<T> {
    fn default() -> Self {
        Self {
            offset: 0,
            element: PhantomData,
        }
    }
}

impl<T: bytemuck::AnyBitPattern> Blob<T> {
    /// A run that starts `offset` bytes into the data section.
    pub fn at(offset: u32) -> Self {
        Self {
            offset,
            element: PhantomData,
        }
    }

    /// A run of other values at the same place.
    pub(crate) fn of<U: bytemuck::AnyBitPattern>(self) -> Blob<U> {
        Blob::at(self.offset)
    }

    /// The `len` values, or `None` when they are not all inside `data`, or not aligned.
    pub fn get(self, data: &[u8], len: usize) -> Option<&[T]> {
        let start = self.offset as usize;
        let end = start.checked_add(len.checked_mul(size_of::<T>())?)?;
        bytemuck::try_cast_slice(data.get(start..end)?).ok()
    }
}

impl<T: bytemuck::AnyBitPattern> Record for Blob<T> {
    const WORDS: usize = 1;
    const BLOBS: u128 = 1;
    fn read(words: &mut Words<'_>) -> Option<Self> {
        words.next_word().map(Self::at)
    }
    fn write(&self, sink: &mut dyn FnMut(u32)) {
        sink(self.offset);
    }
}

impl Record for () {
    const WORDS: usize = 0;
    fn read(_: &mut Words<'_>) -> Option<Self> {
        Some(())
    }
    fn write(&self, _: &mut dyn FnMut(u32)) {}
}

/// Defines a plain struct together with its reader and writer, field by field.
macro_rules! record {
    ($(#[$meta:meta])* $vis:vis struct $name:ident {
        $($(#[$field_meta:meta])* pub $field:ident : $ty:ty,)*
    }) => {
        $(#[$meta])*
        #[derive(Clone, Copy, Debug, Default, PartialEq)]
        $vis struct $name { $($(#[$field_meta])* pub $field: $ty,)* }

        impl $crate::artifact::Record for $name {
            const WORDS: usize = 0 $(+ <$ty as $crate::artifact::Record>::WORDS)*;
            const BLOBS: u128 = {
                let (mut blobs, mut at) = (0u128, 0usize);
                $(
                    let field = <$ty as $crate::artifact::Record>::BLOBS;
                    // Without a blob in it a field may lie beyond the bits.
                    if field != 0 {
                        blobs |= field << at;
                    }
                    at += <$ty as $crate::artifact::Record>::WORDS;
                )*
                assert!(at == Self::WORDS);
                blobs
            };
            fn read(words: &mut $crate::artifact::Words<'_>) -> Option<Self> {
                Some(Self { $($field: <$ty as $crate::artifact::Record>::read(words)?,)* })
            }
            fn write(&self, sink: &mut dyn FnMut(u32)) {
                $($crate::artifact::Record::write(&self.$field, sink);)*
            }
        }
    };
}
pub(crate) use record;
