//! The loop that every board ends in.

use embedded_io::{Read, ReadReady, Write};
use embedded_storage::nor_flash::NorFlash;
use niwaki::OperatorSet;
use niwaki_firmware::{Board, Device, Memory, ModelStore, NoStore, Start, Turn};
use niwaki_store::{Boot, Error, MappedFlash, Store};

/// The model that runs until another one is uploaded: module `model`, of the file that the build script has
/// checked by `niwaki_build::embed_model`. One that could not run with these operators, or in an arena of
/// that many bytes, stops the build.
#[macro_export]
macro_rules! first_model {
    ($operators:ty, $arena:expr) => {
        mod model {
            ::niwaki::include_model!(concat!(env!("OUT_DIR"), "/model.niwaki"));
        }

        const _: () = ::niwaki::include::assert_runs::<$operators>(model::MODEL, $arena);
    };
}

/// Runs the application for ever: the model in the active slot, or `embedded` where that is none, fed
/// and updated over `link`.
///
/// A store that cannot be opened, because its flash is worn or of a size that does not suit, leaves
/// the board with its embedded model; uploads are refused then.
pub fn serve<O, B, L, J, F, const ARENA: usize, const OPERATORS: usize>(
    board: &B,
    link: &mut L,
    store: Result<Store<J, F>, Error>,
    memory: &mut Memory<ARENA, 0, OPERATORS>,
    embedded: &'static [u8],
) -> !
where
    O: OperatorSet,
    B: Board,
    L: Read + ReadReady + Write,
    J: NorFlash,
    F: MappedFlash + NorFlash,
{
    let mut refused = None;
    let mut store = store.ok();
    loop {
        let mut start = Start {
            slot: None,
            embedded: Some(embedded),
            refused,
        };
        refused = match &mut store {
            Some(store) => {
                let Boot {
                    running, updater, ..
                } = store.boot();
                start.slot = running.map(Into::into);
                until_restart::<O, _, _, _, ARENA, OPERATORS>(start, updater, memory, board, link)
            }
            None => {
                until_restart::<O, _, _, _, ARENA, OPERATORS>(start, NoStore, memory, board, link)
            }
        };
    }
}

/// Runs one device until another model is to run, and gives why the one on trial has failed.
fn until_restart<'d, O, T, B, L, const ARENA: usize, const OPERATORS: usize>(
    start: Start<'d>,
    store: T,
    memory: &'d mut Memory<ARENA, 0, OPERATORS>,
    board: &'d B,
    link: &'d mut L,
) -> Option<niwaki_wire::Error>
where
    O: OperatorSet,
    T: ModelStore,
    B: Board,
    L: Read + ReadReady + Write,
{
    let mut device: Device<'_, O, _, _, _> = Device::new(start, store, memory, board, link);
    loop {
        if let Turn::Restart(refused) = device.poll() {
            return refused;
        }
    }
}
