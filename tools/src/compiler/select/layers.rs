//! Layers with weights or tables of their own: normalisations, recurrent layers, resampling.

use anyhow::{Context as _, Result, bail};

use super::Selector;
use crate::compiler::builder::{Label, RecurrentWeights, View};
use crate::graph::{Node, Op};
use crate::layers::Recurrent;

impl Selector<'_> {
    /// A layer that is computed in floats.
    pub(super) fn layer(&mut self, node: &Node, label: Label) -> Result<View> {
        let shape = self.shape(node.output);
        let x = self.float(node.inputs[0])?;
        Ok(match &node.op {
            Op::LayerNorm(norm) => {
                let rest = &node.inputs[1..];
                let rest: Vec<View> = rest
                    .iter()
                    .map(|&id| self.float(id))
                    .collect::<Result<_>>()?;
                self.builder.layer_norm(&x, &rest, *norm, label, shape)
            }
            Op::Resample(resampling) => self.builder.resampled(&x, resampling, label, shape),
            Op::Recurrent(recurrent) => self.recurrent(node, recurrent, &x, label)?,
            _ => bail!("`{}` has no implementation", label.name),
        })
    }

    fn recurrent(
        &mut self,
        node: &Node,
        recurrent: &Recurrent,
        x: &View,
        label: Label,
    ) -> Result<View> {
        let constant = |i: usize| {
            let id = node.inputs[i];
            self.constant_float(id).with_context(|| {
                format!(
                    "node `{}`: weights, bias or peepholes `{}` are computed at run time; constants are accepted",
                    node.name, self.graph.values[id].name
                )
            })
        };
        let states = 4..4 + recurrent.cell.states();
        let weights = RecurrentWeights {
            weights: constant(1)?,
            recurrence: constant(2)?,
            bias: constant(3)?,
            peepholes: match node.inputs.len() > states.end {
                true => Some(constant(states.end)?),
                false => None,
            },
        };
        let states: Vec<View> = node.inputs[states]
            .iter()
            .map(|&id| self.float(id))
            .collect::<Result<_>>()?;
        let shape = self.shape(node.output);
        Ok(self
            .builder
            .recurrent(x, &states, recurrent, &weights, label, shape))
    }
}
