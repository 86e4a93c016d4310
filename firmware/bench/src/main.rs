//! The firmware on ARM's MPS2 board with FPGA image AN386 (a Cortex-M4F), as QEMU emulates it.
//!
//! A debugger, or QEMU, is its connection to the world, by semihosting. With two words on its
//! command line it reads the file that the first one names and writes the other:
//!
//! ```sh
//! qemu-system-arm -M mps2-an386 -nographic -icount shift=0 -kernel IMAGE \
//!     -semihosting-config enable=on,target=native,arg=REQUEST,arg=RESPONSE
//! ```
//!
//! Without them it checks itself with the model's golden vector and prints what it finds. It
//! ends with exit code 0 when all is well, and 1 otherwise.

#![no_std]
#![no_main]

mod host;

use cortex_m_rt::entry;
use niwaki_board::{Rate, SysTickClock, stop, stop_at_faults};
use niwaki_firmware::{Failure, Memory, self_check, serve};
use semihosting::experimental::env::args;
use semihosting::{println, process};
use static_cell::ConstStaticCell;

use host::HostFile;
use model::{ARENA_BYTES, INPUT_BYTES, MODEL, ModelOperators, OPERATOR_COUNT};

/// The model, its sizes and its operators.
mod model {
    niwaki::include_model!(concat!(env!("OUT_DIR"), "/model.niwaki"));
}

/// Memory of just the size that the model needs.
type ModelMemory = Memory<ARENA_BYTES, INPUT_BYTES, OPERATOR_COUNT>;

/// The only large thing in RAM.
static MEMORY: ConstStaticCell<ModelMemory> = ConstStaticCell::new(Memory::new());

/// Longest command line.
const COMMAND_LINE_BYTES: usize = 4096;

/// The clock of the core, as QEMU has it.
const HERTZ: u32 = if cfg!(niwaki_an547) {
    32_000_000
} else {
    25_000_000
};

stop_at_faults!();

#[entry]
fn main() -> ! {
    let (Some(core), Some(memory)) = (cortex_m::Peripherals::take(), MEMORY.try_take()) else {
        stop("main has run before");
    };
    let meter = SysTickClock::start(core.SYST, Rate::instructions(HERTZ));
    let result = match args::<COMMAND_LINE_BYTES>() {
        Ok(args) => {
            let mut words = (&args).flatten();
            match (words.next(), words.next()) {
                (Some(request), Some(response)) => answer(memory, &meter, request, response),
                _ => check(memory, &meter),
            }
        }
        // A debugger that knows no command line.
        Err(_) => check(memory, &meter),
    };
    match result {
        Ok(()) => process::exit(0),
        Err(failure) => stop(failure),
    }
}

/// Answers the request in one file of the host's by a response in another.
fn answer(
    memory: &mut ModelMemory,
    meter: &SysTickClock,
    request: &str,
    response: &str,
) -> Result<(), Failure> {
    let mut request = HostFile::open(request).map_err(Failure::Read)?;
    let mut response = HostFile::create(response).map_err(Failure::Write)?;
    serve::<ModelOperators, _, _, _>(MODEL, memory, meter, &mut request, &mut response)
}

/// Runs the model's golden vector and prints what comes of it.
fn check(memory: &mut ModelMemory, meter: &SysTickClock) -> Result<(), Failure> {
    let report = self_check::<ModelOperators, _, _, _>(MODEL, memory, meter)?;
    if !report.passed() {
        stop(report);
    }
    println!("{report}");
    Ok(())
}
