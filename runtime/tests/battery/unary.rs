//! ONNX `Clip`, `Sigmoid` and `Tanh` of floats.

use niwaki::Operator;
use niwaki::ops::{ClampF32, ClampParams, SigmoidF32, TanhF32};

use super::oracle::clip;
use crate::support::{Case, Data, Nd, Operand, Random};

fn case<O: Operator<Params: core::fmt::Debug + 'static>>(
    random: &mut Random,
    params: O::Params,
    f: impl Fn(f32) -> f32,
) -> Case {
    let mut float = random.floats();
    let x = Nd::from_fn(&[random.between(1, 300)], |_| float());
    let y = x.map(f);
    Case::new::<O>(params, vec![Operand::in_order(&x)], Operand::in_order(&y))
}

pub fn clamp(random: &mut Random, _: &mut Data) -> Case {
    let range = random.float_clamp();
    let params = ClampParams {
        low: range.0,
        high: range.1,
    };
    case::<ClampF32>(random, params, |x| clip(x, range))
}

pub fn sigmoid(random: &mut Random, _: &mut Data) -> Case {
    case::<SigmoidF32>(random, (), |x| {
        let exponential = libm::expf(-x);
        1.0 / (1.0 + exponential)
    })
}

pub fn tanh(random: &mut Random, _: &mut Data) -> Case {
    case::<TanhF32>(random, (), libm::tanhf)
}

/// The elementary functions that `NUMERICS.md` names are the ones that ONNX means: they are
/// within a few ulps of the real values.
///
/// The logistic function has three roundings: an ulp of the exponential, half an ulp of the sum and
/// half of the quotient, 2 x 2⁻²³ of the value together. An ulp is 2⁻²⁴ of it at least.
#[test]
fn elementary_functions_are_accurate() {
    let logistic = |x: f64| 1.0 / (1.0 + (-x).exp());
    for step in -120_000i32..=120_000 {
        let x = step as f32 / 1024.0;
        let wide = f64::from(x);
        near("exp", x, niwaki::numerics::exp(x), wide.exp(), 1.0);
        near("tanh", x, niwaki::numerics::tanh(x), wide.tanh(), 2.0);
        near(
            "sigmoid",
            x,
            niwaki::numerics::sigmoid(x),
            logistic(wide),
            4.0,
        );
    }
}

/// Checks a distance in units of the last place of the exact value. Below the normal numbers there
/// is no such demand: the logistic function's exponential overflows where its value is subnormal.
fn near(name: &str, x: f32, found: f32, exact: f64, ulps: f64) {
    let rounded = exact as f32;
    let ulp = f64::from(rounded.next_up()) - f64::from(rounded);
    let distance = (f64::from(found) - exact).abs();
    let subnormal = distance < f64::from(f32::MIN_POSITIVE);
    assert!(
        found == rounded || subnormal || distance / ulp <= ulps,
        "{name}({x}) = {found}, {} ulp from {exact}",
        distance / ulp
    );
}
