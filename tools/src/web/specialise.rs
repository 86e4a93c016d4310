//! A compiled runtime, cut down to some operators.

use std::collections::BTreeSet;

use anyhow::{Context as _, Result, bail, ensure};
use niwaki::ops::ENTRIES;
use walrus::ir::Value;
use walrus::{ConstExpr, DataKind, ElementItems, ExportItem, GlobalKind, Module};

/// The export that says where the table of operators lies (`wasm/src/linked.rs`).
const TABLE: &str = "NIWAKI_OPERATORS";

/// Bytes of a row, which is `niwaki::ops::Entry` on a machine of 32 bits: the code, address and
/// length of the name, four functions.
const ROW: usize = 7 * 4;
/// Where a row has its functions.
const FUNCTIONS: std::ops::Range<usize> = 3 * 4..ROW;

/// The module with the operators of `codes` alone.
///
/// Row 0 of its table stands for no operator: it is laid over those of the others. Nobody can call
/// their functions then, which goes for all that only they call, and the collector takes it out. A
/// model that needs one of them is refused at load, as one with an unknown operator.
///
/// # Errors
///
/// When the module is not one that `cargo xtask npm` builds of this version.
pub fn specialise(module: &[u8], codes: &BTreeSet<u16>) -> Result<Vec<u8>> {
    let mut module = Module::from_buffer(module).context("it is not a WebAssembly module")?;
    let address = table_address(&module)?;
    let last = ENTRIES.iter().map(|entry| entry.code).max().unwrap_or(0);
    let rows = last as usize + 1;
    let mut gone = BTreeSet::new();
    let mut kept = BTreeSet::new();
    let none: [u8; ROW];
    {
        let table = bytes_at(&mut module, address, rows * ROW)?;
        let (rows, _) = table.as_chunks_mut::<ROW>();
        none = *rows.first().context("the table of operators is empty")?;
        kept.extend(functions(&none));
        for entry in &ENTRIES {
            let row = rows
                .get_mut(entry.code as usize)
                .context("the table is too short")?;
            let code = row.first_chunk().map(|bytes| u32::from_le_bytes(*bytes));
            ensure!(
                code == Some(entry.code),
                "its table of operators is another version's: build it again with `cargo xtask npm`"
            );
            if codes.contains(&(entry.code as u16)) {
                kept.extend(functions(row));
            } else {
                gone.extend(functions(row));
                *row = none;
            }
        }
    }
    let [nobody, ..] = functions(&none);
    drop_functions(&mut module, &(&gone - &kept), nobody)?;
    // What the table is exported for has been done.
    module.exports.remove(TABLE)?;
    walrus::passes::gc::run(&mut module);
    Ok(module.emit_wasm())
}

/// The functions of a row, as indices into the module's table of functions.
fn functions(row: &[u8; ROW]) -> [u32; 4] {
    let (words, _) = row[FUNCTIONS].as_chunks::<4>();
    std::array::from_fn(|i| u32::from_le_bytes(words[i]))
}

fn table_address(module: &Module) -> Result<usize> {
    let export = module.exports.iter().find(|export| export.name == TABLE);
    let export = export.with_context(|| format!("it does not export {TABLE}"))?;
    let ExportItem::Global(global) = export.item else {
        bail!("{TABLE} is not a place in its memory");
    };
    match module.globals.get(global).kind {
        GlobalKind::Local(ConstExpr::Value(Value::I32(address))) => Ok(address as usize),
        _ => bail!("{TABLE} is not a place in its memory"),
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
    let (id, at) = place.context("its table of operators is not in its data")?;
    let bytes = module.data.get_mut(id).value.get_mut(at..at + len);
    bytes.context("its table of operators is not in its data")
}

/// Puts the function of slot `instead` into other slots of the table of functions.
fn drop_functions(module: &mut Module, slots: &BTreeSet<u32>, instead: u32) -> Result<()> {
    let mut dropped = 0;
    for element in module.elements.iter_mut() {
        let walrus::ElementKind::Active {
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
