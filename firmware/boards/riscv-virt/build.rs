//! Puts the model into the image, and tells the linker where things go on this board.

fn main() {
    niwaki_build::embed_model("NIWAKI_MODEL");
    // riscv-rt includes no memory map by itself.
    println!("cargo::rustc-link-arg-bins=-Tmemory.x");
    niwaki_build::link_with("memory.x");
}
