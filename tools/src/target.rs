//! Machines that a model is compiled for, and what its operators cost there.

use std::collections::{BTreeMap, BTreeSet};
use std::str::FromStr;

use anyhow::{Context as _, Result, bail};
use serde::Deserialize;

/// A machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Target {
    /// One whose code has been measured, by its name in the table.
    Measured(&'static str),
    /// A browser or Node: the package has every operator and is not made for one model.
    Wasm,
    /// The same, with a package that is made for this model: see [`crate::web`].
    Web,
    /// This machine.
    Host,
}

/// Names of the machines in `code_bytes.json`.
const MEASURED: [&str; 7] = [
    "cortex-m0",
    "cortex-m3",
    "cortex-m4",
    "cortex-m7",
    "cortex-m33",
    "cortex-m55",
    "riscv32",
];

/// What `cargo xtask sizes` has measured.
const TABLES: &str = include_str!("code_bytes.json");

/// The functions of one machine: see `xtask/src/sizes.rs`.
#[derive(Deserialize)]
struct Table {
    functions: Vec<u64>,
    base: Vec<usize>,
    operators: BTreeMap<String, Vec<usize>>,
}

impl Target {
    /// The name on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Self::Measured(name) => name,
            Self::Wasm => "wasm",
            Self::Web => "web",
            Self::Host => "host",
        }
    }

    /// Bytes of code that a program for this machine links for the operators of the given names:
    /// their checks and runs, and what every program has. `None` where code is not made for one
    /// model.
    ///
    /// # Errors
    ///
    /// When an operator has not been measured, which is a defect of the table.
    pub fn code_bytes<'o>(
        self,
        operators: impl IntoIterator<Item = &'o str>,
    ) -> Result<Option<u64>> {
        let Self::Measured(name) = self else {
            return Ok(None);
        };
        let tables: BTreeMap<String, Table> = serde_json::from_str(TABLES)?;
        let table = tables
            .get(name)
            .with_context(|| format!("{name} has not been measured: run `cargo xtask sizes`"))?;
        let mut linked: BTreeSet<usize> = table.base.iter().copied().collect();
        for operator in operators {
            let functions = table.operators.get(operator).with_context(|| {
                format!("the code of {operator} has not been measured: run `cargo xtask sizes`")
            })?;
            linked.extend(functions);
        }
        let bytes = linked
            .iter()
            .filter_map(|&index| table.functions.get(index));
        Ok(Some(bytes.sum()))
    }
}

/// Operators whose kernels work in memory of their own, besides those that are named for being sparse.
const INT8_PRODUCTS: [&str; 7] = [
    "ConvI8",
    "ConvI8Wide",
    "DepthwiseConvI8",
    "FullyConnectedI8",
    "FullyConnectedI8Wide",
    "FullyConnectedBorderI8",
    "FullyConnectedBorderI8Wide",
];

impl Target {
    /// Bytes behind the arena that a session of a model with these operators needs for itself, see
    /// `niwaki::Model::arena_bytes`; 0 where it has them on the stack. `tests/device.rs` holds this
    /// against what the boards say.
    pub fn workspace_bytes<'o>(self, operators: impl IntoIterator<Item = &'o str>) -> u64 {
        let Self::Measured(name) = self else {
            return 0;
        };
        // Windows in the form that the machine multiplies, sums, and windows as they are brought together.
        let products = match name {
            "cortex-m0" => (160 + 128) * 4 + 4 * 40,
            _ => (144 + 128) * 4 + 2 * 40,
        };
        let sparse = match name {
            "cortex-m4" | "cortex-m7" => (128 + 64) * 4,
            _ => (64 + 64) * 4,
        };
        let bytes = operators.into_iter().map(|operator| match operator {
            "FullyConnectedI8Sparse" => sparse,
            _ if INT8_PRODUCTS.contains(&operator) => products,
            _ => 0,
        });
        bytes.max().unwrap_or(0)
    }
}

impl FromStr for Target {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> Result<Self> {
        match text {
            "wasm" => return Ok(Self::Wasm),
            "web" => return Ok(Self::Web),
            "host" => return Ok(Self::Host),
            _ => {}
        }
        match MEASURED.into_iter().find(|name| *name == text) {
            Some(name) => Ok(Self::Measured(name)),
            None => bail!(
                "`{text}` is no target; {}, wasm, web and host are",
                MEASURED.join(", ")
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{MEASURED, Target};

    #[test]
    fn every_operator_has_been_measured_on_every_machine() {
        for name in MEASURED {
            let target = Target::Measured(name);
            let none = target.code_bytes([]).unwrap().unwrap();
            let all = niwaki::ops::TABLE.iter().map(|(_, name)| *name);
            let all = target.code_bytes(all).unwrap().unwrap();
            assert!(0 < none && none < all, "{name}: {none}, {all}");
        }
    }

    #[test]
    fn shared_functions_count_once() {
        let target: Target = "cortex-m4".parse().unwrap();
        let bytes = |names: &[&str]| target.code_bytes(names.iter().copied()).unwrap().unwrap();
        let base = bytes(&[]);
        let [conv, depthwise] = [bytes(&["ConvI8"]), bytes(&["DepthwiseConvI8"])];
        let both = bytes(&["ConvI8", "DepthwiseConvI8"]);
        assert!(conv < both && both < conv + depthwise - base);
    }

    #[test]
    fn names_are_those_of_the_command_line() {
        for name in MEASURED.into_iter().chain(["wasm", "host"]) {
            assert_eq!(name.parse::<Target>().unwrap().name(), name);
        }
        assert!("cortex-m99".parse::<Target>().is_err());
    }
}
