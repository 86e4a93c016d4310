//! ONNX models made by tests.

use prost::Message as _;
use tract_onnx::pb::{
    AttributeProto, GraphProto, ModelProto, NodeProto, OperatorSetIdProto, TensorProto,
    TensorShapeProto, TypeProto, ValueInfoProto, attribute_proto::AttributeType,
    tensor_proto::DataType, tensor_shape_proto, type_proto,
};

pub use tract_onnx::pb;

/// A model under construction: its graph's fields are open, so that a test can spoil them.
#[derive(Clone, Debug, Default)]
pub struct Onnx {
    /// The graph.
    pub graph: GraphProto,
}

impl Onnx {
    /// A graph with one float input `x` of a shape.
    pub fn new(shape: &[i64]) -> Self {
        let mut onnx = Self::default();
        let x = value("x", DataType::Float, shape);
        onnx.graph.input.push(x);
        onnx
    }

    /// Adds a node with one output.
    pub fn node(&mut self, operator: &str, inputs: &[&str], output: &str) -> &mut NodeProto {
        self.graph.node.push(NodeProto {
            op_type: operator.into(),
            name: format!("{output}.node"),
            input: inputs.iter().map(|&name| name.into()).collect(),
            output: vec![output.into()],
            ..NodeProto::default()
        });
        self.graph.node.last_mut().expect("it has just been added")
    }

    /// Adds an initialiser of any type from raw bytes.
    pub fn raw(&mut self, name: &str, dtype: DataType, dims: &[i64], bytes: &[u8]) {
        self.graph.initializer.push(TensorProto {
            name: name.into(),
            data_type: dtype as i32,
            dims: dims.to_vec(),
            raw_data: bytes.to_vec(),
            ..TensorProto::default()
        });
    }

    /// Adds a float initialiser.
    pub fn floats(&mut self, name: &str, dims: &[i64], values: &[f32]) {
        let bytes: Vec<u8> = values.iter().flat_map(|v| v.to_le_bytes()).collect();
        self.raw(name, DataType::Float, dims, &bytes);
    }

    /// Adds an int64 initialiser.
    pub fn integers(&mut self, name: &str, values: &[i64]) {
        let bytes: Vec<u8> = values.iter().flat_map(|v| v.to_le_bytes()).collect();
        self.raw(name, DataType::Int64, &[values.len() as i64], &bytes);
    }

    /// Adds an output.
    pub fn output(&mut self, name: &str) {
        self.graph.output.push(value(name, DataType::Float, &[]));
    }

    /// The file's bytes, with operator sets 15 of ai.onnx and 1 of com.microsoft.
    pub fn bytes(&self) -> Vec<u8> {
        let set = |domain: &str, version| OperatorSetIdProto {
            domain: domain.into(),
            version,
        };
        ModelProto {
            ir_version: 8,
            opset_import: vec![set("", 15), set("com.microsoft", 1)],
            graph: Some(self.graph.clone()),
            ..ModelProto::default()
        }
        .encode_to_vec()
    }
}

/// An attribute of integers.
pub fn ints(name: &str, values: &[i64]) -> AttributeProto {
    AttributeProto {
        name: name.into(),
        r#type: AttributeType::Ints as i32,
        ints: values.to_vec(),
        ..AttributeProto::default()
    }
}

/// An attribute of one integer.
pub fn int(name: &str, value: i64) -> AttributeProto {
    AttributeProto {
        name: name.into(),
        r#type: AttributeType::Int as i32,
        i: value,
        ..AttributeProto::default()
    }
}

/// An attribute of one float.
pub fn real(name: &str, value: f32) -> AttributeProto {
    AttributeProto {
        name: name.into(),
        r#type: AttributeType::Float as i32,
        f: value,
        ..AttributeProto::default()
    }
}

/// An attribute of text.
pub fn text(name: &str, value: &str) -> AttributeProto {
    AttributeProto {
        name: name.into(),
        r#type: AttributeType::String as i32,
        s: value.as_bytes().to_vec(),
        ..AttributeProto::default()
    }
}

/// An attribute that is a graph.
pub fn graph(name: &str, graph: GraphProto) -> AttributeProto {
    AttributeProto {
        name: name.into(),
        r#type: AttributeType::Graph as i32,
        g: Some(graph),
        ..AttributeProto::default()
    }
}

/// A tensor of the interface.
pub fn value(name: &str, dtype: DataType, shape: &[i64]) -> ValueInfoProto {
    use tensor_shape_proto::{Dimension, dimension};
    let dim = |&size: &i64| Dimension {
        value: Some(dimension::Value::DimValue(size)),
        ..Dimension::default()
    };
    let tensor = type_proto::Tensor {
        elem_type: dtype as i32,
        shape: Some(TensorShapeProto {
            dim: shape.iter().map(dim).collect(),
        }),
    };
    ValueInfoProto {
        name: name.into(),
        r#type: Some(TypeProto {
            value: Some(type_proto::Value::TensorType(tensor)),
            ..TypeProto::default()
        }),
        ..ValueInfoProto::default()
    }
}
