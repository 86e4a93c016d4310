//! ONNX operators into the graph's: the importer's one table, and what its rows share. The rows
//! themselves are in the modules, by kind.

mod compose;
mod constants;
mod deform;
mod dynamic;
mod elementwise;
mod indexed;
mod linear;
mod movement;
mod normalization;
mod pool;
mod quantization;
mod quantized;
mod recurrent;
mod reduce;
mod resize;
mod rows;
mod shape;
mod volume;

use anyhow::{Result, bail, ensure};

use super::Context;
use crate::graph::{DataType, ValueId};

/// How an ONNX operator comes in.
#[derive(Clone, Copy)]
enum Import {
    /// It has one output.
    One(fn(&mut Context<'_>) -> Result<ValueId>),
    /// One value for each output, in ONNX's order; those behind the last used one may be left
    /// out.
    Many(fn(&mut Context<'_>) -> Result<Vec<ValueId>>),
    /// It has graphs of its own, one of which the importer takes in.
    Branches,
}

use Import::{Branches, Many, One};

/// The importer's one table: the ONNX operators that are supported, and how each comes in.
const TABLE: &[(&str, Import)] = &[
    ("Abs", One(elementwise::abs)),
    ("Add", One(elementwise::add)),
    ("And", One(elementwise::and)),
    ("ArgMax", One(reduce::arg_max)),
    ("ArgMin", One(reduce::arg_min)),
    ("AveragePool", One(pool::average_pool)),
    (
        "BatchNormalization",
        Many(normalization::batch_normalization),
    ),
    ("BitShift", One(elementwise::bit_shift)),
    ("BitwiseAnd", One(elementwise::bitwise_and)),
    ("BitwiseNot", One(elementwise::bitwise_not)),
    ("BitwiseOr", One(elementwise::bitwise_or)),
    ("BitwiseXor", One(elementwise::bitwise_xor)),
    ("Cast", One(elementwise::cast)),
    ("CastLike", One(elementwise::cast_like)),
    ("Ceil", One(elementwise::ceil)),
    ("Celu", One(elementwise::celu)),
    ("Clip", One(elementwise::clip)),
    ("Compress", One(rows::compress)),
    ("Concat", One(shape::concat)),
    ("Constant", One(shape::constant)),
    ("ConstantOfShape", One(constants::constant_of_shape)),
    ("Conv", One(linear::conv)),
    ("ConvInteger", One(dynamic::conv_integer)),
    ("ConvTranspose", One(linear::conv_transpose)),
    ("Cos", One(elementwise::cos)),
    ("CumSum", One(reduce::cum_sum)),
    ("DeformConv", One(deform::deform_conv)),
    ("DepthToSpace", One(movement::depth_to_space)),
    ("DequantizeLinear", One(quantization::dequantize_linear)),
    ("Div", One(elementwise::div)),
    ("Dropout", Many(constants::dropout)),
    (
        "DynamicQuantizeLinear",
        Many(dynamic::dynamic_quantize_linear),
    ),
    ("Elu", One(elementwise::elu)),
    ("Equal", One(elementwise::equal)),
    ("Erf", One(elementwise::erf)),
    ("Exp", One(elementwise::exp)),
    ("Expand", One(movement::expand)),
    ("EyeLike", One(constants::eye_like)),
    ("Flatten", One(shape::flatten)),
    ("Floor", One(elementwise::floor)),
    ("Gather", One(indexed::gather)),
    ("GatherElements", One(indexed::gather_elements)),
    ("GatherND", One(indexed::gather_nd)),
    ("Gelu", One(elementwise::gelu)),
    ("Gemm", One(linear::gemm)),
    ("GlobalAveragePool", One(pool::global_average_pool)),
    ("GRU", Many(recurrent::gru)),
    ("GlobalMaxPool", One(pool::global_max_pool)),
    ("Greater", One(elementwise::greater)),
    ("GreaterOrEqual", One(elementwise::greater_or_equal)),
    (
        "GroupNormalization",
        One(normalization::group_normalization),
    ),
    ("HardSigmoid", One(elementwise::hard_sigmoid)),
    ("HardSwish", One(elementwise::hard_swish)),
    ("Hardmax", One(reduce::hardmax)),
    ("If", Branches),
    ("Identity", One(shape::identity)),
    (
        "InstanceNormalization",
        One(normalization::instance_normalization),
    ),
    ("IsInf", One(elementwise::is_inf)),
    ("IsNaN", One(elementwise::is_nan)),
    ("LSTM", Many(recurrent::lstm)),
    (
        "LayerNormalization",
        Many(normalization::layer_normalization),
    ),
    ("LRN", One(normalization::local_response)),
    ("LeakyRelu", One(elementwise::leaky_relu)),
    ("Less", One(elementwise::less)),
    ("LessOrEqual", One(elementwise::less_or_equal)),
    ("Log", One(elementwise::log)),
    ("LogSoftmax", One(reduce::log_softmax)),
    ("LpNormalization", One(normalization::lp_normalization)),
    ("LpPool", One(pool::lp_pool)),
    ("MatMul", One(linear::mat_mul)),
    ("MatMulInteger", One(dynamic::mat_mul_integer)),
    ("Max", One(elementwise::max)),
    ("MaxPool", Many(pool::max_pool)),
    ("MaxUnpool", One(pool::max_unpool)),
    ("Mean", One(elementwise::mean)),
    (
        "MeanVarianceNormalization",
        One(normalization::mean_variance_normalization),
    ),
    ("Min", One(elementwise::min)),
    ("Mish", One(elementwise::mish)),
    ("Mod", One(elementwise::modulo)),
    ("Mul", One(elementwise::mul)),
    ("Neg", One(elementwise::neg)),
    ("NonZero", One(rows::non_zero)),
    ("Not", One(elementwise::not)),
    ("OneHot", One(indexed::one_hot)),
    ("Or", One(elementwise::or)),
    ("PRelu", One(elementwise::prelu)),
    ("Pad", One(shape::pad)),
    ("Pow", One(elementwise::pow)),
    ("QLinearConv", One(quantized::conv)),
    ("QLinearMatMul", One(quantized::mat_mul)),
    ("QuantizeLinear", One(quantization::quantize_linear)),
    ("RMSNormalization", One(normalization::rms_normalization)),
    ("RNN", Many(recurrent::rnn)),
    ("Range", One(constants::range)),
    ("Reciprocal", One(elementwise::reciprocal)),
    ("ReduceL1", One(reduce::l1)),
    ("ReduceL2", One(reduce::l2)),
    ("ReduceLogSum", One(reduce::log_sum)),
    ("ReduceLogSumExp", One(reduce::log_sum_exp_all)),
    ("ReduceMax", One(reduce::max)),
    ("ReduceMean", One(reduce::mean)),
    ("ReduceMin", One(reduce::min)),
    ("ReduceProd", One(reduce::product)),
    ("ReduceSum", One(reduce::sum)),
    ("ReduceSumSquare", One(reduce::sum_square)),
    ("Relu", One(elementwise::relu)),
    ("Reshape", One(shape::reshape)),
    ("Resize", One(resize::resize)),
    ("ReverseSequence", One(rows::reverse_sequence)),
    ("Round", One(elementwise::round)),
    ("Scatter", One(indexed::scatter_elements)),
    ("ScatterElements", One(indexed::scatter_elements)),
    ("ScatterND", One(indexed::scatter_nd)),
    ("Selu", One(elementwise::selu)),
    ("Shape", One(constants::shape)),
    ("Sigmoid", One(elementwise::sigmoid)),
    ("Sign", One(elementwise::sign)),
    ("Sin", One(elementwise::sin)),
    ("Size", One(constants::size)),
    ("Slice", One(movement::slice)),
    ("Softmax", One(normalization::softmax)),
    ("Softplus", One(elementwise::softplus)),
    ("Softsign", One(elementwise::softsign)),
    ("SpaceToDepth", One(movement::space_to_depth)),
    ("Split", Many(movement::split)),
    ("Sqrt", One(elementwise::sqrt)),
    ("Squeeze", One(shape::squeeze)),
    ("Sub", One(elementwise::sub)),
    ("Sum", One(elementwise::sum)),
    ("Swish", One(elementwise::swish)),
    ("Tanh", One(elementwise::tanh)),
    ("ThresholdedRelu", One(elementwise::thresholded_relu)),
    ("Tile", One(movement::tile)),
    ("TopK", Many(indexed::top_k)),
    ("Transpose", One(shape::transpose)),
    ("Trilu", One(constants::trilu)),
    ("Unsqueeze", One(shape::unsqueeze)),
    ("Upsample", One(resize::upsample)),
    ("Where", One(elementwise::choose)),
    ("Xor", One(elementwise::xor)),
];

/// Operators that have no place here, and why.
const REFUSED: &[(&str, &str)] = &[
    ("NonMaxSuppression", SIZE_OF_DATA),
    ("Unique", SIZE_OF_DATA),
];

const SIZE_OF_DATA: &str = "the size of its output depends on data, and shapes have to be known: end \
     the model before it, and leave it to the program around";

/// Operators whose definition in operator sets below 6 is another one than in set 6: mostly other
/// attributes, in some other inputs or another broadcasting.
const CHANGED_UNTIL_6: &[&str] = &[
    "Abs",
    "Add",
    "BatchNormalization",
    "Cast",
    "Ceil",
    "Clip",
    "Concat",
    "Div",
    "Dropout",
    "Elu",
    "Exp",
    "Floor",
    "GRU",
    "Gemm",
    "GlobalLpPool",
    "HardSigmoid",
    "InstanceNormalization",
    "LeakyRelu",
    "Log",
    "LpPool",
    "Max",
    "Mean",
    "Min",
    "Mul",
    "Neg",
    "PRelu",
    "Pad",
    "Reciprocal",
    "Relu",
    "Reshape",
    "Selu",
    "Sigmoid",
    "Split",
    "Sqrt",
    "Sub",
    "Sum",
    "Tanh",
    "Tile",
];

/// The same for onnxruntime's own operators, the domain `com.microsoft`: the quantised ones.
const MICROSOFT: &[(&str, Import)] = &[
    ("DequantizeLinear", One(quantization::dequantize_linear)),
    ("QGemm", One(quantized::gemm)),
    ("QLinearAdd", One(quantized::add)),
    ("QLinearAveragePool", One(quantized::average_pool)),
    ("QLinearConcat", One(quantized::concat)),
    ("QLinearConv", One(quantized::conv)),
    (
        "QLinearGlobalAveragePool",
        One(quantized::global_average_pool),
    ),
    ("QLinearLeakyRelu", One(quantized::leaky_relu)),
    ("QLinearMul", One(quantized::mul)),
    ("QLinearReduceMean", One(quantized::reduce_mean)),
    ("QLinearSigmoid", One(quantized::sigmoid)),
    ("QLinearSoftmax", One(quantized::softmax)),
    ("QLinearWhere", One(quantized::choose)),
    ("QuantizeLinear", One(quantization::quantize_linear)),
];

/// Names of the ONNX operators that are supported.
pub fn supported() -> impl Iterator<Item = &'static str> {
    TABLE.iter().map(|(name, _)| *name)
}

/// Names of onnxruntime's own operators that are supported, those of the domain `com.microsoft`.
pub fn supported_microsoft() -> impl Iterator<Item = &'static str> {
    MICROSOFT.iter().map(|(name, _)| *name)
}

/// Imports one node: finds its row, checks what all have in common, and calls it. Gives the
/// values of its outputs.
pub(super) fn import(context: &mut Context<'_>) -> Result<Vec<ValueId>> {
    let operator = context.node.op_type.as_str();
    if let Some((_, reason)) = REFUSED.iter().find(|(name, _)| *name == operator) {
        bail!("this operator is not supported: {reason}");
    }
    let table = match context.node.domain.as_str() {
        "" | "ai.onnx" => TABLE,
        "com.microsoft" => MICROSOFT,
        domain => bail!(
            "operators of domain `{domain}` are not supported, those of ai.onnx and com.microsoft are"
        ),
    };
    let Some((_, import)) = table.iter().find(|(name, _)| *name == operator) else {
        let names: Vec<&str> = table.iter().map(|(name, _)| *name).collect();
        bail!(
            "this operator is not supported; supported are {}",
            names.join(", ")
        );
    };
    ensure!(
        context.opset >= 6 || !CHANGED_UNTIL_6.contains(&operator),
        "this operator was another one before operator set 6: convert the model with onnx.version_converter"
    );
    match import {
        One(import) => Ok(vec![import(context)?]),
        Many(import) => import(context),
        Branches => bail!("its branches are not supported here"),
    }
}

/// An axis as ONNX gives it, where negative ones count from the end.
fn axis(value: i64, rank: usize) -> Result<usize> {
    let signed = rank as i64;
    ensure!(
        (-signed..signed).contains(&value),
        "axis {value} is outside -{rank}..{rank}"
    );
    Ok(value.rem_euclid(signed) as usize)
}

/// Axes from attribute or input, sorted, without repeats.
fn axes(context: &Context<'_>, rank: usize) -> Result<Option<Vec<usize>>> {
    let values = match context.integers(1, "axes")? {
        Some(values) => Some(values),
        None => context.ints("axes"),
    };
    let Some(values) = values else {
        return Ok(None);
    };
    let mut axes = values
        .iter()
        .map(|&v| axis(v, rank))
        .collect::<Result<Vec<_>>>()?;
    axes.sort_unstable();
    ensure!(
        axes.windows(2).all(|w| w[0] != w[1]),
        "axes {values:?} name one axis twice"
    );
    Ok(Some(axes))
}

/// Refuses what operator sets before 7 call training: `is_test` is 0 where nothing is said.
fn require_test(context: &Context<'_>) -> Result<()> {
    ensure!(
        context.opset >= 7 || context.int("is_test", 0) != 0,
        "attribute `is_test` is 0, which means training: export for inference"
    );
    Ok(())
}

fn require_float(context: &Context<'_>) -> Result<()> {
    (0..context.inputs.len()).try_for_each(|i| require_float_at(context, i))
}

/// Refuses an input of another type than float32; one that is left out is none.
fn require_float_at(context: &Context<'_>, i: usize) -> Result<()> {
    if let Some(id) = context.optional_input(i) {
        let value = &context.graph.values[id];
        ensure!(
            value.dtype == DataType::F32,
            "input `{}` is {}; float32 is accepted, or int8 between DequantizeLinear and QuantizeLinear",
            value.name,
            value.dtype.name()
        );
    }
    Ok(())
}

/// The shape of two operands together, by ONNX's (NumPy's) broadcasting.
fn broadcast(a: &[usize], b: &[usize]) -> Result<Vec<usize>> {
    let rank = a.len().max(b.len());
    let at =
        |shape: &[usize], i: usize| (i + shape.len()).checked_sub(rank).map_or(1, |i| shape[i]);
    (0..rank)
        .map(|i| match (at(a, i), at(b, i)) {
            (x, y) if x == y || y == 1 => Ok(x),
            (1, y) => Ok(y),
            _ => bail!("shapes {a:?} and {b:?} cannot be broadcast together"),
        })
        .collect()
}
