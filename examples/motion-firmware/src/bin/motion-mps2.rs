//! The activity monitor on ARM's MPS2 board with FPGA image AN386 (a Cortex-M4F), as QEMU emulates it.
//!
//! The first UART is the line to the host. There is no I2C sensor on this board: its bus is the second
//! UART, at whose other end a simulated sensor answers, and says when a step of 0.1 s has gone by
//! (crate `motion-sensor`). In place of a display it gets what each step has brought:
//!
//! | bytes | what |
//! |---|---|
//! | 1 | `S` starting, `W` waiting, `F` failed, `R` read, `C` classified, `-` skipped |
//! | 4 | failures of the sensor so far, little-endian |
//! | 1, 16 | behind `C`: the activity, and the four scores, float32, little-endian |

#![no_std]
#![no_main]

use core::cell::RefCell;

use cortex_m_rt::entry;
use embedded_hal::delay::DelayNs;
use motion_firmware::{Address, Imu, Monitor, Step, serve};
use motion_sensor::Bus;
use niwaki_board::cmsdk::{CmsdkUart, CmsdkWatchdog};
use niwaki_board::{PlainBoard, RamStore, Rate, SysTickClock, stop, stop_at_faults};
use niwaki_firmware::Memory;
use niwaki_wire::Unit;
use static_cell::ConstStaticCell;

/// An arena of 4 KiB, for this model and others of its kind, and room for 32 operators.
static MEMORY: ConstStaticCell<Memory<4096, 0, 32>> = ConstStaticCell::new(Memory::new());

/// Two slots of 32 KiB.
static STORE: ConstStaticCell<RamStore<{ 32 << 10 }>> = ConstStaticCell::new(RamStore::new());

/// The clock of the core and of its peripherals, and the bit rate of both UARTs.
const HERTZ: u32 = 25_000_000;
const BAUD: u32 = 115_200;

/// Where ARM's application note 386 has the peripherals.
const UARTS: [usize; 2] = [0x4000_4000, 0x4000_5000];
const WATCHDOG: usize = 0x4000_8000;

/// The watchdog strikes after so many seconds.
const PATIENCE: u32 = 60;

/// The simulated sensor is ready at once, and time does not go by here but at its end of the bus.
struct NoWait;

impl DelayNs for NoWait {
    fn delay_ns(&mut self, _: u32) {}
}

stop_at_faults!();

#[entry]
fn main() -> ! {
    let taken = (
        cortex_m::Peripherals::take(),
        MEMORY.try_take(),
        STORE.try_take(),
    );
    let (Some(core), Some(memory), Some(store)) = taken else {
        stop("main has run before")
    };
    #[allow(unsafe_code, reason = "peripherals are where the board has them")]
    // SAFETY: the application note has UARTs there, and this is run once, with one address each.
    let uart = |address| unsafe { CmsdkUart::start(address, HERTZ, BAUD) };
    let [mut line, bus] = UARTS.map(uart);
    #[allow(unsafe_code, reason = "peripherals are where the board has them")]
    // SAFETY: the application note has the watchdog there, and this is run once.
    let watchdog = unsafe { CmsdkWatchdog::start(WATCHDOG, HERTZ.saturating_mul(PATIENCE)) };
    let board = PlainBoard {
        name: "motion-mps2",
        unit: Unit::Instructions,
        per_second: 1_000_000_000,
        clock: SysTickClock::start(core.SYST, Rate::instructions(HERTZ)),
        watchdog: RefCell::new(|| watchdog.feed()),
    };
    let bus = Bus::new(bus);
    let mut monitor = Monitor::new(Imu::new(&bus, Address::Low), NoWait);
    serve(
        &board,
        &mut line,
        store.open(),
        memory,
        &mut monitor,
        || bus.steps(),
        |step, monitor| show(&bus, step, monitor.counts().sensor_errors),
    )
}

/// Says what a step has brought.
fn show<E>(bus: &Bus<CmsdkUart>, step: &Step<E>, sensor_errors: u32) {
    let kind = match step {
        Step::Starting => b'S',
        Step::Waiting => b'W',
        Step::Failed(_) => b'F',
        Step::Read => b'R',
        Step::Classified(..) => b'C',
        Step::Skipped => b'-',
    };
    let mut shown = heapless::Vec::<u8, 22>::new();
    // All of it has room.
    let _ = shown.push(kind);
    let _ = shown.extend_from_slice(&sensor_errors.to_le_bytes());
    if let Step::Classified(activity, scores) = step {
        let _ = shown.push(activity.index() as u8);
        for score in scores {
            let _ = shown.extend_from_slice(&score.to_le_bytes());
        }
    }
    bus.done(&shown);
}
