//! Who refers to whom in an image, and which of it panics.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::fmt;

/// A function, by its address, or the whole of a data section, by its index: what refers to one
/// constant counts as referring to all of them, so that no function pointer is overlooked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Node {
    Function(u64),
    Data(usize),
}

/// A reference from the place at `address` to the node `to`: a call, or an address that is taken.
#[derive(Clone, Copy, Debug)]
pub(super) struct Reference {
    pub(super) address: u64,
    pub(super) to: Node,
}

/// The references of an image.
#[derive(Debug, Default)]
pub(super) struct Graph {
    names: BTreeMap<u64, String>,
    sizes: BTreeMap<u64, u64>,
    references: BTreeMap<Node, Vec<Reference>>,
}

/// A place from where a panic is reached.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Site {
    /// The function that it lies in.
    pub(crate) caller: String,
    /// The function of `core` that panics.
    pub(crate) panic: String,
    /// Where in the image.
    pub(crate) address: u64,
}

impl fmt::Display for Site {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            caller,
            panic,
            address,
        } = self;
        write!(f, "{address:#07x} in {caller} to {panic}")
    }
}

impl Graph {
    /// Adds a function. Of two names for one address, as equal functions get them, the one that
    /// panics counts.
    pub(super) fn add_function(&mut self, address: u64, name: String, bytes: u64) {
        self.sizes.insert(address, bytes);
        let known = self.names.entry(address).or_insert_with(|| name.clone());
        if is_panic(&name) {
            *known = name;
        }
    }

    /// Adds a reference.
    pub(super) fn add_reference(&mut self, from: Node, reference: Reference) {
        self.references.entry(from).or_default().push(reference);
    }

    /// The function that the byte at `address` belongs to.
    pub(super) fn function_at(&self, address: u64) -> Option<Node> {
        let (&start, _) = self.names.range(..=address).next_back()?;
        Some(Node::Function(start))
    }

    /// The function of that name.
    pub(super) fn function_named(&self, name: &str) -> Option<Node> {
        let mut functions = self.names.iter();
        let found = functions.find(|(_, other)| *other == name);
        found.map(|(&address, _)| Node::Function(address))
    }

    /// The functions that panic, whether anything refers to them or not.
    pub(super) fn panics(&self) -> impl Iterator<Item = &str> {
        let names = self.names.values().map(String::as_str);
        names.filter(|name| is_panic(name))
    }

    /// Every reference to a function that panics, from what is reached from `root` without having
    /// panicked.
    pub(super) fn panic_sites(&self, root: Node) -> Vec<Site> {
        let mut sites = Vec::new();
        let mut seen = BTreeSet::from([root]);
        let mut open = VecDeque::from([root]);
        while let Some(node) = open.pop_front() {
            for reference in self.references.get(&node).into_iter().flatten() {
                let panic = self.name(reference.to);
                if is_panic(&panic) {
                    sites.push(Site {
                        caller: self.name(node),
                        panic,
                        address: reference.address,
                    });
                } else if seen.insert(reference.to) {
                    open.push_back(reference.to);
                }
            }
        }
        sites
    }

    /// Address and bytes of every function that is reached from `root`, itself included. Not its
    /// name, which all instances of a generic function share.
    pub(super) fn reached(&self, root: Node) -> BTreeMap<u64, u64> {
        let mut seen = BTreeSet::from([root]);
        let mut open = VecDeque::from([root]);
        while let Some(node) = open.pop_front() {
            for reference in self.references.get(&node).into_iter().flatten() {
                if seen.insert(reference.to) {
                    open.push_back(reference.to);
                }
            }
        }
        let bytes = |node: &Node| match node {
            Node::Function(address) => Some((*address, *self.sizes.get(address).unwrap_or(&0))),
            Node::Data(_) => None,
        };
        seen.iter().filter_map(bytes).collect()
    }

    fn name(&self, node: Node) -> String {
        match node {
            Node::Function(address) => match self.names.get(&address) {
                Some(name) => name.clone(),
                None => format!("a function at {address:#x}"),
            },
            Node::Data(section) => format!("the constants of section {section}"),
        }
    }
}

/// Whether a function, by its demangled name, is one by which the standard library panics, or the
/// panic handler that all of them end in.
///
/// It has to know the handler. Of the others it may miss one: that counts as an ordinary function
/// then, and what it calls as the site.
fn is_panic(name: &str) -> bool {
    let last = name.rsplit("::").next().unwrap_or(name);
    name.starts_with("core::panicking::")
        || last == "rust_begin_unwind"
        || last.contains("panic")
        || last.contains("_fail")
}

#[cfg(test)]
mod tests {
    use super::*;

    const ROOT: Node = Node::Function(0x100);
    const LEAF: Node = Node::Function(0x200);
    const UNREACHED: Node = Node::Function(0x300);
    const PANIC: Node = Node::Function(0x400);
    const TABLE: Node = Node::Data(2);

    fn graph(references: &[(Node, Node)]) -> Graph {
        let mut graph = Graph::default();
        for (node, name) in [
            (ROOT, "niwaki_probe"),
            (LEAF, "niwaki::leaf"),
            (UNREACHED, "niwaki::unreached"),
            (PANIC, "core::panicking::panic_fmt"),
        ] {
            let Node::Function(address) = node else {
                continue;
            };
            graph.add_function(address, name.to_owned(), 8);
        }
        for (address, &(from, to)) in (0x1000..).zip(references) {
            graph.add_reference(from, Reference { address, to });
        }
        graph
    }

    fn callers(graph: &Graph) -> Vec<String> {
        let sites = graph.panic_sites(ROOT).into_iter();
        sites.map(|site| site.caller).collect()
    }

    #[test]
    fn a_panic_behind_a_call_is_found_once_for_each_reference() {
        let graph = graph(&[(ROOT, LEAF), (LEAF, PANIC), (LEAF, PANIC), (LEAF, ROOT)]);
        assert_eq!(callers(&graph), ["niwaki::leaf"; 2]);
        assert_eq!(graph.panic_sites(ROOT)[1].address, 0x1002);
    }

    #[test]
    fn a_panic_behind_a_function_pointer_is_found() {
        let graph = graph(&[(ROOT, TABLE), (TABLE, LEAF), (LEAF, PANIC)]);
        assert_eq!(callers(&graph), ["niwaki::leaf"]);
    }

    #[test]
    fn instances_of_one_name_count_each() {
        let mut graph = graph(&[(ROOT, LEAF), (LEAF, Node::Function(0x500))]);
        graph.add_function(0x500, "niwaki::leaf".to_owned(), 4);
        let reached = BTreeMap::from([(0x100, 8), (0x200, 8), (0x500, 4)]);
        assert_eq!(graph.reached(ROOT), reached);
    }

    #[test]
    fn what_is_not_reached_may_panic() {
        let graph = graph(&[(ROOT, LEAF), (UNREACHED, PANIC)]);
        assert_eq!(callers(&graph), [""; 0]);
        assert_eq!(
            graph.panics().collect::<Vec<_>>(),
            ["core::panicking::panic_fmt"]
        );
    }

    #[test]
    fn a_place_belongs_to_the_function_before_it() {
        let graph = graph(&[]);
        assert_eq!(graph.function_at(0x2fe), Some(LEAF));
        assert_eq!(graph.function_at(0xff), None);
    }

    #[test]
    fn panics_are_known_by_name() {
        for name in [
            "core::panicking::panic_bounds_check",
            "core::slice::index::slice_index_fail",
            "core::option::unwrap_failed",
            "core::cell::panic_already_borrowed",
            "<[u8]>::copy_from_slice_impl::len_mismatch_fail",
            "__rustc::rust_begin_unwind",
            "rust_begin_unwind",
        ] {
            assert!(is_panic(name), "{name}");
        }
        for name in [
            "core::slice::memchr",
            "niwaki::error::fail",
            "<u8 as core::fmt::Debug>::fmt",
        ] {
            assert!(!is_panic(name), "{name}");
        }
    }
}
