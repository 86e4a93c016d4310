//! Bad input on the command line: an error that names the place and the remedy, exit code 1 (2
//! for wrong usage), and no output file, not even half.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use niwaki_tests::{niwaki, root, sealed, stderr};
use niwaki_tools::data::{Array, Elements, write_arrays};
use tempfile::TempDir;

fn digits(file: &str) -> PathBuf {
    root().join("examples/digits").join(file)
}

fn golden() -> PathBuf {
    root().join("tests/golden/format-1/digits.niwaki")
}

/// Runs a command in a folder that must be as it was afterwards, and checks that it fails with
/// exit code `code` and an error that holds every one of `words`.
fn refused<A: Into<OsString>>(
    folder: &Path,
    code: i32,
    words: &[&str],
    arguments: impl IntoIterator<Item = A>,
) {
    let listing = || {
        let mut names: Vec<_> = std::fs::read_dir(folder)
            .unwrap()
            .map(|entry| entry.unwrap().file_name())
            .collect();
        names.sort();
        names
    };
    let before = listing();
    let arguments: Vec<OsString> = arguments.into_iter().map(Into::into).collect();
    let output = niwaki()
        .args(&arguments)
        .current_dir(folder)
        .output()
        .unwrap();
    let error = stderr(&output);
    assert_eq!(output.status.code(), Some(code), "{arguments:?}: {error}");
    assert!(!error.contains("panicked"), "{arguments:?}: {error}");
    for word in words {
        assert!(
            error.contains(word),
            "{arguments:?} does not say `{word}`: {error}"
        );
    }
    assert_eq!(before, listing(), "{arguments:?} left a file");
}

fn write(folder: &TempDir, name: &str, bytes: &[u8]) {
    std::fs::write(folder.path().join(name), bytes).unwrap();
}

fn npz(folder: &TempDir, name: &str, array: &str, shape: &[usize], elements: Elements) {
    let shape = shape.to_vec();
    let array = (array.to_owned(), Array { shape, elements });
    write_arrays(&folder.path().join(name), &[array]).unwrap();
}

/// One image of zeros, but for element 5.
fn image(value: f32) -> Elements {
    let mut pixels = vec![0.0; 784];
    pixels[5] = value;
    Elements::F32(pixels)
}

#[test]
fn artifacts_that_are_cut_flipped_newer_or_hostile_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let bytes = std::fs::read(golden()).unwrap();
    let change = |at: usize, value: u8| {
        let mut changed = bytes.clone();
        changed[at] ^= value;
        changed
    };
    // Words of the header start at byte 40: versions, length, arena.
    let mut newer = bytes.clone();
    newer[40] = 99;
    let mut numerics = bytes.clone();
    numerics[42] = 99;
    // A hostile file with a right SHA-256: an arena of 0 bytes.
    let mut arena = bytes.clone();
    arena[48..52].fill(0);
    let cases: [(&str, Vec<u8>, &[&str]); 8] = [
        (
            "empty",
            Vec::new(),
            &["not a niwaki artifact", "niwaki compile"],
        ),
        ("text", b"<html>404".to_vec(), &["not a niwaki artifact"]),
        (
            "cut",
            bytes[..bytes.len() / 2].to_vec(),
            &["cut off", "copy it again"],
        ),
        ("header", bytes[..60].to_vec(), &["cut off"]),
        (
            "flipped",
            change(bytes.len() - 9, 4),
            &["damaged", "SHA-256"],
        ),
        ("newer", sealed(newer), &["format version 99", "update"]),
        (
            "numerics",
            sealed(numerics),
            &["numeric contract 99", "compile the model again"],
        ),
        ("arena", sealed(arena), &["tensor 0", "outside the arena"]),
    ];
    for (name, bytes, words) in cases {
        let file = format!("{name}.niwaki");
        write(&folder, &file, &bytes);
        let data = digits("test.npz").into_os_string();
        let mut words = words.to_vec();
        words.push(&file);
        refused(folder.path(), 1, &words, ["inspect", file.as_str()]);
        let run = ["run", &file, "-o", "out.npz", "--input"].map(OsString::from);
        refused(folder.path(), 1, &words, run.into_iter().chain([data]));
    }
    refused(
        folder.path(),
        1,
        &["absent.niwaki"],
        ["inspect", "absent.niwaki"],
    );
}

#[test]
fn data_with_wrong_names_shapes_types_or_values_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::copy(golden(), folder.path().join("digits.niwaki")).unwrap();
    let shape = [1, 1, 28, 28];
    npz(&folder, "name.npz", "picture", &shape, image(0.5));
    npz(&folder, "shape.npz", "image", &[1, 28, 28], image(0.5));
    npz(
        &folder,
        "type.npz",
        "image",
        &shape,
        Elements::U8(vec![0; 784]),
    );
    npz(&folder, "nan.npz", "image", &shape, image(f32::NAN));
    npz(
        &folder,
        "infinite.npz",
        "image",
        &shape,
        image(f32::INFINITY),
    );
    npz(
        &folder,
        "empty.npz",
        "image",
        &[0, 1, 28, 28],
        Elements::F32(Vec::new()),
    );
    write(&folder, "text.npz", b"no archive");
    write(&folder, "text.npy", b"no array");
    let whole = std::fs::read(folder.path().join("nan.npz")).unwrap();
    write(&folder, "cut.npz", &whole[..whole.len() / 2]);
    let cases: [(&str, &[&str]); 9] = [
        ("name.npz", &["`image`", "picture"]),
        (
            "shape.npz",
            &["`image`", "[1, 28, 28]", "[samples, 1, 28, 28]"],
        ),
        ("type.npz", &["`image`", "uint8", "float32", ".astype"]),
        ("nan.npz", &["`image`", "element 5", "NaN"]),
        ("infinite.npz", &["`image`", "element 5", "inf"]),
        ("empty.npz", &["no sample"]),
        ("text.npz", &["not an .npz archive"]),
        ("text.npy", &["not an .npy array"]),
        ("cut.npz", &["not an .npz archive"]),
    ];
    let onnx = digits("digits.onnx").into_os_string();
    for (file, words) in cases {
        let mut words = words.to_vec();
        words.push(file);
        let arguments = ["run", "digits.niwaki", "--input", file, "-o", "out.npz"];
        refused(folder.path(), 1, &words, arguments);
        let compile = ["compile", "-o", "out.niwaki", "--calibrate", file].map(OsString::from);
        refused(
            folder.path(),
            1,
            &words,
            compile.into_iter().chain([onnx.clone()]),
        );
    }
}

#[test]
fn models_that_are_none_or_not_supported_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    write(&folder, "text.onnx", b"this is no protobuf");
    write(&folder, "empty.onnx", b"");
    let whole = std::fs::read(digits("digits.onnx")).unwrap();
    write(&folder, "cut.onnx", &whole[..whole.len() / 2]);
    // The type of the last node, and nothing else in the file, is called Softmax.
    let find = |needle: &[u8]| whole.windows(needle.len()).position(|w| w == needle);
    let at = whole
        .windows(7)
        .rposition(|w| w == b"Softmax")
        .or(find(b"Softmax"))
        .unwrap();
    let mut unknown = whole.clone();
    unknown[at..at + 7].copy_from_slice(b"Softmix");
    write(&folder, "unknown.onnx", &unknown);
    let cases: [(&str, &[&str]); 4] = [
        ("text.onnx", &["not an ONNX model", "torch.onnx.export"]),
        ("empty.onnx", &["not an ONNX model"]),
        ("cut.onnx", &["not an ONNX model"]),
        (
            "unknown.onnx",
            &[
                "node",
                "Softmix",
                "operator set 17",
                "supported are",
                "Softmax",
            ],
        ),
    ];
    for (file, words) in cases {
        let mut words = words.to_vec();
        words.push(file);
        let arguments = ["compile", file, "-o", "out.niwaki", "--float"];
        refused(folder.path(), 1, &words, arguments);
    }
    let model = digits("digits.onnx").into_os_string();
    let plain = ["compile", "-o", "out.niwaki"].map(OsString::from);
    let words = ["--calibrate", "--float"];
    refused(folder.path(), 1, &words, plain.into_iter().chain([model]));
}

#[test]
fn constants_that_do_not_fit_an_input_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let model = digits("digits.onnx").into_os_string();
    let cases: [(&str, &[&str]); 3] = [
        ("rate=1", &["rate", "no such input", "image"]),
        ("image=white", &["image", "float32", "`white`"]),
        ("image=1,2", &["image", "2 values", "784"]),
    ];
    for (constant, words) in cases {
        let plain = [
            "compile",
            "-o",
            "out.niwaki",
            "--float",
            "--const",
            constant,
        ];
        let arguments = plain.map(OsString::from).into_iter().chain([model.clone()]);
        refused(folder.path(), 1, words, arguments);
    }
}

#[test]
fn wrong_usage_ends_with_code_2() {
    let folder = tempfile::tempdir().unwrap();
    refused(folder.path(), 2, &["Usage"], ["compile"]);
    refused(folder.path(), 2, &["unrecognized subcommand"], ["quantise"]);
    let arguments = ["compile", "m.onnx", "-o", "m.niwaki", "--dim", "batch"];
    refused(folder.path(), 2, &["NAME=N"], arguments);
    let arguments = ["compile", "m.onnx", "-o", "m.niwaki", "--const", "rate"];
    refused(folder.path(), 2, &["NAME=VALUE"], arguments);
    let arguments = ["compile", "m.onnx", "-o", "m.niwaki", "--ranges", "best"];
    refused(folder.path(), 2, &["minmax"], arguments);
    let validate = [
        "validate",
        "m.niwaki",
        "--reference",
        "r",
        "--data",
        "d",
        "--on",
        "moon",
    ];
    refused(folder.path(), 2, &["moon", "qemu:cortex-m4"], validate);
}

#[test]
fn labels_and_references_that_do_not_fit_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::copy(golden(), folder.path().join("digits.niwaki")).unwrap();
    npz(&folder, "one.npz", "image", &[1, 1, 28, 28], image(0.5));
    npz(
        &folder,
        "outputs.npz",
        "scores",
        &[2, 10],
        Elements::F32(vec![0.1; 20]),
    );
    npz(
        &folder,
        "other.npz",
        "logits",
        &[1, 10],
        Elements::F32(vec![0.1; 10]),
    );
    write(&folder, "labels.txt", b"3\nfour\n");
    let validate = |reference: &str, labels: &[&str]| -> Vec<OsString> {
        let plain = [
            "validate",
            "digits.niwaki",
            "--data",
            "one.npz",
            "--reference",
            reference,
        ];
        plain.iter().chain(labels).map(OsString::from).collect()
    };
    let cases: [(Vec<OsString>, &[&str]); 4] = [
        (validate("outputs.npz", &[]), &["2 samples", "the data 1"]),
        (validate("other.npz", &[]), &["`scores`", "logits"]),
        (validate("absent.npz", &[]), &["absent.npz"]),
        (
            validate("one.npz", &["--labels", "labels.txt"]),
            &["one.npz"],
        ),
    ];
    for (arguments, words) in cases {
        refused(folder.path(), 1, words, arguments);
    }
    npz(
        &folder,
        "right.npz",
        "scores",
        &[1, 10],
        Elements::F32(vec![0.1; 10]),
    );
    let words = ["labels.txt", "line 2", "`four`"];
    refused(
        folder.path(),
        1,
        &words,
        validate("right.npz", &["--labels", "labels.txt"]),
    );
}

#[test]
fn help_shows_an_example_for_every_command() {
    for command in ["compile", "inspect", "run", "validate"] {
        let output = niwaki().args([command, "--help"]).output().unwrap();
        let help = String::from_utf8_lossy(&output.stdout);
        assert!(
            output.status.success() && help.contains("Example"),
            "{command}: {help}"
        );
        assert!(
            help.contains(&format!("niwaki {command}")),
            "{command}: {help}"
        );
    }
}
