//! Tells the linker where things go on this board.

fn main() {
    niwaki_build::link_with("../../boards/mps2-an386/memory.x");
}
