//! Time, which under QEMU's `-icount shift=0` is a count of instructions.

use cortex_m::peripheral::{SCB, SYST, syst::SystClkSource};
use cortex_m_rt::exception;
use niwaki_firmware::Meter;
use portable_atomic::{AtomicU32, Ordering};

/// An instruction takes QEMU 1 ns with `-icount shift=0`, a tick of this 25 MHz clock 40 ns, and one
/// of the AN547's 32 MHz 31.25 ns: instructions in four ticks.
const INSTRUCTIONS_PER_4_TICKS: u64 = if cfg!(niwaki_an547) { 125 } else { 160 };

/// The counter counts down from here, and has no more bits.
const RELOAD: u32 = 0x00ff_ffff;

/// Ticks from one wrap to the next: 671 million instructions, 524 million on the AN547.
const PERIOD: u64 = RELOAD as u64 + 1;

/// How often the counter has wrapped.
static WRAPS: AtomicU32 = AtomicU32::new(0);

#[exception]
fn SysTick() {
    WRAPS.fetch_add(1, Ordering::Relaxed);
}

/// Counts instructions in steps of a tick, with the SysTick counter. Without `-icount shift=0` QEMU
/// runs by the host's clock, and the count means nothing.
pub(crate) struct InstructionMeter {
    /// Whoever has it could stop the counter.
    _counter: SYST,
}

impl InstructionMeter {
    /// Starts the counter.
    pub(crate) fn start(mut counter: SYST) -> Self {
        counter.set_clock_source(SystClkSource::Core);
        counter.set_reload(RELOAD);
        counter.clear_current();
        counter.enable_interrupt();
        counter.enable_counter();
        Self { _counter: counter }
    }
}

impl Meter for InstructionMeter {
    fn now(&self) -> u64 {
        loop {
            let wraps = WRAPS.load(Ordering::Relaxed);
            let left = SYST::get_current();
            // The counter may wrap between the two reads, or may have reached 0 with its exception
            // still to come: then it is open which `wraps` belongs to `left`. Read both again.
            let settled = left != 0 && !SCB::is_pendst_pending();
            if settled && wraps == WRAPS.load(Ordering::Relaxed) {
                let ticks = u64::from(wraps) * PERIOD + (PERIOD - u64::from(left));
                return ticks * INSTRUCTIONS_PER_4_TICKS / 4;
            }
        }
    }
}
