//! Golden files of every released format: today's reader still reads them, to the same bits.
//!
//! `NIWAKI_BLESS=1 cargo test --release -p niwaki-tests --test golden` writes those of today's
//! format anew; that belongs into a commit that says why the bytes changed.

use std::path::PathBuf;

use niwaki_tests::root;
use niwaki_tools::artifact::Artifact;
use niwaki_tools::compiler::{self, Options};
use niwaki_tools::data::{self, Side};
use niwaki_tools::{import, reference};

/// Bytes of arena that the digits model fits in only with layers in strips.
const IN_STRIPS: usize = 5000;

fn golden(format: u16) -> PathBuf {
    root().join(format!("tests/golden/format-{format}"))
}

/// The digits example, compiled as its README says, in as much memory as it takes or in less.
fn compiled(ram: Option<usize>) -> Vec<u8> {
    let folder = root().join("examples/digits");
    let dimensions = import::Dimensions::new();
    let imported = import::import(&folder.join("digits.onnx"), &dimensions).unwrap();
    let slots = reference::input_slots(&imported.graph);
    let calibration =
        data::read_samples(&folder.join("calibration.npz"), &slots, Side::Input).unwrap();
    let options = Options {
        ram,
        ..Options::default()
    };
    let compiled = compiler::compile(&imported, &options, Some(&calibration)).unwrap();
    compiled.bytes().to_vec()
}

#[test]
fn files_of_every_released_format_give_their_golden_digests() {
    for format in 1..=niwaki::FORMAT_VERSION {
        let mut files = 0;
        for entry in std::fs::read_dir(golden(format)).unwrap() {
            let path = entry.unwrap().path();
            let artifact = Artifact::read(&path).unwrap();
            assert!(
                !artifact.model().unwrap().golden().is_empty(),
                "{}",
                path.display()
            );
            assert_eq!(artifact.self_test().unwrap(), None, "{}", path.display());
            files += 1;
        }
        assert!(files > 0, "format {format} has no golden file");
    }
}

#[test]
fn the_compiler_gives_the_same_bytes_as_when_they_were_blessed() {
    for (name, ram) in [("digits", None), ("digits-strips", Some(IN_STRIPS))] {
        compare(name, &compiled(ram));
    }
}

/// Holds the bytes against the blessed ones of that name.
fn compare(name: &str, bytes: &[u8]) {
    let path = golden(niwaki::FORMAT_VERSION).join(format!("{name}.niwaki"));
    if std::env::var_os("NIWAKI_BLESS").is_some() {
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, bytes).unwrap();
    }
    let blessed = std::fs::read(&path).unwrap();
    assert!(
        bytes == blessed,
        "the compiled model {name} has {} bytes and is not the blessed one of {}: if the change \
         is meant, bless it (see the top of this file) and say why in the commit",
        bytes.len(),
        blessed.len()
    );
}
