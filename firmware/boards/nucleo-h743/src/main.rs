//! The application on the Nucleo-H743ZI2 (STM32H743, a Cortex-M7), with the serial port of its debugger
//! as its line to a host.

#![no_std]
#![no_main]

use core::cell::RefCell;

use cortex_m_rt::entry;
use embedded_hal_nb::{nb, serial};
use niwaki::All;
use niwaki_board::{NbLine, PlainBoard, RamStore, Rate, SysTickClock, first_model, halt, serve};
use niwaki_firmware::Memory;
use niwaki_wire::Unit;
use panic_halt as _;
use static_cell::ConstStaticCell;
use stm32h7xx_hal::independent_watchdog::IndependentWatchdog;
use stm32h7xx_hal::pac::{Peripherals, USART3};
use stm32h7xx_hal::prelude::*;
use stm32h7xx_hal::serial::Serial;

/// Bytes of the arena.
const ARENA: usize = 256 << 10;

first_model!(All, ARENA);

/// Room for digests or costs of 512 operators too.
static MEMORY: ConstStaticCell<Memory<ARENA, 0, 512>> = ConstStaticCell::new(Memory::new());

/// Two slots of 112 KiB.
static STORE: ConstStaticCell<RamStore<{ 112 << 10 }>> = ConstStaticCell::new(RamStore::new());

/// The core's clock.
const MEGAHERTZ: u32 = 400;

/// The HAL's UART has the traits of embedded-hal 0.2; this one has those of 1.0.
struct Uart(Serial<USART3>);

impl serial::ErrorType for Uart {
    type Error = serial::ErrorKind;
}

impl serial::Read for Uart {
    fn read(&mut self) -> nb::Result<u8, serial::ErrorKind> {
        self.0
            .read()
            .map_err(|error| error.map(|_| serial::ErrorKind::Other))
    }
}

impl serial::Write for Uart {
    fn write(&mut self, byte: u8) -> nb::Result<(), serial::ErrorKind> {
        self.0
            .write(byte)
            .map_err(|error| error.map(|_| serial::ErrorKind::Other))
    }

    fn flush(&mut self) -> nb::Result<(), serial::ErrorKind> {
        self.0
            .flush()
            .map_err(|error| error.map(|_| serial::ErrorKind::Other))
    }
}

#[entry]
fn main() -> ! {
    let taken = (
        cortex_m::Peripherals::take(),
        Peripherals::take(),
        MEMORY.try_take(),
        STORE.try_take(),
    );
    let (Some(mut core), Some(chip), Some(memory), Some(store)) = taken else {
        // Only a second call of `main` gets here; the watchdog ends it.
        halt()
    };
    core.SCB.enable_icache();
    core.SCB.enable_dcache(&mut core.CPUID);

    let power = chip.PWR.constrain().freeze();
    let clocks = chip.RCC.constrain().sys_ck(MEGAHERTZ.MHz());
    let clocks = clocks.freeze(power, &chip.SYSCFG);
    let port = chip.GPIOD.split(clocks.peripheral.GPIOD);
    let pins = (port.pd8.into_alternate(), port.pd9.into_alternate());
    let rate = 115_200.bps();
    let usart = clocks.peripheral.USART3;
    let Ok(uart) = chip.USART3.serial(pins, rate, usart, &clocks.clocks) else {
        // There is a divisor for this rate.
        halt()
    };

    let mut watchdog = IndependentWatchdog::new(chip.IWDG);
    watchdog.start(30_000.millis());
    let board = PlainBoard {
        name: "nucleo-h743",
        unit: Unit::Cycles,
        per_second: u64::from(MEGAHERTZ) * 1_000_000,
        clock: SysTickClock::start(core.SYST, Rate::CYCLES),
        watchdog: RefCell::new(|| watchdog.feed()),
    };
    let mut line = NbLine::new(Uart(uart));
    serve::<All, _, _, _, _, _, _>(&board, &mut line, store.open(), memory, model::MODEL)
}
