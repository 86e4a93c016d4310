//! What an update does while power lasts, and what is refused.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test may panic"
)]

mod device;

use device::{Device, key, random, signed, unsigned};
use niwaki_store::simulate::{Power, SimFlash};
use niwaki_store::{Boot, Error, Manifest, MappedFlash as _, Part, Phase, Slot, Store, Trust};

fn device(trust: Trust) -> Device<4, 1024> {
    Device::new(&Power::new(1), 2, 8, trust)
}

fn head(update: &[u8]) -> &[u8; Manifest::BYTES] {
    update.first_chunk().unwrap()
}

#[test]
fn each_model_is_received_tried_and_confirmed_in_the_other_slot() {
    let mut device = device(Trust::Anybody);
    for version in 0..7 {
        let model = random(version.into(), 3000 + 321 * version as usize);
        let update = unsigned(version, &model);
        // Chunks that are none of a unit of a write, and more than a sector.
        device
            .upload(&update, [1, 3, 64, 100, 1024, 1500, 8000][version as usize])
            .unwrap();
        let Boot {
            running,
            mut updater,
            ..
        } = device.start();
        let running = running.unwrap();
        assert!(running.on_trial && running.model == model);
        assert_eq!(running.manifest.version, version);
        assert_eq!(
            running.slot,
            if version % 2 == 0 { Slot::A } else { Slot::B }
        );
        assert!(running.model.as_ptr().addr().is_multiple_of(16));
        // The one before is kept until this one is confirmed.
        if version > 0 {
            assert_eq!(updater.begin(head(&update)), Err(Error::Kept));
            assert_eq!(updater.other().unwrap().version, version - 1);
        }
        updater.confirm().unwrap();
        updater.confirm().unwrap();
        let Boot { running, .. } = device.start();
        assert!(running.is_some_and(|running| !running.on_trial && running.model == model));
    }
    // 5 records for each update, 16 to a page: the first page is erased when the device is new
    // and when the second is full, the second when the first is.
    device.change(|journal, _| assert_eq!(journal.wear(), [2, 1]));
}

#[test]
fn a_trial_that_is_not_confirmed_ends_with_the_next_boot() {
    let mut device = device(Trust::Anybody);
    let [old, new] = [random(1, 4000), random(2, 5000)];
    device.update(&unsigned(1, &old), 64).unwrap();
    device.upload(&unsigned(2, &new), 64).unwrap();
    assert_eq!(device.boot().as_ref(), Some(&new));
    assert_eq!(device.boot().as_ref(), Some(&old));
    assert_eq!(device.boot().as_ref(), Some(&old));
    // It is still there, and may have another try.
    device.start().updater.activate().unwrap();
    assert_eq!(device.boot().as_ref(), Some(&new));
    assert_eq!(device.boot().as_ref(), Some(&old));
}

#[test]
fn the_first_model_of_all_may_be_tried_again() {
    let mut device = device(Trust::Anybody);
    let model = random(1, 4000);
    assert_eq!(device.boot(), None);
    device.upload(&unsigned(1, &model), 64).unwrap();
    assert_eq!(device.boot().as_ref(), Some(&model));
    assert_eq!(device.boot(), None);
    device.start().updater.activate().unwrap();
    let Boot {
        running,
        mut updater,
        ..
    } = device.start();
    assert!(running.is_some_and(|running| running.on_trial));
    assert_eq!(updater.roll_back(), Err(Error::NothingToReturnTo));
    updater.confirm().unwrap();
    assert_eq!(device.boot(), Some(model));
}

#[test]
fn a_confirmed_model_is_rolled_back() {
    let mut device = device(Trust::Anybody);
    let [old, new] = [random(1, 4000), random(2, 5000)];
    device.update(&unsigned(1, &old), 64).unwrap();
    device.update(&unsigned(2, &new), 64).unwrap();
    let Boot { mut updater, .. } = device.start();
    assert_eq!(updater.roll_back().unwrap().version, 1);
    // What the next boot needs is not overwritten before it, nor is the rejected one confirmed.
    assert_eq!(updater.begin(head(&unsigned(3, &new))), Err(Error::Kept));
    assert_eq!(updater.confirm(), Err(Error::NothingToConfirm));
    let Boot {
        running,
        mut updater,
        ..
    } = device.start();
    assert!(running.is_some_and(|running| !running.on_trial && running.model == old));
    assert_eq!(updater.roll_back(), Err(Error::NothingToReturnTo));
    assert_eq!(updater.status().phases, [Phase::Confirmed, Phase::Rejected]);
    // A rollback during the trial is the same without waiting for the next boot to decide.
    updater.activate().unwrap();
    let Boot {
        running,
        mut updater,
        ..
    } = device.start();
    assert!(running.is_some_and(|running| running.on_trial));
    updater.roll_back().unwrap();
    assert_eq!(device.boot(), Some(old));
}

#[test]
fn an_upload_that_is_wrong_leaves_the_running_model() {
    let mut device = device(Trust::Anybody);
    let old = random(1, 4000);
    device.update(&unsigned(1, &old), 64).unwrap();
    let update = unsigned(2, &random(2, 5000));
    let model = &update[Manifest::BYTES..];
    {
        let Boot { mut updater, .. } = device.start();
        assert_eq!(updater.write(&[0]), Err(Error::NoUpload));
        assert_eq!(updater.finish(), Err(Error::NoUpload));
        assert_eq!(updater.activate(), Err(Error::NothingToActivate));
        assert_eq!(updater.begin(&[0; 128]), Err(Error::NotAnUpdate));
        let mut newer = *head(&update);
        newer[8] = 2;
        assert_eq!(
            updater.begin(&newer),
            Err(Error::NewerManifest { found: 2 })
        );
        newer[8..12].copy_from_slice(&[1, 0, 2, 0]);
        assert_eq!(
            updater.begin(&newer),
            Err(Error::NewerManifest { found: 0x2_0001 })
        );
        let room = updater.status().room;
        assert_eq!(room, 8 * 1024 - 128);
        let large = unsigned(2, &vec![0; room as usize + 1]);
        let refused = Error::TooLarge {
            length: room + 1,
            room,
        };
        assert_eq!(updater.begin(head(&large)), Err(refused));
        // Nothing has been recorded so far.
        assert_eq!(updater.status().phases, [Phase::Confirmed, Phase::Empty]);

        updater.begin(head(&update)).unwrap();
        assert_eq!(updater.write(&model[..4990]), Ok(4990));
        let short = Error::Short {
            received: 4990,
            length: 5000,
        };
        assert_eq!(updater.finish(), Err(short));
        assert_eq!(updater.write(&[0; 11]), Err(Error::Long { length: 5000 }));
        assert_eq!(updater.write(&[0; 10]), Ok(5000));
        assert_eq!(updater.finish(), Err(Error::Damaged));
        assert_eq!(updater.activate(), Err(Error::NothingToActivate));
    }
    assert_eq!(device.boot().as_ref(), Some(&old));
    let full = unsigned(2, &random(7, 8 * 1024 - 128));
    device.update(&full, 64).unwrap();
    assert_eq!(device.boot().as_deref(), Some(&full[Manifest::BYTES..]));
}

#[test]
fn bit_rot_in_the_active_slot_is_found_at_boot_and_the_other_taken() {
    let [old, new] = [random(1, 2000), random(2, 3000)];
    let mut rotten = 0;
    for bit in (0..(Manifest::BYTES + new.len()) * 8).step_by(41) {
        let mut device = device(Trust::Anybody);
        device.update(&unsigned(1, &old), 64).unwrap();
        device.update(&unsigned(2, &new), 64).unwrap();
        device.change(|_, [_, b]| b.rot(bit / 8, bit as u8));
        assert_eq!(device.boot().as_ref(), Some(&old), "bit {bit}");
        assert_eq!(device.boot().as_ref(), Some(&old), "bit {bit}");
        let Boot { mut updater, .. } = device.start();
        assert!(updater.activate().is_err(), "bit {bit}");
        device.update(&unsigned(3, &new), 64).unwrap();
        assert_eq!(device.boot().as_ref(), Some(&new), "bit {bit}");
        rotten += 1;
    }
    println!("bit rot: {rotten} flipped bits in the active slot, the other slot taken every time");
}

#[test]
fn with_both_slots_rotten_nothing_runs_and_an_upload_helps() {
    let mut device = device(Trust::Anybody);
    let model = random(1, 4000);
    device.update(&unsigned(1, &model), 64).unwrap();
    device.update(&unsigned(2, &model), 64).unwrap();
    device.change(|_, slots| slots.iter_mut().for_each(|slot| slot.rot(200, 3)));
    assert_eq!(device.boot(), None);
    assert_eq!(device.start().updater.activate(), Err(Error::Damaged));
    device.update(&unsigned(3, &model), 64).unwrap();
    assert_eq!(device.boot(), Some(model));
}

#[test]
fn a_journal_with_any_bit_flipped_gives_the_record_before() {
    let [old, new] = [random(1, 2000), random(2, 3000)];
    for bit in (0..2 * 1024 * 8).step_by(5) {
        let mut device = device(Trust::Anybody);
        device.update(&unsigned(1, &old), 640).unwrap();
        device.update(&unsigned(2, &new), 640).unwrap();
        device.change(|journal, _| journal.rot(bit / 8, bit as u8));
        let running = device.boot().unwrap();
        assert!(running == old || running == new, "bit {bit}");
        device.update(&unsigned(3, &old), 640).unwrap();
    }
}

#[test]
fn what_a_probe_flashed_into_a_slot_is_taken_when_the_journal_is_blank() {
    let power = Power::new(1);
    let [old, new] = [random(1, 2000), random(2, 3000)];
    let slot = |update: &[u8]| {
        let mut content = vec![0xFF; 8 * 1024];
        content[..update.len()].copy_from_slice(update);
        SimFlash::<4, 1024>::holding(&content, &power)
    };
    let slots = [slot(&unsigned(5, &new)), slot(&unsigned(4, &old))];
    let mut device = Device::of(SimFlash::new(2, &power), slots, Trust::Anybody);
    assert_eq!(device.boot().as_ref(), Some(&new));
    device.change(|_, [a, _]| a.rot(500, 1));
    assert_eq!(device.boot().as_ref(), Some(&old));
}

#[test]
fn only_models_of_the_key_are_taken_and_none_older() {
    let (owner, trust) = key(1);
    let (stranger, _) = key(2);
    let mut device = device(trust);
    let [old, new] = [random(1, 4000), random(2, 5000)];
    device.update(&signed(&owner, 7, &old), 64).unwrap();

    let identify =
        |key: &ed25519_dalek::SigningKey| niwaki_store::key_id(key.verifying_key().as_bytes());
    let refused = |device: &mut Device<4, 1024>, update: &[u8], error: Error| {
        assert_eq!(device.upload(update, 64), Err(error));
        assert_eq!(device.boot().as_ref(), Some(&old));
    };
    refused(&mut device, &unsigned(8, &new), Error::Unsigned);
    let other = Error::OtherKey {
        found: identify(&stranger),
        wanted: identify(&owner),
    };
    refused(&mut device, &signed(&stranger, 8, &new), other);
    refused(
        &mut device,
        &signed(&owner, 6, &new),
        Error::Older {
            version: 6,
            floor: 7,
        },
    );

    // A stranger's signature under the owner's name; and any bit of the signed bytes.
    let good = signed(&owner, 8, &new);
    let mut forged = signed(&stranger, 8, &new);
    forged[20..28].copy_from_slice(&identify(&owner));
    refused(&mut device, &forged, Error::BadSignature);
    for bit in 0..Manifest::BYTES * 8 {
        let mut changed = good.clone();
        changed[bit / 8] ^= 1 << (bit % 8);
        device.start().updater.begin(head(&changed)).unwrap_err();
    }
    let mut changed = good.clone();
    changed[Manifest::BYTES + 100] ^= 1;
    refused(&mut device, &changed, Error::Damaged);

    // The number counts once it is confirmed, not before, and the same number is no older one.
    device.upload(&good, 64).unwrap();
    assert_eq!(device.boot().as_ref(), Some(&new));
    assert_eq!(device.start().updater.status().floor, 7);
    device.update(&signed(&owner, 7, &old), 64).unwrap();
    device.update(&good, 64).unwrap();
    assert_eq!(device.start().updater.status().floor, 8);
    // Going back by hand is possible, and does not open the door for older uploads.
    device.start().updater.roll_back().unwrap();
    assert_eq!(device.boot().as_ref(), Some(&old));
    let update = signed(&owner, 7, &new);
    assert_eq!(
        device.upload(&update, 64),
        Err(Error::Older {
            version: 7,
            floor: 8
        })
    );
}

#[test]
fn a_key_that_comes_with_a_new_image_refuses_what_is_in_the_slots_unsigned() {
    let (owner, trust) = key(1);
    let mut device = device(Trust::Anybody);
    let model = random(1, 4000);
    // Whoever cannot sign cannot raise the lowest version either.
    device.update(&unsigned(u32::MAX, &model), 64).unwrap();
    device.trust(trust);
    assert_eq!(device.boot(), None);
    device.update(&signed(&owner, 1, &model), 64).unwrap();
    assert_eq!(device.boot(), Some(model));
}

#[test]
fn keys_for_which_anybody_can_sign_are_refused() {
    for point in [[0; 32], {
        let mut one = [0; 32];
        one[0] = 1;
        one
    }] {
        assert_eq!(
            niwaki_store::PublicKey::new(&point).unwrap_err(),
            Error::BadKey
        );
    }
}

#[test]
fn flash_that_is_too_small_is_refused() {
    let power = Power::new(1);
    let open = |journal, slots: [usize; 2]| {
        let slots = slots.map(|sectors| SimFlash::<4, 64>::new(sectors, &power));
        Store::open(
            SimFlash::<4, 64>::new(journal, &power),
            slots,
            Trust::Anybody,
        )
        .map(|_| ())
    };
    assert_eq!(open(2, [3, 3]), Ok(()));
    assert_eq!(open(1, [3, 3]), Err(Error::Geometry(Part::Journal)));
    assert_eq!(open(2, [3, 2]), Err(Error::Geometry(Part::Slot)));
    assert!(
        SimFlash::<4, 64>::new(1, &power)
            .bytes()
            .as_ptr()
            .addr()
            .is_multiple_of(16)
    );
}
