//! The niwaki runtime for browsers and Node.
//!
//! [`Model`] is the JavaScript class. It is a thin skin over [`Instance`], which is plain Rust and
//! is tested on the host; every refusal becomes a JavaScript `Error` with the text of [`Error`].

mod buffer;
mod error;
mod instance;
mod port;

pub use error::Error;
pub use instance::Instance;
pub use port::Port;

use wasm_bindgen::prelude::*;

/// A model that has passed every check, and the memory that it runs in.
#[wasm_bindgen]
#[derive(Debug)]
pub struct Model(Instance);

#[wasm_bindgen]
impl Model {
    /// Checks the bytes of a `.niwaki` file and keeps a copy of them.
    /// Throws an `Error` that names what is wrong with the file and where.
    #[wasm_bindgen(constructor)]
    pub fn new(bytes: &[u8]) -> Result<Self, JsError> {
        Ok(Self(Instance::new(bytes)?))
    }

    /// Number of inputs.
    #[wasm_bindgen(getter, js_name = inputCount)]
    pub fn input_count(&self) -> usize {
        self.0.model().input_count()
    }

    /// Number of outputs.
    #[wasm_bindgen(getter, js_name = outputCount)]
    pub fn output_count(&self) -> usize {
        self.0.model().output_count()
    }

    /// Number of operators.
    #[wasm_bindgen(getter, js_name = operatorCount)]
    pub fn operator_count(&self) -> usize {
        self.0.model().operator_count()
    }

    /// Bytes of activation memory.
    #[wasm_bindgen(getter, js_name = arenaBytes)]
    pub fn arena_bytes(&self) -> usize {
        self.0.model().arena_bytes()
    }

    /// Length of input `i` in bytes.
    #[wasm_bindgen(js_name = inputBytes)]
    pub fn input_bytes(&self, i: usize) -> Result<usize, JsError> {
        Ok(self.0.input(i)?.byte_len())
    }

    /// Length of output `i` in bytes.
    #[wasm_bindgen(js_name = outputBytes)]
    pub fn output_bytes(&self, i: usize) -> Result<usize, JsError> {
        Ok(self.0.output_tensor(i)?.byte_len())
    }

    /// Name, type, shape and meaning of input `i`.
    #[wasm_bindgen(js_name = inputPort)]
    pub fn input_port(&self, i: usize) -> Result<Port, JsError> {
        Ok(self.0.input_port(i)?)
    }

    /// Name, type, shape and meaning of output `i`.
    #[wasm_bindgen(js_name = outputPort)]
    pub fn output_port(&self, i: usize) -> Result<Port, JsError> {
        Ok(self.0.output_port(i)?)
    }

    /// Sets the bytes of input `i`, little-endian. They stay until they are set again.
    #[wasm_bindgen(js_name = setInput)]
    pub fn set_input(&mut self, i: usize, bytes: &[u8]) -> Result<(), JsError> {
        Ok(self.0.set_input(i, bytes)?)
    }

    /// Computes the outputs from the inputs.
    pub fn run(&mut self) -> Result<(), JsError> {
        Ok(self.0.run()?)
    }

    /// Does the next piece of a run, an operator or a strip of one, and returns the operator's
    /// index; `undefined` when the run is over and the outputs are there.
    pub fn step(&mut self) -> Result<Option<usize>, JsError> {
        Ok(self.0.step()?)
    }

    /// The bytes of output `i` of the last run, little-endian.
    pub fn output(&mut self, i: usize) -> Result<Vec<u8>, JsError> {
        Ok(self.0.output(i)?)
    }

    /// Computes the outputs from the inputs, and returns the digest of every operator's output.
    #[wasm_bindgen(js_name = runWithDigests)]
    pub fn run_with_digests(&mut self) -> Result<Vec<u64>, JsError> {
        Ok(self.0.run_with_digests()?)
    }

    /// Runs the file's golden vector and compares every operator's output with what the compiler
    /// stored: `undefined` when all are equal (or the file has no golden vector), otherwise the
    /// index of the first operator that differs. Inputs stay as they are, outputs are dropped.
    #[wasm_bindgen(js_name = selfTest)]
    pub fn self_test(&mut self) -> Result<Option<usize>, JsError> {
        Ok(self.0.self_test()?)
    }
}
