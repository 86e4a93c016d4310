//! Add and Mul of two tensors, with ONNX's broadcasting.

use super::{Check, Memory, Operator, Overlap, Steps};
use crate::artifact::{DataType, record};
use crate::error::{Fault, Rule};
use crate::kernels::{Pair, Strides};
use crate::numerics::{OutputStage, clamp_f32, dequantize};

record! {
    /// Parameters of [`AddI8`] and [`MulI8`].
    pub struct BinaryI8Params {
        /// The output's dimensions, and the steps through each input.
        pub walks: [Strides; 2],
        /// Scale of each input.
        pub input_scales: [f32; 2],
        /// Zero point of each input.
        pub input_zero_points: [i32; 2],
        /// Scale of the output.
        pub output_scale: f32,
        /// Zero point of the output.
        pub output_zero_point: i32,
        /// Smallest output value: the fused activation.
        pub low: i32,
        /// Largest output value: the fused activation.
        pub high: i32,
    }
}

record! {
    /// Parameters of [`AddF32`] and [`MulF32`].
    pub struct BinaryF32Params {
        /// The output's dimensions, and the steps through each input.
        pub walks: [Strides; 2],
        /// Smallest output value: the fused activation.
        pub low: f32,
        /// Largest output value: the fused activation.
        pub high: f32,
    }
}

pub(super) fn check_walks(
    check: &Check<'_>,
    walks: &[Strides; 2],
    dtype: DataType,
    output: DataType,
) -> Result<(), Rule> {
    check.arity(2)?;
    let [a, b] = walks;
    if a.dims != b.dims {
        return Err(Rule::ShapeMismatch);
    }
    check.expect_output(output, a.steps()?)?;
    for (i, walk) in walks.iter().enumerate() {
        check.expect_input(i, dtype, walk.reach())?;
    }
    Ok(())
}

/// Rows, when each element of the output is computed from those of both inputs at its place.
fn steps(check: &Check<'_>, walks: &[Strides; 2]) -> Option<Steps> {
    let in_order = walks.iter().all(Strides::is_in_order);
    in_order.then(|| check.element_steps())?
}

/// An input that is as large as the output, element for element, may be written over. Upwards
/// alone, so that one order is right for both inputs.
pub(super) fn overlap(check: &Check<'_>, walks: &[Strides; 2], i: usize) -> Option<Overlap> {
    if !walks.get(i)?.is_in_order() {
        return None;
    }
    let behind = u32::try_from(check.input(i).ok()?.byte_len()).ok()?;
    let overlap = check.element_overlap(i)?;
    Some(Overlap { behind, ..overlap })
}

fn check_i8(check: &Check<'_>, p: &BinaryI8Params) -> Result<(), Rule> {
    check_walks(check, &p.walks, DataType::I8, DataType::I8)?;
    for scale in [p.output_scale].iter().chain(&p.input_scales) {
        check.scale(*scale)?;
    }
    for zero_point in p.input_zero_points {
        check.zero_point(zero_point)?;
    }
    OutputStage::new(p.output_zero_point, p.low, p.high).ok_or(Rule::Parameter)?;
    Ok(())
}

/// Dequantises both, operates in f32, divides by the output's scale and rounds.
// Not inlined: what it keeps on the stack is then not there while the parameters are read.
#[inline(never)]
fn run_i8(
    memory: &mut Memory<'_, '_>,
    p: &BinaryI8Params,
    operate: impl Fn(f32, f32) -> f32 + Copy,
    is_sum: bool,
) -> Result<(), Fault> {
    let [walk_a, walk_b] = &p.walks;
    let affine = Affine {
        stage: OutputStage::new(p.output_zero_point, p.low, p.high).ok_or(Fault)?,
        scales: p.input_scales,
        zero_points: p.input_zero_points,
        output_scale: p.output_scale,
        operate,
        is_sum,
    };
    memory.by_pairs([walk_a, walk_b], affine)
}

/// Copies of the parameters, which stay in registers: the outputs that are written cannot be in them.
#[derive(Clone, Copy)]
struct Affine<F> {
    stage: OutputStage,
    scales: [f32; 2],
    zero_points: [i32; 2],
    output_scale: f32,
    operate: F,
    /// Whether `operate` adds, and does not multiply.
    #[cfg_attr(
        not(all(target_arch = "wasm32", niwaki_tiles)),
        allow(dead_code, reason = "for kernels of vectors")
    )]
    is_sum: bool,
}

impl<F: Fn(f32, f32) -> f32 + Copy> Pair<i8> for Affine<F> {
    #[inline(always)]
    fn of(self, a: i8, b: i8) -> i8 {
        let [scale_a, scale_b] = self.scales;
        let [zero_a, zero_b] = self.zero_points;
        let real = (self.operate)(
            dequantize(a, zero_a, scale_a),
            dequantize(b, zero_b, scale_b),
        );
        self.stage.quantize(real / self.output_scale)
    }

    #[cfg(all(target_arch = "wasm32", niwaki_tiles))]
    #[inline(always)]
    fn of_many(self, a: &[i8], b: &[i8], y: &mut [i8]) -> usize {
        crate::kernels::affine_pairs(
            [a, b],
            self.scales,
            self.zero_points,
            self.output_scale,
            &self.stage,
            self.is_sum,
            y,
        )
    }
}

pub(super) fn run_f32(
    memory: &mut Memory<'_, '_>,
    p: &BinaryF32Params,
    operate: impl Fn(f32, f32) -> f32 + Copy,
) -> Result<(), Fault> {
    let [walk_a, walk_b] = &p.walks;
    let (low, high) = (p.low, p.high);
    memory.by_pairs([walk_a, walk_b], move |a: f32, b: f32| {
        clamp_f32(operate(a, b), low, high)
    })
}

macro_rules! binary {
    ($int8:ident, $float:ident, $operate:expr, $is_sum:literal, $what:literal) => {
        #[doc = concat!("Int8 ", $what, " with a fused activation.")]
        #[derive(Debug)]
        pub struct $int8;

        impl Operator for $int8 {
            type Params = BinaryI8Params;
            fn check(check: &Check<'_>, p: &BinaryI8Params) -> Result<(), Rule> {
                check_i8(check, p)
            }
            fn steps(check: &Check<'_>, p: &BinaryI8Params) -> Option<Steps> {
                steps(check, &p.walks)
            }
            fn overlap(check: &Check<'_>, p: &BinaryI8Params, i: usize) -> Option<Overlap> {
                overlap(check, &p.walks, i)
            }
            fn run(memory: &mut Memory<'_, '_>, p: &BinaryI8Params) -> Result<(), Fault> {
                run_i8(memory, p, $operate, $is_sum)
            }
        }

        #[doc = concat!("Float ", $what, " with a fused clamp.")]
        #[derive(Debug)]
        pub struct $float;

        impl Operator for $float {
            type Params = BinaryF32Params;
            fn check(check: &Check<'_>, p: &BinaryF32Params) -> Result<(), Rule> {
                check_walks(check, &p.walks, DataType::F32, DataType::F32)
            }
            fn steps(check: &Check<'_>, p: &BinaryF32Params) -> Option<Steps> {
                steps(check, &p.walks)
            }
            fn overlap(check: &Check<'_>, p: &BinaryF32Params, i: usize) -> Option<Overlap> {
                overlap(check, &p.walks, i)
            }
            fn run(memory: &mut Memory<'_, '_>, p: &BinaryF32Params) -> Result<(), Fault> {
                run_f32(memory, p, $operate)
            }
        }
    };
}

binary!(AddI8, AddF32, |a: f32, b: f32| a + b, true, "sum");
binary!(MulI8, MulF32, |a: f32, b: f32| a * b, false, "product");
