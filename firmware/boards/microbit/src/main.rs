//! The application on the BBC micro:bit, version 1 (nRF51822, a Cortex-M0), with its USB serial port as
//! its line to a host, and models in the chip's flash.

#![no_std]
#![no_main]

use core::cell::{Cell, RefCell};

use cortex_m_rt::entry;
use niwaki_board::{NvmcFlash, PlainBoard, first_model, halt, serve};
use niwaki_firmware::{Memory, Meter};
use niwaki_store::{Store, Trust};
use niwaki_wire::Unit;
use nrf51_hal::gpio::{Level, p0};
use nrf51_hal::pac::{Peripherals, TIMER0, UART0};
use nrf51_hal::timer::{Periodic, Timer};
use nrf51_hal::uart::{Baudrate, Parity, Pins, Uart};
use nrf51_hal::wdt::{Watchdog, count};
use panic_halt as _;
use static_cell::ConstStaticCell;

niwaki::operator_set! {
    /// What small classifiers are made of: all operators would not fit.
    struct Few: ConvI8, DepthwiseConvI8, FullyConnectedI8, AddI8, MaxPoolI8, AveragePoolI8, LookupI8,
        SoftmaxI8, SoftmaxF32, QuantizeI8, DequantizeI8, Transpose, Pad
}

/// Bytes of the arena. What is left of the RAM is the stack.
const ARENA: usize = 6 << 10;

first_model!(Few, ARENA);

/// Room for digests or costs of 24 operators too.
static MEMORY: ConstStaticCell<Memory<ARENA, 0, 24>> = ConstStaticCell::new(Memory::new());

/// Behind the image, see memory.x: two pages of journal, and two slots.
const PAGE: usize = 1024;
const JOURNAL: usize = 160 << 10;
const SLOT: [usize; 2] = [162 << 10, 209 << 10];
const SLOT_BYTES: usize = 47 << 10;

/// The watchdog strikes after 30 seconds of its 32,768 Hz.
const PATIENCE: u32 = 30 * 32_768;

/// Microseconds, by a timer of 32 bits.
struct Clock {
    timer: RefCell<Timer<TIMER0, Periodic>>,
    /// What it showed last, and all wraps before.
    last: Cell<u64>,
}

impl Meter for Clock {
    fn now(&self) -> u64 {
        // It wraps every 71 minutes, and is looked at more often than that.
        let shown = self.timer.try_borrow_mut().map_or(0, |timer| timer.read());
        let last = self.last.get();
        let gone = shown.wrapping_sub(last as u32);
        self.last.set(last.wrapping_add(gone.into()));
        self.last.get()
    }
}

#[entry]
fn main() -> ! {
    let (Some(chip), Some(memory)) = (Peripherals::take(), MEMORY.try_take()) else {
        // Only a second call of `main` gets here; the watchdog ends it.
        halt()
    };
    let port = p0::Parts::new(chip.GPIO);
    let pins = Pins {
        rxd: port.p0_25.into_floating_input().degrade(),
        txd: port.p0_24.into_push_pull_output(Level::High).degrade(),
        cts: None,
        rts: None,
    };
    let mut uart = Uart::new(chip.UART0, pins, Parity::EXCLUDED, Baudrate::BAUD115200);
    #[allow(unsafe_code, reason = "the driver has the peripheral")]
    // SAFETY: this register takes a byte to send; the driver is not at work yet. It waits for the end of
    // a byte that it has written before the UART was started, which QEMU does not send. Where it is
    // sent, the host sees one more empty frame.
    unsafe {
        (*UART0::ptr()).txd.write(|register| register.bits(0));
    }
    let mut timer = Timer::periodic(chip.TIMER0);
    timer.start(u32::MAX);

    // After a reset by a debugger it may run already, and then nobody has its handle.
    let mut handle = Watchdog::try_new(chip.WDT).ok().map(|mut watchdog| {
        watchdog.set_lfosc_ticks(PATIENCE);
        watchdog.activate::<count::One>().handles.0
    });
    let board = PlainBoard {
        name: "microbit",
        unit: Unit::Microseconds,
        per_second: 1_000_000,
        clock: Clock {
            timer: RefCell::new(timer),
            last: Cell::new(0),
        },
        watchdog: RefCell::new(|| {
            if let Some(handle) = &mut handle {
                handle.pet();
            }
        }),
    };
    #[allow(unsafe_code, reason = "flash is where the chip has it")]
    // SAFETY: the chip is an nRF51; the image ends before these parts, which do not overlap.
    let part = |start, bytes| unsafe { NvmcFlash::<PAGE>::new(start, bytes) };
    let slots = SLOT.map(|start| part(start, SLOT_BYTES));
    let store = Store::open(part(JOURNAL, 2 * PAGE), slots, Trust::Anybody);
    serve::<Few, _, _, _, _, _, _>(&board, &mut uart, store, memory, model::MODEL)
}
