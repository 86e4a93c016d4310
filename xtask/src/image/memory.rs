//! What an image takes of flash and RAM.

use std::fs;
use std::path::Path;

use anyhow::{Context as _, Result};
use object::read::elf::{ElfFile32, FileHeader as _, ProgramHeader as _};
use object::{Endianness, Object as _, ObjectSection as _, ObjectSymbol, SectionFlags, elf};

use crate::footprint::Footprint;

/// Reads the ELF file at `path`; the model counts as flash.
///
/// # Errors
///
/// When it is no ELF file for a machine of 32 bits.
pub(crate) fn footprint(path: &Path) -> Result<Footprint> {
    let bytes = fs::read(path)?;
    let file = ElfFile32::<Endianness>::parse(&*bytes)?;
    let mut footprint = Footprint::default();
    let endian = file.endian();
    for segment in file.elf_header().program_headers(endian, &*bytes)? {
        if segment.p_type(endian) == elf::PT_LOAD {
            footprint.flash += u64::from(segment.p_filesz(endian));
        }
    }
    for section in file.sections() {
        let SectionFlags::Elf { sh_flags } = section.flags() else {
            continue;
        };
        let name = section.name()?.to_owned();
        // Some linker scripts make sections of what is left of the RAM.
        let is_left = [".stack", ".heap"].contains(&&*name);
        if sh_flags & u64::from(elf::SHF_ALLOC) == 0 || section.size() == 0 || is_left {
            continue;
        }
        *footprint.sections.entry(name).or_default() += section.size();
        if sh_flags & u64::from(elf::SHF_WRITE) != 0 {
            footprint.ram += section.size();
        }
    }
    for symbol in file.symbols().filter(ObjectSymbol::is_definition) {
        let stored = symbol.section_index().is_some_and(|index| {
            let section = file.section_by_index(index);
            section.is_ok_and(|section| section.kind() != object::SectionKind::UninitializedData)
        });
        if stored && symbol.size() > 0 {
            let name = format!("{:#}", rustc_demangle::demangle(symbol.name()?));
            *footprint.crates.entry(crate_of(&name)).or_default() += symbol.size();
        }
    }
    Ok(footprint)
}

/// Bytes of the variable or function of that name.
///
/// # Errors
///
/// When the image has none.
pub(crate) fn symbol_bytes(path: &Path, name: &str) -> Result<u64> {
    let bytes = fs::read(path)?;
    let file = object::File::parse(&*bytes)?;
    let mut symbols = file.symbols();
    let symbol = symbols.find(|symbol| {
        let mangled = symbol.name().unwrap_or_default();
        format!("{:#}", rustc_demangle::demangle(mangled)) == name
    });
    let symbol = symbol.with_context(|| format!("{} has no {name}", path.display()))?;
    Ok(symbol.size())
}

/// The crate that a demangled name comes from: of `<A as B>::c` that of `A`, or of `B` where `A` has
/// no path.
fn crate_of(name: &str) -> String {
    if !name.contains("::") {
        return if name.starts_with(".Lanon") || name.starts_with("anon.") {
            "constants without a name".to_owned()
        } else {
            "assembly, C and start-up".to_owned()
        };
    }
    let start = name.find(|c: char| c.is_alphabetic() || c == '_');
    let mut rest = name.get(start.unwrap_or(0)..).unwrap_or(name);
    if let Some((first, behind)) = rest.split_once(" as ")
        && !first.contains("::")
    {
        rest = behind;
    }
    for word in ["mut ", "dyn ", "const ", "impl "] {
        rest = rest.strip_prefix(word).unwrap_or(rest);
    }
    rest.split(|c: char| !c.is_alphanumeric() && c != '_')
        .next()
        .unwrap_or(rest)
        .to_owned()
}

#[cfg(test)]
mod tests {
    use super::crate_of;

    #[test]
    fn the_crate_is_the_first_part_of_the_path() {
        for (name, expected) in [
            ("niwaki::ops::run_operator", "niwaki"),
            ("<niwaki::ops::All as core::fmt::Debug>::fmt", "niwaki"),
            ("<[T; N] as niwaki::artifact::Record>::read", "niwaki"),
            ("<&mut W as core::fmt::Write>::write_str", "core"),
            ("<&T as core::fmt::Display>::fmt", "core"),
            ("compiler_builtins::mem::memcpy", "compiler_builtins"),
            ("memcpy", "assembly, C and start-up"),
            (".Lanon.12ab.0", "constants without a name"),
        ] {
            assert_eq!(crate_of(name), expected, "{name}");
        }
    }
}
