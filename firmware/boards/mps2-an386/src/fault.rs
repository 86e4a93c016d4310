//! Every way to end badly: a word to the host, and an exit code that is not 0.

use core::fmt::Display;
use core::panic::PanicInfo;

use cortex_m_rt::{ExceptionFrame, exception};
use semihosting::{eprintln, process};

/// Tells the host why, and ends the program.
pub(crate) fn stop(reason: impl Display) -> ! {
    eprintln!("{reason}");
    process::exit(1)
}

#[panic_handler]
fn panic(info: &PanicInfo<'_>) -> ! {
    stop(info)
}

#[allow(
    unsafe_code,
    reason = "cortex-m-rt asks for it: a fault may have struck anywhere"
)]
#[exception]
unsafe fn HardFault(frame: &ExceptionFrame) -> ! {
    stop(format_args!("hard fault at {:#010x}", frame.pc()))
}

#[allow(
    unsafe_code,
    reason = "cortex-m-rt asks for it: it may interrupt anything"
)]
#[exception]
unsafe fn DefaultHandler(interrupt: i16) -> ! {
    stop(format_args!("no handler for interrupt {interrupt}"))
}
