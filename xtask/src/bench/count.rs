//! Executed instructions of one run on an emulated core, exactly, by function.
//!
//! QEMU writes each block of instructions when it translates it, and a line whenever it executes
//! one (`-d in_asm,exec,nochain`). Every version of it can do that, where a plugin would have to be
//! compiled for each. What is counted lies between the two marks that the firmware calls around
//! the run.

use std::collections::{BTreeMap, HashMap};
use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, ensure};
use object::{Object as _, ObjectSection as _, ObjectSymbol as _, SectionKind, SymbolKind};

use crate::models::Image;
use crate::tool::QEMU;

/// The functions that the firmware calls right before and behind the run.
const BEGIN: &str = "niwaki_run_begin";
const END: &str = "niwaki_run_end";

/// What one run executes.
pub(super) struct Count {
    /// Instructions.
    pub(super) instructions: u64,
    /// Those of each function.
    pub(super) functions: BTreeMap<String, u64>,
    /// Machine code and constants of the image, less the model.
    pub(super) code_bytes: u64,
}

/// Counts one run of an image's golden inputs.
///
/// # Errors
///
/// When the image does not run to its end.
pub(super) fn count(image: &Image, machine: &str) -> Result<Count> {
    let bytes = std::fs::read(&image.elf)?;
    let file = object::File::parse(&*bytes)?;
    let symbol = |name: &str| {
        let symbol = file.symbol_by_name(name);
        // The lowest bit says that its code is Thumb.
        let address = symbol.map(|symbol| symbol.address() & !1);
        address.with_context(|| format!("{} has no function {name}", image.elf.display()))
    };
    let mut log = Log::new(symbol(BEGIN)?, symbol(END)?);
    let mut emulator = Command::new(QEMU.program)
        .args(["-M", machine, "-nographic", "-monitor", "none"])
        .args(["-serial", "none", "-icount", "shift=0"])
        .args(["-d", "in_asm,exec,nochain"])
        .args(["-semihosting-config", "enable=on,target=native", "-kernel"])
        .arg(&image.elf)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .context("cannot start the emulator")?;
    let mut lines = BufReader::with_capacity(1 << 20, emulator.stderr.take().context("no log")?);
    let mut line = Vec::new();
    while lines.read_until(b'\n', &mut line)? > 0 {
        log.line(&line);
        line.clear();
    }
    let status = emulator.wait()?;
    ensure!(
        status.success(),
        "{} failed in the emulator: {status}",
        image.elf.display()
    );
    let addresses = log.finish()?;

    let mut names: BTreeMap<u64, String> = BTreeMap::new();
    for symbol in file.symbols().filter(|s| s.kind() == SymbolKind::Text) {
        let name = format!("{:#}", rustc_demangle::demangle(symbol.name()?));
        names.insert(symbol.address() & !1, name);
    }
    let mut functions = BTreeMap::new();
    for (&address, &times) in &addresses {
        let name = names.range(..=address).next_back();
        let name = name.map_or("?", |(_, name)| name.as_str());
        *functions.entry(name.to_owned()).or_default() += times;
    }
    Ok(Count {
        instructions: addresses.values().sum(),
        functions,
        code_bytes: code_bytes(&file, image)?,
    })
}

/// Bytes of flash that an image takes beside its model.
fn code_bytes(file: &object::File<'_>, image: &Image) -> Result<u64> {
    let in_flash = |kind| {
        use SectionKind::{Data, ReadOnlyData, ReadOnlyString, Text};
        matches!(kind, Text | Data | ReadOnlyData | ReadOnlyString)
    };
    let sections = file.sections().filter(|section| in_flash(section.kind()));
    let all: u64 = sections.map(|section| section.size()).sum();
    let model = std::fs::metadata(&image.model)?.len();
    all.checked_sub(model)
        .context("the image is smaller than its model")
}

/// A block of instructions as it was translated, and how often it has been executed.
#[derive(Default)]
struct Block {
    addresses: Vec<u64>,
    runs: u64,
}

/// What has been read of the emulator's log.
struct Log {
    begin: u64,
    end: u64,
    counting: bool,
    /// Runs that have been counted.
    counted: usize,
    /// The block that was translated last and has not been executed.
    translated: Vec<u64>,
    /// Whether its last instruction lacks its second half.
    halved: bool,
    /// By where their translations lie.
    blocks: HashMap<u64, Block>,
    /// By the instruction's address: of blocks whose translations have been thrown away.
    addresses: BTreeMap<u64, u64>,
}

impl Log {
    fn new(begin: u64, end: u64) -> Self {
        Self {
            begin,
            end,
            counting: false,
            counted: 0,
            translated: Vec::new(),
            halved: false,
            blocks: HashMap::new(),
            addresses: BTreeMap::new(),
        }
    }

    /// Reads a line; those of other meaning, such as the names of functions, are passed over.
    fn line(&mut self, line: &[u8]) {
        if let Some(rest) = line.strip_prefix(b"Trace ") {
            // `Trace 0: 0x7f0000000100 [00800408/00000400/00000110/ff020200] name`
            let place = hexadecimal(rest, b"0x");
            let start = hexadecimal(rest, b"/");
            if let (Some(place), Some(start)) = (place, start) {
                self.executed(place, start);
            }
        } else if let Some(rest) = line.strip_prefix(b"Stopped execution of TB chain before ") {
            // Announced, and then not executed, because the emulator had to look at its clock.
            if let Some(block) = hexadecimal(rest, b"0x").and_then(|at| self.blocks.get_mut(&at)) {
                block.runs -= u64::from(self.counting && block.runs > 0);
            }
        } else if line.starts_with(b"IN:") {
            self.translated.clear();
            self.halved = false;
        } else if line.starts_with(b"0x") {
            self.listed(line);
        }
    }

    /// Reads a line of a block: `0x00000102:  f008 ffb2  bl       #0x300`.
    ///
    /// The emulator's disassembler takes instructions that it does not know apart, those of MVE among
    /// them. So where they begin is told from their halves.
    fn listed(&mut self, line: &[u8]) {
        let (Some(mut address), Some(colon)) = (
            hexadecimal(line, b"0x"),
            line.iter().position(|&byte| byte == b':'),
        ) else {
            return;
        };
        let words = line[colon + 1..].split(u8::is_ascii_whitespace);
        let halves = words
            .skip_while(|word| word.is_empty())
            .take_while(|word| word.len() == 4);
        for half in halves.map_while(|half| hexadecimal(half, b"")) {
            if !self.halved {
                self.translated.push(address);
            }
            // Of Thumb instructions those have two halves that begin with 29, 30 or 31 in five bits.
            self.halved = !self.halved && half >> 11 >= 29;
            address += 2;
        }
    }

    fn executed(&mut self, place: u64, start: u64) {
        if !self.translated.is_empty() {
            let block = Block {
                addresses: std::mem::take(&mut self.translated),
                runs: 0,
            };
            if let Some(old) = self.blocks.insert(place, block) {
                self.keep(&old);
            }
        }
        if start == self.begin && self.counted == 0 {
            self.counting = true;
        }
        if start == self.end && self.counting {
            self.counting = false;
            self.counted += 1;
        }
        if self.counting {
            self.blocks.entry(place).or_default().runs += 1;
        }
    }

    fn keep(&mut self, block: &Block) {
        for &address in block.addresses.iter().filter(|_| block.runs > 0) {
            *self.addresses.entry(address).or_default() += block.runs;
        }
    }

    /// How often each instruction was executed between the marks.
    fn finish(mut self) -> Result<BTreeMap<u64, u64>> {
        ensure!(
            self.counted == 1,
            "the image did not come by its marks, {BEGIN} and {END}"
        );
        let blocks = std::mem::take(&mut self.blocks);
        for block in blocks.values() {
            ensure!(
                block.runs == 0 || !block.addresses.is_empty(),
                "the emulator executed a block that it did not show"
            );
            self.keep(block);
        }
        Ok(self.addresses)
    }
}

/// The hexadecimal number behind the first `mark`.
fn hexadecimal(line: &[u8], mark: &[u8]) -> Option<u64> {
    let at = if mark.is_empty() {
        0
    } else {
        line.windows(mark.len()).position(|window| window == mark)?
    };
    let digits = line[at + mark.len()..]
        .iter()
        .map_while(|&byte| char::from(byte).to_digit(16));
    let mut number = None;
    for digit in digits {
        number = Some(number.unwrap_or(0) << 4 | u64::from(digit));
    }
    number
}

#[cfg(test)]
mod tests {
    use super::Log;

    const LOG: &str = "\
IN: main
0x00000100:  b580       push     {r7, lr}

Trace 0: 0x7f0000000100 [00800408/00000100/00000110/ff020200] main
----------------
IN: niwaki_run_begin
0x00000200:  4770       bx       lr

Trace 0: 0x7f0000000200 [00800408/00000200/00000110/ff020200] niwaki_run_begin
IN: main
0x00000102:  f008 ffb2  bl       #0x300
0x00000106:  2000       movs     r0, #0

Trace 0: 0x7f0000000300 [00800408/00000102/00000110/ff020200] main
Trace 0: 0x7f0000000300 [00800408/00000102/00000110/ff020200] main
Stopped execution of TB chain before 0x7f0000000300 [00000102] main
Trace 0: 0x7f0000000300 [00800408/00000102/00000110/ff020200] main
IN: niwaki_run_end
0x00000400:  4770       bx       lr

Trace 0: 0x7f0000000400 [00800408/00000400/00000110/ff020200] niwaki_run_end
Trace 0: 0x7f0000000300 [00800408/00000102/00000110/ff020200] main
";

    #[test]
    fn what_is_executed_between_the_marks_is_counted() {
        let mut log = Log::new(0x200, 0x400);
        LOG.lines().for_each(|line| log.line(line.as_bytes()));
        let counts: Vec<(u64, u64)> = log.finish().unwrap().into_iter().collect();
        assert_eq!(counts, [(0x102, 2), (0x106, 2), (0x200, 1)]);
    }

    #[test]
    fn an_instruction_that_the_disassembler_does_not_know_is_one() {
        // DLSTP, LDRD, VMLADAVA.
        const BLOCK: &str = "\
IN: products
0x00000a30:  f009       .byte    0x09, 0xf0
0x00000a32:  e001       b        #0xa38
0x00000a34:  e9d8 0400  ldrd     r0, r4, [r8]
0x00000a38:  eef0       .byte    0xf0, 0xee
0x00000a3a:  e924 4770  ldr      r0, [r0]
";
        let mut log = Log::new(0, 0);
        BLOCK.lines().for_each(|line| log.line(line.as_bytes()));
        assert_eq!(log.translated, [0xa30, 0xa34, 0xa38, 0xa3c]);
    }

    #[test]
    fn a_run_without_an_end_is_no_run() {
        let mut log = Log::new(0x200, 0x999);
        LOG.lines().for_each(|line| log.line(line.as_bytes()));
        assert!(log.finish().is_err());
    }
}
