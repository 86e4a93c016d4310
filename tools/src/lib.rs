//! The niwaki compiler: ONNX models in, one small artifact out; and what checks the artifact
//! against the original, on every machine that it is made for.

pub mod artifact;
pub mod compiler;
pub mod data;
pub mod device;
pub mod functions;
pub mod graph;
pub mod homes;
pub mod import;
pub mod indexed;
pub mod layers;
pub mod memory;
pub mod preprocess;
pub mod profile;
pub mod progress;
pub mod proof;
pub mod reference;
pub mod sign;
pub mod target;
pub mod text;
pub mod validate;
pub mod web;
