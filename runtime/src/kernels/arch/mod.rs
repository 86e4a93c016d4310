//! Sums of products on each instruction set, and all of the project's unsafe code.
//!
//! An instruction set is one file here and one arm of [`run`]. It knows no operator: kernels are
//! generic over [`Isa`], and every `Isa` gives the bits of [`scalar::Scalar`], because sums of int8
//! products in i32 that wrap have the same value in any order.

#[cfg(niwaki_arm_dsp)]
mod arm_dsp;
#[cfg(niwaki_arm_dsp)]
mod arm_sparse;
#[cfg(feature = "kernel-check")]
pub(crate) mod check;
#[cfg(niwaki_mve)]
mod mve;
#[cfg(all(niwaki_tiles, target_arch = "aarch64"))]
mod neon;
mod scalar;
pub(crate) mod sparse;
#[cfg(niwaki_thumb1)]
mod thumb1;
#[cfg(niwaki_tiles)]
pub(crate) mod tiles;
#[cfg(all(niwaki_tiles, target_arch = "wasm32"))]
mod wasm_simd;
#[cfg(all(niwaki_tiles, target_arch = "wasm32"))]
pub(crate) use wasm_simd::affine_pairs;
#[cfg(all(niwaki_tiles, target_arch = "x86_64"))]
mod x86;

use core::ops::Range;

#[cfg(all(niwaki_tiles, target_arch = "aarch64"))]
pub(crate) use neon::Set;
#[cfg(all(niwaki_tiles, target_arch = "x86_64"))]
pub(crate) use x86::Set;

use super::filters::Filters;
use crate::numerics::OutputStage;

/// Words that windows are brought together in. On microcontrollers every byte of it is a byte of the
/// arena; elsewhere most windows fit whole.
///
/// 144 of them are 144 elements of two pixels in 16 bits: the whole windows of 3x3 over 16 channels, and
/// a half or a fourth of those over 32 or 64. Of bytes, as MVE takes them, it is twice that. 288 would
/// take 1 % fewer instructions of ic01.
///
/// A Cortex-M0 widens to words, of four pixels: 160 are 40 elements of each, and the first layer of a
/// keyword spotter.
///
/// Where there are tiles (`blocks.rs`), hardly anything comes here.
const WORDS: usize = if cfg!(niwaki_thumb1) {
    160
} else if cfg!(target_os = "none") {
    144
} else if cfg!(niwaki_tiles) {
    72
} else {
    4096
};

/// Sums that are held at once: of two pixels, those of 64 channels. Of more channels the windows that do
/// not fit are brought together again.
pub(crate) const SUMS: usize = if cfg!(target_os = "none") {
    128
} else if cfg!(niwaki_tiles) {
    64
} else {
    512
};

/// What kernels write before they read it. Made once for all bands of an operator's run, as it takes
/// time to fill it.
#[derive(Clone, Copy)]
#[repr(C)]
pub(crate) struct Workspace {
    pub(crate) windows: Windows,
    pub(crate) sums: [i32; SUMS],
    pub(crate) gathered: Gathered,
}

/// Elements of a window whose runs an instruction set cannot place, at most so many at a time.
pub(crate) const GATHERED: usize = 40;

/// Those elements, of some pixels.
pub(crate) type Gathered = [[i8; GATHERED]; PIXELS];

#[allow(unsafe_code, reason = "what bytes are is said to the compiler")]
// SAFETY: zeros are numbers.
unsafe impl bytemuck::Zeroable for Workspace {}

#[allow(unsafe_code, reason = "what bytes are is said to the compiler")]
// SAFETY: it has numbers of 32 and 8 bits and nothing between or behind them, as the line below says;
// any bytes are such numbers, and of such numbers every byte may be read.
unsafe impl bytemuck::Pod for Workspace {}

const _: () = assert!(size_of::<Workspace>() == (WORDS + SUMS) * 4 + GATHERED * PIXELS);

/// Pixels whose windows are multiplied together: each weight that is read serves all of them.
pub(crate) const PIXELS: usize = if cfg!(niwaki_thumb1) { 4 } else { 2 };

/// The windows of some pixels, or a piece of each, in the form that an instruction set multiplies.
#[derive(Clone, Copy)]
#[repr(C)]
#[cfg_attr(not(target_os = "none"), repr(align(8)))]
pub(crate) struct Windows {
    words: [u32; WORDS],
}

impl Windows {
    /// Elements of each window that are held at once, a multiple of four.
    #[inline(always)]
    pub(crate) fn piece<I: Isa>(pixels: usize) -> Option<usize> {
        Some((WORDS * size_of::<u32>()).checked_div(I::ELEMENT * pixels)? & !3)
    }
}

/// For instruction sets that hold windows as they are.
impl Windows {
    /// Room for the int8 windows of so many pixels.
    #[inline(always)]
    fn bytes_mut(&mut self, pixels: usize) -> core::slice::ChunksExactMut<'_, i8> {
        let bytes = bytemuck::cast_slice_mut(&mut self.words);
        bytes.chunks_exact_mut((WORDS * size_of::<u32>() / pixels.max(1)) & !3)
    }

    /// Those windows.
    #[inline(always)]
    fn bytes(&self, pixels: usize) -> core::slice::ChunksExact<'_, i8> {
        let bytes = bytemuck::cast_slice(&self.words);
        bytes.chunks_exact((WORDS * size_of::<u32>() / pixels.max(1)) & !3)
    }

    /// Copies runs of input to element `at` of each window.
    #[inline(always)]
    fn place(&mut self, at: usize, runs: &[&[i8]]) -> Option<()> {
        for (window, run) in self.bytes_mut(runs.len()).zip(runs) {
            let to = window.get_mut(at..)?.get_mut(..run.len())?;
            to.copy_from_slice(run);
        }
        Some(())
    }
}

/// The taps of a depthwise window: `rows` x `columns` vectors of channels.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Taps2d {
    pub(crate) rows: usize,
    pub(crate) columns: usize,
    /// Elements of input from a row to the next, and from a column to the next.
    pub(crate) x_stride: [usize; 2],
    /// The same for the weights.
    pub(crate) w_stride: [usize; 2],
}

/// For kernels that work with pointers.
#[cfg(any(niwaki_arm_dsp, niwaki_mve))]
impl Taps2d {
    /// Elements from the first of the first tap to the end of the last, for so many channels.
    #[inline(always)]
    fn reach(&self, [row, column]: [usize; 2], channels: usize) -> Option<usize> {
        let (Some(rows), Some(columns)) = (self.rows.checked_sub(1), self.columns.checked_sub(1))
        else {
            return Some(0);
        };
        let down = rows.checked_mul(row)?;
        let along = columns.checked_mul(column)?;
        down.checked_add(along)?.checked_add(channels)
    }

    /// Whether all taps lie inside slices of these lengths.
    #[inline(always)]
    fn fit(&self, channels: usize, x: usize, w: usize) -> bool {
        self.reach(self.x_stride, channels)
            .is_some_and(|reach| reach <= x)
            && self
                .reach(self.w_stride, channels)
                .is_some_and(|reach| reach <= w)
    }
}

/// An instruction set.
pub(crate) trait Isa {
    /// Bytes of an element in [`Windows`].
    const ELEMENT: usize;

    /// Where a run may begin in a window: at multiples of that, a power of two up to 4.
    const ALIGN: u32 = 1;

    /// Copies runs of input, all of one length, to element `at` of the windows of as many pixels;
    /// some elements behind them may change. `None` when they do not fit.
    fn place(windows: &mut Windows, at: usize, runs: &[&[i8]]) -> Option<()>;

    /// Whether each window is on its own in memory, so that [`Isa::place_run`] takes one at a time.
    const APART: bool = false;

    /// Copies a run of input to element `at` of the window of one of `pixels` pixels. `None` when it
    /// does not fit, or windows are not apart.
    #[inline(always)]
    fn place_run(
        _windows: &mut Windows,
        _pixels: usize,
        _pixel: usize,
        _at: usize,
        _run: &[i8],
    ) -> Option<()> {
        None
    }

    /// Sets the sums of `pixels` pixels to the bias.
    #[inline(always)]
    fn begin(bias: &[i32], pixels: usize, sums: &mut [i32; SUMS]) -> Option<()> {
        for sums in sums.chunks_exact_mut(SUMS.checked_div(pixels)?) {
            sums.get_mut(..bias.len())?.copy_from_slice(bias);
        }
        Some(())
    }

    /// Adds the products of the windows of `pixels` pixels, of which the elements `piece` are there,
    /// and the weights of some channels. The sums of a pixel are [`SUMS`]` / pixels` apart; those
    /// behind the last channel may change. `None` when something is shorter than that needs.
    fn products(
        windows: &Windows,
        pixels: usize,
        filters: &Filters<'_>,
        channels: Range<usize>,
        piece: Range<usize>,
        sums: &mut [i32; SUMS],
    ) -> Option<()>;

    /// Computes all channels of rows of input, `filters.len` elements each, one behind the other. `None`,
    /// with nothing or something written, where the instruction set does not take them as they are.
    #[inline(always)]
    fn rows(
        _filters: &Filters<'_>,
        _sums: &mut [i32; SUMS],
        _x: &[i8],
        _y: &mut [i8],
    ) -> Option<()> {
        None
    }

    /// Adds to `sums[c]` the products of input and weights at channel `c` of every tap. `None` when
    /// a tap leaves its slice.
    fn depthwise(taps: &Taps2d, x: &[i8], w: &[i8], sums: &mut [i32]) -> Option<()>;

    /// Whether there is [`Isa::depthwise_row`].
    const ROWS: bool = false;

    /// Computes pixels of a row whose taps are alike, from the first one's bias to its outputs. The input
    /// of each begins `step` behind that of the one before. `None` when a tap leaves its slice.
    #[inline(always)]
    fn depthwise_row(
        _taps: &Taps2d,
        _x: &[i8],
        _step: usize,
        _filters: &Filters<'_>,
        _sums: &mut [i32; SUMS],
        _y: &mut [i8],
    ) -> Option<()> {
        None
    }

    /// [`OutputStage::requantize`] of each sum, for multipliers that are finite, as the check at load
    /// wants them. `None` when the lengths differ.
    #[inline(always)]
    fn requantize(
        stage: &OutputStage,
        sums: &[i32],
        multipliers: &[f32],
        y: &mut [i8],
    ) -> Option<()> {
        if sums.len() != y.len() || multipliers.len() != y.len() {
            return None;
        }
        // A copy, which stays in registers: the outputs that are written cannot be in it.
        let stage = *stage;
        for ((y, &sum), &multiplier) in y.iter_mut().zip(sums).zip(multipliers) {
            *y = stage.requantize(sum, multiplier);
        }
        Some(())
    }
}

/// An instruction set that multiplies weights stored as `W`.
pub(crate) trait Multiplies<W>: Isa {
    /// [`Isa::products`] with such weights. `None` also when the piece does not begin at a multiple
    /// of four.
    fn products(
        windows: &Windows,
        pixels: usize,
        filters: &Filters<'_, W>,
        channels: Range<usize>,
        piece: Range<usize>,
        sums: &mut [i32; SUMS],
    ) -> Option<()>;

    /// [`Isa::rows`] with such weights.
    #[inline(always)]
    fn rows(
        _filters: &Filters<'_, W>,
        _sums: &mut [i32; SUMS],
        _x: &[i8],
        _y: &mut [i8],
    ) -> Option<()> {
        None
    }
}

impl<I: Isa> Multiplies<i8> for I {
    #[inline(always)]
    fn rows(filters: &Filters<'_>, sums: &mut [i32; SUMS], x: &[i8], y: &mut [i8]) -> Option<()> {
        <I as Isa>::rows(filters, sums, x, y)
    }

    #[inline(always)]
    fn products(
        windows: &Windows,
        pixels: usize,
        filters: &Filters<'_>,
        channels: Range<usize>,
        piece: Range<usize>,
        sums: &mut [i32; SUMS],
    ) -> Option<()> {
        <I as Isa>::products(windows, pixels, filters, channels, piece, sums)
    }
}

/// How weights of rows are stored.
pub(crate) trait Weight: bytemuck::AnyBitPattern {
    /// The rows of so many channels with `len` weights each, as rows and elements of one.
    fn shape(channels: u32, len: u32) -> [u32; 2];

    /// Whether what fills up the rows of `len` weights is zero, so that it may be multiplied.
    fn are_filled_up(_rows: &[Self], _len: u32) -> bool {
        true
    }

    /// Does a job on the best instruction set for such weights that this machine has.
    fn run(job: impl Job<Self>) -> Option<()>;

    /// The weights, where they are what [`tiles`] are made of.
    #[cfg(niwaki_tiles)]
    fn as_int8(_weights: &[Self]) -> Option<&[i8]> {
        None
    }

    /// One weight of rows with `len` each.
    #[cfg(niwaki_tiles)]
    fn at(weights: &[Self], len: usize, channel: usize, element: usize) -> Option<i8>;
}

impl Weight for i8 {
    #[inline(always)]
    fn shape(channels: u32, len: u32) -> [u32; 2] {
        [channels, len]
    }

    #[inline(always)]
    fn run(job: impl Job) -> Option<()> {
        run(job)
    }

    #[cfg(niwaki_tiles)]
    fn as_int8(weights: &[Self]) -> Option<&[i8]> {
        Some(weights)
    }

    #[cfg(niwaki_tiles)]
    fn at(weights: &[Self], len: usize, channel: usize, element: usize) -> Option<i8> {
        weights.get(channel * len + element).copied()
    }
}

/// Four weights of each of two channels in 16 bits, in the order that SMLAD takes beside
/// [`arm_dsp`]'s windows: elements 0, 2, 1, 3 of the first channel, then of the second.
///
/// Rows and channels are filled up with zeros. Words, so that they are aligned for LDM.
pub(crate) type Wide = [u32; 4];

impl Weight for Wide {
    #[inline(always)]
    fn shape(channels: u32, len: u32) -> [u32; 2] {
        [channels.div_ceil(2), len.div_ceil(4)]
    }

    #[inline(always)]
    fn are_filled_up(rows: &[Self], len: u32) -> bool {
        const HIGH: u32 = 0xffff_0000;
        // What is no weight in the first word of a channel, elements 0 and 2, and in the second.
        let fill = match len % 4 {
            0 => [0; 2],
            1 => [HIGH, !0],
            2 => [HIGH; 2],
            _ => [0, HIGH],
        };
        let mut rows = rows.chunks_exact((len.div_ceil(4) as usize).max(1));
        rows.all(|row| {
            let [a, b, c, d] = row.last().copied().unwrap_or_default();
            ((a | c) & fill[0]) | ((b | d) & fill[1]) == 0
        })
    }

    /// They are made for one instruction set; all others take them as they come.
    #[inline(always)]
    fn run(job: impl Job<Self>) -> Option<()> {
        #[cfg(niwaki_arm_dsp)]
        return job.on::<arm_dsp::ArmDsp>();
        #[cfg(not(niwaki_arm_dsp))]
        job.on::<scalar::Scalar>()
    }

    #[cfg(niwaki_tiles)]
    fn at(weights: &[Self], len: usize, channel: usize, element: usize) -> Option<i8> {
        let four = weights.get(channel / 2 * len.div_ceil(4) + element / 4)?;
        // Of each channel elements 0 and 2, then 1 and 3.
        let pair = four.get(channel % 2 * 2 + element % 2)?;
        Some((pair >> (element % 4 / 2 * 16)) as i8)
    }
}

/// Work that is generic over the instruction set, with weights stored as `W`.
pub(crate) trait Job<W = i8> {
    /// Does it. To be `#[inline(always)]`, so that it is compiled for the instruction set that
    /// calls it.
    fn on<I: Multiplies<W>>(self) -> Option<()>;
}

/// Does the job on the best instruction set that this machine has.
#[inline(always)]
pub(crate) fn run(job: impl Job) -> Option<()> {
    #[cfg(niwaki_arm_dsp)]
    return job.on::<arm_dsp::ArmDsp>();
    #[cfg(all(niwaki_tiles, target_arch = "x86_64"))]
    return x86::run(job);
    #[cfg(niwaki_mve)]
    return job.on::<mve::Mve>();
    #[cfg(niwaki_thumb1)]
    return job.on::<thumb1::Thumb1>();
    #[cfg(not(any(
        niwaki_arm_dsp,
        niwaki_mve,
        niwaki_thumb1,
        all(niwaki_tiles, target_arch = "x86_64")
    )))]
    job.on::<scalar::Scalar>()
}

/// Does the work on the best instruction set with tiles that this machine has.
#[cfg(niwaki_tiles)]
#[inline(always)]
pub(crate) fn run_tiles(work: impl tiles::Work) -> Option<()> {
    #[cfg(not(target_arch = "wasm32"))]
    return Set::best()?.run(work);
    #[cfg(target_arch = "wasm32")]
    wasm_simd::run(work)
}

/// The same of a convolution whose dense weights are these, if it has such.
#[cfg(niwaki_tiles)]
#[inline(always)]
pub(crate) fn run_conv_tiles(work: impl tiles::Work, _weights: Option<&[i8]>) -> Option<()> {
    #[cfg(all(target_arch = "wasm32", niwaki_relaxed))]
    if _weights.is_some_and(wasm_simd::suit_relaxed) {
        return wasm_simd::run_relaxed(work);
    }
    run_tiles(work)
}

#[cfg(all(test, niwaki_tiles, not(target_arch = "wasm32")))]
std::thread_local! {
    /// What [`Set::best`] gives to this test: a set, or none.
    pub(crate) static FORCED: core::cell::Cell<Option<Option<Set>>> =
        const { core::cell::Cell::new(None) };
}
