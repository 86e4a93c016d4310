//! What a model costs on a machine, and what it may cost.

use std::collections::BTreeSet;

use anyhow::{Result, ensure};
use clap::Args;
use niwaki_tools::target::Target;
use serde::Serialize;

use super::inspect::Summary;
use super::thousands;

/// The machine, and limits beyond which compiling fails.
#[derive(Debug, Args)]
pub(super) struct Budget {
    /// The machine to count code for: cortex-m0, m3, m4, m7, m33, m55, riscv32, wasm or host; or
    /// web, which makes an npm package for this model in the folder that --output names.
    #[arg(long, value_name = "MACHINE")]
    target: Option<Target>,
    /// Fail when the arena is larger, with what the operators work in on the machine of --target; K and
    /// M are 1024 and 1024².
    #[arg(long, value_name = "BYTES", value_parser = bytes)]
    max_ram: Option<u64>,
    /// Fail when the artifact and its code are larger.
    #[arg(long, value_name = "BYTES", value_parser = bytes, requires = "target")]
    max_flash: Option<u64>,
    /// Fail when one run multiplies and accumulates more often.
    #[arg(long, value_name = "N")]
    max_macs: Option<u64>,
}

impl Cost {
    /// What the model costs on `target`, without limits.
    ///
    /// # Errors
    ///
    /// When the table of code has no figure for one of its operators.
    pub(super) fn of(summary: &Summary, target: Target) -> Result<Self> {
        let operators: BTreeSet<&str> = summary.operators.iter().map(|o| o.kind).collect();
        let workspace_bytes = target.workspace_bytes(operators.iter().copied());
        let code_bytes = target.code_bytes(operators)?;
        let file_bytes = summary.file_bytes as u64;
        Ok(Self {
            target: target.name(),
            arena_bytes: summary.arena_bytes as u64,
            workspace_bytes,
            state_bytes: 0,
            file_bytes,
            code_bytes,
            flash_bytes: file_bytes + code_bytes.unwrap_or(0),
        })
    }
}

/// What a model costs on a machine.
#[derive(Debug, Serialize)]
pub(super) struct Cost {
    target: &'static str,
    /// Activation memory, inputs and outputs included.
    arena_bytes: u64,
    /// What a session needs behind it for operators to work in.
    workspace_bytes: u64,
    /// Memory that has to last from one run to the next.
    state_bytes: u64,
    /// The artifact, weights included.
    file_bytes: u64,
    /// Checks, executor and the operators of this model; absent where code is not made for one
    /// model.
    code_bytes: Option<u64>,
    /// Artifact and code.
    flash_bytes: u64,
}

/// A number of bytes: `4096`, `64K`, `1M`.
pub(super) fn bytes(text: &str) -> Result<u64, String> {
    let (digits, unit) = match text.strip_suffix(['K', 'k']) {
        Some(digits) => (digits, 1 << 10),
        None => match text.strip_suffix(['M', 'm']) {
            Some(digits) => (digits, 1 << 20),
            None => (text, 1),
        },
    };
    let number: Option<u64> = digits.parse().ok();
    let bytes = number.and_then(|number| number.checked_mul(unit));
    bytes.ok_or_else(|| format!("`{text}` is no number of bytes, for instance 4096, 64K or 1M"))
}

impl Budget {
    /// Whether a package is asked for.
    pub(super) fn is_web(&self) -> bool {
        self.target == Some(Target::Web)
    }

    /// What the model costs on the target, if one is named.
    ///
    /// # Errors
    ///
    /// Names the limit that the model exceeds, and by how much.
    pub(super) fn check(&self, summary: &Summary) -> Result<Option<Cost>> {
        let cost = self.target.map(|target| Cost::of(summary, target));
        let cost = cost.transpose()?;
        let workspace_bytes = cost.as_ref().map_or(0, |cost| cost.workspace_bytes);
        let within = |limit: Option<u64>, found: u64, what: &str, flag: &str, remedy: &str| {
            let limit = limit.unwrap_or(u64::MAX);
            ensure!(
                found <= limit,
                "{what} {}, {} more than {flag} allows: {remedy}",
                thousands(found),
                thousands(found - limit)
            );
            Ok(())
        };
        within(
            self.max_ram,
            summary.arena_bytes as u64 + workspace_bytes,
            "the arena's bytes are",
            "--max-ram",
            "use smaller activations, or int8 instead of floats",
        )?;
        within(
            self.max_macs,
            summary.macs,
            "the multiply-accumulates are",
            "--max-macs",
            "use fewer channels or a smaller input",
        )?;
        let Some(cost) = cost else {
            return Ok(None);
        };
        within(
            self.max_flash,
            cost.flash_bytes,
            "the bytes of artifact and code are",
            "--max-flash",
            "use fewer weights, int8 instead of floats, or --strip",
        )?;
        Ok(Some(cost))
    }
}

impl Cost {
    /// For people.
    pub(super) fn line(&self) -> String {
        let code = match self.code_bytes {
            Some(code) => format!(
                "{} bytes of flash ({} of artifact, {} of code)",
                thousands(self.flash_bytes),
                thousands(self.file_bytes),
                thousands(code)
            ),
            None => format!(
                "{} bytes of artifact; its code is shared by all models",
                thousands(self.file_bytes)
            ),
        };
        let workspace = match self.workspace_bytes {
            0 => String::new(),
            bytes => format!(" and {} behind it to work in", thousands(bytes)),
        };
        format!(
            "on {}: {} bytes of arena{workspace}, {code}",
            self.target,
            thousands(self.arena_bytes)
        )
    }
}

#[cfg(test)]
mod tests {
    use super::bytes;

    #[test]
    fn bytes_have_units() {
        assert_eq!(bytes("0"), Ok(0));
        assert_eq!(bytes("4096"), Ok(4096));
        assert_eq!(bytes("64K"), Ok(65536));
        assert_eq!(bytes("2m"), Ok(2 << 20));
        for wrong in ["", "K", "1.5K", "-1", "1G", "99999999999999999999M"] {
            assert!(bytes(wrong).is_err(), "{wrong}");
        }
    }
}
