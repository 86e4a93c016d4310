//! Reads the call graph of an ELF file from the relocations that `--emit-relocs` has kept.

mod graph;
pub(crate) mod memory;

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use anyhow::{Context, Result, ensure};
use object::{
    Object, ObjectSection, ObjectSymbol, Relocation, RelocationFlags, RelocationTarget,
    SectionKind, SymbolKind, elf,
};

pub(crate) use graph::Site;
use graph::{Graph, Node, Reference};

/// A linked image.
pub(crate) struct Image {
    graph: Graph,
    symbols: Vec<String>,
    code_bytes: u64,
}

impl Image {
    /// Reads the ELF file at `path`.
    pub(crate) fn open(path: &Path) -> Result<Self> {
        let bytes = fs::read(path)?;
        let file = object::File::parse(&*bytes)?;
        let mut image = Self {
            graph: Graph::default(),
            symbols: Vec::new(),
            code_bytes: 0,
        };
        for symbol in file.symbols().filter(ObjectSymbol::is_definition) {
            let name = format!("{:#}", rustc_demangle::demangle(symbol.name()?));
            if symbol.kind() == SymbolKind::Text {
                image
                    .graph
                    .add_function(start(&symbol), name.clone(), symbol.size());
            }
            image.symbols.push(name);
        }
        let mut relocations = 0;
        for section in file.sections() {
            let code = section.kind() == SectionKind::Text;
            if code {
                image.code_bytes += section.size();
            }
            if code || is_data(section.kind()) {
                for (address, relocation) in section.relocations() {
                    let Some(to) = target(&file, &relocation) else {
                        continue;
                    };
                    let from = if code {
                        image.graph.function_at(address)
                    } else {
                        Some(Node::Data(section.index().0))
                    };
                    let from = from.with_context(|| format!("no function is at {address:#x}"))?;
                    image.graph.add_reference(from, Reference { address, to });
                    relocations += 1;
                }
            }
        }
        ensure!(
            relocations > 0,
            "the image was not linked with --emit-relocs"
        );
        Ok(image)
    }

    /// Bytes of machine code.
    pub(crate) fn code_bytes(&self) -> u64 {
        self.code_bytes
    }

    /// The panic call sites that are reached from the function `root`.
    pub(crate) fn panic_sites(&self, root: &str) -> Result<Vec<Site>> {
        let node = self.graph.function_named(root);
        let node = node.with_context(|| format!("there is no function {root}"))?;
        Ok(self.graph.panic_sites(node))
    }

    /// Address and bytes of every function that is reached from the function `root`, itself
    /// included.
    pub(crate) fn reached(&self, root: &str) -> Result<BTreeMap<u64, u64>> {
        let node = self.graph.function_named(root);
        let node = node.with_context(|| format!("there is no function {root}"))?;
        Ok(self.graph.reached(node))
    }

    /// Names of functions that begin so.
    pub(crate) fn names_with(&self, start: &str) -> Vec<String> {
        let names = self.symbols.iter();
        names
            .filter(|name| name.starts_with(start))
            .cloned()
            .collect()
    }

    /// The functions that panic in the image, reached or not.
    pub(crate) fn panics(&self) -> Vec<&str> {
        self.graph.panics().collect()
    }

    /// The functions of an allocator in the image.
    pub(crate) fn allocators(&self) -> Vec<&str> {
        let allocates = |name: &&str| {
            let last = name.rsplit("::").next().unwrap_or(name);
            matches!(
                last,
                "malloc" | "calloc" | "realloc" | "free" | "_sbrk" | "sbrk"
            ) || last.starts_with("__rust_alloc")
                || last.starts_with("__rust_realloc")
                || last.starts_with("__rust_dealloc")
        };
        let names = self.symbols.iter().map(String::as_str);
        names.filter(allocates).collect()
    }
}

/// Where a function starts: in its symbol the lowest bit says that its code is Thumb.
fn start<'data>(function: &impl ObjectSymbol<'data>) -> u64 {
    function.address() & !1
}

/// Whether a section has constants or variables. The rest, debug information above all, is not in
/// the machine's memory.
fn is_data(kind: SectionKind) -> bool {
    matches!(
        kind,
        SectionKind::Data
            | SectionKind::ReadOnlyData
            | SectionKind::ReadOnlyDataWithRel
            | SectionKind::ReadOnlyString
    )
}

/// What a relocation refers to; `None` for one that marks something else than a reference.
fn target(file: &object::File<'_>, relocation: &Relocation) -> Option<Node> {
    if relocation.flags()
        == (RelocationFlags::Elf {
            r_type: elf::R_ARM_NONE,
        })
    {
        return None;
    }
    let RelocationTarget::Symbol(index) = relocation.target() else {
        return None;
    };
    let symbol = file.symbol_by_index(index).ok()?;
    if symbol.kind() == SymbolKind::Text {
        return Some(Node::Function(start(&symbol)));
    }
    let section = symbol.section_index()?;
    // A label inside a function: RISC-V has one for each half of an address.
    let label = file.section_by_index(section).ok()?.kind() == SectionKind::Text;
    (!label).then_some(Node::Data(section.0))
}
