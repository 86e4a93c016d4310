//! What a run costs: counted by the board, or by an emulator from outside.

/// Counts instructions or cycles, whichever the board can.
pub trait Meter {
    /// The count since some moment before the first call. It never goes back.
    fn now(&self) -> u64;
}

/// An emulator that counts instructions starts to count when it comes by here.
#[allow(
    unsafe_code,
    reason = "found by this name, which no other crate may define"
)]
#[unsafe(no_mangle)]
#[inline(never)]
pub(crate) fn niwaki_run_begin() {
    // Functions of one and the same body would become one.
    core::hint::black_box(1u32);
}

/// An emulator that counts instructions stops counting when it comes by here.
#[allow(
    unsafe_code,
    reason = "found by this name, which no other crate may define"
)]
#[unsafe(no_mangle)]
#[inline(never)]
pub(crate) fn niwaki_run_end() {
    core::hint::black_box(2u32);
}
