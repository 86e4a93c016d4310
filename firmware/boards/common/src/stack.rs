//! How deep the stack has been.

/// What the stack is filled with: by cortex-m-rt at reset, elsewhere by [`paint`].
const PAINT: u32 = 0xCCCC_CCCC;

/// Words at the stack's end that are left alone: esp-hal keeps a guard in the sixteenth.
#[cfg(target_arch = "riscv32")]
const GUARD: usize = 16;
#[cfg(target_arch = "arm")]
const GUARD: usize = 0;

#[cfg(any(target_arch = "arm", target_arch = "riscv32"))]
#[allow(unsafe_code, reason = "the linker says where the stack is")]
unsafe extern "C" {
    /// One byte behind the stack's first word.
    static _stack_start: u32;
    /// The last word that the stack could reach.
    static _stack_end: u32;
}

/// The deepest that the stack has been, and all of it, in bytes.
#[cfg(any(target_arch = "arm", target_arch = "riscv32"))]
pub fn depth() -> Option<(u32, u32)> {
    let (top, end) = (&raw const _stack_start, &raw const _stack_end);
    let mut at = end.wrapping_add(GUARD);
    let all = top.addr().checked_sub(at.addr())? as u32;
    #[allow(unsafe_code, reason = "the stack is no object of the program")]
    // SAFETY: every word from `_stack_end` up to `_stack_start` is RAM of the stack; below the stack
    // pointer nothing else writes, and the loop ends at the pointer's own frame at the latest.
    while at < top && unsafe { at.read_volatile() } == PAINT {
        at = at.wrapping_add(1);
    }
    Some(((top.addr() - at.addr()) as u32, all))
}

/// The deepest that the stack has been, and all of it: not known here.
#[cfg(not(any(target_arch = "arm", target_arch = "riscv32")))]
pub fn depth() -> Option<(u32, u32)> {
    None
}

/// Fills what is free of the stack, for [`depth`]. To be called first in `main`.
#[cfg(target_arch = "riscv32")]
#[inline(never)]
pub fn paint() {
    /// Left alone below the frame of this function, for what it calls.
    const MARGIN: usize = 256;
    let here = 0u32;
    let end = (&raw const here).addr().saturating_sub(MARGIN);
    let mut at = (&raw const _stack_end).cast_mut().wrapping_add(GUARD);
    while at.addr() < end {
        #[allow(unsafe_code, reason = "the stack is no object of the program")]
        // SAFETY: from the stack's end up to well below the frame of this function nothing is alive.
        unsafe {
            at.write_volatile(PAINT);
        }
        at = at.wrapping_add(1);
    }
}
