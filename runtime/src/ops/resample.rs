//! Resample: one axis of ONNX `Resize`, with tables that the compiler makes.

use super::{Check, Memory, Operator};
use crate::artifact::{Blob, DataType, record};
use crate::error::{Fault, Rule};
use crate::kernels::{self, volume};

record! {
    /// Parameters of [`ResampleF32`].
    pub struct ResampleF32Params {
        /// Product of the dimensions outside the axis.
        pub outer: u32,
        /// Length of the axis in the input.
        pub in_len: u32,
        /// Length of the axis in the output.
        pub out_len: u32,
        /// Product of the dimensions inside the axis.
        pub inner: u32,
        /// How many inputs an output is made of.
        pub taps: u32,
        /// The value of an output position that lies outside the input.
        pub outside: f32,
        /// `[out_len][taps]`: positions on the input's axis; `in_len` as the first of a position
        /// that lies outside.
        pub indices: Blob<u32>,
        /// `[out_len][taps]`.
        pub weights: Blob<f32>,
    }
}

/// Weighted sums along one axis of floats.
#[derive(Debug)]
pub struct ResampleF32;

impl Operator for ResampleF32 {
    type Params = ResampleF32Params;

    fn check(check: &Check<'_>, p: &ResampleF32Params) -> Result<(), Rule> {
        check.arity(1)?;
        let input = volume(&[p.outer, p.in_len, p.inner])?;
        check.expect_input(0, DataType::F32, input)?;
        let output = volume(&[p.outer, p.out_len, p.inner])?;
        check.expect_output(DataType::F32, output)?;
        let len = volume(&[p.out_len, p.taps])?;
        let indices = check.constants(p.indices, len)?;
        check.constants(p.weights, len)?;
        let positions = indices.chunks_exact((p.taps as usize).max(1));
        for position in positions {
            let outside = position.first() == Some(&p.in_len);
            if !outside && position.iter().any(|&index| index >= p.in_len) {
                return Err(Rule::Parameter);
            }
        }
        Ok(())
    }

    fn run(memory: &mut Memory<'_, '_>, p: &ResampleF32Params) -> Result<(), Fault> {
        let len = p.out_len * p.taps;
        let kernel = kernels::Resample {
            in_len: p.in_len,
            out_len: p.out_len,
            inner: p.inner,
            taps: p.taps,
            outside: p.outside,
            indices: memory.constants(p.indices, len)?,
            weights: memory.constants(p.weights, len)?,
        };
        let (x, y) = memory.unary(0)?;
        kernel.run(x, y).ok_or(Fault)
    }

    fn macs(_: &Check<'_>, p: &ResampleF32Params) -> u64 {
        let sizes = [p.outer, p.out_len, p.inner, p.taps];
        sizes
            .iter()
            .fold(1u64, |product, &size| product.saturating_mul(size.into()))
    }
}
