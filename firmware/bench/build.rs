//! Puts the model into the image, and tells the linker where things go on this board.

fn main() {
    niwaki_build::embed_model("NIWAKI_MODEL");

    // The AN547 is the successor of the other boards, and the one that is made for an Armv8-M.
    let target = std::env::var("TARGET").unwrap_or_default();
    println!("cargo::rustc-check-cfg=cfg(niwaki_an547)");
    if target.starts_with("thumbv8m") {
        println!("cargo::rustc-cfg=niwaki_an547");
        niwaki_build::link_with("../boards/mps3-an547/memory.x");
    } else {
        niwaki_build::link_with("../boards/mps2-an386/memory.x");
    }
}
