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
        let _ = write!(
            roots,
            "/// Checks and runs {name}.\n\
             #[allow(unsafe_code, reason = \"found by this name, which nothing else has\")]\n\
             #[unsafe(no_mangle)]\n\
             #[inline(never)]\n\
             #[allow(non_snake_case, reason = \"operators carry their own names\")]\n\
             fn niwaki_operator_{name}(check: &Check<'_>, memory: &mut Memory<'_, '_>) -> bool {{\n\
                 niwaki::operator_set!(struct One: {name});\n\
                 One::check(check).is_ok() && One::run(memory).is_ok()\n\
             }}\n\n"
        );
        let _ = writeln!(
            arms,
            "        {index} => niwaki_operator_{name}(check, memory),"
        );
    }
    format!(
        "{roots}\
         /// Calls the root of the operator with that index in the table.\n\
         fn each(index: usize, check: &Check<'_>, memory: &mut Memory<'_, '_>) -> bool {{\n    \
             match index {{\n{arms}        _ => false,\n    }}\n\
         }}\n"
    )
}
