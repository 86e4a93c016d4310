//! Functions of one element, and of two with broadcasting.

use anyhow::{Result, bail, ensure};

use super::require_float;
use crate::functions::{Binary, Function};
use crate::graph::{DataType, Op, ValueId};
use crate::import::{Context, tensors};

/// Two values of one type.
fn operands(context: &Context<'_>) -> Result<[ValueId; 2]> {
    let inputs = [context.input(0)?, context.input(1)?];
    let [a, b] = inputs.map(|id| &context.graph.values[id]);
    ensure!(
        a.dtype == b.dtype,
        "`{}` is {} and `{}` is {}; two of one type are accepted",
        a.name,
        a.dtype.name(),
        b.name,
        b.dtype.name()
    );
    Ok(inputs)
}

fn binary(context: &mut Context<'_>, function: Binary) -> Result<ValueId> {
    context.only_attributes(&[])?;
    let [a, b] = operands(context)?;
    context.binary("", function, a, b)
}

fn logic(context: &mut Context<'_>, function: Binary, bits: bool) -> Result<ValueId> {
    context.only_attributes(&[])?;
    let [a, b] = operands(context)?;
    let dtype = context.dtype(a);
    let fits = if bits {
        dtype.is_integer()
    } else {
        dtype == DataType::Bool
    };
    ensure!(
        fits,
        "its inputs are {}; {} are accepted",
        dtype.name(),
        if bits { "integers" } else { "bool" }
    );
    context.binary("", function, a, b)
}

/// A function of any number of inputs, which take their turns.
fn chained(context: &mut Context<'_>, function: Binary) -> Result<ValueId> {
    context.only_attributes(&[])?;
    let inputs: Vec<ValueId> = context.inputs.iter().flatten().copied().collect();
    let mut value = context.input(0)?;
    for (i, &id) in inputs.iter().enumerate().skip(1) {
        let part = if i + 1 == inputs.len() {
            String::new()
        } else {
            i.to_string()
        };
        ensure!(
            context.dtype(id) == context.dtype(value),
            "its inputs are of several types"
        );
        value = context.binary(&part, function, value, id)?;
    }
    Ok(value)
}

macro_rules! binaries {
    ($($name:ident => $call:ident($($argument:expr),*);)*) => {$(
        pub(super) fn $name(context: &mut Context<'_>) -> Result<ValueId> {
            $call(context, $($argument),*)
        }
    )*};
}

binaries! {
    add => binary(Binary::Add);
    mul => binary(Binary::Mul);
    sub => binary(Binary::Sub);
    div => binary(Binary::Div);
    equal => binary(Binary::Equal);
    less => binary(Binary::Less);
    less_or_equal => binary(Binary::LessOrEqual);
    prelu => binary(Binary::PRelu);
    and => logic(Binary::And, false);
    or => logic(Binary::Or, false);
    xor => logic(Binary::Xor, false);
    bitwise_and => logic(Binary::And, true);
    bitwise_or => logic(Binary::Or, true);
    bitwise_xor => logic(Binary::Xor, true);
    sum => chained(Binary::Add);
    min => chained(Binary::Min);
    max => chained(Binary::Max);
}

pub(super) fn mean(context: &mut Context<'_>) -> Result<ValueId> {
    require_float(context)?;
    let count = context.inputs.iter().flatten().count();
    let mut sum = context.input(0)?;
    for i in 1..count {
        let next = context.input(i)?;
        sum = context.binary(&format!("sum{i}"), Binary::Add, sum, next)?;
    }
    let count = context.scalar(DataType::F32, count as f64);
    context.binary("", Binary::Div, sum, count)
}

pub(super) fn greater(context: &mut Context<'_>) -> Result<ValueId> {
    context.only_attributes(&[])?;
    let [a, b] = operands(context)?;
    context.binary("", Binary::Less, b, a)
}

pub(super) fn greater_or_equal(context: &mut Context<'_>) -> Result<ValueId> {
    context.only_attributes(&[])?;
    let [a, b] = operands(context)?;
    context.binary("", Binary::LessOrEqual, b, a)
}

pub(super) fn modulo(context: &mut Context<'_>) -> Result<ValueId> {
    context.only_attributes(&["fmod"])?;
    let [a, b] = operands(context)?;
    let fmod = context.int("fmod", 0) != 0;
    ensure!(
        fmod || context.dtype(a) != DataType::F32,
        "floats need attribute `fmod` 1"
    );
    context.binary("", if fmod { Binary::Fmod } else { Binary::Mod }, a, b)
}

pub(super) fn pow(context: &mut Context<'_>) -> Result<ValueId> {
    context.only_attributes(&[])?;
    let (mut x, mut y) = (context.input(0)?, context.input(1)?);
    let result = context.dtype(x);
    let wide = match (result, context.dtype(y)) {
        (DataType::F32, _) | (_, DataType::F32) => DataType::F32,
        _ => result,
    };
    x = context.cast("base", x, wide)?;
    y = context.cast("exponent", y, wide)?;
    let part = if wide == result { "" } else { "power" };
    let power = context.binary(part, Binary::Pow, x, y)?;
    context.cast("", power, result)
}

pub(super) fn bit_shift(context: &mut Context<'_>) -> Result<ValueId> {
    context.only_attributes(&["direction"])?;
    let [a, b] = operands(context)?;
    let function = match context.string("direction").as_deref() {
        Some("LEFT") => Binary::ShiftLeft,
        Some("RIGHT") => Binary::ShiftRight,
        other => bail!("attribute `direction` is {other:?}; LEFT and RIGHT are accepted"),
    };
    context.binary("", function, a, b)
}

pub(super) fn choose(context: &mut Context<'_>) -> Result<ValueId> {
    context.only_attributes(&[])?;
    let (condition, a, b) = (context.input(0)?, context.input(1)?, context.input(2)?);
    ensure!(
        context.dtype(condition) == DataType::Bool && context.dtype(a) == context.dtype(b),
        "its condition has to be bool, and its choices of one type"
    );
    context.choose("", condition, a, b)
}

pub(super) fn cast(context: &mut Context<'_>) -> Result<ValueId> {
    context.only_attributes(&["round_mode", "saturate", "to"])?;
    let to = tensors::data_type(context.int("to", 0) as i32)?;
    let x = context.input(0)?;
    context.cast("", x, to)
}

pub(super) fn cast_like(context: &mut Context<'_>) -> Result<ValueId> {
    context.only_attributes(&["round_mode", "saturate"])?;
    let (x, like) = (context.input(0)?, context.input(1)?);
    ensure!(
        !context.graph.narrow.contains_key(&like),
        "its type is one of less than a byte; QuantizeLinear gives those"
    );
    context.cast("", x, context.dtype(like))
}

pub(super) fn not(context: &mut Context<'_>) -> Result<ValueId> {
    context.only_attributes(&[])?;
    let x = context.input(0)?;
    ensure!(
        context.dtype(x) == DataType::Bool,
        "its input is {}; bool is accepted",
        context.dtype(x).name()
    );
    let truth = context.scalar(DataType::Bool, 1.0);
    context.binary("", Binary::Xor, x, truth)
}

pub(super) fn bitwise_not(context: &mut Context<'_>) -> Result<ValueId> {
    context.only_attributes(&[])?;
    let x = context.input(0)?;
    let dtype = context.dtype(x);
    ensure!(
        dtype.is_integer(),
        "its input is {}; integers are accepted",
        dtype.name()
    );
    let ones = match dtype {
        DataType::U8 => 255.0,
        DataType::U16 => 65535.0,
        _ => -1.0,
    };
    let ones = context.scalar(dtype, ones);
    context.binary("", Binary::Xor, x, ones)
}

fn unary(context: &mut Context<'_>, op: Op) -> Result<ValueId> {
    require_float(context)?;
    let (input, shape) = (context.input(0)?, context.shape(0)?);
    context.emit(op, vec![input], shape)
}

macro_rules! functions {
    ($($name:ident($($attribute:literal),*) => $function:expr;)*) => {$(
        pub(super) fn $name(context: &mut Context<'_>) -> Result<ValueId> {
            context.only_attributes(&[$($attribute),*])?;
            let function: fn(&Context<'_>) -> Function = $function;
            let function = function(context);
            unary(context, Op::Function(function))
        }
    )*};
}

functions! {
    exp() => |_| Function::Exp;
    log() => |_| Function::Log;
    sqrt() => |_| Function::Sqrt;
    reciprocal() => |_| Function::Reciprocal;
    floor() => |_| Function::Floor;
    ceil() => |_| Function::Ceil;
    round() => |_| Function::Round;
    sign() => |_| Function::Sign;
    sin() => |_| Function::Sin;
    cos() => |_| Function::Cos;
    erf() => |_| Function::Erf;
    hard_swish() => |_| Function::HardSwish;
    mish() => |_| Function::Mish;
    softplus() => |_| Function::Softplus;
    softsign() => |_| Function::Softsign;
    gelu("approximate") => |c| match c.string("approximate").as_deref() {
        Some("tanh") => Function::GeluTanh,
        _ => Function::Gelu,
    };
    elu("alpha") => |c| Function::Elu { alpha: c.float("alpha", 1.0) };
    celu("alpha") => |c| Function::Celu { alpha: c.float("alpha", 1.0) };
    thresholded_relu("alpha") => |c| Function::ThresholdedRelu { alpha: c.float("alpha", 1.0) };
    leaky_relu("alpha") => |c| Function::LeakyRelu { alpha: c.float("alpha", 0.01) };
    swish("alpha") => |c| Function::Swish { alpha: c.float("alpha", 1.0) };
    selu("alpha", "gamma") => |c| Function::Selu {
        alpha: c.float("alpha", 1.673_263_2),
        gamma: c.float("gamma", 1.050_701),
    };
    hard_sigmoid("alpha", "beta") => |c| Function::HardSigmoid {
        alpha: c.float("alpha", 0.2),
        beta: c.float("beta", 0.5),
    };
}

pub(super) fn neg(context: &mut Context<'_>) -> Result<ValueId> {
    context.only_attributes(&[])?;
    let x = context.input(0)?;
    if context.dtype(x) == DataType::F32 {
        return context.function("", Function::Neg, x);
    }
    let zero = context.scalar(context.dtype(x), 0.0);
    context.binary("", Binary::Sub, zero, x)
}

pub(super) fn abs(context: &mut Context<'_>) -> Result<ValueId> {
    context.only_attributes(&[])?;
    let x = context.input(0)?;
    match context.dtype(x) {
        DataType::F32 => context.function("", Function::Abs, x),
        DataType::U8 | DataType::U16 => Ok(x),
        dtype => {
            let zero = context.scalar(dtype, 0.0);
            let negative = context.binary("negative", Binary::Sub, zero, x)?;
            context.binary("", Binary::Max, x, negative)
        }
    }
}

pub(super) fn is_nan(context: &mut Context<'_>) -> Result<ValueId> {
    context.only_attributes(&[])?;
    unary(context, Op::IsNan)
}

pub(super) fn is_inf(context: &mut Context<'_>) -> Result<ValueId> {
    context.only_attributes(&["detect_negative", "detect_positive"])?;
    let op = Op::IsInf {
        negative: context.int("detect_negative", 1) != 0,
        positive: context.int("detect_positive", 1) != 0,
    };
    unary(context, op)
}

pub(super) fn relu(context: &mut Context<'_>) -> Result<ValueId> {
    context.only_attributes(&[])?;
    let x = context.input(0)?;
    if context.dtype(x).is_integer() {
        let zero = context.scalar(context.dtype(x), 0.0);
        return context.binary("", Binary::Max, x, zero);
    }
    unary(
        context,
        Op::Clamp {
            low: 0.0,
            high: f32::INFINITY,
        },
    )
}

pub(super) fn sigmoid(context: &mut Context<'_>) -> Result<ValueId> {
    context.only_attributes(&[])?;
    unary(context, Op::Sigmoid)
}

pub(super) fn tanh(context: &mut Context<'_>) -> Result<ValueId> {
    context.only_attributes(&[])?;
    unary(context, Op::Tanh)
}

pub(super) fn clip(context: &mut Context<'_>) -> Result<ValueId> {
    context.only_attributes(&["max", "min"])?;
    let x = context.input(0)?;
    let bounds = [context.optional_input(1), context.optional_input(2)];
    let constant = |id: Option<ValueId>, name: &str, default: f32| match id {
        None => Some(context.float(name, default)),
        Some(id) => context.graph.constant_f32(id)?.iter().next().copied(),
    };
    let low = constant(bounds[0], "min", f32::NEG_INFINITY);
    let high = constant(bounds[1], "max", f32::INFINITY);
    if context.dtype(x) == DataType::F32
        && let (Some(low), Some(high)) = (low, high)
    {
        // ONNX: where min is above max, every element becomes max.
        let low = low.min(high);
        let shape = context.shape(0)?;
        return context.emit(Op::Clamp { low, high }, vec![x], shape);
    }
    let mut value = x;
    for (bound, function, part) in [
        (
            bounds[0],
            Binary::Max,
            if bounds[1].is_some() { "low" } else { "" },
        ),
        (bounds[1], Binary::Min, ""),
    ] {
        let Some(bound) = bound else { continue };
        ensure!(
            context.dtype(bound) == context.dtype(x)
                && context.graph.shape(bound).iter().product::<usize>() == 1,
            "its bounds have to be single values of its input's type"
        );
        let bound = context.reshaped(&format!("{part}bound"), bound, &[])?;
        value = context.binary(part, function, value, bound)?;
    }
    Ok(value)
}
