//! FullyConnected: ONNX `Gemm` and `MatMul` with constant weights, and 1x1 `Conv`.

use super::{Check, Held, Memory, Operator, Steps};
use crate::artifact::{Blob, DataType, record};
use crate::error::{Fault, Rule};
use crate::kernels::{self, Weight, Wide, volume};
use crate::numerics::OutputStage;

record! {
    /// Parameters of [`FullyConnectedI8`] and [`FullyConnectedI8Wide`].
    pub struct FullyConnectedI8Params {
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
        /// `[outputs][depth]`; of [`FullyConnectedI8Wide`] as FORMAT.md, 6, says.
        pub weights: Blob<i8>,
        /// `[outputs]`: bias - input zero point * (sum of the output's weights).
        pub bias: Blob<i32>,
        /// `[outputs]`: input scale * weight scale / output scale.
        pub multipliers: Blob<f32>,
    }
}

record! {
    /// Parameters of [`FullyConnectedF32`].
    pub struct FullyConnectedF32Params {
        /// Number of rows: of pixels, for a 1x1 convolution.
        pub rows: u32,
        /// Elements of one input row.
        pub depth: u32,
        /// Elements of one output row.
        pub outputs: u32,
        /// Smallest output value: the fused activation.
        pub low: f32,
        /// Largest output value: the fused activation.
        pub high: f32,
        /// `[depth][outputs]`.
        pub weights: Blob<f32>,
        /// `[outputs]`.
        pub bias: Blob<f32>,
    }
}

/// Int8 matrix product with a fused rescale and activation.
#[derive(Debug)]
pub struct FullyConnectedI8;

/// The same with weights in 16 bits, in the order that Cortex-M4 and M7 multiply them.
#[derive(Debug)]
pub struct FullyConnectedI8Wide;

macro_rules! int8 {
    ($operator:ident of $weight:ty) => {
        impl Operator for $operator {
            type Params = FullyConnectedI8Params;

            const WORKSPACE: usize = size_of::<kernels::Workspace>();

            fn check(check: &Check<'_>, p: &FullyConnectedI8Params) -> Result<(), Rule> {
                check.arity(1)?;
                check.expect_input(0, DataType::I8, volume(&[p.rows, p.depth])?)?;
                check.expect_output(DataType::I8, volume(&[p.rows, p.outputs])?)?;
                volume(&[p.depth, p.outputs])?;
                let weights = volume(&<$weight>::shape(p.outputs, p.depth))?;
                let weights = check.constants(p.weights.of::<$weight>(), weights)?;
                if !<$weight>::are_filled_up(weights, p.depth) {
                    return Err(Rule::Data);
                }
                check.constants(p.bias, u64::from(p.outputs))?;
                check.multipliers(p.multipliers, u64::from(p.outputs))?;
                OutputStage::new(p.output_zero_point, p.low, p.high).ok_or(Rule::Parameter)?;
                Ok(())
            }

            fn steps(_: &Check<'_>, p: &FullyConnectedI8Params) -> Option<Steps> {
                Some(Steps::of_matrix(p.rows, p.depth, p.outputs))
            }

            fn run(memory: &mut Memory<'_, '_>, p: &FullyConnectedI8Params) -> Result<(), Fault> {
                let [rows, row] = <$weight>::shape(p.outputs, p.depth);
                let kernel = kernels::FullyConnectedI8 {
                    depth: p.depth,
                    outputs: p.outputs,
                    weights: memory.constants(p.weights.of::<$weight>(), rows * row)?,
                    bias: memory.constants(p.bias, p.outputs)?,
                    multipliers: memory.constants(p.multipliers, p.outputs)?,
                    stage: OutputStage::new(p.output_zero_point, p.low, p.high).ok_or(Fault)?,
                };
                let steps = Steps::of_matrix(p.rows, p.depth, p.outputs);
                let mut held = Held::new();
                let workspace = memory.workspace(&mut held)?;
                memory.by_rows(&steps, |_, x, y| kernel.run(workspace, x, y))
            }

            fn macs(_: &Check<'_>, p: &FullyConnectedI8Params) -> u64 {
                u64::from(p.rows) * u64::from(p.depth) * u64::from(p.outputs)
            }

            fn weight_bytes(p: &FullyConnectedI8Params) -> u64 {
                let [rows, row] = <$weight>::shape(p.outputs, p.depth).map(u64::from);
                rows * row * size_of::<$weight>() as u64
            }
        }
    };
}

int8!(FullyConnectedI8 of i8);
int8!(FullyConnectedI8Wide of Wide);

/// Float matrix product with a fused clamp.
#[derive(Debug)]
pub struct FullyConnectedF32;

impl Operator for FullyConnectedF32 {
    type Params = FullyConnectedF32Params;

    fn check(check: &Check<'_>, p: &FullyConnectedF32Params) -> Result<(), Rule> {
        check.arity(1)?;
        check.expect_input(0, DataType::F32, volume(&[p.rows, p.depth])?)?;
        check.expect_output(DataType::F32, volume(&[p.rows, p.outputs])?)?;
        check.constants(p.weights, volume(&[p.depth, p.outputs])?)?;
        check.constants(p.bias, u64::from(p.outputs))?;
        Ok(())
    }

    fn steps(_: &Check<'_>, p: &FullyConnectedF32Params) -> Option<Steps> {
        Some(Steps::of_matrix(p.rows, p.depth, p.outputs))
    }

    fn run(memory: &mut Memory<'_, '_>, p: &FullyConnectedF32Params) -> Result<(), Fault> {
        let kernel = kernels::FullyConnectedF32 {
            depth: p.depth,
            outputs: p.outputs,
            weights: memory.constants(p.weights, p.depth * p.outputs)?,
            bias: memory.constants(p.bias, p.outputs)?,
            low: p.low,
            high: p.high,
        };
        let steps = Steps::of_matrix(p.rows, p.depth, p.outputs);
        memory.by_rows(&steps, |_, x, y| kernel.run(x, y))
    }

    fn macs(_: &Check<'_>, p: &FullyConnectedF32Params) -> u64 {
        u64::from(p.rows) * u64::from(p.depth) * u64::from(p.outputs)
    }

    fn weight_bytes(p: &FullyConnectedF32Params) -> u64 {
        4 * u64::from(p.depth) * u64::from(p.outputs)
    }
}
