//! Tells the linker where things go on this board.

fn main() {
    niwaki_build::link_with("memory.x");
}
