//! ONNX's functions of one float.

use niwaki::Operator;
use niwaki::artifact::DataType;
use niwaki::ops::{self, AlphaBetaParams, AlphaParams, IsInfParams};

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

macro_rules! plain {
    ($($name:ident: $op:ident, $f:expr;)*) => {$(
        pub fn $name(random: &mut Random, _: &mut Data) -> Case {
            case::<ops::$op>(random, (), $f)
        }
    )*};
}

macro_rules! with_alpha {
    ($($name:ident: $op:ident, $f:expr;)*) => {$(
        pub fn $name(random: &mut Random, _: &mut Data) -> Case {
            let alpha = random.log_uniform(0.01, 10.0);
            let f: fn(f32, f32) -> f32 = $f;
            case::<ops::$op>(random, AlphaParams { alpha }, |x| f(x, alpha))
        }
    )*};
}

fn softplus_of(x: f32) -> f32 {
    x.max(0.0) + libm::log1pf(libm::expf(-x.abs()))
}

fn tame(f: impl Fn(f32) -> f32) -> impl Fn(f32) -> f32 {
    // `f32::max` drops a NaN.
    move |x| if x.is_nan() { x } else { f(x) }
}

plain! {
    abs: AbsF32, f32::abs;
    neg: NegF32, |x| -x;
    exp: ExpF32, libm::expf;
    log: LogF32, libm::logf;
    sqrt: SqrtF32, f32::sqrt;
    reciprocal: ReciprocalF32, |x| 1.0 / x;
    floor: FloorF32, f32::floor;
    ceil: CeilF32, f32::ceil;
    round: RoundF32, f32::round_ties_even;
    sign: SignF32, |x| if x == 0.0 || x.is_nan() { x } else { x.signum() };
    sin: SinF32, libm::sinf;
    cos: CosF32, libm::cosf;
    erf: ErfF32, libm::erff;
    hard_swish: HardSwishF32, tame(|x| {
        let gate = x * (1.0 / 6.0) + 0.5;
        x * gate.clamp(0.0, 1.0)
    });
    mish: MishF32, tame(|x| x * libm::tanhf(if x > 0.0 {
        x + libm::log1pf(libm::expf(-x))
    } else {
        softplus_of(x)
    }));
    gelu: GeluF32, |x| {
        let half = 0.5 * x;
        half * (1.0 + libm::erff(x * core::f32::consts::FRAC_1_SQRT_2))
    };
    gelu_tanh: GeluTanhF32, |x| {
        let factor = (2.0 / core::f64::consts::PI).sqrt() as f32;
        let cube = x * x * x;
        let half = 0.5 * x;
        half * (1.0 + libm::tanhf(factor * (x + 0.044_715 * cube)))
    };
    softplus: SoftplusF32, tame(softplus_of);
    softsign: SoftsignF32, |x| x / (1.0 + x.abs());
}

with_alpha! {
    elu: EluF32, |x, alpha| if x < 0.0 { alpha * (libm::expf(x) - 1.0) } else { x };
    celu: CeluF32, |x, alpha| if x < 0.0 { alpha * (libm::expf(x / alpha) - 1.0) } else { x };
    thresholded_relu: ThresholdedReluF32, |x, alpha| if x > alpha { x } else { 0.0 };
    leaky_relu: LeakyReluF32, |x, alpha| if x < 0.0 { alpha * x } else { x };
    swish: SwishF32, |x, alpha| {
        let exponential = libm::expf(-(alpha * x));
        x * (1.0 / (1.0 + exponential))
    };
}

pub fn selu(random: &mut Random, _: &mut Data) -> Case {
    let [alpha, beta] = [random.log_uniform(0.1, 3.0), random.log_uniform(0.1, 3.0)];
    case::<ops::SeluF32>(random, AlphaBetaParams { alpha, beta }, |x| {
        let inner = if x > 0.0 {
            x
        } else {
            alpha * (libm::expf(x) - 1.0)
        };
        beta * inner
    })
}

pub fn hard_sigmoid(random: &mut Random, _: &mut Data) -> Case {
    let [alpha, beta] = [random.log_uniform(0.1, 3.0), random.log_uniform(0.1, 3.0)];
    let params = AlphaBetaParams { alpha, beta };
    case::<ops::HardSigmoidF32>(random, params, |x| (alpha * x + beta).clamp(0.0, 1.0))
}

fn test<O: Operator<Params: core::fmt::Debug + 'static>>(
    random: &mut Random,
    params: O::Params,
    f: impl Fn(f32) -> bool,
) -> Case {
    let mut float = random.floats();
    let x = Nd::from_fn(&[random.between(1, 300)], |_| float());
    let y = Operand {
        dtype: DataType::Bool,
        ..Operand::in_order(&x.map(|x| u8::from(f(x))))
    };
    Case::new::<O>(params, vec![Operand::in_order(&x)], y)
}

pub fn is_nan(random: &mut Random, _: &mut Data) -> Case {
    test::<ops::IsNanF32>(random, (), f32::is_nan)
}

pub fn is_inf(random: &mut Random, _: &mut Data) -> Case {
    let [negative, positive] = [random.one_in(2), random.one_in(2)];
    let params = IsInfParams {
        negative: negative.into(),
        positive: positive.into(),
    };
    test::<ops::IsInfF32>(random, params, |x| {
        x.is_infinite() && if x < 0.0 { negative } else { positive }
    })
}
