//! `niwaki device` and the application on the emulated Cortex-M4: models over the UART, the host's bits
//! back.

use std::path::{Path, PathBuf};
use std::process::Output;
use std::time::{Duration, Instant};

use niwaki_tests::{firmware, models, niwaki, root, shared, stderr};
use niwaki_tools::artifact::{Artifact, SampleResult};
use niwaki_tools::data::{Elements, Samples, Side as DataSide, read_samples};
use niwaki_tools::device::{BOARDS, Client, Emulator, Options, Refusal, update_of};
use niwaki_tools::target::Target;
use niwaki_wire::{Error, Record, Side};

const BOARD: &str = "mps2-an386";
const INPUTS: usize = 20;

/// The application's image; `None` where it cannot be run, which is said.
fn image() -> Option<PathBuf> {
    if !firmware::has(firmware::QEMU) {
        return None;
    }
    Some(Emulator::build(BOARD).expect("the image builds"))
}

/// An emulated board and a session with it.
fn board(image: &Path) -> (Emulator, Client) {
    start(BOARD, image)
}

fn start(board: &str, image: &Path) -> (Emulator, Client) {
    let (emulator, line) = Emulator::start(board, image).unwrap();
    let options = Options {
        // Other tests want the cores too.
        patience: Duration::from_secs(30),
        ..Options::default()
    };
    (emulator, Client::connect(line, options).unwrap())
}

fn digits(file: &str) -> Artifact {
    Artifact::read(&root().join("tests/golden").join(file)).unwrap()
}

fn images(artifact: &Artifact) -> Samples {
    let data = root().join("examples/digits/test.npz");
    let slots = artifact.input_slots().unwrap();
    let mut samples = read_samples(&data, &slots, DataSide::Input).unwrap();
    samples.samples.truncate(INPUTS);
    samples
}

/// Runs samples on the board, with digests.
fn run(client: &mut Client, samples: &Samples) -> Vec<SampleResult> {
    let outputs = client.ports(Side::Output).unwrap().len() as u16;
    let each = samples.samples.iter().map(|sample| {
        let bytes: Vec<_> = sample.iter().map(Elements::to_bytes).collect();
        client.run(&bytes, Record::Digests).unwrap();
        SampleResult {
            outputs: (0..outputs).map(|i| client.output(i).unwrap()).collect(),
            digests: client.recorded(Record::Digests).unwrap(),
        }
    });
    each.collect()
}

#[test]
fn models_that_come_over_the_uart_give_the_bits_of_the_host() {
    let Some(image) = image() else { return };
    let (_emulator, mut client) = board(&image);
    // The one in the image, one in strips, and, where there are models, the keyword spotter.
    let embedded = digits("format-3/digits.niwaki");
    assert_eq!(client.model().unwrap().source, "embedded");
    let samples = images(&embedded);
    assert_eq!(run(&mut client, &samples), embedded.run(&samples).unwrap());

    let mut uploads = vec![(digits("format-3/digits-strips.niwaki"), samples)];
    if let Some(shared) = shared() {
        let artifact = models::build(&shared, "kws01", models::Variant::Qdq).unwrap();
        let samples = models::inputs(&shared, "kws01", models::Variant::Qdq, INPUTS).unwrap();
        uploads.push((artifact, samples));
    }
    let count = uploads.len();
    for (slot, (artifact, samples)) in uploads.into_iter().enumerate() {
        let update = update_of(artifact.bytes(), 1).unwrap();
        let begin = Instant::now();
        client.upload(&update, &mut |_| ()).unwrap();
        let seconds = begin.elapsed().as_secs_f64();
        let model = client.activate().unwrap();
        assert_eq!(model.source, format!("slot {slot}"));
        assert_eq!(client.self_test().unwrap(), (true, None));
        assert_eq!(samples.samples.len(), INPUTS);
        assert_eq!(run(&mut client, &samples), artifact.run(&samples).unwrap());
        println!(
            "{} bytes uploaded in {seconds:.2} s, {} layers, {INPUTS} inputs, all digests equal",
            update.len(),
            model.operators
        );
    }
    if count > 1 {
        assert_eq!(client.roll_back().unwrap().source, "slot 0");
    }
    assert_eq!(client.retries(), 0);
}

/// What a model for a board is compiled for.
fn target_of(board: &str) -> Target {
    let name = match board {
        "microbit" => "cortex-m0",
        "mps2-an385" => "cortex-m3",
        "mps2-an386" | "netduinoplus2" => "cortex-m4",
        "mps2-an500" => "cortex-m7",
        "mps2-an505" => "cortex-m33",
        "mps3-an547" => "cortex-m55",
        "riscv-virt" => "riscv32",
        _ => panic!("{board} is a new board"),
    };
    name.parse().unwrap()
}

/// Each board boots, passes its self-test, takes a model over its UART, and gives the host's bits: kws01
/// where there is room and where there are models, else the digits example.
#[test]
fn every_emulated_board_gives_the_bits_of_the_host() {
    for name in BOARDS.into_iter().filter(|name| *name != BOARD) {
        let qemu = match name {
            "riscv-virt" => "qemu-system-riscv32",
            _ => firmware::QEMU,
        };
        if !firmware::has(qemu) {
            continue;
        }
        let image = Emulator::build(name).expect("the image builds");
        let (_emulator, mut client) = start(name, &image);
        assert_eq!(client.self_test().unwrap(), (true, None), "{name}");
        // What the command line says a session needs beside the artifact's arena, of any model that the
        // image takes.
        let operators: &[&str] = match name {
            "microbit" => &["ConvI8"],
            _ => &["ConvI8", "FullyConnectedI8Sparse"],
        };
        let workspace = target_of(name).workspace_bytes(operators.iter().copied());
        let (artifact, samples) = match shared() {
            Some(shared) if name != "microbit" => (
                models::build(&shared, "kws01", models::Variant::Qdq).unwrap(),
                models::inputs(&shared, "kws01", models::Variant::Qdq, INPUTS).unwrap(),
            ),
            _ => {
                let artifact = digits("format-3/digits-strips.niwaki");
                let samples = images(&artifact);
                (artifact, samples)
            }
        };
        let update = update_of(artifact.bytes(), 1).unwrap();
        client.upload(&update, &mut |_| ()).unwrap();
        let model = client.activate().unwrap();
        assert_eq!(model.source, "slot 0", "{name}");
        let arena = artifact.model().unwrap().arena_bytes();
        let whole = arena.next_multiple_of(niwaki::ALIGNMENT) as u64 + workspace;
        assert_eq!(u64::from(model.arena_bytes), whole, "{name}");
        assert_eq!(client.self_test().unwrap(), (true, None), "{name}");
        assert_eq!(samples.samples.len(), INPUTS);
        let expected = artifact.run(&samples).unwrap();
        assert_eq!(run(&mut client, &samples), expected, "{name}");
        println!(
            "{name}: {} bytes uploaded, {INPUTS} inputs, all digests equal",
            update.len()
        );
    }
}

#[test]
fn what_a_board_refuses_leaves_its_model_at_work() {
    let Some(image) = image() else { return };
    let (_emulator, mut client) = board(&image);
    let good = digits("format-3/digits.niwaki");
    let mut damaged = good.bytes().to_vec();
    *damaged.last_mut().unwrap() ^= 1;
    let huge = vec![0; 4 << 20];
    let refused = |client: &mut Client, update: &[u8]| {
        let error = client.upload(update, &mut |_| ()).unwrap_err();
        error.downcast_ref::<Refusal>().unwrap().0
    };
    let update = |model: &[u8]| update_of(model, 1).unwrap();
    assert_eq!(refused(&mut client, &update(&damaged)), Error::Damaged);
    assert_eq!(refused(&mut client, &update(&[1; 999])), Error::NotAModel);
    assert!(matches!(
        refused(&mut client, &update(&huge)),
        Error::TooLargeForSlot {
            bytes: 0x0040_0000,
            ..
        }
    ));
    let mut changed = update(good.bytes());
    *changed.last_mut().unwrap() ^= 1;
    assert_eq!(refused(&mut client, &changed), Error::Damaged);
    let error = client.activate().unwrap_err();
    assert!(error.to_string().contains("upload"), "{error}");
    let error = client.roll_back().unwrap_err();
    assert!(error.to_string().contains("no other good model"), "{error}");

    let mut samples = images(&good);
    samples.samples.truncate(2);
    assert_eq!(run(&mut client, &samples), good.run(&samples).unwrap());
    let (cost, _) = client
        .run(&[samples.samples[0][0].to_bytes()], Record::Nothing)
        .unwrap();
    let statistics = client.statistics().unwrap();
    assert_eq!((statistics.runs, statistics.costs.runs), (3, 1));
    assert_eq!((statistics.costs.least, statistics.costs.sum), (cost, cost));
    assert_eq!((statistics.dropped_frames, statistics.link_errors), (0, 0));
    let (deepest, all) = statistics.stack.unwrap();
    assert!(
        deepest > 1000 && deepest < 32 << 10 && all == 4 << 20,
        "{deepest} of {all}"
    );
}

/// `niwaki device` on a new emulated board.
fn command(image: &Path, arguments: &[&str]) -> Output {
    let mut command = niwaki();
    command.args(["device", "--timeout", "30", "--qemu", BOARD, "--image"]);
    command.arg(image).args(arguments).output().unwrap()
}

fn json(output: &Output) -> serde_json::Value {
    assert!(output.status.success(), "{}", stderr(output));
    serde_json::from_slice(&output.stdout).unwrap()
}

#[test]
fn each_command_says_what_it_has_found() {
    let Some(image) = image() else { return };
    let info = json(&command(&image, &["info", "--json"]));
    assert_eq!(
        (&info["board"], &info["model"]["source"]),
        (&BOARD.into(), &"embedded".into())
    );
    let test = json(&command(&image, &["self-test", "--json"]));
    assert_eq!(
        (&test["golden"], &test["first_difference"]),
        (&true.into(), &().into())
    );

    let model = root().join("tests/golden/format-3/digits-strips.niwaki");
    let model = model.to_str().unwrap();
    let data = root().join("examples/digits/test.npz");
    let run = ["run", "--data", data.to_str().unwrap(), "--model", model];
    let run = json(&command(
        &image,
        &[&run[..], &["--limit", "3", "--json"]].concat(),
    ));
    assert_eq!(
        (&run["same_bits"], &run["samples"]),
        (&true.into(), &3.into())
    );
    let profile = json(&command(&image, &["profile", "--model", model, "--json"]));
    let layers = digits("format-3/digits-strips.niwaki")
        .model()
        .unwrap()
        .operator_count();
    assert_eq!(profile["operators"].as_array().unwrap().len(), layers);
    let upload = json(&command(&image, &["upload", model, "--activate", "--json"]));
    assert_eq!(upload["model"]["source"], "slot 0");
    let stats = command(&image, &["stats"]);
    let text = String::from_utf8(stats.stdout).unwrap();
    assert!(
        text.contains("stack") && text.contains("no window is whole yet"),
        "{text}"
    );
    for (refused, why) in [("rollback", "no other good model"), ("activate", "upload")] {
        let output = command(&image, &[refused]);
        assert_eq!(output.status.code(), Some(1));
        assert!(stderr(&output).contains(why), "{}", stderr(&output));
    }
}

#[test]
fn a_board_that_is_not_there_is_named_with_what_would_help() {
    let device = |arguments: &[&str]| {
        let mut command = niwaki();
        let output = command.arg("device").args(arguments).output().unwrap();
        (output.status.code(), stderr(&output))
    };
    let (code, text) = device(&["--port", "/dev/no-such-port", "info"]);
    assert!(
        code == Some(1) && text.contains("/dev/no-such-port"),
        "{text}"
    );
    let (code, text) = device(&["--tcp", "127.0.0.1:1", "info"]);
    assert!(
        code == Some(1) && text.contains("is the emulator running"),
        "{text}"
    );
    let (code, text) = device(&["--qemu", BOARD, "--image", "nothing.elf", "info"]);
    assert!(
        code == Some(1) && text.contains("cargo xtask firmware"),
        "{text}"
    );
    let (code, text) = device(&["info"]);
    assert!(code == Some(2) && text.contains("--port"), "{text}");

    // Somebody who listens and says nothing, and the board's silence is not waited for for ever.
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let silent = [
        "--timeout",
        "0.2",
        "--retries",
        "1",
        "--tcp",
        &address,
        "info",
    ];
    let (code, text) = device(&silent);
    assert!(
        code == Some(1) && text.contains("does not answer"),
        "{text}"
    );
}
