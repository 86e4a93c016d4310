//! Resize and Upsample, one axis after the other: where an output lies on the input is known here,
//! so each axis is a table of positions and weights.

use std::collections::BTreeMap;

use anyhow::{Context as _, Result, bail, ensure};

use super::axis;
use crate::graph::{Constant, DataType, Op, ValueId};
use crate::import::Context;
use crate::layers::Resampling;

/// Longest axis that is resized, of input and output: what a table of it may cost.
const LONGEST: usize = 1 << 20;

/// How positions of the output become positions of the input: ONNX's names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Coordinates {
    HalfPixel,
    HalfPixelSymmetric,
    PytorchHalfPixel,
    AlignCorners,
    Asymmetric,
    TfHalfPixelForNn,
    TfCropAndResize,
}

/// Which neighbour is the nearest one.
#[derive(Clone, Copy, Debug)]
enum Nearest {
    RoundPreferFloor,
    RoundPreferCeil,
    Floor,
    Ceil,
}

/// What is taken from the neighbours of a position.
#[derive(Clone, Copy, Debug)]
enum Method {
    Nearest(Nearest),
    Linear,
    /// With ONNX's `cubic_coeff_a`.
    Cubic(f64),
}

/// How all axes are resized.
#[derive(Clone, Copy, Debug)]
struct Sampling {
    coordinates: Coordinates,
    method: Method,
    exclude_outside: bool,
    antialias: bool,
    /// The value of positions outside the input, of `tf_crop_and_resize` alone.
    outside: f32,
}

/// One axis that is resized.
#[derive(Clone, Copy, Debug)]
struct Resized {
    axis: usize,
    from: usize,
    to: usize,
    /// Output length over input length, as the model gives it.
    scale: f32,
    /// The length that the scale asks for, before it is cut to an integer.
    exact: f32,
    /// Start and end of the part that is taken, in input lengths.
    region: [f32; 2],
}

impl Coordinates {
    fn parse(name: &str) -> Result<Self> {
        Ok(match name {
            "half_pixel" => Self::HalfPixel,
            "half_pixel_symmetric" => Self::HalfPixelSymmetric,
            "pytorch_half_pixel" => Self::PytorchHalfPixel,
            "align_corners" => Self::AlignCorners,
            "asymmetric" => Self::Asymmetric,
            "tf_half_pixel_for_nn" => Self::TfHalfPixelForNn,
            "tf_crop_and_resize" => Self::TfCropAndResize,
            other => bail!(
                "coordinate_transformation_mode `{other}` is not one of ONNX's: half_pixel, half_pixel_symmetric, pytorch_half_pixel, align_corners, asymmetric, tf_half_pixel_for_nn, tf_crop_and_resize"
            ),
        })
    }

    /// Where output `x` lies on the input, in f32 as onnxruntime computes it: which of two
    /// neighbours is the nearest may depend on the last bit.
    fn place(self, x: usize, axis: &Resized) -> f32 {
        let (x, scale) = (x as f32, axis.scale);
        let (from, to) = (axis.from as f32, axis.to as f32);
        let exact = axis.exact;
        let half_pixel = (x + 0.5) / scale - 0.5;
        match self {
            Self::HalfPixel => half_pixel,
            Self::HalfPixelSymmetric => from / 2.0 * (1.0 - to / exact) + half_pixel,
            Self::PytorchHalfPixel if axis.to == 1 => 0.0,
            Self::PytorchHalfPixel => half_pixel,
            Self::AlignCorners if exact == 1.0 || axis.to == 1 => 0.0,
            Self::AlignCorners => x * (from - 1.0) / (exact - 1.0),
            Self::Asymmetric => x / scale,
            Self::TfHalfPixelForNn => (x + 0.5) / scale,
            Self::TfCropAndResize => {
                let [start, end] = axis.region;
                let last = from - 1.0;
                if axis.to == 1 {
                    0.5 * (start + end) * last
                } else {
                    start * last + x * (end - start) * last / (to - 1.0)
                }
            }
        }
    }
}

impl Nearest {
    fn parse(name: &str) -> Result<Self> {
        Ok(match name {
            "round_prefer_floor" => Self::RoundPreferFloor,
            "round_prefer_ceil" => Self::RoundPreferCeil,
            "floor" => Self::Floor,
            "ceil" => Self::Ceil,
            other => bail!(
                "nearest_mode `{other}` is not one of ONNX's: round_prefer_floor, round_prefer_ceil, floor, ceil"
            ),
        })
    }

    /// The position for a place on an axis of that length.
    fn pick(self, place: f32, len: usize) -> u32 {
        let place = f64::from(place);
        let position = match self {
            Self::RoundPreferFloor => (place - 0.5).ceil(),
            Self::RoundPreferCeil => (place + 0.5).floor(),
            Self::Floor => place.floor(),
            Self::Ceil => place.ceil(),
        };
        position.clamp(0.0, (len - 1) as f64) as u32
    }
}

impl Method {
    /// How much a neighbour at that distance counts.
    fn filter(self, distance: f64) -> f64 {
        let x = distance.abs();
        match self {
            Self::Cubic(a) if x <= 1.0 => ((a + 2.0) * x - (a + 3.0)) * x * x + 1.0,
            Self::Cubic(a) if x < 2.0 => ((a * x - 5.0 * a) * x + 8.0 * a) * x - 4.0 * a,
            Self::Cubic(_) => 0.0,
            _ => (1.0 - x).max(0.0),
        }
    }

    /// The distance from which on no neighbour counts.
    fn reach(self) -> f64 {
        match self {
            Self::Cubic(_) => 2.0,
            _ => 1.0,
        }
    }
}

impl Sampling {
    /// Whether the place is outside the input, where nothing is interpolated.
    fn is_outside(&self, place: f32, axis: &Resized) -> bool {
        let inside = (0.0..=(axis.from - 1) as f32).contains(&place);
        self.coordinates == Coordinates::TfCropAndResize && !inside
    }

    /// Positions and weights of the neighbours of a place; weights sum up to 1.
    fn neighbours(&self, place: f32, axis: &Resized) -> BTreeMap<u32, f64> {
        let mut weights = BTreeMap::new();
        if self.is_outside(place, axis) {
            return weights;
        }
        if let Method::Nearest(nearest) = self.method {
            weights.insert(nearest.pick(place, axis.from), 1.0);
            return weights;
        }
        let place = f64::from(place);
        // Antialiasing widens the filter as far as the axis is made shorter.
        let squeeze = match self.antialias {
            true => f64::from(axis.scale).min(1.0),
            false => 1.0,
        };
        let span = (self.method.reach() / squeeze).ceil() as i64;
        let (middle, last) = (place.floor() as i64, axis.from as i64 - 1);
        let mut sum = 0.0;
        for position in middle - span + 1..=middle + span {
            let weight = self.method.filter((position as f64 - place) * squeeze);
            let inside = position.clamp(0, last);
            if weight != 0.0 && (inside == position || !self.exclude_outside) {
                *weights.entry(inside as u32).or_insert(0.0) += weight;
                sum += weight;
            }
        }
        weights.values_mut().for_each(|weight| *weight /= sum);
        weights
    }

    /// The table of an axis.
    fn table(&self, axis: &Resized) -> Resampling {
        let places = (0..axis.to).map(|x| self.coordinates.place(x, axis));
        let positions: Vec<BTreeMap<u32, f64>> =
            places.map(|place| self.neighbours(place, axis)).collect();
        let taps = positions
            .iter()
            .map(BTreeMap::len)
            .max()
            .unwrap_or(1)
            .max(1);
        let (mut indices, mut weights) = (Vec::new(), Vec::new());
        for position in &positions {
            // What fills up a position weighs nothing; outside the input it is the sign for that.
            let filling = position.keys().next().copied().unwrap_or(axis.from as u32);
            let filled = position.iter().map(|(&index, &weight)| (index, weight));
            let filled = filled.chain(std::iter::repeat((filling, 0.0))).take(taps);
            filled.for_each(|(index, weight)| {
                indices.push(index);
                weights.push(weight as f32);
            });
        }
        Resampling {
            axis: axis.axis,
            taps,
            indices,
            weights,
            outside: self.outside,
        }
    }
}

/// The floats of input `i`, which has to be constant; `None` when it is left out or empty.
fn floats(context: &Context<'_>, i: usize, what: &str) -> Result<Option<Vec<f32>>> {
    let Some(id) = context.optional_input(i) else {
        return Ok(None);
    };
    let constant = context.graph.constant(id).with_context(|| {
        format!("its {what} (input {i}) is computed at run time; a constant is accepted")
    })?;
    let Constant::F32(values) = constant else {
        bail!(
            "its {what} (input {i}) is {}; float32 is accepted",
            constant.dtype().name()
        );
    };
    ensure!(
        values.iter().all(|v| v.is_finite()),
        "its {what} (input {i}) has to be finite"
    );
    let values: Vec<f32> = values.iter().copied().collect();
    Ok((!values.is_empty()).then_some(values))
}

/// The axes that scales, sizes and regions are for.
fn resized_axes(context: &Context<'_>, rank: usize) -> Result<Vec<usize>> {
    let Some(values) = context.ints("axes") else {
        return Ok((0..rank).collect());
    };
    let axes: Vec<usize> = values
        .iter()
        .map(|&v| axis(v, rank))
        .collect::<Result<_>>()?;
    let mut sorted = axes.clone();
    sorted.sort_unstable();
    sorted.dedup();
    ensure!(
        sorted.len() == axes.len(),
        "axes {values:?} name one axis twice"
    );
    Ok(axes)
}

/// The axes with the lengths that scales give them.
fn from_scales(shape: &[usize], axes: &[usize], scales: &[f32]) -> Result<Vec<Resized>> {
    ensure!(
        scales.len() == axes.len() && scales.iter().all(|&scale| scale.is_finite() && scale > 0.0),
        "scales {scales:?} do not fit {} axes: one above 0 for each is accepted",
        axes.len()
    );
    let pairs = axes.iter().zip(scales);
    let resized = pairs.map(|(&axis, &scale)| Resized {
        axis,
        from: shape[axis],
        to: (shape[axis] as f32 * scale) as usize,
        scale,
        exact: shape[axis] as f32 * scale,
        region: [0.0, 1.0],
    });
    Ok(resized.collect())
}

/// The axes with the given lengths, or those that keep the input's proportions.
fn from_sizes(
    context: &Context<'_>,
    shape: &[usize],
    axes: &[usize],
    sizes: &[i64],
) -> Result<Vec<Resized>> {
    let lengths: Vec<usize> = sizes
        .iter()
        .filter_map(|&size| usize::try_from(size).ok().filter(|&size| size > 0))
        .collect();
    ensure!(
        lengths.len() == axes.len() && sizes.len() == axes.len(),
        "sizes {sizes:?} do not fit {} axes: one of at least 1 for each is accepted",
        axes.len()
    );
    let pairs = axes.iter().zip(&lengths);
    let mut resized: Vec<Resized> = pairs
        .map(|(&axis, &to)| Resized {
            axis,
            from: shape[axis],
            to,
            scale: to as f32 / shape[axis] as f32,
            exact: to as f32,
            region: [0.0, 1.0],
        })
        .collect();
    let policy = context.string("keep_aspect_ratio_policy");
    let scales = resized.iter().map(|axis| axis.scale);
    let scale = match policy.as_deref().unwrap_or("stretch") {
        "stretch" => return Ok(resized),
        "not_larger" => scales.reduce(f32::min),
        "not_smaller" => scales.reduce(f32::max),
        other => bail!(
            "keep_aspect_ratio_policy `{other}` is not one of ONNX's: stretch, not_larger, not_smaller"
        ),
    };
    for axis in &mut resized {
        axis.scale = scale.unwrap_or(axis.scale);
        axis.exact = axis.scale * axis.from as f32;
        axis.to = (axis.exact + 0.5) as usize;
    }
    Ok(resized)
}

/// Adds the steps: one for each axis that changes, those that make the tensor smaller first.
fn resample(
    context: &mut Context<'_>,
    mut resized: Vec<Resized>,
    sampling: impl Fn(&Resized) -> Sampling,
) -> Result<ValueId> {
    let mut y = context.input(0)?;
    let float = context.dtype(y) == DataType::F32;
    for axis in &resized {
        ensure!(
            [axis.from, axis.to]
                .iter()
                .all(|len| (1..=LONGEST).contains(len)),
            "axis {} of length {} becomes {} long; 1 to {LONGEST} are supported",
            axis.axis,
            axis.from,
            axis.to
        );
    }
    // An axis that keeps its length stays as it is, whatever the coordinates: as onnxruntime.
    let stays = |axis: &Resized| axis.scale == 1.0 && axis.from == axis.to;
    resized.retain(|axis| !stays(axis) || axis.region != [0.0, 1.0]);
    resized.sort_by(|a, b| (a.to * b.from).cmp(&(b.to * a.from)));
    for (i, axis) in resized.iter().enumerate() {
        let sampling = sampling(axis);
        let table = sampling.table(axis);
        let copies = matches!(sampling.method, Method::Nearest(_));
        let mut shape = context.graph.shape(y).to_vec();
        shape[axis.axis] = axis.to;
        let op = if copies && !table.indices.contains(&(axis.from as u32)) {
            Op::Take {
                axis: axis.axis,
                indices: table.indices,
            }
        } else {
            ensure!(
                float,
                "mode linear or cubic, or a region beyond the input, of {} is not supported; float32 is",
                context.dtype(y).name()
            );
            Op::Resample(table)
        };
        let part = match i + 1 == resized.len() {
            true => String::new(),
            false => format!("axis{}", axis.axis),
        };
        y = context.emit_named(&context.part(&part), op, vec![y], shape)?;
    }
    Ok(y)
}

/// How an axis is resized by Upsample, and by Resize before its modes came in operator set 11.
fn early(context: &Context<'_>, axis: &Resized) -> Result<Sampling> {
    let mode = context.string("mode").unwrap_or_else(|| "nearest".into());
    Ok(Sampling {
        coordinates: Coordinates::Asymmetric,
        method: match mode.as_str() {
            // As onnxruntime and the cases of those operator sets have it.
            "nearest" if axis.scale < 1.0 => Method::Nearest(Nearest::Ceil),
            "nearest" => Method::Nearest(Nearest::Floor),
            "linear" => Method::Linear,
            other => bail!("mode `{other}` is not supported; nearest and linear are"),
        },
        exclude_outside: false,
        antialias: false,
        outside: 0.0,
    })
}

fn resample_early(context: &mut Context<'_>, scales: &[f32]) -> Result<ValueId> {
    let shape = context.shape(0)?;
    let axes: Vec<usize> = (0..shape.len()).collect();
    let resized = from_scales(&shape, &axes, scales)?;
    let samplings = resized
        .iter()
        .map(|axis| early(context, axis))
        .collect::<Result<Vec<_>>>()?;
    let by_axis = |axis: &Resized| samplings[axis.axis];
    resample(context, resized, by_axis)
}

pub(super) fn upsample(context: &mut Context<'_>) -> Result<ValueId> {
    context.only_attributes(&["mode", "scales"])?;
    let scales = match context.floats("scales") {
        Some(scales) => scales,
        None => floats(context, 1, "scales")?.context("its scales are missing")?,
    };
    resample_early(context, &scales)
}

pub(super) fn resize(context: &mut Context<'_>) -> Result<ValueId> {
    if context.opset < 11 {
        context.only_attributes(&["mode"])?;
        let scales = floats(context, 1, "scales")?.context("its scales are missing")?;
        return resample_early(context, &scales);
    }
    context.only_attributes(&[
        "antialias",
        "axes",
        "coordinate_transformation_mode",
        "cubic_coeff_a",
        "exclude_outside",
        "extrapolation_value",
        "keep_aspect_ratio_policy",
        "mode",
        "nearest_mode",
    ])?;
    let shape = context.shape(0)?;
    let axes = resized_axes(context, shape.len())?;
    let sizes = context.integers(3, "sizes")?.filter(|s| !s.is_empty());
    let mut resized = match (floats(context, 2, "scales")?, sizes) {
        (Some(scales), None) => from_scales(&shape, &axes, &scales)?,
        (None, Some(sizes)) => from_sizes(context, &shape, &axes, &sizes)?,
        _ => bail!("it needs either scales (input 2) or sizes (input 3)"),
    };
    let sampling = sampling(context)?;
    if sampling.coordinates == Coordinates::TfCropAndResize {
        let region = floats(context, 1, "roi")?.unwrap_or_default();
        ensure!(
            region.len() == 2 * axes.len(),
            "its roi (input 1) has {} values for {} axes",
            region.len(),
            axes.len()
        );
        for (i, axis) in resized.iter_mut().enumerate() {
            axis.region = [region[i], region[i + axes.len()]];
        }
    }
    resample(context, resized, |_| sampling)
}

/// What the attributes of Resize say.
fn sampling(context: &Context<'_>) -> Result<Sampling> {
    let text = |name: &str, default: &str| context.string(name).unwrap_or_else(|| default.into());
    let method = match text("mode", "nearest").as_str() {
        "nearest" => Method::Nearest(Nearest::parse(&text("nearest_mode", "round_prefer_floor"))?),
        "linear" => Method::Linear,
        "cubic" => Method::Cubic(f64::from(context.float("cubic_coeff_a", -0.75))),
        other => bail!("mode `{other}` is not supported; nearest, linear and cubic are"),
    };
    let antialias = context.int("antialias", 0) != 0;
    ensure!(
        !(antialias && matches!(method, Method::Nearest(_))),
        "attribute `antialias` does not go with mode nearest; linear and cubic are accepted"
    );
    let outside = context.float("extrapolation_value", 0.0);
    ensure!(
        outside.is_finite(),
        "attribute `extrapolation_value` is {outside}; a finite value is accepted"
    );
    Ok(Sampling {
        coordinates: Coordinates::parse(&text("coordinate_transformation_mode", "half_pixel"))?,
        method,
        exclude_outside: context.int("exclude_outside", 0) != 0,
        antialias,
        outside,
    })
}
