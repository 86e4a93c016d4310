//! Hostile models on the command line: an error that names the node, in bounded time and memory.
//!
//! Each case is a process of its own with an address space of [`MEMORY_KIB`]: whatever asks for
//! more ends with another message than the one that is wanted.

use std::path::Path;
use std::process::{Command, Output};
use std::time::{Duration, Instant};

use niwaki_tests::niwaki;
use niwaki_tests::onnx::{Onnx, graph, int, ints, pb, value};
use pb::tensor_proto::DataType;

/// Address space of a compilation, in KiB: 1 GB, and what stacks and allocators keep in reserve.
const MEMORY_KIB: usize = 1_400_000;

/// Each compilation, on a machine that has other work too.
const TIME: Duration = Duration::from_secs(20);

/// Runs `niwaki` in a folder with bounded memory.
fn bounded(folder: &Path, arguments: &[&str]) -> Output {
    let program = niwaki().get_program().to_owned();
    let mut command = if cfg!(unix) {
        let mut shell = Command::new("sh");
        let script = format!("ulimit -v {MEMORY_KIB}; exec \"$0\" \"$@\"");
        shell.args(["-c", &script]).arg(program);
        shell
    } else {
        Command::new(program)
    };
    // One thread has one arena of the allocator.
    command.env("MALLOC_ARENA_MAX", "2");
    let command = command.args(arguments).current_dir(folder);
    command.output().expect("a shell and the niwaki binary")
}

/// Compiles a model, and gives what was said and how long it took.
fn compile(onnx: &Onnx, more: &[&str]) -> (Output, String) {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("m.onnx"), onnx.bytes()).unwrap();
    let arguments = ["compile", "m.onnx", "-o", "m.niwaki", "--float"];
    let start = Instant::now();
    let output = bounded(folder.path(), &[&arguments[..], more].concat());
    let time = start.elapsed();
    let error = niwaki_tests::stderr(&output);
    assert!(time < TIME, "{time:?}: {error}");
    (output, error)
}

/// Checks that a model is refused with exit code 1 and an error that holds all the words.
fn refused(onnx: &Onnx, words: &[&str]) {
    let (output, error) = compile(onnx, &[]);
    assert_eq!(output.status.code(), Some(1), "{words:?}: {error}");
    for word in words {
        assert!(error.contains(word), "no `{word}` in: {error}");
    }
}

/// A model whose node `y.node` reads `x` and what `build` adds.
fn model(shape: &[i64], build: impl FnOnce(&mut Onnx)) -> Onnx {
    let mut onnx = Onnx::new(shape);
    build(&mut onnx);
    onnx.output("y");
    onnx
}

/// Adds a constant of zeros that takes no room in the file.
fn zeros(onnx: &mut Onnx, name: &str, shape: &[i64]) {
    let dims = format!("{name}.shape");
    onnx.integers(&dims, shape);
    onnx.node("ConstantOfShape", &[&dims], name);
}

#[test]
fn the_limit_on_memory_is_one() {
    // An address space in which not even a small model compiles.
    let folder = tempfile::tempdir().unwrap();
    let onnx = model(&[1, 4], |onnx| {
        onnx.node("Relu", &["x"], "y");
    });
    std::fs::write(folder.path().join("m.onnx"), onnx.bytes()).unwrap();
    let arguments = ["compile", "m.onnx", "-o", "m.niwaki", "--float"];
    assert!(bounded(folder.path(), &arguments).status.success());
    if cfg!(unix) {
        let program = niwaki().get_program().to_owned();
        let script = "ulimit -v 2000; exec \"$0\" \"$@\"";
        let mut shell = Command::new("sh");
        shell.args(["-c", script]).arg(program).args(arguments);
        assert!(!shell.output().unwrap().status.success());
    }
}

#[test]
fn constants_that_no_memory_holds_are_refused() {
    for shape in [
        &[1 << 40][..],
        &[1 << 28],
        &[1 << 12, 1 << 13],
        &[i64::MAX, i64::MAX],
    ] {
        let onnx = model(&[1], |onnx| {
            zeros(onnx, "big", shape);
            onnx.node("Add", &["x", "big"], "y");
        });
        refused(&onnx, &["node `big.node`", "too large", "initializer"]);
    }
    let onnx = model(&[1], |onnx| {
        onnx.floats("start", &[], &[0.0]);
        onnx.floats("limit", &[], &[1e12]);
        onnx.floats("delta", &[], &[0.5]);
        onnx.node("Range", &["start", "limit", "delta"], "big");
        onnx.node("Add", &["x", "big"], "y");
    });
    refused(&onnx, &["node `big.node`", "too large"]);
    for (operator, argument) in [("Expand", [1 << 14, 1 << 14]), ("Tile", [1 << 14, 1 << 14])] {
        let onnx = model(&[1], |onnx| {
            onnx.floats("one", &[1, 1], &[1.0]);
            onnx.integers("argument", &argument);
            onnx.node(operator, &["one", "argument"], "big");
            onnx.node("Add", &["x", "big"], "y");
        });
        refused(&onnx, &["node `big.node`", "too large"]);
    }
    let onnx = model(&[1], |onnx| {
        onnx.floats("one", &[1, 1], &[1.0]);
        onnx.integers("pads", &[1 << 13, 1 << 13, 1 << 13, 1 << 13]);
        onnx.node("Pad", &["one", "pads"], "big");
        onnx.node("Add", &["x", "big"], "y");
    });
    refused(&onnx, &["node `big.node`", "too large"]);
}

#[test]
fn many_constants_of_a_size_that_is_allowed_are_refused() {
    let onnx = model(&[1], |onnx| {
        let mut last = "x".to_owned();
        for i in 0..100 {
            let (zero, sum) = (format!("zeros{i}"), format!("sum{i}"));
            zeros(onnx, &zero, &[1 << 24]);
            onnx.node("Add", &[&last, &zero], &sum);
            last = sum;
        }
        onnx.node("Relu", &[&last], "y");
    });
    refused(&onnx, &["node `zeros", "together"]);
}

#[test]
fn tensors_that_are_declared_and_not_there_are_refused() {
    for dims in [&[1 << 30][..], &[1 << 20, 1 << 10, 4], &[i64::MAX]] {
        for raw in [&[][..], &[0; 4]] {
            let onnx = model(&[1], |onnx| {
                onnx.raw("w", DataType::Float, dims, raw);
                onnx.node("Add", &["x", "w"], "y");
            });
            assert!(onnx.bytes().len() < 1024);
            refused(&onnx, &["initializer `w`", "elements"]);
        }
    }
}

/// A convolution of some 2,500,000,000,000,000 multiply-accumulates.
fn long_convolution(onnx: &mut Onnx, input: &str) {
    zeros(onnx, "w", &[1, 1, 4096, 4096]);
    let node = onnx.node("Conv", &[input, "w"], "y");
    node.attribute.push(ints("pads", &[4095; 4]));
}

/// A pool over windows of `size` x `size` elements.
fn pool(size: i64) -> Onnx {
    model(&[1, 1, 8192, 8192], |onnx| {
        let node = onnx.node("MaxPool", &["x"], "y");
        node.attribute.push(ints("kernel_shape", &[size, size]));
    })
}

#[test]
fn a_golden_run_of_hours_is_not_made() {
    let onnx = model(&[1, 1, 8192, 8192], |onnx| long_convolution(onnx, "x"));
    refused(
        &onnx,
        &[
            "`y`",
            "multiply-accumulates",
            "--golden-steps",
            "golden vector",
        ],
    );
    // A pool multiplies nothing, and takes as long.
    refused(&pool(2800), &["`y`", "--golden-steps"]);
    // One that the runtime has no room for.
    refused(&pool(4096), &["`y`", "too large"]);
    // A sum of two vectors that is a matrix of 640 MB.
    let onnx = model(&[1 << 14, 1], |onnx| {
        onnx.floats("row", &[1, 10_000], &[0.5; 10_000]);
        onnx.node("Add", &["x", "row"], "y");
    });
    refused(&onnx, &["`y`", "bytes of arena", "--golden-steps"]);
}

#[test]
fn without_a_golden_vector_any_length_of_run_compiles() {
    let (output, error) = compile(&pool(2800), &["--golden-steps", "0"]);
    assert!(output.status.success(), "{error}");
}

#[test]
fn constants_that_take_hours_to_compute_are_refused() {
    let onnx = model(&[1], |onnx| {
        zeros(onnx, "image", &[1, 1, 4096, 4096]);
        zeros(onnx, "w", &[1, 1, 4000, 4000]);
        let node = onnx.node("MaxPool", &["image"], "pooled");
        node.attribute.push(ints("kernel_shape", &[2000, 2000]));
        onnx.node("Add", &["x", "pooled"], "y");
    });
    refused(&onnx, &["node `pooled.node`", "all constant"]);
}

#[test]
fn long_and_wide_graphs_compile_or_are_refused() {
    let chain = |nodes: usize| {
        model(&[1, 4], |onnx| {
            let mut last = "x".to_owned();
            for i in 0..nodes {
                let name = format!("v{i}");
                onnx.node("Sigmoid", &[&last], &name);
                last = name;
            }
            onnx.node("Sigmoid", &[&last], "y");
        })
    };
    let (output, error) = compile(&chain(30_000), &[]);
    assert!(output.status.success(), "{error}");
    refused(&chain(60_000), &["one behind the other", "`"]);
    refused(&chain(199_999), &["one behind the other", "`"]);
    refused(&chain(300_000), &["300001 nodes", "200000"]);

    let wide = |nodes: usize| {
        model(&[1, 4], |onnx| {
            for i in 0..nodes {
                onnx.node("Sigmoid", &["x"], &format!("v{i}"));
            }
            for i in 0..nodes {
                onnx.output(&format!("v{i}"));
            }
            onnx.node("Sigmoid", &["x"], "y");
        })
    };
    refused(&wide(70_000), &["`", "at the same time"]);

    for operator in ["Concat", "Sum", "Max"] {
        let names: Vec<String> = (0..20_000).map(|i| format!("v{i}")).collect();
        let onnx = model(&[1, 4], |onnx| {
            for name in &names {
                onnx.node("Sigmoid", &["x"], name);
            }
            let inputs: Vec<&str> = names.iter().map(String::as_str).collect();
            let node = onnx.node(operator, &inputs, "y");
            if operator == "Concat" {
                node.attribute.push(int("axis", 1));
            }
        });
        let (output, error) = compile(&onnx, &[]);
        let code = output.status.code();
        assert!(
            code == Some(0) || code == Some(1) && error.contains("at the same time"),
            "{operator}: {error}"
        );
    }
}

#[test]
fn graphs_in_graphs_are_refused_at_any_depth() {
    for depth in [2, 10, 90, 200] {
        let mut inner = pb::GraphProto {
            name: "inner".into(),
            ..pb::GraphProto::default()
        };
        inner.output.push(value("x", DataType::Float, &[1]));
        for _ in 0..depth {
            let branch = |name| graph(name, inner.clone());
            let node = pb::NodeProto {
                op_type: "If".into(),
                name: "if.node".into(),
                input: vec!["c".into()],
                output: vec!["z".into()],
                attribute: vec![branch("then_branch")],
                ..pb::NodeProto::default()
            };
            let mut outer = pb::GraphProto {
                name: "outer".into(),
                ..pb::GraphProto::default()
            };
            outer.node.push(node);
            outer.output.push(value("z", DataType::Float, &[1]));
            inner = outer;
        }
        let mut onnx = Onnx::new(&[1]);
        onnx.graph.node = inner.node;
        onnx.graph.input.push(value("c", DataType::Bool, &[]));
        onnx.output("z");
        let word = if depth < 30 { "if.node" } else { "ONNX model" };
        refused(&onnx, &[word]);
    }
}

#[test]
fn shapes_that_contradict_each_other_are_named() {
    let two = |operator: &str, a: &[i64], b: &[i64]| {
        let mut onnx = Onnx::new(a);
        let count = b.iter().product::<i64>() as usize;
        onnx.floats("w", b, &vec![0.5; count]);
        onnx.node(operator, &["x", "w"], "y");
        onnx.output("y");
        onnx
    };
    let cases = [
        two("Add", &[1, 4], &[3]),
        two("MatMul", &[1, 4], &[5, 2]),
        two("Gemm", &[1, 4], &[5, 2]),
        two("Conv", &[1, 3, 8, 8], &[4, 2, 3, 3]),
        two("Conv", &[1, 3, 8, 8], &[4, 3, 9, 9]),
        two("Conv", &[1, 3, 8], &[4, 3, 3, 3]),
        two("Max", &[2, 4], &[3, 4]),
        two("PRelu", &[1, 4], &[3]),
        two("Concat", &[2, 4], &[3, 5]),
    ];
    for onnx in &cases {
        refused(onnx, &["node `y.node`"]);
    }
    let onnx = model(&[1, 4], |onnx| {
        onnx.integers("shape", &[3, 3]);
        onnx.node("Reshape", &["x", "shape"], "y");
    });
    refused(&onnx, &["node `y.node`", "[3, 3]"]);
}

#[test]
fn axes_out_of_range_are_named() {
    let operators = [
        "Softmax",
        "LogSoftmax",
        "Hardmax",
        "Flatten",
        "Split",
        "ArgMax",
        "ArgMin",
        "Concat",
    ];
    for operator in operators {
        for axis in [2i64, 7, -3, i64::MAX, i64::MIN] {
            // Flatten's axis may be the rank.
            if operator == "Flatten" && axis == 2 {
                continue;
            }
            let onnx = model(&[2, 4], |onnx| {
                let node = onnx.node(operator, &["x"], "y");
                node.attribute.push(int("axis", axis));
            });
            refused(&onnx, &["node `y.node`", "axis", &axis.to_string()]);
        }
    }
    for operator in ["ReduceMax", "ReduceMean", "ReduceL2"] {
        for axis in [2, -3, i64::MAX] {
            let onnx = model(&[2, 4], |onnx| {
                let node = onnx.node(operator, &["x"], "y");
                node.attribute.push(ints("axes", &[axis]));
            });
            refused(&onnx, &["node `y.node`", "axis"]);
        }
    }
    for scales in [2, 3] {
        for axis in [2, -3, 1 << 40] {
            let onnx = model(&[2, 4], |onnx| {
                onnx.floats("scale", &[scales], &vec![0.5; scales as usize]);
                let node = onnx.node("QuantizeLinear", &["x", "scale"], "q");
                node.attribute.push(int("axis", axis));
                onnx.node("DequantizeLinear", &["q", "scale"], "y");
            });
            refused(&onnx, &["node `q.node`", "axis"]);
        }
    }
}

#[test]
fn scales_that_are_none_are_refused_wherever_they_are() {
    // A negative scale turns the sign of constant weights, which exporters do; nothing else may have one.
    let none = [0.0, -0.0, f32::NAN, f32::INFINITY, f32::NEG_INFINITY];
    for scale in none {
        let onnx = model(&[2, 4], |onnx| {
            onnx.raw("w", DataType::Int8, &[4, 2], &[1; 8]);
            onnx.floats("scale", &[2], &[0.5, scale]);
            let node = onnx.node("DequantizeLinear", &["w", "scale"], "floats");
            node.attribute.push(int("axis", 1));
            onnx.node("MatMul", &["x", "floats"], "y");
        });
        refused(&onnx, &["node `floats.node`", "greater than 0"]);
    }
    for scale in none.into_iter().chain([-1.0]) {
        let onnx = model(&[2, 4], |onnx| {
            onnx.floats("scale", &[], &[scale]);
            onnx.node("QuantizeLinear", &["x", "scale"], "int8");
            onnx.node("DequantizeLinear", &["int8", "scale"], "y");
        });
        refused(&onnx, &["node `int8.node`", "greater than 0"]);
    }
}
