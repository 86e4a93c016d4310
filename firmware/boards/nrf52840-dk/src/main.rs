//! The application on the nRF52840 DK (a Cortex-M4F), with the serial port of its debugger as its line
//! to a host, and models in the chip's flash.

#![no_std]
#![no_main]

use core::cell::RefCell;

use cortex_m_rt::entry;
use niwaki::All;
use niwaki_board::{Duplex, NvmcFlash, PlainBoard, Rate, SysTickClock, first_model, halt, serve};
use niwaki_firmware::Memory;
use niwaki_store::{Store, Trust};
use niwaki_wire::Unit;
use nrf52840_hal::clocks::Clocks;
use nrf52840_hal::gpio::{Level, p0};
use nrf52840_hal::pac::Peripherals;
use nrf52840_hal::uarte::{Baudrate, Parity, Pins, Uarte};
use nrf52840_hal::wdt::{Watchdog, count};
use panic_halt as _;
use static_cell::ConstStaticCell;

/// Bytes of the arena. What is left of the RAM is the stack.
const ARENA: usize = 160 << 10;

first_model!(All, ARENA);

/// Room for digests or costs of 512 operators too.
static MEMORY: ConstStaticCell<Memory<ARENA, 0, 512>> = ConstStaticCell::new(Memory::new());

/// What the UART takes and gives at once, which DMA needs in RAM. Its `write` expects to fill the first
/// one, so that it has room for one byte.
static SENT: ConstStaticCell<[u8; 1]> = ConstStaticCell::new([0; 1]);
static CAME: ConstStaticCell<[u8; 1]> = ConstStaticCell::new([0; 1]);

/// Behind the image, see memory.x: two pages of journal, and two slots.
const PAGE: usize = 4096;
const JOURNAL: usize = 512 << 10;
const SLOT: [usize; 2] = [520 << 10, 772 << 10];
const SLOT_BYTES: usize = 252 << 10;

/// The core's clock.
const HERTZ: u32 = 64_000_000;

/// The watchdog strikes after 30 seconds of its 32,768 Hz.
const PATIENCE: u32 = 30 * 32_768;

#[entry]
fn main() -> ! {
    let taken = (
        cortex_m::Peripherals::take(),
        Peripherals::take(),
        MEMORY.try_take(),
        SENT.try_take(),
        CAME.try_take(),
    );
    let (Some(core), Some(chip), Some(memory), Some(sent), Some(came)) = taken else {
        // Only a second call of `main` gets here; the watchdog ends it.
        halt()
    };
    // The crystal: the bit rate of the UART needs its precision.
    Clocks::new(chip.CLOCK).enable_ext_hfosc();
    let port = p0::Parts::new(chip.P0);
    let pins = Pins {
        rxd: port.p0_08.into_floating_input().degrade(),
        txd: port.p0_06.into_push_pull_output(Level::High).degrade(),
        cts: None,
        rts: None,
    };
    let uart = Uarte::new(chip.UARTE0, pins, Parity::EXCLUDED, Baudrate::BAUD115200);
    let Ok((tx, rx)) = uart.split(sent, came) else {
        // Both buffers are in RAM and have a byte.
        halt()
    };
    let mut line = Duplex { tx, rx };

    // After a reset by a debugger it may run already, and then nobody has its handle.
    let mut handle = Watchdog::try_new(chip.WDT).ok().map(|mut watchdog| {
        watchdog.set_lfosc_ticks(PATIENCE);
        watchdog.activate::<count::One>().handles.0
    });
    let board = PlainBoard {
        name: "nrf52840-dk",
        unit: Unit::Cycles,
        per_second: HERTZ.into(),
        clock: SysTickClock::start(core.SYST, Rate::CYCLES),
        watchdog: RefCell::new(|| {
            if let Some(handle) = &mut handle {
                handle.pet();
            }
        }),
    };
    #[allow(unsafe_code, reason = "flash is where the chip has it")]
    // SAFETY: the chip is an nRF52; the image ends before these parts, which do not overlap.
    let part = |start, bytes| unsafe { NvmcFlash::<PAGE>::new(start, bytes) };
    let slots = SLOT.map(|start| part(start, SLOT_BYTES));
    let store = Store::open(part(JOURNAL, 2 * PAGE), slots, Trust::Anybody);
    serve::<All, _, _, _, _, _, _>(&board, &mut line, store, memory, model::MODEL)
}
