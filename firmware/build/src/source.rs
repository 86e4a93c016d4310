//! The Rust source that stands for a model.

use std::collections::BTreeSet;

use niwaki::artifact::Tensor;
use niwaki::{All, Model, OperatorSet as _};

use crate::{ARTIFACT, Error};

/// Source that gives the model's bytes, its sizes and its operators. It includes the artifact by
/// a name without a path, and so has to lie beside it.
pub(crate) fn of_model(model: &Model<'_, All>) -> Result<String, Error> {
    let inputs = sizes((0..model.input_count()).map(|i| model.input(i)));
    let outputs = sizes((0..model.output_count()).map(|i| model.output(i)));
    let constants = [
        (
            "ARENA_BYTES",
            "Bytes of activation memory that a session needs.",
            model.arena_bytes(),
        ),
        (
            "OPERATOR_COUNT",
            "Number of operators.",
            model.operator_count(),
        ),
        (
            "INPUT_BYTES",
            "Bytes of all inputs together.",
            inputs.iter().sum(),
        ),
        (
            "LARGEST_INPUT_BYTES",
            "Bytes of the largest input.",
            inputs.into_iter().max().unwrap_or(0),
        ),
        (
            "OUTPUT_BYTES",
            "Bytes of all outputs together.",
            outputs.iter().sum(),
        ),
        (
            "LARGEST_OUTPUT_BYTES",
            "Bytes of the largest output.",
            outputs.into_iter().max().unwrap_or(0),
        ),
    ];
    let constants: String = constants
        .into_iter()
        .map(|(name, doc, value)| format!("\n/// {doc}\npub const {name}: usize = {value};\n"))
        .collect();
    let operators = operator_names(model)?.join(", ");
    Ok(format!(
        "// Written by niwaki-build; made again when the model changes.\n\
         \n\
         /// The artifact, read in place.\n\
         pub static MODEL: &[u8] = {{\n    \
             // Cache lines and vector loads start at multiples of 16.\n    \
             #[repr(C, align(16))]\n    \
             struct Aligned<T: ?Sized>(T);\n    \
             &Aligned(*include_bytes!(\"{ARTIFACT}\")).0\n\
         }};\n\
         {constants}\n\
         niwaki::operator_set! {{\n    \
             /// The operators that this model uses, and no other.\n    \
             pub struct ModelOperators: {operators}\n\
         }}\n"
    ))
}

fn sizes(tensors: impl Iterator<Item = Option<Tensor>>) -> Vec<usize> {
    tensors.flatten().map(|tensor| tensor.byte_len()).collect()
}

/// Each kind of operator once, in the order of the table.
fn operator_names(model: &Model<'_, All>) -> Result<Vec<&'static str>, Error> {
    let codes: BTreeSet<u16> = model
        .operators()
        .map(|operator| operator.header.code)
        .collect();
    let name = |code| All::name(code).ok_or(Error::Nameless(code));
    codes.into_iter().map(name).collect()
}
