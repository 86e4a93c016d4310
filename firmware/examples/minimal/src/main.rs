//! The smallest firmware with a model in it: one dependency, one macro, one arena. What
//! `cargo xtask footprint` calls `minimal` is this program.

#![no_std]
#![no_main]

use core::hint::black_box;

use cortex_m_rt::entry;
use panic_halt as _;
use static_cell::ConstStaticCell;

mod model {
    // A program of your own writes the path here: `niwaki::include_model!("../kws.niwaki")`.
    niwaki::include_model!(env!("NIWAKI_MODEL"));
}

/// Activations: the only large thing in RAM.
static ARENA: ConstStaticCell<model::Arena> = ConstStaticCell::new(model::Arena::new());

/// Where samples come from: here from nowhere.
static SAMPLE: model::Input = model::ZEROS;

#[entry]
fn main() -> ! {
    // The model is checked here, once; what a `static` cell refuses is a second call.
    if let Some(arena) = ARENA.try_take()
        && let Ok(mut session) = model::trusted_session(arena)
    {
        classify(&mut session);
    }
    loop {
        core::hint::spin_loop();
    }
}

/// Runs the model again and again.
#[inline(never)]
fn classify(session: &mut model::Session<'_>) {
    loop {
        before_run();
        let scores = model::run(session, black_box(&SAMPLE));
        after_run();
        black_box(scores.is_ok());
    }
}

/// A debugger that measures the stack stops here.
#[allow(unsafe_code, reason = "found by this name, which nothing else has")]
#[unsafe(export_name = "niwaki_run_begin")]
#[inline(never)]
fn before_run() {
    // Functions of one and the same body would become one.
    black_box(1u32);
}

/// And here.
#[allow(unsafe_code, reason = "found by this name, which nothing else has")]
#[unsafe(export_name = "niwaki_run_end")]
#[inline(never)]
fn after_run() {
    black_box(2u32);
}
