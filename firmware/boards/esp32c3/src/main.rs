//! The application on the ESP32-C3-DevKitM-1 (an RV32IMC), with the serial port of its USB bridge as its
//! line to a host.

#![no_std]
#![no_main]

use core::cell::RefCell;

use esp_hal::clock::CpuClock;
use esp_hal::main;
use esp_hal::time::{Duration, Instant};
use esp_hal::timer::timg::{MwdtStage, TimerGroup};
use esp_hal::uart::{Config, Uart};
use niwaki::All;
use niwaki_board::{PlainBoard, RamStore, first_model, halt, serve, stack};
use niwaki_firmware::{Memory, Meter};
use niwaki_wire::Unit;
use panic_halt as _;
use static_cell::ConstStaticCell;

// What the boot loader of ESP-IDF wants to know of the program.
esp_bootloader_esp_idf::esp_app_desc!();

/// Bytes of the arena.
const ARENA: usize = 96 << 10;

first_model!(All, ARENA);

/// Room for digests or costs of 256 operators too.
static MEMORY: ConstStaticCell<Memory<ARENA, 0, 256>> = ConstStaticCell::new(Memory::new());

/// Two slots of 64 KiB.
static STORE: ConstStaticCell<RamStore<{ 64 << 10 }>> = ConstStaticCell::new(RamStore::new());

/// The watchdog strikes after so long.
const PATIENCE: Duration = Duration::from_secs(30);

/// Microseconds since the start.
struct Clock;

impl Meter for Clock {
    fn now(&self) -> u64 {
        Instant::now().duration_since_epoch().as_micros()
    }
}

#[main]
fn main() -> ! {
    stack::paint();
    let chip = esp_hal::init(esp_hal::Config::default().with_cpu_clock(CpuClock::max()));
    let (Some(memory), Some(store)) = (MEMORY.try_take(), STORE.try_take()) else {
        // Only a second call of `main` gets here; the watchdog ends it.
        halt()
    };
    // 115,200 bits a second, 8 to a byte, without parity.
    let Ok(uart) = Uart::new(chip.UART0, Config::default()) else {
        // There is a divisor for this rate.
        halt()
    };
    let mut uart = uart.with_rx(chip.GPIO20).with_tx(chip.GPIO21);

    let mut watchdog = TimerGroup::new(chip.TIMG0).wdt;
    watchdog.set_timeout(MwdtStage::Stage0, PATIENCE);
    watchdog.enable();
    let board = PlainBoard {
        name: "esp32c3",
        unit: Unit::Microseconds,
        per_second: 1_000_000,
        clock: Clock,
        watchdog: RefCell::new(|| watchdog.feed()),
    };
    serve::<All, _, _, _, _, _, _>(&board, &mut uart, store.open(), memory, model::MODEL)
}
