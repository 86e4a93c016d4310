//! A model that leaves time for others: embassy's executor runs it one operator at a time, and another
//! task in between, as a radio's would be. What happens is logged by defmt.
//!
//! It is for the Cortex-M4 that QEMU emulates, and ends there; see README.md.

#![no_std]
#![no_main]

use core::sync::atomic::{AtomicU32, Ordering};

// It brings the critical sections that the executor and the log need.
use cortex_m as _;
use defmt::{error, info};
use defmt_semihosting as _;
use embassy_executor::Spawner;
use embassy_futures::yield_now;
use niwaki::{Progress, RunError};
use panic_halt as _;
use static_cell::ConstStaticCell;

mod model {
    niwaki::include_model!("../../../../tests/golden/format-3/digits.niwaki");
}

static ARENA: ConstStaticCell<model::Arena> = ConstStaticCell::new(model::Arena::new());

/// How often the other task has had its turn.
static TURNS: AtomicU32 = AtomicU32::new(0);

/// What else there is to do.
#[embassy_executor::task]
async fn radio() {
    loop {
        TURNS.fetch_add(1, Ordering::Relaxed);
        yield_now().await;
    }
}

#[embassy_executor::main]
async fn main(spawner: Spawner) {
    match radio() {
        Ok(task) => spawner.spawn(task),
        Err(_) => error!("there is no room for the radio's task"),
    }
    let code = match model::session(ARENA.take()) {
        Ok(mut session) => classify(&mut session).await.map_or_else(failed, |()| 0),
        Err(error) => failed(error),
    };
    semihosting::process::exit(code);
}

/// Logs an error, and gives the exit code.
fn failed(error: impl defmt::Format) -> i32 {
    error!("{}", error);
    1
}

/// Runs the model at once and piece by piece, and says what came of it.
async fn classify(session: &mut model::Session<'static>) -> Result<(), RunError> {
    let sample = model::ZEROS;
    let at_once = *model::run(session, &sample)?;

    session.input_as(0)?.copy_from_slice(&sample);
    let (mut progress, before) = (Progress::default(), TURNS.load(Ordering::Relaxed));
    let mut pieces = 0;
    while session.step(&mut progress)?.is_some() {
        pieces += 1;
        yield_now().await;
    }
    let between = TURNS.load(Ordering::Relaxed) - before;
    let scores = session.output_as::<f32>(0)?;
    info!(
        "{} pieces, {} turns of the radio between them, the same scores: {}",
        pieces,
        between,
        scores == at_once
    );

    // What a log says of an error.
    if let Err(error) = niwaki::Model::<niwaki::All>::new(&[0; 64]) {
        info!("no model: {}", error);
    }
    if let Err(error) = session.input_as::<u8>(0) {
        info!("no input: {}", error);
    }
    Ok(())
}
