//! What boards share. A board itself is a leaf: its pins, its clock, its memory map, and a call of
//! [`serve`].

#![no_std]

pub mod cmsdk;
mod duplex;
#[cfg(feature = "semihosting")]
mod fault;
#[cfg(all(feature = "semihosting", target_arch = "arm"))]
mod mps;
mod nb_line;
mod nvmc;
mod plain;
mod ram_flash;
mod ram_store;
#[cfg(target_arch = "arm")]
mod rom_flash;
mod serve;
pub mod stack;
#[cfg(target_arch = "arm")]
mod systick;
#[cfg(feature = "usb")]
mod usb;

pub use duplex::Duplex;
#[cfg(feature = "semihosting")]
pub use fault::stop;
#[cfg(all(feature = "semihosting", target_arch = "arm"))]
pub use mps::Mps;
pub use nb_line::NbLine;
pub use nvmc::NvmcFlash;
pub use plain::{PlainBoard, halt};
pub use ram_flash::{RamFlash, SECTOR, Sectors};
pub use ram_store::RamStore;
#[cfg(target_arch = "arm")]
pub use rom_flash::{Rom, RomFlash};
pub use serve::serve;
#[cfg(target_arch = "arm")]
pub use systick::{Rate, SysTickClock};
#[cfg(feature = "usb")]
pub use usb::UsbLine;
