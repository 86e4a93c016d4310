//! The application on QEMU's machine virt (RV32IMAC), with its UART as its line to a host.

#![no_std]
#![no_main]

use core::cell::RefCell;
use core::num::NonZeroUsize;

use niwaki::All;
use niwaki_board::{PlainBoard, RamStore, first_model, serve, stack, stop, stop_at_faults};
use niwaki_firmware::{Memory, Meter};
use niwaki_wire::Unit;
use riscv_rt::entry;
use static_cell::ConstStaticCell;
use uart_16550::{Config, Uart16550};

/// Bytes of the arena.
const ARENA: usize = 2 << 20;

first_model!(All, ARENA);

/// Room for digests or costs of 512 operators too.
static MEMORY: ConstStaticCell<Memory<ARENA, 0, 512>> = ConstStaticCell::new(Memory::new());

/// Two slots of 2 MiB.
static STORE: ConstStaticCell<RamStore<{ 2 << 20 }>> = ConstStaticCell::new(RamStore::new());

/// Where the registers of the UART are.
const UART: NonZeroUsize = NonZeroUsize::new(0x1000_0000).unwrap();

/// Executed instructions, by the counter that every hart has.
struct Clock;

impl Meter for Clock {
    fn now(&self) -> u64 {
        riscv::register::minstret::read64()
    }
}

stop_at_faults!();

/// Serves for ever.
#[entry]
fn main() -> ! {
    stack::paint();
    let (Some(memory), Some(store)) = (MEMORY.try_take(), STORE.try_take()) else {
        stop("main has run before")
    };
    #[allow(unsafe_code, reason = "peripherals are where the machine has them")]
    // SAFETY: the machine has its UART there, and this line, which is run once, takes it.
    let uart = unsafe { Uart16550::new_mmio_from_address(UART, 1) };
    let Ok(mut uart) = uart else {
        stop("the UART's address is none")
    };
    if uart.init(Config::default()).is_err() {
        stop("the UART does not answer");
    }
    let board = PlainBoard {
        name: "riscv-virt",
        unit: Unit::Instructions,
        per_second: 1_000_000_000,
        clock: Clock,
        // The machine has none.
        watchdog: RefCell::new(|| ()),
    };
    serve::<All, _, _, _, _, _, _>(&board, &mut uart, store.open(), memory, model::MODEL)
}
