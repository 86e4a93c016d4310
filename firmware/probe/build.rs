//! Links each image from one root, and keeps what the panic gate reads. Writes a root for each
//! operator.

use std::fmt::Write as _;
use std::path::Path;
use std::{env, fs};

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    // There is no start-up code: the function under test is where execution would begin, so the
    // linker drops all that it does not reach.
    println!("cargo::rustc-link-arg-bins=--entry=niwaki_probe");
    // The linker applies relocations and forgets them; each one is an edge of the call graph.
    println!("cargo::rustc-link-arg-bins=--emit-relocs");

    let out = env::var_os("OUT_DIR").unwrap_or_default();
    let source = Path::new(&out).join("each_operator.rs");
    if let Err(error) = fs::write(&source, each_operator()) {
        println!("cargo::error=cannot write {}: {error}", source.display());
    }
}

/// A function `niwaki_operator_NAME` for each operator of the table, which links that operator
/// alone, and `each`, which calls the one of an index.
fn each_operator() -> String {
    let mut roots = String::new();
    let mut arms = String::new();
    for (index, (_, name)) in niwaki::ops::TABLE.iter().enumerate() {
        // As a program calls them: each for a record of its own, and its result is looked at. What
        // one has read or found would else save the next a part of its code.
        let _ = write!(
            roots,
            "/// All that a load and a run ask of {name}.\n\
             #[allow(unsafe_code, reason = \"found by this name, which nothing else has\")]\n\
             #[unsafe(no_mangle)]\n\
             #[inline(never)]\n\
             #[allow(non_snake_case, reason = \"operators carry their own names\")]\n\
             fn niwaki_operator_{name}(input: usize, check: &Check<'_>, memory: &mut Memory<'_, '_>) {{\n\
                 niwaki::operator_set!(struct One: {name});\n\
                 let _ = black_box(One::check(black_box(check)));\n\
                 black_box(One::steps(black_box(check)));\n\
                 black_box(One::overlap(black_box(check), input));\n\
                 let _ = black_box(One::run(memory));\n\
             }}\n\n"
        );
        let _ = writeln!(
            arms,
            "        {index} => niwaki_operator_{name}(input, check, memory),"
        );
    }
    format!(
        "{roots}\
         /// Calls the root of the operator with that index in the table.\n\
         fn each(index: usize, input: usize, check: &Check<'_>, memory: &mut Memory<'_, '_>) {{\n    \
             match index {{\n{arms}        _ => (),\n    }}\n\
         }}\n"
    )
}
