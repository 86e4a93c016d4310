//! Tells the linker where things go on this board, and where the texts of the log.

fn main() {
    niwaki_build::link_with("../../boards/mps2-an386/memory.x");
    println!("cargo::rustc-link-arg-bins=-Tdefmt.x");
    // Where nobody says otherwise, only errors are logged.
    println!("cargo::rustc-env=DEFMT_LOG=info");
}
