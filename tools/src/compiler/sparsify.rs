//! Weights of matrix products of which whole blocks are zero: FORMAT.md, 6, sparse weights.
//!
//! Behind the shrink and before [`super::widen`], which takes what is left. Nothing is made zero
//! here: it is what training or a pruning tool has left behind.

use anyhow::{Context as _, Result};
use niwaki::artifact::{Blob, Operators};
use niwaki::ops::{
    FullyConnectedI8, FullyConnectedI8Params, FullyConnectedI8Sparse, FullyConnectedI8SparseParams,
    Registered as _,
};
use serde::Serialize;

use super::builder::{Builder, BuiltOperator};

/// Weights of a block, blocks of a band, channels of a group.
const BLOCK: usize = 4;
const BAND: usize = 16;
const GROUP: usize = 16;

/// Which products get sparse weights.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum Sparse {
    /// Those that become smaller, and that a Cortex-M4 computes in fewer instructions.
    #[default]
    Auto,
    /// All.
    Always,
    /// None.
    Never,
}

impl Sparse {
    pub(super) fn is_auto(&self) -> bool {
        *self == Self::Auto
    }
}

/// What a Cortex-M4 executes, measured: docs/sparse.md has the commands.
struct Costs {
    /// For one row, and for four that are computed together.
    rows: [Instructions; 2],
    /// To bring together a band of four weights of a row, for a group of channels.
    place: f64,
}

/// Instructions of dense and sparse weights.
struct Instructions {
    /// A block of an output channel, and a channel: what is around its loop.
    dense: [f64; 2],
    /// A block that is not zero, and a channel's share of a band.
    sparse: [f64; 2],
}

const CORTEX_M4: Costs = Costs {
    rows: [
        Instructions {
            dense: [5.25, 6.0],
            sparse: [11.0, 8.0],
        },
        Instructions {
            dense: [15.0, 22.0],
            sparse: [18.0, 22.0],
        },
    ],
    place: 4.0,
};

/// What storing one product sparse would give, and whether it was done.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Layer {
    /// Its output's name.
    pub name: String,
    /// Blocks of four weights, and how many of them are zero.
    pub blocks: usize,
    /// Of these, those that are all zero.
    pub zero_blocks: usize,
    /// Bytes of the weights, dense and sparse.
    pub bytes: [usize; 2],
    /// Instructions of a Cortex-M4 as the table has them, dense and sparse.
    pub instructions: [u64; 2],
    /// Whether it is stored sparse.
    pub is_sparse: bool,
}

impl Layer {
    /// Whether there is anything to say about it.
    pub fn is_remarkable(&self) -> bool {
        self.is_sparse || 8 * self.zero_blocks >= self.blocks
    }

    fn gains(&self) -> bool {
        let [dense, sparse] = self.bytes;
        let [slow, fast] = self.instructions;
        sparse < dense && fast < slow
    }
}

impl std::fmt::Display for Layer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let [dense, sparse] = self.bytes;
        let [slow, fast] = self.instructions;
        let verdict = match (self.is_sparse, self.gains()) {
            (true, _) => "sparse",
            (false, false) => "kept dense: no gain",
            (false, true) => "kept dense, as asked for",
        };
        let percent = 100 * self.zero_blocks / self.blocks.max(1);
        write!(
            f,
            "{}: {verdict}; {percent} % of {} blocks are zero, {sparse} bytes of weights for {dense}, \
             about {fast} instructions for {slow} on a Cortex-M4",
            self.name, self.blocks
        )
    }
}

/// Puts operators with sparse weights in the place of those that gain by it. Tells of all products
/// that could have them.
///
/// # Errors
///
/// Only for a defect of the compiler.
pub fn sparsify(builder: &mut Builder, mode: Sparse) -> Result<Vec<Layer>> {
    let mut layers = Vec::new();
    for index in 0..builder.operators.len() {
        let bytes = niwaki::as_bytes(&builder.operators[index].record).to_vec();
        let raw = Operators::new(&bytes).next().context("a cut record")?;
        if raw.header.code != FullyConnectedI8::CODE {
            continue;
        }
        let p: FullyConnectedI8Params = raw.parameters().context("parameters of another length")?;
        let [rows, depth, outputs] = [p.rows, p.depth, p.outputs].map(|size| size as usize);
        let dense = p.weights.get(&builder.data, outputs * depth);
        let dense = dense.context("weights outside the data section")?;
        let sparse = encode(dense, [outputs, depth]);
        let output = builder.operators[index].output;
        let blocks = outputs * depth.div_ceil(BLOCK);
        let maps = outputs * depth.div_ceil(BLOCK * BAND);
        let kept = (sparse.len() / 2 - maps) / 2;
        let mut layer = Layer {
            name: builder.tensors[output].name.clone(),
            blocks,
            zero_blocks: blocks - kept,
            bytes: [dense.len(), sparse.len()],
            instructions: CORTEX_M4.of(rows, [depth, outputs], kept),
            is_sparse: false,
        };
        layer.is_sparse = match mode {
            Sparse::Auto => layer.gains(),
            Sparse::Always => true,
            Sparse::Never => false,
        };
        if layer.is_sparse {
            let params = FullyConnectedI8SparseParams {
                rows: p.rows,
                depth: p.depth,
                outputs: p.outputs,
                output_zero_point: p.output_zero_point,
                low: p.low,
                high: p.high,
                weights_len: (sparse.len() / 2) as u32,
                weights: Blob::at(builder.store_bytes(sparse)),
                bias: p.bias,
                multipliers: p.multipliers,
            };
            let old = &mut builder.operators[index];
            let inputs = std::mem::take(&mut old.inputs);
            *old = BuiltOperator::new(FullyConnectedI8Sparse::CODE, inputs, &params, output);
        }
        layers.push(layer);
    }
    if layers.iter().any(|layer| layer.is_sparse) {
        // The weights as they were are of no use any more.
        builder.compact();
    }
    Ok(layers)
}

impl Costs {
    /// Instructions of a product, dense and sparse, with so many blocks that are not zero.
    fn of(&self, rows: usize, [depth, outputs]: [usize; 2], kept: usize) -> [u64; 2] {
        let blocks = outputs * depth.div_ceil(BLOCK);
        let bands = depth.div_ceil(BLOCK * BAND);
        let [one, four] = &self.rows;
        // Two and three rows are four.
        let (fours, ones) = match rows % 4 {
            0 => (rows / 4, 0),
            1 => (rows / 4, 1),
            _ => (rows / 4 + 1, 0),
        };
        let sum = |[block, channel]: [f64; 2], blocks: usize, channels: usize| {
            block * blocks as f64 + channel * channels as f64
        };
        let dense = fours as f64 * sum(four.dense, blocks, outputs)
            + ones as f64 * sum(one.dense, blocks, outputs);
        let placed = if bands > 1 {
            outputs.div_ceil(GROUP)
        } else {
            1
        };
        let place = self.place * depth.div_ceil(BLOCK) as f64 * placed as f64;
        let sparse = fours as f64 * (sum(four.sparse, kept, outputs * bands) + 4.0 * place)
            + ones as f64 * (sum(one.sparse, kept, outputs * bands) + place);
        [dense, sparse].map(|instructions| instructions.round() as u64)
    }
}

/// Rows of `len` weights, one for each of some channels, as sparse weights.
fn encode(weights: &[i8], [channels, len]: [usize; 2]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for first in (0..channels).step_by(GROUP) {
        for start in (0..len).step_by(BLOCK * BAND) {
            for channel in first..channels.min(first + GROUP) {
                let row = &weights[channel * len..][..len];
                let band = &row[start..len.min(start + BLOCK * BAND)];
                let mut map = 0u16;
                let mut kept = Vec::new();
                for (i, block) in band.chunks(BLOCK).enumerate() {
                    if block.iter().any(|&w| w != 0) {
                        map |= 0x8000 >> i;
                        let mut four = [0; BLOCK];
                        four[..block.len()].copy_from_slice(block);
                        kept.extend(four.map(i8::cast_unsigned));
                    }
                }
                bytes.extend(map.to_le_bytes());
                bytes.extend(kept);
            }
        }
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_of_zeros_are_left_out() {
        let mut weights = vec![0; 2 * 70];
        weights[4..8].copy_from_slice(&[0, -1, 2, 3]);
        weights[66..70].copy_from_slice(&[4, 0, 5, 6]);
        // The second channel.
        weights[70 + 63] = 7;
        let expected: Vec<u8> = [
            // Of the first 64: the first channel's second block, the second channel's last one.
            &[0x00, 0x40, 0, 255, 2, 3][..],
            &[0x01, 0x00, 0, 0, 0, 7],
            // Of the other six: two blocks, the second one filled up.
            &[0x00, 0xc0, 0, 0, 4, 0, 5, 6, 0, 0],
            &[0x00, 0x00],
        ]
        .concat();
        assert_eq!(encode(&weights, [2, 70]), expected);
    }

    #[test]
    fn dense_weights_do_not_gain() {
        let [dense, sparse] = CORTEX_M4.of(125, [64, 64], 64 * 16);
        assert!(dense < sparse);
        let [dense, sparse] = CORTEX_M4.of(125, [64, 64], 64 * 4);
        assert!(sparse * 2 < dense);
    }
}
