//! Functions of one and of two elements: what the graph names them, and which of the runtime's
//! definitions they are.

use niwaki::functions as f;
use niwaki::numerics::exp;

/// A function of one float.
#[derive(Clone, Copy, Debug, PartialEq)]
#[expect(missing_docs, reason = "they are ONNX's operators of the same names")]
pub enum Function {
    Abs,
    Neg,
    Exp,
    Log,
    Sqrt,
    Reciprocal,
    Floor,
    Ceil,
    Round,
    Sign,
    Sin,
    Cos,
    Erf,
    HardSwish,
    Mish,
    Gelu,
    GeluTanh,
    Softplus,
    Softsign,
    Elu { alpha: f32 },
    Celu { alpha: f32 },
    ThresholdedRelu { alpha: f32 },
    LeakyRelu { alpha: f32 },
    Swish { alpha: f32 },
    Selu { alpha: f32, gamma: f32 },
    HardSigmoid { alpha: f32, beta: f32 },
}

impl Function {
    /// Its value, with the bits that the runtime's operator gives.
    pub fn apply(self, x: f32) -> f32 {
        match self {
            Self::Abs => f::abs(x),
            Self::Neg => -x,
            Self::Exp => exp(x),
            Self::Log => f::log(x),
            Self::Sqrt => f::sqrt(x),
            Self::Reciprocal => 1.0 / x,
            Self::Floor => f::floor(x),
            Self::Ceil => f::ceil(x),
            Self::Round => f::round(x),
            Self::Sign => f::sign(x),
            Self::Sin => f::sin(x),
            Self::Cos => f::cos(x),
            Self::Erf => f::erf(x),
            Self::HardSwish => f::hard_swish(x),
            Self::Mish => f::mish(x),
            Self::Gelu => f::gelu(x),
            Self::GeluTanh => f::gelu_tanh(x),
            Self::Softplus => f::softplus(x),
            Self::Softsign => f::softsign(x),
            Self::Elu { alpha } => f::elu(x, alpha),
            Self::Celu { alpha } => f::celu(x, alpha),
            Self::ThresholdedRelu { alpha } => f::thresholded_relu(x, alpha),
            Self::LeakyRelu { alpha } => f::leaky_relu(x, alpha),
            Self::Swish { alpha } => f::swish(x, alpha),
            Self::Selu { alpha, gamma } => f::selu(x, alpha, gamma),
            Self::HardSigmoid { alpha, beta } => f::hard_sigmoid(x, alpha, beta),
        }
    }
}

/// A function of two elements, with broadcasting. `Op::Add` and `Op::Mul` of floats stand apart:
/// they fuse with what is around them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Binary {
    /// Sum of integers.
    Add,
    /// Product of integers.
    Mul,
    /// Difference.
    Sub,
    /// Quotient; of integers rounded toward zero.
    Div,
    /// Power; both of one type.
    Pow,
    /// The smaller one.
    Min,
    /// The larger one.
    Max,
    /// Remainder with the sign of the divisor, integers only.
    Mod,
    /// Remainder with the sign of the dividend.
    Fmod,
    /// Parametric ReLU: input, slope.
    PRelu,
    /// And of bool or of bits.
    And,
    /// Or of bool or of bits.
    Or,
    /// Exclusive or of bool or of bits.
    Xor,
    /// Bits to the left.
    ShiftLeft,
    /// Bits to the right.
    ShiftRight,
    /// Equality, as bool.
    Equal,
    /// Less than, as bool.
    Less,
    /// Not greater than, as bool.
    LessOrEqual,
}

impl Binary {
    /// Whether the result is a bool.
    pub fn compares(self) -> bool {
        matches!(self, Self::Equal | Self::Less | Self::LessOrEqual)
    }
}

/// What a reduction makes of its elements.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "they say it")]
pub enum Reduction {
    Sum,
    Product,
    Max,
    Min,
}
