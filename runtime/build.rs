//! Tells the kernels about instructions that the compiler knows of and has no stable name for.

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rustc-check-cfg=cfg(niwaki_arm_dsp)");
    println!("cargo::rustc-check-cfg=cfg(niwaki_mve)");
    println!("cargo::rustc-check-cfg=cfg(niwaki_thumb1)");
    println!("cargo::rustc-check-cfg=cfg(niwaki_tiles)");
    // WebAssembly with relaxed SIMD in the products of convolutions alone: who compiles for it says so by
    // `--cfg niwaki_relaxed`. With the target's feature the compiler would put relaxed instructions in
    // place of others, whose results differ from machine to machine.
    println!("cargo::rustc-check-cfg=cfg(niwaki_relaxed)");
    let target = std::env::var("TARGET").unwrap_or_default();
    if target.starts_with("thumbv6m") || target.starts_with("thumbv8m.base") {
        println!("cargo::rustc-cfg=niwaki_thumb1");
    }
    // Every Armv7E-M has the DSP extension. On Armv8-M Mainline it is optional, and the assembler
    // wants to be told of it in another way: those run the scalar loops.
    if target.starts_with("thumbv7em") {
        println!("cargo::rustc-cfg=niwaki_arm_dsp");
    }
    // Vectors are an option of Armv8.1-M that no target has by itself, and cargo names no feature of it:
    // who compiles for a Cortex-M55 or M85 says so.
    let flags = std::env::var("CARGO_ENCODED_RUSTFLAGS").unwrap_or_default();
    let has_mve = ["cortex-m55", "cortex-m85"]
        .iter()
        .any(|cpu| flags.contains(&format!("target-cpu={cpu}")));
    if has_mve && target.ends_with("eabihf") {
        println!("cargo::rustc-cfg=niwaki_mve");
    }
    // Vectors of sums, and a stack that holds what they are computed from.
    let variable = |name: &str| std::env::var(name).unwrap_or_default();
    let simd128 = variable("CARGO_CFG_TARGET_FEATURE")
        .split(',')
        .any(|name| name == "simd128");
    let has_tiles = match variable("CARGO_CFG_TARGET_ARCH").as_str() {
        "x86_64" | "aarch64" => variable("CARGO_CFG_TARGET_OS") != "none",
        "wasm32" => simd128,
        _ => false,
    };
    if has_tiles {
        println!("cargo::rustc-cfg=niwaki_tiles");
    }
}
