//! ONNX operators into the graph's: the importer's one table, and what its rows share. The rows
//! themselves are in the modules, by kind.

mod elementwise;
mod linear;
mod normalization;
mod pool;
mod quantization;
mod shape;

use anyhow::{Result, bail, ensure};

use super::Context;
use crate::graph::{DataType, ValueId};

/// How an ONNX operator comes in.
#[derive(Clone, Copy)]
enum Import {
    /// It has one output.
    One(fn(&mut Context<'_>) -> Result<ValueId>),
    /// One value for each output, in ONNX's order; those behind the last used one may be left
    /// out.
    Many(fn(&mut Context<'_>) -> Result<Vec<ValueId>>),
}

use Import::{Many, One};

/// The importer's one table: the ONNX operators that are supported, and how each comes in.
const TABLE: &[(&str, Import)] = &[
    ("Add", One(elementwise::add)),
    ("AveragePool", One(pool::average_pool)),
    (
        "BatchNormalization",
        One(normalization::batch_normalization),
    ),
    ("Clip", One(elementwise::clip)),
    ("Concat", One(shape::concat)),
    ("Constant", One(shape::constant)),
    ("Conv", One(linear::conv)),
    ("DequantizeLinear", One(quantization::dequantize_linear)),
    ("Flatten", One(shape::flatten)),
    ("Gemm", One(linear::gemm)),
    ("GlobalAveragePool", One(pool::global_average_pool)),
    ("Identity", One(shape::identity)),
    ("MatMul", One(linear::mat_mul)),
    ("MaxPool", One(pool::max_pool)),
    ("Mul", One(elementwise::mul)),
    ("Pad", One(shape::pad)),
    ("QuantizeLinear", One(quantization::quantize_linear)),
    ("Relu", One(elementwise::relu)),
    ("Reshape", One(shape::reshape)),
    ("Sigmoid", One(elementwise::sigmoid)),
    ("Softmax", One(normalization::softmax)),
    ("Squeeze", One(shape::squeeze)),
    ("Tanh", One(elementwise::tanh)),
    ("Transpose", One(shape::transpose)),
    ("Unsqueeze", One(shape::unsqueeze)),
];

/// Names of the ONNX operators that are supported.
pub fn supported() -> impl Iterator<Item = &'static str> {
    TABLE.iter().map(|(name, _)| *name)
}

/// Imports one node: finds its row, checks what all have in common, and calls it. Gives the
/// values of its outputs.
pub(super) fn import(context: &mut Context<'_>) -> Result<Vec<ValueId>> {
    let operator = context.node.op_type.as_str();
    let Some((_, import)) = TABLE.iter().find(|(name, _)| *name == operator) else {
        let names: Vec<&str> = supported().collect();
        bail!(
            "this operator is not supported; supported are {}",
            names.join(", ")
        );
    };
    match import {
        One(import) => Ok(vec![import(context)?]),
        Many(import) => import(context),
    }
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
