//! The boards of `firmware/boards`, and images of the application for them.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};

use crate::firmware::{self, CORTEX_M4F};
use crate::{paths, uf2};

/// A board: a folder in `firmware/boards`, and a crate of that name.
pub(crate) struct Board {
    /// The folder.
    pub(crate) name: &'static str,
    /// What the crate is compiled for.
    pub(crate) target: &'static str,
    /// What the compiler is told beside the target.
    pub(crate) cpu: Option<&'static str>,
    /// The profile: `small` where flash is.
    profile: &'static str,
    /// The model that the image carries when none is named.
    model: &'static str,
    /// The family of a chip whose boot loader takes files in UF2.
    uf2: Option<u32>,
}

/// The digits example, which every board can hold, and the same in strips, for boards with little RAM.
pub(crate) const DIGITS: &str = "tests/golden/format-3/digits.niwaki";
const DIGITS_STRIPS: &str = "tests/golden/format-3/digits-strips.niwaki";

const fn board(name: &'static str, target: &'static str) -> Board {
    Board {
        name,
        target,
        cpu: None,
        profile: "release",
        model: DIGITS,
        uf2: None,
    }
}

const CORTEX_M0: &str = "thumbv6m-none-eabi";
const CORTEX_M33: &str = "thumbv8m.main-none-eabihf";

/// Every board there is.
pub(crate) const BOARDS: [Board; 13] = [
    board("esp32c3", "riscv32imc-unknown-none-elf"),
    Board {
        profile: "small",
        model: DIGITS_STRIPS,
        ..board("microbit", CORTEX_M0)
    },
    board("mps2-an385", "thumbv7m-none-eabi"),
    board("mps2-an386", CORTEX_M4F),
    Board {
        cpu: Some("cortex-m7"),
        ..board("mps2-an500", CORTEX_M4F)
    },
    Board {
        cpu: Some("cortex-m33"),
        ..board("mps2-an505", CORTEX_M33)
    },
    Board {
        cpu: Some("cortex-m55"),
        ..board("mps3-an547", CORTEX_M33)
    },
    board("netduinoplus2", CORTEX_M4F),
    board("nrf52840-dk", CORTEX_M4F),
    Board {
        cpu: Some("cortex-m7"),
        ..board("nucleo-h743", CORTEX_M4F)
    },
    Board {
        uf2: Some(uf2::RP2040),
        ..board("pico", CORTEX_M0)
    },
    Board {
        cpu: Some("cortex-m33"),
        uf2: Some(uf2::RP2350_ARM_S),
        ..board("pico2", CORTEX_M33)
    },
    board("riscv-virt", "riscv32imac-unknown-none-elf"),
];

/// The board of that name.
///
/// # Errors
///
/// When there is none; the error names those that there are.
pub(crate) fn find(name: &str) -> Result<&'static Board> {
    let board = BOARDS.iter().find(|board| board.name == name);
    board.with_context(|| {
        let known = BOARDS.each_ref().map(|board| board.name).join(", ");
        format!("there is no board `{name}`: there are {known}")
    })
}

impl Board {
    /// The model that the image carries when none is named.
    pub(crate) fn model(&self) -> PathBuf {
        paths::root().join(self.model)
    }

    /// Cargo with a verb, for the board's crate.
    pub(crate) fn cargo(&self, verb: &str) -> std::process::Command {
        let arguments = [verb, "--profile", self.profile, "--target", self.target];
        let mut command = firmware::cargo_for(paths::root(), self.cpu, &arguments);
        // An artifact of one workspace is found in the folder of the other too.
        let manifest = format!("boards/{}/Cargo.toml", self.name);
        command.args(["--manifest-path", &manifest]);
        command
    }

    /// The image at `elf` in the form that the board's boot loader takes, beside it; `None` for a board
    /// that is flashed with the ELF itself.
    ///
    /// # Errors
    ///
    /// When the image cannot be read, or the file not be written.
    pub(crate) fn uf2(&self, elf: &Path) -> Result<Option<PathBuf>> {
        let Some(family) = self.uf2 else {
            return Ok(None);
        };
        let file = elf.with_extension("uf2");
        let bytes = uf2::from_elf(&std::fs::read(elf)?, family);
        let bytes = bytes.with_context(|| format!("{} has no image", elf.display()))?;
        paths::write_beside(&file, &bytes)?;
        Ok(Some(file))
    }

    /// Builds the image of the application with `model`, or the board's own, in it, and gives the path of
    /// the ELF.
    ///
    /// # Errors
    ///
    /// When the model is refused, or the firmware does not build.
    pub(crate) fn image(&self, model: Option<&Path>) -> Result<PathBuf> {
        let model = model.map_or_else(|| self.model(), Path::to_owned);
        // Cargo runs in another directory, and the build script in a third.
        let model = std::path::absolute(model)?;
        let built = firmware::built(paths::root(), self.target, self.profile).join(self.name);
        let mut command = self.cargo("build");
        firmware::image(paths::root(), &mut command, &model, &built, self.name)
    }
}
