//! Time by the timer that every Cortex-M has.

use cortex_m::peripheral::{SCB, SYST, syst::SystClkSource};
use cortex_m_rt::exception;
use niwaki_firmware::Meter;
use portable_atomic::{AtomicU32, Ordering};

/// How a tick of SysTick, which is one of the core's clock, becomes what a board counts.
#[derive(Clone, Copy, Debug)]
pub struct Rate {
    /// So many of what is counted
    pub units: u32,
    /// go by in so many ticks.
    pub ticks: u32,
}

impl Rate {
    /// Ticks themselves: cycles of the core's clock.
    pub const CYCLES: Self = Self { units: 1, ticks: 1 };

    /// Instructions under QEMU's `-icount shift=0`, where one takes a nanosecond, on a machine whose
    /// clock makes so many ticks in a second.
    pub const fn instructions(hertz: u32) -> Self {
        Self {
            units: 1_000_000_000,
            ticks: hertz,
        }
    }
}

/// The counter counts down from here, and has no more bits.
const RELOAD: u32 = 0x00ff_ffff;

/// Ticks from one wrap to the next.
const PERIOD: u64 = RELOAD as u64 + 1;

/// How often the counter has wrapped.
static WRAPS: AtomicU32 = AtomicU32::new(0);

#[exception]
fn SysTick() {
    WRAPS.fetch_add(1, Ordering::Relaxed);
}

/// Counts cycles of the core's clock, or what goes by in them. Each wrap of the counter is an
/// interrupt.
///
/// QEMU's clock is the host's, unless it is started with `-icount`: then it is of what was executed.
#[derive(Debug)]
pub struct SysTickClock {
    rate: Rate,
    /// Whoever has it could stop the counter.
    _counter: NoDebug,
}

/// The peripheral, which has nothing to show.
struct NoDebug(#[allow(dead_code, reason = "it is kept so that nobody else has it")] SYST);

impl core::fmt::Debug for NoDebug {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("SYST")
    }
}

impl SysTickClock {
    /// Starts the counter.
    pub fn start(mut counter: SYST, rate: Rate) -> Self {
        counter.set_clock_source(SystClkSource::Core);
        counter.set_reload(RELOAD);
        counter.clear_current();
        counter.enable_interrupt();
        counter.enable_counter();
        Self {
            rate,
            _counter: NoDebug(counter),
        }
    }
}

impl Meter for SysTickClock {
    fn now(&self) -> u64 {
        loop {
            let wraps = WRAPS.load(Ordering::Relaxed);
            let left = SYST::get_current();
            // The counter may wrap between the two reads, or may have reached 0 with its exception
            // still to come: then it is open which `wraps` belongs to `left`. Read both again.
            let settled = left != 0 && !SCB::is_pendst_pending();
            if settled && wraps == WRAPS.load(Ordering::Relaxed) {
                let ticks = u64::from(wraps) * PERIOD + (PERIOD - u64::from(left));
                let Rate { units, ticks: per } = self.rate;
                // Whole turns apart: the product of all ticks would overflow after minutes.
                let per = u64::from(per.max(1));
                let (turns, rest) = (ticks / per, ticks % per);
                return turns * u64::from(units) + rest * u64::from(units) / per;
            }
        }
    }
}
