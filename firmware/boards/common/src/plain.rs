//! A board without anything of its own.

use core::cell::RefCell;

use niwaki_firmware::{Board, Meter};
use niwaki_wire::Unit;

use crate::stack;

/// A board as the application knows it, of a clock and a watchdog.
#[derive(Debug)]
pub struct PlainBoard<C, W> {
    /// Its name, up to 32 bytes.
    pub name: &'static str,
    /// What the clock counts.
    pub unit: Unit,
    /// How many of those go by in a second.
    pub per_second: u64,
    /// The clock.
    pub clock: C,
    /// Feeds the watchdog, which resets a board that does not call it: in a panic, in a fault, or in a
    /// driver that waits for ever. It has to wait for longer than a run of the model takes.
    pub watchdog: RefCell<W>,
}

impl<C: Meter, W> Meter for PlainBoard<C, W> {
    fn now(&self) -> u64 {
        self.clock.now()
    }
}

impl<C: Meter, W: FnMut()> Board for PlainBoard<C, W> {
    fn name(&self) -> &'static str {
        self.name
    }

    fn unit(&self) -> Unit {
        self.unit
    }

    fn per_second(&self) -> u64 {
        self.per_second
    }

    fn stack(&self) -> Option<(u32, u32)> {
        stack::depth()
    }

    fn still_alive(&self) {
        // Nothing else borrows it, and a borrow that fails must not panic.
        if let Ok(mut feed) = self.watchdog.try_borrow_mut() {
            feed();
        }
    }
}

/// Waits for the watchdog to reset the board: there is nothing else left to do.
pub fn halt() -> ! {
    loop {
        core::hint::spin_loop();
    }
}
