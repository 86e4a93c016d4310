//! Reductions along axes, and what runs along one axis.

use anyhow::{Context as _, Result, ensure};

use super::{axis, require_float};
use crate::graph::{DataType, Op, Reduction, ValueId, WindowAttributes};
use crate::import::Context;

/// Which axes a reduction runs over.
struct Axes {
    kept: Vec<usize>,
    reduced: Vec<usize>,
}

impl Axes {
    fn new(reduced: Vec<usize>, rank: usize) -> Self {
        let kept = (0..rank).filter(|axis| !reduced.contains(axis)).collect();
        Self { kept, reduced }
    }

    /// The axes of a reduction node; `None` when it does nothing.
    fn of(context: &Context<'_>, rank: usize) -> Result<Option<Self>> {
        let given = super::axes(context, rank)?.filter(|axes| !axes.is_empty());
        if given.is_none() && context.int("noop_with_empty_axes", 0) != 0 {
            return Ok(None);
        }
        let reduced = given.unwrap_or_else(|| (0..rank).collect());
        Ok(Some(Self::new(reduced, rank)))
    }

    /// The dimensions of the result.
    fn shape(&self, x: &[usize], keep: bool) -> Vec<usize> {
        let dims = x.iter().enumerate();
        dims.filter_map(|(axis, &dim)| match self.kept.contains(&axis) {
            true => Some(dim),
            false => keep.then_some(1),
        })
        .collect()
    }

    /// The value with the reduced axes behind the kept ones, in the given shape.
    fn gathered(&self, context: &mut Context<'_>, shape: Vec<usize>) -> Result<ValueId> {
        let (mut input, x) = (context.input(0)?, context.shape(0)?);
        let perm: Vec<usize> = self.kept.iter().chain(&self.reduced).copied().collect();
        if !perm.iter().copied().eq(0..x.len()) {
            let name = format!("{}.gathered", context.output);
            let moved = perm.iter().map(|&axis| x[axis]).collect();
            input = context.emit_named(&name, Op::Transpose { perm }, vec![input], moved)?;
        }
        let name = format!("{}.rows", context.output);
        context.emit_named(&name, Op::Reshape, vec![input], shape)
    }

    /// The value as `[rows][len]`.
    fn rows(&self, context: &mut Context<'_>) -> Result<ValueId> {
        let x = context.shape(0)?;
        let product = |axes: &[usize]| axes.iter().map(|&axis| x[axis]).product();
        let shape = vec![product(&self.kept), product(&self.reduced)];
        self.gathered(context, shape)
    }
}

const ATTRIBUTES: [&str; 3] = ["axes", "keepdims", "noop_with_empty_axes"];

fn reduce(context: &mut Context<'_>, function: Reduction) -> Result<ValueId> {
    context.only_attributes(&ATTRIBUTES)?;
    require_float_data(context)?;
    let x = context.shape(0)?;
    let Some(axes) = Axes::of(context, x.len())? else {
        return context.input(0);
    };
    let rows = axes.rows(context)?;
    let name = format!("{}.reduced", context.output);
    let shape = vec![context.graph.shape(rows)[0]];
    let reduced = context.emit_named(&name, Op::Reduce(function), vec![rows], shape)?;
    let shape = axes.shape(&x, context.int("keepdims", 1) != 0);
    context.emit(Op::Reshape, vec![reduced], shape)
}

/// Only the first input is data: the second are the axes.
fn require_float_data(context: &Context<'_>) -> Result<()> {
    let value = &context.graph.values[context.input(0)?];
    ensure!(
        value.dtype == DataType::F32,
        "input `{}` is {}; float32 is accepted",
        value.name,
        value.dtype.name()
    );
    Ok(())
}

/// A reduction that is a pool over all of its axes.
fn pool(context: &mut Context<'_>, pool: impl Fn(WindowAttributes) -> Op) -> Result<ValueId> {
    context.only_attributes(&ATTRIBUTES)?;
    let x = context.shape(0)?;
    let Some(axes) = Axes::of(context, x.len())? else {
        return context.input(0);
    };
    let dims = |axes: &[usize]| -> Vec<usize> { axes.iter().map(|&axis| x[axis]).collect() };
    let (kept, reduced) = (dims(&axes.kept), dims(&axes.reduced));
    // An image: the last kept axis are its channels, and a window has one axis or two.
    let (&channels, batch) = kept.split_last().unwrap_or((&1, &[]));
    let kernel = match reduced.len() {
        1 | 2 => reduced,
        _ => vec![reduced.iter().product()],
    };
    let mut image = vec![batch.iter().product(), channels];
    image.extend(&kernel);
    let pooled: Vec<usize> = image[..2]
        .iter()
        .copied()
        .chain(kernel.iter().map(|_| 1))
        .collect();
    let image = axes.gathered(context, image)?;
    let window = WindowAttributes {
        strides: vec![1; kernel.len()],
        dilations: vec![1; kernel.len()],
        pads_begin: vec![0; kernel.len()],
        pads_end: vec![0; kernel.len()],
        kernel,
    };
    let name = format!("{}.pooled", context.output);
    let pooled = context.emit_named(&name, pool(window), vec![image], pooled)?;
    let shape = axes.shape(&x, context.int("keepdims", 1) != 0);
    context.emit(Op::Reshape, vec![pooled], shape)
}

pub(super) fn mean(context: &mut Context<'_>) -> Result<ValueId> {
    require_float_data(context)?;
    pool(context, |window| Op::AveragePool {
        window,
        count_include_pad: false,
    })
}

pub(super) fn max(context: &mut Context<'_>) -> Result<ValueId> {
    pool(context, Op::MaxPool)
}

macro_rules! reductions {
    ($($name:ident => $function:ident,)*) => {$(
        pub(super) fn $name(context: &mut Context<'_>) -> Result<ValueId> {
            reduce(context, Reduction::$function)
        }
    )*};
}

reductions! {
    sum => Sum,
    prod => Prod,
    min => Min,
    sum_square => SumSquare,
    l1 => L1,
    l2 => L2,
    log_sum => LogSum,
    log_sum_exp => LogSumExp,
}

fn arg_best(context: &mut Context<'_>, largest: bool) -> Result<ValueId> {
    context.only_attributes(&["axis", "keepdims", "select_last_index"])?;
    require_float(context)?;
    let x = context.shape(0)?;
    let axes = Axes::new(vec![axis(context.int("axis", 0), x.len())?], x.len());
    let rows = axes.rows(context)?;
    let op = Op::ArgBest {
        largest,
        last: context.int("select_last_index", 0) != 0,
    };
    let name = format!("{}.index", context.output);
    let shape = vec![context.graph.shape(rows)[0]];
    let index = context.emit_named(&name, op, vec![rows], shape)?;
    let shape = axes.shape(&x, context.int("keepdims", 1) != 0);
    context.emit(Op::Reshape, vec![index], shape)
}

pub(super) fn arg_max(context: &mut Context<'_>) -> Result<ValueId> {
    arg_best(context, true)
}

pub(super) fn arg_min(context: &mut Context<'_>) -> Result<ValueId> {
    arg_best(context, false)
}

pub(super) fn cum_sum(context: &mut Context<'_>) -> Result<ValueId> {
    context.only_attributes(&["exclusive", "reverse"])?;
    let x = context.shape(0)?;
    let given = context.integers(1, "axis")?;
    let given = given.context("its axis (input 1) is missing")?;
    ensure!(given.len() == 1, "its axis {given:?} is not one number");
    let axes = Axes::new(vec![axis(given[0], x.len())?], x.len());
    let rows = axes.rows(context)?;
    let op = Op::CumSum {
        exclusive: context.int("exclusive", 0) != 0,
        reverse: context.int("reverse", 0) != 0,
    };
    let names = ["sums", "straight"].map(|part| format!("{}.{part}", context.output));
    let shape = context.graph.shape(rows).to_vec();
    let sums = context.emit_named(&names[0], op, vec![rows], shape)?;
    // The axis lies behind the others: back to its place.
    let order: Vec<usize> = axes.kept.iter().chain(&axes.reduced).copied().collect();
    let moved = order.iter().map(|&axis| x[axis]).collect();
    let sums = context.emit_named(&names[1], Op::Reshape, vec![sums], moved)?;
    let perm = (0..x.len())
        .map(|axis| order.iter().position(|&a| a == axis))
        .collect::<Option<Vec<_>>>()
        .context("its axes do not fit")?;
    context.emit(Op::Transpose { perm }, vec![sums], x)
}
