//! Convolutions and products by tiles of sums, where an instruction set has them.
//!
//! The rows of input under some rows of output are copied first, padding included, in the form that
//! is multiplied: so no window meets a border, each element is converted once, and windows are not
//! brought together one by one.

use super::arch::sparse::{BLOCK, Cursor};
use super::arch::tiles::{
    self, Lanes, Packed, Pixels, Room, Runs, SLACK_WORDS, Sums, Words, Work, packed_words,
};
use super::filters::Filters;
use super::{Band, ConvI8, DepthwiseI8, FullyConnectedI8, SparseProductI8, Window, arch};

/// Sizes in words of the memory that weights and input are brought together in. As much is taken as
/// an operator needs, because the first use of a page of the stack takes time.
const SMALL: usize = 8 << 10;
const MEDIUM: usize = 40 << 10;
/// The stack of the wasm package is made for this (`xtask/src/npm.rs`).
const LARGE: usize = if cfg!(target_arch = "wasm32") {
    MEDIUM
} else {
    96 << 10
};

/// Words of input that are brought together at once, where there are enough rows: they should stay
/// in the first cache.
const INPUT: usize = 4 << 10;

/// Words of input at most.
const MOST_INPUT: usize = LARGE / 4;

/// Fewer rows of a product are not worth to bring the weights together.
const ROWS: usize = 4;

/// Output pixels that are computed from one copy of input.
#[derive(Clone, Copy, Debug)]
struct Block {
    image: usize,
    first_row: usize,
    rows: usize,
    first_column: usize,
    columns: usize,
}

/// The window's sizes, and how it is cut.
#[derive(Clone, Copy)]
struct Sweep<'w> {
    window: &'w Window,
    band: &'w Band,
    /// Rows and columns of a block.
    rows: usize,
    columns: usize,
}

/// Input rows or columns under so many outputs.
#[inline(always)]
fn under(outputs: usize, stride: u32, kernel: u32, dilation: u32) -> usize {
    (outputs - 1) * stride as usize + (kernel as usize - 1) * dilation as usize + 1
}

impl<'w> Sweep<'w> {
    /// Cuts so that the copy of a block's input fits into `most` words, and more than one row into
    /// [`INPUT`] words; `None` when that of a single pixel does not fit.
    #[inline(always)]
    fn new(window: &'w Window, band: &'w Band, column_bytes: usize, most: usize) -> Option<Self> {
        let mut sweep = Self {
            window,
            band,
            rows: 1,
            columns: window.out_w as usize,
        };
        let most = most.checked_sub(SLACK_WORDS)?;
        let height = sweep.height(1);
        if height * sweep.pitch_words(sweep.columns, column_bytes) > most {
            let pitch = most.checked_div(height)? * 4;
            let span = sweep.width(1);
            let more = pitch.checked_div(column_bytes)?.checked_sub(span)?;
            sweep.columns = 1 + more.checked_div(window.stride_w as usize)?;
            return Some(sweep);
        }
        let lines = INPUT.min(most) / sweep.pitch_words(sweep.columns, column_bytes).max(1);
        let more = lines
            .saturating_sub(height)
            .checked_div(window.stride_h as usize)?;
        sweep.rows = (1 + more).min(window.out_h as usize);
        Some(sweep)
    }

    #[inline(always)]
    fn height(&self, rows: usize) -> usize {
        let Window {
            stride_h,
            kernel_h,
            dilation_h,
            ..
        } = *self.window;
        under(rows, stride_h, kernel_h, dilation_h)
    }

    #[inline(always)]
    fn width(&self, columns: usize) -> usize {
        let Window {
            stride_w,
            kernel_w,
            dilation_w,
            ..
        } = *self.window;
        under(columns, stride_w, kernel_w, dilation_w)
    }

    #[inline(always)]
    fn pitch_words(&self, columns: usize, column_bytes: usize) -> usize {
        (self.width(columns) * column_bytes).div_ceil(4)
    }

    /// Words of the largest block's copy.
    #[inline(always)]
    fn words(&self, column_bytes: usize) -> usize {
        self.height(self.rows) * self.pitch_words(self.columns, column_bytes) + SLACK_WORDS
    }

    /// The block at band row `row` and column `column`, which are moved behind it; `None` behind the
    /// last one.
    ///
    /// No closure is called for each block: it would be a function of its own, and that is not compiled
    /// for the instruction set.
    #[inline(always)]
    fn next(&self, [row, column]: &mut [usize; 2]) -> Option<Block> {
        let out_h = self.window.out_h as usize;
        let out_w = self.window.out_w as usize;
        let left = self
            .band
            .rows
            .len()
            .checked_sub(*row)
            .filter(|&left| left > 0)?;
        let first = self.band.rows.start as usize + *row;
        let image = first.checked_div(out_h)?;
        let first_row = first - image * out_h;
        let block = Block {
            image,
            first_row,
            rows: self.rows.min(left).min(out_h - first_row),
            first_column: *column,
            columns: self.columns.min(out_w - *column),
        };
        *column += block.columns;
        if *column >= out_w {
            (*row, *column) = (*row + block.rows, 0);
        }
        Some(block)
    }

    /// The band's output pixel that a block begins with.
    #[inline(always)]
    fn output(&self, block: &Block) -> usize {
        let row = block.image * self.window.out_h as usize + block.first_row;
        (row - self.band.rows.start as usize) * self.window.out_w as usize + block.first_column
    }

    /// The pixels of input in a row of a block's copy: the copy's columns that lie on the input, and
    /// the first of them as a pixel of the band's input. None for a row of padding.
    #[inline(always)]
    fn line(&self, block: &Block, line: usize) -> (core::ops::Range<usize>, usize) {
        let window = self.window;
        let width = self.width(block.columns);
        let row = (block.first_row * window.stride_h as usize + line)
            .wrapping_sub(window.pad_top as usize);
        if row >= window.in_h as usize {
            return (0..0, 0);
        }
        let left = block.first_column * window.stride_w as usize;
        let pad = window.pad_left as usize;
        let first = pad.saturating_sub(left).min(width);
        let end = (window.in_w as usize + pad).saturating_sub(left).min(width);
        let row = (block.image * window.in_h as usize + row).wrapping_sub(self.band.input_row);
        let at =
            (row.wrapping_mul(window.in_w as usize)).wrapping_add((left + first).wrapping_sub(pad));
        (first..end.max(first), at)
    }
}

/// Fills elements of windows.
#[inline(always)]
fn fill<I: Lanes>(to: &mut [u8], value: i8) {
    let element = I::element(value).to_le_bytes();
    if I::TAPS == 4 {
        let [element, ..] = element;
        to.fill(element);
    } else {
        let [low, high, ..] = element;
        for to in to.as_chunks_mut::<2>().0 {
            *to = [low, high];
        }
    }
}

/// Runs with room for that many words, or [`LARGE`].
///
/// Behind a pointer, so that there is one copy of the code for all sizes.
fn with_memory(words: usize, run: &mut dyn FnMut(Room<'_>) -> Option<()>) -> Option<()> {
    #[inline(never)]
    fn on<const N: usize>(run: &mut dyn FnMut(Room<'_>) -> Option<()>) -> Option<()> {
        run(Words::<N>::new().all())
    }
    if words <= SMALL {
        on::<SMALL>(run)
    } else if words <= MEDIUM {
        on::<MEDIUM>(run)
    } else {
        on::<LARGE>(run)
    }
}

/// Runs of a convolution's window: how many, and elements of each.
#[inline(always)]
fn runs_of(window: &Window, groups: u32, group_in: u32) -> [usize; 3] {
    let [kernel_h, kernel_w, group_in] =
        [window.kernel_h, window.kernel_w, group_in].map(|size| size as usize);
    if groups == 1 && window.dilation_w == 1 {
        [kernel_h, 1, kernel_w * group_in]
    } else {
        [kernel_h, kernel_w, group_in]
    }
}

/// Words that all weights need at most, and those of one vector of channels, on any instruction set.
#[inline(always)]
fn bounds([rows, columns, run]: [usize; 3], channels: usize) -> [usize; 2] {
    let count = rows * columns;
    let all = channels.next_multiple_of(16) * (count * run.div_ceil(2) + 2);
    [all, 16 * (count * run.div_ceil(4) + 2)]
}

/// A convolution; `None` when the instruction set has no tiles, or it does not suit them. Some output
/// may be written then.
#[inline(never)]
pub(crate) fn conv(kernel: &ConvI8<'_>, band: &Band, x: &[i8], y: &mut [i8]) -> Option<()> {
    conv_with(kernel, None, band, x, y)
}

/// Puts a row's weights for some channels where they belong; they are zero before.
type Unpack<'u> = &'u dyn Fn(&mut [u32], Place) -> Option<()>;

/// Where weights belong in words of [`Packed`].
struct Place {
    channels: core::ops::Range<usize>,
    /// Words of a vector of channels with what is before its weights, and without.
    size: usize,
    before: usize,
    lanes: usize,
    /// Weights of a word.
    taps: usize,
}

/// A convolution whose weights are brought together by `unpack`, if there is one.
#[inline(always)]
fn conv_with(
    kernel: &ConvI8<'_>,
    unpack: Option<Unpack<'_>>,
    band: &Band,
    x: &[i8],
    y: &mut [i8],
) -> Option<()> {
    let window = kernel.window;
    let in_c = kernel.group_in as usize * kernel.groups as usize;
    let sweep = Sweep::new(window, band, in_c * 2, MOST_INPUT)?;
    let runs = runs_of(window, kernel.groups, kernel.group_in);
    let [all, one] = bounds(runs, kernel.group_out as usize);
    let input = sweep.words(in_c * 2);
    if input + one > LARGE || !tiles::are_there() {
        return None;
    }
    with_memory(input + all, &mut |room| {
        let work = ConvWork {
            kernel,
            unpack,
            band,
            x,
            y: &mut *y,
            room,
        };
        arch::run_conv_tiles(work, unpack.is_none().then_some(kernel.weights))
    })
}

struct ConvWork<'j, 'r> {
    kernel: &'j ConvI8<'j>,
    unpack: Option<Unpack<'j>>,
    band: &'j Band,
    x: &'j [i8],
    y: &'j mut [i8],
    room: Room<'r>,
}

impl Work for ConvWork<'_, '_> {
    #[inline(always)]
    fn on<I: Lanes>(self) -> Option<()> {
        let Self {
            kernel,
            unpack,
            band,
            x,
            y,
            mut room,
        } = self;
        let window = kernel.window;
        let size = 4 / I::TAPS;
        let [group_in, group_out] = [kernel.group_in, kernel.group_out].map(|n| n as usize);
        let in_c = group_in * kernel.groups as usize;
        let out_c = group_out * kernel.groups as usize;
        let column = in_c * size;
        let sweep = Sweep::new(window, band, column, MOST_INPUT)?;
        let input = room.take(sweep.words(column))?;
        let [rows, columns, run] = runs_of(window, kernel.groups, kernel.group_in);
        let pitch = 4 * sweep.pitch_words(sweep.columns, column);
        let runs = Runs {
            rows,
            columns,
            words: run.div_ceil(I::TAPS),
            row_step: window.dilation_h as usize * pitch,
            column_step: window.dilation_w as usize * column,
        };
        let vector = packed_words::<I>(&runs);
        let vectors = group_out.div_ceil(I::LANES);
        let at_once = room.len().checked_div(vector)?.min(vectors);
        let memory = room.take(at_once * vector)?;
        let at_once = at_once * I::LANES;
        // Weights that fit at once are brought together once.
        let once = kernel.groups == 1 && at_once >= group_out;
        let mut copied = None;
        for group in 0..kernel.groups as usize {
            let len = rows * columns * run;
            let all = group * group_out..(group + 1) * group_out;
            let filters = Filters {
                weights: match unpack {
                    None => kernel.weights.get(all.start * len..all.end * len)?,
                    Some(_) => &[],
                },
                len,
                bias: kernel.bias.get(all.clone())?,
                multipliers: kernel.multipliers.get(all.clone())?,
                stage: kernel.stage,
            };
            let mut first = 0;
            while first < group_out {
                let end = (first + at_once).min(group_out);
                let words = (end - first).div_ceil(I::LANES) * vector;
                let memory = memory.get_mut(..words)?;
                if !once {
                    memory.fill(0);
                }
                let packed = match unpack {
                    None => Packed::of_rows::<I>(memory, &runs, &filters, first..end)?,
                    Some(unpack) => {
                        let place = Place {
                            channels: first..end,
                            size: vector,
                            before: 2 * I::LANES,
                            lanes: I::LANES,
                            taps: I::TAPS,
                        };
                        Packed::of_words::<I>(memory, &runs, &filters, first..end, |words| {
                            unpack(words, place)
                        })?
                    }
                };
                let mut at = [0, 0];
                while let Some(block) = &sweep.next(&mut at) {
                    let whole = (block.first_row, block.image, block.first_column);
                    if copied != Some(whole) {
                        copy::<I>(kernel, &sweep, block, x, input, pitch)?;
                        copied = Some(whole);
                    }
                    let skipped = group * group_in * size;
                    let strides = [window.stride_h, window.stride_w].map(|stride| stride as usize);
                    let sums = Sums {
                        // Words begin at any byte: the group's first channel is told to the tiles.
                        x: input,
                        runs,
                        pixels: Pixels {
                            rows: block.rows,
                            columns: block.columns,
                            x_step: [strides[0] * pitch, strides[1] * column],
                            y_step: [window.out_w as usize * out_c, out_c],
                        },
                        packed: &packed,
                        stage: kernel.stage,
                        channels: end - first,
                        first: skipped,
                        group_step: 0,
                    };
                    let at = sweep.output(block) * out_c + all.start + first;
                    sums.run::<I, true>(y.get_mut(at..)?)?;
                }
                first = end;
            }
        }
        Some(())
    }
}

/// Copies the input under a block.
#[inline(always)]
fn copy<I: Lanes>(
    kernel: &ConvI8<'_>,
    sweep: &Sweep<'_>,
    block: &Block,
    x: &[i8],
    to: &mut [u32],
    pitch: usize,
) -> Option<()> {
    let size = 4 / I::TAPS;
    let in_c = (kernel.group_in * kernel.groups) as usize;
    let zero_point = kernel.input_zero_point as i8;
    let width = sweep.width(block.columns) * in_c * size;
    let bytes: &mut [u8] = bytemuck::cast_slice_mut(to);
    let mut lines = bytes.chunks_exact_mut(pitch.max(1));
    for line in 0..sweep.height(block.rows) {
        let to = lines.next()?.get_mut(..width)?;
        let (on, at) = sweep.line(block, line);
        let (left, rest) = to.split_at_mut_checked(on.start * in_c * size)?;
        let (middle, right) = rest.split_at_mut_checked(on.len() * in_c * size)?;
        fill::<I>(left, zero_point);
        if !on.is_empty() {
            I::convert(x.get(at * in_c..)?.get(..on.len() * in_c)?, middle);
        }
        fill::<I>(right, zero_point);
    }
    Some(())
}

/// A product; `None` when the instruction set has no tiles.
#[inline(always)]
pub(crate) fn product(kernel: &FullyConnectedI8<'_>, x: &[i8], y: &mut [i8]) -> Option<()> {
    let depth = kernel.depth as usize;
    let rows = x.len().checked_div(depth)?;
    let [_, one] = bounds([1, 1, depth], 16);
    if rows < ROWS || one > LARGE / 2 {
        if !tiles::are_there() {
            return None;
        }
        return arch::run_tiles(DirectWork { kernel, x, y });
    }
    let window = Window::line(rows);
    conv(&kernel.as_conv(&window), &window.whole(), x, y).or_else(|| {
        // Never where there are tiles: then other kernels are not even linked.
        tiles::are_there().then(|| arch::run_tiles(DirectWork { kernel, x, y }))?
    })
}

struct DirectWork<'j> {
    kernel: &'j FullyConnectedI8<'j>,
    x: &'j [i8],
    y: &'j mut [i8],
}

impl Work for DirectWork<'_> {
    #[inline(always)]
    fn on<I: Lanes>(self) -> Option<()> {
        let Self { kernel, x, y } = self;
        let [depth, outputs] = [kernel.depth, kernel.outputs].map(|n| n as usize);
        let filters = Filters {
            weights: kernel.weights,
            len: depth,
            bias: kernel.bias,
            multipliers: kernel.multipliers,
            stage: kernel.stage,
        };
        let rows = x.chunks_exact(depth.max(1));
        for (x, y) in rows.zip(y.chunks_exact_mut(outputs.max(1))) {
            tiles::direct::<I>(&filters, x, y)?;
        }
        Some(())
    }
}

/// A product with sparse weights, which are brought together as dense ones; `None` as of [`conv`].
#[inline(always)]
pub(crate) fn sparse_product(kernel: &SparseProductI8<'_>, x: &[i8], y: &mut [i8]) -> Option<()> {
    let [depth, outputs] = [kernel.depth, kernel.outputs].map(|n| n as usize);
    let rows = x.len().checked_div(depth)?;
    // Few rows are multiplied block by block in the time that bringing them together takes.
    if rows < ROWS || !tiles::are_there() {
        return None;
    }
    let window = Window::line(rows);
    let conv_kernel = ConvI8 {
        window: &window,
        groups: 1,
        group_in: kernel.depth,
        group_out: kernel.outputs,
        input_zero_point: 0,
        weights: &[],
        bias: kernel.bias,
        multipliers: kernel.multipliers,
        stage: kernel.stage,
    };
    let unpack = |words: &mut [u32], place: Place| {
        let mut cursor = kernel.weights.cursor();
        let mut first = 0;
        while first < outputs {
            let group = cursor.channels();
            each_band(&mut cursor, depth, |channel, at, w| {
                let channel = first + channel;
                if !place.channels.contains(&channel) {
                    return Some(());
                }
                let channel = channel - place.channels.start;
                let (vector, lane) = (channel / place.lanes, channel % place.lanes);
                let words = words.get_mut(vector * place.size..(vector + 1) * place.size)?;
                let word = place.before + at / place.taps * place.lanes;
                let to = words.get_mut(word + lane..)?;
                if place.taps == BLOCK {
                    *to.first_mut()? = u32::from_le_bytes(w.map(|w| w as u8));
                } else {
                    // What is behind the end of a row is zero, and may have no place.
                    let halves = w.map(|w| u32::from(i16::from(w).cast_unsigned()));
                    let (pairs, _) = halves.as_chunks::<2>();
                    for ([low, high], to) in pairs.iter().zip(to.iter_mut().step_by(place.lanes)) {
                        *to = low | high << 16;
                    }
                }
                Some(())
            })?;
            first += group;
        }
        Some(())
    };
    conv_with(&conv_kernel, Some(&unpack), &window.whole(), x, y)
}

/// Gives the blocks of all bands of the cursor's group.
#[inline(always)]
fn each_band(
    cursor: &mut Cursor<'_>,
    depth: usize,
    mut f: impl FnMut(usize, usize, [i8; BLOCK]) -> Option<()>,
) -> Option<()> {
    let mut start = 0;
    while start < depth {
        cursor.each_block(&mut f)?;
        start += arch::sparse::BAND;
    }
    Some(())
}

/// A depthwise convolution; `None` as of [`conv`].
#[inline(always)]
pub(crate) fn depthwise(
    kernel: &DepthwiseI8<'_>,
    band: &Band,
    x: &[i8],
    y: &mut [i8],
) -> Option<()> {
    let window = kernel.window;
    // Sixteen channels at least.
    let sweep = Sweep::new(window, band, 16 * 4, MOST_INPUT)?;
    let channels = (kernel.channels as usize).next_multiple_of(16);
    let taps = (window.kernel_h * window.kernel_w) as usize;
    let one = (taps + 2) * 16;
    if sweep.words(16 * 4) + one > LARGE || !tiles::are_there() {
        return None;
    }
    let pitch = sweep.pitch_words(window.out_w as usize, channels * 4);
    let input = sweep.height(band.rows.len()) * pitch + SLACK_WORDS;
    let words = input.min(MOST_INPUT) + (taps + 2) * channels;
    with_memory(words, &mut |room| {
        arch::run_tiles(DepthwiseWork {
            kernel,
            band,
            x,
            y: &mut *y,
            room,
        })
    })
}

struct DepthwiseWork<'j, 'r> {
    kernel: &'j DepthwiseI8<'j>,
    band: &'j Band,
    x: &'j [i8],
    y: &'j mut [i8],
    room: Room<'r>,
}

impl Work for DepthwiseWork<'_, '_> {
    #[inline(always)]
    fn on<I: Lanes>(self) -> Option<()> {
        let Self {
            kernel,
            band,
            x,
            y,
            mut room,
        } = self;
        let window = kernel.window;
        let channels = kernel.channels as usize;
        let vectors = channels.div_ceil(I::LANES);
        let [kernel_h, kernel_w] = [window.kernel_h, window.kernel_w].map(|size| size as usize);
        // Columns that lie side by side are elements of one word.
        let per = if window.dilation_w == 1 { I::TAPS } else { 1 };
        let mut runs = Runs {
            rows: kernel_h,
            columns: kernel_w.div_ceil(per),
            words: 1,
            row_step: 0,
            column_step: 0,
        };
        let vector = packed_words::<I>(&runs);
        let column = I::LANES * 4;
        // As many channels at once as there is room for with whole rows.
        let line = Sweep::new(window, band, column, MOST_INPUT)?;
        let one = line.height(1) * line.pitch_words(window.out_w as usize, column) + vector;
        let most = MOST_INPUT.min(room.len()).checked_sub(SLACK_WORDS)?;
        let at_once = most.checked_div(one)?.clamp(1, vectors);
        let weights = room.take(at_once * vector)?;
        let most = MOST_INPUT.min(room.len());
        let sweep = Sweep::new(window, band, column * at_once, most)?;
        let input = room.take(sweep.words(column * at_once))?;
        let filters = Filters {
            weights: kernel.weights,
            len: kernel_h * kernel_w,
            bias: kernel.bias,
            multipliers: kernel.multipliers,
            stage: kernel.stage,
        };
        let zero_point = kernel.input_zero_point as i8;
        let mut first = 0;
        while first < vectors {
            let now = at_once.min(vectors - first);
            let column = column * now;
            let pitch = 4 * sweep.pitch_words(sweep.columns, column);
            runs.row_step = window.dilation_h as usize * pitch;
            runs.column_step = if per == 1 {
                window.dilation_w as usize
            } else {
                per
            } * column;
            let start = first * I::LANES;
            let end = (start + now * I::LANES).min(channels);
            let weights = weights.get_mut(..now * vector)?;
            if first > 0 {
                weights.fill(0);
            }
            let taps = [kernel_w, per];
            let packed = Packed::of_taps::<I>(weights, &runs, &filters, taps, start..end)?;
            let mut at = [0, 0];
            while let Some(block) = &sweep.next(&mut at) {
                let mut lines = input.chunks_exact_mut((pitch / 4).max(1));
                let columns = sweep.width(block.columns);
                for line in 0..sweep.height(block.rows) {
                    let to = lines.next()?;
                    let (on, at) = sweep.line(block, line);
                    for index in 0..now {
                        let to = to.get_mut(index * I::LANES..)?;
                        let channel = start + index * I::LANES;
                        let x = x.get(at * channels + channel..).unwrap_or_default();
                        let line = tiles::Line {
                            x,
                            on: on.clone(),
                            channels,
                            zero_point,
                        };
                        tiles::slide::<I>(to, column / 4, columns, per, &line)?;
                    }
                }
                let strides = [window.stride_h, window.stride_w].map(|stride| stride as usize);
                let sums = Sums {
                    x: input,
                    runs,
                    pixels: Pixels {
                        rows: block.rows,
                        columns: block.columns,
                        x_step: [strides[0] * pitch, strides[1] * column],
                        y_step: [window.out_w as usize * channels, channels],
                    },
                    packed: &packed,
                    stage: kernel.stage,
                    channels: end - start,
                    first: 0,
                    group_step: I::LANES * 4,
                };
                let at = sweep.output(block) * channels + start;
                sums.run::<I, false>(y.get_mut(at..)?)?;
            }
            first += now;
        }
        Some(())
    }
}

#[cfg(all(test, feature = "digests"))]
#[allow(clippy::indexing_slicing, clippy::unwrap_used)]
mod tests {
    #[cfg(not(target_arch = "wasm32"))]
    use super::super::arch::{FORCED, Set};
    use super::super::{Workspace, plain};
    use super::*;
    use crate::numerics::OutputStage;

    use std::cell::Cell;
    use std::vec::Vec;

    std::thread_local! {
        /// Whether to draw for [`plain`].
        static PLAIN: Cell<bool> = const { Cell::new(false) };
    }

    /// What a kernel that is drawn from a seed gives.
    fn draw(seed: u32) -> Vec<i8> {
        let mut random = crate::Xorshift32::new(seed);
        let mut below = |end: usize| random.next_u32() as usize % end.max(1);
        let extreme = below(3) == 0;
        let kind = below(4);
        let most = if below(4) == 0 { 70 } else { 20 };
        let [group_in, group_out] = [1 + below(most), 1 + below(most)];
        let groups = if kind == 0 { 1 + below(3) } else { 1 };
        let one_dimension = below(4) == 0;
        let mut size = |end: usize| 1 + below(end) as u32;
        let high = if one_dimension { 1 } else { 6 };
        let [kernel_h, kernel_w] = [size(high).min(size(6)), size(6)];
        let [stride_h, stride_w] = [size(3), size(3)];
        let [dilation_h, dilation_w] = [size(3).min(size(3)), size(3).min(size(3)).min(size(3))];
        let span_h = (kernel_h - 1) * dilation_h + 1;
        let span_w = (kernel_w - 1) * dilation_w + 1;
        let [pad_top, pad_bottom] = [size(3).min(span_h) - 1, size(3).min(span_h) - 1];
        let [pad_left, pad_right] = [size(3).min(span_w) - 1, size(3).min(span_w) - 1];
        // Wide lines are cut into columns.
        let wide = size(40) == 1;
        let in_h = span_h.saturating_sub(pad_top + pad_bottom).max(1) + size(7) - 1;
        let in_w = span_w.saturating_sub(pad_left + pad_right).max(1)
            + size(if wide { 4000 } else { 12 })
            - 1;
        let window = Window {
            batch: size(2),
            in_h,
            in_w,
            out_h: (in_h + pad_top + pad_bottom - span_h) / stride_h + 1,
            out_w: (in_w + pad_left + pad_right - span_w) / stride_w + 1,
            kernel_h,
            kernel_w,
            stride_h,
            stride_w,
            dilation_h,
            dilation_w,
            pad_top,
            pad_left,
            pad_bottom,
            pad_right,
        };
        let mut bytes = |len: usize| -> Vec<i8> {
            let draw = |_| match extreme {
                true => [-128, 127][below(2)],
                false => below(256) as u8 as i8,
            };
            (0..len).map(draw).collect()
        };
        let taps = (kernel_h * kernel_w) as usize;
        let out_c = group_out * groups;
        let (x, weights) = match kind {
            0 | 1 => {
                let pixels = (window.batch * in_h * in_w) as usize;
                (
                    bytes(pixels * group_in * groups),
                    bytes(out_c * taps * group_in),
                )
            }
            2 => {
                let pixels = (window.batch * in_h * in_w) as usize;
                (bytes(pixels * out_c), bytes(out_c * taps))
            }
            _ => {
                let depth = group_in * taps;
                (
                    bytes(depth * window.out_w.min(30) as usize),
                    bytes(out_c * depth),
                )
            }
        };
        // Some instruction sets have another way for weights without -128.
        let weights: Vec<i8> = match below(2) {
            0 => weights,
            _ => weights.into_iter().map(|w| w.max(-127)).collect(),
        };
        let bias: Vec<i32> = (0..out_c)
            .map(|_| ((below(1 << 16) << 16 | below(1 << 16)) as i32) >> below(32))
            .collect();
        // Finite, as the check at load wants them: an infinite one gives a NaN, of which relaxed SIMD
        // has another minimum.
        let multipliers: Vec<f32> = (0..out_c)
            .map(|_| below(1 << 20) as f32 * [1e-6, 1e-9, 1e-11, 1e3, 1e32][below(5)])
            .collect();
        let low = below(256) as i32 - 128;
        let high = low + below((128 - low) as usize) as i32;
        let stage = OutputStage::new(below(256) as i32 - 128, low, high).unwrap();
        let input_zero_point = below(256) as i32 - 128;
        let workspace: &mut Workspace = &mut bytemuck::Zeroable::zeroed();
        let outputs = (window.batch * window.out_h * window.out_w) as usize * out_c;
        let band = window.whole();
        let mut y = std::vec![0; outputs];
        match kind {
            0 | 1 => {
                let kernel = ConvI8 {
                    window: &window,
                    groups: groups as u32,
                    group_in: group_in as u32,
                    group_out: group_out as u32,
                    input_zero_point,
                    weights: &weights,
                    bias: &bias,
                    multipliers: &multipliers,
                    stage,
                };
                match PLAIN.get() {
                    true => plain::conv(&kernel, &band, &x, &mut y),
                    false => kernel.run(workspace, &band, &x, &mut y),
                }
            }
            2 => {
                let kernel = DepthwiseI8 {
                    window: &window,
                    channels: out_c as u32,
                    input_zero_point,
                    weights: &weights,
                    bias: &bias,
                    multipliers: &multipliers,
                    stage,
                };
                match PLAIN.get() {
                    true => plain::depthwise(&kernel, &band, &x, &mut y),
                    false => kernel.run(workspace, &band, &x, &mut y),
                }
            }
            _ => {
                let depth = group_in * taps;
                y.truncate(x.len() / depth * out_c);
                FullyConnectedI8 {
                    depth: depth as u32,
                    outputs: out_c as u32,
                    weights: &weights,
                    bias: &bias,
                    multipliers: &multipliers,
                    stage,
                }
                .run(workspace, &x, &mut y)
            }
        }
        .unwrap();
        y
    }

    /// On WebAssembly, as `cargo xtask test` runs it in Node, there are no loops but these.
    #[cfg(target_arch = "wasm32")]
    #[test]
    fn tiles_give_the_outputs_of_plain_loops() {
        for seed in 1..=10_000 {
            PLAIN.set(true);
            let plain = draw(seed);
            PLAIN.set(false);
            assert!(plain == draw(seed), "seed {seed}");
        }
    }

    #[cfg(not(target_arch = "wasm32"))]
    #[test]
    fn every_instruction_set_gives_the_scalar_outputs() {
        for set in Set::ALL.into_iter().filter(|set| !set.is_there()) {
            std::eprintln!("NOT TESTED: this machine has no {set:?}");
        }
        for seed in 1..=10_000 {
            FORCED.set(Some(None));
            let scalar = draw(seed);
            for set in Set::ALL.into_iter().filter(|set| set.is_there()) {
                FORCED.set(Some(Some(set)));
                assert!(scalar == draw(seed), "{set:?}, seed {seed}");
            }
            PLAIN.set(true);
            assert!(scalar == draw(seed), "plain, seed {seed}");
            PLAIN.set(false);
        }
        FORCED.set(None);
    }
}
