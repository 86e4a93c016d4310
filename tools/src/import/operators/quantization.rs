//! QuantizeLinear and DequantizeLinear, with scales for the tensor, along an axis, or for blocks.

use anyhow::{Context as _, Result, ensure};
use ndarray::{ArrayD, IxDyn};

use super::{axis, dynamic};
use crate::compiler::fold;
use crate::functions::Binary;
use crate::graph::{Constant, DataType, Op, Quantization, ValueId};
use crate::import::{Context, tensors};

/// Elements of a value with blocked scales that are computed at run time: each has its scale.
const BLOCKED_ELEMENTS: usize = 1 << 24;

/// Where scale and zero point of a tensor come from.
pub(super) struct Parameters {
    /// The scale.
    pub(super) scale: ValueId,
    /// The zero point; 0 where it is left out.
    pub(super) zero_point: Option<ValueId>,
    /// The axis along which there may be several.
    pub(super) axis: Option<usize>,
    /// The quantised type, when the zero point does not say it.
    pub(super) default_type: DataType,
    /// The tensor is constant: then scales may be negative, as some exporters write them.
    pub(super) constant: bool,
}

/// How a tensor of shape `shape` is quantised.
pub(super) fn quantization(
    context: &Context<'_>,
    shape: &[usize],
    parameters: &Parameters,
) -> Result<Quantization> {
    let scale = scales(context, parameters)?;
    let axis = parameters.axis.filter(|_| scale.len() > 1);
    ensure!(
        scale.len() == 1 || axis.is_some(),
        "{} scales are given where one for the whole tensor is accepted",
        scale.len()
    );
    if let Some(axis) = axis {
        ensure!(
            scale.ndim() == 1 && shape.get(axis) == Some(&scale.len()),
            "{} scales do not fit axis {axis} of {shape:?}",
            scale.len()
        );
    }
    let (zero_point, dtype) = zero_points(context, parameters, scale)?;
    Ok(Quantization {
        scale: scale.iter().copied().collect(),
        zero_point,
        axis,
        dtype,
    })
}

/// The scales, which have to be constant and such that numbers come out.
fn scales<'c>(context: &'c Context<'_>, parameters: &Parameters) -> Result<&'c ArrayD<f32>> {
    let scale = context.graph.constant_f32(parameters.scale);
    let scale = scale.context("its scale has to be a constant float32")?;
    ensure!(
        scale.iter().all(|s| s.is_finite() && *s != 0.0)
            && (parameters.constant || scale.iter().all(|s| *s > 0.0)),
        "its scale has to be finite and greater than 0"
    );
    Ok(scale)
}

/// As many zero points as scales, and the type of the quantised tensor.
fn zero_points(
    context: &Context<'_>,
    parameters: &Parameters,
    scale: &ArrayD<f32>,
) -> Result<(Vec<i32>, DataType)> {
    let Some(id) = parameters.zero_point else {
        return Ok((vec![0; scale.len()], parameters.default_type));
    };
    let constant = context.graph.constant(id);
    let constant = constant.context("its zero point has to be a constant")?;
    let values = constant
        .to_i64()
        .context("its zero point has to be of integers")?;
    ensure!(
        values.len() == scale.len(),
        "{} zero points do not fit {} scales",
        values.len(),
        scale.len()
    );
    let values: Option<Vec<i32>> = values.iter().map(|&z| i32::try_from(z).ok()).collect();
    let values = values.context("its zero point does not fit 32 bits")?;
    Ok((values, constant.dtype()))
}

/// The parameters of a QuantizeLinear or DequantizeLinear.
fn parameters(context: &Context<'_>, rank: usize, default_type: DataType) -> Result<Parameters> {
    context.only_attributes(&[
        "axis",
        "block_size",
        "output_dtype",
        "precision",
        "saturate",
    ])?;
    ensure!(
        context.int("precision", 1) <= 1,
        "attribute `precision` is {}; float32 (1) is accepted",
        context.int("precision", 1)
    );
    let scale = context.input(1)?;
    let several = context.graph.shape(scale).iter().product::<usize>() > 1;
    let along = several.then(|| axis(context.int("axis", 1), rank));
    Ok(Parameters {
        scale,
        zero_point: context.optional_input(2),
        axis: along.transpose()?,
        default_type,
        constant: false,
    })
}

/// Whether scale or zero point are computed while the model runs.
fn is_dynamic(context: &Context<'_>, parameters: &Parameters) -> bool {
    let ids = [Some(parameters.scale), parameters.zero_point];
    let mut ids = ids.into_iter().flatten();
    ids.any(|id| context.graph.constant(id).is_none())
}

/// The attribute `block_size`, where it is used.
fn block_size(context: &Context<'_>) -> Result<Option<usize>> {
    match context.int("block_size", 0) {
        0 => Ok(None),
        size => Ok(Some(usize::try_from(size).context(
            "attribute `block_size` is negative; sizes from 1 on are accepted",
        )?)),
    }
}

/// Scale and zero point of each run of equal ones, in ONNX's order of the elements, and the
/// length of the runs.
fn blocks(
    context: &Context<'_>,
    shape: &[usize],
    parameters: &Parameters,
    size: usize,
) -> Result<(Quantization, usize)> {
    let scale = scales(context, parameters)?;
    let axis = axis(context.int("axis", 1), shape.len())?;
    let mut wanted = shape.to_vec();
    wanted[axis] = shape[axis].div_ceil(size);
    ensure!(
        scale.shape() == wanted,
        "scales of shape {:?} do not fit blocks of {size} along axis {axis} of {shape:?}: {wanted:?} is accepted",
        scale.shape()
    );
    let (zero_point, dtype) = zero_points(context, parameters, scale)?;
    let whole = axis + 1 == shape.len() && shape[axis].is_multiple_of(size);
    let (scale, zero_point, run) = if whole {
        (scale.iter().copied().collect(), zero_point, size)
    } else {
        let elements: usize = shape.iter().product();
        ensure!(
            elements <= BLOCKED_ELEMENTS,
            "{elements} elements with blocked scales are not supported; {BLOCKED_ELEMENTS} are"
        );
        let zero_point = ArrayD::from_shape_vec(IxDyn(&wanted), zero_point)?;
        let (mut scales, mut zero_points) = (Vec::new(), Vec::new());
        for index in ndarray::indices(IxDyn(shape)) {
            let mut block = index.clone();
            block[axis] /= size;
            scales.push(scale[&block]);
            zero_points.push(zero_point[&block]);
        }
        (scales, zero_points, 1)
    };
    let quantization = Quantization {
        scale,
        zero_point,
        axis: Some(0),
        dtype,
    };
    Ok((quantization, run))
}

/// QuantizeLinear or DequantizeLinear with blocked scales: along the first axis of the elements
/// in runs.
fn blocked(
    context: &mut Context<'_>,
    op: fn(Quantization) -> Op,
    (quantization, run): (Quantization, usize),
) -> Result<ValueId> {
    let shape = context.shape(0)?;
    let runs = quantization.scale.len();
    let quantization = Quantization {
        axis: Some(0).filter(|_| runs > 1),
        ..quantization
    };
    let x = context.input(0)?;
    let flat = context.reshaped("flat", x, &[runs, run])?;
    let name = context.part("runs");
    let value = context.emit_named(&name, op(quantization), vec![flat], vec![runs, run])?;
    context.reshaped("", value, &shape)
}

pub(super) fn quantize_linear(context: &mut Context<'_>) -> Result<ValueId> {
    let (input, shape) = (context.input(0)?, context.shape(0)?);
    ensure!(
        context.dtype(input) == DataType::F32,
        "its input is {}; float32 is accepted",
        context.dtype(input).name()
    );
    let code = context.int("output_dtype", 0) as i32;
    let (mut dtype, mut bounds) = match code {
        0 => (DataType::U8, None),
        code => tensors::input_type(code)?,
    };
    if let Some(id) = context.optional_input(2) {
        let own = (context.dtype(id), context.graph.narrow.get(&id).copied());
        ensure!(
            code == 0 || (dtype, bounds) == own,
            "attribute `output_dtype` is another type than that of its zero point"
        );
        (dtype, bounds) = own;
    }
    ensure!(
        matches!(
            dtype,
            DataType::I8 | DataType::U8 | DataType::I16 | DataType::U16
        ),
        "quantisation to {} is not supported; int8, uint8, int16 and uint16 are, and what is narrower",
        dtype.name()
    );
    let parameters = parameters(context, shape.len(), dtype)?;
    if is_dynamic(context, &parameters) {
        ensure!(
            bounds.is_none() && block_size(context)?.is_none(),
            "its scale is computed at run time; with blocks or types of less than a byte a constant is accepted"
        );
        return dynamic::quantize(context, input, &parameters);
    }
    let value = match block_size(context)? {
        Some(size) => {
            let blocks = blocks(context, &shape, &parameters, size)?;
            blocked(context, Op::Quantize, blocks)?
        }
        None => {
            let quantization = quantization(context, &shape, &parameters)?;
            context.emit(Op::Quantize(quantization), vec![input], shape)?
        }
    };
    let Some((low, high)) = bounds else {
        return Ok(value);
    };
    // Rounded and clamped to a byte, then to what is narrower: the same as clamped at once.
    let (low, high) = (
        context.scalar(dtype, low.into()),
        context.scalar(dtype, high.into()),
    );
    let value = context.binary("low", Binary::Max, value, low)?;
    let value = context.binary("narrow", Binary::Min, value, high)?;
    context.graph.narrow.extend(bounds.map(|b| (value, b)));
    Ok(value)
}

pub(super) fn dequantize_linear(context: &mut Context<'_>) -> Result<ValueId> {
    let (input, shape) = (context.input(0)?, context.shape(0)?);
    let dtype = context.dtype(input);
    let zero_point = context.optional_input(2);
    ensure!(
        matches!(
            dtype,
            DataType::I8 | DataType::U8 | DataType::I16 | DataType::U16 | DataType::I32
        ) && zero_point.is_none_or(|id| context.dtype(id) == dtype),
        "input of type {} is not supported; int8, uint8, int16, uint16 and int32 are, with a zero point of the same type",
        dtype.name()
    );
    ensure!(
        context.int("output_dtype", 1) <= 1,
        "attribute `output_dtype` is {}; float32 (1) is accepted",
        context.int("output_dtype", 1)
    );
    let parameters = Parameters {
        constant: context.graph.constant(input).is_some(),
        ..parameters(context, shape.len(), dtype)?
    };
    if is_dynamic(context, &parameters) {
        ensure!(
            block_size(context)?.is_none(),
            "its scale is computed at run time; with blocks a constant is accepted"
        );
        return dynamic::dequantize(context, input, &parameters);
    }
    let Some(size) = block_size(context)? else {
        let quantization = quantization(context, &shape, &parameters)?;
        return context.emit(Op::Dequantize(quantization), vec![input], shape);
    };
    let (quantization, run) = blocks(context, &shape, &parameters, size)?;
    let Some(constant) = context.graph.constant(input) else {
        return blocked(context, Op::Dequantize, (quantization, run));
    };
    // No layer in integers has scales along its depth: such weights are floats.
    fold::Budget::check(&shape, size_of::<f32>())?;
    let integers = constant.to_i64().context("its input is not of integers")?;
    let real = |(i, &q): (usize, &i64)| {
        let zero_point = i64::from(quantization.zero_point[i / run]);
        (q - zero_point) as f32 * quantization.scale[i / run]
    };
    let values = integers.iter().enumerate().map(real).collect();
    let array = ArrayD::from_shape_vec(IxDyn(&shape), values)?;
    Ok(context
        .graph
        .add_constant(context.output, Constant::F32(array)))
}
