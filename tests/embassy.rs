//! `firmware/examples/embassy` on the emulated Cortex-M4: a model and another task take turns, and a
//! defmt log says so.

use std::process::{Command, Stdio};

use defmt_decoder::{DecodeError, Table};
use niwaki_tests::firmware;

#[test]
fn a_model_runs_beside_another_task_and_its_errors_are_logged() {
    if !firmware::has(firmware::QEMU) {
        return;
    }
    let image = firmware::program("niwaki-embassy", "niwaki-embassy", "");
    let output = Command::new(firmware::QEMU)
        .args(["-M", "mps2-an386", "-display", "none", "-monitor", "none"])
        .args(["-semihosting-config", "enable=on,target=native"])
        .arg("-kernel")
        .arg(&image)
        .stdin(Stdio::null())
        .output()
        .unwrap();
    assert!(output.status.success(), "{output:?}");

    let elf = std::fs::read(&image).unwrap();
    let table = Table::parse(&elf).unwrap().expect("the image has a log");
    let mut decoder = table.new_stream_decoder();
    decoder.received(&output.stdout);
    let mut log = Vec::new();
    loop {
        match decoder.decode() {
            Ok(frame) => log.push(frame.display_message().to_string()),
            Err(DecodeError::UnexpectedEof) => break,
            Err(DecodeError::Malformed) => panic!("{log:?}, and then {:02x?}", output.stdout),
        }
    }
    assert_eq!(
        log,
        [
            "12 pieces, 12 turns of the radio between them, the same scores: true",
            "no model: NotAnArtifact",
            "no input: WrongType { index: 0 }",
        ]
    );
}
