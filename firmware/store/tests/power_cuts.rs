//! Power goes off at every write and every erasure of an update, in several ways each, and again
//! at every one of the recovery. Whatever is left, the device boots the old model or the new one,
//! whole, and takes the next update.
//!
//! `cargo test --release --package niwaki-store --test power_cuts -- --nocapture` prints the counts.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::expect_used,
    clippy::panic,
    reason = "a test may panic"
)]

mod device;

use device::{Device, key, random, signed, unsigned};
use niwaki_store::simulate::{Power, Tear};
use niwaki_store::{Boot, Error, Manifest, Trust};

/// What came of the cuts.
#[derive(Debug, Default)]
struct Counts {
    /// Operations at which power was cut.
    cut_points: u64,
    /// Cuts, each operation in several ways.
    cuts: u64,
    /// Cuts while the device recovered from another.
    second_cuts: u64,
    /// Boots by what ran.
    old: u64,
    new: u64,
    none: u64,
    /// Boots without a model where there was one.
    bricked: u64,
    /// Boots with bytes that are neither model.
    half: u64,
    /// Devices that refused the next update.
    stuck: u64,
}

impl Counts {
    fn report(&self, what: &str) {
        println!(
            "{what}: {} cut points, {} cuts and {} in the recovery; booted old {}, new {}, \
             none {}; bricked {}, half models {}, next update refused {}",
            self.cut_points,
            self.cuts,
            self.second_cuts,
            self.old,
            self.new,
            self.none,
            self.bricked,
            self.half,
            self.stuck
        );
        assert!(self.cut_points > 0 && self.new > 0, "{what}");
        assert_eq!((self.bricked, self.half, self.stuck), (0, 0, 0), "{what}");
    }
}

/// What is done to a device, and what it may boot afterwards.
struct Scenario<'a, const WRITE: usize, const ERASE: usize> {
    act: &'a dyn Fn(&mut Device<WRITE, ERASE>) -> Result<(), Error>,
    old: Option<&'a [u8]>,
    new: &'a [u8],
    /// The update that has to succeed after each cut.
    next: &'a [u8],
}

impl<const WRITE: usize, const ERASE: usize> Scenario<'_, WRITE, ERASE> {
    /// Cuts power at every operation of the action on a copy of `device`.
    fn cut_everywhere(&self, device: &mut Device<WRITE, ERASE>, counts: &mut Counts) {
        let power = Power::new(0);
        (self.act)(&mut device.copy(&power)).unwrap();
        let operations = power.operations();
        counts.cut_points += operations;
        for index in 0..operations {
            for tear in Tear::ALL {
                let power = Power::new(index * 8 + tear as u64);
                let mut device = device.copy(&power);
                power.cut_at(index, tear);
                (self.act)(&mut device).expect_err("power went off");
                assert!(power.is_off());
                power.restore();
                counts.cuts += 1;
                self.recover_with_cuts(&mut device, counts);
                self.boot(&mut device, counts);
                self.update(&mut device, counts);
            }
        }
    }

    /// Cuts power at every operation of the boot that follows a cut, in the one way or the other.
    /// One in 16 of these devices is updated again.
    fn recover_with_cuts(&self, device: &mut Device<WRITE, ERASE>, counts: &mut Counts) {
        let power = Power::new(0);
        device.copy(&power).boot();
        for index in 0..power.operations() {
            let tear = Tear::ALL[(counts.second_cuts % Tear::ALL.len() as u64) as usize];
            let power = Power::new(counts.second_cuts);
            let mut device = device.copy(&power);
            power.cut_at(index, tear);
            let journal = device.start().journal;
            journal.expect_err("power went off");
            power.restore();
            counts.second_cuts += 1;
            self.boot(&mut device, counts);
            if counts.second_cuts.is_multiple_of(16) {
                self.update(&mut device, counts);
            }
        }
    }

    /// Boots after a cut.
    fn boot(&self, device: &mut Device<WRITE, ERASE>, counts: &mut Counts) {
        match device.boot() {
            Some(model) if model == self.new => counts.new += 1,
            Some(model) if Some(&model[..]) == self.old => counts.old += 1,
            Some(_) => counts.half += 1,
            None if self.old.is_some() => counts.bricked += 1,
            None => counts.none += 1,
        }
    }

    /// Updates after a cut.
    fn update(&self, device: &mut Device<WRITE, ERASE>, counts: &mut Counts) {
        let updated = device.update(self.next, 128);
        let model = &self.next[Manifest::BYTES..];
        if updated.is_err() || device.boot().as_deref() != Some(model) {
            counts.stuck += 1;
        }
    }
}

/// Puts `records` records into the journal and nothing else, by uploads that begin and end.
fn age<const WRITE: usize, const ERASE: usize>(device: &mut Device<WRITE, ERASE>, records: usize) {
    let update = unsigned(1, &[]);
    let Boot { mut updater, .. } = device.start();
    for record in 0..records {
        if record % 2 == 0 {
            updater.begin(update.first_chunk().unwrap()).unwrap();
        } else {
            updater.finish().unwrap();
        }
    }
}

/// An update from one model to another, with journals of different ages, so that its page is
/// changed at each of an update's records.
fn update<const WRITE: usize, const ERASE: usize>(bytes: usize, chunk: usize, ages: usize) {
    let mut counts = Counts::default();
    let [old, new, third] = [1, 2, 3].map(|seed| random(seed, bytes - 77 * seed as usize));
    let update = unsigned(2, &new);
    for records in 0..ages {
        let sectors = (bytes + Manifest::BYTES).div_ceil(ERASE);
        let mut device = Device::<WRITE, ERASE>::new(&Power::new(1), 2, sectors, Trust::Anybody);
        device.update(&unsigned(1, &old), 128).unwrap();
        age(&mut device, records);
        let scenario = Scenario {
            act: &|device| device.update(&update, chunk),
            old: Some(&old),
            new: &new,
            next: &unsigned(3, &third),
        };
        scenario.cut_everywhere(&mut device, &mut counts);
    }
    counts.report(&format!(
        "update, writes of {WRITE} bytes, sectors of {ERASE}"
    ));
}

#[test]
fn an_update_in_words() {
    // nRF51 and nRF52, with the sectors of the former.
    update::<4, 1024>(4500, 128, 1);
}

#[test]
fn an_update_whose_journal_turns_its_page_at_every_record() {
    update::<4, 256>(800, 48, 9);
}

#[test]
fn an_update_in_double_words() {
    // STM32L4 and G4.
    update::<8, 2048>(5000, 100, 1);
}

#[test]
fn an_update_in_flash_words() {
    // STM32H7, with smaller sectors.
    update::<32, 4096>(20_000, 256, 1);
}

#[test]
fn an_update_in_pages() {
    // Serial flash of the RP2040: 16 records fill a page of the journal.
    update::<256, 4096>(8500, 1000, 17);
}

#[test]
fn an_update_that_is_signed() {
    let (owner, trust) = key(1);
    let [old, new, third] = [1, 2, 3].map(|seed| random(seed, 900 - 77 * seed as usize));
    let mut device = Device::<8, 256>::new(&Power::new(1), 2, 4, trust);
    device.update(&signed(&owner, 1, &old), 128).unwrap();
    let update = signed(&owner, 2, &new);
    let scenario = Scenario {
        act: &|device| device.update(&update, 128),
        old: Some(&old),
        new: &new,
        next: &signed(&owner, 3, &third),
    };
    let mut counts = Counts::default();
    scenario.cut_everywhere(&mut device, &mut counts);
    counts.report("signed update");
}

#[test]
fn the_first_model_of_all() {
    let [new, third] = [2, 3].map(|seed| random(seed, 2000 - 77 * seed as usize));
    let update = unsigned(2, &new);
    let scenario = Scenario {
        act: &|device| device.update(&update, 128),
        old: None,
        new: &new,
        next: &unsigned(3, &third),
    };
    let mut counts = Counts::default();
    let mut device = Device::<4, 256>::new(&Power::new(1), 2, 9, Trust::Anybody);
    scenario.cut_everywhere(&mut device, &mut counts);
    counts.report("first model");
}

#[test]
fn a_roll_back() {
    let [old, new, third] = [1, 2, 3].map(|seed| random(seed, 2000 - 77 * seed as usize));
    let mut counts = Counts::default();
    for records in 0..4 {
        let mut device = Device::<4, 256>::new(&Power::new(1), 2, 9, Trust::Anybody);
        age(&mut device, records);
        device.update(&unsigned(1, &new), 128).unwrap();
        device.update(&unsigned(2, &old), 128).unwrap();
        let scenario = Scenario {
            act: &|device| {
                device.start().updater.roll_back()?;
                assert_eq!(device.boot().as_ref(), Some(&new));
                Ok(())
            },
            old: Some(&old),
            new: &new,
            next: &unsigned(3, &third),
        };
        scenario.cut_everywhere(&mut device, &mut counts);
    }
    counts.report("rollback");
}

#[test]
fn the_recovery_from_bit_rot() {
    let [old, new, third] = [1, 2, 3].map(|seed| random(seed, 2000 - 77 * seed as usize));
    let mut counts = Counts::default();
    for records in 0..4 {
        let mut device = Device::<4, 256>::new(&Power::new(1), 2, 9, Trust::Anybody);
        age(&mut device, records);
        device.update(&unsigned(1, &new), 128).unwrap();
        device.update(&unsigned(2, &old), 128).unwrap();
        let rotten = device.start().running.unwrap().slot as usize;
        device.change(|_, slots| slots[rotten].rot(900, 4));
        // The one that is left is called new here: the other must not run any more.
        let scenario = Scenario {
            act: &|device| device.start().journal,
            old: Some(&new),
            new: &new,
            next: &unsigned(3, &third),
        };
        scenario.cut_everywhere(&mut device, &mut counts);
    }
    counts.report("bit rot");
}
