//! Quantisation with scales that are computed while a model runs, and the integer products that
//! go with it, made of operations on floats that are exact.

use std::ops::Range;

use anyhow::{Context as _, Result, bail, ensure};
use ndarray::{ArrayViewD, Axis};

use super::linear;
use super::quantization::Parameters;
use crate::functions::{Binary, Function, Reduction};
use crate::graph::{Constant, DataType, Op, ValueId};
use crate::import::Context;

/// Up to this size every integer is a float of its own, and a sum of floats that stays below is
/// exact in any order.
const EXACT: i64 = 1 << 24;

/// Smallest and largest value of an 8- or 16-bit type.
fn bounds(dtype: DataType) -> Result<(i64, i64)> {
    Ok(match dtype {
        DataType::I8 => (-128, 127),
        DataType::U8 => (0, 255),
        DataType::I16 => (-32768, 32767),
        DataType::U16 => (0, 65535),
        other => bail!(
            "type {} is not supported; int8, uint8, int16 and uint16 are",
            other.name()
        ),
    })
}

/// A value of one element without axes, so that it broadcasts to anything.
fn single(context: &mut Context<'_>, part: &str, id: ValueId) -> Result<ValueId> {
    let shape = context.graph.shape(id);
    ensure!(
        shape.iter().product::<usize>() == 1,
        "`{}` has shape {shape:?}; where it is computed at run time, one for the whole tensor is accepted",
        context.graph.values[id].name
    );
    context.reshaped(part, id, &[])
}

/// `clamp(round(x / scale) + zero_point)`.
pub(super) fn quantize(
    context: &mut Context<'_>,
    x: ValueId,
    parameters: &Parameters,
) -> Result<ValueId> {
    let scale = single(context, "scale", parameters.scale)?;
    let zero_point = match parameters.zero_point {
        None => None,
        Some(id) => {
            let zero_point = single(context, "zero", id)?;
            Some(context.cast("zero.real", zero_point, DataType::F32)?)
        }
    };
    steps(context, "", [x, scale], zero_point, parameters.default_type)
}

/// The steps of [`quantize`], the zero point being a float.
fn steps(
    context: &mut Context<'_>,
    part: &str,
    [x, scale]: [ValueId; 2],
    zero_point: Option<ValueId>,
    dtype: DataType,
) -> Result<ValueId> {
    let (low, high) = bounds(dtype)?;
    let steps = context.binary("steps", Binary::Div, x, scale)?;
    let mut rounded = context.function("rounded", Function::Round, steps)?;
    if let Some(zero_point) = zero_point {
        rounded = context.binary("shifted", Binary::Add, rounded, zero_point)?;
    }
    let clamped = clamped(context, "clamped", rounded, (low as f32, high as f32))?;
    context.cast(part, clamped, dtype)
}

fn clamped(
    context: &mut Context<'_>,
    part: &str,
    x: ValueId,
    (low, high): (f32, f32),
) -> Result<ValueId> {
    let shape = context.graph.shape(x).to_vec();
    context.emit_named(&context.part(part), Op::Clamp { low, high }, vec![x], shape)
}

/// `(x - zero_point) * scale`.
pub(super) fn dequantize(
    context: &mut Context<'_>,
    x: ValueId,
    parameters: &Parameters,
) -> Result<ValueId> {
    let scale = single(context, "scale", parameters.scale)?;
    ensure!(
        context.dtype(scale) == DataType::F32,
        "its scale is {}; float32 is accepted",
        context.dtype(scale).name()
    );
    let zero_point = parameters.zero_point;
    // An int32 tensor has the zero point 0, by ONNX's rule.
    let zero_point = zero_point.filter(|&id| context.dtype(id) != DataType::I32);
    let centred = centred(context, "centred", x, zero_point)?;
    context.binary("", Binary::Mul, centred, scale)
}

/// Integers less their zero point, as floats.
fn centred(
    context: &mut Context<'_>,
    part: &str,
    x: ValueId,
    zero_point: Option<ValueId>,
) -> Result<ValueId> {
    let real = context.cast(&format!("{part}.real"), x, DataType::F32)?;
    let Some(zero_point) = zero_point else {
        return Ok(real);
    };
    let zero = context.cast(&format!("{part}.zero"), zero_point, DataType::F32)?;
    context.binary(part, Binary::Sub, real, zero)
}

pub(super) fn dynamic_quantize_linear(context: &mut Context<'_>) -> Result<Vec<ValueId>> {
    context.only_attributes(&[])?;
    let (x, shape) = (context.input(0)?, context.shape(0)?);
    ensure!(
        context.dtype(x) == DataType::F32 && !shape.is_empty() && !shape.contains(&0),
        "its input is {} {shape:?}; float32 with at least one axis and element is accepted",
        context.dtype(x).name()
    );
    let axes: Vec<usize> = (0..shape.len()).collect();
    let zero = context.scalar(DataType::F32, 0.0);
    // The range takes in 0, so that 0 has a value of its own.
    let mut end = |name: &str, reduction, extreme| -> Result<ValueId> {
        let value = context.reduce(name, reduction, x, &axes)?;
        let value = context.reshaped(&format!("{name}.one"), value, &[])?;
        context.binary(&format!("{name}.with_zero"), extreme, value, zero)
    };
    let low = end("low", Reduction::Min, Binary::Min)?;
    let high = end("high", Reduction::Max, Binary::Max)?;
    let range = context.binary("range", Binary::Sub, high, low)?;
    let levels = context.scalar(DataType::F32, 255.0);
    let step = context.binary("step", Binary::Div, range, levels)?;
    // All zeros have no range; any scale is right for them.
    let empty = context.binary("empty", Binary::Equal, range, zero)?;
    let one = context.scalar(DataType::F32, 1.0);
    let scale = context.output_name(1);
    let scale = context.emit_named(&scale, Op::Where, vec![one, step, empty], Vec::new())?;
    let start = context.binary("start", Binary::Sub, zero, low)?;
    let start = context.binary("start.steps", Binary::Div, start, scale)?;
    let start = clamped(context, "start.clamped", start, (0.0, 255.0))?;
    let start = context.function("start.rounded", Function::Round, start)?;
    let zero_point = context.output_name(2);
    let zero_point =
        context.emit_named(&zero_point, Op::Cast(DataType::U8), vec![start], Vec::new())?;
    let y = steps(context, "", [x, scale], Some(start), DataType::U8)?;
    Ok(vec![y, scale, zero_point])
}

/// An operand of an integer product: its values less their zero points, as floats, and how large
/// they can be.
struct Factor {
    real: ValueId,
    largest: i64,
}

fn factor(
    context: &mut Context<'_>,
    part: &str,
    i: usize,
    zero_point: Option<ValueId>,
) -> Result<Factor> {
    let x = context.input(i)?;
    let dtype = context.dtype(x);
    ensure!(
        matches!(dtype, DataType::I8 | DataType::U8)
            && zero_point.is_none_or(|id| context.dtype(id) == dtype),
        "`{}` is {}; int8 and uint8 with a zero point of the same type are accepted",
        context.graph.values[x].name,
        dtype.name()
    );
    let (low, high) = bounds(dtype)?;
    let known = match zero_point {
        None => Some(vec![0]),
        Some(id) => context.graph.constant(id).and_then(Constant::to_i64),
    };
    let zeros = known.unwrap_or_else(|| vec![low, high]);
    let reach = zeros.iter().map(|z| (high - z).max(z - low));
    let largest = reach.max().unwrap_or(0);
    let real = centred(context, part, x, zero_point)?;
    ensure!(
        context.graph.shape(real) == context.graph.shape(x),
        "the zero points of input {i} do not fit its shape {:?}",
        context.graph.shape(x)
    );
    Ok(Factor { real, largest })
}

/// Zero points of one operand in a shape that broadcasts against it: along `axis`.
fn along(
    context: &mut Context<'_>,
    part: &str,
    i: usize,
    rank: usize,
    axis: usize,
) -> Result<Option<ValueId>> {
    let Some(id) = context.optional_input(i) else {
        return Ok(None);
    };
    let shape = context.graph.shape(id).to_vec();
    if shape.iter().product::<usize>() == 1 {
        return Ok(Some(single(context, part, id)?));
    }
    ensure!(
        shape.len() == 1,
        "its zero point (input {i}) has shape {shape:?}; one, or one for each row or column, is accepted"
    );
    let mut long = vec![1; rank];
    long[axis] = shape[0];
    Ok(Some(context.reshaped(part, id, &long)?))
}

/// A product of integers by way of floats.
struct Product {
    factors: [Factor; 2],
    /// The axis of each factor that the sums run along.
    axes: [usize; 2],
    /// The weights' axes behind theirs are summed over too: a convolution's kernel.
    taps: bool,
    import: fn(&mut Context<'_>) -> Result<ValueId>,
}

impl Product {
    /// The sums as int32, exact: in so many parts of the depth that no sum of a part leaves the
    /// integers that floats hold.
    fn emit(&self, context: &mut Context<'_>) -> Result<ValueId> {
        let parts = self.parts(context)?;
        let mut total = None;
        for (i, range) in parts.iter().enumerate() {
            let mut operands = self.factors.each_ref().map(|factor| factor.real);
            for (operand, (axis, side)) in operands.iter_mut().zip(self.axes.iter().zip(["a", "b"]))
            {
                if parts.len() > 1 {
                    *operand = sliced(context, &format!("{side}{i}"), *operand, *axis, range)?;
                }
            }
            let sum = self.real(context, &format!("sum{i}"), operands)?;
            let name = |what: &str, last: bool| match last {
                true => String::new(),
                false => format!("{what}{i}"),
            };
            let last = i + 1 == parts.len();
            let whole = name("whole", last && total.is_none());
            let sum = context.cast(&whole, sum, DataType::I32)?;
            total = Some(match total {
                None => sum,
                Some(total) => context.binary(&name("total", last), Binary::Add, total, sum)?,
            });
        }
        total.context("it has no elements")
    }

    /// The product of floats.
    fn real(&self, context: &mut Context<'_>, part: &str, inputs: [ValueId; 2]) -> Result<ValueId> {
        let output = context.part(part);
        (self.import)(&mut Context {
            graph: context.graph,
            node: context.node,
            name: context.name,
            output: &output,
            opset: context.opset,
            budget: context.budget,
            inputs: inputs.map(Some).to_vec(),
        })
    }

    /// Ranges of the depth whose sums are exact in floats.
    fn parts(&self, context: &Context<'_>) -> Result<Vec<Range<usize>>> {
        let steps = self.steps(context);
        let mut ranges = Vec::new();
        let (mut start, mut sum) = (0, 0i64);
        for (i, &step) in steps.iter().enumerate() {
            ensure!(
                step <= EXACT,
                "sums of its products may reach {step} within one input channel; {EXACT} is supported"
            );
            if sum + step > EXACT {
                ranges.push(start..i);
                (start, sum) = (i, 0);
            }
            sum += step;
        }
        ranges.push(start..steps.len());
        Ok(ranges)
    }

    /// How far each index of the depth can move a sum.
    fn steps(&self, context: &Context<'_>) -> Vec<i64> {
        let [x, w] = &self.factors;
        let [_, axis] = self.axes;
        let shape = context.graph.shape(w.real);
        let Some(weights) = context.graph.constant_f32(w.real) else {
            let taps = match self.taps {
                true => shape.iter().skip(axis + 1).product(),
                false => 1,
            };
            return vec![x.largest * w.largest * taps as i64; shape[axis]];
        };
        let magnitude = |w: &f32| w.abs() as i64;
        let step = |weights: ArrayViewD<'_, f32>| {
            let largest = match self.taps {
                true => weights
                    .outer_iter()
                    .map(|output| output.iter().map(magnitude).sum())
                    .max(),
                false => weights.iter().map(magnitude).max(),
            };
            x.largest * largest.unwrap_or(0)
        };
        weights.axis_iter(Axis(axis)).map(step).collect()
    }
}

fn sliced(
    context: &mut Context<'_>,
    part: &str,
    x: ValueId,
    axis: usize,
    range: &Range<usize>,
) -> Result<ValueId> {
    let mut shape = context.graph.shape(x).to_vec();
    let mut starts = vec![0; shape.len()];
    starts[axis] = range.start;
    shape[axis] = range.len();
    let op = Op::Slice {
        starts,
        steps: vec![1; shape.len()],
    };
    context.emit_named(&context.part(part), op, vec![x], shape)
}

pub(super) fn mat_mul_integer(context: &mut Context<'_>) -> Result<ValueId> {
    context.only_attributes(&[])?;
    let (a, b) = (context.shape(0)?, context.shape(1)?);
    ensure!(
        a.len() >= 2 && b.len() >= 2 && a[a.len() - 1] == b[b.len() - 2],
        "shapes {a:?} and {b:?} are not those of matrices that can be multiplied"
    );
    let left = along(context, "left.zero_point", 2, a.len(), a.len() - 2)?;
    let right = along(context, "right.zero_point", 3, b.len(), b.len() - 1)?;
    let product = Product {
        factors: [
            factor(context, "left", 0, left)?,
            factor(context, "right", 1, right)?,
        ],
        axes: [a.len() - 1, b.len() - 2],
        taps: false,
        import: linear::mat_mul,
    };
    product.emit(context)
}

pub(super) fn conv_integer(context: &mut Context<'_>) -> Result<ValueId> {
    let (x, weights) = (context.shape(0)?, context.shape(1)?);
    let group = context.int("group", 1);
    ensure!(
        x.len() == weights.len()
            && weights.len() >= 3
            && i64::try_from(weights[1])?.checked_mul(group) == Some(i64::try_from(x[1])?),
        "input of shape {x:?} and weights of shape {weights:?} are not those of a convolution of {group} groups"
    );
    let left = along(context, "left.zero_point", 2, weights.len(), 1)?;
    let right = along(context, "right.zero_point", 3, weights.len(), 0)?;
    let product = Product {
        factors: [
            factor(context, "left", 0, left)?,
            factor(context, "right", 1, right)?,
        ],
        axes: [1, 1],
        taps: true,
        import: linear::conv,
    };
    // With groups, channels of the input are those of several convolutions.
    ensure!(
        group == 1 || product.parts(context)?.len() == 1,
        "its sums may leave the {EXACT} up to which floats are exact; without groups they are supported"
    );
    product.emit(context)
}
