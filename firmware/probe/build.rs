//! Links each image from one root, and keeps what the panic gate reads.

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    // There is no start-up code: the function under test is where execution would begin, so the
    // linker drops all that it does not reach.
    println!("cargo::rustc-link-arg-bins=--entry=niwaki_probe");
    // The linker applies relocations and forgets them; each one is an edge of the call graph.
    println!("cargo::rustc-link-arg-bins=--emit-relocs");
}
