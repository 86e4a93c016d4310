//! What every probe has: a panic handler, to see whether anything reaches it.
//!
//! Each binary of this crate exports one function, `niwaki_probe`, and is linked from it alone.
//! It is never run. The gate in `xtask/src/panics.rs` counts the panic call sites in it.

#![no_std]

niwaki::operator_set! {
    /// The operators of the keyword-spotting model kws01.
    pub struct KwsOps:
        ConvI8, DepthwiseConvI8, FullyConnectedI8, AveragePoolI8, SoftmaxI8
}

#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    loop {
        core::hint::spin_loop();
    }
}
