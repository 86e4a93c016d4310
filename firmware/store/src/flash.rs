//! What a slot has to be.

use embedded_storage::nor_flash::NorFlash;

/// NOR flash that the processor also sees as memory: where a model can be run from in place.
pub trait MappedFlash: NorFlash {
    /// All of its bytes, from offset 0 to its capacity. They begin at a multiple of 16.
    fn bytes(&self) -> &[u8];
}

/// The largest unit of a write that there is room for: a page of serial NOR flash.
pub(crate) const MAX_WRITE: usize = 256;

/// Whether the sizes of a flash are such as this crate can work with.
pub(crate) const fn suits<F: NorFlash>() -> bool {
    F::WRITE_SIZE.is_power_of_two()
        && F::WRITE_SIZE <= MAX_WRITE
        && F::WRITE_SIZE.is_multiple_of(F::READ_SIZE)
        && F::ERASE_SIZE.is_multiple_of(F::WRITE_SIZE)
}
