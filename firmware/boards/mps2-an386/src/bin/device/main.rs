//! The application on ARM's MPS2 board with FPGA image AN386 (a Cortex-M4F), as QEMU emulates it, with
//! its first UART as its line to a host:
//!
//! ```sh
//! niwaki device --qemu mps2-an386 --image IMAGE info
//! ```

#![no_std]
#![no_main]

#[path = "../../clock.rs"]
mod clock;
mod cmsdk;
#[path = "../../fault.rs"]
mod fault;
mod flash;
mod stack;

use cortex_m_rt::entry;
use niwaki::All;
use niwaki_firmware::{Board, Device, Memory, Meter, Start, Turn};
use niwaki_store::{Boot, Store, Trust};
use niwaki_wire::Unit;
use static_cell::ConstStaticCell;

use clock::InstructionMeter;
use cmsdk::CmsdkUart;
use flash::{RamFlash, SECTOR, Sectors};

/// The model that runs until another one is uploaded.
#[allow(
    dead_code,
    unreachable_pub,
    reason = "written for every kind of program"
)]
mod model {
    include!(concat!(env!("OUT_DIR"), "/model.rs"));
}

/// Arena of the largest model that is taken.
const ARENA_BYTES: usize = 2 << 20;

/// Operators that a digest or a cost is kept for.
const OPERATORS: usize = 512;

/// Bytes of each of the two slots for models.
const SLOT_BYTES: usize = 2 << 20;

/// The clock of the peripherals, as QEMU has it.
const CLOCK_HERTZ: u32 = 25_000_000;

const BAUD: u32 = 115_200;

/// Where the registers of the first UART are.
const UART: usize = 0x4000_4000;

static MEMORY: ConstStaticCell<Memory<ARENA_BYTES, 0, OPERATORS>> =
    ConstStaticCell::new(Memory::new());

static JOURNAL: ConstStaticCell<Sectors<{ 2 * SECTOR }>> =
    ConstStaticCell::new(Sectors([0; 2 * SECTOR]));

static SLOTS: ConstStaticCell<[Sectors<SLOT_BYTES>; 2]> =
    ConstStaticCell::new([const { Sectors([0; SLOT_BYTES]) }; 2]);

/// What the application has to know of this board.
struct An386(InstructionMeter);

impl Meter for An386 {
    fn now(&self) -> u64 {
        self.0.now()
    }
}

impl Board for An386 {
    const NAME: &'static str = "mps2-an386";
    const UNIT: Unit = Unit::Instructions;

    fn per_second(&self) -> u64 {
        // With `-icount shift=0`, by which one takes a nanosecond.
        1_000_000_000
    }

    fn stack(&self) -> Option<(u32, u32)> {
        Some(stack::depth())
    }
}

#[entry]
fn main() -> ! {
    let (Some(core), Some(memory), Some(journal), Some([a, b])) = (
        cortex_m::Peripherals::take(),
        MEMORY.try_take(),
        JOURNAL.try_take(),
        SLOTS.try_take(),
    ) else {
        fault::stop("main has run before");
    };
    let slots = [a, b].map(|slot| RamFlash::erased(&mut slot.0));
    let journal = RamFlash::erased(&mut journal.0);
    let mut store = match Store::open(journal, slots, Trust::Anybody) {
        Ok(store) => store,
        Err(error) => fault::stop(error),
    };
    let board = An386(InstructionMeter::start(core.SYST));
    #[allow(unsafe_code, reason = "a UART is where the board has it")]
    // SAFETY: the board has its first UART there, and this line, which is run once, takes it.
    let mut uart = unsafe { CmsdkUart::start(UART, CLOCK_HERTZ, BAUD) };

    let mut refused = None;
    loop {
        let Boot {
            running, updater, ..
        } = store.boot();
        let start = Start {
            slot: running.map(Into::into),
            embedded: Some(model::MODEL),
            refused,
        };
        let mut device: Device<'_, All, _, _, _> =
            Device::new(start, updater, memory, &board, &mut uart);
        refused = loop {
            if let Turn::Restart(refused) = device.poll() {
                break refused;
            }
        };
    }
}
