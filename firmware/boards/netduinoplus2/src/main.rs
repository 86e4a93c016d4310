//! The application on the Netduino Plus 2 (STM32F405, a Cortex-M4F), with USART1 as its line to a host.

#![no_std]
#![no_main]

use core::cell::RefCell;

use cortex_m_rt::entry;
use niwaki::All;
use niwaki_board::{NbLine, PlainBoard, RamStore, Rate, SysTickClock, first_model, halt, serve};
use niwaki_firmware::Memory;
use niwaki_wire::Unit;
use panic_halt as _;
use static_cell::ConstStaticCell;
use stm32f4xx_hal::pac::Peripherals;
use stm32f4xx_hal::prelude::*;
use stm32f4xx_hal::rcc::Config as Clocks;
use stm32f4xx_hal::serial::{Serial, config::Config};
use stm32f4xx_hal::watchdog::IndependentWatchdog;

/// Bytes of the arena.
const ARENA: usize = 24 << 10;

first_model!(All, ARENA);

/// Room for digests or costs of 128 operators too.
static MEMORY: ConstStaticCell<Memory<ARENA, 0, 128>> = ConstStaticCell::new(Memory::new());

/// Two slots of 36 KiB.
static STORE: ConstStaticCell<RamStore<{ 36 << 10 }>> = ConstStaticCell::new(RamStore::new());

/// QEMU's core has this clock, whatever the program asks for.
const HERTZ: u32 = 168_000_000;

#[entry]
fn main() -> ! {
    let taken = (
        cortex_m::Peripherals::take(),
        Peripherals::take(),
        MEMORY.try_take(),
        STORE.try_take(),
    );
    let (Some(core), Some(chip), Some(memory), Some(store)) = taken else {
        // Only a second call of `main` gets here; the watchdog ends it.
        halt()
    };
    // The oscillator that the chip starts with: QEMU emulates no other, and no PLL.
    let mut rcc = chip.RCC.freeze(Clocks::hsi());
    let port = chip.GPIOB.split(&mut rcc);
    let config = Config::default().baudrate(115_200.bps());
    let Ok(uart) = Serial::new(chip.USART1, (port.pb6, port.pb7), config, &mut rcc) else {
        // There is a divisor for this rate.
        halt()
    };

    let mut watchdog = IndependentWatchdog::new(chip.IWDG);
    watchdog.start(30_000.millis());
    let board = PlainBoard {
        name: "netduinoplus2",
        unit: Unit::Instructions,
        per_second: 1_000_000_000,
        clock: SysTickClock::start(core.SYST, Rate::instructions(HERTZ)),
        watchdog: RefCell::new(|| watchdog.feed()),
    };
    let mut line = NbLine::new(uart);
    serve::<All, _, _, _, _, _, _>(&board, &mut line, store.open(), memory, model::MODEL)
}
