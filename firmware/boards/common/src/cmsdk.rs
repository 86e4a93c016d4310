//! The UART and the watchdog of ARM's Cortex-M System Design Kit (CMSDK), which its FPGA boards
//! MPS2 and MPS3 have.

use core::convert::Infallible;
use core::hint::spin_loop;

use embedded_io::{ErrorType, Read, ReadReady, Write};
use volatile_register::RW;

/// The registers, as chapter 4.3 of the kit's Technical Reference Manual (DDI 0479) names them.
#[repr(C)]
struct Registers {
    /// A byte to send, or the one that came.
    data: RW<u32>,
    /// [`TX_FULL`] and [`RX_FULL`].
    state: RW<u32>,
    /// [`TX_ENABLE`] and [`RX_ENABLE`].
    ctrl: RW<u32>,
    /// Interrupts, which stay off.
    interrupt: RW<u32>,
    /// Ticks of the peripheral clock for each bit, at least 16.
    bauddiv: RW<u32>,
}

const TX_FULL: u32 = 1;
const RX_FULL: u32 = 1 << 1;
const TX_ENABLE: u32 = 1;
const RX_ENABLE: u32 = 1 << 1;

/// The UART, with a buffer of one byte each way. Reads and writes wait.
pub struct CmsdkUart(&'static Registers);

impl CmsdkUart {
    /// The UART whose registers begin at `address`, at `baud` bits a second, 8 to a byte, without
    /// parity. `hertz` is the clock of the peripherals.
    ///
    /// # Safety
    ///
    /// There have to be the registers of such a UART, which nothing else uses, for ever.
    #[allow(unsafe_code, reason = "an address becomes a peripheral here")]
    pub unsafe fn start(address: usize, hertz: u32, baud: u32) -> Self {
        let registers = core::ptr::with_exposed_provenance::<Registers>(address);
        // SAFETY: the caller answers for the address; all accesses are volatile and through cells.
        let registers = unsafe { &*registers };
        let divisor = hertz.checked_div(baud).unwrap_or(0).max(16);
        // SAFETY: no register of this peripheral makes it touch memory.
        unsafe { registers.bauddiv.write(divisor) };
        // SAFETY: as above.
        unsafe { registers.ctrl.write(TX_ENABLE | RX_ENABLE) };
        Self(registers)
    }
}

impl ErrorType for CmsdkUart {
    type Error = Infallible;
}

impl ReadReady for CmsdkUart {
    fn read_ready(&mut self) -> Result<bool, Infallible> {
        Ok(self.0.state.read() & RX_FULL != 0)
    }
}

impl Read for CmsdkUart {
    fn read(&mut self, buffer: &mut [u8]) -> Result<usize, Infallible> {
        let Some(first) = buffer.first_mut() else {
            return Ok(0);
        };
        while !self.read_ready()? {
            spin_loop();
        }
        *first = self.0.data.read() as u8;
        Ok(1)
    }
}

impl Write for CmsdkUart {
    #[allow(unsafe_code, reason = "a register may mean anything")]
    fn write(&mut self, bytes: &[u8]) -> Result<usize, Infallible> {
        let Some(&first) = bytes.first() else {
            return Ok(0);
        };
        while self.0.state.read() & TX_FULL != 0 {
            spin_loop();
        }
        // SAFETY: this register takes a byte to send, and touches no memory.
        unsafe { self.0.data.write(first.into()) };
        Ok(1)
    }

    fn flush(&mut self) -> Result<(), Infallible> {
        while self.0.state.read() & TX_FULL != 0 {
            spin_loop();
        }
        Ok(())
    }
}

/// The registers of the watchdog, chapter 4.7 of the same manual.
#[repr(C)]
struct WatchdogRegisters {
    load: RW<u32>,
    value: RW<u32>,
    control: RW<u32>,
    /// A write feeds it.
    clear: RW<u32>,
}

/// Interrupt at the first time out, reset at the second.
const WATCH: u32 = 0b11;

/// The kit's watchdog.
pub struct CmsdkWatchdog(&'static WatchdogRegisters);

impl CmsdkWatchdog {
    /// Starts the watchdog whose registers begin at `address`. It strikes when `ticks` of its clock go
    /// by without [`CmsdkWatchdog::feed`], by a non-maskable interrupt.
    ///
    /// # Safety
    ///
    /// There have to be the registers of such a watchdog, which nothing else uses, for ever.
    #[allow(unsafe_code, reason = "an address becomes a peripheral here")]
    pub unsafe fn start(address: usize, ticks: u32) -> Self {
        let registers = core::ptr::with_exposed_provenance::<WatchdogRegisters>(address);
        // SAFETY: the caller answers for the address; all accesses are volatile and through cells.
        let registers = unsafe { &*registers };
        // SAFETY: no register of this peripheral makes it touch memory.
        unsafe { registers.load.write(ticks) };
        // SAFETY: as above.
        unsafe { registers.control.write(WATCH) };
        Self(registers)
    }

    /// Begins the wait anew.
    #[allow(unsafe_code, reason = "a register may mean anything")]
    pub fn feed(&self) {
        // SAFETY: any value is taken for the same.
        unsafe { self.0.clear.write(1) };
    }
}
