//! Sends frames over a bad line, as many as wanted, and sees that the decoder takes no wrong one, loses
//! no whole one, and never panics: `cargo run --release --example fuzz -- 10000000`.

#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    unreachable_pub,
    reason = "what it finds is a panic"
)]

#[path = "../tests/noise/mod.rs"]
mod noise;

/// Frames of one seed.
const ROUND: u32 = 100_000;

fn main() {
    let mut arguments = std::env::args().skip(1);
    let frames: u32 = match arguments.next().map(|text| text.parse()) {
        None => 1_000_000,
        Some(Ok(frames)) => frames,
        Some(Err(error)) => {
            eprintln!("usage: fuzz [FRAMES]: {error}");
            std::process::exit(2);
        }
    };
    let begin = std::time::Instant::now();
    let mut total = noise::Outcome::default();
    for seed in 1.. {
        if total.sent >= frames {
            break;
        }
        let outcome = noise::fuzz(ROUND.min(frames - total.sent), seed);
        total.sent += outcome.sent;
        total.whole += outcome.whole;
        total.received += outcome.received;
        total.dropped += outcome.dropped;
    }
    let seconds = begin.elapsed().as_secs_f64();
    println!(
        "{} frames sent, {} left alone, {} received, {} dropped, {seconds:.1} s",
        total.sent, total.whole, total.received, total.dropped
    );
}
