//! Functions of one float: a row each, so that a program links those that its model has.

use super::{Check, Memory, Operator, Overlap, Steps};
use crate::artifact::{DataType, record};
use crate::error::{Fault, Rule};
use crate::functions;
use crate::numerics::exp;

record! {
    /// Parameters of functions with one number.
    pub struct AlphaParams {
        /// ONNX's `alpha`.
        pub alpha: f32,
    }
}

record! {
    /// Parameters of functions with two numbers.
    pub struct AlphaBetaParams {
        /// ONNX's `alpha`.
        pub alpha: f32,
        /// ONNX's `beta`; `gamma` of Selu.
        pub beta: f32,
    }
}

record! {
    /// Parameters of [`IsInfF32`].
    pub struct IsInfParams {
        /// 1 when the negative infinity counts, 0 when not.
        pub negative: u32,
        /// 1 when the positive infinity counts, 0 when not.
        pub positive: u32,
    }
}

fn check_to(check: &Check<'_>, output: DataType) -> Result<(), Rule> {
    check.arity(1)?;
    let len = check.input(0)?.len() as u64;
    check.expect_input(0, DataType::F32, len)?;
    check.expect_output(output, len)?;
    Ok(())
}

macro_rules! functions {
    ($($name:ident($params:ty): $f:expr, $what:literal;)*) => {$(
        #[doc = concat!("ONNX's ", $what, " of floats.")]
        #[derive(Debug)]
        pub struct $name;

        impl Operator for $name {
            type Params = $params;
            fn check(check: &Check<'_>, _: &$params) -> Result<(), Rule> {
                check_to(check, DataType::F32)
            }
            fn steps(check: &Check<'_>, _: &$params) -> Option<Steps> {
                check.element_steps()
            }
            fn overlap(check: &Check<'_>, _: &$params, i: usize) -> Option<Overlap> {
                check.element_overlap(i)
            }
            fn run(memory: &mut Memory<'_, '_>, p: &$params) -> Result<(), Fault> {
                let f: fn(f32, &$params) -> f32 = $f;
                memory.by_elements(|x: f32| f(x, p))
            }
        }
    )*};
}

functions! {
    AbsF32(()): |x, ()| functions::abs(x), "Abs";
    NegF32(()): |x, ()| -x, "Neg";
    ExpF32(()): |x, ()| exp(x), "Exp";
    LogF32(()): |x, ()| functions::log(x), "Log";
    SqrtF32(()): |x, ()| functions::sqrt(x), "Sqrt";
    ReciprocalF32(()): |x, ()| 1.0 / x, "Reciprocal";
    FloorF32(()): |x, ()| functions::floor(x), "Floor";
    CeilF32(()): |x, ()| functions::ceil(x), "Ceil";
    RoundF32(()): |x, ()| functions::round(x), "Round";
    SignF32(()): |x, ()| functions::sign(x), "Sign";
    SinF32(()): |x, ()| functions::sin(x), "Sin";
    CosF32(()): |x, ()| functions::cos(x), "Cos";
    ErfF32(()): |x, ()| functions::erf(x), "Erf";
    HardSwishF32(()): |x, ()| functions::hard_swish(x), "HardSwish";
    MishF32(()): |x, ()| functions::mish(x), "Mish";
    GeluF32(()): |x, ()| functions::gelu(x), "Gelu, by the error function,";
    GeluTanhF32(()): |x, ()| functions::gelu_tanh(x), "Gelu, by tanh,";
    SoftplusF32(()): |x, ()| functions::softplus(x), "Softplus";
    SoftsignF32(()): |x, ()| functions::softsign(x), "Softsign";
    EluF32(AlphaParams): |x, p| functions::elu(x, p.alpha), "Elu";
    CeluF32(AlphaParams): |x, p| functions::celu(x, p.alpha), "Celu";
    ThresholdedReluF32(AlphaParams): |x, p| functions::thresholded_relu(x, p.alpha), "ThresholdedRelu";
    LeakyReluF32(AlphaParams): |x, p| functions::leaky_relu(x, p.alpha), "LeakyRelu";
    SwishF32(AlphaParams): |x, p| functions::swish(x, p.alpha), "Swish";
    SeluF32(AlphaBetaParams): |x, p| functions::selu(x, p.alpha, p.beta), "Selu";
    HardSigmoidF32(AlphaBetaParams): |x, p| functions::hard_sigmoid(x, p.alpha, p.beta), "HardSigmoid";
}

/// ONNX's IsNaN.
#[derive(Debug)]
pub struct IsNanF32;

impl Operator for IsNanF32 {
    type Params = ();
    fn check(check: &Check<'_>, (): &()) -> Result<(), Rule> {
        check_to(check, DataType::Bool)
    }
    fn overlap(check: &Check<'_>, (): &(), i: usize) -> Option<Overlap> {
        check.element_overlap(i)
    }
    fn run(memory: &mut Memory<'_, '_>, (): &()) -> Result<(), Fault> {
        memory.by_elements(|x: f32| u8::from(x.is_nan()))
    }
}

/// ONNX's IsInf.
#[derive(Debug)]
pub struct IsInfF32;

impl Operator for IsInfF32 {
    type Params = IsInfParams;
    fn check(check: &Check<'_>, _: &IsInfParams) -> Result<(), Rule> {
        check_to(check, DataType::Bool)
    }
    fn overlap(check: &Check<'_>, _: &IsInfParams, i: usize) -> Option<Overlap> {
        check.element_overlap(i)
    }
    fn run(memory: &mut Memory<'_, '_>, p: &IsInfParams) -> Result<(), Fault> {
        memory.by_elements(|x: f32| {
            let positive = x == f32::INFINITY && p.positive != 0;
            u8::from(positive || (x == f32::NEG_INFINITY && p.negative != 0))
        })
    }
}
