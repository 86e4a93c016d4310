//! What goes over the bus, transfer by transfer, and what comes of a bus and a sensor that fail.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    unreachable_pub,
    reason = "a test may panic"
)]

mod rig;

use std::f32::consts::PI;

use embedded_hal::i2c::{ErrorKind, NoAcknowledgeSource};
use embedded_hal_mock::eh1::delay::NoopDelay;
use embedded_hal_mock::eh1::i2c::{Mock, Transaction};
use motion_firmware::{
    Address, BACKOFF_STEPS, Counts, HOP, Imu, ImuError, Monitor, Reading, SETTLE_STEPS, STEPS, Step,
};
use motion_sensor::{Bno055, CHIP_ID, Failures, Motion};
use niwaki_wire::{Answer, Decoder, Head, PROTOCOL, Reply, Request, decode, encode};
use rig::with_device;

const SENSOR: u8 = 0x28;
const NACK: ErrorKind = ErrorKind::NoAcknowledge(NoAcknowledgeSource::Address);

fn page() -> Transaction {
    Transaction::write(SENSOR, vec![0x07, 0])
}

fn write(register: u8, value: u8) -> Transaction {
    Transaction::write(SENSOR, vec![register, value])
}

fn read(register: u8, bytes: &[u8]) -> Transaction {
    Transaction::write_read(SENSOR, vec![register], bytes.to_vec())
}

/// The transfers of a start.
fn start() -> Vec<Transaction> {
    vec![
        page(),
        page(),
        read(0x00, &[CHIP_ID]),
        page(),
        // SYS_TRIGGER: reset.
        write(0x3F, 0x20),
        page(),
        // PWR_MODE: normal.
        write(0x3E, 0),
        write(0x3F, 0),
        page(),
        // OPR_MODE: IMU.
        write(0x3D, 0b1000),
    ]
}

const GRAVITY: [u8; 6] = [0, 0, 0, 0, 0xD5, 0x03];

/// The transfers of a reading.
fn reading(acceleration: &[u8; 6], rate: &[u8; 6]) -> Vec<Transaction> {
    vec![
        page(),
        read(0x2E, &GRAVITY),
        page(),
        read(0x28, acceleration),
        page(),
        read(0x14, rate),
    ]
}

#[test]
fn a_start_resets_the_sensor_and_a_reading_has_six_channels_in_si_units() {
    let acceleration = [0x64, 0x00, 0x9C, 0xFF, 0xFF, 0x7F];
    let rate = [0x40, 0x0B, 0xC0, 0xF4, 0x01, 0x00];
    let expected = [start(), reading(&acceleration, &rate)].concat();
    let mut bus = Mock::new(&expected);
    let mut imu = Imu::new(&mut bus, Address::Low);
    imu.start(&mut NoopDelay).unwrap();
    let read = imu.read().unwrap();
    assert_eq!(
        read,
        Reading {
            acceleration: [100, -100, 32767],
            rate: [2880, -2880, 1],
        }
    );
    // 1 m/s² and 180 degrees a second.
    let sample = read.to_sample();
    assert_eq!(sample[..5], [1.0, -1.0, 327.67, PI, -PI]);
    assert!((sample[5] - (1.0f32 / 16.0).to_radians()).abs() < 1e-9);
    bus.done();
}

#[test]
fn the_other_address_is_that_of_the_pin() {
    let mut bus = Mock::new(&[Transaction::write(0x29, vec![0x07, 0]).with_error(NACK)]);
    let mut imu = Imu::new(&mut bus, Address::High);
    assert_eq!(imu.start(&mut NoopDelay), Err(ImuError::Bus(NACK)));
    bus.done();
}

#[test]
fn a_sensor_that_is_not_there_or_another_one_is_an_error() {
    let mut bus = Mock::new(&[page().with_error(NACK)]);
    let mut imu = Imu::new(&mut bus, Address::Low);
    assert_eq!(imu.start(&mut NoopDelay), Err(ImuError::Bus(NACK)));
    bus.done();

    // A BMI160, say.
    let mut bus = Mock::new(&[page(), page(), read(0x00, &[0xD1])]);
    let mut imu = Imu::new(&mut bus, Address::Low);
    assert_eq!(imu.start(&mut NoopDelay), Err(ImuError::OtherChip(0xD1)));
    bus.done();
}

#[test]
fn a_bus_that_fails_within_a_reading_gives_no_half_of_it() {
    let whole = reading(&[1; 6], &[2; 6]);
    for at in 0..whole.len() {
        let mut expected = [start(), whole[..=at].to_vec()].concat();
        let last = expected.pop().unwrap();
        expected.push(last.with_error(ErrorKind::ArbitrationLoss));
        let mut bus = Mock::new(&expected);
        let mut imu = Imu::new(&mut bus, Address::Low);
        imu.start(&mut NoopDelay).unwrap();
        assert_eq!(imu.read(), Err(ImuError::Bus(ErrorKind::ArbitrationLoss)));
        bus.done();
    }
}

#[test]
fn zeros_of_a_sensor_that_does_not_fuse_are_no_reading() {
    let mut bus = Mock::new(&[start(), vec![page(), read(0x2E, &[0; 6])]].concat());
    let mut imu = Imu::new(&mut bus, Address::Low);
    // Not started.
    assert_eq!(imu.read(), Err(ImuError::NotFusing));
    imu.start(&mut NoopDelay).unwrap();
    assert_eq!(imu.read(), Err(ImuError::NotFusing));
    bus.done();
}

// ---- the monitor, with the simulated sensor ----

/// The monitor owns the bus; a cell lets the test break it.
#[derive(Clone)]
struct Shared(std::rc::Rc<std::cell::RefCell<Bno055>>);

impl Shared {
    fn new() -> Self {
        let mut sensor = Bno055::new();
        sensor.motion = Motion {
            acceleration: [0.5, -0.5, 0.1],
            rate: [0.1, 0.0, -0.1],
        };
        Self(std::rc::Rc::new(sensor.into()))
    }

    /// Has transfers fail.
    fn fail(&self, after: u32, count: u32, kind: ErrorKind) {
        self.0.borrow_mut().failures = Failures { after, count, kind };
    }

    fn monitor(&self) -> Monitor<Self, NoopDelay> {
        Monitor::new(Imu::new(self.clone(), Address::Low), NoopDelay)
    }
}

impl embedded_hal::i2c::ErrorType for Shared {
    type Error = ErrorKind;
}

impl embedded_hal::i2c::I2c for Shared {
    fn transaction(
        &mut self,
        address: u8,
        operations: &mut [embedded_hal::i2c::Operation<'_>],
    ) -> Result<(), ErrorKind> {
        self.0.borrow_mut().transaction(address, operations)
    }
}

fn is_result<E>(step: &Step<E>) -> bool {
    matches!(step, Step::Classified(..))
}

#[test]
fn an_error_within_a_window_begins_it_anew_behind_a_new_start() {
    let sensor = Shared::new();
    with_device(vec![], |device| {
        let mut monitor = sensor.monitor();
        assert_eq!(monitor.step(0, device), Step::Starting);
        for _ in 0..30 {
            assert_eq!(monitor.step(0, device), Step::Read);
        }
        sensor.fail(0, 1, ErrorKind::Bus);
        let failed = Step::Failed(ImuError::Bus(ErrorKind::Bus));
        assert_eq!(monitor.step(0, device), failed);
        assert_eq!(monitor.step(0, device), Step::Starting);
        // A whole window comes again before there is a result.
        let steps = (1..).find(|_| is_result(&monitor.step(0, device)));
        assert_eq!(steps, Some(STEPS));
        let steps = (1..).find(|_| is_result(&monitor.step(0, device)));
        assert_eq!(steps, Some(HOP));
        let counts = Counts {
            readings: (30 + STEPS + HOP) as u32,
            results: 2,
            sensor_errors: 1,
            starts: 2,
            missed: 0,
        };
        assert_eq!(monitor.counts(), counts);
    });
}

#[test]
fn a_sensor_without_supply_is_tried_ever_more_seldom_and_comes_back() {
    let sensor = Shared::new();
    sensor.0.borrow_mut().powered = false;
    with_device(vec![], |device| {
        let mut monitor = sensor.monitor();
        let failed = Step::Failed(ImuError::Bus(NACK));
        let at: Vec<u32> = (0..400)
            .filter(|_| monitor.step(0, device) == failed)
            .collect();
        let gaps: Vec<u32> = at.windows(2).map(|pair| pair[1] - pair[0]).collect();
        assert_eq!(gaps[..7], [1, 2, 4, 8, 16, 32, BACKOFF_STEPS]);
        assert!(gaps[7..].iter().all(|&gap| gap == BACKOFF_STEPS));

        sensor.0.borrow_mut().powered = true;
        let steps = (1..).find(|_| monitor.step(0, device) == Step::Read);
        assert!(steps.unwrap() <= BACKOFF_STEPS + 1);
        // What works is not punished for its past.
        sensor.fail(0, 1, NACK);
        assert_eq!(monitor.step(0, device), failed);
        assert_eq!(monitor.step(0, device), Step::Starting);
    });
}

#[test]
fn a_sensor_that_has_reset_itself_is_found_by_its_missing_gravity() {
    let sensor = Shared::new();
    with_device(vec![], |device| {
        let mut monitor = sensor.monitor();
        monitor.step(0, device);
        assert_eq!(monitor.step(0, device), Step::Read);
        sensor.0.borrow_mut().reset();
        let failed = Step::Failed(ImuError::NotFusing);
        assert_eq!(monitor.step(0, device), failed);
        assert_eq!(monitor.step(0, device), Step::Starting);
        assert_eq!(monitor.step(0, device), Step::Read);

        // Behind a start it has a second for its first result.
        let mut monitor = sensor.monitor();
        monitor.step(0, device);
        sensor.0.borrow_mut().reset();
        for _ in 0..SETTLE_STEPS {
            assert_eq!(monitor.step(0, device), Step::Starting);
        }
        assert_eq!(monitor.step(0, device), failed);
    });
}

#[test]
fn another_chip_and_a_failure_at_any_transfer_end_in_a_new_start() {
    let sensor = Shared::new();
    with_device(vec![], |device| {
        sensor.0.borrow_mut().chip_id = 0xD1;
        let mut monitor = sensor.monitor();
        let failed = Step::Failed(ImuError::OtherChip(0xD1));
        assert_eq!(monitor.step(0, device), failed);
        sensor.0.borrow_mut().chip_id = CHIP_ID;
        assert_eq!(monitor.step(0, device), Step::Starting);
        assert_eq!(monitor.step(0, device), Step::Read);
        assert_eq!(monitor.counts().sensor_errors, 1);

        // A reading has 6 transfers and a start has 10: each fails, alone and with the next ones.
        for (after, count) in (0..6 + 10 + 6).flat_map(|after| [(after, 1), (after, 2), (after, 7)])
        {
            sensor.fail(after, count, NACK);
            let errors = monitor.counts().sensor_errors;
            let mut failed = 0;
            while failed < count {
                failed += u32::from(matches!(monitor.step(0, device), Step::Failed(_)));
            }
            let back = (0..2 * BACKOFF_STEPS).any(|_| monitor.step(0, device) == Step::Read);
            assert!(back, "{count} failures after {after} transfers");
            assert_eq!(monitor.counts().sensor_errors - errors, count);
        }
    });
}

/// One request in a frame.
fn frame(sequence: u16, request: &Request<'_>) -> Vec<u8> {
    let head = Head {
        session: 7,
        sequence,
    };
    encode(&head, request, &mut [0; 64]).unwrap().to_vec()
}

#[test]
fn missed_steps_begin_the_window_anew_and_a_host_sees_their_number() {
    let hello = Request::Hello {
        protocol: PROTOCOL,
        take_over: false,
    };
    let talk = [frame(1, &hello), frame(2, &Request::Statistics)].concat();
    let said = with_device(talk, |device| {
        let sensor = Shared::new();
        let mut monitor = sensor.monitor();
        // Steps that go by while the sensor starts are not missed.
        monitor.step(0, device);
        assert_eq!(monitor.step(7, device), Step::Read);
        for _ in 0..40 {
            assert_eq!(monitor.step(0, device), Step::Read);
        }
        assert_eq!(monitor.step(3, device), Step::Read);
        let steps = (2..).find(|_| is_result(&monitor.step(0, device)));
        assert_eq!(steps, Some(STEPS));
        assert_eq!(monitor.counts().missed, 3);
        device.poll();
    });
    let mut decoder = Decoder::<1100>::new();
    let mut rest = &said[..];
    let mut statistics = None;
    while !rest.is_empty() {
        let (payload, left) = decoder.push(rest);
        rest = left;
        if let Some((_, Ok(Reply::Statistics(found)))) = payload.and_then(decode::<Answer<'_>>) {
            statistics = Some((found.runs, found.dropped_samples));
        }
    }
    assert_eq!(statistics, Some((1, 3)));
}
