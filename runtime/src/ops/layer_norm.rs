//! LayerNormalization and RMSNormalization of rows; also the middle of InstanceNormalization,
//! GroupNormalization and MeanVarianceNormalization.

use super::{Check, Memory, Operator};
use crate::artifact::{DataType, record};
use crate::error::{Fault, Rule};
use crate::kernels::{self, volume};

record! {
    /// Parameters of [`LayerNormF32`].
    pub struct LayerNormF32Params {
        /// Number of rows.
        pub rows: u32,
        /// Elements of one row.
        pub len: u32,
        /// Added to the variance.
        pub epsilon: f32,
        /// 1 when the mean is subtracted, 0 for a root mean square.
        pub centred: u32,
        /// What is given: 0 the normalised rows, 1 the mean of each, 2 the inverse standard
        /// deviation of each.
        pub result: u32,
    }
}

/// Normalises rows of floats. Inputs: the rows; for result 0 optionally a scale and then a bias
/// for each element of a row.
#[derive(Debug)]
pub struct LayerNormF32;

impl Operator for LayerNormF32 {
    type Params = LayerNormF32Params;

    fn check(check: &Check<'_>, p: &LayerNormF32Params) -> Result<(), Rule> {
        let inputs = check.input_count();
        check.arity(inputs)?;
        let most = match p.result {
            0 => 3,
            1 | 2 => 1,
            _ => return Err(Rule::Parameter),
        };
        if !(1..=most).contains(&inputs) {
            return Err(Rule::Count);
        }
        let len = volume(&[p.rows, p.len])?;
        check.expect_input(0, DataType::F32, len)?;
        for i in 1..inputs {
            check.expect_input(i, DataType::F32, u64::from(p.len))?;
        }
        let output = if p.result == 0 {
            len
        } else {
            u64::from(p.rows)
        };
        check.expect_output(DataType::F32, output)?;
        Ok(())
    }

    fn run(memory: &mut Memory<'_, '_>, p: &LayerNormF32Params) -> Result<(), Fault> {
        let plain = kernels::LayerNorm {
            len: p.len as usize,
            epsilon: p.epsilon,
            centred: p.centred != 0,
            scale: None,
            bias: None,
        };
        let done = match (p.result, memory.input_count()) {
            (0, 1) => {
                let (x, y) = memory.unary(0)?;
                plain.run(x, y)
            }
            (0, 2) => {
                let (x, scale, y) = memory.binary::<f32, f32>()?;
                let kernel = kernels::LayerNorm {
                    scale: Some(scale),
                    ..plain
                };
                kernel.run(x, y)
            }
            (0, _) => {
                let (x, scale, bias, y) = memory.ternary::<f32, f32, f32, f32>()?;
                let kernel = kernels::LayerNorm {
                    scale: Some(scale),
                    bias: Some(bias),
                    ..plain
                };
                kernel.run(x, y)
            }
            (1, _) => {
                let (x, y) = memory.unary(0)?;
                plain.summarise(x, y, |moments| moments.mean)
            }
            _ => {
                let (x, y) = memory.unary(0)?;
                plain.summarise(x, y, |moments| moments.inverse_deviation)
            }
        };
        done.ok_or(Fault)
    }
}
