//! What the right outputs are: tract running the original ONNX model, or recorded outputs.

use std::path::Path;

use anyhow::{Context as _, Result, bail};
use tract_onnx::prelude::*;

use crate::data::{self, Elements, Samples, Side, Slot};
use crate::graph::{DataType as GraphType, Graph};
use crate::import::{self, Bindings};
use crate::progress;

/// Runs an ONNX model with tract, an implementation of its own.
///
/// # Errors
///
/// When tract refuses the model.
pub fn run_tract(path: &Path, bindings: &Bindings, samples: &Samples) -> Result<Samples> {
    let graph = import::import_bound(path, bindings)?.graph;
    let place = || format!("tract cannot run {}", path.display());
    let mut model = model(path, bindings).with_context(place)?;
    for (i, &id) in graph.inputs.iter().enumerate() {
        let value = &graph.values[id];
        let fact = InferenceFact::dt_shape(tract_type(value.dtype), &value.shape);
        model
            .set_input_fact(i, fact)
            .map_err(flat)
            .with_context(place)?;
    }
    let runnable = model
        .into_typed()
        .and_then(tract_onnx::prelude::IntoRunnable::into_runnable)
        .map_err(flat)
        .with_context(place)?;
    let progress = progress::bar("reference", samples.samples.len());
    let mut results = Vec::new();
    for sample in &samples.samples {
        let inputs = sample.iter().zip(&graph.inputs).map(|(elements, &id)| {
            tensor(elements, graph.shape(id)).map(tract_onnx::prelude::IntoTValue::into_tvalue)
        });
        let inputs: TVec<TValue> = inputs.collect::<Result<_>>()?;
        let outputs = runnable.run(inputs).map_err(flat).with_context(place)?;
        results.push(
            outputs
                .iter()
                .map(|output| elements(output))
                .collect::<Result<_>>()?,
        );
        progress.inc(1);
    }
    progress.finish_and_clear();
    Ok(Samples { samples: results })
}

/// The model as tract reads it, inputs that are bound to a value taken as constants.
fn model(path: &Path, bindings: &Bindings) -> Result<InferenceModel> {
    let onnx = tract_onnx::onnx();
    if bindings.constants.is_empty() {
        return onnx.model_for_path(path).map_err(flat);
    }
    let mut model = onnx.proto_model_for_path(path).map_err(flat)?;
    if let Some(graph) = &mut model.graph {
        let constants = bindings.resolve(graph)?;
        let bound = |name: &String| constants.contains_key(name);
        graph.input.retain(|input| !bound(&input.name));
        graph.initializer.retain(|tensor| !bound(&tensor.name));
        let tensors = constants.iter();
        let tensors = tensors.map(|(name, constant)| import::constant_to_proto(name, constant));
        graph.initializer.extend(tensors);
    }
    onnx.model_for_proto_model(&model).map_err(flat)
}

/// tract's error with its causes in one line.
fn flat(error: impl std::fmt::Display) -> anyhow::Error {
    anyhow::anyhow!("{error:#}")
}

fn tract_type(dtype: GraphType) -> DatumType {
    match dtype {
        GraphType::F32 => f32::datum_type(),
        GraphType::I8 => i8::datum_type(),
        GraphType::U8 => u8::datum_type(),
        GraphType::I16 => i16::datum_type(),
        GraphType::U16 => u16::datum_type(),
        GraphType::I32 => i32::datum_type(),
        GraphType::I64 => i64::datum_type(),
        GraphType::Bool => bool::datum_type(),
    }
}

fn tensor(elements: &Elements, shape: &[usize]) -> Result<Tensor> {
    let tensor = match elements {
        Elements::F32(v) => Tensor::from_shape(shape, v),
        Elements::I8(v) => Tensor::from_shape(shape, v),
        Elements::U8(v) => Tensor::from_shape(shape, v),
        Elements::I32(v) => Tensor::from_shape(shape, v),
        Elements::I64(v) => Tensor::from_shape(shape, v),
        Elements::I16(v) => Tensor::from_shape(shape, v),
        Elements::U16(v) => Tensor::from_shape(shape, v),
        Elements::Bool(v) => Tensor::from_shape(shape, v),
    };
    tensor.map_err(flat)
}

fn elements(tensor: &Tensor) -> Result<Elements> {
    let bytes = tensor.as_bytes();
    // tract keeps int8 that it knows to be quantised under a type of its own.
    let dtype = match tensor.datum_type().unquantized() {
        DatumType::F32 => niwaki::artifact::DataType::F32,
        DatumType::I8 => niwaki::artifact::DataType::I8,
        DatumType::U8 => niwaki::artifact::DataType::U8,
        DatumType::I16 => niwaki::artifact::DataType::I16,
        DatumType::U16 => niwaki::artifact::DataType::U16,
        DatumType::I32 => niwaki::artifact::DataType::I32,
        DatumType::I64 => niwaki::artifact::DataType::I64,
        DatumType::Bool => niwaki::artifact::DataType::Bool,
        other => bail!("tract gives an output of type {other:?}, which is not supported"),
    };
    Ok(Elements::from_bytes(dtype, bytes))
}

/// Inputs of an ONNX model as slots for data.
pub fn input_slots(graph: &Graph) -> Vec<Slot> {
    let inputs = graph.inputs.iter().map(|&id| &graph.values[id]);
    inputs
        .map(|value| Slot {
            name: value.name.clone(),
            dtype: value.dtype.stored(),
            shape: value.shape.clone(),
        })
        .collect()
}

/// Recorded outputs: an `.npz`, an `.npy` or a folder of `test_data_set_*`, as float32 or as the
/// outputs are stored.
///
/// # Errors
///
/// Names the file and the array.
pub fn read_recorded(path: &Path, slots: &[Slot]) -> Result<Samples> {
    let stored = data::read_samples(path, slots, Side::Output);
    if stored.is_ok() {
        return stored;
    }
    // An int8 model may be held against the float outputs of the model that it was made from.
    let floats: Vec<Slot> = slots
        .iter()
        .map(|slot| Slot {
            dtype: niwaki::artifact::DataType::F32,
            ..slot.clone()
        })
        .collect();
    data::read_samples(path, &floats, Side::Output).or(stored)
}
