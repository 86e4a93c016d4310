//! Puts the model into the image, and tells the linker where things go on this board.

fn main() {
    niwaki_build::embed_model("NIWAKI_MODEL");
    niwaki_build::link_with("memory.x");
}
