//! QOperator forms, of ONNX and of onnxruntime (`com.microsoft`): an operator that takes quantised
//! tensors with their scales and zero points, and gives one. Each becomes DequantizeLinear, the
//! operator on floats, QuantizeLinear: what the compiler turns into integers.

use anyhow::{Context as _, Result, bail, ensure};
use tract_onnx::pb;

use super::quantization::{Parameters, quantization};
use super::{elementwise, linear, normalization, pool, reduce, shape};
use crate::graph::{DataType, Op, Quantization, ValueId};
use crate::import::Context;

type Import = fn(&mut Context<'_>) -> Result<ValueId>;

/// An operand as floats, and how it is quantised.
struct Operand {
    real: ValueId,
    quantization: Quantization,
}

/// The operand whose value, scale and zero point are the inputs from `first` on. Constants may
/// have a scale for each index of `axis`.
fn operand(context: &mut Context<'_>, first: usize, axis: Option<usize>) -> Result<Operand> {
    let [value, scale, zero_point] = [first, first + 1, first + 2];
    let id = context.input(value)?;
    let dtype = context.dtype(id);
    let parameters = Parameters {
        scale: context.input(scale)?,
        zero_point: context.optional_input(zero_point),
        axis,
        default_type: dtype,
        constant: context.graph.constant(id).is_some(),
    };
    let quantization = quantization(context, &context.shape(value)?, &parameters)
        .with_context(|| format!("inputs {scale} and {zero_point}"))?;
    ensure!(
        matches!(dtype, DataType::I8 | DataType::U8) && quantization.dtype == dtype,
        "input {value} is {} and its zero point {}; int8 or uint8 for both are accepted",
        dtype.name(),
        quantization.dtype.name()
    );
    Ok(Operand {
        real: dequantized(context, first, id, &quantization)?,
        quantization,
    })
}

fn dequantized(
    context: &mut Context<'_>,
    part: usize,
    id: ValueId,
    quantization: &Quantization,
) -> Result<ValueId> {
    let shape = context.graph.shape(id).to_vec();
    let name = context.part(&format!("input{part}"));
    let op = Op::Dequantize(quantization.clone());
    context.emit_named(&name, op, vec![id], shape)
}

/// How the output is quantised: scale and zero point are the inputs from `first` on.
fn result(context: &Context<'_>, first: usize, like: &Operand) -> Result<Quantization> {
    let parameters = Parameters {
        scale: context.input(first)?,
        zero_point: context.optional_input(first + 1),
        axis: None,
        default_type: like.quantization.dtype,
        constant: false,
    };
    let quantization = quantization(context, &[], &parameters)
        .with_context(|| format!("inputs {first} and {}", first + 1))?;
    ensure!(
        matches!(quantization.dtype, DataType::I8 | DataType::U8),
        "its output is {}; int8 and uint8 are accepted",
        quantization.dtype.name()
    );
    Ok(quantization)
}

/// The operator on floats, quantised behind: `import` sees these inputs, and the node without the
/// attributes `hidden`.
fn in_reals(
    context: &mut Context<'_>,
    hidden: &[&str],
    inputs: Vec<ValueId>,
    import: Import,
    output: Quantization,
) -> Result<ValueId> {
    let real = on_floats(context, hidden, inputs, import, context.opset)?;
    requantized(context, real, output)
}

fn requantized(context: &mut Context<'_>, real: ValueId, output: Quantization) -> Result<ValueId> {
    let shape = context.graph.shape(real).to_vec();
    context.emit(Op::Quantize(output), vec![real], shape)
}

fn on_floats(
    context: &mut Context<'_>,
    hidden: &[&str],
    inputs: Vec<ValueId>,
    import: Import,
    opset: i64,
) -> Result<ValueId> {
    let attributes = context.node.attribute.iter();
    let node = pb::NodeProto {
        attribute: attributes
            .filter(|a| !hidden.contains(&a.name.as_str()))
            .cloned()
            .collect(),
        ..pb::NodeProto::default()
    };
    let output = context.part("real");
    import(&mut Context {
        graph: context.graph,
        node: &node,
        name: context.name,
        output: &output,
        opset,
        budget: context.budget,
        inputs: inputs.into_iter().map(Some).collect(),
    })
}

/// Runs an operator on images whose channels may be last (attribute `channels_last`).
fn on_images(
    context: &mut Context<'_>,
    mut inputs: Vec<ValueId>,
    import: Import,
    output: Quantization,
) -> Result<ValueId> {
    let hidden = ["channels_last"];
    if context.int("channels_last", 0) == 0 {
        return in_reals(context, &hidden, inputs, import, output);
    }
    let shape = context.graph.shape(inputs[0]).to_vec();
    let rank = shape.len();
    ensure!(
        rank >= 3,
        "its input has shape {shape:?}, without spatial axes"
    );
    let first: Vec<usize> = [0, rank - 1].into_iter().chain(1..rank - 1).collect();
    let last: Vec<usize> = [0].into_iter().chain(2..rank).chain([1]).collect();
    inputs[0] = transposed(context, "channels_first", inputs[0], first)?;
    let real = on_floats(context, &hidden, inputs, import, context.opset)?;
    let real = transposed(context, "channels_last", real, last)?;
    requantized(context, real, output)
}

fn transposed(
    context: &mut Context<'_>,
    part: &str,
    x: ValueId,
    perm: Vec<usize>,
) -> Result<ValueId> {
    let from = context.graph.shape(x);
    let shape = perm.iter().map(|&axis| from[axis]).collect();
    let name = context.part(part);
    context.emit_named(&name, Op::Transpose { perm }, vec![x], shape)
}

/// An int32 bias in units of the sums, one for each of `channels` outputs.
fn bias(
    context: &mut Context<'_>,
    i: usize,
    channels: usize,
    [x, w]: [&Operand; 2],
) -> Result<Option<ValueId>> {
    let Some(id) = context.optional_input(i) else {
        return Ok(None);
    };
    let shape = context.graph.shape(id);
    ensure!(
        context.dtype(id) == DataType::I32
            && shape.iter().product::<usize>() == channels
            && shape.last() == Some(&channels)
            && context.graph.constant(id).is_some(),
        "its bias (input {i}) is {} {shape:?}; a constant int32 for each of {channels} outputs is accepted",
        context.dtype(id).name()
    );
    let flat = context.reshaped("bias", id, &[channels])?;
    let scale: Vec<f32> = w
        .quantization
        .scale
        .iter()
        .map(|s| x.quantization.scale[0] * s)
        .collect();
    let quantization = Quantization {
        zero_point: vec![0; scale.len()],
        axis: w.quantization.axis.map(|_| 0),
        scale,
        dtype: DataType::I32,
    };
    Ok(Some(dequantized(context, i, flat, &quantization)?))
}

pub(super) fn conv(context: &mut Context<'_>) -> Result<ValueId> {
    let x = operand(context, 0, None)?;
    let w = operand(context, 3, Some(0))?;
    let output = result(context, 6, &x)?;
    let channels = *context
        .shape(3)?
        .first()
        .context("its weights have no axes")?;
    let bias = bias(context, 8, channels, [&x, &w])?;
    let inputs = [x.real, w.real].into_iter().chain(bias).collect();
    on_images(context, inputs, linear::conv, output)
}

pub(super) fn mat_mul(context: &mut Context<'_>) -> Result<ValueId> {
    let columns = context.shape(3)?.len().checked_sub(1);
    let left = operand(context, 0, None)?;
    let right = operand(context, 3, columns.filter(|&axis| axis > 0))?;
    let output = result(context, 6, &left)?;
    let inputs = vec![left.real, right.real];
    in_reals(context, &[], inputs, linear::mat_mul, output)
}

/// `alpha` times the product, which the scale of A takes in; without an output scale the result
/// stays float.
pub(super) fn gemm(context: &mut Context<'_>) -> Result<ValueId> {
    let transposed = context.int("transB", 0) != 0;
    let mut a = operand(context, 0, None)?;
    let b = operand(context, 3, Some(usize::from(!transposed)))?;
    let alpha = context.float("alpha", 1.0);
    ensure!(
        alpha.is_finite() && alpha > 0.0,
        "attribute `alpha` is {alpha}; values greater than 0 are accepted"
    );
    if alpha != 1.0 {
        a.quantization.scale[0] *= alpha;
        let id = context.input(0)?;
        a.real = dequantized(context, 0, id, &a.quantization)?;
    }
    let shape = context.shape(3)?;
    ensure!(
        shape.len() == 2,
        "its right side has shape {shape:?}; a matrix is accepted"
    );
    let columns = shape[usize::from(!transposed)];
    let bias = bias(context, 6, columns, [&a, &b])?;
    let inputs = [a.real, b.real].into_iter().chain(bias).collect();
    if context.optional_input(7).is_none() {
        let real = on_floats(context, &["alpha"], inputs, linear::gemm, context.opset)?;
        return Ok(real);
    }
    let output = result(context, 7, &a)?;
    in_reals(context, &["alpha"], inputs, linear::gemm, output)
}

fn two(context: &mut Context<'_>, import: Import) -> Result<ValueId> {
    let (a, b) = (operand(context, 0, None)?, operand(context, 3, None)?);
    let output = result(context, 6, &a)?;
    in_reals(context, &[], vec![a.real, b.real], import, output)
}

pub(super) fn add(context: &mut Context<'_>) -> Result<ValueId> {
    two(context, elementwise::add)
}

pub(super) fn mul(context: &mut Context<'_>) -> Result<ValueId> {
    two(context, elementwise::mul)
}

pub(super) fn choose(context: &mut Context<'_>) -> Result<ValueId> {
    let (a, b) = (operand(context, 1, None)?, operand(context, 4, None)?);
    let output = result(context, 7, &a)?;
    let inputs = vec![context.input(0)?, a.real, b.real];
    in_reals(context, &[], inputs, elementwise::choose, output)
}

fn one(context: &mut Context<'_>, import: Import) -> Result<ValueId> {
    let x = operand(context, 0, None)?;
    let output = result(context, 3, &x)?;
    in_reals(context, &[], vec![x.real], import, output)
}

pub(super) fn sigmoid(context: &mut Context<'_>) -> Result<ValueId> {
    one(context, elementwise::sigmoid)
}

pub(super) fn leaky_relu(context: &mut Context<'_>) -> Result<ValueId> {
    one(context, elementwise::leaky_relu)
}

pub(super) fn reduce_mean(context: &mut Context<'_>) -> Result<ValueId> {
    one(context, reduce::mean)
}

/// The attribute `opset` says which operator set's Softmax it is.
pub(super) fn softmax(context: &mut Context<'_>) -> Result<ValueId> {
    let x = operand(context, 0, None)?;
    let output = result(context, 3, &x)?;
    let opset = context.int("opset", context.opset);
    let real = on_floats(
        context,
        &["opset"],
        vec![x.real],
        normalization::softmax,
        opset,
    )?;
    requantized(context, real, output)
}

pub(super) fn average_pool(context: &mut Context<'_>) -> Result<ValueId> {
    let x = operand(context, 0, None)?;
    let output = result(context, 3, &x)?;
    on_images(context, vec![x.real], pool::average_pool, output)
}

pub(super) fn global_average_pool(context: &mut Context<'_>) -> Result<ValueId> {
    let x = operand(context, 0, None)?;
    let output = result(context, 3, &x)?;
    on_images(context, vec![x.real], pool::global_average_pool, output)
}

pub(super) fn concat(context: &mut Context<'_>) -> Result<ValueId> {
    let operands = context.inputs.len().saturating_sub(2);
    if operands == 0 || !operands.is_multiple_of(3) {
        bail!(
            "it has {operands} inputs behind those of its output; three for each operand are accepted"
        );
    }
    let mut inputs = Vec::new();
    let mut like = None;
    for first in (2..context.inputs.len()).step_by(3) {
        let operand = operand(context, first, None)?;
        inputs.push(operand.real);
        like.get_or_insert(operand);
    }
    let like = like.context("it has no operands")?;
    let output = result(context, 0, &like)?;
    in_reals(context, &[], inputs, shape::concat, output)
}
