//! Bytes of code of each operator on each machine: what `niwaki compile --target` adds up.
//!
//! The image `each-operator` of `firmware/probe` has a function for each operator that links it
//! alone, and one for what every program has. What each of them reaches is in the image's call
//! graph. Operators share functions; so the table lists functions, and a program has each of those
//! that its operators reach once.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use anyhow::{Context, Result, ensure};
use serde::Serialize;

use crate::firmware;
use crate::image::Image;
use crate::report::thousands;

/// A machine that code is measured for.
struct Machine {
    /// Its name, as `niwaki compile --target` takes it.
    name: &'static str,
    target: &'static str,
    /// What the compiler is told beside the target.
    cpu: Option<&'static str>,
}

const MACHINES: [Machine; 7] = [
    machine("cortex-m0", "thumbv6m-none-eabi", None),
    machine("cortex-m3", "thumbv7m-none-eabi", None),
    machine("cortex-m4", firmware::CORTEX_M4F, None),
    machine("cortex-m7", firmware::CORTEX_M4F, Some("cortex-m7")),
    machine("cortex-m33", "thumbv8m.main-none-eabihf", None),
    machine(
        "cortex-m55",
        "thumbv8m.main-none-eabihf",
        Some("cortex-m55"),
    ),
    machine("riscv32", "riscv32imac-unknown-none-elf", None),
];

const fn machine(name: &'static str, target: &'static str, cpu: Option<&'static str>) -> Machine {
    Machine { name, target, cpu }
}

const IMAGE: &str = "each-operator";
/// A program of one model, to hold the table against, and its operators.
const WHOLE: &str = "whole-kws";
const WHOLE_OPERATORS: [&str; 5] = [
    "ConvI8",
    "DepthwiseConvI8",
    "FullyConnectedI8",
    "AveragePoolI8",
    "SoftmaxI8",
];
/// How far, in percent, a program may be from what the table says of it: what is inlined where
/// differs from one program to another.
const TOLERANCE: u64 = 5;
/// How the function of an operator is called, before its name.
const ROOT: &str = "niwaki_operator_";
/// The function of what every program has.
const BASE: &str = "niwaki_base";

/// What `tools/src/target.rs` reads.
const JSON: &str = "tools/src/code_bytes.json";
const PAGE: &str = "docs/code-size.md";

/// The functions of one machine.
#[derive(Serialize)]
struct Table {
    /// Bytes of each function.
    functions: Vec<u64>,
    /// Those that every program has, by their index.
    base: Vec<usize>,
    /// Those that each operator adds, its check at load and its run.
    operators: BTreeMap<String, Vec<usize>>,
}

/// Measures every operator on every machine, and writes the table and its page.
///
/// # Errors
///
/// When an image does not build.
pub(crate) fn measure(root: &Path) -> Result<()> {
    let mut tables = BTreeMap::new();
    for machine in &MACHINES {
        let table = measure_machine(root, machine)
            .with_context(|| format!("cannot measure {}", machine.name))?;
        let (said, linked) = (
            table.program(&WHOLE_OPERATORS),
            whole_program(root, machine)?,
        );
        println!(
            "{}: {} bytes before any operator; a program of kws01 has {}, the table says {}",
            machine.name,
            thousands(table.bytes(&table.base)),
            thousands(linked),
            thousands(said)
        );
        ensure!(
            said.abs_diff(linked) * 100 <= linked * TOLERANCE,
            "on {} the table says {said} bytes of a program that has {linked}",
            machine.name
        );
        tables.insert(machine.name, table);
    }
    let json = serde_json::to_string(&tables)?.replace("},", "},\n");
    fs::write(root.join(JSON), json + "\n")?;
    fs::write(root.join(PAGE), page(&tables))?;
    println!("{JSON} and {PAGE} are written");
    Ok(())
}

/// Links an image of the probes for a machine.
fn link(root: &Path, machine: &Machine, image: &str) -> Result<Image> {
    let build = [
        "build",
        "--release",
        "--package=niwaki-probe",
        "--features=each-operator",
        "--bin",
        image,
        "--target",
        machine.target,
    ];
    firmware::run(&mut firmware::cargo_for(root, machine.cpu, &build))?;
    Image::open(&firmware::release_folder(root, machine.target).join(image))
}

/// Bytes of all functions of a program with the operators of [`WHOLE_OPERATORS`].
fn whole_program(root: &Path, machine: &Machine) -> Result<u64> {
    let image = link(root, machine, WHOLE)?;
    Ok(image.reached("niwaki_probe")?.values().sum())
}

fn measure_machine(root: &Path, machine: &Machine) -> Result<Table> {
    let image = link(root, machine, IMAGE)?;

    // By their addresses.
    let mut functions: BTreeMap<u64, u64> = BTreeMap::new();
    let base = image.reached(BASE)?;
    functions.extend(&base);
    let mut reached = BTreeMap::new();
    for name in image.names_with(ROOT) {
        let of_operator = image.reached(&name)?;
        functions.extend(&of_operator);
        reached.insert(name.trim_start_matches(ROOT).to_owned(), of_operator);
    }
    let index: BTreeMap<u64, usize> = functions.keys().copied().zip(0..).collect();
    let indices = |some: &BTreeMap<u64, u64>| some.keys().map(|address| index[address]).collect();
    Ok(Table {
        base: indices(&base),
        operators: reached
            .iter()
            .map(|(name, functions)| {
                let beside_base = functions
                    .iter()
                    .filter(|(address, _)| !base.contains_key(*address))
                    .map(|(&address, &bytes)| (address, bytes))
                    .collect();
                (name.clone(), indices(&beside_base))
            })
            .collect(),
        functions: functions.values().copied().collect(),
    })
}

impl Table {
    fn bytes(&self, functions: &[usize]) -> u64 {
        functions.iter().map(|&index| self.functions[index]).sum()
    }

    /// Bytes of a program with these operators.
    fn program(&self, operators: &[&str]) -> u64 {
        let lists = operators
            .iter()
            .filter_map(|&name| self.operators.get(name));
        let linked: BTreeSet<usize> = lists.chain([&self.base]).flatten().copied().collect();
        linked.iter().map(|&index| self.functions[index]).sum()
    }
}

/// The page for people.
fn page(tables: &BTreeMap<&str, Table>) -> String {
    let mut text = String::from(
        "# Bytes of code\n\n\
         What a program links: the row *base* (a load with all its checks, inputs, a run, outputs) and \
         the rows of the operators that its model uses, each with its check at load and its run. \
         Operators share functions, so a program is smaller than the sum; `niwaki compile --target` \
         counts each function once. Constants, such as the tables of elementary functions, are not \
         counted. A program of kws01 is within 5 % of what this table says; the command fails when \
         it is not.\n\n\
         Written by `cargo xtask sizes`, which links every operator for every machine.\n\n",
    );
    let heads: Vec<&str> = tables.keys().copied().collect();
    let _ = writeln!(text, "| | {} |", heads.join(" | "));
    let _ = writeln!(text, "|---|{}", "---:|".repeat(heads.len()));
    let mut row = |name: &str, bytes: &dyn Fn(&Table) -> u64| {
        let cells: Vec<String> = tables.values().map(|t| thousands(bytes(t))).collect();
        let _ = writeln!(text, "| {name} | {} |", cells.join(" | "));
    };
    row("*base*", &|table| table.bytes(&table.base));
    let names = tables.values().next().map(|table| table.operators.keys());
    for name in names.into_iter().flatten() {
        row(name, &|table| {
            table.operators.get(name).map_or(0, |f| table.bytes(f))
        });
    }
    text
}
