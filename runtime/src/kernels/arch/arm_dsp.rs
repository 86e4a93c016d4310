//! Cortex-M with the DSP extension (M4, M7): two 16-bit products in one instruction.
//!
//! A word of four int8 is widened by two SXTB16 into its even and its odd elements, as two halves
//! each; SMLAD adds both products. Input and weights are taken apart alike, so their order never
//! matters. Windows are widened once and kept so: four elements of every pixel, in two words each,
//! then the next four. Words of int8 may lie at any address: LDR takes that on these machines.

#![allow(unsafe_code)]

use core::arch::naked_asm;
use core::ops::Range;

use super::scalar::Scalar;
use super::{Filters, Isa, Multiplies, PIXELS, SUMS, Taps2d, WORDS, Wide, Windows};
#[cfg(target_abi = "eabihf")]
use crate::numerics::OutputStage;

/// SMLAD and its relatives.
pub(crate) struct ArmDsp;

/// What [`products_2x2`], [`products_1x4`] and [`products_1x2`] read and write.
#[repr(C, align(8))]
struct Tiles {
    /// Widened windows.
    x: *const u32,
    sums: *mut i32,
    /// Where the loop over steps of four or eight elements is entered, in bytes from its fourth step
    /// back, and where the windows end, without the step that is not whole.
    entry: usize,
    x_end: *const u32,
    /// From the end of a channel's weights to those of the channel that takes its place.
    skip: usize,
    /// The end of the sums of the first pixel.
    end: *mut i32,
    /// Where the weights of the channels of the first tile begin: of two, or of four.
    w: [*const i8; 4],
    /// Bits of a word of weights that are no elements in the last step, which is not whole; 0 if all
    /// are.
    unused: usize,
}

/// Bytes of code of a step of [`products_2x2`], of instructions that all have four.
const STEP_2X2: usize = 15 * 4;
/// The same of [`products_1x4`].
const STEP_1X4: usize = 21 * 4;
/// The same of [`products_1x2`].
const STEP_1X2: usize = 19 * 4;

/// Adds the products of two pixels and two channels, tile after tile. 0.94 instructions a product.
///
/// # Safety
///
/// The windows have to be as long as `x_end` and `unused` say, with at least one whole step. The
/// weights and sums of every tile have to lie inside their slices; there is at least one tile.
#[unsafe(naked)]
unsafe extern "C" fn products_2x2(tiles: &mut Tiles) {
    naked_asm!(
        ".macro niwaki_column_2x2 first, second",
        "sxtb16 r12, r3",
        "sxtb16 r3, r3, ror #8",
        "smlad \\first, r8, r12, \\first",
        "smlad \\second, r10, r12, \\second",
        "smlad \\first, r9, r3, \\first",
        "smlad \\second, r11, r3, \\second",
        ".endm",
        ".macro niwaki_step_2x2",
        "ldm.w r0!, {{r8-r11}}",
        "ldr.w r3, [r1], #4",
        "niwaki_column_2x2 r4, r6",
        "ldr.w r3, [r2], #4",
        "niwaki_column_2x2 r5, r7",
        ".endm",
        // On the stack: the tiles.
        "push {{r0, r4-r11, lr}}",
        "mov lr, r0",
        "ldrd r1, r2, [lr, #24]",
        "2:",
        "ldrd r0, r3, [lr]",
        "ldrd r4, r5, [r3]",
        "ldrd r6, r7, [r3, #{pitch}]",
        "ldrd r12, lr, [lr, #8]",
        "add pc, r12",
        "nop",
        "3:",
        "niwaki_step_2x2",
        "niwaki_step_2x2",
        "niwaki_step_2x2",
        "niwaki_step_2x2",
        "cmp r0, lr",
        "bne.w 3b",
        "ldr lr, [sp]",
        "ldr r3, [lr, #40]",
        "cbnz r3, 5f",
        "4:",
        "ldr r3, [lr, #4]",
        "ldrd r8, r9, [lr, #16]",
        "strd r6, r7, [r3, #{pitch}]",
        "strd r4, r5, [r3], #8",
        "str r3, [lr, #4]",
        "add r1, r8",
        "add r2, r8",
        "cmp r3, r9",
        "bne 2b",
        "pop {{r0, r4-r11, pc}}",
        // The word that ends with the last element, shifted until that is all of it: zeros are left
        // for what stands behind the window.
        "5:",
        "mov lr, r3",
        "ldm r0, {{r8-r11}}",
        "add r1, r1, #4",
        "sub r1, r1, lr, lsr #3",
        "ldr r3, [r1, #-4]",
        "lsr r3, r3, lr",
        "niwaki_column_2x2 r4, r6",
        "add r2, r2, #4",
        "sub r2, r2, lr, lsr #3",
        "ldr r3, [r2, #-4]",
        "lsr r3, r3, lr",
        "niwaki_column_2x2 r5, r7",
        "ldr lr, [sp]",
        "b 4b",
        ".purgem niwaki_step_2x2",
        ".purgem niwaki_column_2x2",
        pitch = const SUMS / 2 * size_of::<i32>(),
    )
}

/// Adds the products of one pixel and four channels, tile after tile. 1.31 instructions a product.
///
/// # Safety
///
/// As for [`products_2x2`].
#[unsafe(naked)]
unsafe extern "C" fn products_1x4(tiles: &mut Tiles) {
    naked_asm!(
        ".macro niwaki_column_1x4 sum",
        "sxtb16 r12, r11",
        "sxtb16 r11, r11, ror #8",
        "smlad \\sum, r8, r12, \\sum",
        "smlad \\sum, r9, r11, \\sum",
        ".endm",
        ".macro niwaki_step_1x4",
        "ldrd r8, r9, [r0], #8",
        "ldr.w r11, [r1], #4",
        "niwaki_column_1x4 r4",
        "ldr.w r11, [r2], #4",
        "niwaki_column_1x4 r5",
        "ldr.w r11, [r3], #4",
        "niwaki_column_1x4 r6",
        "ldr.w r11, [r10], #4",
        "niwaki_column_1x4 r7",
        ".endm",
        ".macro niwaki_tail_1x4 weights, sum",
        "add \\weights, \\weights, #4",
        "sub \\weights, \\weights, lr, lsr #3",
        "ldr r11, [\\weights, #-4]",
        "lsr r11, r11, lr",
        "niwaki_column_1x4 \\sum",
        ".endm",
        // On the stack: the tiles.
        "push {{r0, r4-r11, lr}}",
        "mov lr, r0",
        "ldrd r1, r2, [lr, #24]",
        "ldrd r3, r10, [lr, #32]",
        "2:",
        "ldrd r0, r12, [lr]",
        "ldm r12, {{r4-r7}}",
        "ldrd r12, lr, [lr, #8]",
        "add pc, r12",
        "nop",
        "3:",
        "niwaki_step_1x4",
        "niwaki_step_1x4",
        "niwaki_step_1x4",
        "niwaki_step_1x4",
        "cmp r0, lr",
        "bne.w 3b",
        "ldr lr, [sp]",
        "ldr r12, [lr, #40]",
        "cmp r12, #0",
        "bne 5f",
        "4:",
        "ldr r12, [lr, #4]",
        "ldrd r8, r9, [lr, #16]",
        "stm r12!, {{r4-r7}}",
        "str r12, [lr, #4]",
        "add r1, r8",
        "add r2, r8",
        "add r3, r8",
        "add r10, r8",
        "cmp r12, r9",
        "bne 2b",
        "pop {{r0, r4-r11, pc}}",
        "5:",
        "mov lr, r12",
        "ldrd r8, r9, [r0]",
        "niwaki_tail_1x4 r1, r4",
        "niwaki_tail_1x4 r2, r5",
        "niwaki_tail_1x4 r3, r6",
        "niwaki_tail_1x4 r10, r7",
        "ldr lr, [sp]",
        "b 4b",
        ".purgem niwaki_step_1x4",
        ".purgem niwaki_column_1x4",
        ".purgem niwaki_tail_1x4",
    )
}

/// Adds the products of one pixel and two channels, tile after tile, eight elements a step. LDRD brings
/// the weights of a step, which has to be told that they lie at multiples of four. 1.19 instructions a
/// product.
///
/// # Safety
///
/// As for [`products_2x2`]. The windows are whole steps of eight elements, and the weights of every channel
/// begin at a multiple of four bytes.
#[unsafe(naked)]
unsafe extern "C" fn products_1x2(tiles: &mut Tiles) {
    naked_asm!(
        ".macro niwaki_column_1x2 weights, sum",
        "ldrd r10, r11, [\\weights], #8",
        "sxtb16 r12, r10",
        "sxtb16 r10, r10, ror #8",
        "smlad \\sum, r6, r12, \\sum",
        "smlad \\sum, r7, r10, \\sum",
        "sxtb16 r12, r11",
        "sxtb16 r11, r11, ror #8",
        "smlad \\sum, r8, r12, \\sum",
        "smlad \\sum, r9, r11, \\sum",
        ".endm",
        ".macro niwaki_step_1x2",
        "ldm.w r0!, {{r6-r9}}",
        "niwaki_column_1x2 r1, r4",
        "niwaki_column_1x2 r2, r5",
        ".endm",
        // On the stack: the tiles.
        "push {{r0, r4-r11, lr}}",
        "mov lr, r0",
        "ldrd r1, r2, [lr, #24]",
        "ldr r3, [lr, #4]",
        "2:",
        "ldr r0, [lr]",
        "ldrd r4, r5, [r3]",
        "ldrd r12, lr, [lr, #8]",
        "add pc, r12",
        "nop",
        "3:",
        "niwaki_step_1x2",
        "niwaki_step_1x2",
        "niwaki_step_1x2",
        "niwaki_step_1x2",
        "cmp r0, lr",
        "bne.w 3b",
        "ldr lr, [sp]",
        "ldrd r8, r9, [lr, #16]",
        "strd r4, r5, [r3], #8",
        "add r1, r8",
        "add r2, r8",
        "cmp r3, r9",
        "bne 2b",
        "pop {{r0, r4-r11, pc}}",
        ".purgem niwaki_step_1x2",
        ".purgem niwaki_column_1x2",
    )
}

/// What [`wide_2x2`] and [`wide_1x4`] read, in the order that they take it off.
#[repr(C)]
struct WideTiles {
    /// Widened windows.
    x: *const u32,
    sums: *mut i32,
    /// Where the loop over steps of four elements is entered, in bytes from its eighth step back, and
    /// where the windows end, rounded up to whole steps.
    entry: usize,
    x_end: *const u32,
    /// From the end of a pair's weights to those of the pair that takes its place.
    skip: usize,
    /// The end of the sums of the first pixel.
    end: *mut i32,
    /// Where the weights of the pairs of channels of the first tile begin: of one, or of two.
    w: [*const Wide; 2],
}

/// As [`STEP_2X2`], of [`wide_2x2`].
const WIDE_STEP_2X2: usize = 10 * 4;
/// The same of [`wide_1x4`].
const WIDE_STEP_1X4: usize = 11 * 4;

/// Adds the products of two pixels and two channels, tile after tile, with weights that are widened.
/// 0.65 instructions a product.
///
/// # Safety
///
/// The windows have to reach to `x_end`, with at least one step; the weights and sums of every tile
/// have to lie inside their slices; there is at least one tile.
#[unsafe(naked)]
unsafe extern "C" fn wide_2x2(tiles: &WideTiles) {
    naked_asm!(
        ".macro niwaki_step_wide_2x2",
        "ldm.w r0!, {{r6-r9}}",
        "ldm.w r1!, {{r10-r12, lr}}",
        "smlad r2, r6, r10, r2",
        "smlad r3, r6, r12, r3",
        "smlad r4, r8, r10, r4",
        "smlad r5, r8, r12, r5",
        "smlad r2, r7, r11, r2",
        "smlad r3, r7, lr, r3",
        "smlad r4, r9, r11, r4",
        "smlad r5, r9, lr, r5",
        ".endm",
        "push {{r4-r11, lr}}",
        // The tiles go on the stack: the loop needs every register.
        "ldm r0, {{r2-r8}}",
        "push {{r2-r7}}",
        "mov r1, r8",
        "2:",
        "ldrd r0, r12, [sp]",
        "ldrd r2, r3, [r12]",
        "ldrd r4, r5, [r12, #{pitch}]",
        "ldr r12, [sp, #8]",
        "add pc, r12",
        "nop",
        // Eight steps, as the end of the windows has no register and costs three instructions.
        "3:",
        "niwaki_step_wide_2x2",
        "niwaki_step_wide_2x2",
        "niwaki_step_wide_2x2",
        "niwaki_step_wide_2x2",
        "niwaki_step_wide_2x2",
        "niwaki_step_wide_2x2",
        "niwaki_step_wide_2x2",
        "niwaki_step_wide_2x2",
        "ldr r6, [sp, #12]",
        "cmp r0, r6",
        "bne.w 3b",
        "ldr r12, [sp, #4]",
        "ldrd r6, r7, [sp, #16]",
        "strd r4, r5, [r12, #{pitch}]",
        "strd r2, r3, [r12], #8",
        "str r12, [sp, #4]",
        "add r1, r6",
        "cmp r12, r7",
        "bne 2b",
        "add sp, #24",
        "pop {{r4-r11, pc}}",
        ".purgem niwaki_step_wide_2x2",
        pitch = const SUMS / 2 * size_of::<i32>(),
    )
}

/// Adds the products of one pixel and four channels, tile after tile, with weights that are widened.
/// 0.70 instructions a product.
///
/// # Safety
///
/// As for [`wide_2x2`].
#[unsafe(naked)]
unsafe extern "C" fn wide_1x4(tiles: &WideTiles) {
    naked_asm!(
        ".macro niwaki_step_wide_1x4",
        "ldrd r6, r7, [r0], #8",
        "ldm.w r1!, {{r8-r11}}",
        "smlad r2, r6, r8, r2",
        "smlad r3, r6, r10, r3",
        "smlad r2, r7, r9, r2",
        "smlad r3, r7, r11, r3",
        "ldm.w r12!, {{r8-r11}}",
        "smlad r4, r6, r8, r4",
        "smlad r5, r6, r10, r5",
        "smlad r4, r7, r9, r4",
        "smlad r5, r7, r11, r5",
        ".endm",
        "push {{r4-r11, lr}}",
        "ldm r0, {{r2-r9}}",
        "push {{r2-r7}}",
        "mov r1, r8",
        "mov r12, r9",
        "2:",
        "ldrd r0, r6, [sp]",
        "ldm r6, {{r2-r5}}",
        "ldrd r6, lr, [sp, #8]",
        "add pc, r6",
        "nop",
        "3:",
        "niwaki_step_wide_1x4",
        "niwaki_step_wide_1x4",
        "niwaki_step_wide_1x4",
        "niwaki_step_wide_1x4",
        "niwaki_step_wide_1x4",
        "niwaki_step_wide_1x4",
        "niwaki_step_wide_1x4",
        "niwaki_step_wide_1x4",
        "cmp r0, lr",
        "bne.w 3b",
        "ldr r6, [sp, #4]",
        "ldrd r8, r9, [sp, #16]",
        "stm r6!, {{r2-r5}}",
        "str r6, [sp, #4]",
        "add r1, r8",
        "add r12, r8",
        "cmp r6, r9",
        "bne 2b",
        "add sp, #24",
        "pop {{r4-r11, pc}}",
        ".purgem niwaki_step_wide_1x4",
    )
}

/// Copies words, each to two places. 0.6 instructions a word.
///
/// # Safety
///
/// `count` words have to be there at all three. It is a multiple of 4.
#[unsafe(naked)]
unsafe extern "C" fn copy_twice(to: *mut i32, too: *mut i32, from: *const i32, count: usize) {
    naked_asm!(
        "push {{r4-r11}}",
        "subs r3, #8",
        "blo 3f",
        "2:",
        "ldm r2!, {{r4-r11}}",
        "stm r0!, {{r4-r11}}",
        "stm r1!, {{r4-r11}}",
        "subs r3, #8",
        "bhs 2b",
        "3:",
        "adds r3, #8",
        "beq 4f",
        "ldm r2, {{r4-r7}}",
        "stm r0, {{r4-r7}}",
        "stm r1, {{r4-r7}}",
        "4:",
        "pop {{r4-r11}}",
        "bx lr",
    )
}

/// What [`depthwise_fours`] reads and writes.
#[repr(C, align(8))]
struct Columns {
    x: *const i8,
    w: *const i8,
    /// From a tap of a row to the next.
    x_step: usize,
    w_step: usize,
    unused: [usize; 2],
    columns: usize,
    rows: usize,
    sums: *mut i32,
    end: *mut i32,
    /// From a row of taps to the next.
    x_row: usize,
    w_row: usize,
}

/// Adds the products of a depthwise window, four channels at a time.
///
/// # Safety
///
/// All taps of all channels have to lie inside their slices; `rows` and `columns` are not 0, and
/// there are at least four channels.
#[unsafe(naked)]
unsafe extern "C" fn depthwise_fours(columns: &mut Columns) {
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
        ".macro niwaki_row_1",
        "ldr r8, [r0]",
        "ldr r10, [r1]",
        "niwaki_tap",
        ".endm",
        ".macro niwaki_row_2",
        "niwaki_row_1",
        "ldr r8, [r0, r2]",
        "ldr r10, [r1, r3]",
        "niwaki_tap",
        ".endm",
        ".macro niwaki_row_3",
        "niwaki_row_2",
        "ldr r8, [r0, r2, lsl #1]",
        "ldr r10, [r1, r3, lsl #1]",
        "niwaki_tap",
        ".endm",
        // On the stack: rows that are left, from a row to the next, the columns.
        "push {{r0, r4-r11, lr}}",
        "sub sp, #8",
        "2:",
        "mov r12, r0",
        "ldr r8, [r12, #32]",
        "ldm r8, {{r4-r7}}",
        "ldrd lr, r8, [r12, #24]",
        "ldrd r9, r10, [r12, #40]",
        "ldm r12, {{r0-r3}}",
        "cmp lr, #3",
        "bne 4f",
        "cmp r8, #3",
        "bne 3f",
        // Three by three, the usual: strides in the addresses, no loop.
        "mov lr, r9",
        "mov r12, r10",
        "niwaki_row_3",
        "add r0, lr",
        "add r1, r12",
        "niwaki_row_3",
        "add r0, lr",
        "add r1, r12",
        "niwaki_row_3",
        "b 8f",
        // Rows of three.
        "3:",
        "mov lr, r8",
        "mov r12, r10",
        "str r9, [sp, #4]",
        "10:",
        "niwaki_row_3",
        "subs lr, #1",
        "beq 8f",
        "ldr r8, [sp, #4]",
        "add r0, r8",
        "add r1, r12",
        "b 10b",
        "4:",
        "cmp lr, #2",
        "bne 5f",
        // Rows of two.
        "mov lr, r8",
        "mov r12, r10",
        "str r9, [sp, #4]",
        "11:",
        "niwaki_row_2",
        "subs lr, #1",
        "beq 8f",
        "ldr r8, [sp, #4]",
        "add r0, r8",
        "add r1, r12",
        "b 11b",
        "5:",
        "cmp lr, #1",
        "bne 5f",
        // Rows of one.
        "mov lr, r8",
        "mov r12, r10",
        "str r9, [sp, #4]",
        "12:",
        "niwaki_row_1",
        "subs lr, #1",
        "beq 8f",
        "ldr r8, [sp, #4]",
        "add r0, r8",
        "add r1, r12",
        "b 12b",
        // Any other rows.
        "5:",
        "strd r8, r9, [sp]",
        "mov r12, r10",
        "6:",
        "ldr lr, [sp, #8]",
        "ldr lr, [lr, #24]",
        "push {{r0, r1}}",
        "7:",
        "ldr r8, [r0]",
        "ldr r10, [r1]",
        "add r0, r2",
        "add r1, r3",
        "niwaki_tap",
        "subs lr, #1",
        "bne 7b",
        "pop {{r0, r1}}",
        "ldrd lr, r8, [sp]",
        "add r0, r8",
        "add r1, r12",
        "subs lr, #1",
        "str lr, [sp]",
        "bne 6b",
        "8:",
        "ldr r0, [sp, #8]",
        "ldrd r8, r9, [r0, #32]",
        "stm r8!, {{r4-r7}}",
        "str r8, [r0, #32]",
        "ldrd r1, r2, [r0]",
        "add r1, #4",
        "add r2, #4",
        "strd r1, r2, [r0]",
        "cmp r8, r9",
        "bne 2b",
        "add sp, #8",
        "pop {{r0, r4-r11, pc}}",
        ".purgem niwaki_row_1",
        ".purgem niwaki_row_2",
        ".purgem niwaki_row_3",
        ".purgem niwaki_tap",
    )
}

/// Rescales sums to int8, four at a time. 7.8 instructions an output.
///
/// The rounding is the FPU's, to nearest, half to even, as in every product and sum here; its
/// conversions saturate. `bounds` is the clamp: the lower one four times, then the upper one.
///
/// # Safety
///
/// `count` sums, multipliers and outputs have to be there. It is a multiple of four, and not 0.
#[cfg(target_abi = "eabihf")]
#[unsafe(naked)]
unsafe extern "C" fn requantize_fours(
    sums: *const i32,
    multipliers: *const f32,
    y: *mut i8,
    count: usize,
    zero_point: i32,
    bounds: &[[i8; 4]; 2],
) {
    naked_asm!(
        // The assembler does not know by itself what the target has.
        ".fpu fpv4-sp-d16",
        "push {{r4-r10, lr}}",
        "ldrd r12, lr, [sp, #32]",
        "ldrd r8, r9, [lr]",
        "mov r10, r3",
        // 0 where the clamp is int8's own.
        "eor r3, r8, #0x80808080",
        "eor r4, r9, #0x7f7f7f7f",
        "orr r3, r4",
        "2:",
        "vldm r0!, {{s0-s3}}",
        "vldm r1!, {{s4-s7}}",
        "vcvt.f32.s32 s0, s0",
        "vcvt.f32.s32 s1, s1",
        "vcvt.f32.s32 s2, s2",
        "vcvt.f32.s32 s3, s3",
        "vmul.f32 s0, s0, s4",
        "vmul.f32 s1, s1, s5",
        "vmul.f32 s2, s2, s6",
        "vmul.f32 s3, s3, s7",
        "vcvtr.s32.f32 s0, s0",
        "vcvtr.s32.f32 s1, s1",
        "vcvtr.s32.f32 s2, s2",
        "vcvtr.s32.f32 s3, s3",
        "vmov r4, r5, s0, s1",
        "vmov r6, r7, s2, s3",
        "qadd r4, r4, r12",
        "qadd r5, r5, r12",
        "qadd r6, r6, r12",
        "qadd r7, r7, r12",
        "ssat r4, #8, r4",
        "ssat r5, #8, r5",
        "ssat r6, #8, r6",
        "ssat r7, #8, r7",
        "bfi r4, r5, #8, #8",
        "bfi r6, r7, #8, #8",
        "pkhbt r4, r4, r6, lsl #16",
        "cbz r3, 3f",
        // The greater of each byte and the lower bound, the smaller of that and the upper one.
        "ssub8 r5, r4, r8",
        "sel r4, r4, r8",
        "ssub8 r5, r9, r4",
        "sel r4, r4, r9",
        "3:",
        "str r4, [r2], #4",
        "subs r10, #4",
        "bne 2b",
        "pop {{r4-r10, pc}}",
    )
}

/// Widens words of four int8, each to two words. 1.1 instructions an element.
///
/// # Safety
///
/// `fours` words of input have to be there, and of output as many pairs. It is not 0.
#[unsafe(naked)]
pub(super) unsafe extern "C" fn widen(to: *mut u32, from: *const i8, fours: usize) {
    naked_asm!(
        "push {{r4, r5}}",
        "lsrs r3, r2, #1",
        "beq 3f",
        "2:",
        "ldr r4, [r1], #4",
        "sxtb16 r5, r4, ror #8",
        "sxtb16 r4, r4",
        "strd r4, r5, [r0], #8",
        "ldr r4, [r1], #4",
        "sxtb16 r5, r4, ror #8",
        "sxtb16 r4, r4",
        "strd r4, r5, [r0], #8",
        "subs r3, #1",
        "bne 2b",
        "3:",
        "lsls r2, r2, #31",
        "beq 4f",
        "ldr r4, [r1]",
        "sxtb16 r5, r4, ror #8",
        "sxtb16 r4, r4",
        "strd r4, r5, [r0]",
        "4:",
        "pop {{r4, r5}}",
        "bx lr",
    )
}

/// The same of two inputs in turns. 1 instruction an element.
///
/// # Safety
///
/// `fours` words of both inputs have to be there, and of output as many pairs for each. It is not 0.
#[unsafe(naked)]
unsafe extern "C" fn widen_two(to: *mut u32, from: *const i8, second: *const i8, fours: usize) {
    naked_asm!(
        ".macro niwaki_widen",
        "ldr r4, [r1], #4",
        "ldr r6, [r2], #4",
        "sxtb16 r5, r4, ror #8",
        "sxtb16 r4, r4",
        "sxtb16 r7, r6, ror #8",
        "sxtb16 r6, r6",
        "stm r0!, {{r4-r7}}",
        ".endm",
        "push {{r4-r7}}",
        "lsrs r12, r3, #1",
        "beq 3f",
        "2:",
        "niwaki_widen",
        "niwaki_widen",
        "subs r12, #1",
        "bne 2b",
        "3:",
        "lsls r3, r3, #31",
        "beq 4f",
        "niwaki_widen",
        "4:",
        "pop {{r4-r7}}",
        "bx lr",
        ".purgem niwaki_widen",
    )
}

impl ArmDsp {
    /// Index of an element of a window among the halves of all windows.
    #[inline(always)]
    fn half(pixels: usize, pixel: usize, at: usize) -> usize {
        // Elements 0, 2, 1, 3.
        let within = ((at & 1) << 1) | ((at >> 1) & 1);
        (at & !3) * pixels + 4 * pixel + within
    }

    /// The products of pieces of less than four weights, which the assembly cannot read as words.
    #[inline(never)]
    fn short_products(
        windows: &Windows,
        pixels: usize,
        filters: &Filters<'_>,
        channels: Range<usize>,
        piece: Range<usize>,
        sums: &mut [i32; SUMS],
    ) -> Option<()> {
        let halves: &[i16] = bytemuck::cast_slice(&windows.words);
        let sums = sums.chunks_exact_mut(SUMS.checked_div(pixels)?.max(1));
        for (pixel, sums) in sums.enumerate() {
            for (channel, sum) in channels.clone().zip(sums) {
                let row = channel * filters.len;
                let weights = filters.weights.get(row + piece.start..row + piece.end)?;
                for (at, &w) in weights.iter().enumerate() {
                    let x = *halves.get(Self::half(pixels, pixel, at))?;
                    *sum = sum.wrapping_add(i32::from(x) * i32::from(w));
                }
            }
        }
        Some(())
    }
}

impl Isa for ArmDsp {
    const ELEMENT: usize = 2;
    const ALIGN: u32 = 4;

    // Not inlined, as are all that are called for many elements at a time: less code, less stack.
    #[inline(never)]
    fn place(windows: &mut Windows, at: usize, runs: &[&[i8]]) -> Option<()> {
        let (pixels, first) = (runs.len(), *runs.first()?);
        // The second pixel, or the same again.
        let second = runs.get(1).copied().unwrap_or(first);
        let words = windows.words.get_mut(at / 2 * pixels..)?;
        let (fours, rest) = (first.len() / 4, first.len() % 4);
        let fit = pixels <= PIXELS
            && second.len() == first.len()
            && at.is_multiple_of(4)
            && (fours + usize::from(rest > 0)) * 2 * pixels <= words.len();
        if !fit {
            return None;
        }
        let widen_them = |to: *mut u32, from: *const i8, second: *const i8, fours: usize| {
            match pixels {
                // SAFETY: so many words of the run are there, and room for two words of each.
                1 => unsafe { widen(to, from, fours) },
                // SAFETY: so many words of both runs are there, and room for two words of each.
                _ => unsafe { widen_two(to, from, second, fours) },
            }
        };
        let to = words.as_mut_ptr();
        if fours > 0 {
            widen_them(to, first.as_ptr(), second.as_ptr(), fours);
        }
        if rest > 0 {
            let mut last = [[0i8; 4]; 2];
            for (last, run) in last.iter_mut().zip([first, second]) {
                for (last, &element) in last.iter_mut().zip(run.get(4 * fours..)?) {
                    *last = element;
                }
            }
            let [first, second] = last.each_ref().map(|last| last.as_ptr());
            widen_them(to.wrapping_add(fours * 2 * pixels), first, second, 1);
        }
        Some(())
    }

    #[inline(always)]
    fn begin(bias: &[i32], pixels: usize, sums: &mut [i32; SUMS]) -> Option<()> {
        let (fours, rest) = bias.split_at(bias.len() & !3);
        let pitch = SUMS.checked_div(pixels)?;
        if pixels > PIXELS || bias.len() > pitch {
            return None;
        }
        // The second pixel, or the same again.
        let second = if pixels == 2 { pitch } else { 0 };
        let to = sums.as_mut_ptr();
        // SAFETY: there are as many sums of each pixel as biases at least.
        unsafe { copy_twice(to, to.wrapping_add(second), fours.as_ptr(), fours.len()) };
        for sums in sums.chunks_exact_mut(pitch) {
            for (sum, &bias) in sums.iter_mut().skip(fours.len()).zip(rest) {
                *sum = bias;
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
        let len = piece.len();
        if len < 4 {
            return Self::short_products(windows, pixels, filters, channels, piece, sums);
        }
        let weights = filters.weights;
        let row = weights.as_ptr().wrapping_add(piece.start);
        // Whole steps of eight, at addresses that LDRD takes.
        let eights = len.is_multiple_of(8) && (row.addr() | filters.len).is_multiple_of(4);
        // Two pixels by two channels, or one by two or four. No division: it is a function on some
        // machines and slow on the others.
        let (wide, pitch, room, steps, step) = match pixels {
            1 if eights => (2, SUMS, WORDS * 2, len / 8, STEP_1X2),
            1 => (4, SUMS, WORDS * 2, len / 4, STEP_1X4),
            2 => (2, SUMS / 2, WORDS, len / 4, STEP_2X2),
            _ => return None,
        };
        let fits = len <= room
            && channels.len() <= pitch
            && piece.end <= filters.len
            && channels.end.checked_mul(filters.len)? <= weights.len();
        if !fits || channels.is_empty() {
            return None;
        }
        let x = windows.words.as_ptr();
        let mut tiles = Tiles {
            x,
            sums: sums.as_mut_ptr(),
            entry: (4 - steps % 4) % 4 * step,
            x_end: x.wrapping_add((len & !3) / 2 * pixels),
            skip: wide * filters.len - len,
            end: sums.as_mut_ptr(),
            w: [row; 4],
            unused: (4 - len % 4) % 4 * 8,
        };
        let mut run = |w: [usize; 4], at: usize, count: usize| {
            tiles.w = w.map(|channel| row.wrapping_add(channel * filters.len));
            tiles.sums = sums.as_mut_ptr().wrapping_add(at);
            tiles.end = tiles.sums.wrapping_add(count);
            // `fits` has shown that the windows hold `len` elements, rounded up to a
            // multiple of four, which is at least one; that the weights of all channels are there up
            // to `piece.end`; and that there are as many sums as channels, rounded up to a multiple of
            // four, two rows of them if there are two pixels. There is a tile.
            match pixels {
                // SAFETY: as said, and there are no other elements than those of whole steps.
                1 if eights => unsafe { products_1x2(&mut tiles) },
                // SAFETY: as said.
                1 => unsafe { products_1x4(&mut tiles) },
                // SAFETY: as said.
                _ => unsafe { products_2x2(&mut tiles) },
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
    fn depthwise(taps: &Taps2d, x: &[i8], w: &[i8], sums: &mut [i32]) -> Option<()> {
        if taps.rows == 0 || taps.columns == 0 {
            return Some(());
        }
        if !taps.fit(sums.len(), x.len(), w.len()) {
            return None;
        }
        let whole = sums.len() & !3;
        if whole > 0 {
            let [x_row, x_step] = taps.x_stride;
            let [w_row, w_step] = taps.w_stride;
            let mut columns = Columns {
                x: x.as_ptr(),
                w: w.as_ptr(),
                x_step,
                w_step,
                unused: [0; 2],
                columns: taps.columns,
                rows: taps.rows,
                sums: sums.as_mut_ptr(),
                end: sums.as_mut_ptr().wrapping_add(whole),
                x_row,
                w_row,
            };
            // SAFETY: `fit` has shown that all channels of every tap lie inside both slices; there
            // is at least one tap, and four channels.
            unsafe { depthwise_fours(&mut columns) };
        }
        let rest = sums.get_mut(whole..)?;
        if rest.is_empty() {
            return Some(());
        }
        Scalar::depthwise(taps, x.get(whole..)?, w.get(whole..)?, rest)
    }

    #[cfg(target_abi = "eabihf")]
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
        let whole = count & !3;
        if whole > 0 {
            let bounds = stage.range().map(|bound| [bound; 4]);
            // SAFETY: there are as many sums, multipliers and outputs as `whole` at least.
            unsafe {
                requantize_fours(
                    sums.as_ptr(),
                    multipliers.as_ptr(),
                    y.as_mut_ptr(),
                    whole,
                    stage.zero_point(),
                    &bounds,
                );
            }
        }
        let rest = sums.get(whole..)?.iter().zip(multipliers.get(whole..)?);
        for (y, (&sum, &multiplier)) in y.get_mut(whole..)?.iter_mut().zip(rest) {
            *y = stage.requantize(sum, multiplier);
        }
        Some(())
    }
}

impl Multiplies<Wide> for ArmDsp {
    #[inline(never)]
    fn products(
        windows: &Windows,
        pixels: usize,
        filters: &Filters<'_, Wide>,
        channels: Range<usize>,
        piece: Range<usize>,
        sums: &mut [i32; SUMS],
    ) -> Option<()> {
        // Steps of a row, and of its piece.
        let (row, steps) = (filters.len.div_ceil(4), piece.len().div_ceil(4));
        // Pairs of channels that a tile takes, and bytes of code of a step.
        let (tile, step, pitch, room) = match pixels {
            1 => (2, WIDE_STEP_1X4, SUMS, WORDS / 2),
            2 => (1, WIDE_STEP_2X2, SUMS / 2, WORDS / 4),
            _ => return None,
        };
        let pairs = channels.len().div_ceil(2);
        let first = channels.start / 2 * row + piece.start / 4;
        let fits = channels.start.is_multiple_of(2)
            && piece.start.is_multiple_of(4)
            && (1..=room).contains(&steps)
            && channels.len() <= pitch
            && piece.end <= filters.len
            && channels.end.div_ceil(2).checked_mul(row)? <= filters.weights.len();
        if !fits || pairs == 0 {
            return None;
        }
        let x = windows.words.as_ptr();
        let pair = |pair: usize| filters.weights.as_ptr().wrapping_add(first + pair * row);
        let mut run = |at: usize, w: [*const Wide; 2], tiles: usize| {
            let sums = sums.as_mut_ptr().wrapping_add(at * 2);
            let tiles = WideTiles {
                x,
                sums,
                entry: (8 - steps % 8) % 8 * step,
                x_end: x.wrapping_add(steps * 2 * pixels),
                skip: (tile * row - steps) * size_of::<Wide>(),
                end: sums.wrapping_add(tiles * tile * 2),
                w,
            };
            match pixels {
                // SAFETY: `fits` has shown that the windows hold so many steps, at least one; that the
                // weights of all pairs are there up to the step that holds the end of the piece; and that
                // there are as many sums as channels, rounded up to a multiple of four, two rows of them
                // if there are two pixels. Rows of `Wide` are aligned as words. There is a tile.
                1 => unsafe { wide_1x4(&tiles) },
                // SAFETY: the same.
                _ => unsafe { wide_2x2(&tiles) },
            }
        };
        let whole = pairs & !(tile - 1);
        if whole > 0 {
            run(0, [pair(0), pair(1)], whole / tile);
        }
        if whole < pairs {
            // The last pair twice: nobody reads the second one's sums.
            run(whole, [pair(whole); 2], 1);
        }
        Some(())
    }
}
