//! Tensors in files beside the model: read where they are, refused where they are not, and nothing
//! outside the model's folder is ever read.

use std::path::Path;

use niwaki_tests::onnx::{Onnx, pb};
use niwaki_tools::{compiler, import};
use pb::StringStringEntryProto;
use pb::tensor_proto::{DataLocation, DataType};
use tempfile::TempDir;

/// `x` plus four floats that lie in another file.
fn model(entries: &[(&str, &str)]) -> Onnx {
    let mut onnx = Onnx::new(&[1, 4]);
    onnx.raw("w", DataType::Float, &[4], &[]);
    let tensor = onnx.graph.initializer.last_mut().unwrap();
    tensor.data_location = Some(DataLocation::External as i32);
    let entry = |&(key, value): &(&str, &str)| StringStringEntryProto {
        key: key.to_owned(),
        value: value.to_owned(),
    };
    tensor.external_data = entries.iter().map(entry).collect();
    onnx.node("Add", &["x", "w"], "y");
    onnx.output("y");
    onnx
}

/// A folder with the model in `models/m.onnx`, its weights, and a secret beside the folder.
fn folder(onnx: &Onnx) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    let models = folder.path().join("models");
    std::fs::create_dir_all(models.join("sub")).unwrap();
    std::fs::write(models.join("m.onnx"), onnx.bytes()).unwrap();
    let floats: Vec<u8> = (0..8u8).flat_map(|v| f32::from(v).to_le_bytes()).collect();
    std::fs::write(models.join("w.bin"), &floats).unwrap();
    std::fs::write(models.join("sub/w.bin"), &floats).unwrap();
    std::fs::write(folder.path().join("secret"), &floats).unwrap();
    folder
}

fn imported(folder: &Path) -> anyhow::Result<import::Imported> {
    import::import(&folder.join("models/m.onnx"), &import::Dimensions::new())
}

/// The floats that the model gets.
fn weights(entries: &[(&str, &str)]) -> Vec<f32> {
    let folder = folder(&model(entries));
    let imported = imported(folder.path()).unwrap();
    compiler::compile(&imported, &niwaki_tests::float(), None).unwrap();
    let values = imported.graph.values.iter();
    let mut floats = values.filter_map(|value| value.constant.as_ref()?.as_f32());
    floats.next().unwrap().iter().copied().collect()
}

fn refused_in(folder: &Path, words: &[&str]) {
    let error = match imported(folder) {
        Ok(_) => panic!("accepted instead of {words:?}"),
        Err(error) => format!("{error:#}"),
    };
    for word in ["m.onnx", "initializer `w`"].iter().chain(words) {
        assert!(error.contains(word), "no `{word}` in: {error}");
    }
}

fn refused(entries: &[(&str, &str)], words: &[&str]) {
    refused_in(folder(&model(entries)).path(), words);
}

#[test]
fn tensors_in_other_files_are_read() {
    let whole = [("location", "w.bin"), ("offset", "16"), ("length", "16")];
    assert_eq!(weights(&whole), [4.0, 5.0, 6.0, 7.0]);
    let first = [("location", "w.bin"), ("length", "16")];
    assert_eq!(weights(&first), [0.0, 1.0, 2.0, 3.0]);
    let rest = [("location", "./sub/w.bin"), ("offset", "16")];
    assert_eq!(weights(&rest), [4.0, 5.0, 6.0, 7.0]);
}

#[test]
fn nothing_outside_the_folder_is_read() {
    for location in [
        "../secret",
        "sub/../../secret",
        "/etc/passwd",
        "",
        "sub/../w.bin",
    ] {
        refused(
            &[("location", location), ("length", "16")],
            &["own folder", "without `..`", "move the file"],
        );
    }
    refused(&[("length", "16")], &["no `location`"]);
}

#[cfg(unix)]
#[test]
fn links_that_lead_outside_are_not_followed() {
    let onnx = model(&[("location", "link"), ("length", "16")]);
    let folder = folder(&onnx);
    let link = folder.path().join("models/link");
    std::os::unix::fs::symlink("../secret", &link).unwrap();
    refused_in(folder.path(), &["`link`", "outside", "copy the file"]);

    // A folder that is a link, and a link to a link.
    std::fs::remove_file(&link).unwrap();
    std::os::unix::fs::symlink("/", folder.path().join("models/root")).unwrap();
    std::os::unix::fs::symlink("root/etc/hostname", &link).unwrap();
    refused_in(folder.path(), &["`link`"]);

    // One that stays inside is a file like others.
    std::fs::remove_file(&link).unwrap();
    std::os::unix::fs::symlink("sub/w.bin", &link).unwrap();
    assert!(imported(folder.path()).is_ok());
}

#[cfg(unix)]
#[test]
fn what_is_no_file_is_not_read() {
    refused(
        &[("location", "sub"), ("length", "16")],
        &["not a regular file"],
    );
    let onnx = model(&[("location", "pipe"), ("length", "16")]);
    let folder = folder(&onnx);
    let pipe = folder.path().join("models/pipe");
    let made = std::process::Command::new("mkfifo").arg(&pipe).status();
    assert!(made.unwrap().success());
    refused_in(folder.path(), &["`pipe`", "not a regular file"]);
}

#[test]
fn files_that_are_missing_or_short_are_named() {
    refused(
        &[("location", "other.bin"), ("length", "16")],
        &["`other.bin`", "no such file", "copy it there"],
    );
    for (offset, length) in [
        ("0", "64"),
        ("24", "16"),
        ("33", "0"),
        ("1", "9999999999999"),
    ] {
        refused(
            &[
                ("location", "w.bin"),
                ("offset", offset),
                ("length", length),
            ],
            &["`w.bin`", "32 bytes", "export both again"],
        );
    }
    let last = u64::MAX.to_string();
    refused(
        &[("location", "w.bin"), ("offset", &last), ("length", &last)],
        &["32 bytes"],
    );
}

#[test]
fn sizes_that_do_not_fit_the_shape_or_are_no_numbers_are_refused() {
    refused(&[("location", "w.bin")], &["shape [4]", "8 elements"]);
    refused(&[("location", "w.bin"), ("length", "15")], &["cut off"]);
    for value in ["-16", "0x10", "sixteen", "99999999999999999999"] {
        refused(&[("location", "w.bin"), ("length", value)], &["`length`"]);
        refused(&[("location", "w.bin"), ("offset", value)], &["`offset`"]);
    }
}

#[test]
fn many_tensors_of_the_same_bytes_are_bounded() {
    let mut onnx = model(&[("location", "big.bin")]);
    let tensor = onnx.graph.initializer[0].clone();
    for i in 0..1000 {
        let mut other = tensor.clone();
        other.name = format!("w{i}");
        onnx.graph.initializer.push(other);
    }
    let folder = folder(&onnx);
    let file = std::fs::File::create(folder.path().join("models/big.bin")).unwrap();
    file.set_len(1 << 26).unwrap();
    let error = format!("{:#}", imported(folder.path()).err().unwrap());
    assert!(error.contains("exceed"), "{error}");
}

#[test]
fn a_model_without_a_folder_has_no_other_files() {
    let onnx = model(&[("location", "w.bin"), ("length", "16")]);
    let constants = std::collections::HashMap::new();
    let imported = import::import_bytes(&onnx.bytes(), &import::Dimensions::new(), &constants);
    let error = format!("{:#}", imported.err().unwrap());
    assert!(error.contains("no folder"), "{error}");
}
