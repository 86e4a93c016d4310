//! What a model leaves open and its user says: sizes of symbolic dimensions, and inputs that are
//! the same in every run.

use std::collections::HashMap;

use anyhow::{Context as _, Result, bail, ensure};
use ndarray::{ArrayD, IxDyn};
use tract_onnx::pb;

use super::{Dimensions, input_type};
use crate::graph::{Constant, DataType};

/// What `--dim` and `--const` give.
#[derive(Clone, Debug, Default)]
pub struct Bindings {
    /// Sizes of symbolic dimensions, by name.
    pub dimensions: Dimensions,
    /// Values of inputs that become constants, by the input's name: numbers with commas between
    /// them, in the order of the elements; one number fills every element.
    pub constants: HashMap<String, String>,
}

impl Bindings {
    /// The constants in the types and shapes of the model's inputs.
    ///
    /// # Errors
    ///
    /// Names an input that the model does not have, or a value that does not fit it.
    pub fn resolve(&self, source: &pb::GraphProto) -> Result<HashMap<String, Constant>> {
        let mut constants = HashMap::new();
        for (name, text) in &self.constants {
            let input = source.input.iter().find(|input| input.name == *name);
            let input = input.with_context(|| {
                let names: Vec<&str> = source.input.iter().map(|i| i.name.as_str()).collect();
                format!(
                    "--const {name}: the model has no such input; it has {}",
                    names.join(", ")
                )
            })?;
            let (dtype, shape, _) = input_type(input, &self.dimensions)?;
            let constant = literal(text, dtype, &shape).with_context(|| {
                format!(
                    "--const {name}={text} does not fit an input of {} {shape:?}",
                    dtype.name()
                )
            })?;
            constants.insert(name.clone(), constant);
        }
        Ok(constants)
    }
}

/// Numbers with commas between them as a tensor.
fn literal(text: &str, dtype: DataType, shape: &[usize]) -> Result<Constant> {
    Ok(match dtype {
        DataType::F32 => Constant::F32(elements(text, shape)?),
        DataType::I8 => Constant::I8(elements(text, shape)?),
        DataType::U8 => Constant::U8(elements(text, shape)?),
        DataType::I16 => Constant::I16(elements(text, shape)?),
        DataType::U16 => Constant::U16(elements(text, shape)?),
        DataType::I32 => Constant::I32(elements(text, shape)?),
        DataType::I64 => Constant::I64(elements(text, shape)?),
        DataType::Bool => Constant::Bool(elements(text, shape)?),
    })
}

fn elements<T: std::str::FromStr + Clone>(text: &str, shape: &[usize]) -> Result<ArrayD<T>> {
    let mut values: Vec<T> = Vec::new();
    for word in text.split(',') {
        match word.trim().parse() {
            Ok(value) => values.push(value),
            Err(_) => bail!("`{word}` is not such a value"),
        }
    }
    if let [value] = values.as_slice() {
        return Ok(ArrayD::from_elem(IxDyn(shape), value.clone()));
    }
    let (given, wanted) = (values.len(), shape.iter().product::<usize>());
    ensure!(
        given == wanted,
        "it has {given} values; {wanted}, or one, are accepted"
    );
    Ok(ArrayD::from_shape_vec(IxDyn(shape), values)?)
}
