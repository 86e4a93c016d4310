//! Windows over three spatial axes, as windows over two. The runtime's images have two.

use anyhow::{Context as _, Result, ensure};

use crate::graph::{Op, ValueId, WindowAttributes};
use crate::import::Context;

/// The dimensions of a value with three spatial axes: batch, channels, depth, height, width.
fn dims(context: &Context<'_>, x: ValueId) -> Option<[usize; 5]> {
    context.graph.shape(x).try_into().ok()
}

/// The window over the two inner axes.
fn inner(window: &WindowAttributes) -> WindowAttributes {
    let part = |values: &[usize]| values[1..].to_vec();
    WindowAttributes {
        kernel: part(&window.kernel),
        strides: part(&window.strides),
        dilations: part(&window.dilations),
        pads_begin: part(&window.pads_begin),
        pads_end: part(&window.pads_end),
    }
}

/// The window over the outermost axis, beside one that it leaves alone.
fn outer(window: &WindowAttributes) -> WindowAttributes {
    WindowAttributes {
        kernel: vec![window.kernel[0], 1],
        strides: vec![window.strides[0], 1],
        dilations: vec![window.dilations[0], 1],
        pads_begin: vec![window.pads_begin[0], 0],
        pads_end: vec![window.pads_end[0], 0],
    }
}

fn transposed(
    context: &mut Context<'_>,
    part: &str,
    x: ValueId,
    perm: &[usize],
) -> Result<ValueId> {
    let shape = perm.iter().map(|&axis| context.graph.shape(x)[axis]);
    let (shape, perm) = (shape.collect(), perm.to_vec());
    context.emit_named(&context.part(part), Op::Transpose { perm }, vec![x], shape)
}

/// Images, one for each of `batch` volumes and each of its planes, as volumes again.
fn stacked(context: &mut Context<'_>, part: &str, x: ValueId, batch: usize) -> Result<ValueId> {
    let shape = context.graph.shape(x);
    let depth = shape[0] / batch;
    let apart = [&[batch, depth], &shape[1..]].concat();
    let apart = context.reshaped("planes.apart", x, &apart)?;
    transposed(context, part, apart, &[0, 2, 1, 3, 4])
}

/// A pool whose result over three axes is that over the two inner ones, and then over the outer
/// one: a largest value; an average, as the number of elements is a product; a norm. Over one and
/// two axes it is one operation. `shape` is that of the output.
pub(super) fn pooled(
    context: &mut Context<'_>,
    x: ValueId,
    window: &WindowAttributes,
    shape: &[usize],
    op: impl Fn(WindowAttributes) -> Op,
) -> Result<ValueId> {
    let (Some([n, c, d, h, w]), &[.., od, oh, ow], false) =
        (dims(context, x), shape, shape.contains(&0))
    else {
        return context.emit(op(window.clone()), vec![x], shape.to_vec());
    };
    let planes = transposed(context, "planes", x, &[0, 2, 1, 3, 4])?;
    let planes = context.reshaped("planes.flat", planes, &[n * d, c, h, w])?;
    let name = context.part("planes.pooled");
    let planes = context.emit_named(
        &name,
        op(inner(window)),
        vec![planes],
        vec![n * d, c, oh, ow],
    )?;
    let volume = stacked(context, "volume", planes, n)?;
    let columns = context.reshaped("columns", volume, &[n, c, d, oh * ow])?;
    let name = context.part("columns.pooled");
    let pooled = vec![n, c, od, oh * ow];
    let columns = context.emit_named(&name, op(outer(window)), vec![columns], pooled)?;
    context.reshaped("", columns, shape)
}

/// Weights `[out][in][depth][height][width]` with the depth in the channels. The integers beneath a
/// DequantizeLinear are what changes, so that they stay in sight.
fn weights(context: &mut Context<'_>, w: ValueId, flat: &[usize]) -> Result<ValueId> {
    let dequantized = context.producer(w).and_then(|node| match &node.op {
        Op::Dequantize(q) if q.axis.is_none_or(|axis| axis == 0) => {
            Some((node.op.clone(), node.inputs[0]))
        }
        _ => None,
    });
    match dequantized {
        Some((op, integers)) => {
            let integers = context.reshaped("weights.flat", integers, flat)?;
            context.emit_named(&context.part("weights"), op, vec![integers], flat.to_vec())
        }
        None => context.reshaped("weights", w, flat),
    }
}

/// A convolution over three axes: for each plane of the output, the planes of the input under the
/// kernel side by side as channels, and one convolution over two axes.
pub(super) fn conv(
    context: &mut Context<'_>,
    mut inputs: Vec<ValueId>,
    window: &WindowAttributes,
    group: usize,
    shape: &[usize],
) -> Result<ValueId> {
    let sizes = dims(context, inputs[0]).zip(dims(context, inputs[1]));
    let ([n, c, d, h, w], [out, group_in, depth, kernel_h, kernel_w]) =
        sizes.context("its input or its weights have no three spatial axes")?;
    let (begin, end, od) = (window.pads_begin[0], window.pads_end[0], shape[2]);
    let mut x = inputs[0];
    if begin + end > 0 {
        let op = Op::Pad {
            before: vec![0, 0, begin, 0, 0],
            after: vec![0, 0, end, 0, 0],
            value: 0.0,
        };
        let padded = vec![n, c, begin + d + end, h, w];
        x = context.emit_named(&context.part("padded"), op, vec![x], padded)?;
    }
    ensure!(
        od.checked_mul(depth).is_some_and(|planes| planes < 1 << 24),
        "its kernel meets {od} times {depth} planes: too many"
    );
    let (stride, dilation) = (window.strides[0], window.dilations[0]);
    let taps = |o: usize| (0..depth).map(move |k| (o * stride + k * dilation) as u32);
    let planes = (0..od).flat_map(taps);
    let op = Op::Take {
        axis: 2,
        indices: planes.collect(),
    };
    let x = context.emit_named(
        &context.part("planes"),
        op,
        vec![x],
        vec![n, c, od * depth, h, w],
    )?;
    let x = context.reshaped("planes.apart", x, &[n, c, od, depth, h, w])?;
    let x = transposed(context, "planes.outside", x, &[0, 2, 1, 3, 4, 5])?;
    inputs[0] = context.reshaped("planes.flat", x, &[n * od, c * depth, h, w])?;
    inputs[1] = weights(
        context,
        inputs[1],
        &[out, group_in * depth, kernel_h, kernel_w],
    )?;
    let op = Op::Conv {
        window: inner(window),
        group,
    };
    let (name, flat) = (
        context.part("convolved"),
        [&[n * od], &shape[1..2], &shape[3..]].concat(),
    );
    let y = context.emit_named(&name, op, inputs, flat)?;
    stacked(context, "", y, n)
}
