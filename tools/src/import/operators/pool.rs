//! Pools.

use anyhow::{Context as _, Result, ensure};

use super::require_float;
use crate::graph::{Op, ValueId, WindowAttributes};
use crate::import::Context;

/// The `kernel_shape` of a pool.
fn pool_kernel(context: &Context<'_>) -> Result<Vec<usize>> {
    let kernel = context
        .ints("kernel_shape")
        .context("attribute `kernel_shape` is missing")?;
    kernel
        .iter()
        .map(|&k| usize::try_from(k).ok().filter(|&k| k > 0))
        .collect::<Option<Vec<_>>>()
        .with_context(|| format!("attribute `kernel_shape` is {kernel:?}"))
}

fn pooled_shape(x: &[usize], spatial: Vec<usize>) -> Vec<usize> {
    x[..2].iter().copied().chain(spatial).collect()
}

pub(super) fn max_pool(context: &mut Context<'_>) -> Result<ValueId> {
    let known = [
        "auto_pad",
        "ceil_mode",
        "dilations",
        "kernel_shape",
        "pads",
        "storage_order",
        "strides",
    ];
    context.only_attributes(&known)?;
    let (input, x) = (context.input(0)?, context.shape(0)?);
    ensure!(
        x.len() >= 3,
        "its input has shape {x:?}, without spatial axes"
    );
    let (window, spatial) = context.window(&x[2..], pool_kernel(context)?)?;
    context.emit(Op::MaxPool(window), vec![input], pooled_shape(&x, spatial))
}

pub(super) fn average_pool(context: &mut Context<'_>) -> Result<ValueId> {
    let known = [
        "auto_pad",
        "ceil_mode",
        "count_include_pad",
        "dilations",
        "kernel_shape",
        "pads",
        "strides",
    ];
    context.only_attributes(&known)?;
    require_float(context)?;
    let (input, x) = (context.input(0)?, context.shape(0)?);
    ensure!(
        x.len() >= 3,
        "its input has shape {x:?}, without spatial axes"
    );
    let (window, spatial) = context.window(&x[2..], pool_kernel(context)?)?;
    let count_include_pad = context.int("count_include_pad", 0) != 0;
    let op = Op::AveragePool {
        window,
        count_include_pad,
    };
    context.emit(op, vec![input], pooled_shape(&x, spatial))
}

/// A pool over whole images.
fn global(context: &mut Context<'_>, op: fn(WindowAttributes) -> Op) -> Result<ValueId> {
    context.only_attributes(&[])?;
    let (input, x) = (context.input(0)?, context.shape(0)?);
    ensure!(
        x.len() >= 3,
        "its input has shape {x:?}, without spatial axes"
    );
    let (window, spatial) = context.window(&x[2..], x[2..].to_vec())?;
    context.emit(op(window), vec![input], pooled_shape(&x, spatial))
}

pub(super) fn global_average_pool(context: &mut Context<'_>) -> Result<ValueId> {
    require_float(context)?;
    global(context, |window| Op::AveragePool {
        window,
        count_include_pad: false,
    })
}

pub(super) fn global_max_pool(context: &mut Context<'_>) -> Result<ValueId> {
    global(context, Op::MaxPool)
}
