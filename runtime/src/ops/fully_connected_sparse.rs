//! FullyConnected with weights of which whole blocks are zero.

use super::{Check, Held, Memory, Operator, Steps};
use crate::artifact::{Blob, DataType, record};
use crate::error::{Fault, Rule};
use crate::kernels::{self, SPARSE_PIXELS, SparseRows, SparseWorkspace, volume};
use crate::numerics::OutputStage;

record! {
    /// Parameters of [`FullyConnectedI8Sparse`].
    pub struct FullyConnectedI8SparseParams {
        /// Number of rows: of pixels, for a 1x1 convolution.
        pub rows: u32,
        /// Elements of one input row.
        pub depth: u32,
        /// Elements of one output row.
        pub outputs: u32,
        /// Zero point of the output.
        pub output_zero_point: i32,
        /// Smallest output value: the fused activation.
        pub low: i32,
        /// Largest output value: the fused activation.
        pub high: i32,
        /// Halfwords of the weights.
        pub weights_len: u32,
        /// `[outputs][depth]`, as FORMAT.md, 6, lays out sparse weights.
        pub weights: Blob<u16>,
        /// `[outputs]`: bias - input zero point * (sum of the output's weights).
        pub bias: Blob<i32>,
        /// `[outputs]`: input scale * weight scale / output scale.
        pub multipliers: Blob<f32>,
    }
}

/// Int8 matrix product with a fused rescale and activation, of which only the blocks of weights are
/// stored that are not zero.
#[derive(Debug)]
pub struct FullyConnectedI8Sparse;

impl Operator for FullyConnectedI8Sparse {
    type Params = FullyConnectedI8SparseParams;

    const WORKSPACE: usize = size_of::<SparseWorkspace>();

    fn check(check: &Check<'_>, p: &FullyConnectedI8SparseParams) -> Result<(), Rule> {
        check.arity(1)?;
        check.expect_input(0, DataType::I8, volume(&[p.rows, p.depth])?)?;
        check.expect_output(DataType::I8, volume(&[p.rows, p.outputs])?)?;
        volume(&[p.depth, p.outputs])?;
        let weights = check.constants(p.weights, u64::from(p.weights_len))?;
        check.constants(p.bias, u64::from(p.outputs))?;
        check.multipliers(p.multipliers, u64::from(p.outputs))?;
        OutputStage::new(p.output_zero_point, p.low, p.high).ok_or(Rule::Parameter)?;
        SparseRows::new(weights, p.outputs as usize, p.depth as usize).ok_or(Rule::Data)?;
        Ok(())
    }

    fn steps(_: &Check<'_>, p: &FullyConnectedI8SparseParams) -> Option<Steps> {
        Some(Steps::of_matrix(p.rows, p.depth, p.outputs))
    }

    fn run(memory: &mut Memory<'_, '_>, p: &FullyConnectedI8SparseParams) -> Result<(), Fault> {
        let weights = memory.constants(p.weights, p.weights_len)?;
        let kernel = kernels::SparseProductI8 {
            depth: p.depth,
            outputs: p.outputs,
            // Counted again in each run, which takes less than one pixel does: kernels with pointers
            // rely on what they are given, not on what was checked at load.
            weights: SparseRows::new(weights, p.outputs as usize, p.depth as usize).ok_or(Fault)?,
            bias: memory.constants(p.bias, p.outputs)?,
            multipliers: memory.constants(p.multipliers, p.outputs)?,
            stage: OutputStage::new(p.output_zero_point, p.low, p.high).ok_or(Fault)?,
        };
        let steps = Steps::of_matrix(p.rows, p.depth, p.outputs);
        let mut held = Held::new();
        let workspace = memory.workspace(&mut held)?;
        memory.by_rows_together(&steps, SPARSE_PIXELS, |_, x, y| kernel.run(workspace, x, y))
    }

    fn macs(_: &Check<'_>, p: &FullyConnectedI8SparseParams) -> u64 {
        u64::from(p.rows) * u64::from(p.depth) * u64::from(p.outputs)
    }

    fn weight_bytes(p: &FullyConnectedI8SparseParams) -> u64 {
        2 * u64::from(p.weights_len)
    }
}
