//! DeformConv: a convolution whose kernel elements lie where offsets move them to, between pixels.
//!
//! There is no operator for it in the runtime. The pixels around each place are gathered and
//! weighted, which gives an image with the kernel's elements as channels; what is left is a
//! convolution with a kernel of one pixel.

use anyhow::{Context as _, Result, bail, ensure};
use ndarray::{ArrayD, IxDyn};

use crate::functions::{Binary, Function};
use crate::graph::{Constant, DataType, Indexed, Op, ValueId, WindowAttributes};
use crate::import::Context;

use super::{linear, require_float};

/// Pixels of an image up to which their indices are exact as floats.
const PIXELS: usize = 1 << 24;

/// Sizes of a deformable convolution.
struct Sizes {
    batch: usize,
    /// Groups of input channels that have their own offsets, and the channels of one.
    groups: usize,
    channels: usize,
    /// Elements of the kernel.
    taps: usize,
    /// Places of the output, rows and columns.
    output: [usize; 2],
}

impl Sizes {
    fn places(&self) -> usize {
        self.output[0] * self.output[1]
    }
}

/// One neighbour along one axis: its index and its weight, `[batch, groups, taps * places, 1]`.
#[derive(Clone, Copy)]
struct Neighbour {
    index: ValueId,
    weight: ValueId,
}

/// The two pixels around each place along one axis of length `len`. One off the image has weight 0.
fn neighbours(
    context: &mut Context<'_>,
    name: &str,
    place: ValueId,
    len: usize,
) -> Result<[Neighbour; 2]> {
    let part = |step: &str| format!("{name}.{step}");
    let (zero, one) = (
        context.scalar(DataType::F32, 0.0),
        context.scalar(DataType::F32, 1.0),
    );
    let last = context.scalar(DataType::F32, (len - 1) as f64);
    let low = context.function(&part("low"), Function::Floor, place)?;
    let high = context.binary(&part("high"), Binary::Add, low, one)?;
    let of_high = context.binary(&part("rest"), Binary::Sub, place, low)?;
    let of_low = context.binary(&part("share"), Binary::Sub, one, of_high)?;
    let mut one_side = |side: &str, at: ValueId, share: ValueId| -> Result<Neighbour> {
        let part = |step: &str| format!("{name}.{side}.{step}");
        let above = context.binary(&part("above"), Binary::LessOrEqual, zero, at)?;
        let below = context.binary(&part("below"), Binary::LessOrEqual, at, last)?;
        let inside = context.binary(&part("inside"), Binary::And, above, below)?;
        let weight = context.choose(&part("weight"), inside, share, zero)?;
        let shape = context.graph.shape(at).to_vec();
        let clamp = Op::Clamp {
            low: 0.0,
            high: (len - 1) as f32,
        };
        let name = context.part(&part("index"));
        let index = context.emit_named(&name, clamp, vec![at], shape)?;
        Ok(Neighbour { index, weight })
    };
    Ok([
        one_side("low", low, of_low)?,
        one_side("high", high, of_high)?,
    ])
}

/// Where kernel elements lie along axis `axis` (0 rows, 1 columns): the regular place, moved by the
/// offset.
fn moved(
    context: &mut Context<'_>,
    window: &WindowAttributes,
    sizes: &Sizes,
    axis: usize,
) -> Result<ValueId> {
    let name = ["rows", "columns"][axis];
    let regular = ArrayD::from_shape_fn(IxDyn(&[1, 1, sizes.taps, sizes.places()]), |at| {
        let kernel = [at[2] / window.kernel[1], at[2] % window.kernel[1]][axis];
        let output = [at[3] / sizes.output[1], at[3] % sizes.output[1]][axis];
        let place = output * window.strides[axis] + kernel * window.dilations[axis];
        place as f32 - window.pads_begin[axis] as f32
    });
    let regular = context
        .graph
        .add_constant(format!("{name}.regular"), Constant::F32(regular));
    let all = [sizes.batch, sizes.groups, sizes.taps, sizes.places()];
    let apart = [all[0], all[1] * all[2], 2, all[3]];
    let offsets = context.input(2)?;
    let offsets = context.reshaped("offsets", offsets, &apart)?;
    let slice = Op::Slice {
        starts: vec![0, 0, axis, 0],
        steps: vec![1; 4],
    };
    let part = context.part(&format!("{name}.offsets"));
    let offsets = context.emit_named(
        &part,
        slice,
        vec![offsets],
        vec![apart[0], apart[1], 1, apart[3]],
    )?;
    let offsets = context.reshaped(&format!("{name}.offset"), offsets, &all)?;
    let moved = context.binary(&format!("{name}.moved"), Binary::Add, regular, offsets)?;
    let flat = [all[0], all[1], all[2] * all[3], 1];
    context.reshaped(&format!("{name}.flat"), moved, &flat)
}

/// The values between pixels: `[batch, groups, taps * places, channels]`.
fn sampled(
    context: &mut Context<'_>,
    sizes: &Sizes,
    image: [usize; 2],
    [rows, columns]: [[Neighbour; 2]; 2],
) -> Result<ValueId> {
    let x = context.input(0)?;
    let pixels = image[0] * image[1];
    let x = context.reshaped(
        "groups",
        x,
        &[sizes.batch, sizes.groups, sizes.channels, pixels],
    )?;
    let (perm, shape) = (
        vec![0, 1, 3, 2],
        vec![sizes.batch, sizes.groups, pixels, sizes.channels],
    );
    let x = context.emit_named(
        &context.part("pixels"),
        Op::Transpose { perm },
        vec![x],
        shape,
    )?;
    let width = context.scalar(DataType::F32, image[1] as f64);
    let mut sum = None;
    for (i, row) in rows.iter().enumerate() {
        for (j, column) in columns.iter().enumerate() {
            let part = |step: &str| format!("{step}{i}{j}");
            let start = context.binary(&part("start"), Binary::Mul, row.index, width)?;
            let index = context.binary(&part("index"), Binary::Add, start, column.index)?;
            let index = context.cast(&part("pixel"), index, DataType::I32)?;
            let places = sizes.taps * sizes.places();
            let shape = vec![sizes.batch, sizes.groups, places, sizes.channels];
            let op = Op::Indexed(Indexed::GatherNd { batch_dims: 2 });
            let values =
                context.emit_named(&context.part(&part("values")), op, vec![x, index], shape)?;
            let weight = context.binary(&part("weight"), Binary::Mul, row.weight, column.weight)?;
            let weighted = context.binary(&part("weighted"), Binary::Mul, values, weight)?;
            sum = Some(match sum {
                None => weighted,
                Some(sum) => context.binary(&part("sum"), Binary::Add, sum, weighted)?,
            });
        }
    }
    sum.context("there are four neighbours")
}

/// Checks the node and gives its sizes and its window.
fn geometry(context: &Context<'_>) -> Result<(Sizes, WindowAttributes)> {
    let (x, w) = (context.shape(0)?, context.shape(1)?);
    let (&[batch, c, height, width], &[_, _, kernel_h, kernel_w]) = (x.as_slice(), w.as_slice())
    else {
        bail!("input of shape {x:?} and weights of shape {w:?}; four axes are accepted");
    };
    let (window, output) = context.window(&[height, width], linear::kernel_of(context, &w)?)?;
    let groups = usize::try_from(context.int("offset_group", 1)).unwrap_or(0);
    let sizes = Sizes {
        batch,
        groups,
        channels: c.checked_div(groups).unwrap_or(0),
        taps: kernel_h * kernel_w,
        output: [output[0], output[1]],
    };
    let group = linear::groups_of(context, &x, &w)?;
    let offsets = context.shape(2)?;
    ensure!(
        groups > 0
            && c.is_multiple_of(groups)
            && height * width < PIXELS
            && offsets == [batch, 2 * groups * sizes.taps, output[0], output[1]],
        "input {x:?}, weights {w:?}, offsets {offsets:?}, {group} groups and {groups} groups of offsets do not agree"
    );
    if let Some(mask) = context.optional_input(4) {
        let mask = context.graph.shape(mask);
        ensure!(
            mask == [batch, groups * sizes.taps, output[0], output[1]],
            "its mask has shape {mask:?}, which does not fit offsets {offsets:?}"
        );
    }
    Ok((sizes, window))
}

/// Sampled values as an image with one channel for each channel and element of the kernel.
fn as_image(context: &mut Context<'_>, sizes: &Sizes, values: ValueId) -> Result<ValueId> {
    let Sizes {
        batch,
        groups,
        channels,
        taps,
        output: [rows, columns],
    } = *sizes;
    let places = sizes.places();
    let apart = [batch, groups, taps, places, channels];
    let values = context.reshaped("apart", values, &apart)?;
    let (perm, shape) = (
        vec![0, 1, 4, 2, 3],
        vec![batch, groups, channels, taps, places],
    );
    let name = context.part("outside");
    let values = context.emit_named(&name, Op::Transpose { perm }, vec![values], shape)?;
    let image = [batch, groups * channels * taps, rows, columns];
    context.reshaped("image", values, &image)
}

pub(super) fn deform_conv(context: &mut Context<'_>) -> Result<ValueId> {
    context.only_attributes(&[
        "dilations",
        "group",
        "kernel_shape",
        "offset_group",
        "pads",
        "strides",
    ])?;
    require_float(context)?;
    let (sizes, window) = geometry(context)?;
    let (x, w) = (context.shape(0)?, context.shape(1)?);
    let mut around = Vec::new();
    for (axis, name) in ["row", "column"].into_iter().enumerate() {
        let place = moved(context, &window, &sizes, axis)?;
        around.push(neighbours(context, name, place, x[2 + axis])?);
    }
    let mut values = sampled(context, &sizes, [x[2], x[3]], [around[0], around[1]])?;
    if let Some(mask) = context.optional_input(4) {
        let places = sizes.taps * sizes.places();
        let mask = context.reshaped("mask", mask, &[sizes.batch, sizes.groups, places, 1])?;
        values = context.binary("masked", Binary::Mul, values, mask)?;
    }
    let image = as_image(context, &sizes, values)?;
    let weights = context.input(1)?;
    let weights = context.reshaped("weights", weights, &[w[0], w[1] * sizes.taps, 1, 1])?;
    let mut inputs = vec![image, weights];
    inputs.extend(linear::bias_of(context, 3, w[0])?);
    let op = Op::Conv {
        window: WindowAttributes {
            kernel: vec![1; 2],
            strides: vec![1; 2],
            dilations: vec![1; 2],
            pads_begin: vec![0; 2],
            pads_end: vec![0; 2],
        },
        group: linear::groups_of(context, &x, &w)?,
    };
    let [rows, columns] = sizes.output;
    context.emit(op, inputs, vec![sizes.batch, w[0], rows, columns])
}
