//! Sparse weights on Cortex-M with the DSP extension: see [`super::sparse`].
//!
//! A band lies widened, as [`super::arm_dsp`] has windows, four elements of each pixel after the
//! other. A map is shifted until its next block is on top; the pointer into the band goes with it. So
//! a block costs the same wherever it is, and what is zero costs nothing.

#![allow(unsafe_code)]

use core::arch::naked_asm;

use super::arm_dsp::{ArmDsp, widen};
use super::sparse::{BAND, BLOCK, Bands, Cursor, GROUP, PIXELS, SparseIsa, Sums};

/// What [`sparse_4`] and [`sparse_1`] read and write.
#[repr(C, align(8))]
struct Group {
    /// The widened band.
    x: *const u32,
    /// Maps and blocks; behind the last one in the end.
    weights: *const u16,
    /// The next channel's sum of the first pixel, and where the last one's ends.
    sums: *mut i32,
    end: *const i32,
    /// Bytes from a channel's sum to where it starts, which is the bias; 0 for the sum itself.
    start: usize,
}

/// Adds the products of four pixels. 18 instructions a block, 22 a channel.
///
/// # Safety
///
/// The band of four pixels has to be there as far as maps name blocks, and so the blocks; sums for
/// each channel of all pixels, [`GROUP`] apart, and where they start. There is at least one channel.
#[unsafe(naked)]
unsafe extern "C" fn sparse_4(group: &mut Group) {
    naked_asm!(
        // On the stack: the group.
        "push {{r0, r4-r11, lr}}",
        "ldrd r0, r1, [r0]",
        "2:",
        "ldr lr, [sp]",
        "ldr r6, [lr, #8]",
        "ldr r7, [lr, #16]",
        "cbz r7, 6f",
        "ldr r2, [r6, r7]",
        "mov r3, r2",
        "mov r4, r2",
        "mov r5, r2",
        "3:",
        "ldrh r6, [r1], #2",
        "lsls r6, r6, #16",
        "mov r7, r0",
        "beq 5f",
        "4:",
        "clz r8, r6",
        "lsl r6, r6, r8",
        "add r7, r7, r8, lsl #5",
        "ldm r7!, {{r8-r11}}",
        "ldr lr, [r1], #4",
        "sxtb16 r12, lr",
        "sxtb16 lr, lr, ror #8",
        "smlad r2, r8, r12, r2",
        "smlad r3, r10, r12, r3",
        "smlad r2, r9, lr, r2",
        "smlad r3, r11, lr, r3",
        "ldm r7!, {{r8-r11}}",
        "smlad r4, r8, r12, r4",
        "smlad r5, r10, r12, r5",
        "smlad r4, r9, lr, r4",
        "smlad r5, r11, lr, r5",
        "lsls r6, r6, #1",
        "bne 4b",
        "5:",
        "ldr lr, [sp]",
        "ldrd r6, r7, [lr, #8]",
        "str r3, [r6, #{pitch}]",
        "str r4, [r6, #{pitch} * 2]",
        "str r5, [r6, #{pitch} * 3]",
        "str r2, [r6], #4",
        "str r6, [lr, #8]",
        "cmp r6, r7",
        "bne 2b",
        "str r1, [lr, #4]",
        "pop {{r0, r4-r11, pc}}",
        "6:",
        "ldr r2, [r6]",
        "ldr r3, [r6, #{pitch}]",
        "ldr r4, [r6, #{pitch} * 2]",
        "ldr r5, [r6, #{pitch} * 3]",
        "b 3b",
        pitch = const GROUP * size_of::<i32>(),
    )
}

/// Adds the products of one pixel. 11 instructions a block, 8 a channel.
///
/// # Safety
///
/// As for [`sparse_4`].
#[unsafe(naked)]
unsafe extern "C" fn sparse_1(group: &mut Group) {
    naked_asm!(
        "push {{r0, r4-r11, lr}}",
        "mov lr, r0",
        "ldrd r0, r1, [lr]",
        "ldrd r3, r4, [lr, #8]",
        "ldr r5, [lr, #16]",
        "2:",
        "ldr r2, [r3, r5]",
        "ldrh r6, [r1], #2",
        "lsls r6, r6, #16",
        "mov r7, r0",
        "beq 4f",
        "3:",
        "clz r8, r6",
        "lsl r6, r6, r8",
        "add r7, r7, r8, lsl #3",
        "ldrd r8, r9, [r7], #8",
        "ldr r10, [r1], #4",
        "sxtb16 r11, r10",
        "sxtb16 r10, r10, ror #8",
        "smlad r2, r8, r11, r2",
        "smlad r2, r9, r10, r2",
        "lsls r6, r6, #1",
        "bne 3b",
        "4:",
        "str r2, [r3], #4",
        "cmp r3, r4",
        "bne 2b",
        "str r1, [lr, #4]",
        "pop {{r0, r4-r11, pc}}",
    )
}

/// Widens four rows in turns, four elements of each. 0.94 instructions an element.
///
/// # Safety
///
/// `fours` words of each row have to be there, and of output eight times as many. It is not 0.
#[unsafe(naked)]
unsafe extern "C" fn widen_four(to: *mut u32, rows: &[*const i8; PIXELS], fours: usize) {
    naked_asm!(
        "push {{r4-r11, lr}}",
        "mov r3, r2",
        "ldm.w r1, {{r1, r2, r12, lr}}",
        "2:",
        "ldr r4, [r1], #4",
        "ldr r6, [r2], #4",
        "ldr r8, [r12], #4",
        "ldr r10, [lr], #4",
        "sxtb16 r5, r4, ror #8",
        "sxtb16 r4, r4",
        "sxtb16 r7, r6, ror #8",
        "sxtb16 r6, r6",
        "sxtb16 r9, r8, ror #8",
        "sxtb16 r8, r8",
        "sxtb16 r11, r10, ror #8",
        "sxtb16 r10, r10",
        "stm r0!, {{r4-r11}}",
        "subs r3, #1",
        "bne 2b",
        "pop {{r4-r11, pc}}",
    )
}

impl SparseIsa for ArmDsp {
    #[inline(never)]
    fn place_band(bands: &mut Bands, rows: &[&[i8]]) -> Option<()> {
        let len = rows.first()?.len();
        let fit = (rows.len() == 1 || rows.len() == PIXELS)
            && rows.iter().all(|row| row.len() == len)
            && len <= BAND;
        if !fit {
            return None;
        }
        let widen_them = |to: *mut u32, rows: &[*const i8; PIXELS], count: usize, fours: usize| {
            match count {
                // SAFETY: so many words of the row are there, and `fit` shows that there is room.
                1 => unsafe { widen(to, rows[0], fours) },
                // SAFETY: the same of all rows.
                _ => unsafe { widen_four(to, rows, fours) },
            }
        };
        let mut from = [core::ptr::null(); PIXELS];
        for (from, row) in from.iter_mut().zip(rows) {
            *from = row.as_ptr();
        }
        let (fours, rest) = (len / BLOCK, len % BLOCK);
        let to = bands.words.as_mut_ptr();
        if fours > 0 {
            widen_them(to, &from, rows.len(), fours);
        }
        if rest > 0 {
            let mut last = [[0i8; BLOCK]; PIXELS];
            for (last, row) in last.iter_mut().zip(rows) {
                for (last, &element) in last.iter_mut().zip(row.get(BLOCK * fours..)?) {
                    *last = element;
                }
            }
            let from = last.each_ref().map(|last| last.as_ptr());
            let to = to.wrapping_add(fours * 2 * rows.len());
            widen_them(to, &from, rows.len(), 1);
        }
        Some(())
    }

    #[inline(never)]
    fn add_blocks(
        bands: &Bands,
        pixels: usize,
        cursor: &mut Cursor<'_>,
        bias: Option<&[i32]>,
        sums: &mut Sums,
    ) -> Option<()> {
        let channels = cursor.channels();
        if channels == 0 || bias.is_some_and(|bias| bias.len() < channels) {
            return None;
        }
        let weights = cursor.weights;
        let first = sums.as_mut_ptr();
        let start = bias.map_or(0, |bias| {
            bias.as_ptr()
                .expose_provenance()
                .wrapping_sub(first.expose_provenance())
        });
        let mut group = Group {
            x: bands.words.as_ptr(),
            weights: weights.as_ptr(),
            sums: first,
            end: first.wrapping_add(channels),
            start,
        };
        match pixels {
            // SAFETY: a cursor comes from rows whose maps and blocks have been counted, so those of
            // its group's band are there. A map names blocks of a band, which `Bands` has room for.
            // There are as many sums of each pixel as a group has channels, and as many biases.
            1 => unsafe { sparse_1(&mut group) },
            // SAFETY: the same.
            PIXELS => unsafe { sparse_4(&mut group) },
            _ => return None,
        }
        let read = group.weights.addr() - weights.as_ptr().addr();
        cursor.leave(weights.get(read / size_of::<u16>()..)?);
        Some(())
    }
}
