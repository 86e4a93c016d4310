//! A board in memory: a clock, a line that nobody listens to, and a device with the model in it.

use std::cell::Cell;
use std::convert::Infallible;

use embedded_io::{ErrorType, Read, ReadReady, Write};
use motion_firmware::model::{ARENA_BYTES, MODEL, ModelOperators, OPERATOR_COUNT};
use niwaki_firmware::{Board, Device, Memory, Meter, NoStore, Start};
use niwaki_wire::Unit;

/// Goes on by one with each look at it.
#[derive(Default)]
pub struct Clock(Cell<u64>);

impl Meter for Clock {
    fn now(&self) -> u64 {
        self.0.set(self.0.get() + 1);
        self.0.get()
    }
}

impl Board for Clock {
    fn name(&self) -> &'static str {
        "rig"
    }

    fn unit(&self) -> Unit {
        Unit::Cycles
    }
}

/// A line without a host; `talk` are bytes that come nevertheless, and `said` what the board answers.
#[derive(Default)]
pub struct Line {
    pub talk: Vec<u8>,
    pub said: Vec<u8>,
}

impl ErrorType for Line {
    type Error = Infallible;
}

impl ReadReady for Line {
    fn read_ready(&mut self) -> Result<bool, Infallible> {
        Ok(!self.talk.is_empty())
    }
}

impl Read for Line {
    fn read(&mut self, buffer: &mut [u8]) -> Result<usize, Infallible> {
        let len = self.talk.len().min(buffer.len());
        buffer
            .iter_mut()
            .zip(self.talk.drain(..len))
            .for_each(|(to, from)| *to = from);
        Ok(len)
    }
}

impl Write for Line {
    fn write(&mut self, bytes: &[u8]) -> Result<usize, Infallible> {
        self.said.extend(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> Result<(), Infallible> {
        Ok(())
    }
}

pub type RigDevice<'r> = Device<'r, ModelOperators, NoStore, Clock, Line>;

/// Has `test` work with a device on whose line `talk` has come.
pub fn with_device(talk: Vec<u8>, test: impl FnOnce(&mut RigDevice<'_>)) -> Vec<u8> {
    let mut memory = Memory::<ARENA_BYTES, 0, OPERATOR_COUNT>::new();
    let mut line = Line {
        talk,
        ..Line::default()
    };
    let start = Start {
        embedded: Some(MODEL),
        ..Start::default()
    };
    test(&mut Device::new(
        start,
        NoStore,
        &mut memory,
        &Clock::default(),
        &mut line,
    ));
    line.said
}
