//! Tensor records.

use super::{Record, Text, Words, record};
use crate::MAX_RANK;

/// Element type of a tensor.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[repr(u8)]
pub enum DataType {
    /// Signed 8-bit integer.
    I8 = 1,
    /// Unsigned 8-bit integer.
    U8 = 2,
    /// Signed 16-bit integer.
    I16 = 3,
    /// Signed 32-bit integer.
    I32 = 4,
    /// IEEE-754 binary32.
    F32 = 5,
    /// Unsigned 16-bit integer.
    U16 = 6,
    /// Signed 64-bit integer.
    I64 = 7,
    /// A byte: 0 is false, 1 is true. Operators take any other byte for true as well.
    Bool = 8,
}

impl DataType {
    /// Size of one element in bytes.
    pub fn bytes(self) -> usize {
        match self {
            Self::I8 | Self::U8 | Self::Bool => 1,
            Self::I16 | Self::U16 => 2,
            Self::I32 | Self::F32 => 4,
            Self::I64 => 8,
        }
    }

    /// What the offset of a tensor is a multiple of: the element's size, but 4 for int64, as
    /// arenas are aligned to no more.
    pub fn alignment(self) -> usize {
        self.bytes().min(crate::ALIGNMENT)
    }

    /// True for all but float32; a bool is the integer 0 or 1.
    pub fn is_integer(self) -> bool {
        self != Self::F32
    }

    /// The name that NumPy and Rust users know.
    pub fn name(self) -> &'static str {
        match self {
            Self::I8 => "int8",
            Self::U8 => "uint8",
            Self::I16 => "int16",
            Self::I32 => "int32",
            Self::F32 => "float32",
            Self::U16 => "uint16",
            Self::I64 => "int64",
            Self::Bool => "bool",
        }
    }

    fn from_code(code: u8) -> Option<Self> {
        [
            Self::I8,
            Self::U8,
            Self::I16,
            Self::I32,
            Self::F32,
            Self::U16,
            Self::I64,
            Self::Bool,
        ]
        .into_iter()
        .find(|&t| t as u8 == code)
    }
}

/// Where a tensor's elements are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Storage {
    /// In the arena, written during a run.
    Arena = 0,
    /// In the data section, constant.
    Data = 1,
}

/// One tensor: its element type, shape, place and meaning.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Tensor {
    /// Element type.
    pub dtype: DataType,
    /// Arena or data section.
    pub storage: Storage,
    /// Number of dimensions, at most [`MAX_RANK`].
    pub rank: u8,
    /// How many rows the arena holds at a time of a tensor that is written and read in strips; 0
    /// when it holds all of them. See [`Tensor::rows`].
    pub held: u8,
    /// Dimensions in memory order, the last varying fastest; 1 behind `rank`.
    pub dims: [u32; MAX_RANK],
    /// For each dimension in memory order, the ONNX axis that it is, four bits each, the first
    /// dimension in the lowest bits. ONNX's NCHW stored as NHWC reads 0, 2, 3, 1.
    pub layout: u32,
    /// Offset in bytes into the arena or the data section.
    pub offset: u32,
    /// Real value of one step; 0 for a tensor that is not quantised.
    pub scale: f32,
    /// The quantised value that means 0.
    pub zero_point: i32,
    /// Name in the ONNX model; empty when stripped.
    pub name: Text,
}

record! {
    /// [`Tensor`] as stored.
    struct Stored {
        /// Element type, storage, rank and rows held, a byte each from the lowest.
        pub kind: u32,
        /// See [`Tensor::dims`].
        pub dims: [u32; MAX_RANK],
        /// See [`Tensor::layout`].
        pub layout: u32,
        /// See [`Tensor::offset`].
        pub offset: u32,
        /// See [`Tensor::scale`].
        pub scale: f32,
        /// See [`Tensor::zero_point`].
        pub zero_point: i32,
        /// See [`Tensor::name`].
        pub name: Text,
    }
}

impl Record for Tensor {
    const WORDS: usize = Stored::WORDS;

    fn read(words: &mut Words<'_>) -> Option<Self> {
        let stored = Stored::read(words)?;
        let [dtype, storage, rank, held] = stored.kind.to_le_bytes();
        let storage = match storage {
            0 => Storage::Arena,
            1 => Storage::Data,
            _ => return None,
        };
        Some(Self {
            dtype: DataType::from_code(dtype)?,
            storage,
            rank,
            held,
            dims: stored.dims,
            layout: stored.layout,
            offset: stored.offset,
            scale: stored.scale,
            zero_point: stored.zero_point,
            name: stored.name,
        })
    }

    fn write(&self, sink: &mut dyn FnMut(u32)) {
        Stored {
            kind: u32::from_le_bytes([self.dtype as u8, self.storage as u8, self.rank, self.held]),
            dims: self.dims,
            layout: self.layout,
            offset: self.offset,
            scale: self.scale,
            zero_point: self.zero_point,
            name: self.name,
        }
        .write(sink);
    }
}

impl Tensor {
    /// The dimensions in memory order.
    pub fn shape(&self) -> &[u32] {
        self.dims.get(..usize::from(self.rank)).unwrap_or_default()
    }

    /// The ONNX axis of each dimension in memory order.
    pub fn axes(&self) -> impl Iterator<Item = usize> + '_ {
        (0..self.rank).map(|i| (self.layout >> (4 * u32::from(i)) & 15) as usize)
    }

    /// Number of elements; `None` when there are 2³¹ bytes or more, where a dimension of 0, which
    /// leaves no element, counts as 1.
    pub fn checked_len(&self) -> Option<usize> {
        let mut len = 1u32;
        for &dim in &self.dims {
            len = len.checked_mul(dim.max(1))?;
        }
        let bytes = len.checked_mul(self.dtype.bytes() as u32)?;
        let len = if self.dims.contains(&0) { 0 } else { len };
        (bytes <= i32::MAX.cast_unsigned()).then_some(len as usize)
    }

    /// Number of elements; 0 for a record that [`Tensor::checked_len`] refuses.
    pub fn len(&self) -> usize {
        self.checked_len().unwrap_or(0)
    }

    /// True when there is no element: of an input or output of the model, which no operator reads
    /// or writes.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Size in bytes.
    pub fn byte_len(&self) -> usize {
        self.len() * self.dtype.bytes()
    }

    /// Number of rows: the first dimension in memory order that is longer than 1, or 1.
    pub fn rows(&self) -> u32 {
        self.dims.iter().copied().find(|&dim| dim > 1).unwrap_or(1)
    }

    /// Elements of a row.
    pub fn row_len(&self) -> usize {
        self.len().checked_div(self.rows() as usize).unwrap_or(0)
    }

    /// First byte and the one behind the last, in arena or data section, of what is held there.
    pub fn range(&self) -> core::ops::Range<usize> {
        let start = self.offset as usize;
        let bytes = match self.held {
            0 => self.byte_len(),
            held => usize::from(held) * self.row_len() * self.dtype.bytes(),
        };
        start..start.saturating_add(bytes)
    }

    /// True when both lie in the arena and share a byte.
    pub fn overlaps(&self, other: &Self) -> bool {
        let (a, b) = (self.range(), other.range());
        self.storage == Storage::Arena
            && other.storage == Storage::Arena
            && a.start.max(b.start) < a.end.min(b.end)
    }
}

/// The tensor table.
#[derive(Clone, Copy, Debug)]
pub struct Tensors<'m>(&'m [u8]);

impl<'m> Tensors<'m> {
    /// A view of the section's bytes.
    pub fn new(section: &'m [u8]) -> Self {
        Self(section)
    }

    /// True when the section holds whole records only.
    pub fn is_whole(&self) -> bool {
        self.0.len().is_multiple_of(Tensor::WORDS * 4)
    }

    /// Number of tensors.
    pub fn len(&self) -> usize {
        self.0.len() / (Tensor::WORDS * 4)
    }

    /// True when there is none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The record of tensor `index`.
    pub fn get(&self, index: u16) -> Option<Tensor> {
        let start = usize::from(index) * Tensor::WORDS * 4;
        Tensor::read(&mut Words::new(self.0.get(start..)?))
    }
}
