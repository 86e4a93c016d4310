//! Puts the model into the image, and tells the linker where things go on this board.

use std::path::Path;
use std::{env, fs};

fn main() {
    niwaki_build::embed_model("NIWAKI_MODEL");

    // The AN547 is this board's successor, and the one that is made for an Armv8-M.
    let target = env::var("TARGET").unwrap_or_default();
    println!("cargo::rustc-check-cfg=cfg(niwaki_an547)");
    let memory = if target.starts_with("thumbv8m") {
        println!("cargo::rustc-cfg=niwaki_an547");
        "mps3-an547.x"
    } else {
        "memory.x"
    };
    println!("cargo::rerun-if-changed={memory}");
    let out = env::var_os("OUT_DIR").unwrap_or_default();
    let out = Path::new(&out);
    if let Err(error) = fs::copy(memory, out.join("memory.x")) {
        println!("cargo::error=cannot copy {memory}: {error}");
    }
    println!("cargo::rustc-link-search={}", out.display());
    // The linker script of cortex-m-rt, which includes memory.x.
    println!("cargo::rustc-link-arg-bins=-Tlink.x");
    // Sections start where memory.x says, not on pages.
    println!("cargo::rustc-link-arg-bins=--nmagic");
}
