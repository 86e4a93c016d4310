//! A compiled runtime, cut down to what one model takes.

use std::collections::BTreeSet;

use anyhow::{Context as _, Result, bail, ensure};
use niwaki::artifact::DataType;
use niwaki::ops::ENTRIES;
use niwaki::{Digest, LoadError, Piece, Rule};
use walrus::ir::Value;
use walrus::{ConstExpr, DataKind, ElementItems, ElementKind, ExportItem, GlobalKind, Module};

/// The exports that say where things lie: the table of operators (`wasm/src/linked.rs`), and the
/// digest of the file that a package is made for (`wasm/src/exports.rs`).
const TABLE: &str = "NIWAKI_OPERATORS";
const FILE: &str = "NIWAKI_FILE";
/// The export of functions that nobody calls (`wasm/src/lib.rs`), and how many there are.
const UNCALLED: (&str, usize) = ("NIWAKI_UNCALLED", 2);
/// The export that loads any file, and the one that takes the place of it.
const LOAD: [&str; 2] = ["load", "load_known"];

/// Bytes of a row, which is `niwaki::ops::Entry` on a machine of 32 bits: the code, address and
/// length of the name, four functions.
const ROW: usize = 7 * 4;
/// Where a row has its functions.
const FUNCTIONS: std::ops::Range<usize> = 3 * 4..ROW;
/// Which of the functions computes. The others serve the checks of a file.
const RUN: usize = 1;

/// The module for one artifact, whose operators have the codes `codes`.
///
/// Row 0 of its table stands for no operator: it is laid over those of the others. And it loads
/// no other file, known by its digest, so that nothing is left to check. Nobody can call the
/// functions then that the others or the checks need, and the collector takes them out.
///
/// # Errors
///
/// When the module is not one that `cargo xtask npm` builds of this version.
pub fn specialise(module: &[u8], codes: &BTreeSet<u16>, artifact: &[u8]) -> Result<Vec<u8>> {
    let mut module = Module::from_buffer(module).context("it is not a WebAssembly module")?;
    know_file(&mut module, Digest::of(DataType::U8, artifact))?;
    let address = exported_address(&module, TABLE)?;
    let last = ENTRIES.iter().map(|entry| entry.code).max().unwrap_or(0);
    let rows = last as usize + 1;
    let mut gone = BTreeSet::new();
    let mut kept = BTreeSet::new();
    let none: [u8; ROW];
    let mut names = Vec::new();
    {
        let table = bytes_at(&mut module, address, rows * ROW)?;
        let (rows, _) = table.as_chunks_mut::<ROW>();
        none = *rows.first().context("the table of operators is empty")?;
        kept.extend(functions(&none));
        for entry in &ENTRIES {
            let row = rows
                .get_mut(entry.code as usize)
                .context("the table is too short")?;
            ensure!(
                word(row, 0) == entry.code,
                "its table of operators is another version's: build it again with `cargo xtask npm`"
            );
            gone.extend(functions(row));
            let is_used = codes.contains(&(entry.code as u16));
            names.push((is_used, [word(row, 1), word(row, 2)]));
            if is_used {
                kept.insert(functions(row)[RUN]);
            } else {
                *row = none;
            }
        }
    }
    let (uncalled, count) = UNCALLED;
    let address = exported_address(&module, uncalled)?;
    let (slots, _) = bytes_at(&mut module, address, count * 4)?.as_chunks::<4>();
    let uncalled_slots = slots.iter().map(|slot| u32::from_le_bytes(*slot)).collect();
    let [nobody, ..] = functions(&none);
    drop_functions(&mut module, &(&gone - &kept), nobody)?;
    let uncalled_slots = with_twins(&module, &uncalled_slots);
    drop_functions(&mut module, &uncalled_slots, nobody)?;
    drop_names(&mut module, &names)?;
    drop_texts(&mut module);
    // What they are exported for has been done.
    for name in [TABLE, FILE, uncalled] {
        module.exports.remove(name)?;
    }
    walrus::passes::gc::run(&mut module);
    Ok(module.emit_wasm())
}

/// Lets the module load the file with this digest alone.
fn know_file(module: &mut Module, digest: Digest) -> Result<()> {
    let address = exported_address(module, FILE)?;
    bytes_at(module, address, 8)?.copy_from_slice(&digest.0.to_le_bytes());
    let [any, known] = LOAD;
    module.exports.remove(any)?;
    let export = module
        .exports
        .iter_mut()
        .find(|export| export.name == known);
    any.clone_into(
        &mut export
            .with_context(|| format!("it does not export {known}"))?
            .name,
    );
    Ok(())
}

/// Zeros in place of the names that no kept row has: names lie next to each other, and the
/// linker may have put one into the end of another.
fn drop_names(module: &mut Module, names: &[(bool, [u32; 2])]) -> Result<()> {
    let bytes = |[address, len]: [u32; 2]| address..address + len;
    let kept: BTreeSet<u32> = names
        .iter()
        .filter(|(is_used, _)| *is_used)
        .flat_map(|&(_, name)| bytes(name))
        .collect();
    for &(is_used, name) in names {
        if !is_used {
            let at = bytes_at(module, name[0] as usize, name[1] as usize)?;
            for (byte, _) in at
                .iter_mut()
                .zip(bytes(name))
                .filter(|(_, i)| !kept.contains(i))
            {
                *byte = 0;
            }
        }
    }
    Ok(())
}

/// Zeros in place of what the checks would have to say.
fn drop_texts(module: &mut Module) {
    use LoadError::{Damaged, Interface, Misaligned, NewerFormat, NotAnArtifact, Operator};
    use LoadError::{OtherNumerics, Section, Tensor, Truncated};
    let [found, needed, index] = [0; 3];
    let of_rules = Rule::ALL.into_iter().flat_map(|rule| {
        [
            Tensor { index, rule },
            Operator { index, rule },
            Interface { index, rule },
        ]
    });
    let of_sections = niwaki::Section::ALL.into_iter().map(Section);
    let mut texts: Vec<_> = [
        NotAnArtifact,
        Truncated { needed, found },
        Damaged,
        Misaligned,
    ]
    .into_iter()
    .chain([
        NewerFormat {
            found: 0,
            newest: 0,
        },
        OtherNumerics {
            found: 0,
            supported: 0,
        },
    ])
    .chain(of_rules)
    .chain(of_sections)
    .flat_map(|error| error.pieces())
    .filter_map(|piece| match piece {
        // A shorter one might be part of something else.
        Piece::Text(text) if text.len() >= 8 => Some(text.as_bytes()),
        _ => None,
    })
    .collect();
    // One may be part of another.
    texts.sort_by_key(|text| std::cmp::Reverse(text.len()));
    let segments: Vec<_> = module.data.iter().map(walrus::Data::id).collect();
    for id in segments {
        let bytes = &mut module.data.get_mut(id).value;
        for text in &texts {
            for at in 0..(bytes.len() + 1).saturating_sub(text.len()) {
                let place = &mut bytes[at..at + text.len()];
                if place == *text {
                    place.fill(0);
                }
            }
        }
    }
}

/// Word `i` of a row.
fn word(row: &[u8; ROW], i: usize) -> u32 {
    u32::from_le_bytes(row.as_chunks().0[i])
}

/// The functions of a row, as indices into the module's table of functions.
fn functions(row: &[u8; ROW]) -> [u32; 4] {
    let (words, _) = row[FUNCTIONS].as_chunks::<4>();
    std::array::from_fn(|i| u32::from_le_bytes(words[i]))
}

/// Where the thing of that name lies in memory.
fn exported_address(module: &Module, name: &str) -> Result<usize> {
    let export = module.exports.iter().find(|export| export.name == name);
    let export = export.with_context(|| {
        format!("it does not export {name}: build it again with `cargo xtask npm`")
    })?;
    let ExportItem::Global(global) = export.item else {
        bail!("{name} is not a place in its memory");
    };
    match module.globals.get(global).kind {
        GlobalKind::Local(ConstExpr::Value(Value::I32(address))) => Ok(address as usize),
        _ => bail!("{name} is not a place in its memory"),
    }
}

/// The bytes that memory holds at the beginning.
fn bytes_at(module: &mut Module, address: usize, len: usize) -> Result<&mut [u8]> {
    let place = module.data.iter().find_map(|data| {
        let DataKind::Active { offset, .. } = &data.kind else {
            return None;
        };
        let ConstExpr::Value(Value::I32(start)) = offset else {
            return None;
        };
        let at = address.checked_sub(*start as usize)?;
        (at + len <= data.value.len()).then_some((data.id(), at))
    });
    let (id, at) = place.with_context(|| format!("nothing at {address} is in its data"))?;
    let bytes = module.data.get_mut(id).value.get_mut(at..at + len);
    bytes.with_context(|| format!("nothing at {address} is in its data"))
}

/// The slots of the table of functions that have a function of one of these slots.
fn with_twins(module: &Module, slots: &BTreeSet<u32>) -> BTreeSet<u32> {
    let all: Vec<_> = module
        .elements
        .iter()
        .flat_map(|element| {
            let (
                ElementKind::Active {
                    offset: ConstExpr::Value(Value::I32(start)),
                    ..
                },
                ElementItems::Functions(functions),
            ) = (&element.kind, &element.items)
            else {
                return Vec::new();
            };
            (*start as u32..).zip(functions.clone()).collect()
        })
        .collect();
    let functions: BTreeSet<_> = all
        .iter()
        .filter(|(slot, _)| slots.contains(slot))
        .map(|&(_, function)| function)
        .collect();
    all.into_iter()
        .filter(|(_, function)| functions.contains(function))
        .map(|(slot, _)| slot)
        .collect()
}

/// Puts the function of slot `instead` into other slots of the table of functions.
fn drop_functions(module: &mut Module, slots: &BTreeSet<u32>, instead: u32) -> Result<()> {
    let mut dropped = 0;
    for element in module.elements.iter_mut() {
        let ElementKind::Active {
            offset: ConstExpr::Value(Value::I32(start)),
            ..
        } = element.kind
        else {
            continue;
        };
        let ElementItems::Functions(functions) = &mut element.items else {
            continue;
        };
        let index = |slot: u32| slot.checked_sub(start as u32).map(|i| i as usize);
        let Some(&function) = index(instead).and_then(|i| functions.get(i)) else {
            continue;
        };
        for &slot in slots {
            if let Some(place) = index(slot).and_then(|i| functions.get_mut(i)) {
                *place = function;
                dropped += 1;
            }
        }
    }
    ensure!(
        dropped == slots.len(),
        "its operators are not in its table of functions"
    );
    Ok(())
}
