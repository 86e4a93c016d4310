//! Cortex-M0: nothing but loads of one element, products of words, and eight registers.
//!
//! What costs is loading and widening. Windows are widened to words once, four pixels side by side:
//! one LDM brings an element of all four, and each weight that is read is multiplied by all of them.
//! Sums stay in the upper registers, which can be added to and nothing else.

#![allow(unsafe_code)]

use core::arch::naked_asm;
use core::ops::Range;

use super::scalar::Scalar;
use super::{Filters, Isa, PIXELS, SUMS, Taps2d, WORDS, Windows};

/// MULS.
pub(crate) struct Thumb1;

/// What the products read and write.
#[repr(C)]
struct Rows {
    /// Widened windows.
    x: *const i32,
    /// The end of the first channel's weights; of the three channels behind it in
    /// [`products_1x4`].
    w: [*const i8; 4],
    /// Less than 0: the number of weights.
    start: isize,
    sums: *mut i32,
    /// Channels that are left.
    count: usize,
    /// Weights from a channel to the next.
    skip: usize,
}

/// Adds the products of four pixels and some channels: 2.9 instructions a product.
///
/// # Safety
///
/// The windows, weights and sums of all channels have to be there; neither `start` nor `count` is 0.
#[unsafe(naked)]
unsafe extern "C" fn products_4x1(rows: &mut Rows) {
    naked_asm!(
        ".macro niwaki_element_4x1",
        "ldrsb r6, [r4, r5]",
        "ldm r7!, {{r0-r3}}",
        "muls r0, r6, r0",
        "muls r1, r6, r1",
        "muls r2, r6, r2",
        "muls r3, r6, r3",
        "add r8, r0",
        "add r9, r1",
        "add r10, r2",
        "add r11, r3",
        "adds r5, #1",
        ".endm",
        "push {{r4-r7, lr}}",
        "mov r4, r8",
        "mov r5, r9",
        "mov r6, r10",
        "mov r7, r11",
        "push {{r4-r7}}",
        "mov r12, r0",
        "ldr r4, [r0, #4]",
        "2:",
        "mov r0, r12",
        "ldr r6, [r0, #24]",
        "movs r5, #{pitch}",
        "ldr r1, [r6]",
        "mov r8, r1",
        "ldr r1, [r6, r5]",
        "mov r9, r1",
        "adds r6, r6, r5",
        "ldr r1, [r6, r5]",
        "mov r10, r1",
        "adds r6, r6, r5",
        "ldr r1, [r6, r5]",
        "mov r11, r1",
        "ldr r7, [r0]",
        "ldr r5, [r0, #20]",
        // An odd number: the second half first.
        "lsrs r0, r5, #1",
        "bcs 4f",
        "3:",
        "niwaki_element_4x1",
        "4:",
        "niwaki_element_4x1",
        "bne 3b",
        "mov r0, r12",
        "ldr r6, [r0, #24]",
        "movs r5, #{pitch}",
        "mov r1, r8",
        "stm r6!, {{r1}}",
        "str r6, [r0, #24]",
        "subs r6, #4",
        "mov r1, r9",
        "str r1, [r6, r5]",
        "adds r6, r6, r5",
        "mov r1, r10",
        "str r1, [r6, r5]",
        "adds r6, r6, r5",
        "mov r1, r11",
        "str r1, [r6, r5]",
        "ldr r1, [r0, #32]",
        "adds r4, r4, r1",
        "ldr r1, [r0, #28]",
        "subs r1, #1",
        "str r1, [r0, #28]",
        "bne 2b",
        "pop {{r4-r7}}",
        "mov r8, r4",
        "mov r9, r5",
        "mov r10, r6",
        "mov r11, r7",
        "pop {{r4-r7, pc}}",
        ".purgem niwaki_element_4x1",
        pitch = const SUMS / 4 * size_of::<i32>(),
    )
}

/// Adds the products of one pixel and four channels: 3.6 instructions a product.
///
/// # Safety
///
/// The window and the weights of all four channels have to be there, and four sums. `start` is not 0.
#[unsafe(naked)]
unsafe extern "C" fn products_1x4(rows: &mut Rows) {
    naked_asm!(
        ".macro niwaki_element_1x4",
        "ldm r7!, {{r0}}",
        "ldrsb r6, [r1, r5]",
        "muls r6, r0, r6",
        "add r8, r6",
        "ldrsb r6, [r2, r5]",
        "muls r6, r0, r6",
        "add r9, r6",
        "ldrsb r6, [r3, r5]",
        "muls r6, r0, r6",
        "add r10, r6",
        "ldrsb r6, [r4, r5]",
        "muls r6, r0, r6",
        "add r11, r6",
        "adds r5, #1",
        ".endm",
        "push {{r4-r7, lr}}",
        "mov r4, r8",
        "mov r5, r9",
        "mov r6, r10",
        "mov r7, r11",
        "push {{r4-r7}}",
        "mov r12, r0",
        "ldr r6, [r0, #24]",
        "ldm r6!, {{r1-r4}}",
        "mov r8, r1",
        "mov r9, r2",
        "mov r10, r3",
        "mov r11, r4",
        "ldr r7, [r0]",
        "ldr r1, [r0, #4]",
        "ldr r2, [r0, #8]",
        "ldr r3, [r0, #12]",
        "ldr r4, [r0, #16]",
        "ldr r5, [r0, #20]",
        "lsrs r0, r5, #1",
        "bcs 4f",
        "3:",
        "niwaki_element_1x4",
        "4:",
        "niwaki_element_1x4",
        "bne 3b",
        "mov r0, r12",
        "ldr r6, [r0, #24]",
        "mov r1, r8",
        "mov r2, r9",
        "mov r3, r10",
        "mov r4, r11",
        "stm r6!, {{r1-r4}}",
        "pop {{r4-r7}}",
        "mov r8, r4",
        "mov r9, r5",
        "mov r10, r6",
        "mov r11, r7",
        "pop {{r4-r7, pc}}",
        ".purgem niwaki_element_1x4",
    )
}

/// Widens elements to words that are `pitch` bytes apart: 6 instructions an element.
///
/// # Safety
///
/// The elements that begin `count` before `end`, and as many words, have to be there. It is not 0.
#[unsafe(naked)]
unsafe extern "C" fn widen(to: *mut i32, end: *const i8, count: usize, pitch: usize) {
    naked_asm!(
        "push {{r4, lr}}",
        "rsbs r2, r2, #0",
        "2:",
        "ldrsb r4, [r1, r2]",
        "str r4, [r0]",
        "adds r0, r0, r3",
        "adds r2, #1",
        "bne 2b",
        "pop {{r4, pc}}",
    )
}

/// Words of windows from a pixel to the next where there are fewer than four.
#[inline(always)]
fn room(pixels: usize) -> usize {
    match pixels {
        1 => WORDS,
        2 => (WORDS / 2) & !3,
        _ => (WORDS / 3) & !3,
    }
}

impl Isa for Thumb1 {
    const ELEMENT: usize = 4;

    #[inline(never)]
    fn place(windows: &mut Windows, at: usize, runs: &[&[i8]]) -> Option<()> {
        let pixels = runs.len();
        for (pixel, run) in runs.iter().enumerate() {
            let (from, step, limit) = match pixels {
                PIXELS => (at * PIXELS + pixel, PIXELS, WORDS / PIXELS),
                1..PIXELS => (room(pixels) * pixel + at, 1, room(pixels)),
                _ => return None,
            };
            let len = run.len();
            if at > limit || len > limit - at {
                return None;
            }
            if len > 0 {
                let to = windows.words.as_mut_ptr().wrapping_add(from).cast();
                // SAFETY: `limit` elements of each pixel have words of their own.
                unsafe { widen(to, run.as_ptr_range().end, len, step * size_of::<i32>()) };
            }
        }
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
        let (weights, row) = (filters.weights, filters.len);
        let (pitch, room) = match pixels {
            PIXELS => (SUMS / PIXELS, WORDS / PIXELS),
            1..PIXELS => (SUMS.checked_div(pixels)?, room(pixels)),
            _ => return None,
        };
        let (count, len) = (channels.len(), piece.len());
        let fits = len <= room
            && count <= pitch
            && piece.end <= row
            && channels.end.checked_mul(row)? <= weights.len();
        if !fits {
            return None;
        }
        if len == 0 || count == 0 {
            return Some(());
        }
        let end = |channel: usize| weights.as_ptr().wrapping_add(channel * row + piece.end);
        let mut rows = Rows {
            x: windows.words.as_ptr().cast(),
            w: [end(channels.start); 4],
            start: -len.cast_signed(),
            sums: sums.as_mut_ptr(),
            count,
            skip: row,
        };
        if pixels == PIXELS {
            // SAFETY: `fits` has shown that `len` elements of all pixels are there, the weights of all
            // channels up to `piece.end`, and as many sums as channels, four rows of them.
            unsafe { products_4x1(&mut rows) };
            return Some(());
        }
        let sums = sums.chunks_exact_mut(pitch.max(1)).take(pixels);
        for (pixel, sums) in sums.enumerate() {
            rows.x = windows.words.as_ptr().wrapping_add(room * pixel).cast();
            let mut channel = channels.start;
            for sums in sums.chunks_mut(4) {
                if channel >= channels.end {
                    break;
                }
                // Where there are no more channels or sums, the last one again and a sum that nobody reads.
                rows.w = [0, 1, 2, 3].map(|more| end((channel + more).min(channels.end - 1)));
                let mut four = [0; 4];
                for (to, &sum) in four.iter_mut().zip(&*sums) {
                    *to = sum;
                }
                rows.sums = four.as_mut_ptr();
                // SAFETY: `fits` has shown that `len` elements of this pixel are there and the weights of
                // all channels; there are four sums.
                unsafe { products_1x4(&mut rows) };
                for (sum, &from) in sums.iter_mut().zip(&four) {
                    *sum = from;
                }
                channel += 4;
            }
        }
        Some(())
    }

    #[inline(always)]
    fn depthwise(taps: &Taps2d, x: &[i8], w: &[i8], sums: &mut [i32]) -> Option<()> {
        Scalar::depthwise(taps, x, w, sums)
    }
}
