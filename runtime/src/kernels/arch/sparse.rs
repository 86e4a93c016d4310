//! Products with weights of which whole blocks are zero, stored as FORMAT.md, 6, has sparse weights.
//!
//! A block is four consecutive weights of an output channel. Channels are taken sixteen at a time,
//! their weights in bands of 64: a channel's share of a band is a map of its blocks, the first one's
//! bit on top, and the blocks that it names. So a run reads all of it in order, with one band of
//! some pixels and the sums of one group of channels at hand.

use super::Isa;
#[cfg(any(not(niwaki_arm_dsp), feature = "kernel-check"))]
use super::scalar::Scalar;

/// Weights of a block.
pub(crate) const BLOCK: usize = 4;
/// Weights of a band: a bit of a map for each block.
pub(crate) const BAND: usize = 16 * BLOCK;
/// Channels whose bands lie together.
pub(crate) const GROUP: usize = 16;
/// Pixels that are multiplied together: one, or so many.
pub(crate) const PIXELS: usize = 4;

/// The sums of a group of channels: those of a pixel, then those of the next.
pub(crate) type Sums = [i32; GROUP * PIXELS];

/// Bytes of an element in [`Bands`].
const ELEMENT: usize = if cfg!(niwaki_arm_dsp) { 2 } else { 1 };

/// A band of one pixel or of [`PIXELS`], in the form that an instruction set multiplies.
#[derive(Clone, Copy)]
#[repr(C)]
#[cfg_attr(not(target_os = "none"), repr(align(8)))]
pub(crate) struct Bands {
    pub(super) words: [u32; BAND * PIXELS * ELEMENT / 4],
}

/// What the kernel writes before it reads it.
#[derive(Clone, Copy)]
#[repr(C)]
pub(crate) struct Workspace {
    pub(crate) bands: Bands,
    pub(crate) sums: Sums,
}

#[allow(unsafe_code, reason = "what bytes are is said to the compiler")]
// SAFETY: zeros are numbers.
unsafe impl bytemuck::Zeroable for Workspace {}

#[allow(unsafe_code, reason = "what bytes are is said to the compiler")]
// SAFETY: it has numbers of 32 bits and nothing between or behind them, as the line below says; any
// bytes are such numbers, and of such numbers every byte may be read.
unsafe impl bytemuck::Pod for Workspace {}

const _: () = assert!(size_of::<Workspace>() == BAND * PIXELS * ELEMENT + GROUP * PIXELS * 4);

/// An instruction set that multiplies sparse weights.
pub(crate) trait SparseIsa: Isa {
    /// Brings together what one pixel or [`PIXELS`] have in a band: rows of one length. `None` when
    /// there are other numbers of them, or they are longer than a band.
    fn place_band(bands: &mut Bands, rows: &[&[i8]]) -> Option<()>;

    /// Adds the products of so many pixels, whose band is in `bands`, and of the band and group of
    /// channels that the cursor stands at, which moves on. Sums begin at the bias, if there is one,
    /// which has one for each of these channels.
    fn add_blocks(
        bands: &Bands,
        pixels: usize,
        cursor: &mut Cursor<'_>,
        bias: Option<&[i32]>,
        sums: &mut Sums,
    ) -> Option<()>;
}

/// The best instruction set of this machine for them.
#[cfg(niwaki_arm_dsp)]
pub(crate) type Best = super::arm_dsp::ArmDsp;
/// The best instruction set of this machine for them.
#[cfg(not(niwaki_arm_dsp))]
pub(crate) type Best = Scalar;

/// Sparse weights that are as long as their maps say: having one proves it.
#[derive(Clone, Copy)]
pub(crate) struct SparseRows<'m> {
    weights: &'m [u16],
    channels: usize,
    len: usize,
}

impl<'m> SparseRows<'m> {
    /// Looks at every map. `None` when it names blocks behind the end of the row, when the blocks
    /// and maps are not just the weights that are there, or when what fills up a row is not zero.
    #[inline(never)]
    pub(crate) fn new(weights: &'m [u16], channels: usize, len: usize) -> Option<Self> {
        let rows = Self {
            weights,
            channels,
            len,
        };
        let mut left = weights;
        let mut first = 0;
        while first < channels {
            let group = GROUP.min(channels - first);
            let mut start = 0;
            while start < len {
                let elements = BAND.min(len - start);
                // Bits that stand for no block.
                let unused = u32::from(u16::MAX) >> elements.div_ceil(BLOCK);
                let last = 0x8000u32 >> (elements - 1).checked_div(BLOCK)?;
                for _ in 0..group {
                    let (&map, rest) = left.split_first()?;
                    let map = u32::from(map);
                    let (blocks, rest) = rest.split_at_checked(map.count_ones() as usize * 2)?;
                    let filled = match (map & last, elements % BLOCK) {
                        (0, _) | (_, 0) => 0,
                        (_, 1) => blocks.last()? | (blocks.iter().nth_back(1)? >> 8),
                        (_, 2) => *blocks.last()?,
                        _ => blocks.last()? >> 8,
                    };
                    if map & unused != 0 || filled != 0 {
                        return None;
                    }
                    left = rest;
                }
                start += BAND;
            }
            first += GROUP;
        }
        left.is_empty().then_some(rows)
    }

    /// A cursor at the first group's first band.
    #[inline(always)]
    pub(crate) fn cursor(&self) -> Cursor<'m> {
        Cursor {
            weights: self.weights,
            channels: self.channels,
            len: self.len,
            start: 0,
        }
    }
}

/// Where one stands in [`SparseRows`]: what is left is whole.
pub(crate) struct Cursor<'m> {
    pub(super) weights: &'m [u16],
    /// Channels that are left, with those of the group that one stands in.
    channels: usize,
    len: usize,
    /// Where the band begins.
    start: usize,
}

impl<'m> Cursor<'m> {
    /// Channels of the group.
    #[inline(always)]
    pub(crate) fn channels(&self) -> usize {
        self.channels.min(GROUP)
    }

    /// Moves on behind the band, whose end has left these weights behind it.
    #[inline(always)]
    pub(super) fn leave(&mut self, left: &'m [u16]) {
        self.weights = left;
        self.start += BAND;
        if self.start >= self.len {
            self.start = 0;
            self.channels = self.channels.saturating_sub(GROUP);
        }
    }

    /// Gives every block of the group's band, as channel of the group, first element in the row and
    /// weights, and moves on.
    #[cfg(any(not(niwaki_arm_dsp), feature = "kernel-check"))]
    #[inline(always)]
    pub(crate) fn each_block(
        &mut self,
        mut f: impl FnMut(usize, usize, [i8; BLOCK]) -> Option<()>,
    ) -> Option<()> {
        let mut left = self.weights;
        for channel in 0..self.channels() {
            let (&map, rest) = left.split_first()?;
            left = rest;
            let mut map = map;
            let mut at = self.start;
            while map != 0 {
                if map & 0x8000 != 0 {
                    let (block, rest) = left.split_first_chunk::<2>()?;
                    left = rest;
                    let [[a, b], [c, d]] = block.map(u16::to_le_bytes);
                    f(channel, at, [a, b, c, d].map(|byte| byte as i8))?;
                }
                map <<= 1;
                at += BLOCK;
            }
        }
        self.leave(left);
        Some(())
    }
}

/// Plain loops, over bytes as they are.
#[cfg(any(not(niwaki_arm_dsp), feature = "kernel-check"))]
impl SparseIsa for Scalar {
    #[inline(always)]
    fn place_band(bands: &mut Bands, rows: &[&[i8]]) -> Option<()> {
        if rows.len() != 1 && rows.len() != PIXELS {
            return None;
        }
        let bytes: &mut [i8] = bytemuck::cast_slice_mut(&mut bands.words);
        for (band, row) in bytes.as_chunks_mut::<BAND>().0.iter_mut().zip(rows) {
            band.get_mut(..row.len())?.copy_from_slice(row);
        }
        Some(())
    }

    #[inline(always)]
    fn add_blocks(
        bands: &Bands,
        pixels: usize,
        cursor: &mut Cursor<'_>,
        bias: Option<&[i32]>,
        sums: &mut Sums,
    ) -> Option<()> {
        let bytes: &[i8] = bytemuck::cast_slice(&bands.words);
        let bands = bytes.as_chunks::<BAND>().0.get(..pixels)?;
        if let Some(bias) = bias {
            for sums in sums.as_chunks_mut::<GROUP>().0 {
                for (sum, &bias) in sums.iter_mut().zip(bias) {
                    *sum = bias;
                }
            }
        }
        let start = cursor.start;
        cursor.each_block(|channel, at, w| {
            let sums = sums.get_mut(channel..)?.iter_mut().step_by(GROUP);
            for (band, sum) in bands.iter().zip(sums) {
                let x = band.get(at - start..)?.first_chunk::<BLOCK>()?;
                *sum = (x.iter().zip(&w)).fold(*sum, |sum, (&x, &w)| {
                    sum.wrapping_add(i32::from(x) * i32::from(w))
                });
            }
            Some(())
        })
    }
}
