//! The activity monitor on the nRF52840 DK (a Cortex-M4F), with a BNO055 on the pins SDA and SCL of the
//! Arduino header, and the serial port of the debugger as its line to a host. One of the four LEDs is
//! on: the activity.

#![no_std]
#![no_main]

use core::cell::RefCell;

use cortex_m_rt::entry;
use embedded_hal::digital::OutputPin;
use motion_firmware::{Activity, Address, Imu, Monitor, Pace, Step, serve};
use niwaki_board::{Duplex, NvmcFlash, PlainBoard, Rate, SysTickClock, halt};
use niwaki_firmware::{Memory, Meter};
use niwaki_store::{Store, Trust};
use niwaki_wire::Unit;
use nrf52840_hal::clocks::Clocks;
use nrf52840_hal::gpio::{Level, p0};
use nrf52840_hal::pac::Peripherals;
use nrf52840_hal::timer::Timer;
use nrf52840_hal::twim::{self, Frequency, Twim};
use nrf52840_hal::uarte::{self, Baudrate, Parity, Uarte};
use nrf52840_hal::wdt::{Watchdog, count};
use panic_halt as _;
use static_cell::ConstStaticCell;

/// An arena of 16 KiB, for this model and others of its kind, and room for 32 operators.
static MEMORY: ConstStaticCell<Memory<{ 16 << 10 }, 0, 32>> = ConstStaticCell::new(Memory::new());

/// What the UART takes and gives at once, which DMA needs in RAM. Its `write` expects to fill the first
/// one, so that it has room for one byte.
static SENT: ConstStaticCell<[u8; 1]> = ConstStaticCell::new([0; 1]);
static CAME: ConstStaticCell<[u8; 1]> = ConstStaticCell::new([0; 1]);

/// Behind the image, see memory.x of the board: two pages of journal, and two slots.
const PAGE: usize = 4096;
const JOURNAL: usize = 512 << 10;
const SLOT: [usize; 2] = [520 << 10, 772 << 10];
const SLOT_BYTES: usize = 252 << 10;

/// The core's clock.
const HERTZ: u32 = 64_000_000;

/// The watchdog strikes after 30 seconds of its 32,768 Hz; a start of the sensor takes less than one.
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
    // The crystal: steps of 0.1 s and the bit rate of the UART need its precision.
    Clocks::new(chip.CLOCK).enable_ext_hfosc();
    let port = p0::Parts::new(chip.P0);
    let pins = uarte::Pins {
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
    // LED1 to LED4, which are on when their pins are low.
    let mut leds = [
        port.p0_13.degrade(),
        port.p0_14.degrade(),
        port.p0_15.degrade(),
        port.p0_16.degrade(),
    ]
    .map(|pin| pin.into_push_pull_output(Level::High));
    let pins = twim::Pins {
        scl: port.p0_27.into_floating_input().degrade(),
        sda: port.p0_26.into_floating_input().degrade(),
    };
    let bus = Twim::new(chip.TWIM1, pins, Frequency::K100);

    // After a reset by a debugger it may run already, and then nobody has its handle.
    let mut handle = Watchdog::try_new(chip.WDT).ok().map(|mut watchdog| {
        watchdog.set_lfosc_ticks(PATIENCE);
        watchdog.activate::<count::One>().handles.0
    });
    let board = PlainBoard {
        name: "motion-nrf52840",
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

    let imu = Imu::new(bus, Address::Low);
    let mut monitor = Monitor::new(imu, Timer::one_shot(chip.TIMER0));
    let mut pace = Pace::new(board.now(), HERTZ.into());
    serve(
        &board,
        &mut line,
        store,
        memory,
        &mut monitor,
        || pace.elapsed(board.now()),
        |step, _| match step {
            Step::Classified(activity, _) => light(&mut leds, Some(*activity)),
            // What was seen before says nothing about now.
            Step::Failed(_) => light(&mut leds, None),
            _ => {}
        },
    )
}

/// Switches on the LED of an activity, and the others off.
fn light(leds: &mut [impl OutputPin], activity: Option<Activity>) {
    for (led, each) in leds.iter_mut().zip(Activity::ALL) {
        // A GPIO of this chip does not fail.
        let _ = led.set_state((activity != Some(each)).into());
    }
}
