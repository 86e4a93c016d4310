//! Holds the kernels of this board's instruction set against the scalar ones, on random work: what a
//! model never asks of them too. Ends with exit code 0 when they agree on every draw.

#![no_std]
#![no_main]

use cortex_m_rt::entry;
use semihosting::{println, process};

/// How many draws.
const DRAWS: u32 = 10_000;

#[entry]
fn main() -> ! {
    match niwaki::check_kernels(1..DRAWS + 1) {
        None => {
            println!("{DRAWS} draws: the kernels agree with the scalar ones");
            process::exit(0)
        }
        Some(seed) => {
            println!("seed {seed}: the kernels and the scalar ones differ");
            process::exit(1)
        }
    }
}

/// The runtime has no panic, and a check that panics has failed.
#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    println!("a panic");
    process::exit(1)
}
