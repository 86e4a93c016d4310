//! The panic gate: proves that a run of a model has no path to a panic, and no allocator.
//!
//! The images of `firmware/probe` hold one call into the runtime each, and what the linker found
//! reachable from it; that of `examples/motion-firmware` is a whole program. Every reference from one
//! function to another is a relocation that the linker was told to keep: together they are the call graph. A reference from that graph to one
//! of the functions by which `core` panics is a *panic call site*; their number has to be 0, but
//! for those that [`ALLOWED`] lists with a reason.

use std::path::Path;

use anyhow::{Context, Result, bail};

use crate::firmware::{self, CORTEX_M4F};
use crate::image::{Image, Site};

/// An image to look into.
struct Probe {
    /// Name of the binary.
    name: &'static str,
    /// What it does.
    what: &'static str,
}

const PROBES: [Probe; 4] = [
    Probe {
        name: "run-kws",
        what: "a run with the operators of kws01",
    },
    Probe {
        name: "run-all",
        what: "a run with every operator",
    },
    Probe {
        name: "load-all",
        what: "a load, with the checks of every operator",
    },
    Probe {
        name: "serve-device",
        what: "a device that answers whatever comes over its line",
    },
];

/// The example that is a whole program, on a board whose drivers are this project's: the panics of a
/// vendor's drivers are not ours to count.
const MOTION: Probe = Probe {
    name: "motion-mps2",
    what: "an activity monitor, all that comes behind its start",
};

/// The loop of [`MOTION`]. What comes before is run once, and stops the board where it has to.
const MOTION_ROOT: &str = "motion_firmware::serve::serve";

/// An image with a panic on purpose: a gate that does not see it proves nothing.
const PLANTED: &str = "planted";

/// The function that each image of `firmware/probe` is linked from.
const ROOT: &str = "niwaki_probe";

/// Panic call sites that may stay.
struct Allowed {
    probe: &'static str,
    /// Part of the caller's name.
    caller: &'static str,
    panic: &'static str,
    sites: usize,
    /// Why none of them is ever reached.
    reason: &'static str,
}

const ALLOWED: [Allowed; 5] = [
    hash_in("load-all"),
    hash_in("serve-device"),
    hash_in(MOTION.name),
    last_words("semihosting::io::Write::write_fmt::Adapter"),
    last_words("core::fmt::Write::write_char"),
];

const fn hash_in(probe: &'static str) -> Allowed {
    Allowed {
        probe,
        caller: "hmac_sha256::Hash",
        panic: "core::slice::index::slice_index_fail",
        sites: 2,
        reason: "`finalize` slices 64 and 128 bytes by the fill of its 64-byte block, which is below \
                 64 whenever it is called; the optimiser does not see that",
    }
}

/// The panic handler of [`MOTION`] writes its message to the emulator.
const fn last_words(caller: &'static str) -> Allowed {
    Allowed {
        probe: MOTION.name,
        caller,
        panic: "core::panicking::panic",
        sites: 1,
        reason: "of the panic handler's own output; the loop has no call of it, but all constants are one \
                 node of the graph, and its vtable is among them",
    }
}

/// Builds the probes and counts the panic call sites in each.
///
/// # Errors
///
/// When there are more than [`ALLOWED`] has, when an allocator is linked, or when the planted
/// panic is not found.
pub(crate) fn check(root: &Path) -> Result<()> {
    let build = [
        "build",
        "--release",
        "--package=niwaki-probe",
        "--target",
        CORTEX_M4F,
    ];
    firmware::run(&mut firmware::cargo(root, &build))?;
    let open = |name: &str| {
        let path = firmware::release_folder(root, CORTEX_M4F).join(name);
        Image::open(&path).with_context(|| format!("cannot read {}", path.display()))
    };

    let mut failures = 0;
    for probe in &PROBES {
        failures += usize::from(!judge(probe, &open(probe.name)?, ROOT)?);
    }
    let motion = Image::open(&firmware::motion_image(root, "mps2")?)?;
    failures += usize::from(!judge(&MOTION, &motion, MOTION_ROOT)?);

    let planted = open(PLANTED)?.panic_sites(ROOT)?;
    let found = planted
        .first()
        .context("the gate is blind: it misses the panic in firmware/probe/src/planted.rs")?;
    println!("a planted panic is found: {found}");
    if failures > 0 {
        let folder = firmware::release_folder(root, CORTEX_M4F);
        bail!(
            "{failures} of {} probes can panic or allocate; `llvm-symbolizer --obj={}/PROBE ADDRESS` \
             names the source line",
            PROBES.len() + 1,
            folder.display()
        );
    }
    Ok(())
}

/// Says what is in an image, from the function `root` on; false when it is more than is allowed.
fn judge(probe: &Probe, image: &Image, root: &str) -> Result<bool> {
    let sites = image.panic_sites(root)?;
    let (count, code) = (sites.len(), image.code_bytes());
    let Probe { name, what } = probe;
    println!("{name}, {what}: {count} panic call sites, {code} bytes of code");

    let mut good = true;
    let mut rest = sites.clone();
    for allowed in ALLOWED.iter().filter(|allowed| allowed.probe == probe.name) {
        let known = take(&mut rest, allowed);
        let Allowed { caller, reason, .. } = allowed;
        println!("  {} allowed in {caller}: {reason}", known.len());
        rest.extend(known.into_iter().skip(allowed.sites));
    }
    let allocators = image.allocators().into_iter();
    let findings = rest.iter().map(|site| format!("panic call site {site}"));
    // The linker has found a use for a function that panics, and the graph has no reference to
    // it: then the graph is not whole.
    let unexplained = image.panics().into_iter().filter(|_| sites.is_empty());
    let findings = findings
        .chain(unexplained.map(|name| format!("{name} is linked, and nothing refers to it")))
        .chain(allocators.map(|name| format!("{name} is linked")));
    for finding in findings {
        println!("  not allowed: {finding}");
        good = false;
    }
    Ok(good)
}

/// Moves the sites that an entry of the table speaks of out of `sites`.
fn take(sites: &mut Vec<Site>, allowed: &Allowed) -> Vec<Site> {
    let speaks_of =
        |site: &mut Site| site.caller.contains(allowed.caller) && site.panic == allowed.panic;
    sites.extract_if(.., speaks_of).collect()
}
