//! The firmware's workspace: the measuring images, tests and lints.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::boards;
use crate::tool::QEMU;

/// A machine that the measuring image, `firmware/bench`, is built for.
struct Machine {
    name: &'static str,
    target: &'static str,
    /// What the compiler is told beside the target.
    cpu: Option<&'static str>,
}

/// Every machine that is measured.
const MACHINES: [Machine; 4] = [
    Machine {
        name: "mps2-an386",
        target: CORTEX_M4F,
        cpu: None,
    },
    // The same board with a Cortex-M3 in it.
    Machine {
        name: "mps2-an385",
        target: "thumbv7m-none-eabi",
        cpu: None,
    },
    // The same with code for a Cortex-M0, of which no emulated board has the memory: a Cortex-M3
    // executes it instruction by instruction, as it is.
    Machine {
        name: "mps2-an385-armv6m",
        target: "thumbv6m-none-eabi",
        cpu: None,
    },
    // The same program on the successor of that board, a Cortex-M55 with MVE.
    Machine {
        name: "mps3-an547",
        target: "thumbv8m.main-none-eabihf",
        cpu: Some("cortex-m55"),
    },
];

/// The package of the measuring image.
const BENCH: &str = "niwaki-bench";

/// The target of a Cortex-M4 with FPU, and of every check that needs no particular machine.
pub(crate) const CORTEX_M4F: &str = "thumbv7em-none-eabihf";

/// Builds the measuring image of `machine` that carries `model`, and gives the ELF's path. The image
/// stays there until one for the same machine is built with a model of the same file name.
///
/// # Errors
///
/// When there is no such machine or model, or when the model is refused or the firmware does not
/// build.
pub(crate) fn bench_image(root: &Path, machine: &str, model: &Path) -> Result<PathBuf> {
    let Some(Machine { name, target, cpu }) = MACHINES.iter().find(|known| known.name == machine)
    else {
        let known = MACHINES.map(|machine| machine.name).join(", ");
        bail!("there is no machine `{machine}`: there are {known}");
    };
    // Cargo runs in another directory, and the build script in a third.
    let model = std::path::absolute(model)?;
    let mut command = cargo_for(root, *cpu, &["build", "--release", "--target", target]);
    command.args(["--package", BENCH]);
    let built = release_folder(root, target).join(BENCH);
    image(root, &mut command, &model, &built, &format!("bench-{name}"))
}

/// Has `command` build an image that carries `model`, and copies it from where it is built to a place
/// that has the name of both.
///
/// # Errors
///
/// When the model is refused, or the firmware does not build.
pub(crate) fn image(
    root: &Path,
    command: &mut Command,
    model: &Path,
    built: &Path,
    name: &str,
) -> Result<PathBuf> {
    let stem = model
        .file_stem()
        .with_context(|| format!("`{}` names no file", model.display()))?;
    let images = root.join("firmware/target/images");
    fs::create_dir_all(&images)?;
    // All models of a board are built to one path: nobody else may build before the image has
    // been copied from there. The lock is given back when the file is closed.
    let lock = File::create(images.join(".lock"))?;
    lock.lock()?;
    run(command.env("NIWAKI_MODEL", model))?;
    let image = images.join(format!("{name}-{}.elf", stem.to_string_lossy()));
    fs::copy(built, &image).with_context(|| format!("cannot copy {}", built.display()))?;
    Ok(image)
}

/// Builds the program of `examples/motion-firmware` that has `feature`, its board's, and gives the ELF's
/// path.
///
/// # Errors
///
/// When it does not build.
pub(crate) fn motion_image(root: &Path, feature: &str) -> Result<PathBuf> {
    run(&mut motion(root, "build", feature))?;
    Ok(release_folder(root, CORTEX_M4F).join(format!("motion-{feature}")))
}

/// Programs of `examples/motion-firmware`, by their features. Their memory maps differ, so that they are
/// built one at a time.
pub(crate) const MOTION_FEATURES: [&str; 2] = ["mps2", "nrf52840"];

/// Cargo with a verb, for the program that has `feature`.
fn motion(root: &Path, verb: &str, feature: &str) -> Command {
    let mut command = cargo(root, &[verb, "--release", "--target", CORTEX_M4F]);
    command.args(["--package=motion-firmware", "--features", feature]);
    command.args(["--bin", &format!("motion-{feature}")]);
    command
}

/// The tests of the firmware's crates that need no board.
///
/// # Errors
///
/// When one fails.
pub(crate) fn test(root: &Path) -> Result<()> {
    run(&mut cargo(root, &["test"]))
}

/// Lints of every firmware crate, each for a machine that it is made for.
///
/// # Errors
///
/// When there is a warning, or no board builds.
pub(crate) fn lint(root: &Path) -> Result<()> {
    let deny = ["--", "--deny=warnings"];
    run(cargo(root, &["clippy", "--all-targets"]).args(deny))?;
    for package in ["niwaki-probe", "niwaki-embassy"] {
        let clippy = ["clippy", "--package", package, "--target", CORTEX_M4F];
        run(cargo(root, &clippy).args(deny))?;
    }
    let store = ["clippy", "--package=niwaki-store", "--target", CORTEX_M4F];
    run(cargo(root, &store).arg("--features=signature").args(deny))?;

    let model = fixture(root)?;
    for Machine { target, cpu, .. } in &MACHINES {
        let mut command = cargo_for(root, *cpu, &["clippy", "--target", target]);
        command.args(["--package", BENCH, KERNEL_CHECK]);
        run(command.args(deny).env("NIWAKI_MODEL", &model))?;
    }
    for board in &boards::BOARDS {
        let mut command = board.cargo("clippy");
        run(command.args(deny).env("NIWAKI_MODEL", &model))?;
    }
    for feature in MOTION_FEATURES {
        run(motion(root, "clippy", feature).args(deny))?;
    }
    // What the program of the host needs is on in the first line here; without it the crate is the board's.
    let sensor = ["clippy", "--package=motion-sensor", "--target", CORTEX_M4F];
    run(cargo(root, &sensor).arg("--lib").args(deny))
}

/// What `bin/kernels` of the measuring image needs of the runtime.
const KERNEL_CHECK: &str = "--features=kernel-check";

/// Holds the kernels of the Cortex-M0, M4 and M55 against the scalar ones on random work, on the
/// emulated boards.
///
/// # Errors
///
/// When they differ, when the image does not build, or when QEMU is not there.
pub(crate) fn check_kernels(root: &Path) -> Result<()> {
    let model = fixture(root)?;
    // The Cortex-M3 runs the scalar ones.
    for machine in MACHINES.iter().filter(|known| known.name != "mps2-an385") {
        let build = ["build", "--release", "--target", machine.target];
        let mut command = cargo_for(root, machine.cpu, &build);
        command.args(["--package", BENCH, "--bin=kernels", KERNEL_CHECK]);
        run(command.env("NIWAKI_MODEL", &model))?;
        let image = release_folder(root, machine.target).join("kernels");
        let mut qemu = Command::new(QEMU.program);
        qemu.args(["-M", machine.name.trim_end_matches("-armv6m"), "-nographic"]);
        qemu.args(["-semihosting-config", "enable=on,target=native", "-kernel"]);
        let differ = || format!("the kernels and the scalar ones differ on {}", machine.name);
        run(qemu.arg(image)).with_context(differ)?;
    }
    Ok(())
}

/// A model for crates that do not compile without one, where any will do.
fn fixture(root: &Path) -> Result<PathBuf> {
    let model = root.join("firmware/target/tiny.niwaki");
    let write = [
        "run",
        "--quiet",
        "--package=niwaki-fixture",
        "--example=write",
        "--",
    ];
    run(cargo(root, &write).arg(&model))?;
    Ok(model)
}

/// Cargo, to be run on the firmware's workspace.
pub(crate) fn cargo(root: &Path, arguments: &[&str]) -> Command {
    // The cargo that has started us, so that the toolchain is the same.
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    let folder = root.join("firmware");
    command.args(arguments);
    command
        // What the host's settings say is for the host.
        .env_remove("RUSTFLAGS")
        .env_remove("CARGO_ENCODED_RUSTFLAGS")
        .env("CARGO_TARGET_DIR", folder.join("target"))
        .current_dir(folder);
    command
}

/// The same, with code for one processor of the target.
pub(crate) fn cargo_for(root: &Path, cpu: Option<&str>, arguments: &[&str]) -> Command {
    let mut command = cargo(root, arguments);
    if let Some(cpu) = cpu {
        command.env("RUSTFLAGS", format!("-Ctarget-cpu={cpu}"));
    }
    command
}

/// Where cargo leaves what it has built for `target` by `profile`.
pub(crate) fn built(root: &Path, target: &str, profile: &str) -> PathBuf {
    root.join("firmware/target").join(target).join(profile)
}

/// The same, by the profile `release`.
pub(crate) fn release_folder(root: &Path, target: &str) -> PathBuf {
    built(root, target, "release")
}

/// Runs a command to its end, and fails when it does.
pub(crate) fn run(command: &mut Command) -> Result<()> {
    let status = command
        .status()
        .with_context(|| format!("cannot start {command:?}"))?;
    if !status.success() {
        bail!("{command:?} failed: {status}");
    }
    Ok(())
}
