//! What JavaScript sees of an input or output.

use niwaki::artifact;
use wasm_bindgen::prelude::*;

/// An input or output: its name, type, shape and meaning.
#[wasm_bindgen(getter_with_clone, inspectable)]
#[derive(Clone, Debug, PartialEq)]
pub struct Port {
    /// Its name in the ONNX model; empty when stripped.
    #[wasm_bindgen(readonly)]
    pub name: String,
    /// Element type: `int8`, `uint8`, `int32` or `float32`.
    #[wasm_bindgen(readonly)]
    pub dtype: String,
    /// Dimensions in the order of the ONNX model.
    #[wasm_bindgen(readonly)]
    pub shape: Vec<u32>,
    /// Length in bytes.
    #[wasm_bindgen(readonly)]
    pub bytes: usize,
    /// Real value of one step; 0 when it is not quantised.
    #[wasm_bindgen(readonly)]
    pub scale: f32,
    /// The quantised value that means 0.
    #[wasm_bindgen(readonly, js_name = zeroPoint)]
    pub zero_point: i32,
    /// Labels of the last axis; empty when there are none.
    #[wasm_bindgen(readonly)]
    pub labels: Vec<String>,
    /// What to do with raw data before the model sees it, as JSON; empty when nothing.
    #[wasm_bindgen(readonly)]
    pub preprocessing: String,
}

impl Port {
    pub(crate) fn new(
        model: &niwaki::Model<'_>,
        port: &artifact::Port,
        tensor: &artifact::Tensor,
    ) -> Self {
        // Memory order may differ from the model's: sort the dimensions by their ONNX axis.
        let mut axes: Vec<_> = tensor.axes().zip(tensor.shape().iter().copied()).collect();
        axes.sort_unstable();
        Self {
            name: model.text(port.name).to_owned(),
            dtype: tensor.dtype.name().to_owned(),
            shape: axes.into_iter().map(|(_, dim)| dim).collect(),
            bytes: tensor.byte_len(),
            scale: tensor.scale,
            zero_point: tensor.zero_point,
            labels: model.text(port.labels).lines().map(str::to_owned).collect(),
            preprocessing: model.text(port.preprocessing).to_owned(),
        }
    }
}
