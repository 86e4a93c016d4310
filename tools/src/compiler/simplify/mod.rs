//! Clean-up of the graph before operators are chosen: what is computed twice, what undoes itself,
//! and padding that the next window can do itself. Every output keeps its bytes.
//!
//! Each pass is one walk in execution order with tables made once. `chains` finds what is the
//! same value under another name, `sink` lets functions of one element come before changes of
//! shape, `pads` gives padding to the convolution or pool behind it.

mod chains;
mod pads;
mod sink;

use serde::Serialize;

use super::is_quantized;
use crate::graph::{Graph, ValueId};

/// How much was cleaned up.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Report {
    /// Operations that compute what another one has computed.
    pub common: usize,
    /// QuantizeLinear nodes that give the integers back that a DequantizeLinear has taken.
    pub requantized: usize,
    /// Changes of shape, permutations and other moves that are gone: their input is their output, or
    /// one move does what two did.
    pub moves: usize,
    /// Pads that a convolution or pool has taken in.
    pub pads: usize,
}

impl Report {
    /// Whether anything was cleaned up.
    pub fn has_changed(&self) -> bool {
        *self != Self::default()
    }
}

impl std::fmt::Display for Report {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let parts = [
            (self.common, "repeated operations"),
            (self.requantized, "requantisations to the same integers"),
            (self.moves, "moves that undo or follow each other"),
            (self.pads, "pads before windows"),
        ];
        let parts: Vec<String> = parts
            .iter()
            .filter(|(count, _)| *count > 0)
            .map(|(count, what)| format!("{count} {what}"))
            .collect();
        write!(f, "cleaned up without loss: {}", parts.join(", "))
    }
}

/// Cleans the graph up.
pub fn simplify(graph: &mut Graph) -> Report {
    let mut report = Report::default();
    // Where integers are computed, it decides between integers and floats what stands right
    // before a QuantizeLinear: moving that could change bytes.
    if !is_quantized(graph) {
        sink::sink(graph);
    }
    chains::simplify(graph, &mut report);
    pads::fold(graph, &mut report);
    graph.remove_dead_nodes();
    report
}

/// What to read instead of values that are gone.
struct Renamed(Vec<ValueId>);

impl Renamed {
    fn new(graph: &Graph) -> Self {
        Self((0..graph.values.len()).collect())
    }

    /// Lets all later readers of `id` read `other`, which is not renamed itself.
    fn rename(&mut self, id: ValueId, other: ValueId) {
        self.0[id] = other;
    }

    fn apply(&self, ids: &mut [ValueId]) {
        for id in ids {
            *id = self.0[*id];
        }
    }
}
