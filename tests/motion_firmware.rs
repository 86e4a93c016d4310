//! `examples/motion-firmware` on the emulated Cortex-M4: recordings through sensor, bus, driver and
//! window, and the host's bits as results.

use std::f32::consts::PI;
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::LazyLock;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use motion_sensor::{ErrorKind, Failures, Host, Motion, Recordings};
use niwaki_tests::{firmware, niwaki, root, stderr};
use niwaki_tools::artifact::Artifact;
use niwaki_tools::data::{Elements, Samples};
use niwaki_tools::device::{Client, Options, update_of};

/// Channels and steps of a window, and steps from one result to the next.
const CHANNELS: usize = 6;
const STEPS: usize = 50;
const HOP: usize = 10;

/// The longest that the board waits, in steps, before it tries a sensor again that does not answer.
const BACKOFF: usize = 64;

/// How long an emulator may take to connect, and the board to be done with a step: other tests want the
/// cores too.
const PATIENCE: Duration = Duration::from_secs(60);

/// The program's ELF, built once for all tests.
static IMAGE: LazyLock<PathBuf> =
    LazyLock::new(|| firmware::program("motion-firmware", "motion-mps2", "mps2"));

/// The board, with the sensor on its second UART and a line to `niwaki device` on its first one. The
/// emulator ends with it.
struct Board {
    emulator: Child,
    sensor: Host<TcpStream>,
    line: Option<TcpStream>,
}

impl Board {
    /// Starts the board; `None` where it cannot be run, which is said.
    fn start() -> Option<Self> {
        if !firmware::has(firmware::QEMU) {
            return None;
        }
        let listeners = [(); 2].map(|()| TcpListener::bind(("127.0.0.1", 0)).unwrap());
        let mut command = Command::new(firmware::QEMU);
        command
            .args(["-M", "mps2-an386", "-display", "none", "-monitor", "none"])
            .args(["-icount", "shift=0"])
            .args(["-semihosting-config", "enable=on,target=native"]);
        for listener in &listeners {
            let address = listener.local_addr().unwrap();
            command.args(["-serial", &format!("tcp:{address},nodelay=on")]);
        }
        command.arg("-kernel").arg(&*IMAGE).stdin(Stdio::null());
        let mut emulator = command.spawn().unwrap();
        let [line, bus] = listeners.map(|listener| accept(&listener, &mut emulator));
        bus.set_read_timeout(Some(PATIENCE)).unwrap();
        Some(Self {
            emulator,
            sensor: Host::new(bus),
            line: Some(line),
        })
    }

    /// A session over the first UART.
    fn client(&mut self) -> Client {
        let line = self.line.take().expect("one session a board");
        let options = Options {
            patience: PATIENCE,
            ..Options::default()
        };
        Client::connect(Box::new(line), options).unwrap()
    }

    /// Moves the sensor, lets a step go by, and gives what the board shows.
    fn step(&mut self, motion: Motion) -> Shown {
        Shown::read(&self.sensor.step(motion).unwrap())
    }

    /// Lets the first step go by, in which the board starts the sensor.
    fn start_sensor(&mut self) {
        assert_eq!(self.step(Motion::default()).kind, 'S');
    }
}

impl Drop for Board {
    fn drop(&mut self) {
        let _ = self.emulator.kill();
        let _ = self.emulator.wait();
    }
}

/// Waits for the emulator to connect.
fn accept(listener: &TcpListener, emulator: &mut Child) -> TcpStream {
    listener.set_nonblocking(true).unwrap();
    let begin = Instant::now();
    loop {
        if let Ok((stream, _)) = listener.accept() {
            stream.set_nonblocking(false).unwrap();
            stream.set_nodelay(true).unwrap();
            return stream;
        }
        let ended = emulator.try_wait().unwrap();
        assert_eq!(ended, None, "the emulator has ended");
        assert!(begin.elapsed() < PATIENCE, "the emulator does not connect");
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// What the program shows of a step, see src/bin/motion-mps2.rs.
#[derive(Debug)]
struct Shown {
    kind: char,
    sensor_errors: u32,
    /// The activity and the bytes of the scores.
    result: Option<(u8, [u8; 16])>,
}

impl Shown {
    fn read(bytes: &[u8]) -> Self {
        let (&kind, rest) = bytes.split_first().unwrap();
        let (&errors, rest) = rest.split_first_chunk().unwrap();
        let result = match rest {
            [] => None,
            [activity, scores @ ..] => Some((*activity, scores.try_into().unwrap())),
        };
        let shown = Self {
            kind: kind.into(),
            sensor_errors: u32::from_le_bytes(errors),
            result,
        };
        assert_eq!(shown.kind == 'C', shown.result.is_some(), "{shown:?}");
        shown
    }
}

fn committed() -> Artifact {
    Artifact::read(&root().join("examples/motion-firmware/motion.niwaki")).unwrap()
}

fn recordings() -> Recordings {
    let recordings = Recordings::read(&root().join("examples/motion/test.npz")).unwrap();
    assert_eq!(recordings.windows.len(), 80);
    recordings
}

/// Compiles `examples/motion` by the command in the example's README, and more options.
fn compile(to: &Path, more: &[&str]) -> Vec<u8> {
    let mut command = niwaki();
    command.args(["compile", "examples/motion/motion.onnx", "-o"]);
    command.arg(to);
    command.args(["--calibrate", "examples/motion/calibration.npz"]);
    command.args(["--labels", "examples/motion/labels.txt"]);
    let output = command
        .args(more)
        .current_dir(root())
        .output()
        .expect("niwaki starts");
    assert!(output.status.success(), "{}", stderr(&output));
    std::fs::read(to).unwrap()
}

/// What the host makes of windows of steps, in the steps of the sensor's registers: 1/100 m/s², and 1/16
/// degree a second.
fn on_the_host<'s>(
    artifact: &Artifact,
    windows: impl Iterator<Item = &'s [Motion]>,
) -> Vec<[u8; 16]> {
    let to_input = |window: &[Motion]| {
        assert_eq!(window.len(), STEPS);
        let mut input = vec![0.0; CHANNELS * STEPS];
        for (t, motion) in window.iter().enumerate() {
            for i in 0..3 {
                let lsb = (motion.acceleration[i] * 100.0).round();
                input[i * STEPS + t] = lsb / 100.0;
                let lsb = (motion.rate[i] * (16.0 * 180.0 / PI)).round();
                input[(3 + i) * STEPS + t] = lsb * (PI / 2880.0);
            }
        }
        vec![Elements::F32(input)]
    };
    let samples = Samples {
        samples: windows.map(to_input).collect(),
    };
    let results = artifact.run(&samples).unwrap();
    let scores = |outputs: &[Vec<u8>]| outputs[0].as_slice().try_into().unwrap();
    results
        .iter()
        .map(|result| scores(&result.outputs))
        .collect()
}

/// The board reads every recording, a client asks for its statistics all the while, and each result is
/// the host's, byte for byte.
#[test]
fn all_recordings_on_the_board_give_the_bits_of_the_host_and_are_right() {
    let Some(mut board) = Board::start() else {
        return;
    };
    let recordings = recordings();
    let steps = recordings.windows.as_flattened();
    let ends: Vec<_> = (STEPS..=steps.len()).step_by(HOP).collect();

    let mut client = board.client();
    let info = client.info().unwrap();
    let model = info.model.unwrap();
    assert_eq!(
        (info.board.as_str(), model.source.as_str()),
        ("motion-mps2", "embedded")
    );
    let over = AtomicBool::new(false);
    let (shown, (asked, client)) = std::thread::scope(|scope| {
        let watch = scope.spawn(|| {
            let (mut asked, mut runs) = (0, 0);
            while !over.load(Ordering::Relaxed) {
                let statistics = client.statistics().unwrap();
                assert!(statistics.runs >= runs);
                (asked, runs) = (asked + 1, statistics.runs);
                std::thread::sleep(Duration::from_millis(20));
            }
            (asked, client)
        });
        board.start_sensor();
        let shown: Vec<_> = steps.iter().map(|&motion| board.step(motion)).collect();
        over.store(true, Ordering::Relaxed);
        (shown, watch.join().unwrap())
    });
    let mut client = client;

    let mut results = Vec::new();
    for (before, shown) in shown.iter().enumerate() {
        assert_eq!(shown.sensor_errors, 0);
        match shown.result {
            Some(result) => results.push((before + 1, result)),
            None => assert_eq!(shown.kind, 'R', "step {before}"),
        }
    }
    assert!(results.iter().map(|(end, _)| end).eq(&ends));
    let windows = ends.iter().map(|&end| &steps[end - STEPS..end]);
    let expected = on_the_host(&committed(), windows);
    for ((end, (_, scores)), expected) in results.iter().zip(&expected) {
        assert_eq!(scores, expected, "behind step {end}");
    }
    // Each fifth result is that of a whole recording.
    let whole = results.iter().filter(|(end, _)| end % STEPS == 0);
    let right = whole.zip(&recordings.labels);
    let right = right.filter(|((_, (activity, _)), label)| activity == *label);
    assert_eq!(right.count(), 80);

    let statistics = client.statistics().unwrap();
    assert_eq!(statistics.runs as usize, results.len());
    assert_eq!(statistics.dropped_samples, 0);
    assert_eq!((statistics.dropped_frames, client.retries()), (0, 0));
    assert!(asked > 10, "statistics were asked for {asked} times");
    let inputs = client.input_statistics(0).unwrap().unwrap();
    assert_eq!(inputs.runs, statistics.runs);
    let costs = statistics.costs;
    println!(
        "{} results, all with the host's bits; {} to {} instructions each, {} on average; statistics \
         asked for {asked} times; stack {:?}",
        results.len(),
        costs.least,
        costs.greatest,
        costs.sum / u64::from(costs.runs),
        statistics.stack
    );
}

/// Steps with these motions until there is a result; what was shown before, and the result.
fn until_result(
    board: &mut Board,
    motions: &mut impl Iterator<Item = Motion>,
) -> (Vec<Shown>, [u8; 16]) {
    let mut before = Vec::new();
    for motion in motions {
        let shown = board.step(motion);
        match shown.result {
            Some((_, scores)) => return (before, scores),
            None => before.push(shown),
        }
    }
    panic!("no result: {before:?}")
}

#[test]
fn a_bus_that_fails_is_survived_and_the_window_begun_anew() {
    let Some(mut board) = Board::start() else {
        return;
    };
    let recordings = recordings();
    let steps = recordings.windows.as_flattened();
    let committed = committed();
    // The window that ends before the step of that number.
    let expected = |end: usize| {
        let window = &steps[end - STEPS..end];
        on_the_host(&committed, std::iter::once(window))[0]
    };
    board.start_sensor();
    let (first, rest) = steps.split_at(70);
    let kinds: String = first
        .iter()
        .map(|&motion| board.step(motion).kind)
        .collect();
    let results = kinds.match_indices('C').map(|(at, _)| at + 1);
    assert!(results.eq([50, 60, 70]), "{kinds}");

    // A failure in the middle of a reading, some steps behind a result.
    let mut motions = rest.iter().copied();
    for motion in motions.by_ref().take(3) {
        assert_eq!(board.step(motion).kind, 'R');
    }
    board.sensor.sensor.failures = Failures {
        after: 3,
        count: 1,
        kind: ErrorKind::Bus,
    };
    let (before, scores) = until_result(&mut board, &mut motions);
    let kinds: String = before.iter().map(|shown| shown.kind).collect();
    // It fails, is started again, and has read a whole window with the result's own step.
    assert_eq!(kinds, format!("FS{}", "R".repeat(STEPS - 1)));
    assert!(before.iter().all(|shown| shown.sensor_errors == 1));
    let end = 70 + 3 + before.len() + 1;
    assert_eq!(scores, expected(end));

    // A sensor without supply for some seconds, which comes back and has forgotten its settings.
    board.sensor.sensor.powered = false;
    let mut errors = 1;
    for motion in motions.by_ref().take(30) {
        let shown = board.step(motion);
        assert!(matches!(shown.kind, 'F' | 'W'), "{shown:?}");
        errors += u32::from(shown.kind == 'F');
        assert_eq!(shown.sensor_errors, errors);
    }
    assert!(errors > 3);
    board.sensor.sensor.powered = true;
    let (before, scores) = until_result(&mut board, &mut motions);
    let readings = before.iter().filter(|shown| shown.kind == 'R').count();
    assert_eq!(readings, STEPS - 1);
    assert!(before.len() <= BACKOFF + STEPS + 1);
    assert_eq!(before.last().map(|shown| shown.sensor_errors), Some(errors));
    assert_eq!(scores, expected(end + 30 + before.len() + 1));
}

/// The steps of the README: another model comes over the line, and classifies from then on.
#[test]
fn a_model_that_comes_over_the_line_classifies_from_then_on() {
    let folder = tempfile::tempdir().unwrap();
    let other = compile(&folder.path().join("other.niwaki"), &["--ranges", "mse"]);
    let other = Artifact::from_bytes(&other).unwrap();
    let Some(mut board) = Board::start() else {
        return;
    };
    let recordings = recordings();
    let steps = &recordings.windows.as_flattened()[..4 * STEPS];
    let mut motions = steps.iter().copied();
    let mut client = board.client();
    board.start_sensor();
    let (_, scores) = until_result(&mut board, &mut motions);
    let first = || std::iter::once(&steps[..STEPS]);
    assert_eq!(scores, on_the_host(&committed(), first())[0]);

    let update = update_of(other.bytes(), 1).unwrap();
    client.upload(&update, &mut |_| ()).unwrap();
    assert_eq!(client.activate().unwrap().source, "slot 0");
    assert_eq!(client.self_test().unwrap(), (true, None));
    // The window is kept: the next result comes a second after the one before.
    let ends: Vec<_> = (STEPS + HOP..=steps.len()).step_by(HOP).collect();
    let results: Vec<_> = ends
        .iter()
        .map(|_| {
            let (before, scores) = until_result(&mut board, &mut motions);
            assert_eq!(before.len(), HOP - 1);
            scores
        })
        .collect();
    let windows = || ends.iter().map(|&end| &steps[end - STEPS..end]);
    assert_eq!(results, on_the_host(&other, windows()));
    // Else it could have been the one before.
    assert_ne!(results, on_the_host(&committed(), windows()));
}

#[test]
fn the_model_in_the_image_is_what_the_compiler_makes_today() {
    let folder = tempfile::tempdir().unwrap();
    let today = compile(&folder.path().join("motion.niwaki"), &[]);
    assert!(
        committed().bytes() == today,
        "examples/motion-firmware/motion.niwaki is not what its README's command makes: if the change is \
         meant, make it anew, and say why in the commit"
    );
}
