//! The loop that the programs end in.

use embedded_hal::delay::DelayNs;
use embedded_hal::i2c::I2c;
use embedded_io::{Read, ReadReady, Write};
use embedded_storage::nor_flash::NorFlash;
use niwaki_firmware::{Board, Device, Memory, ModelStore, NoStore, Start, Turn};
use niwaki_store::{Boot, Error, MappedFlash, Store};

use crate::model::{MODEL, ModelOperators};
use crate::monitor::{Monitor, Step};

/// Answers the host, and takes a step whenever one is due, for ever.
///
/// The model is the one in the active slot, of the operators that [`MODEL`] has, or [`MODEL`] itself, which
/// `memory` has to hold: else the program is not built. A
/// store that cannot be opened leaves the board with the latter, and uploads are refused.
///
/// `elapsed` says how many steps of 0.1 s have gone by since it was asked last, and `show` is told what
/// each has brought.
pub fn serve<B, L, J, F, I, D, const ARENA: usize, const OPERATORS: usize>(
    board: &B,
    link: &mut L,
    store: Result<Store<J, F>, Error>,
    memory: &mut Memory<ARENA, 0, OPERATORS>,
    monitor: &mut Monitor<I, D>,
    mut elapsed: impl FnMut() -> u32,
    mut show: impl FnMut(&Step<I::Error>, &Monitor<I, D>),
) -> !
where
    B: Board,
    L: Read + ReadReady + Write,
    J: NorFlash,
    F: MappedFlash + NorFlash,
    I: I2c,
    D: DelayNs,
{
    const { niwaki::include::assert_runs::<ModelOperators>(MODEL, ARENA) };
    let mut refused = None;
    let mut store = store.ok();
    loop {
        let mut start = Start {
            slot: None,
            embedded: Some(MODEL),
            refused,
        };
        refused = if let Some(store) = &mut store {
            let Boot {
                running, updater, ..
            } = store.boot();
            start.slot = running.map(Into::into);
            let mut device = Device::new(start, updater, memory, board, link);
            until_restart(&mut device, monitor, &mut elapsed, &mut show)
        } else {
            let mut device = Device::new(start, NoStore, memory, board, link);
            until_restart(&mut device, monitor, &mut elapsed, &mut show)
        };
    }
}

/// Runs one device until another model is to run, and gives why the one on trial has failed.
fn until_restart<T, B, L, I, D>(
    device: &mut Device<'_, ModelOperators, T, B, L>,
    monitor: &mut Monitor<I, D>,
    elapsed: &mut impl FnMut() -> u32,
    show: &mut impl FnMut(&Step<I::Error>, &Monitor<I, D>),
) -> Option<niwaki_wire::Error>
where
    T: ModelStore,
    B: Board,
    L: Read + ReadReady + Write,
    I: I2c,
    D: DelayNs,
{
    loop {
        if let Turn::Restart(refused) = device.poll() {
            return refused;
        }
        if let Some(missed) = elapsed().checked_sub(1) {
            let step = monitor.step(missed, device);
            show(&step, monitor);
        }
    }
}
