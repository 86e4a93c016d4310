//! Plays recordings to an emulated board, and prints what the board makes of them.

use std::error::Error;
use std::net::TcpListener;
use std::path::Path;
use std::time::{Duration, Instant};

use motion_sensor::{Host, Recordings};

const USAGE: &str = "usage: motion-sensor HOST:PORT RECORDINGS.npz [--real-time]";

/// The activities, in the order of examples/motion/labels.txt.
const LABELS: [&str; 4] = ["badminton", "running", "standing", "walking"];

const STEP: Duration = Duration::from_millis(100);

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<_> = std::env::args().skip(1).collect();
    let (address, file, real_time) = match &*arguments {
        [address, file] => (address, file, false),
        [address, file, option] if option == "--real-time" => (address, file, true),
        _ => return Err(USAGE.into()),
    };
    let recordings = Recordings::read(Path::new(file))?;
    let listener = TcpListener::bind(address)?;
    eprintln!("waiting for the emulator at {address}");
    let (stream, _) = listener.accept()?;
    stream.set_nodelay(true)?;
    let mut host = Host::new(stream);
    let label = |index: u8| LABELS.get(usize::from(index)).copied().unwrap_or("?");

    // Steps in which the board starts the sensor.
    host.step(Default::default())?;
    let (mut right, begin) = (0, Instant::now());
    let windows = recordings.windows.iter().zip(&recordings.labels);
    for (i, (window, &truth)) in windows.enumerate() {
        let mut found = None;
        for (step, &motion) in window.iter().enumerate() {
            if real_time {
                let due = STEP * (i * window.len() + step) as u32;
                std::thread::sleep(due.saturating_sub(begin.elapsed()));
            }
            let shown = host.step(motion)?;
            // A result: its kind, what was counted, and the activity.
            if let [b'C', _, _, _, _, activity, ..] = *shown {
                found = Some(activity);
                println!("{:10}", label(activity));
            }
        }
        right += usize::from(found == Some(truth));
        println!(
            "window {i}: {}, it was {}",
            found.map_or("nothing", label),
            label(truth)
        );
    }
    println!("{right} of {} windows right", recordings.labels.len());
    Ok(())
}
