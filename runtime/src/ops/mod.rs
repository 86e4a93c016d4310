//! The operators: one small file each, and the one table that lists them.
//!
//! An operator is a record of parameters, a check that is run once at load, and a run that the
//! check makes total. To add one: write its file, add its row to the table below, and lower to it
//! in the compiler.

mod binary;
mod cast;
mod concat;
mod conv;
mod conv_transpose;
mod depthwise;
mod elementwise;
mod fully_connected;
mod fully_connected_border;
mod fully_connected_sparse;
mod functions;
mod gather;
mod layer_norm;
mod local_response;
mod lookup;
mod mat_mul;
mod memory;
mod one_hot;
mod overlap;
mod pad;
mod pool;
mod quantize;
mod quantize_axis;
mod recurrent;
mod reduce;
mod resample;
mod scatter;
mod softmax;
mod strided;
mod strip;
mod top_k;
mod transpose;
mod unary;

/// Runs the same code for elements of any type, as `$t` of the same size: what only moves them
/// needs no more. An int64 is two words, because the arena is aligned to 4.
macro_rules! by_size {
    ($dtype:expr, $t:ident => $body:expr) => {
        match $dtype.bytes() {
            1 => {
                type $t = u8;
                $body
            }
            2 => {
                type $t = u16;
                $body
            }
            4 => {
                type $t = u32;
                $body
            }
            _ => {
                type $t = [u32; 2];
                $body
            }
        }
    };
}
use by_size;

pub use crate::kernels::{Activation, IndexSteps, MatMulShape, Strides, Window};
pub use binary::{WalksParams, WhereParams};
pub use concat::ConcatParams;
pub use conv::{ConvF32Params, ConvI8Params};
pub use conv_transpose::ConvTransposeF32Params;
pub use depthwise::{DepthwiseF32Params, DepthwiseI8Params};
pub use elementwise::{BinaryF32Params, BinaryI8Params};
pub use fully_connected::{FullyConnectedF32Params, FullyConnectedI8Params};
pub use fully_connected_border::FullyConnectedBorderI8Params;
pub use fully_connected_sparse::FullyConnectedI8SparseParams;
pub use functions::{AlphaBetaParams, AlphaParams, IsInfParams};
pub use gather::{GatherParams, IndexedElementsParams, IndexedSlicesParams};
pub use layer_norm::LayerNormF32Params;
pub use local_response::LocalResponseF32Params;
pub use lookup::LookupParams;
pub use mat_mul::{MatMulF32Params, MatMulI8Params};
use memory::Held;
pub(crate) use memory::WORKSPACE_IN_ARENA;
pub use memory::{Check, Memory};
pub use one_hot::OneHotParams;
pub use overlap::{Overlap, Steps};
pub use pad::PadParams;
pub use pool::{
    AveragePoolF32Params, AveragePoolI8Params, LpPoolF32Params, MaxPoolIndicesParams, MaxPoolParams,
};
pub use quantize::AffineParams;
pub use quantize_axis::AxisParams;
pub use recurrent::{GruParams, LstmParams, RecurrentParams, RnnParams};
pub use reduce::{ArgParams, CumSumParams, ReduceParams};
pub use resample::ResampleF32Params;
pub use softmax::{SoftmaxF32Params, SoftmaxI8Params};
pub use strided::{StridedCopyParams, TakeParams};
pub use strip::{Group, MAX_GROUP, Part};
pub use top_k::TopKParams;
pub use transpose::TransposeParams;
pub use unary::ClampParams;

use crate::artifact::Record;
use crate::error::{Fault, Rule};

/// A row of the table: the number that stands for the operator in a file, and its name.
pub trait Registered {
    /// The operator's code in the artifact; never given to another one.
    const CODE: u16;
    /// The operator's name in reports.
    const NAME: &'static str;
}

/// A kind of operator.
pub trait Operator: Registered {
    /// Its parameters, as stored.
    type Params: Record;

    /// Bytes that it writes before it reads them, beside the arena: what `Memory::workspace` gives.
    const WORKSPACE: usize = 0;

    /// Checks parameters and tensors so that [`Operator::run`] cannot fail.
    ///
    /// # Errors
    ///
    /// The rule that is broken.
    fn check(check: &Check<'_>, params: &Self::Params) -> Result<(), Rule>;

    /// Computes the outputs.
    ///
    /// # Errors
    ///
    /// A [`Fault`], only where [`Operator::check`] has overlooked something.
    fn run(memory: &mut Memory<'_, '_>, params: &Self::Params) -> Result<(), Fault>;

    /// The rows that the operator can compute one after the other; `None` when it computes its
    /// output only as a whole. Asked only of what [`Operator::check`] has accepted.
    fn steps(_check: &Check<'_>, _params: &Self::Params) -> Option<Steps> {
        None
    }

    /// Where the output may share bytes with input `i`; `None` when it may not. By default what
    /// follows from the rows. Asked only of what [`Operator::check`] has accepted.
    fn overlap(check: &Check<'_>, params: &Self::Params, i: usize) -> Option<Overlap> {
        let [input, output] = [check.input(i).ok()?, check.output().ok()?];
        let steps = Self::steps(check, params)?;
        Some(steps.overlap(input.dtype.bytes(), output.dtype.bytes()))
    }

    /// Multiply-accumulates of one run.
    fn macs(_check: &Check<'_>, _params: &Self::Params) -> u64 {
        0
    }

    /// Bytes of its weights proper: what its products multiply with, without biases, multipliers
    /// and tables.
    fn weight_bytes(_params: &Self::Params) -> u64 {
        0
    }
}

macro_rules! operators {
    (($D:tt) $($(#[$doc:meta])* $code:literal => $module:ident::$op:ident,)*) => {
        $(
            pub use $module::$op;
            impl Registered for $op {
                const CODE: u16 = $code;
                const NAME: &'static str = stringify!($op);
            }
        )*

        /// Every operator that this crate has.
        #[derive(Debug)]
        pub struct All;

        impl OperatorSet for All {
            const CODES: Codes = Codes::ALL;
        }

        /// Code and name of every operator, in the order of the table.
        pub const TABLE: &[(u16, &str)] = &[$(($code, stringify!($op))),*];

        /// Every operator with its functions, in the order of the table.
        pub const ENTRIES: [Entry; TABLE.len()] = [$(Entry::of::<$op>()),*];

        impl Codes {
            /// Bytes behind the arena that these operators need for themselves, on this machine.
            pub const fn workspace_bytes(self) -> usize {
                let mut most = 0;
                $(if self.has($code) && $op::WORKSPACE > most {
                    most = $op::WORKSPACE;
                })*
                if WORKSPACE_IN_ARENA { most } else { 0 }
            }
        }

        /// What `$body` makes of the operator with that code, as type `$o`, when it is one of the set.
        macro_rules! dispatch {
            ($D set:ty, $D which:expr, $D o:ident => $D body:expr, $D other:expr) => {
                match $D which {
                    $($code if const { <$D set as OperatorSet>::CODES.has($code) } => {
                        type $D o = $op;
                        $D body
                    })*
                    _ => $D other,
                }
            };
        }
    };
}

// The one operator table. Codes are for ever: a released one is never given to another operator.
operators! { ($)

    1 => conv::ConvI8,
    2 => conv::ConvF32,
    3 => depthwise::DepthwiseConvI8,
    4 => depthwise::DepthwiseConvF32,
    5 => fully_connected::FullyConnectedI8,
    6 => fully_connected::FullyConnectedF32,
    7 => elementwise::AddI8,
    8 => elementwise::AddF32,
    9 => elementwise::MulI8,
    10 => elementwise::MulF32,
    11 => pool::MaxPoolI8,
    12 => pool::MaxPoolF32,
    13 => pool::AveragePoolI8,
    14 => pool::AveragePoolF32,
    15 => softmax::SoftmaxI8,
    16 => softmax::SoftmaxF32,
    17 => lookup::LookupI8,
    18 => unary::ClampF32,
    19 => unary::SigmoidF32,
    20 => unary::TanhF32,
    21 => quantize::QuantizeI8,
    22 => quantize::DequantizeI8,
    23 => transpose::Transpose,
    24 => concat::Concat,
    25 => pad::Pad,
    26 => functions::AbsF32,
    27 => functions::NegF32,
    28 => functions::ExpF32,
    29 => functions::LogF32,
    30 => functions::SqrtF32,
    31 => functions::ReciprocalF32,
    32 => functions::FloorF32,
    33 => functions::CeilF32,
    34 => functions::RoundF32,
    35 => functions::SignF32,
    36 => functions::SinF32,
    37 => functions::CosF32,
    38 => functions::ErfF32,
    39 => functions::HardSwishF32,
    40 => functions::MishF32,
    41 => functions::GeluF32,
    42 => functions::GeluTanhF32,
    43 => functions::SoftplusF32,
    44 => functions::SoftsignF32,
    45 => functions::EluF32,
    46 => functions::CeluF32,
    47 => functions::ThresholdedReluF32,
    48 => functions::LeakyReluF32,
    49 => functions::SwishF32,
    50 => functions::SeluF32,
    51 => functions::HardSigmoidF32,
    52 => functions::IsNanF32,
    53 => functions::IsInfF32,
    54 => fully_connected_border::FullyConnectedBorderI8,
    55 => conv::ConvI8Wide,
    56 => fully_connected::FullyConnectedI8Wide,
    57 => fully_connected_border::FullyConnectedBorderI8Wide,
    58 => fully_connected_sparse::FullyConnectedI8Sparse,
    60 => recurrent::Lstm,
    61 => recurrent::Gru,
    62 => recurrent::Rnn,
    63 => conv_transpose::ConvTransposeF32,
    64 => resample::ResampleF32,
    65 => layer_norm::LayerNormF32,
    66 => mat_mul::MatMulF32,
    67 => mat_mul::MatMulI8,
    68 => gather::Gather,
    69 => gather::GatherElements,
    70 => gather::GatherND,
    71 => scatter::ScatterElements,
    72 => scatter::ScatterND,
    73 => one_hot::OneHot,
    74 => top_k::TopK,
    75 => pool::MaxPoolIndices,
    76 => pool::LpPoolF32,
    77 => local_response::LocalResponseF32,
    86 => quantize_axis::QuantizeAxis,
    87 => quantize_axis::DequantizeAxis,
    90 => binary::SubF32,
    91 => binary::DivF32,
    92 => binary::PowF32,
    93 => binary::MinF32,
    94 => binary::MaxF32,
    95 => binary::FmodF32,
    96 => binary::PReluF32,
    97 => binary::EqualF32,
    98 => binary::LessF32,
    99 => binary::LessOrEqualF32,
    100 => binary::AddInt,
    101 => binary::SubInt,
    102 => binary::MulInt,
    103 => binary::DivInt,
    104 => binary::ModInt,
    105 => binary::FmodInt,
    106 => binary::PowInt,
    107 => binary::MinInt,
    108 => binary::MaxInt,
    109 => binary::AndInt,
    110 => binary::OrInt,
    111 => binary::XorInt,
    112 => binary::ShiftLeftInt,
    113 => binary::ShiftRightInt,
    114 => binary::EqualInt,
    115 => binary::LessInt,
    116 => binary::LessOrEqualInt,
    117 => binary::Where,
    118 => cast::CastInt,
    119 => cast::CastIntToF32,
    120 => cast::CastF32ToInt,
    121 => strided::StridedCopy,
    122 => strided::Take,
    123 => reduce::ReduceSumF32,
    124 => reduce::ReduceSumInt,
    125 => reduce::ReduceProdF32,
    126 => reduce::ReduceProdInt,
    127 => reduce::ReduceMaxF32,
    128 => reduce::ReduceMaxInt,
    129 => reduce::ReduceMinF32,
    130 => reduce::ReduceMinInt,
    131 => reduce::ArgMaxF32,
    132 => reduce::ArgMaxInt,
    133 => reduce::ArgMinF32,
    134 => reduce::ArgMinInt,
    135 => reduce::CumSumF32,
    136 => reduce::CumSumInt,
}

/// The operators that a program links, as a type: see [`crate::operator_set!`] and
/// [`crate::include_model!`].
///
/// What is provided goes by [`OperatorSet::CODES`], which is known when a program is compiled: operators
/// that are not among them leave no code in it.
pub trait OperatorSet {
    /// The codes of the operators.
    const CODES: Codes;

    /// Checks one operator record.
    ///
    /// # Errors
    ///
    /// The rule that is broken; [`Rule::UnknownOperator`] for an operator outside the set.
    fn check(check: &Check<'_>) -> Result<(), Rule> {
        dispatch!(Self, check.code(), O => O::check(check, &check.parameters()?),
            Err(Rule::UnknownOperator(check.code())))
    }

    /// Runs one operator.
    ///
    /// # Errors
    ///
    /// A [`Fault`], never for a record that has passed [`OperatorSet::check`].
    fn run(memory: &mut Memory<'_, '_>) -> Result<(), Fault> {
        dispatch!(Self, memory.code(), O => run_operator::<O>(memory), Err(Fault))
    }

    /// The rows that one operator can compute one after the other, for a record that has passed
    /// [`OperatorSet::check`]; `None` when it computes its output only as a whole.
    fn steps(check: &Check<'_>) -> Option<Steps> {
        dispatch!(Self, check.code(), O => O::steps(check, &check.parameters().ok()?), None)
    }

    /// Where the output of one operator may share bytes with input `i`, for a record that has
    /// passed [`OperatorSet::check`]; `None` when it may not.
    fn overlap(check: &Check<'_>, i: usize) -> Option<Overlap> {
        dispatch!(Self, check.code(), O => O::overlap(check, &check.parameters().ok()?, i), None)
    }

    /// Multiply-accumulates of one operator.
    fn macs(check: &Check<'_>) -> u64 {
        dispatch!(Self, check.code(),
            O => check.parameters().map_or(0, |params| O::macs(check, &params)), 0)
    }

    /// Bytes of one operator's weights, see [`Operator::weight_bytes`].
    fn weight_bytes(check: &Check<'_>) -> u64 {
        dispatch!(Self, check.code(),
            O => check.parameters().map_or(0, |params| O::weight_bytes(&params)), 0)
    }

    /// The name of the operator with that code.
    fn name(code: u16) -> Option<&'static str> {
        dispatch!(Self, code, O => Some(O::NAME), None)
    }
}

/// Reads the parameters of an operator and runs it.
///
/// A function of its own for each operator, and so a stack frame: inlined into one dispatch, all
/// operators would share a frame as large as their sum. `cargo xtask stack` measures it.
///
/// # Errors
///
/// A [`Fault`], never for a record that has passed [`Operator::check`].
#[doc(hidden)]
#[inline(never)]
pub fn run_operator<O: Operator>(memory: &mut Memory<'_, '_>) -> Result<(), Fault> {
    // Looked at where it was read: a copy would be as large again.
    let params = memory.read_parameters::<O::Params>();
    O::run(memory, params.as_ref().ok_or(Fault)?)
}

/// A row of the table together with the operator's functions, for a program that looks them up in
/// memory. Such a table can be cut down after the program has been linked, as the web packages for
/// one model are.
///
/// The layout is C's: tools read it in a linked module.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct Entry {
    /// See [`Registered::CODE`].
    pub code: u32,
    /// See [`Registered::NAME`].
    pub name: &'static str,
    /// Reads the parameters and does [`Operator::check`].
    pub check: fn(&Check<'_>) -> Result<(), Rule>,
    /// Reads the parameters and does [`Operator::run`].
    pub run: fn(&mut Memory<'_, '_>) -> Result<(), Fault>,
    /// Reads the parameters and does [`Operator::steps`].
    pub steps: fn(&Check<'_>) -> Option<Steps>,
    /// Reads the parameters and does [`Operator::overlap`].
    pub overlap: fn(&Check<'_>, usize) -> Option<Overlap>,
}

impl Entry {
    /// The functions of operator `O`.
    pub const fn of<O: Operator>() -> Self {
        Self {
            code: O::CODE as u32,
            name: O::NAME,
            check: |check| O::check(check, &check.parameters()?),
            run: run_operator::<O>,
            steps: |check| O::steps(check, &check.parameters().ok()?),
            overlap: |check, i| O::overlap(check, &check.parameters().ok()?, i),
        }
    }
}

/// Some operators of the table, by their codes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Codes([u64; Codes::WORDS]);

impl Codes {
    const WORDS: usize = 4;

    /// None.
    pub const NONE: Self = Self([0; Self::WORDS]);

    /// All that there are.
    pub const ALL: Self = Self([u64::MAX; Self::WORDS]);

    /// These and one more. A code beyond the table is none, and changes nothing.
    #[must_use]
    pub const fn with(mut self, code: u16) -> Self {
        let word = code as usize / 64;
        if word < Self::WORDS {
            #[allow(clippy::indexing_slicing, reason = "the line above has looked")]
            {
                self.0[word] |= 1 << (code % 64);
            }
        }
        self
    }

    /// Whether that one is among them.
    pub const fn has(self, code: u16) -> bool {
        let word = code as usize / 64;
        #[allow(clippy::indexing_slicing, reason = "the first operand has looked")]
        {
            word < Self::WORDS && self.0[word] >> (code % 64) & 1 == 1
        }
    }

    /// Whether all of those are among them.
    pub const fn has_all(self, others: Self) -> bool {
        let mut code = 0;
        while code < Self::WORDS as u16 * 64 {
            if others.has(code) && !self.has(code) {
                return false;
            }
            code += 1;
        }
        true
    }
}

/// Defines an operator set: a type that links just the operators that it names.
///
/// ```
/// niwaki::operator_set!(pub struct Mine: FullyConnectedI8, LookupI8);
/// # fn demo(bytes: &[u8]) -> Result<(), niwaki::LoadError> {
/// let model = niwaki::Model::<Mine>::new(bytes)?;
/// # Ok(()) }
/// ```
#[macro_export]
macro_rules! operator_set {
    ($(#[$meta:meta])* $vis:vis struct $name:ident: $($op:ident),* $(,)?) => {
        $(#[$meta])*
        #[derive(Debug)]
        $vis struct $name;

        impl $crate::OperatorSet for $name {
            const CODES: $crate::ops::Codes = $crate::ops::Codes::NONE
                $(.with(<$crate::ops::$op as $crate::ops::Registered>::CODE))*;
        }
    };
}
