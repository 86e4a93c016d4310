//! Cortex-M with the DSP extension (M4, M7): two 16-bit products in one instruction.
//!
//! A word of four int8 is widened by two SXTB16 into its even and its odd elements, as two halves
//! each; SMLAD adds both products. Input and weights are taken apart alike, so their order never
//! matters. Words may lie at any address: LDR takes that on these machines.

#![allow(unsafe_code)]

#[cfg(target_abi = "eabihf")]
use core::arch::asm;
use core::arch::naked_asm;

use super::scalar::Scalar;
use super::{CHANNELS, Isa, Runs, Taps2d};
#[cfg(target_abi = "eabihf")]
use crate::numerics::OutputStage;

/// SMLAD and its relatives.
pub(crate) struct ArmDsp;

/// What [`dots_2x2`] and [`dots_1x4`] read and write. The order is the one that they load in.
#[repr(C)]
struct Tile {
    /// Where the rows of input and of weights begin: 2 and 2, or 1 and 4.
    rows: [*const i8; 5],
    sums: [i32; CHANNELS],
    /// Bytes of a run that are multiples of 16, the rest in multiples of 4, and what is left.
    lens: [usize; 3],
    /// From the end of a run to the next run's beginning, of input and of weights.
    skips: [usize; 2],
    count: usize,
}

impl Tile {
    #[inline(always)]
    fn new(runs: &Runs, rows: [*const i8; 5], sums: [i32; CHANNELS]) -> Self {
        Self {
            rows,
            sums,
            lens: [runs.len & !15, runs.len & 12, runs.len & 3],
            skips: [
                runs.x_stride.wrapping_sub(runs.len),
                runs.w_stride.wrapping_sub(runs.len),
            ],
            count: runs.rows,
        }
    }
}

/// Sums of two pixels by two channels: `sums[2 * pixel + channel]`. 1.25 instructions a product.
///
/// # Safety
///
/// All runs of the four rows have to lie inside their slices; `count` is not 0.
#[unsafe(naked)]
unsafe extern "C" fn dots_2x2(tile: &mut Tile) {
    naked_asm!(
        ".macro niwaki_block_2x2",
        "ldr r8, [r0], #4",
        "ldr r10, [r1], #4",
        "ldr r12, [r2], #4",
        "sxtb16 r9, r8, ror #8",
        "sxtb16 r8, r8",
        "sxtb16 r11, r10, ror #8",
        "sxtb16 r10, r10",
        "sxtb16 lr, r12, ror #8",
        "sxtb16 r12, r12",
        "smlad r4, r9, lr, r4",
        "smlad r6, r11, lr, r6",
        "smlad r4, r8, r12, r4",
        "smlad r6, r10, r12, r6",
        "ldr r12, [r3], #4",
        "sxtb16 lr, r12, ror #8",
        "sxtb16 r12, r12",
        "smlad r5, r9, lr, r5",
        "smlad r7, r11, lr, r7",
        "smlad r5, r8, r12, r5",
        "smlad r7, r10, r12, r7",
        ".endm",
        // On the stack: the end of a loop, and the tile.
        "push {{r0, r4-r11, lr}}",
        "sub sp, #4",
        "mov lr, r0",
        "ldm lr!, {{r0-r3}}",
        "adds lr, #4",
        "ldm lr, {{r4-r7}}",
        // A run.
        "2:",
        "ldr lr, [sp, #4]",
        "ldr r8, [lr, #36]",
        "cmp r8, #0",
        "beq 4f",
        "add r8, r0",
        "str r8, [sp]",
        "3:",
        "niwaki_block_2x2",
        "niwaki_block_2x2",
        "niwaki_block_2x2",
        "niwaki_block_2x2",
        "ldr r12, [sp]",
        "cmp r0, r12",
        "bne 3b",
        "ldr lr, [sp, #4]",
        "4:",
        "ldr r8, [lr, #40]",
        "cmp r8, #0",
        "beq 6f",
        "add r8, r0",
        "str r8, [sp]",
        "5:",
        "niwaki_block_2x2",
        "ldr r12, [sp]",
        "cmp r0, r12",
        "bne 5b",
        "ldr lr, [sp, #4]",
        "6:",
        "ldr r8, [lr, #44]",
        "cmp r8, #0",
        "beq 8f",
        "7:",
        "ldrsb r9, [r0], #1",
        "ldrsb r10, [r1], #1",
        "ldrsb r11, [r2], #1",
        "ldrsb r12, [r3], #1",
        "smlabb r4, r9, r11, r4",
        "smlabb r5, r9, r12, r5",
        "smlabb r6, r10, r11, r6",
        "smlabb r7, r10, r12, r7",
        "subs r8, #1",
        "bne 7b",
        "8:",
        "ldr r8, [lr, #56]",
        "subs r8, #1",
        "beq 9f",
        "str r8, [lr, #56]",
        "ldrd r9, r10, [lr, #48]",
        "add r0, r9",
        "add r1, r9",
        "add r2, r10",
        "add r3, r10",
        "b 2b",
        "9:",
        "add lr, #20",
        "stm lr, {{r4-r7}}",
        "add sp, #4",
        "pop {{r0, r4-r11, pc}}",
        ".purgem niwaki_block_2x2",
    )
}

/// Sums of one pixel by four channels. 1.44 instructions a product.
///
/// # Safety
///
/// All runs of the five rows have to lie inside their slices; `count` is not 0.
#[unsafe(naked)]
unsafe extern "C" fn dots_1x4(tile: &mut Tile) {
    naked_asm!(
        ".macro niwaki_column_1x4 weights, sum",
        "ldr r11, [\\weights], #4",
        "sxtb16 r12, r11, ror #8",
        "sxtb16 r11, r11",
        "smlad \\sum, r10, r12, \\sum",
        "smlad \\sum, r9, r11, \\sum",
        ".endm",
        ".macro niwaki_block_1x4",
        "ldr r9, [r0], #4",
        "sxtb16 r10, r9, ror #8",
        "sxtb16 r9, r9",
        "niwaki_column_1x4 r1, r5",
        "niwaki_column_1x4 r2, r6",
        "niwaki_column_1x4 r3, r7",
        "niwaki_column_1x4 r4, r8",
        ".endm",
        // On the stack: the tile.
        "push {{r0, r4-r11, lr}}",
        "mov lr, r0",
        "ldm lr, {{r0-r8}}",
        "2:",
        "ldr r12, [sp]",
        "ldr lr, [r12, #36]",
        "cmp lr, #0",
        "beq 4f",
        "add lr, r0",
        "3:",
        "niwaki_block_1x4",
        "niwaki_block_1x4",
        "niwaki_block_1x4",
        "niwaki_block_1x4",
        "cmp r0, lr",
        "bne 3b",
        "ldr r12, [sp]",
        "4:",
        "ldr lr, [r12, #40]",
        "cmp lr, #0",
        "beq 6f",
        "add lr, r0",
        "5:",
        "niwaki_block_1x4",
        "cmp r0, lr",
        "bne 5b",
        "ldr r12, [sp]",
        "6:",
        "ldr lr, [r12, #44]",
        "cmp lr, #0",
        "beq 8f",
        "7:",
        "ldrsb r9, [r0], #1",
        "ldrsb r10, [r1], #1",
        "smlabb r5, r9, r10, r5",
        "ldrsb r10, [r2], #1",
        "smlabb r6, r9, r10, r6",
        "ldrsb r10, [r3], #1",
        "smlabb r7, r9, r10, r7",
        "ldrsb r10, [r4], #1",
        "smlabb r8, r9, r10, r8",
        "subs lr, #1",
        "bne 7b",
        "8:",
        "ldr lr, [r12, #56]",
        "subs lr, #1",
        "beq 9f",
        "str lr, [r12, #56]",
        "ldrd r9, r10, [r12, #48]",
        "add r0, r9",
        "add r1, r10",
        "add r2, r10",
        "add r3, r10",
        "add r4, r10",
        "b 2b",
        "9:",
        "add r12, #20",
        "stm r12, {{r5-r8}}",
        "pop {{r0, r4-r11, pc}}",
        ".purgem niwaki_block_1x4",
        ".purgem niwaki_column_1x4",
    )
}

/// What [`depthwise_4`] reads and writes.
#[repr(C)]
struct Column {
    x: *const i8,
    w: *const i8,
    /// From a tap of a row to the next.
    x_step: usize,
    w_step: usize,
    sums: [i32; 4],
    /// From the end of a row of taps to the next row.
    x_skip: usize,
    w_skip: usize,
    columns: usize,
    rows: usize,
}

/// Sums of four channels of a depthwise window.
///
/// # Safety
///
/// All taps have to lie inside their slices; `rows` and `columns` are not 0.
#[unsafe(naked)]
unsafe extern "C" fn depthwise_4(column: &mut Column) {
    naked_asm!(
        ".macro niwaki_tap",
        "sxtb16 r9, r8, ror #8",
        "sxtb16 r8, r8",
        "sxtb16 r11, r10, ror #8",
        "sxtb16 r10, r10",
        "smlabb r4, r8, r10, r4",
        "smlabb r5, r9, r11, r5",
        "smlatt r6, r8, r10, r6",
        "smlatt r7, r9, r11, r7",
        ".endm",
        "push {{r0, r4-r11, lr}}",
        "mov r12, r0",
        "ldm r12, {{r0-r7}}",
        "2:",
        "ldr lr, [r12, #40]",
        "cmp lr, #3",
        "bne 3f",
        // Three taps, the usual: strides in the addresses, no loop.
        "ldr r8, [r0]",
        "ldr r10, [r1]",
        "niwaki_tap",
        "ldr r8, [r0, r2]",
        "ldr r10, [r1, r3]",
        "niwaki_tap",
        "ldr r8, [r0, r2, lsl #1]",
        "ldr r10, [r1, r3, lsl #1]",
        "niwaki_tap",
        "add r0, r2",
        "add r1, r3",
        "add r0, r0, r2, lsl #1",
        "add r1, r1, r3, lsl #1",
        "b 4f",
        "3:",
        "ldr r8, [r0]",
        "ldr r10, [r1]",
        "add r0, r2",
        "add r1, r3",
        "niwaki_tap",
        "subs lr, #1",
        "bne 3b",
        "4:",
        "ldr lr, [r12, #44]",
        "subs lr, #1",
        "beq 5f",
        "str lr, [r12, #44]",
        "ldrd r8, r9, [r12, #32]",
        "add r0, r8",
        "add r1, r9",
        "b 2b",
        "5:",
        "add r12, #16",
        "stm r12, {{r4-r7}}",
        "pop {{r0, r4-r11, pc}}",
        ".purgem niwaki_tap",
    )
}

impl Isa for ArmDsp {
    #[inline(always)]
    fn dots<const P: usize>(
        runs: &Runs,
        x: [&[i8]; P],
        w: [&[i8]; CHANNELS],
        sums: &mut [[i32; CHANNELS]; P],
    ) -> Option<()> {
        if runs.rows == 0 || runs.len == 0 {
            return Some(());
        }
        if !runs.fit(&x, &w) {
            return None;
        }
        let [w0, w1, w2, w3] = w.map(<[i8]>::as_ptr);
        if let ([x0, x1], [first, second]) = (&x[..], &mut sums[..]) {
            let [x0, x1] = [x0.as_ptr(), x1.as_ptr()];
            for (c, [w0, w1]) in [[w0, w1], [w2, w3]].into_iter().enumerate() {
                let c = 2 * c;
                let pair = |sums: &[i32; CHANNELS]| Some([*sums.get(c)?, *sums.get(c + 1)?]);
                let [[a, b], [d, e]] = [pair(first)?, pair(second)?];
                let mut tile = Tile::new(runs, [x0, x1, w0, w1, w1], [a, b, d, e]);
                // SAFETY: `fit` has shown that every run lies inside all four slices, and there
                // is at least one of at least one element.
                unsafe { dots_2x2(&mut tile) };
                let [a, b, d, e] = tile.sums;
                first.get_mut(c..c + 2)?.copy_from_slice(&[a, b]);
                second.get_mut(c..c + 2)?.copy_from_slice(&[d, e]);
            }
            return Some(());
        }
        for (x, sums) in x.iter().zip(sums) {
            let mut tile = Tile::new(runs, [x.as_ptr(), w0, w1, w2, w3], *sums);
            // SAFETY: as above, for five slices.
            unsafe { dots_1x4(&mut tile) };
            *sums = tile.sums;
        }
        Some(())
    }

    #[inline(always)]
    fn depthwise(taps: &Taps2d, x: &[i8], w: &[i8], sums: &mut [i32]) -> Option<()> {
        if taps.rows == 0 || taps.columns == 0 {
            return Some(());
        }
        let mut start = 0;
        let mut fours = sums.chunks_exact_mut(4);
        for sums in &mut fours {
            let (x, w) = (x.get(start..)?, w.get(start..)?);
            if !taps.fit(4, x.len(), w.len()) {
                return None;
            }
            let [x_stride, x_step] = taps.x_stride;
            let [w_stride, w_step] = taps.w_stride;
            let mut column = Column {
                x: x.as_ptr(),
                w: w.as_ptr(),
                x_step,
                w_step,
                sums: *sums.first_chunk()?,
                x_skip: x_stride.wrapping_sub(x_step.wrapping_mul(taps.columns)),
                w_skip: w_stride.wrapping_sub(w_step.wrapping_mul(taps.columns)),
                columns: taps.columns,
                rows: taps.rows,
            };
            // SAFETY: `fit` has shown that four bytes at every tap lie inside both slices, and
            // there is at least one tap.
            unsafe { depthwise_4(&mut column) };
            *sums.first_chunk_mut()? = column.sums;
            start += 4;
        }
        let rest = fours.into_remainder();
        if rest.is_empty() {
            return Some(());
        }
        Scalar::depthwise(taps, x.get(start..)?, w.get(start..)?, rest)
    }

    /// With an FPU, whose conversion rounds and saturates by itself.
    #[cfg(target_abi = "eabihf")]
    #[inline(always)]
    fn requantize(stage: &OutputStage, sum: i32, multiplier: f32) -> i8 {
        let rounded: i32;
        // SAFETY: it reads two registers and writes three. The rounding is the FPU's, to nearest,
        // half to even, as in every product and sum here. The product is not NaN. All of it is
        // written out because operands cannot be FPU registers: the compiler has no stable name
        // for the feature that it wants for them.
        unsafe {
            asm!(
                "vmov s14, s15, {sum}, {multiplier}",
                "vcvt.f32.s32 s14, s14",
                "vmul.f32 s14, s14, s15",
                "vcvtr.s32.f32 s14, s14",
                "vmov {rounded}, s14",
                sum = in(reg) sum,
                multiplier = in(reg) multiplier.to_bits(),
                rounded = lateout(reg) rounded,
                out("s14") _,
                out("s15") _,
                options(pure, nomem, nostack, preserves_flags),
            );
        }
        stage.saturate(rounded)
    }
}
