//! ONNX operators into the graph's: the importer's one table, and a function for each row.

use anyhow::{Context as _, Result, bail, ensure};
use ndarray::{ArrayD, IxDyn};

use super::{Context, tensors};
use crate::graph::{Constant, DataType, Op, Quantization, ValueId};

type Import = fn(&mut Context<'_>) -> Result<ValueId>;

/// The importer's one table: the ONNX operators that are supported, and how each comes in.
const TABLE: &[(&str, Import)] = &[
    ("Add", add),
    ("AveragePool", average_pool),
    ("BatchNormalization", batch_normalization),
    ("Clip", clip),
    ("Concat", concat),
    ("Constant", constant),
    ("Conv", conv),
    ("DequantizeLinear", dequantize_linear),
    ("Flatten", flatten),
    ("Gemm", gemm),
    ("GlobalAveragePool", global_average_pool),
    ("Identity", identity),
    ("MatMul", mat_mul),
    ("MaxPool", max_pool),
    ("Mul", mul),
    ("Pad", pad),
    ("QuantizeLinear", quantize_linear),
    ("Relu", relu),
    ("Reshape", reshape),
    ("Sigmoid", sigmoid),
    ("Softmax", softmax),
    ("Squeeze", squeeze),
    ("Tanh", tanh),
    ("Transpose", transpose),
    ("Unsqueeze", unsqueeze),
];

/// Names of the ONNX operators that are supported.
pub fn supported() -> impl Iterator<Item = &'static str> {
    TABLE.iter().map(|(name, _)| *name)
}

/// Imports one node: finds its row, checks what all have in common, and calls it.
pub(super) fn import(context: &mut Context<'_>) -> Result<ValueId> {
    let operator = context.node.op_type.as_str();
    let Some((_, import)) = TABLE.iter().find(|(name, _)| *name == operator) else {
        let names: Vec<&str> = supported().collect();
        bail!(
            "this operator is not supported; supported are {}",
            names.join(", ")
        );
    };
    import(context)
}

/// An axis as ONNX gives it, where negative ones count from the end.
fn axis(value: i64, rank: usize) -> Result<usize> {
    let signed = rank as i64;
    ensure!(
        (-signed..signed).contains(&value),
        "axis {value} is outside -{rank}..{rank}"
    );
    Ok(value.rem_euclid(signed) as usize)
}

/// Axes from attribute or input, sorted, without repeats.
fn axes(context: &Context<'_>, rank: usize) -> Result<Option<Vec<usize>>> {
    let values = match context.integers(1, "axes")? {
        Some(values) => Some(values),
        None => context.ints("axes"),
    };
    let Some(values) = values else {
        return Ok(None);
    };
    let mut axes = values
        .iter()
        .map(|&v| axis(v, rank))
        .collect::<Result<Vec<_>>>()?;
    axes.sort_unstable();
    ensure!(
        axes.windows(2).all(|w| w[0] != w[1]),
        "axes {values:?} name one axis twice"
    );
    Ok(Some(axes))
}

fn require_float(context: &Context<'_>) -> Result<()> {
    for id in context.inputs.iter().flatten() {
        let value = &context.graph.values[*id];
        ensure!(
            value.dtype == DataType::F32,
            "input `{}` is {}; float32 is accepted, or int8 between DequantizeLinear and QuantizeLinear",
            value.name,
            value.dtype.name()
        );
    }
    Ok(())
}

/// The shape of two operands together, by ONNX's (NumPy's) broadcasting.
fn broadcast(a: &[usize], b: &[usize]) -> Result<Vec<usize>> {
    let rank = a.len().max(b.len());
    let at =
        |shape: &[usize], i: usize| (i + shape.len()).checked_sub(rank).map_or(1, |i| shape[i]);
    (0..rank)
        .map(|i| match (at(a, i), at(b, i)) {
            (x, y) if x == y || y == 1 => Ok(x),
            (1, y) => Ok(y),
            _ => bail!("shapes {a:?} and {b:?} cannot be broadcast together"),
        })
        .collect()
}

fn binary(context: &mut Context<'_>, op: Op) -> Result<ValueId> {
    context.only_attributes(&[])?;
    require_float(context)?;
    let shape = broadcast(&context.shape(0)?, &context.shape(1)?)?;
    let inputs = vec![context.input(0)?, context.input(1)?];
    context.emit(op, inputs, shape)
}

fn add(context: &mut Context<'_>) -> Result<ValueId> {
    binary(context, Op::Add)
}

fn mul(context: &mut Context<'_>) -> Result<ValueId> {
    binary(context, Op::Mul)
}

fn unary(context: &mut Context<'_>, op: Op) -> Result<ValueId> {
    require_float(context)?;
    let (input, shape) = (context.input(0)?, context.shape(0)?);
    context.emit(op, vec![input], shape)
}

fn relu(context: &mut Context<'_>) -> Result<ValueId> {
    context.only_attributes(&[])?;
    unary(
        context,
        Op::Clamp {
            low: 0.0,
            high: f32::INFINITY,
        },
    )
}

fn sigmoid(context: &mut Context<'_>) -> Result<ValueId> {
    context.only_attributes(&[])?;
    unary(context, Op::Sigmoid)
}

fn tanh(context: &mut Context<'_>) -> Result<ValueId> {
    context.only_attributes(&[])?;
    unary(context, Op::Tanh)
}

fn clip(context: &mut Context<'_>) -> Result<ValueId> {
    context.only_attributes(&["min", "max"])?;
    let bound = |i: usize, name: &str, default: f32| -> Result<f32> {
        let Some(id) = context.optional_input(i) else {
            return Ok(context.float(name, default));
        };
        let values = context.graph.constant_f32(id);
        let values = values
            .with_context(|| format!("its {name} (input {i}) has to be a constant float32"))?;
        values
            .iter()
            .next()
            .copied()
            .with_context(|| format!("its {name} is empty"))
    };
    let low = bound(1, "min", f32::NEG_INFINITY)?;
    // ONNX: where min is above max, every element becomes max.
    let high = bound(2, "max", f32::INFINITY)?;
    let op = Op::Clamp {
        low: low.min(high),
        high,
    };
    let inputs = vec![context.input(0)?];
    ensure!(
        context.graph.values[inputs[0]].dtype == DataType::F32,
        "only float32 is supported"
    );
    let shape = context.shape(0)?;
    context.emit(op, inputs, shape)
}

fn conv(context: &mut Context<'_>) -> Result<ValueId> {
    context.only_attributes(&[
        "auto_pad",
        "dilations",
        "group",
        "kernel_shape",
        "pads",
        "strides",
    ])?;
    require_float(context)?;
    let (x, w) = (context.shape(0)?, context.shape(1)?);
    ensure!(
        x.len() == w.len() && x.len() >= 3,
        "input of shape {x:?} and weights of shape {w:?} are not those of a convolution"
    );
    let group = usize::try_from(context.int("group", 1))
        .ok()
        .filter(|&g| g > 0);
    let group = group.context("attribute `group` has to be at least 1")?;
    ensure!(
        x[1] == w[1] * group && w[0].is_multiple_of(group),
        "{} input channels, weights of shape {w:?} and {group} groups do not agree",
        x[1]
    );
    let kernel = w[2..].to_vec();
    if let Some(given) = context.ints("kernel_shape") {
        ensure!(
            given.iter().map(|&k| k as usize).eq(kernel.iter().copied()),
            "attribute `kernel_shape` {given:?} is not that of the weights, {kernel:?}"
        );
    }
    let (window, spatial) = context.window(&x[2..], kernel)?;
    let mut inputs = vec![context.input(0)?, context.input(1)?];
    if let Some(bias) = context.optional_input(2) {
        ensure!(
            context.graph.shape(bias) == [w[0]],
            "its bias has shape {:?}; [{}] is accepted",
            context.graph.shape(bias),
            w[0]
        );
        inputs.push(bias);
    }
    let mut shape = vec![x[0], w[0]];
    shape.extend(spatial);
    context.emit(Op::Conv { window, group }, inputs, shape)
}

/// Refuses a product whose right side is computed at run time.
fn require_weights(context: &Context<'_>, id: ValueId) -> Result<()> {
    let graph = &*context.graph;
    let producer = graph.nodes.iter().find(|node| node.output == id);
    let dequantized = producer.is_some_and(|node| {
        matches!(node.op, Op::Dequantize(_)) && graph.constant(node.inputs[0]).is_some()
    });
    ensure!(
        graph.constant(id).is_some() || dequantized,
        "its right side `{}` is computed at run time; a constant is accepted",
        graph.values[id].name
    );
    Ok(())
}

fn mat_mul(context: &mut Context<'_>) -> Result<ValueId> {
    context.only_attributes(&[])?;
    require_float(context)?;
    let (x, w) = (context.shape(0)?, context.shape(1)?);
    require_weights(context, context.input(1)?)?;
    let [k, n] = w.as_slice() else {
        bail!("its right side has shape {w:?}; a matrix [k, n] is accepted");
    };
    ensure!(
        !x.is_empty() && x.last() == Some(k),
        "shapes {x:?} and {w:?} cannot be multiplied"
    );
    let mut shape = x.clone();
    shape[x.len() - 1] = *n;
    let inputs = vec![context.input(0)?, context.input(1)?];
    context.emit(Op::MatMul { transposed: false }, inputs, shape)
}

fn gemm(context: &mut Context<'_>) -> Result<ValueId> {
    context.only_attributes(&["alpha", "beta", "transA", "transB"])?;
    require_float(context)?;
    let transposed = context.int("transB", 0) != 0;
    let (mut x, w) = (context.shape(0)?, context.shape(1)?);
    require_weights(context, context.input(1)?)?;
    ensure!(
        x.len() == 2 && w.len() == 2,
        "shapes {x:?} and {w:?} are not matrices"
    );
    let mut input = context.input(0)?;
    if context.int("transA", 0) != 0 {
        x.reverse();
        let name = format!("{}.transposed", context.output);
        let op = Op::Transpose { perm: vec![1, 0] };
        input = context.emit_named(&name, op, vec![input], x.clone())?;
    }
    let (k, n) = if transposed {
        (w[1], w[0])
    } else {
        (w[0], w[1])
    };
    ensure!(x[1] == k, "shapes {x:?} and {w:?} cannot be multiplied");
    let mut weights = context.input(1)?;
    let (alpha, beta) = (context.float("alpha", 1.0), context.float("beta", 1.0));
    if alpha != 1.0 {
        let values = context.graph.constant_f32(weights).map(|w| w * alpha);
        let values = values.context("attribute `alpha` other than 1 needs float32 weights")?;
        weights = context
            .graph
            .add_constant(format!("{}.alpha", context.output), Constant::F32(values));
    }
    let shape = vec![x[0], n];
    let Some(mut bias) = context.optional_input(2).filter(|_| beta != 0.0) else {
        return context.emit(Op::MatMul { transposed }, vec![input, weights], shape);
    };
    if beta != 1.0 {
        let values = context.graph.constant_f32(bias).map(|c| c * beta);
        let values =
            values.context("attribute `beta` other than 1 needs a constant float32 bias")?;
        bias = context
            .graph
            .add_constant(format!("{}.beta", context.output), Constant::F32(values));
    }
    let bias_shape = context.graph.shape(bias).to_vec();
    ensure!(
        broadcast(&bias_shape, &shape)? == shape,
        "its bias of shape {bias_shape:?} does not fit the output {shape:?}"
    );
    if bias_shape == [n] {
        return context.emit(Op::MatMul { transposed }, vec![input, weights, bias], shape);
    }
    let product = format!("{}.product", context.output);
    let op = Op::MatMul { transposed };
    let product = context.emit_named(&product, op, vec![input, weights], shape.clone())?;
    context.emit(Op::Add, vec![product, bias], shape)
}

fn batch_normalization(context: &mut Context<'_>) -> Result<ValueId> {
    context.only_attributes(&["epsilon", "momentum", "spatial", "training_mode"])?;
    require_float(context)?;
    ensure!(
        context.int("training_mode", 0) == 0 && context.int("spatial", 1) == 1,
        "training mode and non-spatial statistics are not supported: export for inference"
    );
    let shape = context.shape(0)?;
    ensure!(
        shape.len() >= 2,
        "its input has shape {shape:?}, without channels"
    );
    let parameter = |i: usize| -> Result<ArrayD<f32>> {
        let values = context.graph.constant_f32(context.input(i)?);
        let values = values.with_context(|| format!("input {i} has to be a constant"))?;
        ensure!(
            values.shape() == [shape[1]],
            "input {i} has shape {:?}",
            values.shape()
        );
        Ok(values.clone())
    };
    let [scale, bias, mean, variance] =
        [parameter(1)?, parameter(2)?, parameter(3)?, parameter(4)?];
    let epsilon = context.float("epsilon", 1e-5);
    // y = (x - mean) / sqrt(variance + epsilon) * scale + bias, as one product and one sum.
    // In f64, so that the folded constants carry one rounding.
    let mut factors = Vec::new();
    let mut offsets = Vec::new();
    for c in 0..shape[1] {
        let factor = f64::from(scale[c]) / (f64::from(variance[c]) + f64::from(epsilon)).sqrt();
        factors.push(factor as f32);
        offsets.push((f64::from(bias[c]) - f64::from(mean[c]) * factor) as f32);
    }
    let mut along_channels = vec![1; shape.len() - 1];
    along_channels[0] = shape[1];
    let mut constant = |name: &str, values: Vec<f32>| -> Result<ValueId> {
        let array = ArrayD::from_shape_vec(IxDyn(&along_channels), values)?;
        let name = format!("{}.{name}", context.output);
        Ok(context.graph.add_constant(name, Constant::F32(array)))
    };
    let (factor, offset) = (constant("factor", factors)?, constant("offset", offsets)?);
    let (input, scaled) = (context.input(0)?, format!("{}.scaled", context.output));
    let scaled = context.emit_named(&scaled, Op::Mul, vec![input, factor], shape.clone())?;
    context.emit(Op::Add, vec![scaled, offset], shape)
}

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

fn max_pool(context: &mut Context<'_>) -> Result<ValueId> {
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

fn average_pool(context: &mut Context<'_>) -> Result<ValueId> {
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

fn global_average_pool(context: &mut Context<'_>) -> Result<ValueId> {
    context.only_attributes(&[])?;
    require_float(context)?;
    let (input, x) = (context.input(0)?, context.shape(0)?);
    ensure!(
        x.len() >= 3,
        "its input has shape {x:?}, without spatial axes"
    );
    let (window, spatial) = context.window(&x[2..], x[2..].to_vec())?;
    let op = Op::AveragePool {
        window,
        count_include_pad: false,
    };
    context.emit(op, vec![input], pooled_shape(&x, spatial))
}

fn softmax(context: &mut Context<'_>) -> Result<ValueId> {
    context.only_attributes(&["axis"])?;
    require_float(context)?;
    let (input, shape) = (context.input(0)?, context.shape(0)?);
    let before_13 = context.opset < 13;
    let axis = axis(
        context.int("axis", if before_13 { 1 } else { -1 }),
        shape.len(),
    )?;
    if !before_13 || axis + 1 == shape.len() {
        return context.emit(Op::Softmax { axis }, vec![input], shape);
    }
    // Before operator set 13, softmax runs over all axes from `axis` on, as one.
    let rows = shape[..axis].iter().product();
    let flat = vec![rows, shape[axis..].iter().product()];
    let names = ["flat", "softmax"].map(|part| format!("{}.{part}", context.output));
    let x = context.emit_named(&names[0], Op::Reshape, vec![input], flat.clone())?;
    let y = context.emit_named(&names[1], Op::Softmax { axis: 1 }, vec![x], flat)?;
    context.emit(Op::Reshape, vec![y], shape)
}

fn reshape_to(context: &mut Context<'_>, shape: Vec<usize>) -> Result<ValueId> {
    let (input, from) = (context.input(0)?, context.shape(0)?);
    ensure!(
        from.iter().product::<usize>() == shape.iter().product::<usize>(),
        "shape {from:?} cannot become {shape:?}"
    );
    context.emit(Op::Reshape, vec![input], shape)
}

fn identity(context: &mut Context<'_>) -> Result<ValueId> {
    // A name for the same value: nothing to compute.
    context.input(0)
}

fn reshape(context: &mut Context<'_>) -> Result<ValueId> {
    context.only_attributes(&["allowzero"])?;
    let from = context.shape(0)?;
    let target = context
        .integers(1, "shape")?
        .context("its shape (input 1) is missing")?;
    let keep_zero = context.int("allowzero", 0) != 0;
    let mut shape = Vec::new();
    for (i, &dim) in target.iter().enumerate() {
        shape.push(match dim {
            -1 => 1,
            0 if !keep_zero => *from
                .get(i)
                .context("its shape copies a dimension that is not there")?,
            dim => usize::try_from(dim).context("its shape has a negative dimension")?,
        });
    }
    if let Some(unknown) = target.iter().position(|&dim| dim == -1) {
        let (have, rest) = (
            from.iter().product::<usize>(),
            shape.iter().product::<usize>(),
        );
        ensure!(
            rest > 0 && have.is_multiple_of(rest),
            "shape {from:?} cannot become {target:?}"
        );
        shape[unknown] = have / rest;
    }
    reshape_to(context, shape)
}

fn flatten(context: &mut Context<'_>) -> Result<ValueId> {
    context.only_attributes(&["axis"])?;
    let from = context.shape(0)?;
    let value = context.int("axis", 1);
    // Unlike elsewhere, the axis may be the rank itself.
    let split = if value == from.len() as i64 {
        from.len()
    } else {
        axis(value, from.len())?
    };
    let shape = vec![
        from[..split].iter().product(),
        from[split..].iter().product(),
    ];
    reshape_to(context, shape)
}

fn squeeze(context: &mut Context<'_>) -> Result<ValueId> {
    context.only_attributes(&["axes"])?;
    let from = context.shape(0)?;
    let axes = axes(context, from.len())?;
    let mut shape = Vec::new();
    for (i, &dim) in from.iter().enumerate() {
        let dropped = axes.as_ref().map_or(dim == 1, |axes| axes.contains(&i));
        ensure!(
            !dropped || dim == 1,
            "axis {i} of {from:?} is not 1 and cannot be squeezed"
        );
        if !dropped {
            shape.push(dim);
        }
    }
    reshape_to(context, shape)
}

fn unsqueeze(context: &mut Context<'_>) -> Result<ValueId> {
    context.only_attributes(&["axes"])?;
    let from = context.shape(0)?;
    let count = match context.integers(1, "axes")? {
        Some(axes) => axes.len(),
        None => context.ints("axes").context("its axes are missing")?.len(),
    };
    let rank = from.len() + count;
    let axes = axes(context, rank)?.context("its axes are missing")?;
    let mut rest = from.iter().copied();
    let shape = (0..rank)
        .map(|i| {
            if axes.contains(&i) {
                Some(1)
            } else {
                rest.next()
            }
        })
        .collect::<Option<Vec<_>>>();
    reshape_to(context, shape.context("its axes do not fit")?)
}

fn transpose(context: &mut Context<'_>) -> Result<ValueId> {
    context.only_attributes(&["perm"])?;
    let (input, from) = (context.input(0)?, context.shape(0)?);
    let perm = match context.ints("perm") {
        Some(perm) => perm
            .iter()
            .map(|&p| axis(p, from.len()))
            .collect::<Result<Vec<_>>>()?,
        None => (0..from.len()).rev().collect(),
    };
    let mut sorted = perm.clone();
    sorted.sort_unstable();
    ensure!(
        sorted.iter().copied().eq(0..from.len()),
        "attribute `perm` {perm:?} is no permutation"
    );
    let shape = perm.iter().map(|&p| from[p]).collect();
    context.emit(Op::Transpose { perm }, vec![input], shape)
}

fn concat(context: &mut Context<'_>) -> Result<ValueId> {
    context.only_attributes(&["axis"])?;
    let mut shape = context.shape(0)?;
    let axis = axis(context.int("axis", 1), shape.len())?;
    let inputs: Vec<ValueId> = context.inputs.iter().flatten().copied().collect();
    let dtype = context.graph.values[inputs[0]].dtype;
    shape[axis] = 0;
    for &id in &inputs {
        let value = &context.graph.values[id];
        let fits = value.shape.len() == shape.len()
            && (0..shape.len()).all(|i| i == axis || value.shape[i] == shape[i]);
        ensure!(
            fits && value.dtype == dtype,
            "input `{}` ({} {:?}) does not fit the others",
            value.name,
            value.dtype.name(),
            value.shape
        );
        shape[axis] += value.shape[axis];
    }
    context.emit(Op::Concat { axis }, inputs, shape)
}

fn pad(context: &mut Context<'_>) -> Result<ValueId> {
    context.only_attributes(&["mode", "pads", "value"])?;
    let mode = context.string("mode").unwrap_or_else(|| "constant".into());
    ensure!(
        mode == "constant",
        "mode `{mode}` is not supported, `constant` is"
    );
    let (input, from) = (context.input(0)?, context.shape(0)?);
    let pads = match context.integers(1, "pads")? {
        Some(pads) => pads,
        None => context.ints("pads").context("its pads are missing")?,
    };
    let axes = match context.integers(3, "axes")? {
        Some(axes) => axes
            .iter()
            .map(|&a| axis(a, from.len()))
            .collect::<Result<Vec<_>>>()?,
        None => (0..from.len()).collect(),
    };
    ensure!(
        pads.len() == 2 * axes.len(),
        "{} pads do not fit {} axes",
        pads.len(),
        axes.len()
    );
    let value = match context.optional_input(2) {
        None => context.float("value", 0.0),
        Some(id) => {
            let constant = context
                .graph
                .constant(id)
                .context("its value has to be a constant")?;
            match constant {
                Constant::F32(a) => a.iter().next().copied().unwrap_or(0.0),
                other => other.to_i64().and_then(|v| v.first().copied()).unwrap_or(0) as f32,
            }
        }
    };
    let (mut before, mut after) = (vec![0; from.len()], vec![0; from.len()]);
    for (i, &axis) in axes.iter().enumerate() {
        let size = |v: i64| {
            usize::try_from(v).with_context(|| {
                format!("pads {pads:?} cut the tensor; values of at least 0 are accepted")
            })
        };
        before[axis] = size(pads[i])?;
        after[axis] = size(pads[i + axes.len()])?;
    }
    let shape = (0..from.len())
        .map(|i| before[i] + from[i] + after[i])
        .collect();
    context.emit(
        Op::Pad {
            before,
            after,
            value,
        },
        vec![input],
        shape,
    )
}

fn constant(context: &mut Context<'_>) -> Result<ValueId> {
    let Some(attribute) = context.node.attribute.first() else {
        bail!("it has no value");
    };
    let constant = match attribute.name.as_str() {
        "value" => {
            let tensor = attribute.t.as_ref().context("its value is not a tensor")?;
            tensors::constant_from_proto(tensor)?
        }
        "value_float" => Constant::F32(ArrayD::from_elem(IxDyn(&[]), attribute.f)),
        "value_floats" => Constant::F32(ndarray::arr1(&attribute.floats).into_dyn()),
        "value_int" => Constant::I64(ArrayD::from_elem(IxDyn(&[]), attribute.i)),
        "value_ints" => Constant::I64(ndarray::arr1(&attribute.ints).into_dyn()),
        other => bail!(
            "attribute `{other}` is not supported; value, value_float, value_floats, value_int and value_ints are"
        ),
    };
    let output = context.output;
    Ok(context.graph.add_constant(output, constant))
}

/// Scale and zero point of a QuantizeLinear or DequantizeLinear of a tensor of shape `shape`.
fn quantization(
    context: &Context<'_>,
    shape: &[usize],
    default_type: DataType,
) -> Result<Quantization> {
    context.only_attributes(&[
        "axis",
        "saturate",
        "block_size",
        "output_dtype",
        "precision",
    ])?;
    ensure!(
        context.int("block_size", 0) == 0,
        "attribute `block_size` (blocked quantisation) is not supported; per tensor and per axis are"
    );
    let scale = context.graph.constant_f32(context.input(1)?);
    let scale = scale.context("its scale (input 1) has to be a constant float32")?;
    let per_axis = scale.ndim() > 0 && (scale.len() > 1 || shape.len() == 1);
    let axis = if per_axis && scale.len() > 1 {
        Some(axis(context.int("axis", 1), shape.len())?)
    } else {
        None
    };
    if let Some(axis) = axis {
        ensure!(
            scale.ndim() == 1 && scale.len() == shape[axis],
            "{} scales do not fit axis {axis} of {shape:?}",
            scale.len()
        );
    }
    ensure!(
        scale.iter().all(|s| s.is_finite() && *s > 0.0),
        "its scale has to be finite and greater than 0"
    );
    let (zero_point, dtype) = match context.optional_input(2) {
        None => (vec![0; scale.len()], default_type),
        Some(id) => {
            let constant = context.graph.constant(id);
            let constant = constant.context("its zero point (input 2) has to be a constant")?;
            let values = constant
                .to_i64()
                .context("its zero point has to be of integers")?;
            ensure!(
                values.len() == scale.len(),
                "{} zero points do not fit {} scales",
                values.len(),
                scale.len()
            );
            (values.iter().map(|&z| z as i32).collect(), constant.dtype())
        }
    };
    Ok(Quantization {
        scale: scale.iter().copied().collect(),
        zero_point,
        axis,
        dtype,
    })
}

fn quantize_linear(context: &mut Context<'_>) -> Result<ValueId> {
    let (input, shape) = (context.input(0)?, context.shape(0)?);
    let quantization = quantization(context, &shape, DataType::U8)?;
    ensure!(
        matches!(quantization.dtype, DataType::I8 | DataType::U8),
        "quantisation to {} is not supported; int8 and uint8 are",
        quantization.dtype.name()
    );
    ensure!(
        quantization.axis.is_none(),
        "activations quantised per axis are not supported; per tensor is"
    );
    context.emit(Op::Quantize(quantization), vec![input], shape)
}

fn dequantize_linear(context: &mut Context<'_>) -> Result<ValueId> {
    let (input, shape) = (context.input(0)?, context.shape(0)?);
    let dtype = context.graph.values[input].dtype;
    let quantization = quantization(context, &shape, dtype)?;
    ensure!(
        matches!(dtype, DataType::I8 | DataType::U8 | DataType::I32) && dtype == quantization.dtype,
        "input of type {} is not supported; int8, uint8 and int32 are",
        dtype.name()
    );
    ensure!(
        quantization.axis.is_none() || context.graph.constant(input).is_some(),
        "activations quantised per axis are not supported; per tensor is"
    );
    context.emit(Op::Dequantize(quantization), vec![input], shape)
}
