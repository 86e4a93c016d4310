//! Digests of layer outputs, and the inputs of golden vectors.

use crate::artifact::{DataType, Port, Tensor};

/// FNV-1a, 64 bits, over the bytes of a tensor in memory order
/// (<https://datatracker.ietf.org/doc/html/draft-eastlake-fnv>). It finds differences, it does
/// not keep out forgers: the file's SHA-256 does that.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Digest(pub u64);

impl Digest {
    /// The digest of no bytes.
    pub const EMPTY: Self = Self(0xcbf2_9ce4_8422_2325);

    /// The digest of a tensor's bytes. Every NaN counts as the same value, because machines
    /// differ in the NaN that they make.
    pub fn of(dtype: DataType, bytes: &[u8]) -> Self {
        let mut digest = Self::EMPTY;
        digest.update(dtype, bytes);
        digest
    }

    /// Takes in further elements of the tensor.
    pub fn update(&mut self, dtype: DataType, bytes: &[u8]) {
        let mut step = |byte: u8| {
            self.0 = (self.0 ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3);
        };
        if dtype == DataType::F32 {
            for word in bytes.as_chunks::<4>().0 {
                let value = f32::from_le_bytes(*word);
                let canonical = if value.is_nan() {
                    f32::NAN.to_bits()
                } else {
                    value.to_bits()
                };
                canonical.to_le_bytes().into_iter().for_each(&mut step);
            }
        } else {
            bytes.iter().copied().for_each(&mut step);
        }
    }
}

impl core::fmt::Display for Digest {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

#[cfg(feature = "defmt")]
impl defmt::Format for Digest {
    fn format(&self, f: defmt::Formatter<'_>) {
        defmt::write!(f, "{=u64:016x}", self.0);
    }
}

/// Marsaglia's xorshift32 (<https://doi.org/10.18637/jss.v008.i14>), the source of golden inputs.
#[derive(Clone, Debug)]
pub struct Xorshift32(u32);

impl Xorshift32 {
    /// Starts from a seed; 0, which the generator could not leave, counts as 1.
    pub fn new(seed: u32) -> Self {
        Self(if seed == 0 { 1 } else { seed })
    }

    /// The next 32 bits.
    pub fn next_u32(&mut self) -> u32 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 17;
        self.0 ^= self.0 << 5;
        self.0
    }
}

/// Fills an input with golden values: for integers of 8 and 16 bits any, for larger ones 0 to 255,
/// for floats an even spread over the
/// port's range, in steps that are exact in f32.
pub fn fill_golden_input(random: &mut Xorshift32, port: &Port, tensor: &Tensor, bytes: &mut [u8]) {
    match tensor.dtype {
        DataType::I8 | DataType::U8 => {
            for byte in bytes {
                *byte = (random.next_u32() >> 24) as u8;
            }
        }
        DataType::Bool => {
            for byte in bytes {
                *byte = (random.next_u32() >> 31) as u8;
            }
        }
        DataType::I16 | DataType::U16 => {
            for half in bytes.as_chunks_mut::<2>().0 {
                *half = ((random.next_u32() >> 16) as u16).to_le_bytes();
            }
        }
        DataType::I32 => {
            for word in bytes.as_chunks_mut::<4>().0 {
                *word = (random.next_u32() >> 24).to_le_bytes();
            }
        }
        DataType::I64 => {
            for long in bytes.as_chunks_mut::<8>().0 {
                *long = u64::from(random.next_u32() >> 24).to_le_bytes();
            }
        }
        DataType::F32 => {
            for word in bytes.as_chunks_mut::<4>().0 {
                let unit = (random.next_u32() >> 8) as f32 / 16_777_216.0;
                *word = (port.low + (port.high - port.low) * unit).to_le_bytes();
            }
        }
    }
}
