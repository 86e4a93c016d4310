//! Puts the model into the image. The memory map is that of esp-hal.

fn main() {
    niwaki_build::embed_model("NIWAKI_MODEL");
    println!("cargo::rustc-link-arg-bins=-Tlinkall.x");
}
