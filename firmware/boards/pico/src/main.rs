//! The application on the Raspberry Pi Pico (RP2040, of which it uses one Cortex-M0+), with its USB port
//! as its line to a host, and models in the board's flash.

#![no_std]
#![no_main]

use core::cell::RefCell;

use niwaki::All;
use niwaki_board::{
    PlainBoard, Rate, Rom, RomFlash, SysTickClock, UsbLine, first_model, halt, serve,
};
use niwaki_firmware::Memory;
use niwaki_store::{Store, Trust};
use niwaki_wire::Unit;
use panic_halt as _;
use rp2040_hal::clocks::{Clock as _, init_clocks_and_plls};
use rp2040_hal::fugit::ExtU32 as _;
use rp2040_hal::pac::Peripherals;
use rp2040_hal::usb::UsbBus;
use rp2040_hal::{Watchdog, entry, rom_data};
use static_cell::ConstStaticCell;
use usb_device::bus::UsbBusAllocator;

/// Sets up the flash that the board has.
#[allow(unsafe_code, reason = "the ROM looks for it there")]
#[unsafe(link_section = ".boot2")]
#[used]
static BOOT2: [u8; 256] = rp2040_boot2::BOOT_LOADER_W25Q080;

/// Bytes of the arena. What is left of the RAM is the stack.
const ARENA: usize = 160 << 10;

first_model!(All, ARENA);

/// Room for digests or costs of 512 operators too.
static MEMORY: ConstStaticCell<Memory<ARENA, 0, 512>> = ConstStaticCell::new(Memory::new());

/// Behind the image, see memory.x: two sectors of journal, and two slots.
const JOURNAL: u32 = 1 << 20;
const JOURNAL_BYTES: usize = 8 << 10;
const SLOT: [u32; 2] = [1032 << 10, 1540 << 10];
const SLOT_BYTES: usize = 508 << 10;

/// The crystal.
const CRYSTAL: u32 = 12_000_000;

/// The watchdog's longest time: it counts by two in 24 bits of microseconds.
const PATIENCE_SECONDS: u32 = 8;

#[entry]
fn main() -> ! {
    let taken = (
        cortex_m::Peripherals::take(),
        Peripherals::take(),
        MEMORY.try_take(),
    );
    let (Some(core), Some(mut chip), Some(memory)) = taken else {
        // Only a second call of `main` gets here; the watchdog ends it.
        halt()
    };
    let mut watchdog = Watchdog::new(chip.WATCHDOG);
    let clocks = init_clocks_and_plls(
        CRYSTAL,
        chip.XOSC,
        chip.CLOCKS,
        chip.PLL_SYS,
        chip.PLL_USB,
        &mut chip.RESETS,
        &mut watchdog,
    );
    let Ok(clocks) = clocks else {
        // There are settings for this crystal.
        halt()
    };
    let hertz = clocks.system_clock.freq().to_Hz();
    let bus = UsbBusAllocator::new(UsbBus::new(
        chip.USBCTRL_REGS,
        chip.USBCTRL_DPRAM,
        clocks.usb_clock,
        true,
        &mut chip.RESETS,
    ));
    let Ok(mut line) = UsbLine::new(&bus, "Pico") else {
        // The controller has sixteen endpoints, and the name is short.
        halt()
    };

    watchdog.start(PATIENCE_SECONDS.secs());
    let board = PlainBoard {
        name: "pico",
        unit: Unit::Cycles,
        per_second: hertz.into(),
        clock: SysTickClock::start(core.SYST, Rate::CYCLES),
        watchdog: RefCell::new(|| watchdog.feed()),
    };
    let rom = Rom {
        connect: rom_data::connect_internal_flash::ptr(),
        exit: rom_data::flash_exit_xip::ptr(),
        erase: rom_data::flash_range_erase::ptr(),
        program: rom_data::flash_range_program::ptr(),
        flush: rom_data::flash_flush_cache::ptr(),
        set_up: (&raw const BOOT2).expose_provenance(),
    };
    #[allow(unsafe_code, reason = "flash is where the board has it")]
    // SAFETY: the chip is an RP2040, whose other core sleeps; the image ends before these parts, which do
    // not overlap.
    let part = |start, bytes| unsafe { RomFlash::new(rom, start, bytes) };
    let slots = SLOT.map(|start| part(start, SLOT_BYTES));
    let store = Store::open(part(JOURNAL, JOURNAL_BYTES), slots, Trust::Anybody);
    serve::<All, _, _, _, _, _, _>(&board, &mut line, store, memory, model::MODEL)
}
