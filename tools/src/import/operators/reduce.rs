//! Reductions, the places of extremes, running sums, and softmax's relatives.

use anyhow::{Context as _, Result, bail, ensure};
use ndarray::{ArrayD, IxDyn};

use super::{axes, axis, require_float};
use crate::compiler::fold::Budget;
use crate::functions::{Binary, Function, Reduction};
use crate::graph::{Constant, DataType, Op, ValueId};
use crate::import::Context;

/// What lies around the sum, product or extreme.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Plain(Reduction),
    Mean,
    SumSquare,
    L1,
    L2,
    LogSum,
    LogSumExp,
}

fn reduce(context: &mut Context<'_>, kind: Kind) -> Result<ValueId> {
    context.only_attributes(&["axes", "keepdims", "noop_with_empty_axes"])?;
    let (x, shape) = (context.input(0)?, context.shape(0)?);
    let given = axes(context, shape.len())?.filter(|axes| !axes.is_empty());
    let noop = given.is_none() && context.int("noop_with_empty_axes", 0) != 0;
    let axes = match given {
        Some(axes) => axes,
        None if noop => Vec::new(),
        None => (0..shape.len()).collect(),
    };
    let keep = context.int("keepdims", 1) != 0;
    let mut kept = Vec::new();
    for (i, &dim) in shape.iter().enumerate() {
        match axes.contains(&i) {
            true if keep => kept.push(1),
            true => {}
            false => kept.push(dim),
        }
    }
    if !matches!(
        kind,
        Kind::Plain(_) | Kind::Mean | Kind::SumSquare | Kind::L1
    ) {
        require_float_input(context, x)?;
    }
    if shape.contains(&0) {
        let dtype = context.dtype(x);
        let value = of_nothing(kind, dtype)?;
        let value = context.scalar(dtype, value);
        return context.emit(Op::Expand, vec![value], kept);
    }
    let last = if keep { "" } else { "kept" };
    let value = reduced(context, kind, last, x, &axes)?;
    context.reshaped("", value, &kept)
}

/// What a reduction of no elements gives: what changes nothing when it is joined with others.
fn of_nothing(kind: Kind, dtype: DataType) -> Result<f64> {
    Ok(match kind {
        Kind::Plain(Reduction::Sum) | Kind::SumSquare | Kind::L1 | Kind::L2 => 0.0,
        Kind::Plain(Reduction::Product) => 1.0,
        Kind::Plain(Reduction::Max) if dtype == DataType::Bool => 0.0,
        // Of integers it is the nearest that the type has.
        Kind::Plain(Reduction::Max) | Kind::LogSum | Kind::LogSumExp => f64::NEG_INFINITY,
        Kind::Plain(Reduction::Min) => f64::INFINITY,
        Kind::Mean => bail!("its input is empty: a mean of no elements is not defined"),
    })
}

fn require_float_input(context: &Context<'_>, x: ValueId) -> Result<()> {
    ensure!(
        context.dtype(x) == DataType::F32,
        "its input is {}; float32 is accepted",
        context.dtype(x).name()
    );
    Ok(())
}

fn reduced(
    context: &mut Context<'_>,
    kind: Kind,
    last: &str,
    x: ValueId,
    axes: &[usize],
) -> Result<ValueId> {
    let sum = |context: &mut Context<'_>, part: &str, x: ValueId| -> Result<ValueId> {
        if axes.is_empty() {
            return Ok(x);
        }
        context.reduce(part, Reduction::Sum, x, axes)
    };
    match kind {
        Kind::Plain(_) | Kind::Mean if axes.is_empty() => Ok(x),
        Kind::Plain(reduction) => context.reduce(last, reduction, x, axes),
        Kind::Mean if context.dtype(x) == DataType::F32 => context.mean(last, x, axes),
        Kind::Mean => {
            // The sum of integers may leave their type.
            let dtype = context.dtype(x);
            let wide = context.cast("wide", x, DataType::I64)?;
            let mean = context.mean("mean", wide, axes)?;
            context.cast(last, mean, dtype)
        }
        Kind::SumSquare => {
            let square = context.binary("square", Binary::Mul, x, x)?;
            sum(context, last, square)
        }
        Kind::L1 => {
            let size = if context.dtype(x) == DataType::F32 {
                context.function("size", Function::Abs, x)?
            } else {
                let zero = context.scalar(context.dtype(x), 0.0);
                let negative = context.binary("negative", Binary::Sub, zero, x)?;
                context.binary("size", Binary::Max, x, negative)?
            };
            sum(context, last, size)
        }
        Kind::L2 => {
            let square = context.binary("square", Binary::Mul, x, x)?;
            let sum = sum(context, "sum", square)?;
            context.function(last, Function::Sqrt, sum)
        }
        Kind::LogSum => {
            let sum = sum(context, "sum", x)?;
            context.function(last, Function::Log, sum)
        }
        Kind::LogSumExp => {
            let (largest, log) = log_sum_exp(context, x, axes)?;
            context.binary(last, Binary::Add, log, largest)
        }
    }
}

/// The largest element and the logarithm of the sum of all exponentials beneath it.
fn log_sum_exp(
    context: &mut Context<'_>,
    x: ValueId,
    axes: &[usize],
) -> Result<(ValueId, ValueId)> {
    let largest = if axes.is_empty() {
        x
    } else {
        context.reduce("largest", Reduction::Max, x, axes)?
    };
    // Kept finite, so that infinities have no difference that is a NaN.
    let shape = context.graph.shape(largest).to_vec();
    let finite = Op::Clamp {
        low: f32::MIN,
        high: f32::MAX,
    };
    let largest = context.emit_named(&context.part("finite"), finite, vec![largest], shape)?;
    let below = context.binary("below", Binary::Sub, x, largest)?;
    let exponentials = context.function("exponentials", Function::Exp, below)?;
    let sum = match axes {
        [] => exponentials,
        _ => context.reduce("sum", Reduction::Sum, exponentials, axes)?,
    };
    Ok((largest, context.function("log", Function::Log, sum)?))
}

macro_rules! reductions {
    ($($name:ident => $kind:expr;)*) => {$(
        pub(super) fn $name(context: &mut Context<'_>) -> Result<ValueId> {
            reduce(context, $kind)
        }
    )*};
}

reductions! {
    sum => Kind::Plain(Reduction::Sum);
    product => Kind::Plain(Reduction::Product);
    max => Kind::Plain(Reduction::Max);
    min => Kind::Plain(Reduction::Min);
    mean => Kind::Mean;
    sum_square => Kind::SumSquare;
    l1 => Kind::L1;
    l2 => Kind::L2;
    log_sum => Kind::LogSum;
    log_sum_exp_all => Kind::LogSumExp;
}

/// The index of an extreme along one axis, which stays with length 1.
fn place(
    context: &mut Context<'_>,
    part: &str,
    x: ValueId,
    largest: bool,
    last: bool,
    axis: usize,
) -> Result<ValueId> {
    let mut shape = context.graph.shape(x).to_vec();
    shape[axis] = 1;
    let op = Op::ArgExtreme {
        largest,
        last,
        axis,
    };
    context.emit_named(&context.part(part), op, vec![x], shape)
}

fn arg(context: &mut Context<'_>, largest: bool) -> Result<ValueId> {
    context.only_attributes(&["axis", "keepdims", "select_last_index"])?;
    let (x, mut shape) = (context.input(0)?, context.shape(0)?);
    let axis = axis(context.int("axis", 0), shape.len())?;
    let last = context.int("select_last_index", 0) != 0;
    let keep = context.int("keepdims", 1) != 0;
    let part = if keep { "" } else { "kept" };
    let index = place(context, part, x, largest, last, axis)?;
    if keep {
        return Ok(index);
    }
    shape.remove(axis);
    context.reshaped("", index, &shape)
}

pub(super) fn arg_max(context: &mut Context<'_>) -> Result<ValueId> {
    arg(context, true)
}

pub(super) fn arg_min(context: &mut Context<'_>) -> Result<ValueId> {
    arg(context, false)
}

pub(super) fn cum_sum(context: &mut Context<'_>) -> Result<ValueId> {
    context.only_attributes(&["exclusive", "reverse"])?;
    let (x, shape) = (context.input(0)?, context.shape(0)?);
    let axes = context
        .integers(1, "axis")?
        .context("its axis is missing")?;
    let axis = axis(*axes.first().context("its axis is empty")?, shape.len())?;
    let op = Op::CumSum {
        axis,
        exclusive: context.int("exclusive", 0) != 0,
        reverse: context.int("reverse", 0) != 0,
    };
    context.emit(op, vec![x], shape)
}

/// The input and axis of LogSoftmax and Hardmax; before operator set 13 all axes from `axis` on
/// are one.
fn softmax_input(context: &mut Context<'_>) -> Result<(ValueId, usize)> {
    context.only_attributes(&["axis"])?;
    require_float(context)?;
    let (x, shape) = (context.input(0)?, context.shape(0)?);
    let before_13 = context.opset < 13;
    let axis = axis(
        context.int("axis", if before_13 { 1 } else { -1 }),
        shape.len(),
    )?;
    if !before_13 {
        return Ok((x, axis));
    }
    let flat = [
        shape[..axis].iter().product(),
        shape[axis..].iter().product(),
    ];
    Ok((context.reshaped("flat", x, &flat)?, 1))
}

pub(super) fn log_softmax(context: &mut Context<'_>) -> Result<ValueId> {
    let (x, axis) = softmax_input(context)?;
    let shape = context.shape(0)?;
    let (largest, log) = log_sum_exp(context, x, &[axis])?;
    let below = context.binary("shifted", Binary::Sub, x, largest)?;
    let part = if context.opset < 13 { "result" } else { "" };
    let result = context.binary(part, Binary::Sub, below, log)?;
    context.reshaped("", result, &shape)
}

pub(super) fn hardmax(context: &mut Context<'_>) -> Result<ValueId> {
    let (x, axis) = softmax_input(context)?;
    let shape = context.shape(0)?;
    let found = place(context, "place", x, true, false, axis)?;
    let mut along = vec![1; context.graph.shape(x).len()];
    along[axis] = context.graph.shape(x)[axis];
    Budget::check(&along, size_of::<i64>())?;
    let indices = (0..along[axis] as i64).collect();
    let indices = Constant::I64(ArrayD::from_shape_vec(IxDyn(&along), indices)?);
    let indices = context.graph.add_constant("indices", indices);
    let hit = context.binary("hit", Binary::Equal, indices, found)?;
    let part = if context.opset < 13 { "result" } else { "" };
    let result = context.cast(part, hit, DataType::F32)?;
    context.reshaped("", result, &shape)
}
