//! What images take of flash and RAM: a table for the README, and a gate.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, ensure};
use serde::{Deserialize, Serialize};

use crate::firmware::{self, CORTEX_M4F};
use crate::image::memory;
use crate::report::thousands;
use crate::{boards, demo, models, paths, stack};

/// The figures that a commit is held against.
const FILE: &str = "docs/footprint.json";

/// The figures for a reader, by section and by crate.
const PAGE: &str = "docs/footprint.md";

/// What the README's table stands between.
const MARKS: [&str; 2] = [
    "<!-- written by `cargo xtask footprint --bless` -->",
    "<!-- end of it -->",
];

/// By how many percent a figure may grow.
const TOLERANCE: u64 = 2;

/// What an image takes, in bytes.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Footprint {
    /// Flash: code, constants and first values of variables, less the model.
    pub(crate) flash: u64,
    /// The model, which lies in flash too.
    pub(crate) model: u64,
    /// RAM but for the stack: the arena, the slots of boards that have them there, variables.
    pub(crate) ram: u64,
    /// Of those, each section.
    pub(crate) sections: BTreeMap<String, u64>,
    /// Functions and constants with a name, by crate. The model is one of the constants without.
    pub(crate) crates: BTreeMap<String, u64>,
}

type Table = BTreeMap<String, Footprint>;

/// What has one row for each image.
struct Built {
    name: String,
    elf: PathBuf,
    model: u64,
}

/// Builds every image and measures it; false when one has grown by more than 2 %. With `bless` the
/// figures become those of the repository.
///
/// # Errors
///
/// When an image does not build, or a file cannot be read or written.
pub(crate) fn run(bless: bool) -> Result<bool> {
    let mut found = Table::new();
    for built in images()? {
        let mut footprint = memory::footprint(&built.elf)
            .with_context(|| format!("cannot measure {}", built.elf.display()))?;
        footprint.flash = footprint.flash.saturating_sub(built.model);
        footprint.model = built.model;
        println!(
            "{}: {} bytes of flash, {} of model, {} of RAM",
            built.name,
            thousands(footprint.flash),
            thousands(footprint.model),
            thousands(footprint.ram)
        );
        found.insert(built.name, footprint);
    }
    if bless {
        write(&found)?;
        println!(
            "{FILE}, {PAGE} and the README are written: say in the commit's message what grew"
        );
        return Ok(true);
    }
    let complaints = complaints(&read()?, &found);
    for complaint in &complaints {
        println!("{complaint}");
    }
    if !complaints.is_empty() {
        println!("`cargo xtask footprint --bless` takes these figures");
    }
    Ok(complaints.is_empty())
}

/// Every image that has a row.
fn images() -> Result<Vec<Built>> {
    let mut images = Vec::new();
    for board in &boards::BOARDS {
        println!("building {}", board.name);
        let elf = board.image(None)?;
        board.uf2(&elf)?;
        images.push(Built {
            name: board.name.to_owned(),
            elf,
            model: fs::metadata(board.model())?.len(),
        });
    }
    for feature in firmware::MOTION_FEATURES {
        println!("building examples/motion-firmware for {feature}");
        images.push(Built {
            name: format!("examples/motion-firmware, {feature}"),
            elf: firmware::motion_image(paths::root(), feature)?,
            model: fs::metadata(paths::root().join(MOTION_MODEL))?.len(),
        });
    }
    let digits = paths::root().join(boards::DIGITS);
    images.push(Built {
        name: MINIMAL.to_owned(),
        elf: minimal_image(&digits)?,
        model: fs::metadata(digits)?.len(),
    });
    Ok(images)
}

/// The smallest program, `firmware/examples/minimal`, on a Cortex-M4.
const MINIMAL: &str = "examples/minimal";

/// What that program may take with kws01 in it: flash beside the model, and stack of a run.
const MINIMAL_FLASH: u64 = 24_000;
const MINIMAL_STACK: u32 = 1023;

/// The model of the programs of `examples/motion-firmware`.
const MOTION_MODEL: &str = "examples/motion-firmware/motion.niwaki";

/// Builds the smallest program with a model in it.
fn minimal_image(model: &Path) -> Result<PathBuf> {
    const PACKAGE: &str = "niwaki-minimal";
    let model = std::path::absolute(model)?;
    let build = ["build", "--profile=small", "--target", CORTEX_M4F];
    let mut command = firmware::cargo(paths::root(), &build);
    command.args(["--package", PACKAGE]);
    let built = firmware::built(paths::root(), CORTEX_M4F, "small").join(PACKAGE);
    firmware::image(paths::root(), &mut command, &model, &built, "minimal")
}

/// What the smallest program with a model in it takes on a Cortex-M4, by default kws01: see
/// [`check_minimal`].
///
/// # Errors
///
/// As [`check_minimal`], and when there is no model.
pub(crate) fn minimal(model: Option<&Path>) -> Result<()> {
    if let Some(model) = model {
        return print_minimal(model).map(|_| ());
    }
    let models = models::compiled()?;
    let checked = check_minimal(&models)?;
    ensure!(
        checked,
        "there is no kws01: name a model, or NIWAKI_MODELS the folder that has it"
    );
    Ok(())
}

/// Prints what the smallest program takes with kws01 in it, which is to be within what was promised;
/// false when kws01 is not among `models`.
///
/// # Errors
///
/// When it takes more, and as [`print_minimal`].
pub(crate) fn check_minimal(models: &[PathBuf]) -> Result<bool> {
    let Some(model) = models.iter().find(|path| path.ends_with("kws01.niwaki")) else {
        return Ok(false);
    };
    let (flash, stack) = print_minimal(model)?;
    ensure!(
        flash <= MINIMAL_FLASH && stack <= MINIMAL_STACK,
        "the smallest program may take {} bytes of flash, and its run {} of stack",
        thousands(MINIMAL_FLASH),
        thousands(MINIMAL_STACK.into())
    );
    Ok(true)
}

/// Prints flash, arena and stack, each by what the compiler says and by what is found in the image or on
/// the emulated board. Gives flash without the model, and stack.
///
/// # Errors
///
/// When the model does not compile into an image, when it does not run, or when the two differ.
fn print_minimal(model: &Path) -> Result<(u64, u32)> {
    demo::build_command_line()?;
    let elf = minimal_image(model)?;
    let bytes = fs::metadata(model)?.len();
    let footprint = memory::footprint(&elf)?;
    let inspected = crate::shell::stdout({
        let mut command = demo::niwaki(&["inspect", "--json", "--target", "cortex-m4"])?;
        command.arg(model);
        command
    })?;
    let inspected: serde_json::Value = serde_json::from_slice(&inspected)?;
    let said = |name: &str| {
        let bytes = inspected["target"][name].as_u64();
        bytes.with_context(|| format!("`niwaki inspect --json --target cortex-m4` says no {name}"))
    };
    let (arena, workspace) = (said("arena_bytes")?, said("workspace_bytes")?);
    let placed = memory::symbol_bytes(&elf, "niwaki_minimal::ARENA")?;
    // Behind the arena there is what operators work in, and then the flag of the cell that gives all of it
    // out once. Arena and cell are aligned.
    let whole = arena.next_multiple_of(4) + workspace;
    ensure!(
        placed == (whole.next_multiple_of(16) + 1).next_multiple_of(16),
        "the linker has placed {placed} bytes of arena, and the command line says {whole}"
    );
    let (flash, stack) = (footprint.flash.saturating_sub(bytes), stack::measure(&elf)?);
    println!("{} on a Cortex-M4, by the smallest build", model.display());
    println!(
        "  flash  {} bytes without the model's {} (sum of the image's loaded segments)",
        thousands(flash),
        thousands(bytes)
    );
    println!(
        "  arena  {} bytes and {} to work in; the linker has placed {}, with the flag of its cell",
        thousands(arena),
        thousands(workspace),
        thousands(placed)
    );
    println!(
        "  RAM    {} bytes of variables, the arena among them",
        thousands(footprint.ram)
    );
    println!(
        "  stack  {} bytes of one run, by a painted stack",
        thousands(stack.into())
    );
    Ok((flash, stack))
}

fn read() -> Result<Table> {
    let text = fs::read(paths::root().join(FILE)).with_context(|| {
        format!("cannot read {FILE}: `cargo xtask footprint --bless` writes it")
    })?;
    serde_json::from_slice(&text).with_context(|| format!("{FILE} is no table of figures"))
}

/// What is wrong with the figures that were found, one line for each.
fn complaints(blessed: &Table, found: &Table) -> Vec<String> {
    let mut complaints = Vec::new();
    for (image, now) in found {
        let Some(then) = blessed.get(image) else {
            complaints.push(format!("{image} is not in {FILE}"));
            continue;
        };
        for (what, then, now) in [("flash", then.flash, now.flash), ("RAM", then.ram, now.ram)] {
            if now * 100 > then * (100 + TOLERANCE) {
                complaints.push(format!(
                    "{image}: {} bytes of {what}, {:.1} % more than the {} of {FILE}",
                    thousands(now),
                    now as f64 / then as f64 * 100.0 - 100.0,
                    thousands(then)
                ));
            }
        }
    }
    complaints
}

fn write(found: &Table) -> Result<()> {
    let json = serde_json::to_string_pretty(found)? + "\n";
    paths::write_beside(&paths::root().join(FILE), json.as_bytes())?;
    paths::write_beside(&paths::root().join(PAGE), page(found).as_bytes())?;
    let readme = paths::root().join("README.md");
    let text = fs::read_to_string(&readme)?;
    paths::write_beside(&readme, between_marks(&text, &summary(found))?.as_bytes())
}

/// `text` with `table` between the marks.
fn between_marks(text: &str, table: &str) -> Result<String> {
    let [begin, end] = MARKS;
    let marks = || format!("README.md lacks the lines `{begin}` and `{end}` behind it");
    let (before, rest) = text.split_once(begin).with_context(marks)?;
    let (_, after) = rest.split_once(end).with_context(marks)?;
    Ok(format!("{before}{begin}\n\n{table}\n{end}{after}"))
}

/// One row for each image.
fn summary(found: &Table) -> String {
    let mut text = String::from(
        "| image | flash without model | model | RAM without stack |\n| --- | --: | --: | --: |\n",
    );
    for (image, footprint) in found {
        text += &format!(
            "| `{image}` | {} | {} | {} |\n",
            thousands(footprint.flash),
            thousands(footprint.model),
            thousands(footprint.ram)
        );
    }
    text
}

/// The page of the docs.
fn page(found: &Table) -> String {
    let mut text = format!(
        "# Flash and RAM of each image\n\n\
         Bytes of what `cargo xtask firmware BOARD` builds, and of the smallest program\n\
         (`firmware/{MINIMAL}`, on a Cortex-M4), with the digits example as the model; and of the\n\
         programs of `examples/motion-firmware`, with theirs. Written by\n\
         `cargo xtask footprint --bless`; CI fails when flash or RAM grows by more than {TOLERANCE} %\n\
         over `{FILE}`.\n\n\
         Boards link every operator, but for the microbit, so that any model can be uploaded; their RAM\n\
         holds the largest arena that they take, and the two slots where those are not in flash. What is\n\
         left of the RAM is the stack.\n\n{}",
        summary(found)
    );
    for (image, footprint) in found {
        text += &format!("\n## {image}\n\n| section | bytes |\n| --- | --: |\n");
        for (section, bytes) in &footprint.sections {
            text += &format!("| `{section}` | {} |\n", thousands(*bytes));
        }
        text += "\n| crate | bytes of flash |\n| --- | --: |\n";
        let mut crates: Vec<_> = footprint.crates.iter().collect();
        crates.sort_by_key(|(name, bytes)| (std::cmp::Reverse(**bytes), *name));
        for (name, bytes) in crates {
            text += &format!("| {name} | {} |\n", thousands(*bytes));
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::{Footprint, MARKS, Table, between_marks, complaints};

    fn table(flash: u64, ram: u64) -> Table {
        let footprint = Footprint {
            flash,
            ram,
            ..Footprint::default()
        };
        Table::from([("board".to_owned(), footprint)])
    }

    #[test]
    fn two_percent_are_forgiven_and_no_more() {
        let blessed = table(10_000, 1000);
        assert!(complaints(&blessed, &table(10_200, 1020)).is_empty());
        assert!(complaints(&blessed, &table(5000, 500)).is_empty());
        let grown = complaints(&blessed, &table(10_201, 1000));
        let [line] = &grown[..] else {
            panic!("{grown:?}")
        };
        assert!(line.contains("10,201") && line.contains("flash"), "{line}");
        assert_eq!(complaints(&blessed, &table(20_000, 2000)).len(), 2);
        assert!(complaints(&Table::new(), &table(1, 1))[0].contains("is not in"));
    }

    #[test]
    fn the_table_goes_between_the_marks_and_nowhere_else() {
        let [begin, end] = MARKS;
        let text = format!("a\n{begin}\nold\n{end}\nb\n");
        let new = between_marks(&text, "new\n").unwrap();
        assert_eq!(new, format!("a\n{begin}\n\nnew\n\n{end}\nb\n"));
        assert!(between_marks("a", "new").is_err());
    }
}
