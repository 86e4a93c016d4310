//! The application on ARM's MPS2 board with FPGA image AN505 (a Cortex-M33), as QEMU emulates it, with
//! its first UART as its line to a host.

#![no_std]
#![no_main]

use cortex_m_rt::entry;
use niwaki::All;
use niwaki_board::{Mps, RamStore, first_model, stop_at_faults};
use niwaki_firmware::Memory;
use static_cell::ConstStaticCell;

/// Bytes of the arena.
const ARENA: usize = 512 << 10;

first_model!(All, ARENA);

/// Room for digests or costs of 512 operators too.
static MEMORY: ConstStaticCell<Memory<ARENA, 0, 512>> = ConstStaticCell::new(Memory::new());

/// Two slots of 640 KiB.
static STORE: ConstStaticCell<RamStore<{ 640 << 10 }>> = ConstStaticCell::new(RamStore::new());

const BOARD: Mps = Mps {
    name: "mps2-an505",
    hertz: 20_000_000,
    uart: 0x5020_0000,
    watchdog: Some(0x5008_1000),
};

stop_at_faults!();

#[entry]
fn main() -> ! {
    #[allow(unsafe_code, reason = "peripherals are where the board has them")]
    // SAFETY: ARM's application note 505 has them there, and this line is run once.
    unsafe {
        BOARD.serve::<All, _, _, _>(&MEMORY, &STORE, model::MODEL)
    }
}
