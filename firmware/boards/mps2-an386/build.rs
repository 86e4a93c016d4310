//! Puts the model into the image, and tells the linker where things go on this board.

use std::path::Path;
use std::{env, fs};

fn main() {
    niwaki_build::embed_model("NIWAKI_MODEL");

    println!("cargo::rerun-if-changed=memory.x");
    let out = env::var_os("OUT_DIR").unwrap_or_default();
    let out = Path::new(&out);
    if let Err(error) = fs::copy("memory.x", out.join("memory.x")) {
        println!("cargo::error=cannot copy memory.x: {error}");
    }
    println!("cargo::rustc-link-search={}", out.display());
    // The linker script of cortex-m-rt, which includes memory.x.
    println!("cargo::rustc-link-arg-bins=-Tlink.x");
    // Sections start where memory.x says, not on pages.
    println!("cargo::rustc-link-arg-bins=--nmagic");
}
