//! Tells the linker where things go: the memory map of the board that the program is for.

use std::env::var_os;

/// Programs, by their features, and their memory maps.
const MAPS: [(&str, &str); 2] = [
    (
        "CARGO_FEATURE_MPS2",
        "../../firmware/boards/mps2-an386/memory.x",
    ),
    (
        "CARGO_FEATURE_NRF52840",
        "../../firmware/boards/nrf52840-dk/memory.x",
    ),
];

fn main() {
    // The library and its tests are the host's too.
    if var_os("CARGO_CFG_TARGET_OS").is_none_or(|os| os != "none") {
        return;
    }
    let mut wanted = MAPS
        .iter()
        .filter(|(feature, _)| var_os(feature).is_some())
        .map(|(_, map)| map);
    match (wanted.next(), wanted.next()) {
        (Some(map), None) => {
            niwaki_build::link_with(map);
            // Each one is an edge of the call graph that `cargo xtask panics` reads. They are in the ELF
            // alone, and take no flash.
            println!("cargo::rustc-link-arg-bins=--emit-relocs");
        }
        (Some(_), Some(_)) => println!(
            "cargo::error=the boards have different memory maps: build with one of the features \
             mps2 and nrf52840"
        ),
        (None, _) => {}
    }
}
