//! Cortex-M55 with MVE: sixteen int8 products in one instruction.
//!
//! Windows stay int8, as they are. VMLADAVA adds the products of sixteen elements to a register of
//! the core. Loops over elements are predicated by their ends (DLSTP, LETP): lanes behind the last
//! element read nothing and count nothing, so no row has to be a multiple of anything.
//!
//! Vectors of floats always round to nearest, half to even, and take numbers below 2⁻¹²⁶ for 0: what a
//! rescale makes of those is 0 either way.

#![allow(unsafe_code)]

use core::arch::naked_asm;
use core::ops::Range;

use super::{Filters, Isa, PIXELS, SUMS, Taps2d, WORDS, Windows};
use crate::numerics::OutputStage;

/// VMLADAVA and its relatives.
pub(crate) struct Mve;

/// What [`products_2x2`] reads, in the order that it takes it off.
#[repr(C)]
struct Tiles2x2 {
    /// Windows of two pixels.
    x: [*const i8; 2],
    /// Where the weights of the two channels of the first tile begin.
    w: [*const i8; 2],
    sums: *mut i32,
    /// Elements of a window.
    len: usize,
    /// From the end of a channel's weights, rounded up to whole vectors, to those of the channel that
    /// takes its place.
    skip: usize,
    /// Elements of a window, rounded up to whole vectors.
    back: usize,
    /// The end of the sums of the first pixel.
    end: *mut i32,
}

/// Adds the products of two pixels and two channels, tile after tile: 9 instructions for 64 products.
///
/// # Safety
///
/// `len` elements of both windows, and the weights and sums of every tile have to be there. `len` is
/// not 0, and there is at least one tile.
#[unsafe(naked)]
unsafe extern "C" fn products_2x2(tiles: &Tiles2x2) {
    naked_asm!(
        ".cpu cortex-m55",
        "push {{r4-r11, lr}}",
        "ldm r0, {{r1, r3, r5, r7-r12}}",
        "2:",
        "ldrd r0, r4, [r8]",
        "ldrd r2, r6, [r8, #{pitch}]",
        "dlstp.8 lr, r9",
        "3:",
        "vldrb.u8 q0, [r1], #16",
        "vldrb.u8 q2, [r5], #16",
        "vmladava.s8 r0, q0, q2",
        "vldrb.u8 q1, [r3], #16",
        "vmladava.s8 r2, q1, q2",
        "vldrb.u8 q3, [r7], #16",
        "vmladava.s8 r4, q0, q3",
        "vmladava.s8 r6, q1, q3",
        "letp lr, 3b",
        "strd r2, r6, [r8, #{pitch}]",
        "strd r0, r4, [r8], #8",
        "sub r1, r1, r11",
        "sub r3, r3, r11",
        "add r5, r5, r10",
        "add r7, r7, r10",
        "cmp r8, r12",
        "bne 2b",
        "pop {{r4-r11, pc}}",
        pitch = const SUMS / 2 * size_of::<i32>(),
    )
}

/// What [`products_1x4`] reads, in the order that it takes it off.
#[repr(C)]
struct Tiles1x4 {
    x: *const i8,
    w012: [*const i8; 3],
    sums: *mut i32,
    w3: *const i8,
    /// As in [`Tiles2x2`].
    len: usize,
    skip: usize,
    back: usize,
    end: *mut i32,
}

/// Adds the products of one pixel and four channels, tile after tile: 10 instructions for 64 products.
///
/// # Safety
///
/// As for [`products_2x2`].
#[unsafe(naked)]
unsafe extern "C" fn products_1x4(tiles: &Tiles1x4) {
    naked_asm!(
        ".cpu cortex-m55",
        "push {{r4-r11, lr}}",
        // On the stack: the end.
        "ldr r1, [r0, #36]",
        "push {{r1}}",
        "ldm r0, {{r1, r3, r5, r7-r12}}",
        "2:",
        "ldm r8, {{r0, r2, r4, r6}}",
        "dlstp.8 lr, r10",
        "3:",
        "vldrb.u8 q0, [r1], #16",
        "vldrb.u8 q1, [r3], #16",
        "vmladava.s8 r0, q0, q1",
        "vldrb.u8 q2, [r5], #16",
        "vmladava.s8 r2, q0, q2",
        "vldrb.u8 q1, [r7], #16",
        "vmladava.s8 r4, q0, q1",
        "vldrb.u8 q2, [r9], #16",
        "vmladava.s8 r6, q0, q2",
        "letp lr, 3b",
        "stm r8!, {{r0, r2, r4, r6}}",
        "sub r1, r1, r12",
        "add r3, r3, r11",
        "add r5, r5, r11",
        "add r7, r7, r11",
        "add r9, r9, r11",
        "ldr lr, [sp]",
        "cmp r8, lr",
        "bne 2b",
        "pop {{r0, r4-r11, pc}}",
    )
}

/// Copies words, each to two places.
///
/// # Safety
///
/// `count` words have to be there at all three.
#[unsafe(naked)]
unsafe extern "C" fn copy_twice(to: *mut i32, too: *mut i32, from: *const i32, count: usize) {
    naked_asm!(
        ".cpu cortex-m55",
        "push {{r7, lr}}",
        "wlstp.32 lr, r3, 3f",
        "2:",
        "vldrw.u32 q0, [r2], #16",
        "vstrw.32 q0, [r0], #16",
        "vstrw.32 q0, [r1], #16",
        "letp lr, 2b",
        "3:",
        "pop {{r7, pc}}",
    )
}

/// Copies bytes.
///
/// # Safety
///
/// `count` bytes have to be there at both.
#[unsafe(naked)]
unsafe extern "C" fn copy(to: *mut i8, from: *const i8, count: usize) {
    naked_asm!(
        ".cpu cortex-m55",
        "push {{r7, lr}}",
        "wlstp.8 lr, r2, 3f",
        "2:",
        "vldrb.u8 q0, [r1], #16",
        "vstrb.8 q0, [r0], #16",
        "letp lr, 2b",
        "3:",
        "pop {{r7, pc}}",
    )
}

/// What the depthwise functions read, in the order that they take it off.
#[repr(C)]
struct Columns {
    /// From a tap of a row to the next.
    x_step: usize,
    w_step: usize,
    /// From the end of a row of taps to the next.
    x_skip: usize,
    w_skip: usize,
    columns: usize,
    rows: usize,
    x: *const i8,
    w: *const i8,
    sums: *mut i32,
    /// Blocks of channels, or channels.
    count: usize,
}

/// Adds the products of a depthwise window, sixteen channels at a time: 14 instructions a tap.
///
/// # Safety
///
/// All taps of all channels have to lie inside their slices; no number is 0.
#[unsafe(naked)]
unsafe extern "C" fn depthwise_16(columns: &Columns) {
    naked_asm!(
        ".cpu cortex-m55",
        ".macro niwaki_tap_16",
        "vldrb.s16 q4, [r0]",
        "vldrb.s16 q5, [r7]",
        "vmullb.s16 q6, q4, q5",
        "vmullt.s16 q4, q4, q5",
        "vadd.i32 q0, q0, q6",
        "vadd.i32 q1, q1, q4",
        "vldrb.s16 q4, [r0, #8]",
        "vldrb.s16 q5, [r7, #8]",
        "add r0, r0, r1",
        "add r7, r7, r2",
        "vmullb.s16 q6, q4, q5",
        "vmullt.s16 q4, q4, q5",
        "vadd.i32 q2, q2, q6",
        "vadd.i32 q3, q3, q4",
        ".endm",
        "push {{r4-r11, lr}}",
        "vpush {{d8-d13}}",
        "ldm r0, {{r1-r6, r8-r11}}",
        "2:",
        "mov r7, r10",
        // Sums of even channels and of odd ones, as the products come.
        "vld20.32 {{q0, q1}}, [r7]",
        "vld21.32 {{q0, q1}}, [r7]!",
        "vld20.32 {{q2, q3}}, [r7]",
        "vld21.32 {{q2, q3}}, [r7]",
        "mov r0, r8",
        "mov r7, r9",
        "mov r12, r6",
        "3:",
        "cmp r5, #3",
        "bne 4f",
        // The usual: no loop.
        "niwaki_tap_16",
        "niwaki_tap_16",
        "niwaki_tap_16",
        "b 6f",
        "4:",
        "dls lr, r5",
        "5:",
        "niwaki_tap_16",
        "le lr, 5b",
        "6:",
        "add r0, r0, r3",
        "add r7, r7, r4",
        "subs r12, #1",
        "bne 3b",
        "vst20.32 {{q0, q1}}, [r10]",
        "vst21.32 {{q0, q1}}, [r10]!",
        "vst20.32 {{q2, q3}}, [r10]",
        "vst21.32 {{q2, q3}}, [r10]!",
        "add r8, r8, #16",
        "add r9, r9, #16",
        "subs r11, r11, #1",
        "bne 2b",
        "vpop {{d8-d13}}",
        "pop {{r4-r11, pc}}",
        ".purgem niwaki_tap_16",
    )
}

/// The same of eight channels at a time: 9 instructions a tap.
///
/// # Safety
///
/// As for [`depthwise_16`].
#[unsafe(naked)]
unsafe extern "C" fn depthwise_8(columns: &Columns) {
    naked_asm!(
        ".cpu cortex-m55",
        "push {{r4-r11, lr}}",
        "vpush {{d8, d9}}",
        "ldm r0, {{r1-r6, r8-r11}}",
        "2:",
        "vld20.32 {{q0, q1}}, [r10]",
        "vld21.32 {{q0, q1}}, [r10]",
        "mov r0, r8",
        "mov r7, r9",
        "mov r12, r6",
        "3:",
        "dls lr, r5",
        "4:",
        "vldrb.s16 q2, [r0]",
        "vldrb.s16 q3, [r7]",
        "add r0, r0, r1",
        "add r7, r7, r2",
        "vmullb.s16 q4, q2, q3",
        "vmullt.s16 q2, q2, q3",
        "vadd.i32 q0, q0, q4",
        "vadd.i32 q1, q1, q2",
        "le lr, 4b",
        "add r0, r0, r3",
        "add r7, r7, r4",
        "subs r12, #1",
        "bne 3b",
        "vst20.32 {{q0, q1}}, [r10]",
        "vst21.32 {{q0, q1}}, [r10]!",
        "add r8, r8, #8",
        "add r9, r9, #8",
        "subs r11, r11, #1",
        "bne 2b",
        "vpop {{d8, d9}}",
        "pop {{r4-r11, pc}}",
    )
}

/// The same of any channels, four or less at a time: 8 instructions a tap.
///
/// # Safety
///
/// As for [`depthwise_16`]. `count` is the number of channels.
#[unsafe(naked)]
unsafe extern "C" fn depthwise_some(columns: &Columns) {
    naked_asm!(
        ".cpu cortex-m55",
        "push {{r4-r11, lr}}",
        "ldm r0, {{r1-r6, r8-r11}}",
        "2:",
        // The lanes that there are channels for.
        "vctp.32 r11",
        "vpst",
        "vldrwt.u32 q0, [r10]",
        "mov r0, r8",
        "mov r7, r9",
        "mov r12, r6",
        "3:",
        "dls lr, r5",
        "4:",
        "vpstt",
        "vldrbt.s32 q1, [r0]",
        "vldrbt.s32 q2, [r7]",
        "add r0, r0, r1",
        "add r7, r7, r2",
        "vmul.i32 q1, q1, q2",
        "vadd.i32 q0, q0, q1",
        "le lr, 4b",
        "add r0, r0, r3",
        "add r7, r7, r4",
        "subs r12, #1",
        "bne 3b",
        "vpst",
        "vstrwt.32 q0, [r10], #16",
        "add r8, r8, #4",
        "add r9, r9, #4",
        "subs r11, r11, #4",
        "bgt 2b",
        "pop {{r4-r11, pc}}",
    )
}

/// Rescales sums to int8: 17 instructions for eight, then 11 for each four.
///
/// `bounds` are the zero point and the clamp.
///
/// # Safety
///
/// `count` sums, multipliers and outputs have to be there.
#[unsafe(naked)]
unsafe extern "C" fn requantize(
    sums: *const i32,
    multipliers: *const f32,
    y: *mut i8,
    count: usize,
    bounds: &[i32; 3],
) {
    naked_asm!(
        ".cpu cortex-m55",
        "push {{r4-r7, lr}}",
        "ldr r7, [sp, #20]",
        "ldm r7, {{r4-r6}}",
        "vpush {{d8-d11}}",
        "lsr r12, r3, #3",
        "and r3, r3, #7",
        "vdup.16 q4, r5",
        "vdup.16 q5, r6",
        "wls lr, r12, 3f",
        "2:",
        // Even ones and odd ones.
        "vld20.32 {{q0, q1}}, [r0]",
        "vld21.32 {{q0, q1}}, [r0]!",
        "vld20.32 {{q2, q3}}, [r1]",
        "vcvt.f32.s32 q0, q0",
        "vld21.32 {{q2, q3}}, [r1]!",
        "vcvt.f32.s32 q1, q1",
        "vmul.f32 q0, q0, q2",
        "vmul.f32 q1, q1, q3",
        "vcvtn.s32.f32 q0, q0",
        "vcvtn.s32.f32 q1, q1",
        // Narrowing saturates, and brings them in order again.
        "vqmovnb.s32 q2, q0",
        "vqmovnt.s32 q2, q1",
        "vqadd.s16 q2, q2, r4",
        "vmax.s16 q2, q2, q4",
        "vmin.s16 q2, q2, q5",
        "vstrb.16 q2, [r2], #8",
        "le lr, 2b",
        "3:",
        "vdup.32 q2, r5",
        "vdup.32 q3, r6",
        "wlstp.32 lr, r3, 5f",
        "4:",
        "vldrw.u32 q0, [r0], #16",
        "vldrw.u32 q1, [r1], #16",
        "vcvt.f32.s32 q0, q0",
        "vmul.f32 q0, q0, q1",
        "vcvtn.s32.f32 q0, q0",
        "vqadd.s32 q0, q0, r4",
        "vmax.s32 q0, q0, q2",
        "vmin.s32 q0, q0, q3",
        "vstrb.32 q0, [r2], #4",
        "letp lr, 4b",
        "5:",
        "vpop {{d8-d11}}",
        "pop {{r4-r7, pc}}",
    )
}

impl Isa for Mve {
    const ELEMENT: usize = 1;

    #[inline(always)]
    fn place(windows: &mut Windows, at: usize, runs: &[&[i8]]) -> Option<()> {
        for (window, run) in windows.bytes_mut(runs.len()).zip(runs) {
            let to = window.get_mut(at..)?.get_mut(..run.len())?;
            // SAFETY: both have as many bytes.
            unsafe { copy(to.as_mut_ptr(), run.as_ptr(), run.len()) };
        }
        Some(())
    }

    const APART: bool = true;

    #[inline(always)]
    fn place_run(
        windows: &mut Windows,
        pixels: usize,
        pixel: usize,
        at: usize,
        run: &[i8],
    ) -> Option<()> {
        let to = windows.bytes_mut(pixels).nth(pixel)?;
        let to = to.get_mut(at..)?.get_mut(..run.len())?;
        // SAFETY: both have as many bytes.
        unsafe { copy(to.as_mut_ptr(), run.as_ptr(), run.len()) };
        Some(())
    }

    #[inline(always)]
    fn begin(bias: &[i32], pixels: usize, sums: &mut [i32; SUMS]) -> Option<()> {
        let pitch = SUMS.checked_div(pixels)?;
        if pixels > PIXELS || bias.len() > pitch {
            return None;
        }
        // The second pixel, or the same again.
        let second = if pixels == 2 { pitch } else { 0 };
        let to = sums.as_mut_ptr();
        // SAFETY: there are as many sums of each pixel as biases at least.
        unsafe { copy_twice(to, to.wrapping_add(second), bias.as_ptr(), bias.len()) };
        Some(())
    }

    #[inline(never)]
    fn products(
        windows: &Windows,
        pixels: usize,
        filters: &Filters<'_>,
        channels: Range<usize>,
        piece: Range<usize>,
        sums: &mut [i32; SUMS],
    ) -> Option<()> {
        // Two pixels by two channels, or one by four.
        let (wide, pitch, room) = match pixels {
            1 => (4, SUMS, WORDS * 4),
            2 => (2, SUMS / 2, WORDS * 2),
            _ => return None,
        };
        let (weights, len) = (filters.weights, piece.len());
        let fits = len <= room
            && channels.len() <= pitch
            && piece.end <= filters.len
            && channels.end.checked_mul(filters.len)? <= weights.len();
        if !fits {
            return None;
        }
        if len == 0 || channels.is_empty() {
            return Some(());
        }
        let row = weights.as_ptr().wrapping_add(piece.start);
        let x = windows.words.as_ptr().cast::<i8>();
        let back = (len + 15) & !15;
        let skip = (wide * filters.len).wrapping_sub(back);
        let mut run = |w: [usize; 4], at: usize, count: usize| {
            let [w0, w1, w2, w3] = w.map(|channel| row.wrapping_add(channel * filters.len));
            let sums = sums.as_mut_ptr().wrapping_add(at);
            let end = sums.wrapping_add(count);
            // `fits` has shown that the windows hold `len` elements; that the weights of all channels are
            // there up to `piece.end`; and that there are as many sums as channels, rounded up to a
            // multiple of four, two rows of them if there are two pixels. There is a tile.
            if pixels == 1 {
                let tiles = Tiles1x4 {
                    x,
                    w012: [w0, w1, w2],
                    sums,
                    w3,
                    len,
                    skip,
                    back,
                    end,
                };
                // SAFETY: as said.
                unsafe { products_1x4(&tiles) }
            } else {
                let tiles = Tiles2x2 {
                    x: [x, x.wrapping_add(WORDS * 2)],
                    w: [w0, w1],
                    sums,
                    len,
                    skip,
                    back,
                    end,
                };
                // SAFETY: as said.
                unsafe { products_2x2(&tiles) }
            }
        };
        let first = channels.start;
        let whole = channels.len() & !(wide - 1);
        if whole > 0 {
            run([first, first + 1, first + 2, first + 3], 0, whole);
        }
        if whole < channels.len() {
            // The last channels, and the very last one again, whose sums nobody reads.
            let channel = |i: usize| (first + whole + i).min(channels.end - 1);
            run([0, 1, 2, 3].map(channel), whole, wide);
        }
        Some(())
    }

    #[inline(never)]
    fn rows(filters: &Filters<'_>, sums: &mut [i32; SUMS], x: &[i8], y: &mut [i8]) -> Option<()> {
        const PITCH: usize = SUMS / 2;
        let (len, channels) = (filters.len, filters.bias.len());
        // A single row is multiplied by four channels at a time elsewhere.
        let fits = len > 0
            && x.len() >= 2 * len
            && filters.multipliers.len() == channels
            && len.checked_mul(channels)? <= filters.weights.len();
        if !fits {
            return None;
        }
        let [low, high] = filters.stage.range().map(i32::from);
        let bounds = [filters.stage.zero_point(), low, high];
        let back = (len + 15) & !15;
        let mut tiles = Tiles2x2 {
            x: [x.as_ptr(); 2],
            w: [filters.weights.as_ptr(); 2],
            sums: sums.as_mut_ptr(),
            len,
            skip: (2 * len).wrapping_sub(back),
            back,
            end: sums.as_mut_ptr(),
        };
        let outputs = y.chunks_mut((2 * channels).max(1));
        for (x, y) in x.chunks(2 * len).zip(outputs) {
            // The second row, or the same again.
            let second = if x.len() == 2 * len { len } else { 0 };
            let rows = if second > 0 { 2 } else { 1 };
            if x.len() < len || y.len() != rows * channels {
                return None;
            }
            tiles.x = [x.as_ptr(), x.as_ptr().wrapping_add(second)];
            let mut start = 0;
            while start < channels {
                let count = (channels - start).min(PITCH);
                let bias = filters.bias.as_ptr().wrapping_add(start);
                let to = sums.as_mut_ptr();
                // SAFETY: `count` biases are there from `start` on, and as many sums of both rows.
                unsafe { copy_twice(to, to.wrapping_add(PITCH), bias, count) };
                let w = filters.weights.as_ptr().wrapping_add(start * len);
                let whole = count & !1;
                if whole > 0 {
                    tiles.w = [w, w.wrapping_add(len)];
                    tiles.sums = to;
                    tiles.end = to.wrapping_add(whole);
                    // SAFETY: `fits` has shown that the weights of all channels are there; both rows have
                    // `len` elements, which is not 0; there are sums for `whole` channels, one at least.
                    unsafe { products_2x2(&tiles) };
                }
                if whole < count {
                    // The last channel twice: nobody reads the second one's sums, of which `PITCH`, an even
                    // number, leaves room for.
                    tiles.w = [w.wrapping_add(whole * len); 2];
                    tiles.sums = to.wrapping_add(whole);
                    tiles.end = to.wrapping_add(whole + 2);
                    // SAFETY: as above.
                    unsafe { products_2x2(&tiles) };
                }
                let multipliers = filters.multipliers.as_ptr().wrapping_add(start);
                for row in 0..rows {
                    let sums = to.wrapping_add(row * PITCH);
                    let y = y.as_mut_ptr().wrapping_add(row * channels + start);
                    // SAFETY: from `start` on there are `count` multipliers and outputs of each row, and
                    // there are as many sums.
                    unsafe { requantize(sums, multipliers, y, count, &bounds) };
                }
                start += count;
            }
        }
        Some(())
    }

    #[inline(never)]
    fn depthwise(taps: &Taps2d, x: &[i8], w: &[i8], sums: &mut [i32]) -> Option<()> {
        if taps.rows == 0 || taps.columns == 0 || sums.is_empty() {
            return Some(());
        }
        if !taps.fit(sums.len(), x.len(), w.len()) {
            return None;
        }
        let [x_row, x_step] = taps.x_stride;
        let [w_row, w_step] = taps.w_stride;
        let skip = |row: usize, step: usize| row.wrapping_sub(step.wrapping_mul(taps.columns));
        let columns = |at: usize, sums: &mut [i32], count: usize| Columns {
            x_step,
            w_step,
            x_skip: skip(x_row, x_step),
            w_skip: skip(w_row, w_step),
            columns: taps.columns,
            rows: taps.rows,
            x: x.as_ptr().wrapping_add(at),
            w: w.as_ptr().wrapping_add(at),
            sums: sums.as_mut_ptr(),
            count,
        };
        // `fit` has shown that all channels of every tap lie inside both slices; there is at least one
        // tap, and as many channels as are asked for.
        let (sixteens, rest) = sums.split_at_mut(sums.len() & !15);
        let mut at = 0;
        if !sixteens.is_empty() {
            at = sixteens.len();
            // SAFETY: as said.
            unsafe { depthwise_16(&columns(0, sixteens, at / 16)) };
        }
        let (eight, rest) = rest.split_at_mut(rest.len() & !7);
        if !eight.is_empty() {
            // SAFETY: as said.
            unsafe { depthwise_8(&columns(at, eight, 1)) };
            at += eight.len();
        }
        if !rest.is_empty() {
            let count = rest.len();
            // SAFETY: as said.
            unsafe { depthwise_some(&columns(at, rest, count)) };
        }
        Some(())
    }

    const ROWS: bool = true;

    #[inline(never)]
    fn depthwise_row(
        taps: &Taps2d,
        x: &[i8],
        step: usize,
        filters: &Filters<'_>,
        sums: &mut [i32; SUMS],
        y: &mut [i8],
    ) -> Option<()> {
        let channels = filters.bias.len();
        let pixels = y.len().checked_div(channels)?;
        let last = pixels.checked_sub(1)?.checked_mul(step)?;
        let fits = taps.rows > 0
            && taps.columns > 0
            && filters.multipliers.len() == channels
            && taps.fit(channels, x.len().checked_sub(last)?, filters.weights.len());
        if !fits {
            return None;
        }
        let [low, high] = filters.stage.range().map(i32::from);
        let bounds = [filters.stage.zero_point(), low, high];
        let [x_row, x_step] = taps.x_stride;
        let [w_row, w_step] = taps.w_stride;
        let skip = |row: usize, step: usize| row.wrapping_sub(step.wrapping_mul(taps.columns));
        let to = sums.as_mut_ptr();
        let mut columns = Columns {
            x_step,
            w_step,
            x_skip: skip(x_row, x_step),
            w_skip: skip(w_row, w_step),
            columns: taps.columns,
            rows: taps.rows,
            x: x.as_ptr(),
            w: filters.weights.as_ptr(),
            sums: to,
            count: 0,
        };
        let mut start = 0;
        while start < channels {
            let count = (channels - start).min(SUMS);
            let (sixteens, eight, rest) = (count / 16, count & 8, count & 7);
            let bias = filters.bias.as_ptr().wrapping_add(start);
            let multipliers = filters.multipliers.as_ptr().wrapping_add(start);
            let mut x = x.as_ptr().wrapping_add(start);
            let w = filters.weights.as_ptr().wrapping_add(start);
            let mut y = y.as_mut_ptr().wrapping_add(start);
            for _ in 0..pixels {
                // SAFETY: from `start` on there are `count` biases, and as many sums.
                unsafe { copy_twice(to, to, bias, count) };
                (columns.x, columns.w, columns.sums) = (x, w, to);
                if sixteens > 0 {
                    columns.count = sixteens;
                    // SAFETY: `fit` has shown that the taps of all channels lie inside both slices, for
                    // the last pixel, and so for all; there is at least one tap, and as many channels as
                    // are asked for.
                    unsafe { depthwise_16(&columns) };
                }
                let at = sixteens * 16;
                if eight > 0 {
                    let eight = |p: *const i8| p.wrapping_add(at);
                    (columns.x, columns.w) = (eight(x), eight(w));
                    (columns.sums, columns.count) = (to.wrapping_add(at), 1);
                    // SAFETY: as above.
                    unsafe { depthwise_8(&columns) };
                }
                if rest > 0 {
                    let at = at + eight;
                    (columns.x, columns.w) = (x.wrapping_add(at), w.wrapping_add(at));
                    (columns.sums, columns.count) = (to.wrapping_add(at), rest);
                    // SAFETY: as above.
                    unsafe { depthwise_some(&columns) };
                }
                // SAFETY: from `start` on there are `count` multipliers and outputs of each pixel.
                unsafe { requantize(to, multipliers, y, count, &bounds) };
                x = x.wrapping_add(step);
                y = y.wrapping_add(channels);
            }
            start += count;
        }
        Some(())
    }

    #[inline(always)]
    fn requantize(
        stage: &OutputStage,
        sums: &[i32],
        multipliers: &[f32],
        y: &mut [i8],
    ) -> Option<()> {
        let count = y.len();
        if sums.len() != count || multipliers.len() != count {
            return None;
        }
        let [low, high] = stage.range().map(i32::from);
        let bounds = [stage.zero_point(), low, high];
        // SAFETY: there are as many of all three.
        unsafe {
            requantize(
                sums.as_ptr(),
                multipliers.as_ptr(),
                y.as_mut_ptr(),
                count,
                &bounds,
            )
        };
        Some(())
    }
}
