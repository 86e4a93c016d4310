//! What is known at compile time: shapes, ranges, masks.

use anyhow::{Context as _, Result, ensure};
use ndarray::{ArrayD, IxDyn};

use super::require_test;
use crate::compiler::fold::Budget;
use crate::graph::{Constant, DataType, Op, ValueId};
use crate::import::{Context, tensors};
use crate::map_array;

pub(super) fn shape(context: &mut Context<'_>) -> Result<ValueId> {
    context.only_attributes(&["end", "start"])?;
    let shape = context.shape(0)?;
    let rank = shape.len() as i64;
    let place = |v: i64| (if v < 0 { v + rank } else { v }).clamp(0, rank) as usize;
    let (start, end) = (
        place(context.int("start", 0)),
        place(context.int("end", rank)),
    );
    let part = shape.get(start..end).unwrap_or_default();
    let dims: Vec<i64> = part.iter().map(|&dim| dim as i64).collect();
    let constant = Constant::I64(ndarray::arr1(&dims).into_dyn());
    let name = context.part("");
    Ok(context.graph.add_constant(name, constant))
}

pub(super) fn size(context: &mut Context<'_>) -> Result<ValueId> {
    context.only_attributes(&[])?;
    let size = context.shape(0)?.iter().product::<usize>() as i64;
    let constant = Constant::I64(ArrayD::from_elem(IxDyn(&[]), size));
    let name = context.part("");
    Ok(context.graph.add_constant(name, constant))
}

pub(super) fn constant_of_shape(context: &mut Context<'_>) -> Result<ValueId> {
    context.only_attributes(&["value"])?;
    let shape = context
        .integers(0, "shape")?
        .context("its shape is missing")?;
    let shape: Vec<usize> = shape
        .iter()
        .map(|&dim| usize::try_from(dim).context("its shape has a negative dimension"))
        .collect::<Result<_>>()?;
    let value = context.attribute("value").and_then(|a| a.t.as_ref());
    let value = match value {
        Some(tensor) => tensors::whole_from_proto(tensor)?,
        None => Constant::F32(ArrayD::zeros(IxDyn(&[]))),
    };
    Budget::check(&shape, value.dtype().stored().bytes())?;
    let filled = map_array!(value, a => {
        let one = *a.iter().next().context("its value is empty")?;
        ArrayD::from_elem(IxDyn(&shape), one)
    });
    let name = context.part("");
    Ok(context.graph.add_constant(name, filled))
}

pub(super) fn range(context: &mut Context<'_>) -> Result<ValueId> {
    context.only_attributes(&["stash_type"])?;
    let dtype = context.dtype(context.input(0)?);
    let name = context.part("");
    let mut bounds = [0.0; 3];
    for (i, name) in ["start", "limit", "delta"].into_iter().enumerate() {
        let bound = context.number(i, name)?;
        bounds[i] = bound.with_context(|| format!("its {name} is missing"))?;
    }
    let [start, limit, delta] = bounds;
    ensure!(delta != 0.0, "its delta is 0");
    let count = ((limit - start) / delta).ceil().max(0.0);
    Budget::check(&[count as usize], dtype.stored().bytes())?;
    let values = (0..count as i64).map(|i| start + i as f64 * delta);
    let constant = match dtype {
        DataType::F32 => {
            // In f32, as ONNX has it: start plus a multiple of delta.
            let (start, delta) = (start as f32, delta as f32);
            let values: Vec<f32> = (0..count as i64)
                .map(|i| start + i as f32 * delta)
                .collect();
            Constant::F32(ndarray::arr1(&values).into_dyn())
        }
        DataType::I16 => {
            let values: Vec<i16> = values.map(|v| v as i16).collect();
            Constant::I16(ndarray::arr1(&values).into_dyn())
        }
        DataType::I32 => {
            let values: Vec<i32> = values.map(|v| v as i32).collect();
            Constant::I32(ndarray::arr1(&values).into_dyn())
        }
        _ => {
            let values: Vec<i64> = values.map(|v| v as i64).collect();
            Constant::I64(ndarray::arr1(&values).into_dyn())
        }
    };
    Ok(context.graph.add_constant(name, constant))
}

pub(super) fn eye_like(context: &mut Context<'_>) -> Result<ValueId> {
    context.only_attributes(&["dtype", "k"])?;
    let shape = context.shape(0)?;
    ensure!(
        shape.len() == 2,
        "its input has shape {shape:?}, not that of a matrix"
    );
    let dtype = match context.attribute("dtype") {
        Some(attribute) => tensors::data_type(attribute.i as i32)?,
        None => context.dtype(context.input(0)?),
    };
    let k = context.int("k", 0);
    Budget::check(&shape, dtype.stored().bytes())?;
    let ones = ArrayD::from_shape_fn(IxDyn(&shape), |at| at[1] as i64 - at[0] as i64 == k);
    let ones = context.graph.add_constant("eye", Constant::Bool(ones));
    context.emit(Op::Cast(dtype), vec![ones], shape)
}

pub(super) fn dropout(context: &mut Context<'_>) -> Result<Vec<ValueId>> {
    context.only_attributes(&["is_test", "ratio", "seed"])?;
    require_test(context)?;
    let (x, shape) = (context.input(0)?, context.shape(0)?);
    let training = context.number(2, "training_mode")?.unwrap_or(0.0) != 0.0;
    ensure!(
        !training || context.number(1, "ratio")? == Some(0.0),
        "training mode is not supported: export for inference"
    );
    if context.node.output.get(1).is_none_or(String::is_empty) {
        return Ok(vec![x]);
    }
    Budget::check(&shape, 1)?;
    let mask = Constant::Bool(ArrayD::from_elem(IxDyn(&shape), true));
    let name = context.output_name(1);
    let mask = context.graph.add_constant(name, mask);
    Ok(vec![x, mask])
}

pub(super) fn trilu(context: &mut Context<'_>) -> Result<ValueId> {
    context.only_attributes(&["upper"])?;
    let (x, shape) = (context.input(0)?, context.shape(0)?);
    let rank = shape.len();
    ensure!(rank >= 2, "its input has shape {shape:?}, without matrices");
    let k = context.integers(1, "k")?;
    let k = k.and_then(|k| k.first().copied()).unwrap_or(0);
    let upper = context.int("upper", 1) != 0;
    Budget::check(&shape[rank - 2..], 1)?;
    let kept = ArrayD::from_shape_fn(IxDyn(&shape[rank - 2..]), |at| {
        let diagonal = at[1] as i64 - at[0] as i64;
        if upper { diagonal >= k } else { diagonal <= k }
    });
    let name = context.part("kept");
    let kept = context.graph.add_constant(name, Constant::Bool(kept));
    let zero = context.scalar(context.dtype(x), 0.0);
    context.choose("", kept, x, zero)
}
