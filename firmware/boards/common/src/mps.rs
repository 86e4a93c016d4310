//! ARM's FPGA boards MPS2 and MPS3 as QEMU emulates them: one program, which differs by addresses and
//! the clock.

use core::cell::RefCell;

use niwaki::OperatorSet;
use niwaki_firmware::Memory;
use niwaki_wire::Unit;
use static_cell::ConstStaticCell;

use crate::cmsdk::{CmsdkUart, CmsdkWatchdog};
use crate::{PlainBoard, RamStore, Rate, SysTickClock, serve, stop};

/// Bits a second of the line.
const BAUD: u32 = 115_200;

/// After so long without a sign of life the watchdog strikes.
const PATIENCE_SECONDS: u32 = 60;

/// A board's name, its clock, and where its peripherals are.
#[derive(Clone, Copy, Debug)]
pub struct Mps {
    /// QEMU's name of the board.
    pub name: &'static str,
    /// The clock of the core and of its peripherals.
    pub hertz: u32,
    /// The registers of the first UART.
    pub uart: usize,
    /// The registers of the watchdog; `None` where QEMU emulates none.
    pub watchdog: Option<usize>,
}

impl Mps {
    /// Serves for ever.
    ///
    /// # Safety
    ///
    /// The peripherals have to be where the board says, and nothing else may use them.
    #[allow(unsafe_code, reason = "peripherals are where a board has them")]
    pub unsafe fn serve<O, const ARENA: usize, const OPERATORS: usize, const SLOT: usize>(
        self,
        memory: &'static ConstStaticCell<Memory<ARENA, 0, OPERATORS>>,
        store: &'static ConstStaticCell<RamStore<SLOT>>,
        embedded: &'static [u8],
    ) -> !
    where
        O: OperatorSet,
    {
        let taken = (
            cortex_m::Peripherals::take(),
            memory.try_take(),
            store.try_take(),
        );
        let (Some(core), Some(memory), Some(store)) = taken else {
            stop("main has run before")
        };
        // SAFETY: the caller answers for the address.
        let watchdog = self.watchdog.map(|address| unsafe {
            CmsdkWatchdog::start(address, self.hertz.saturating_mul(PATIENCE_SECONDS))
        });
        let board = PlainBoard {
            name: self.name,
            unit: Unit::Instructions,
            per_second: 1_000_000_000,
            clock: SysTickClock::start(core.SYST, Rate::instructions(self.hertz)),
            watchdog: RefCell::new(|| {
                if let Some(watchdog) = &watchdog {
                    watchdog.feed();
                }
            }),
        };
        // SAFETY: the caller answers for the address.
        let mut uart = unsafe { CmsdkUart::start(self.uart, self.hertz, BAUD) };
        serve::<O, _, _, _, _, _, _>(&board, &mut uart, store.open(), memory, embedded)
    }
}
