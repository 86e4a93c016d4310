//! Every way to end badly on an emulated board: a word to the host, and an exit code that is not 0.

use core::fmt::Display;

use semihosting::{eprintln, process};

/// Tells the host why, and ends the program.
pub fn stop(reason: impl Display) -> ! {
    eprintln!("{reason}");
    process::exit(1)
}

/// Defines what happens at a panic, and on a Cortex-M at a fault and at an interrupt that nobody
/// wants: see [`stop`]. To be written once in the program itself, where the linker looks for them.
#[macro_export]
macro_rules! stop_at_faults {
    () => {
        #[panic_handler]
        fn panic(info: &core::panic::PanicInfo<'_>) -> ! {
            $crate::stop(info)
        }

        #[cfg(target_arch = "arm")]
        #[allow(
            unsafe_code,
            reason = "cortex-m-rt asks for it: a fault may have struck anywhere"
        )]
        #[cortex_m_rt::exception]
        unsafe fn HardFault(frame: &cortex_m_rt::ExceptionFrame) -> ! {
            $crate::stop(format_args!("hard fault at {:#010x}", frame.pc()))
        }

        #[cfg(target_arch = "arm")]
        #[allow(
            unsafe_code,
            reason = "cortex-m-rt asks for it: it may interrupt anything"
        )]
        #[cortex_m_rt::exception]
        unsafe fn DefaultHandler(interrupt: i16) -> ! {
            $crate::stop(format_args!("no handler for interrupt {interrupt}"))
        }
    };
}
