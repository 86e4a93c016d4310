//! How deep the stack has been.

/// What cortex-m-rt fills the stack with at reset, by its feature `paint-stack`.
const PAINT: u32 = 0xCCCC_CCCC;

#[allow(unsafe_code, reason = "the linker says where the stack is")]
unsafe extern "C" {
    /// One byte behind the stack's first word, from memory.x.
    static _stack_start: u32;
    /// The last word that the stack could reach.
    static _stack_end: u32;
}

/// The deepest that the stack has been, and all of it, in bytes.
pub(crate) fn depth() -> (u32, u32) {
    let (top, mut at) = (&raw const _stack_start, &raw const _stack_end);
    let all = (top.addr() - at.addr()) as u32;
    #[allow(unsafe_code, reason = "the stack is no object of the program")]
    // SAFETY: every word from `_stack_end` up to `_stack_start` is RAM of the stack; below the stack
    // pointer nothing else writes, and the loop ends at the pointer's own frame at the latest.
    while at < top && unsafe { at.read_volatile() } == PAINT {
        at = at.wrapping_add(1);
    }
    ((top.addr() - at.addr()) as u32, all)
}
