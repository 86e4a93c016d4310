//! The boards of `firmware/boards`, and images of the application for them.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};

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
    /// The crate is a workspace of its own.
    pub(crate) apart: bool,
    /// The family of chips in a UF2 file, where the board's boot loader takes those.
    uf2: Option<u32>,
}

/// The digits example, which every board can hold, and the same in strips, for boards with little RAM.
const DIGITS: &str = "tests/golden/format-3/digits.niwaki";
const DIGITS_STRIPS: &str = "tests/golden/format-3/digits-strips.niwaki";

const fn board(name: &'static str, target: &'static str) -> Board {
    Board {
        name,
        target,
        cpu: None,
        profile: "release",
        model: DIGITS,
        apart: false,
        uf2: None,
    }
}

const CORTEX_M0: &str = "thumbv6m-none-eabi";
const CORTEX_M33: &str = "thumbv8m.main-none-eabihf";

/// Every board there is.
pub(crate) const BOARDS: [Board; 13] = [
    Board {
        apart: true,
        ..board("esp32c3", "riscv32imc-unknown-none-elf")
    },
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
        uf2: Some(0xe48b_ff56),
        ..board("pico", CORTEX_M0)
    },
    Board {
        cpu: Some("cortex-m33"),
        uf2: Some(0xe48b_ff59),
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
    /// Cargo with a verb, for the board's crate.
    pub(crate) fn cargo(&self, verb: &str) -> std::process::Command {
        let arguments = [verb, "--profile", self.profile, "--target", self.target];
        let mut command = firmware::cargo_for(paths::root(), self.cpu, &arguments);
        // An artifact of one workspace is found in the folder of the other too.
        let manifest = format!("boards/{}/Cargo.toml", self.name);
        command.args(["--manifest-path", &manifest]);
        command
    }

    /// Builds the image of the application with `model`, or the board's own, in it, and gives the path of
    /// what is flashed: the ELF, or the UF2 file that lies beside it.
    ///
    /// # Errors
    ///
    /// When the model is refused, or the firmware does not build.
    pub(crate) fn image(&self, model: Option<&Path>) -> Result<PathBuf> {
        let model = match model {
            Some(model) => model.to_owned(),
            None => paths::root().join(self.model),
        };
        // Cargo runs in another directory, and the build script in a third.
        let model = std::path::absolute(model)?;
        let built = firmware::built(paths::root(), self.target, self.profile).join(self.name);
        let mut command = self.cargo("build");
        let image = firmware::image(paths::root(), &mut command, &model, &built, self.name)?;
        if let Some(family) = self.uf2 {
            write_uf2(&image, family)?;
        }
        Ok(image)
    }

    /// What a person flashes, of an ELF that [`Board::image`] has made.
    pub(crate) fn flashed(&self, image: &Path) -> PathBuf {
        match self.uf2 {
            Some(_) => image.with_extension("uf2"),
            None => image.to_owned(),
        }
    }
}

/// Writes an ELF's bytes of flash as a UF2 file beside it.
fn write_uf2(image: &Path, family: u32) -> Result<()> {
    let bytes = fs::read(image)?;
    let file = object::read::elf::ElfFile32::<object::Endianness>::parse(&*bytes)?;
    let mut parts = Vec::new();
    for segment in file.elf_program_headers() {
        use object::read::elf::ProgramHeader as _;
        let endian = file.endian();
        if segment.p_type(endian) == object::elf::PT_LOAD {
            let data = segment.data(endian, &*bytes);
            let data = data.ok().context("a segment lies outside the ELF")?;
            if !data.is_empty() {
                // Where it lies in flash, which for variables is not where they are used.
                parts.push((segment.p_paddr(endian), data));
            }
        }
    }
    if parts.is_empty() {
        bail!("{} has nothing to flash", image.display());
    }
    paths::write_beside(&image.with_extension("uf2"), &uf2::write(&parts, family))
}
