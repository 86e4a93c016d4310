//! Tells the kernels about instructions that the compiler knows of and has no stable name for.

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rustc-check-cfg=cfg(niwaki_arm_dsp)");
    let variable = |name: &str| std::env::var(name).unwrap_or_default();
    let target = variable("TARGET");
    // Every Armv7E-M has the DSP extension. On Armv8-M Mainline it is optional: there a named
    // processor says so.
    let flags = variable("CARGO_ENCODED_RUSTFLAGS");
    let named = |cpu: &str| flags.contains(&format!("target-cpu={cpu}"));
    let mainline = target.starts_with("thumbv8m.main")
        && ["cortex-m33", "cortex-m55", "cortex-m85"]
            .into_iter()
            .any(named);
    if target.starts_with("thumbv7em") || mainline {
        println!("cargo::rustc-cfg=niwaki_arm_dsp");
    }
}
