//! Tiles of sums: some pixels by some vectors of output channels, in registers.
//!
//! Input is brought, once for each element, into rows of *words* of 32 bits: [`Lanes::TAPS`] elements
//! that are multiplied and summed by one instruction. Weights are brought together in vectors that
//! hold one word of each of [`Lanes::LANES`] channels. So no sum has to be taken across a vector,
//! and every vector of weights serves all pixels of a tile.

use core::mem::MaybeUninit;
use core::ops::Range;

use super::super::filters::Filters;
use crate::numerics::OutputStage;

/// Bytes that may be read behind the last word of a window.
const SLACK: usize = 16;

/// An instruction set that has vectors of sums.
///
/// # Safety
///
/// Nothing is asked of who implements it. All functions that are unsafe want the instruction set to
/// be there, which [`run`](super::run_tiles) sees to, and their pointers to be as they say.
pub(crate) trait Lanes {
    /// As many i32, f32 or words as there are lanes.
    type V: Copy;

    /// Channels in a vector.
    const LANES: usize;

    /// Elements in a word: 4 int8 or 2 int16.
    const TAPS: usize;

    /// Elements that [`Lanes::direct`] takes.
    const STEP: usize;

    /// Whether there are registers for 8 pixels by 2 vectors, and not for 4 by 2.
    const WIDE: bool;

    /// Whether to look for each vector, and not for all of a tile, if it has all its channels: a little
    /// slower, and half the code.
    const COMPACT: bool;

    /// What the elements of windows are larger than those of the input.
    const EXCESS: i32;

    /// What [`Lanes::direct`] takes weights to be larger than they are.
    const DIRECT_EXCESS: i32;

    /// The same word or i32 in each lane.
    unsafe fn all(value: u32) -> Self::V;

    /// Reads a word for each lane.
    unsafe fn load(from: *const u32) -> Self::V;

    /// Reads one word, from any address, for all lanes.
    unsafe fn splat(from: *const u32) -> Self::V;

    /// Writes the lanes.
    unsafe fn store(value: Self::V, to: *mut u32);

    /// Adds the products of the elements of each lane.
    unsafe fn dot(sums: Self::V, x: Self::V, w: Self::V) -> Self::V;

    /// Reads an int8 for each lane, as i32.
    unsafe fn bytes(from: *const i8) -> Self::V;

    /// Moves the elements of each word down by one and puts a new one, an int8 as i32, on top.
    unsafe fn push(words: Self::V, bytes: Self::V) -> Self::V;

    /// Words of input as they are in windows.
    unsafe fn flip(words: Self::V) -> Self::V;

    /// A word under which [`Lanes::dot`] gives the total of weights that [`Lanes::correct`] wants.
    const ONES: u32 = 0x0101_0101;

    /// Sums less `total` x [`Lanes::EXCESS`].
    unsafe fn correct(sums: Self::V, total: Self::V) -> Self::V;

    /// [`OutputStage::requantize`] of all lanes; writes as many int8.
    unsafe fn requantize(sums: Self::V, multipliers: Self::V, stage: &OutputStage, to: *mut i8);

    /// The same of the first `count` lanes.
    #[inline(always)]
    unsafe fn requantize_some(
        sums: Self::V,
        multipliers: Self::V,
        stage: &OutputStage,
        to: *mut i8,
        count: usize,
    ) {
        let mut all = [0i8; 16];
        // SAFETY: no vector has more lanes than there are bytes here.
        unsafe { Self::requantize(sums, multipliers, stage, all.as_mut_ptr()) };
        for (lane, &y) in all.iter().take(count).enumerate() {
            // SAFETY: the caller has room for so many.
            unsafe { to.wrapping_add(lane).write(y) };
        }
    }

    /// Reads 4 words of each row and writes them word by word, `pitch` apart.
    unsafe fn transpose(rows: [*const i8; 4], to: *mut u32, pitch: usize);

    /// Adds the products of [`Lanes::STEP`] elements to any lanes.
    unsafe fn direct(sums: Self::V, x: *const i8, w: *const i8) -> Self::V;

    /// Adds lane by lane.
    unsafe fn add(a: Self::V, b: Self::V) -> Self::V;

    /// The sums of products of `len` elements and of each of `rows` rows of weights, for so many lanes:
    /// one at least and no more than there are. Each weight counts [`Lanes::DIRECT_EXCESS`] more.
    unsafe fn rows(x: *const i8, w: *const i8, len: usize, rows: usize) -> Self::V;

    /// The sums of the lanes.
    unsafe fn totals(sums: [Self::V; 4]) -> [i32; 4];

    /// An element of a window, in the low bits.
    fn element(x: i8) -> u32;

    /// What stands for a weight in a word, in the low bits.
    #[inline(always)]
    fn weight(w: i8) -> u32 {
        i32::from(w).cast_unsigned()
    }

    /// Input as elements of windows.
    fn convert(from: &[i8], to: &mut [u8]);
}

/// Memory that is not written before it is needed.
pub(crate) struct Words<const N: usize>([MaybeUninit<u32>; N]);

impl<const N: usize> Words<N> {
    /// That many words.
    #[inline(always)]
    pub(crate) fn new() -> Self {
        Self([MaybeUninit::uninit(); N])
    }

    /// All of them.
    #[inline(always)]
    pub(crate) fn all(&mut self) -> Room<'_> {
        Room(&mut self.0)
    }
}

/// Some of that memory.
pub(crate) struct Room<'r>(&'r mut [MaybeUninit<u32>]);

impl<'r> Room<'r> {
    /// How many words are left.
    #[inline(always)]
    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    /// Takes some words, all zero.
    #[inline(always)]
    pub(crate) fn take(&mut self, words: usize) -> Option<&'r mut [u32]> {
        let (taken, rest) = core::mem::take(&mut self.0).split_at_mut_checked(words)?;
        self.0 = rest;
        // SAFETY: the reference is to that many words, and zeros are words.
        unsafe { taken.as_mut_ptr().write_bytes(0, words) };
        let taken: *mut [MaybeUninit<u32>] = taken;
        // SAFETY: all of them have been written just now, and nobody else has the reference.
        Some(unsafe { &mut *(taken as *mut [u32]) })
    }
}

/// Bytes that [`Copied`] has room for.
pub(crate) const COPIED: usize = 48 << 10;

/// A copy of bytes, on the stack, without a first look at the memory.
pub(crate) struct Copied([MaybeUninit<u32>; COPIED / 4]);

impl Copied {
    /// Room for [`COPIED`] bytes.
    #[inline(always)]
    pub(crate) fn new() -> Self {
        Self([MaybeUninit::uninit(); COPIED / 4])
    }

    /// Copies; `None` when there is no room.
    #[inline(always)]
    pub(crate) fn copy(&mut self, bytes: &[u8]) -> Option<&[u8]> {
        if bytes.len() > COPIED {
            return None;
        }
        let to: *mut u8 = self.0.as_mut_ptr().cast();
        // SAFETY: both are of that many bytes, and a new buffer shares none with another slice.
        unsafe { to.copy_from_nonoverlapping(bytes.as_ptr(), bytes.len()) };
        // SAFETY: these bytes have been written just now.
        Some(unsafe { core::slice::from_raw_parts(to, bytes.len()) })
    }
}

/// The words of a window: `rows` x `columns` runs.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Runs {
    pub(crate) rows: usize,
    pub(crate) columns: usize,
    /// Words of a run.
    pub(crate) words: usize,
    /// Bytes from a row to the next.
    pub(crate) row_step: usize,
    /// Bytes from a column to the next.
    pub(crate) column_step: usize,
}

impl Runs {
    /// All words.
    pub(crate) fn len(&self) -> usize {
        self.rows * self.columns * self.words
    }

    /// Bytes from the first to behind the last, where each word is read for `lanes` lanes.
    fn reach(&self, lanes: usize) -> Option<usize> {
        let down = self.rows.checked_sub(1)?.checked_mul(self.row_step)?;
        let along = (self.columns.checked_sub(1)?).checked_mul(self.column_step)?;
        let words = self.words.checked_add(lanes)?.checked_sub(1)?;
        down.checked_add(along)?.checked_add(words.checked_mul(4)?)
    }
}

/// Where windows begin, pixel by pixel, and where their outputs go.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Pixels {
    /// Rows and columns of pixels.
    pub(crate) rows: usize,
    pub(crate) columns: usize,
    /// Bytes of windows from a row to the next, and from a column to the next.
    pub(crate) x_step: [usize; 2],
    /// Outputs from a row to the next, and from a column to the next.
    pub(crate) y_step: [usize; 2],
}

/// Weights of some vectors of channels, as tiles read them: for each vector biases, multipliers, and
/// its weights word by word.
pub(crate) struct Packed<'p> {
    words: &'p mut [u32],
    runs: usize,
}

/// Words of a vector of channels in [`Packed`].
pub(crate) fn packed_words<I: Lanes>(runs: &Runs) -> usize {
    (runs.len() + 2) * I::LANES
}

impl<'p> Packed<'p> {
    /// Biases and multipliers of the first vectors; weights are still to come.
    #[inline(always)]
    fn begin<I: Lanes>(
        words: &'p mut [u32],
        runs: &Runs,
        filters: &Filters<'_>,
        channels: Range<usize>,
    ) -> Option<Self> {
        let bias = filters.bias.get(channels.clone())?;
        let multipliers = filters.multipliers.get(channels)?;
        let both = bias.chunks(I::LANES).zip(multipliers.chunks(I::LANES));
        let size = packed_words::<I>(runs);
        if words.len() != size * bias.len().div_ceil(I::LANES) {
            return None;
        }
        for (group, (bias, multipliers)) in words.chunks_exact_mut(size).zip(both) {
            let (to_bias, rest) = group.split_at_mut_checked(I::LANES)?;
            for (to, &bias) in to_bias.iter_mut().zip(bias) {
                *to = bias.cast_unsigned();
            }
            for (to, multiplier) in rest.iter_mut().zip(multipliers) {
                *to = multiplier.to_bits();
            }
        }
        let runs = runs.len();
        Some(Self { words, runs })
    }

    /// Takes out of the biases what the windows' excess gives.
    #[inline(always)]
    fn end<I: Lanes>(self) -> Self {
        if I::EXCESS != 0 {
            for group in self.words.chunks_exact_mut((self.runs + 2) * I::LANES) {
                // SAFETY: see `Lanes`.
                let mut total = unsafe { I::all(0) };
                // SAFETY: see `Lanes`.
                let ones = unsafe { I::all(I::ONES) };
                for words in group.chunks_exact(I::LANES).skip(2) {
                    // SAFETY: the slice has a word for each lane.
                    let w = unsafe { I::load(words.as_ptr()) };
                    // SAFETY: see `Lanes`.
                    total = unsafe { I::dot(total, ones, w) };
                }
                let at = group.as_mut_ptr();
                // SAFETY: the group begins with a bias for each lane.
                let bias = unsafe { I::load(at) };
                // SAFETY: see `Lanes`.
                let bias = unsafe { I::correct(bias, total) };
                // SAFETY: as above.
                unsafe { I::store(bias, at) };
            }
        }
        self
    }

    /// Weights that `fill` puts into the words, which have to be zero.
    #[inline(always)]
    pub(crate) fn of_words<I: Lanes>(
        words: &'p mut [u32],
        runs: &Runs,
        filters: &Filters<'_>,
        channels: Range<usize>,
        fill: impl FnOnce(&mut [u32]) -> Option<()>,
    ) -> Option<Self> {
        let packed = Self::begin::<I>(words, runs, filters, channels)?;
        fill(packed.words)?;
        Some(packed.end::<I>())
    }

    /// Weights `[channels][runs][run]` of some channels, where a run is less than a word shorter than
    /// its words. The words have to be zero.
    #[inline(always)]
    pub(crate) fn of_rows<I: Lanes>(
        words: &'p mut [u32],
        runs: &Runs,
        filters: &Filters<'_>,
        channels: Range<usize>,
    ) -> Option<Self> {
        let packed = Self::begin::<I>(words, runs, filters, channels.clone())?;
        let count = runs.rows * runs.columns;
        let run = filters.len.checked_div(count)?;
        let weights =
            (filters.weights).get(channels.start * filters.len..channels.end * filters.len)?;
        if run > runs.words * I::TAPS || run * count != filters.len {
            return None;
        }
        let size = packed_words::<I>(runs);
        // Runs without rests are one.
        let (count, run, run_words) = if run == runs.words * I::TAPS {
            (1, filters.len, runs.len())
        } else {
            (count, run, runs.words)
        };
        // Words of a run that can be moved four at a time.
        let whole = run / (4 * I::TAPS) * 4;
        let groups = packed.words.chunks_exact_mut(size);
        for (group, rows) in groups.zip(weights.chunks((filters.len * I::LANES).max(1))) {
            let group = group.get_mut(2 * I::LANES..)?;
            let fours = rows.chunks((filters.len * 4).max(1));
            for (four, rows) in fours.enumerate() {
                let is_whole = rows.len() == filters.len * 4;
                let start = if is_whole { whole } else { 0 };
                for index in 0..count {
                    let to = index * run_words * I::LANES + four * 4;
                    if is_whole {
                        for word in (0..whole).step_by(4) {
                            let from = index * run + word * I::TAPS;
                            let last = from + 3 * filters.len + 4 * I::TAPS;
                            let end = to + (word + 3) * I::LANES + 4;
                            if last > rows.len() || end > group.len() {
                                return None;
                            }
                            let at = rows.as_ptr().wrapping_add(from);
                            let rows = [
                                at,
                                at.wrapping_add(filters.len),
                                at.wrapping_add(2 * filters.len),
                                at.wrapping_add(3 * filters.len),
                            ];
                            let to = group.as_mut_ptr().wrapping_add(to + word * I::LANES);
                            // SAFETY: the comparison has shown that the last row's words are there,
                            // and room for the last word's lanes.
                            unsafe { I::transpose(rows, to, I::LANES) };
                        }
                    }
                    let rows = rows.chunks_exact(filters.len.max(1));
                    for (lane, row) in rows.enumerate() {
                        let row = row.get(index * run..(index + 1) * run)?;
                        let left = row.get(start * I::TAPS..)?.chunks(I::TAPS);
                        for (word, elements) in (start..).zip(left) {
                            *group.get_mut(to + word * I::LANES + lane)? = word_of::<I>(elements);
                        }
                    }
                }
            }
        }
        Some(packed.end::<I>())
    }

    /// Depthwise weights `[rows][columns][channels]`, `per` columns to a word.
    #[inline(always)]
    pub(crate) fn of_taps<I: Lanes>(
        words: &'p mut [u32],
        runs: &Runs,
        filters: &Filters<'_>,
        [columns, per]: [usize; 2],
        channels: Range<usize>,
    ) -> Option<Self> {
        let packed = Self::begin::<I>(words, runs, filters, channels.clone())?;
        let all = filters.bias.len();
        let size = packed_words::<I>(runs);
        for (index, group) in packed.words.chunks_exact_mut(size).enumerate() {
            let first = channels.start + index * I::LANES;
            let count = I::LANES.min(channels.end.checked_sub(first)?);
            let mut to = group.chunks_exact_mut(I::LANES).skip(2);
            for row in 0..runs.rows {
                for word in 0..runs.columns {
                    // SAFETY: see `Lanes`.
                    let mut taps = unsafe { I::all(0) };
                    for tap in 0..I::TAPS {
                        let column = word * per + tap;
                        let weights = if tap < per && column < columns {
                            let at = (row * columns + column) * all + first;
                            filters.weights.get(at..)?.get(..count)?
                        } else {
                            &[]
                        };
                        taps = push_some::<I>(taps, weights, 0);
                    }
                    // SAFETY: the slice has a word for each lane.
                    unsafe { I::store(taps, to.next()?.as_mut_ptr()) };
                }
            }
        }
        Some(packed.end::<I>())
    }
}

/// Weights as a word.
#[inline(always)]
fn word_of<I: Lanes>(elements: &[i8]) -> u32 {
    if I::TAPS == 4
        && let Some(&[a, b, c, d]) = elements.first_chunk::<4>()
    {
        return u32::from_le_bytes([a, b, c, d].map(i8::cast_unsigned));
    }
    let bits = 32 / I::TAPS as u32;
    let mask = u32::MAX >> (32 - bits);
    elements
        .iter()
        .rev()
        .fold(0, |word, &w| word.unbounded_shl(bits) | I::weight(w) & mask)
}

/// [`Lanes::push`] of as many int8 as there are, and `fill` for other lanes.
#[inline(always)]
fn push_some<I: Lanes>(words: I::V, bytes: &[i8], fill: i8) -> I::V {
    let new = if bytes.len() >= I::LANES {
        // SAFETY: the slice has an int8 for each lane.
        unsafe { I::bytes(bytes.as_ptr()) }
    } else if bytes.is_empty() {
        // SAFETY: see `Lanes`.
        unsafe { I::all(i32::from(fill).cast_unsigned()) }
    } else {
        let mut all = [fill; 16];
        for (to, &from) in all.iter_mut().zip(bytes) {
            *to = from;
        }
        // SAFETY: no vector has more lanes than there are bytes here.
        unsafe { I::bytes(all.as_ptr()) }
    };
    // SAFETY: see `Lanes`.
    unsafe { I::push(words, new) }
}

/// A row of input under depthwise windows.
pub(crate) struct Line<'x> {
    /// Input from the first column on, of the first channel.
    pub(crate) x: &'x [i8],
    /// Columns that lie on the input.
    pub(crate) on: Range<usize>,
    /// Elements from a column to the next.
    pub(crate) channels: usize,
    /// What stands for padding.
    pub(crate) zero_point: i8,
}

impl Line<'_> {
    /// [`Lanes::push`] of a column. Of channels behind the last one, sums are computed and left.
    #[inline(always)]
    fn push<I: Lanes>(&self, words: I::V, column: usize) -> I::V {
        let bytes = if self.on.contains(&column) {
            let at = (column - self.on.start) * self.channels;
            self.x.get(at..).unwrap_or_default()
        } else {
            &[]
        };
        push_some::<I>(words, bytes, self.zero_point)
    }
}

/// Writes a row of depthwise windows: at column c the elements of columns c, c + 1, ... as a word, for
/// each lane; with `per` = 1 those of column c alone.
#[inline(always)]
pub(crate) fn slide<I: Lanes>(
    to: &mut [u32],
    pitch: usize,
    columns: usize,
    per: usize,
    line: &Line<'_>,
) -> Option<()> {
    // SAFETY: see `Lanes`.
    let zero = unsafe { I::all(0) };
    let mut words = zero;
    // What is ahead of the column that is written, and the columns ahead of which there is input.
    let ahead = if per > 1 { I::TAPS - 1 } else { 0 };
    let middle = line.on.start.saturating_sub(ahead)..line.on.end.saturating_sub(ahead);
    for column in 0..ahead {
        words = line.push::<I>(words, column);
    }
    let is_there = |columns: &Range<usize>| {
        let last_x = (columns.len() - 1) * line.channels + I::LANES;
        let last_to = (columns.end - 1) * pitch + I::LANES;
        let skipped = (columns.start + ahead).checked_sub(line.on.start);
        let first = skipped.and_then(|skipped| skipped.checked_mul(line.channels));
        first.filter(|first| first + last_x <= line.x.len() && last_to <= to.len())
    };
    let first = (per > 1 && !middle.is_empty())
        .then(|| is_there(&middle))
        .flatten();
    let mut column = 0;
    while column < columns {
        if let Some(first) = first
            && column == middle.start
        {
            let mut x = line.x.as_ptr().wrapping_add(first);
            let mut at = to.as_mut_ptr().wrapping_add(column * pitch);
            for _ in middle.clone() {
                // SAFETY: `is_there` has compared the last of these reads with the slice.
                let new = unsafe { I::bytes(x) };
                // SAFETY: see `Lanes`.
                words = unsafe { I::push(words, new) };
                // SAFETY: see `Lanes`.
                let flipped = unsafe { I::flip(words) };
                // SAFETY: `is_there` has compared the last of these writes with the slice.
                unsafe { I::store(flipped, at) };
                x = x.wrapping_add(line.channels);
                at = at.wrapping_add(pitch);
            }
            column = middle.end;
            continue;
        }
        if per > 1 {
            // Columns behind the last are padding that no weight meets.
            words = line.push::<I>(words, column + ahead);
        } else {
            words = line.push::<I>(zero, column);
            for _ in 1..I::TAPS {
                words = push_some::<I>(words, &[], 0);
            }
        }
        let to = to.get_mut(column * pitch..)?.get_mut(..I::LANES)?;
        // SAFETY: see `Lanes`.
        let flipped = unsafe { I::flip(words) };
        // SAFETY: the slice has a word for each lane.
        unsafe { I::store(flipped, to.as_mut_ptr()) };
        column += 1;
    }
    Some(())
}

/// A tile of a number of pixels, of which each sum is a variable: an optimiser that has to take arrays
/// of them apart gives up, and keeps them in memory.
macro_rules! tile {
    ($name:ident, $pixels:literal, $($x:ident $a:ident $b:ident $y:ident),*) => {
        /// Outputs of windows under one vector of channels, or with `TWO` a second one. With `WHOLE`
        /// all channels of the last vector are there, otherwise `count` of them.
        ///
        /// # Safety
        ///
        /// The words of `runs` have to be there behind each pointer of `x`, for each lane unless
        /// `SPREAD`, their weights behind `w` and, with `TWO`,
        /// `distance` words behind it, and room for the outputs behind each of `y`; the
        /// instruction set too, see [`Lanes`].
        #[inline(always)]
        #[allow(
            clippy::too_many_arguments,
            reason = "all of them are registers of the loop"
        )]
        unsafe fn $name<I: Lanes, const TWO: bool, const SPREAD: bool, const WHOLE: bool>(
            [$($x),*]: [*const u8; $pixels],
            runs: &Runs,
            mut w: *const u32,
            distance: usize,
            [a, b]: [I::V; 2],
            [$($y),*]: [*mut i8; $pixels],
            [p, q]: [I::V; 2],
            stage: &OutputStage,
            count: usize,
        ) {
            $(let [mut $a, mut $b] = [a, b];)*
            for row in 0..runs.rows {
                for column in 0..runs.columns {
                    let at = row * runs.row_step + column * runs.column_step;
                    $(let mut $x = $x.wrapping_add(at);)*
                    // One counter for weights and words.
                    let end = w.wrapping_add(runs.words * I::LANES);
                    while w != end {
                        // SAFETY: the caller's.
                        let a = unsafe { I::load(w) };
                        // SAFETY: the caller's; a distance of 0 where there is one vector.
                        let b = unsafe { I::load(w.wrapping_add(distance)) };
                        w = w.wrapping_add(I::LANES);
                        $(
                            let from = $x.cast();
                            $x = $x.wrapping_add(4);
                            let x = if SPREAD {
                                // SAFETY: the caller's.
                                unsafe { I::splat(from) }
                            } else {
                                // SAFETY: the caller's.
                                unsafe { I::load(from) }
                            };
                            // SAFETY: the caller's.
                            $a = unsafe { I::dot($a, x, a) };
                            if TWO {
                                // SAFETY: the caller's.
                                $b = unsafe { I::dot($b, x, b) };
                            }
                        )*
                    }
                }
            }
            $(
                if TWO {
                    // SAFETY: the caller's.
                    unsafe { I::requantize($a, p, stage, $y) };
                }
                let (sums, factors, y) = if TWO {
                    ($b, q, $y.wrapping_add(I::LANES))
                } else {
                    ($a, p, $y)
                };
                if WHOLE || (I::COMPACT && count == I::LANES) {
                    // SAFETY: the caller's.
                    unsafe { I::requantize(sums, factors, stage, y) };
                } else {
                    // SAFETY: the caller's.
                    unsafe { I::requantize_some(sums, factors, stage, y, count) };
                }
            )*
        }
    };
}
tile!(tile_4, 4, x0 a0 b0 y0, x1 a1 b1 y1, x2 a2 b2 y2, x3 a3 b3 y3);
tile!(
    tile_8, 8, x0 a0 b0 y0, x1 a1 b1 y1, x2 a2 b2 y2, x3 a3 b3 y3, x4 a4 b4 y4, x5 a5 b5 y5,
    x6 a6 b6 y6, x7 a7 b7 y7
);

/// What tiles are computed of.
pub(crate) struct Sums<'s> {
    /// Words of windows, with [`SLACK`] behind.
    pub(crate) x: &'s [u32],
    pub(crate) runs: Runs,
    pub(crate) pixels: Pixels,
    pub(crate) packed: &'s Packed<'s>,
    pub(crate) stage: OutputStage,
    /// Channels that are packed.
    pub(crate) channels: usize,
    /// Byte of the first window.
    pub(crate) first: usize,
    /// Bytes of windows from a vector of channels to the next: 0 where all channels see the same.
    pub(crate) group_step: usize,
}

impl Sums<'_> {
    /// Computes all pixels; the first output of the first pixel is at the start of `y`.
    #[inline(always)]
    pub(crate) fn run<I: Lanes, const SPREAD: bool>(&self, y: &mut [i8]) -> Option<()> {
        let Self { runs, pixels, .. } = self;
        let size = packed_words::<I>(runs);
        let groups = self.channels.div_ceil(I::LANES);
        if self.packed.words.len() < groups * size || groups == 0 {
            return None;
        }
        let bytes: &[u8] = bytemuck::cast_slice(self.x);
        // What is behind the first byte of the last window, of the last vector of channels.
        let reach = runs.reach(if SPREAD { 1 } else { I::LANES })?;
        let behind = self.first + (groups - 1) * self.group_step + reach;
        let room = bytes.len().checked_sub(behind)?;
        let y_room = y.len().checked_sub(self.channels)?;
        let most = if I::WIDE { 8 } else { 4 };
        let [mut row, mut column] = [0, 0];
        let [mut row_from, mut row_to] = [0, 0];
        let mut left = pixels.rows * pixels.columns;
        while left > 0 {
            let now = left.min(most);
            left -= now;
            let mut windows = [self.first + row_from + column * pixels.x_step[1]; 8];
            let mut outputs = [row_to + column * pixels.y_step[1]; 8];
            if now == most && column + most <= pixels.columns {
                // All in one row, one step behind the other.
                let [from_step, to_step] = [pixels.x_step[1], pixels.y_step[1]];
                let both = windows.iter_mut().zip(&mut outputs).enumerate();
                for (index, (window, output)) in both {
                    *window += index * from_step;
                    *output += index * to_step;
                }
                column += most;
                let from = row_from + (column - 1) * from_step;
                if from > room || row_to + (column - 1) * to_step > y_room {
                    return None;
                }
                if column == pixels.columns {
                    [row, column] = [row + 1, 0];
                    row_from = row * pixels.x_step[0];
                    row_to = row * pixels.y_step[0];
                }
            } else {
                let mut last = (0, 0);
                let both = windows.iter_mut().zip(&mut outputs).take(most);
                for (index, (window, output)) in both.enumerate() {
                    if index < now {
                        let from = row_from + column * pixels.x_step[1];
                        let to = row_to + column * pixels.y_step[1];
                        if from > room || to > y_room {
                            return None;
                        }
                        last = (self.first + from, to);
                        column += 1;
                        if column == pixels.columns {
                            [row, column] = [row + 1, 0];
                            row_from = row * pixels.x_step[0];
                            row_to = row * pixels.y_step[0];
                        }
                    }
                    // Where there are no more, the last one again.
                    (*window, *output) = last;
                }
            }
            let mut x = bytes.as_ptr();
            let mut to = y.as_mut_ptr();
            let mut w = self.packed.words.as_ptr();
            let mut channels = self.channels;
            while channels > 0 {
                let both = SPREAD && channels > I::LANES;
                let lanes = if both { 2 } else { 1 } * I::LANES;
                let count = channels.min(lanes);
                // Of all windows, the last of the words has been compared with what is there for the
                // last vector of channels, and so have the outputs; there are `packed_words` for each
                // vector.
                match (both, count == lanes && !I::COMPACT) {
                    // SAFETY: as said above; for the instruction set see `Lanes`.
                    (true, true) => unsafe {
                        self.tile::<I, true, SPREAD, true>(x, windows, w, to, outputs, count);
                    },
                    // SAFETY: as above.
                    (true, false) => unsafe {
                        self.tile::<I, true, SPREAD, false>(x, windows, w, to, outputs, count);
                    },
                    // SAFETY: as above.
                    (false, true) => unsafe {
                        self.tile::<I, false, SPREAD, true>(x, windows, w, to, outputs, count);
                    },
                    // SAFETY: as above.
                    (false, false) => unsafe {
                        self.tile::<I, false, SPREAD, false>(x, windows, w, to, outputs, count);
                    },
                }
                x = x.wrapping_add(self.group_step);
                to = to.wrapping_add(lanes);
                w = w.wrapping_add(if both { 2 * size } else { size });
                channels -= count;
            }
        }
        Some(())
    }

    /// Some pixels under one or two vectors of channels.
    ///
    /// # Safety
    ///
    /// Those of the tiles: `x` with each of `windows` and `y` with each of `outputs` are where windows
    /// and outputs begin; at `w` are `packed_words` for each vector.
    #[inline(always)]
    unsafe fn tile<I: Lanes, const TWO: bool, const SPREAD: bool, const WHOLE: bool>(
        &self,
        x: *const u8,
        windows: [usize; 8],
        w: *const u32,
        y: *mut i8,
        outputs: [usize; 8],
        count: usize,
    ) {
        let runs = &self.runs;
        let one = w;
        let distance = if TWO { packed_words::<I>(runs) } else { 0 };
        let two = w.wrapping_add(distance);
        // No closure is mapped over them, which would not be compiled for the instruction set.
        //
        // SAFETY: each vector has biases, multipliers, and the weights of all words.
        let one_start = unsafe { I::load(one) };
        // SAFETY: as above.
        let two_start = unsafe { I::load(two) };
        // SAFETY: as above.
        let one_factors = unsafe { I::load(one.wrapping_add(I::LANES)) };
        // SAFETY: as above.
        let two_factors = unsafe { I::load(two.wrapping_add(I::LANES)) };
        let start = [one_start, two_start];
        let factors = [one_factors, two_factors];
        let weights = one.wrapping_add(2 * I::LANES);
        let tail = count - if TWO { I::LANES } else { 0 };
        let stage = self.stage;
        let [a, b, c, d, e, f, g, h] = windows;
        let [i, j, k, l, m, n, o, p] = outputs;
        let at = |from| x.wrapping_add(from);
        let to = |to| y.wrapping_add(to);
        if I::WIDE {
            let x = [at(a), at(b), at(c), at(d), at(e), at(f), at(g), at(h)];
            let y = [to(i), to(j), to(k), to(l), to(m), to(n), to(o), to(p)];
            // SAFETY: the caller's.
            unsafe {
                tile_8::<I, TWO, SPREAD, WHOLE>(
                    x, runs, weights, distance, start, y, factors, &stage, tail,
                );
            }
        } else {
            let x = [at(a), at(b), at(c), at(d)];
            let y = [to(i), to(j), to(k), to(l)];
            // SAFETY: the caller's.
            unsafe {
                tile_4::<I, TWO, SPREAD, WHOLE>(
                    x, runs, weights, distance, start, y, factors, &stage, tail,
                );
            }
        }
    }
}

/// Totals of `rows` rows of weights under `x`, by [`Lanes::direct`], four rows at a time.
///
/// # Safety
///
/// Those of [`Lanes::rows`].
#[inline(always)]
pub(super) unsafe fn rows_by_four<I: Lanes>(
    x: *const i8,
    w: *const i8,
    len: usize,
    rows: usize,
) -> I::V {
    let mut sums = [0i32; 16];
    let whole = len / I::STEP * I::STEP;
    for (first, sums) in (0..rows).step_by(4).zip(sums.chunks_exact_mut(4)) {
        // Where there are no more, the last one again.
        let row = |row: usize| w.wrapping_add((first + row).min(rows - 1) * len);
        let [a, b, c, d] = [row(0), row(1), row(2), row(3)];
        // SAFETY: see `Lanes`.
        let [mut to_a, mut to_b, mut to_c, mut to_d] = [unsafe { I::all(0) }; 4];
        // Written out, as not every compiler is asked to unroll a loop over them.
        for at in (0..whole).step_by(I::STEP) {
            let x = x.wrapping_add(at);
            // SAFETY: that many elements are there.
            to_a = unsafe { I::direct(to_a, x, a.wrapping_add(at)) };
            // SAFETY: as above.
            to_b = unsafe { I::direct(to_b, x, b.wrapping_add(at)) };
            // SAFETY: as above.
            to_c = unsafe { I::direct(to_c, x, c.wrapping_add(at)) };
            // SAFETY: as above.
            to_d = unsafe { I::direct(to_d, x, d.wrapping_add(at)) };
        }
        // SAFETY: see `Lanes`.
        let totals = unsafe { I::totals([to_a, to_b, to_c, to_d]) };
        let Some(sums) = sums.first_chunk_mut::<4>() else {
            continue;
        };
        *sums = totals;
        if whole == len {
            continue;
        }
        for (sum, row) in sums.iter_mut().zip([a, b, c, d]) {
            for at in whole..len {
                // SAFETY: that many elements are there.
                let x = unsafe { x.wrapping_add(at).read() };
                // SAFETY: as above.
                let w = unsafe { row.wrapping_add(at).read() };
                *sum = sum.wrapping_add(i32::from(x) * i32::from(w));
            }
        }
    }
    // SAFETY: no vector has more lanes than there are sums.
    unsafe { I::load(sums.as_ptr().cast()) }
}

/// All channels of one window that lies in one piece, by its weights as they are.
#[inline(always)]
pub(crate) fn direct<I: Lanes>(filters: &Filters<'_>, x: &[i8], y: &mut [i8]) -> Option<()> {
    let Filters {
        weights,
        len,
        bias,
        multipliers,
        stage,
    } = *filters;
    if x.len() != len || weights.len() != len * bias.len() || y.len() != bias.len() {
        return None;
    }
    let excess = if I::DIRECT_EXCESS == 0 {
        0
    } else {
        let total = x
            .iter()
            .fold(0i32, |sum, &x| sum.wrapping_add(i32::from(x)));
        total.wrapping_mul(I::DIRECT_EXCESS)
    };
    // SAFETY: see `Lanes`.
    let excess = unsafe { I::all(excess.wrapping_neg().cast_unsigned()) };
    let multipliers = multipliers.get(..bias.len())?.chunks(I::LANES);
    let outputs = y
        .chunks_mut(I::LANES)
        .zip(bias.chunks(I::LANES))
        .zip(multipliers);
    let mut w = weights.as_ptr();
    for ((y, bias), multipliers) in outputs {
        // SAFETY: the weights are as many as the biases have rows.
        let mut sums = unsafe { I::rows(x.as_ptr(), w, len, y.len()) };
        w = w.wrapping_add(len * y.len());
        let [mut some_bias, mut some_multipliers] = [[0u32; 16]; 2];
        let [bias, multipliers] = if y.len() == I::LANES {
            [bias.as_ptr().cast(), multipliers.as_ptr().cast()]
        } else {
            for (to, &bias) in some_bias.iter_mut().zip(bias) {
                *to = bias.cast_unsigned();
            }
            for (to, multiplier) in some_multipliers.iter_mut().zip(multipliers) {
                *to = multiplier.to_bits();
            }
            [some_bias.as_ptr(), some_multipliers.as_ptr()]
        };
        // SAFETY: there is one for each lane.
        let bias = unsafe { I::load(bias) };
        // SAFETY: there is one for each lane.
        let multipliers = unsafe { I::load(multipliers) };
        // SAFETY: see `Lanes`.
        sums = unsafe { I::add(sums, bias) };
        // SAFETY: see `Lanes`.
        sums = unsafe { I::add(sums, excess) };
        if y.len() == I::LANES {
            // SAFETY: there is an output for each lane.
            unsafe { I::requantize(sums, multipliers, &stage, y.as_mut_ptr()) };
        } else {
            // SAFETY: there are that many outputs.
            unsafe { I::requantize_some(sums, multipliers, &stage, y.as_mut_ptr(), y.len()) };
        }
    }
    Some(())
}

/// Words that windows need behind the last one.
pub(crate) const SLACK_WORDS: usize = SLACK / 4;

/// Work that is generic over vectors of sums.
pub(crate) trait Work {
    /// Does it. To be `#[inline(always)]`, so that it is compiled for the instruction set that calls it.
    fn on<I: Lanes>(self) -> Option<()>;
}

/// Whether this machine has such an instruction set.
#[inline(always)]
pub(crate) fn are_there() -> bool {
    #[cfg(not(target_arch = "wasm32"))]
    return super::Set::best().is_some();
    #[cfg(target_arch = "wasm32")]
    true
}

/// Whether every machine that this program runs on has one: then other kernels of int8 are not linked.
pub(crate) const ALWAYS: bool = cfg!(target_arch = "wasm32");
