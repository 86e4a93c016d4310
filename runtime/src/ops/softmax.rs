//! Softmax over the last axis in memory.

use super::{Check, Memory, Operator};
use crate::artifact::{Blob, DataType, record};
use crate::error::{Fault, Rule};
use crate::kernels::{self, volume};
use crate::numerics::OutputStage;

record! {
    /// Parameters of [`SoftmaxF32`].
    pub struct SoftmaxF32Params {
        /// Number of rows.
        pub rows: u32,
        /// Elements of one row.
        pub len: u32,
    }
}

record! {
    /// Parameters of [`SoftmaxI8`].
    pub struct SoftmaxI8Params {
        /// Number of rows.
        pub rows: u32,
        /// Elements of one row.
        pub len: u32,
        /// Scale of the output.
        pub output_scale: f32,
        /// Zero point of the output.
        pub output_zero_point: i32,
        /// 256 values: element d is e^(-d * input scale).
        pub exponentials: Blob<f32>,
    }
}

/// Float softmax.
#[derive(Debug)]
pub struct SoftmaxF32;

impl Operator for SoftmaxF32 {
    type Params = SoftmaxF32Params;

    fn check(check: &Check<'_>, p: &SoftmaxF32Params) -> Result<(), Rule> {
        check.arity(1)?;
        let len = volume(&[p.rows, p.len])?;
        check.expect_input(0, DataType::F32, len)?;
        check.expect_output(DataType::F32, len)?;
        Ok(())
    }

    fn run(memory: &mut Memory<'_, '_>, p: &SoftmaxF32Params) -> Result<(), Fault> {
        let (x, y) = memory.unary(0)?;
        kernels::softmax_f32(p.len, x, y).ok_or(Fault)
    }
}

/// Int8 softmax: exponentials from a table of the compiler's, sum and division in f32.
#[derive(Debug)]
pub struct SoftmaxI8;

impl Operator for SoftmaxI8 {
    type Params = SoftmaxI8Params;

    fn check(check: &Check<'_>, p: &SoftmaxI8Params) -> Result<(), Rule> {
        check.arity(1)?;
        let len = volume(&[p.rows, p.len])?;
        check.expect_input(0, DataType::I8, len)?;
        check.expect_output(DataType::I8, len)?;
        check.scale(p.output_scale)?;
        check.multipliers(p.exponentials, 256)?;
        OutputStage::new(p.output_zero_point, -128, 127).ok_or(Rule::Parameter)?;
        Ok(())
    }

    fn run(memory: &mut Memory<'_, '_>, p: &SoftmaxI8Params) -> Result<(), Fault> {
        let stage = OutputStage::new(p.output_zero_point, -128, 127).ok_or(Fault)?;
        let table = memory.constants(p.exponentials, 256)?;
        let table = table.first_chunk::<256>().ok_or(Fault)?;
        let (x, y) = memory.unary(0)?;
        kernels::softmax_i8(p.len, table, p.output_scale, stage, x, y).ok_or(Fault)
    }
}
