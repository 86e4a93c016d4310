//! What the compiler makes of operators for which the runtime has several ways, and the errors for
//! what it has none for.

use std::collections::HashMap;

use niwaki_tests::float;
use niwaki_tests::onnx::pb::tensor_proto::DataType;
use niwaki_tests::onnx::{Onnx, int, ints, value};
use niwaki_tools::artifact::Artifact;
use niwaki_tools::{compiler, import};

/// Names of the operators that a model compiles to, in their order.
fn operators(onnx: &Onnx) -> anyhow::Result<Vec<&'static str>> {
    let imported =
        import::import_bytes(&onnx.bytes(), &import::Dimensions::new(), &HashMap::new())?;
    let options = match compiler::is_quantized(&imported.graph) {
        true => compiler::Options::default(),
        false => float(),
    };
    let compiled = compiler::compile(&imported, &options, None)?;
    let artifact = Artifact::from_bytes(compiled.bytes())?;
    let names = artifact.model()?.operators().map(|operator| {
        let code = operator.header.code;
        let row = niwaki::ops::TABLE.iter().find(|(known, _)| *known == code);
        row.map_or("?", |(_, name)| *name)
    });
    Ok(names.collect())
}

fn refused(onnx: &Onnx, words: &[&str]) {
    let error = match operators(onnx) {
        Ok(operators) => panic!("compiled to {operators:?} instead of {words:?}"),
        Err(error) => format!("{error:#}"),
    };
    for word in words {
        assert!(error.contains(word), "no `{word}` in: {error}");
    }
}

/// A model with an input `x` and constants for one scale and the zero point 0 of int8.
fn quantized(shape: &[i64]) -> Onnx {
    let mut onnx = Onnx::new(shape);
    onnx.floats("scale", &[], &[0.1]);
    onnx.raw("zero", DataType::Int8, &[], &[0]);
    onnx
}

/// A model with an input `x` and one of int64, `i`.
fn with_indices(shape: &[i64], indices: &[i64]) -> Onnx {
    let mut onnx = Onnx::new(shape);
    let indices = value("i", DataType::Int64, indices);
    onnx.graph.input.push(indices);
    onnx
}

#[test]
fn a_convolution_over_three_axes_stays_in_integers() {
    let mut onnx = quantized(&[1, 2, 4, 5, 6]);
    onnx.raw(
        "w",
        DataType::Int8,
        &[3, 2, 2, 3, 3],
        &[1; 3 * 2 * 2 * 3 * 3],
    );
    onnx.node("QuantizeLinear", &["x", "scale", "zero"], "xq");
    onnx.node("DequantizeLinear", &["xq", "scale", "zero"], "xd");
    onnx.node("DequantizeLinear", &["w", "scale", "zero"], "wd");
    let pads = ints("pads", &[1, 1, 1, 1, 1, 1]);
    onnx.node("Conv", &["xd", "wd"], "y").attribute.push(pads);
    onnx.node("Relu", &["y"], "r");
    onnx.node("QuantizeLinear", &["r", "scale", "zero"], "q");
    onnx.output("q");
    let operators = operators(&onnx).unwrap();
    let windowed = |name: &&&str| name.contains("Conv") || name.contains("Fully");
    let convolutions: Vec<_> = operators.iter().filter(windowed).collect();
    assert_eq!(convolutions, [&"ConvI8"], "{operators:?}");
    let floats = |name: &&str| name.ends_with("F32") || *name == "DequantizeI8";
    assert!(!operators.iter().any(floats), "{operators:?}");
}

#[test]
fn a_table_of_int8_stays_one() {
    let mut onnx = Onnx::default();
    let input = value("i", DataType::Int64, &[1, 4]);
    onnx.graph.input.push(input);
    onnx.floats("scale", &[], &[0.1]);
    onnx.raw("zero", DataType::Int8, &[], &[0]);
    onnx.raw("table", DataType::Int8, &[50, 8], &[3; 400]);
    onnx.node("DequantizeLinear", &["table", "scale", "zero"], "floats");
    onnx.node("Gather", &["floats", "i"], "y");
    onnx.output("y");
    assert_eq!(
        operators(&onnx).unwrap(),
        ["CastInt", "Gather", "DequantizeI8"]
    );
}

#[test]
fn indices_that_are_known_need_no_gather() {
    let mut onnx = Onnx::new(&[2, 5]);
    onnx.integers("i", &[4, -5, 2]);
    onnx.node("Gather", &["x", "i"], "y")
        .attribute
        .push(int("axis", 1));
    onnx.output("y");
    assert_eq!(operators(&onnx).unwrap(), ["Take"]);
}

#[test]
fn neighbouring_axes_become_one_without_a_copy() {
    // Pooled images lie channels last; rows and columns are neighbours there too.
    let mut onnx = Onnx::new(&[1, 3, 4, 4]);
    let pool = onnx.node("MaxPool", &["x"], "pooled");
    pool.attribute.push(ints("kernel_shape", &[2, 2]));
    onnx.integers("flat", &[1, 3, 9]);
    onnx.node("Reshape", &["pooled", "flat"], "y");
    onnx.node("Relu", &["y"], "z");
    onnx.output("z");
    assert_eq!(
        operators(&onnx).unwrap(),
        ["Transpose", "MaxPoolF32", "ClampF32", "Transpose"]
    );
}

#[test]
fn constant_indices_out_of_range_are_named() {
    for (axis, index) in [(0, 2), (0, -3), (1, 5)] {
        let mut onnx = Onnx::new(&[2, 5]);
        onnx.integers("i", &[0, index]);
        onnx.node("Gather", &["x", "i"], "y")
            .attribute
            .push(int("axis", axis));
        onnx.output("y");
        refused(&onnx, &["node `y.node`", &format!("index {index} of `i`")]);
    }
    let mut onnx = Onnx::new(&[2, 5]);
    onnx.integers("flat", &[1, 5]);
    onnx.integers("shape", &[1, 2]);
    onnx.node("Reshape", &["flat", "shape"], "i");
    onnx.node("GatherND", &["x", "i"], "y");
    onnx.output("y");
    refused(&onnx, &["node `y.node`", "index 5 of `i`", "length 5"]);
}

#[test]
fn outputs_whose_size_depends_on_data_are_refused() {
    let mut onnx = Onnx::new(&[2, 5]);
    onnx.node("NonZero", &["x"], "y");
    onnx.output("y");
    refused(&onnx, &["node `y.node`", "run time", "size of its output"]);

    let mut onnx = Onnx::new(&[2, 5]);
    let condition = value("c", DataType::Bool, &[2]);
    onnx.graph.input.push(condition);
    let node = onnx.node("Compress", &["x", "c"], "y");
    node.attribute.push(int("axis", 0));
    onnx.output("y");
    refused(&onnx, &["node `y.node`", "`c`", "run time"]);
}

#[test]
fn operators_of_another_kind_are_refused_with_the_reason() {
    let mut onnx = Onnx::new(&[1, 5, 4]);
    onnx.floats("scores", &[1, 1, 5], &[0.5; 5]);
    onnx.node("NonMaxSuppression", &["x", "scores"], "y");
    onnx.output("y");
    refused(
        &onnx,
        &["node `y.node`", "NonMaxSuppression", "depends on data"],
    );
}

#[test]
fn shapes_of_indices_have_to_fit() {
    let cases: [(&str, &[&str], &[i64]); 4] = [
        ("GatherElements", &["x", "i"], &[3, 5]),
        ("GatherND", &["x", "i"], &[4, 3]),
        ("ScatterElements", &["x", "i", "x"], &[1, 5]),
        ("ScatterND", &["x", "i", "x"], &[4, 1]),
    ];
    for (operator, inputs, indices) in cases {
        let mut onnx = with_indices(&[2, 5], indices);
        let node = onnx.node(operator, inputs, "y");
        if operator == "GatherElements" {
            node.attribute.push(int("axis", 1));
        }
        onnx.output("y");
        refused(&onnx, &["node `y.node`", operator, "indices"]);
    }
}

#[test]
fn statistics_of_a_batch_have_to_fit_its_channels() {
    let mut onnx = Onnx::new(&[2, 3, 4]);
    onnx.floats("c", &[3], &[1.0; 3]);
    onnx.floats("other", &[7], &[1.0; 7]);
    let node = onnx.node("BatchNormalization", &["x", "c", "c", "c", "other"], "y");
    node.attribute.push(int("training_mode", 1));
    onnx.output("y");
    refused(&onnx, &["node `y.node`", "input 4", "[7]", "[3]"]);
}

#[test]
fn a_transposed_convolution_over_three_axes_is_refused() {
    let mut onnx = Onnx::new(&[1, 2, 4, 4, 4]);
    onnx.floats("w", &[2, 3, 2, 2, 2], &[0.5; 48]);
    onnx.node("ConvTranspose", &["x", "w"], "y");
    onnx.output("y");
    refused(&onnx, &["node `y.node`", "3 spatial axes", "one to 2"]);
}

#[test]
fn pools_over_three_axes_give_no_indices() {
    let mut onnx = Onnx::new(&[1, 2, 4, 4, 4]);
    let node = onnx.node("MaxPool", &["x"], "y");
    node.attribute.push(ints("kernel_shape", &[2, 2, 2]));
    node.output.push("places".into());
    onnx.output("y");
    onnx.output("places");
    refused(&onnx, &["node `y.node`", "output 1", "three spatial axes"]);
}

#[test]
fn values_without_elements_are_not_computed() {
    // Of nothing there is a sum, and a copy; both are constants.
    let mut onnx = Onnx::new(&[2, 0]);
    let sum = onnx.node("ReduceMax", &["x"], "y");
    sum.attribute.push(ints("axes", &[1]));
    onnx.node("Relu", &["x"], "z");
    onnx.output("y");
    onnx.output("z");
    assert_eq!(operators(&onnx).unwrap(), ["Transpose"]);

    // Over three axes a window is split in two; there is nothing to split.
    let mut onnx = Onnx::new(&[0, 2, 4, 4, 4]);
    let pool = onnx.node("MaxPool", &["x"], "y");
    pool.attribute.push(ints("kernel_shape", &[2, 2, 2]));
    onnx.output("y");
    assert!(operators(&onnx).unwrap().is_empty());

    // A product over an axis without elements would be all zeros.
    let mut onnx = Onnx::new(&[2, 0]);
    onnx.floats("w", &[0, 3], &[]);
    onnx.node("MatMul", &["x", "w"], "y");
    onnx.output("y");
    refused(&onnx, &["node `y.node`", "`x` has no elements"]);

    let mut onnx = Onnx::new(&[2, 0]);
    let mean = onnx.node("ReduceMean", &["x"], "y");
    mean.attribute.push(ints("axes", &[1]));
    onnx.output("y");
    refused(&onnx, &["node `y.node`", "a mean of no elements"]);
}

#[test]
fn a_convolution_over_three_axes_takes_in_what_follows() {
    let mut onnx = Onnx::new(&[2, 3, 4, 4, 4]);
    onnx.floats("w", &[5, 3, 2, 2, 2], &[0.5; 5 * 3 * 8]);
    for name in ["scale", "bias", "mean", "variance"] {
        onnx.floats(name, &[5], &[1.0, 2.0, 3.0, 4.0, 5.0]);
    }
    onnx.node("Conv", &["x", "w"], "y");
    let inputs = ["y", "scale", "bias", "mean", "variance"];
    onnx.node("BatchNormalization", &inputs, "z");
    onnx.node("Relu", &["z"], "r");
    onnx.output("r");
    let operators = operators(&onnx).unwrap();
    let arithmetic = operators.iter().filter(|name| name.ends_with("F32"));
    assert_eq!(
        arithmetic.collect::<Vec<_>>(),
        [&"ConvF32"],
        "{operators:?}"
    );
}
