//! Pools.

use anyhow::{Context as _, Result, ensure};

use super::{require_float, volume};
use crate::graph::{DataType, Indexed, Join, Op, ValueId, WindowAttributes};
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

/// The input, the window over its spatial axes, and the output's shape.
fn geometry(
    context: &Context<'_>,
    kernel: impl Fn(&[usize]) -> Result<Vec<usize>>,
) -> Result<(ValueId, WindowAttributes, Vec<usize>)> {
    let (input, x) = (context.input(0)?, context.shape(0)?);
    ensure!(
        x.len() >= 3,
        "its input has shape {x:?}, without spatial axes"
    );
    let (window, spatial) = context.window(&x[2..], kernel(&x[2..])?)?;
    Ok((input, window, [&x[..2], &spatial].concat()))
}

pub(super) fn max_pool(context: &mut Context<'_>) -> Result<Vec<ValueId>> {
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
    let (x, window, shape) = geometry(context, |_| pool_kernel(context))?;
    let mut outputs = vec![volume::pooled(context, x, &window, &shape, Op::MaxPool)?];
    if context
        .node
        .output
        .get(1)
        .is_some_and(|name| !name.is_empty())
    {
        ensure!(
            shape.len() <= 4,
            "its indices (output 1) over three spatial axes are not supported, over one and two they are"
        );
        let op = Op::MaxPoolIndices {
            window,
            column_major: context.int("storage_order", 0) != 0,
        };
        let places = context.emit_named(&context.part("places"), op, vec![x], shape.clone())?;
        let (name, wide) = (context.output_name(1), Op::Cast(DataType::I64));
        outputs.push(context.emit_named(&name, wide, vec![places], shape)?);
    }
    Ok(outputs)
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
    let (x, window, shape) = geometry(context, |_| pool_kernel(context))?;
    let count_include_pad = context.int("count_include_pad", 0) != 0;
    volume::pooled(context, x, &window, &shape, |window| Op::AveragePool {
        window,
        count_include_pad,
    })
}

/// A pool over whole images.
fn global(context: &mut Context<'_>, op: fn(WindowAttributes) -> Op) -> Result<ValueId> {
    context.only_attributes(&[])?;
    let (x, window, shape) = geometry(context, |spatial| Ok(spatial.to_vec()))?;
    volume::pooled(context, x, &window, &shape, op)
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

pub(super) fn lp_pool(context: &mut Context<'_>) -> Result<ValueId> {
    let known = [
        "auto_pad",
        "ceil_mode",
        "dilations",
        "kernel_shape",
        "p",
        "pads",
        "strides",
    ];
    context.only_attributes(&known)?;
    require_float(context)?;
    let (x, window, shape) = geometry(context, |_| pool_kernel(context))?;
    let p = context.int("p", 2);
    let p = u32::try_from(p).ok().filter(|&p| p > 0);
    let p = p.context("attribute `p` has to be an integer of at least 1")?;
    volume::pooled(context, x, &window, &shape, |window| Op::LpPool {
        window,
        p,
    })
}

pub(super) fn max_unpool(context: &mut Context<'_>) -> Result<ValueId> {
    context.only_attributes(&["kernel_shape", "pads", "strides"])?;
    let (x, from) = (context.input(0)?, context.shape(0)?);
    ensure!(
        from.len() >= 3 && context.shape(1)? == from,
        "its input of shape {from:?} and its indices of shape {:?} do not agree",
        context.shape(1)?
    );
    let kernel = pool_kernel(context)?;
    let axes = from.len() - 2;
    let strides = context.sizes("strides", axes, 1)?;
    let pads = context.sizes("pads", 2 * axes, 0)?;
    ensure!(
        kernel.len() == axes,
        "kernel {kernel:?} does not fit {axes} spatial axes"
    );
    let mut shape = from.clone();
    for (i, size) in shape[2..].iter_mut().enumerate() {
        let whole = (*size - 1) * strides[i] + kernel[i];
        *size = whole.saturating_sub(pads[i] + pads[i + axes]);
    }
    let given = context.integers(2, "output_shape")?;
    ensure!(
        given.is_none_or(|given| given
            .iter()
            .map(|&dim| dim as usize)
            .eq(shape.iter().copied())),
        "its output_shape is not {shape:?}, which its kernel, strides and pads give: what indices then mean is not defined"
    );
    let flat: usize = from.iter().product();
    let updates = context.reshaped("values", x, &[flat])?;
    let indices = context.input(1)?;
    let indices = context.cast("indices", indices, DataType::I32)?;
    let indices = context.reshaped("indices.flat", indices, &[flat])?;
    let zero = context.scalar(context.dtype(x), 0.0);
    let whole = shape.iter().try_fold(1usize, |n, &dim| n.checked_mul(dim));
    let whole = vec![whole.with_context(|| format!("its output {shape:?} is too large"))?];
    let zeros = context.emit_named(
        &context.part("zeros"),
        Op::Expand,
        vec![zero],
        whole.clone(),
    )?;
    let op = Op::Indexed(Indexed::ScatterElements {
        axis: 0,
        join: Join::Replace,
    });
    let inputs = vec![zeros, indices, updates];
    let y = context.emit_named(&context.part("flat"), op, inputs, whole)?;
    context.reshaped("", y, &shape)
}
