//! Programs of the system that a home needs.

use anyhow::Result;

use crate::shell;

/// A program that no cargo command can bring.
pub(crate) struct Tool {
    /// The program.
    pub(crate) program: &'static str,
    /// What cannot be run without it.
    pub(crate) home: &'static str,
    /// The oldest major version that does.
    oldest: u32,
    /// Its package on Debian.
    pub(crate) debian: &'static str,
    /// Its package in Homebrew.
    homebrew: &'static str,
}

/// Emulator of the Cortex-M boards. Version 6 brought the Cortex-M55.
pub(crate) const QEMU: Tool = Tool {
    program: "qemu-system-arm",
    home: "the emulated boards",
    oldest: 6,
    debian: "qemu-system-arm",
    homebrew: "qemu",
};

/// Emulator of the RISC-V machine.
pub(crate) const QEMU_RISCV: Tool = Tool {
    program: "qemu-system-riscv32",
    home: "the emulated RISC-V machine",
    oldest: 6,
    debian: "qemu-system-misc",
    homebrew: "qemu",
};

/// Emulator of AArch64 for programs of Linux. Homebrew's package has none: there the machine is one,
/// and its own tests are those.
pub(crate) const QEMU_USER: Tool = Tool {
    program: "qemu-aarch64",
    home: "the kernels of AArch64",
    oldest: 6,
    debian: "qemu-user",
    homebrew: "qemu",
};

/// Node. Version 20 is the oldest that the package is for.
pub(crate) const NODE: Tool = Tool {
    program: "node",
    home: "the npm package",
    oldest: 20,
    debian: "nodejs",
    homebrew: "node",
};

/// npm, which brings what the package is built with. Version 9.
pub(crate) const NPM: Tool = Tool {
    program: "npm",
    home: "the npm package",
    oldest: 9,
    debian: "npm",
    homebrew: "node",
};

/// Chromium, the browser that the package is tested in.
pub(crate) const CHROMIUM: Tool = Tool {
    program: "chromium",
    home: "the npm package in a browser",
    oldest: 100,
    debian: "chromium",
    homebrew: "chromium",
};

/// Python with pip, which brings ONNX's conformance cases. Version 3.
pub(crate) const PYTHON: Tool = Tool {
    program: "python3",
    home: "the conformance cases",
    oldest: 3,
    debian: "python3-pip",
    homebrew: "python3",
};

impl Tool {
    /// Why it cannot be used; `None` when it can.
    pub(crate) fn lack(&self) -> Option<String> {
        let program = self.program;
        if shell::find(program).is_none() {
            return Some(format!("{program} is not installed"));
        }
        match version(program) {
            Ok(Some(major)) if major < self.oldest => {
                let oldest = self.oldest;
                Some(format!("{program} {major} is older than {oldest}"))
            }
            Ok(_) => None,
            Err(error) => Some(format!("{program} does not run: {error}")),
        }
    }

    /// What a person does about it.
    pub(crate) fn remedy(&self) -> String {
        if shell::find("brew").is_some() {
            format!("brew install {}", self.homebrew)
        } else {
            format!("sudo {}", apt_get_install(&[self.debian]).join(" "))
        }
    }
}

/// The command that installs packages on Debian. Recommended ones stay out: they bring a desktop,
/// and conflict with an installed qemu-utils.
pub(crate) fn apt_get_install<'a>(packages: &[&'a str]) -> Vec<&'a str> {
    let install = ["apt-get", "install", "-y", "--no-install-recommends"];
    [&install[..], packages].concat()
}

/// The major version that the program tells; `None` when it tells none.
fn version(program: &str) -> Result<Option<u32>> {
    let text = shell::stdout(shell::program(program, &["--version"]))?;
    Ok(major(&String::from_utf8_lossy(&text)))
}

/// The first number in a text such as `v20.20.2` or `QEMU emulator version 7.2.22`.
fn major(text: &str) -> Option<u32> {
    let mut numbers = text.split(|c: char| !c.is_ascii_digit());
    numbers.find(|digits| !digits.is_empty())?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::major;

    #[test]
    fn major_version_is_the_first_number() {
        assert_eq!(major("v20.20.2\n"), Some(20));
        assert_eq!(
            major("QEMU emulator version 7.2.22 (Debian 1:7.2)"),
            Some(7)
        );
        assert_eq!(major("unknown"), None);
    }
}
