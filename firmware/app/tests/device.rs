//! What a host asks of a device, and what it gets: every request, and every input that is bad.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    unreachable_pub,
    reason = "a test may panic"
)]

mod rig;

use ed25519_dalek::{Signer as _, SigningKey};
use niwaki::All;
use niwaki_firmware::Turn;
use niwaki_store::{Manifest, Trust};
use niwaki_wire::{
    Answer, Drift, Error, InputStatistics, Place, Record, Reply, Request, Side, Source, decode,
};
use rig::{ARENA, Host, Line, OPERATORS, Rig, RigDevice, SECOND, expected, update};

niwaki::operator_set! {
    /// What the fixture needs, but for its softmax.
    struct Fewer: AddI8, FullyConnectedI8
}

const SAMPLE: [u8; 8] = [1, 2, 3, 4, 200, 6, 7, 255];

fn fixture() -> Vec<u8> {
    niwaki_fixture::artifact().unwrap()
}

fn board() -> Rig {
    Rig::new(Some(&fixture()), 16, Trust::Anybody)
}

fn input(input: u16, offset: u32, bytes: &[u8]) -> Request<'_> {
    Request::Input {
        input,
        offset,
        bytes,
    }
}

/// Writes a sample, in pieces.
fn feed(host: &mut Host, device: &mut RigDevice<'_, All>, line: &Line<'_>, sample: &[u8; 8]) {
    for piece in [
        input(0, 0, &sample[..3]),
        input(0, 3, &sample[3..4]),
        input(1, 0, &sample[4..]),
    ] {
        host.ask(device, line, &piece, |answer| {
            assert_eq!(answer, Ok(Reply::Done));
        });
    }
}

const DIGESTS: Request<'_> = Request::Run {
    record: Record::Digests,
};
const PLAIN: Request<'_> = Request::Run {
    record: Record::Nothing,
};

#[test]
fn a_host_sees_what_the_board_and_its_model_are() {
    board().start::<All>(None, |device, line| {
        let mut host = Host::new(1);
        host.hello(device, line);
        host.ask(device, line, &Request::Info, |answer| {
            let Ok(Reply::Info(info)) = answer else {
                panic!("{answer:?}")
            };
            assert_eq!(info.board, "rig");
            assert_eq!((info.format, info.arena_bytes), (3, ARENA as u32));
            assert!(!info.uploaded && info.refused.is_none() && info.slot_bytes > 0);
            let model = info.model.unwrap();
            assert_eq!(model.source, Source::Embedded);
            assert_eq!(model.sha256, fixture()[8..40]);
            assert_eq!((model.inputs, model.outputs), (2, 1));
            assert_eq!(model.operators, OPERATORS as u32);
        });
        let port = |side, index| Request::Port { side, index };
        host.ask(device, line, &port(Side::Input, 1), |answer| {
            let Ok(Reply::Port(port)) = answer else {
                panic!("{answer:?}")
            };
            assert_eq!((port.name, port.bytes, port.rank), ("b", 4, 2));
            assert_eq!((port.scale, port.low, port.high), (0.5, -64.0, 63.5));
        });
        for (side, index) in [(Side::Input, 2), (Side::Output, 1), (Side::Output, 65535)] {
            host.ask(device, line, &port(side, index), |answer| {
                assert_eq!(answer, Err(Error::NoSuchPort));
            });
        }
    });
}

#[test]
fn a_sample_gets_the_output_and_the_digests_of_the_host() {
    board().start::<All>(None, |device, line| {
        let mut host = Host::new(1);
        host.hello(device, line);
        let (output, digests) = expected(&fixture(), SAMPLE);
        feed(&mut host, device, line, &SAMPLE);
        host.ask(device, line, &DIGESTS, |answer| {
            assert!(matches!(answer, Ok(Reply::Ran { .. })), "{answer:?}");
        });
        let ask = Request::Output {
            output: 0,
            offset: 1,
        };
        host.ask(device, line, &ask, |answer| {
            let (offset, bytes) = (1, &output[1..]);
            assert_eq!(answer, Ok(Reply::Output { offset, bytes }));
        });
        for from in 0..OPERATORS as u32 + 2 {
            host.ask(device, line, &Request::Digests { from }, |answer| {
                let bytes = digests.get(from as usize * 8..).unwrap_or_default();
                let total = OPERATORS as u32;
                assert_eq!(answer, Ok(Reply::Page { from, total, bytes }));
            });
        }
        // Digests are no costs, and neither are there before a run.
        let profile = Request::Profile { from: 0 };
        host.ask(device, line, &profile, |answer| {
            assert_eq!(answer, Err(Error::NotRecorded));
        });
        feed(&mut host, device, line, &SAMPLE);
        let missing = [ask, Request::Digests { from: 0 }];
        for request in missing {
            host.ask(device, line, &request, |answer| {
                assert_eq!(answer, Err(Error::NotRecorded));
            });
        }
        let costs = Request::Run {
            record: Record::Costs,
        };
        host.ask(device, line, &costs, |answer| assert!(answer.is_ok()));
        host.ask(device, line, &profile, |answer| {
            let Ok(Reply::Page { bytes, .. }) = answer else {
                panic!("{answer:?}")
            };
            // The clock of the rig counts how often it is asked.
            assert_eq!(bytes, [1u64.to_le_bytes(); OPERATORS].concat());
        });
    });
}

#[test]
fn inputs_out_of_order_and_half_samples_are_refused() {
    board().start::<All>(None, |device, line| {
        let mut host = Host::new(1);
        host.hello(device, line);
        host.ask(device, line, &PLAIN, |answer| {
            let (found, needed) = (0, 8);
            assert_eq!(answer, Err(Error::SampleIncomplete { found, needed }));
        });
        host.ask(device, line, &input(0, 0, &[1; 3]), |answer| {
            assert!(answer.is_ok());
        });
        let bad: [(Request<'_>, Error); 6] = [
            (input(0, 4, &[1]), Error::OutOfOrder { next: 3 }),
            (input(0, 2, &[1]), Error::OutOfOrder { next: 3 }),
            (input(1, 0, &[1]), Error::OutOfOrder { next: 3 }),
            (input(0, 3, &[1, 2]), Error::OutOfOrder { next: 3 }),
            (input(9, u32::MAX, &[1]), Error::OutOfOrder { next: 3 }),
            (
                PLAIN,
                Error::SampleIncomplete {
                    found: 3,
                    needed: 8,
                },
            ),
        ];
        for (request, error) in bad {
            host.ask(device, line, &request, |answer| {
                assert_eq!(answer, Err(error));
            });
        }
        // A new sample may begin at any time, and a whole one has no byte more.
        feed(&mut host, device, line, &SAMPLE);
        host.ask(device, line, &input(2, 0, &[1]), |answer| {
            assert_eq!(answer, Err(Error::NoSuchPort));
        });
        host.ask(device, line, &PLAIN, |answer| assert!(answer.is_ok()));
        host.ask(device, line, &PLAIN, |answer| {
            assert!(matches!(
                answer,
                Err(Error::SampleIncomplete { found: 0, .. })
            ));
        });
    });
}

#[test]
fn a_request_that_comes_again_is_answered_again_and_done_once() {
    board().start::<All>(None, |device, line| {
        let mut host = Host::new(7);
        host.hello(device, line);
        feed(&mut host, device, line, &SAMPLE);
        let run = host.next(&PLAIN);
        let first = line.exchange(device, &run);
        assert!(matches!(
            decode::<Answer<'_>>(&first[0]),
            Some((_, Ok(Reply::Ran { .. })))
        ));
        // Noise and a piece of a frame between the retries.
        let noise = [&b"\xff\x01 noise"[..], &run[..run.len() / 2], &run, &run].concat();
        let again = line.exchange(device, &noise);
        assert_eq!(again, [first[0].clone(), first[0].clone()]);
        // A request from before that has been on its way for long is not even answered.
        let late = rig::frame(
            &niwaki_wire::Head {
                sequence: host.head.sequence.wrapping_sub(3),
                ..host.head
            },
            &PLAIN,
        );
        assert!(line.exchange(device, &late).is_empty());
        host.ask(device, line, &Request::Statistics, |answer| {
            let Ok(Reply::Statistics(seen)) = answer else {
                panic!("{answer:?}")
            };
            assert_eq!((seen.runs, seen.costs.runs), (1, 1));
            assert_eq!(seen.dropped_frames, 2);
            assert_eq!(seen.stack, Some((512, 4096)));
            assert_eq!(seen.confidence.bins.iter().sum::<u32>(), 1);
        });
    });
}

#[test]
fn two_hosts_cannot_have_the_board_at_once() {
    board().start::<All>(None, |device, line| {
        let (mut one, mut two) = (Host::new(1), Host::new(2));
        let no_session = |answer: Answer<'_>| assert_eq!(answer, Err(Error::NoSession));
        one.ask(device, line, &Request::Info, no_session);
        one.hello(device, line);
        feed(&mut one, device, line, &SAMPLE);
        let busy = |answer: Answer<'_>| assert_eq!(answer, Err(Error::Busy { session: 1 }));
        let hello = |take_over| Request::Hello {
            protocol: niwaki_wire::PROTOCOL,
            take_over,
        };
        two.ask(device, line, &hello(false), busy);
        two.ask(device, line, &Request::Info, busy);
        two.ask(device, line, &Request::Bye, busy);
        // Nothing of that has disturbed the first.
        one.ask(device, line, &PLAIN, |answer| assert!(answer.is_ok()));

        two.ask(device, line, &hello(true), |answer| assert!(answer.is_ok()));
        let busy = |answer: Answer<'_>| assert_eq!(answer, Err(Error::Busy { session: 2 }));
        one.ask(device, line, &Request::Info, busy);
        two.ask(device, line, &Request::Bye, |answer| {
            assert!(answer.is_ok());
        });
        one.ask(device, line, &Request::Info, no_session);
        one.hello(device, line);
    });
}

#[test]
fn a_host_that_went_away_loses_the_board_after_a_while() {
    board().start::<All>(None, |device, line| {
        let (mut one, mut two) = (Host::new(1), Host::new(2));
        one.hello(device, line);
        let wait = |seconds| line.clock.0.set(line.clock.0.get() + seconds * SECOND);
        wait(9);
        two.ask(device, line, &Request::Info, |answer| {
            assert_eq!(answer, Err(Error::Busy { session: 1 }));
        });
        wait(2);
        two.hello(device, line);
    });
}

#[test]
fn a_host_of_another_version_and_a_request_of_a_later_one_are_told() {
    board().start::<All>(None, |device, line| {
        let mut host = Host::new(1);
        let hello = Request::Hello {
            protocol: 9,
            take_over: true,
        };
        host.ask(device, line, &hello, |answer| {
            assert_eq!(answer, Err(Error::OtherProtocol { board: 1 }));
        });
        host.hello(device, line);
        // Request 200, which nobody knows yet.
        let mut buffer = [0; 64];
        let frame = niwaki_wire::encode(&host.head, &[200u8, 1], &mut buffer).unwrap();
        let payloads = line.exchange(device, frame);
        let (_, answer) = decode::<Answer<'_>>(&payloads[0]).unwrap();
        assert_eq!(answer, Err(Error::Malformed));
        // A frame that is no message at all.
        let nothing = niwaki_wire::encode(&host.head, &(), &mut buffer).unwrap();
        assert!(!line.exchange(device, nothing).is_empty());
    });
}

/// A model of another SHA-256 that computes the same.
fn other_model() -> Vec<u8> {
    forged(|_, bytes| {
        let name = b"niwaki-fixture";
        let at = bytes.windows(name.len()).position(|part| part == name);
        bytes[at.unwrap()] = b'N';
    })
}

#[test]
fn an_uploaded_model_is_tested_and_runs_from_the_next_start_on() {
    let mut rig = board();
    let other = other_model();
    assert_ne!(other, fixture());
    let model_of = |host: &mut Host, device: &mut RigDevice<'_, All>, line: &Line<'_>| {
        host.ask(device, line, &Request::Info, |answer| match answer {
            Ok(Reply::Info(info)) => (info.model.unwrap(), info.uploaded),
            _ => panic!("{answer:?}"),
        })
    };
    let turn = rig.start::<All>(None, |device, line| {
        let mut host = Host::new(1);
        host.hello(device, line);
        host.upload(device, line, &update(&other)).unwrap();
        // The running model is what it was, and it runs.
        assert_eq!(model_of(&mut host, device, line).0.source, Source::Embedded);
        assert!(model_of(&mut host, device, line).1);
        feed(&mut host, device, line, &SAMPLE);
        host.ask(device, line, &PLAIN, |answer| assert!(answer.is_ok()));
        host.ask(device, line, &Request::Activate, |answer| {
            assert_eq!(answer, Ok(Reply::Done));
        });
    });
    assert_eq!(turn, Turn::Restart(None));
    for _ in 0..2 {
        // It was confirmed at the first of these starts.
        let turn = rig.start::<All>(None, |device, line| {
            let mut host = Host::new(2);
            host.hello(device, line);
            let (model, _) = model_of(&mut host, device, line);
            assert_eq!(model.source, Source::Slot(0));
            assert_eq!(model.sha256, other[8..40]);
            host.ask(device, line, &Request::RollBack, |answer| {
                assert_eq!(answer, Err(Error::NothingToRollBackTo));
            });
        });
        assert_eq!(turn, Turn::Go);
    }
    // And back, once there is another one to go back from.
    rig.start::<All>(None, |device, line| {
        let mut host = Host::new(3);
        host.hello(device, line);
        host.upload(device, line, &update(&fixture())).unwrap();
        host.ask(device, line, &Request::Activate, |answer| {
            assert!(answer.is_ok());
        });
    });
    let turn = rig.start::<All>(None, |device, line| {
        let mut host = Host::new(4);
        host.hello(device, line);
        assert_eq!(model_of(&mut host, device, line).0.source, Source::Slot(1));
        host.ask(device, line, &Request::RollBack, |answer| {
            assert!(answer.is_ok());
        });
    });
    assert_eq!(turn, Turn::Restart(None));
    rig.start::<All>(None, |device, line| {
        let mut host = Host::new(5);
        host.hello(device, line);
        assert_eq!(model_of(&mut host, device, line).0.source, Source::Slot(0));
    });
}

/// Changes an artifact, and gives it the SHA-256 of what it is then.
fn forged(change: impl FnOnce(&mut niwaki::artifact::Header, &mut Vec<u8>)) -> Vec<u8> {
    let mut bytes = fixture();
    let mut header = niwaki::artifact::Header::open(&bytes).unwrap();
    change(&mut header, &mut bytes);
    header.seal(&mut bytes);
    bytes
}

#[test]
fn a_model_that_does_not_suit_is_refused_and_the_running_one_goes_on() {
    let newer = forged(|header, _| header.versions = 7 | 1 << 16);
    let other_numerics = forged(|header, _| header.versions = 3 | 9 << 16);
    let hungry = forged(|header, _| header.arena_bytes = 1 << 20);
    let odd = forged(|header, _| header.operator_count = 9);
    let mut damaged = fixture();
    *damaged.last_mut().unwrap() ^= 1;
    let mut wrong_manifest = update(&fixture());
    *wrong_manifest.last_mut().unwrap() ^= 1;
    let cases: [(Vec<u8>, Error); 9] = [
        (
            update(&newer),
            Error::OtherFormat {
                found: 7,
                newest: 3,
            },
        ),
        (
            update(&other_numerics),
            Error::OtherNumerics {
                found: 9,
                supported: 1,
            },
        ),
        (
            update(&hungry),
            Error::TooLargeForArena {
                bytes: 1 << 20,
                room: ARENA as u32,
            },
        ),
        (
            update(&odd),
            Error::Invalid {
                place: Place::Section,
                index: 4,
            },
        ),
        (update(&damaged), Error::Damaged),
        (wrong_manifest, Error::Damaged),
        (update(b"GIF89a is no model"), Error::NotAModel),
        (fixture(), Error::NotAnUpdate),
        (
            update(&[0; 5000]),
            Error::TooLargeForSlot {
                bytes: 5000,
                room: 16 * 256 - Manifest::BYTES as u32,
            },
        ),
    ];
    let turn = board().start::<All>(None, |device, line| {
        let mut host = Host::new(1);
        host.hello(device, line);
        for (update, error) in cases {
            assert_eq!(host.upload(device, line, &update), Err(error));
            // What is whole lies there until the next upload begins, but it is not run.
            host.ask(device, line, &Request::Activate, |answer| {
                assert!(answer.is_err());
            });
            feed(&mut host, device, line, &SAMPLE);
            host.ask(device, line, &PLAIN, |answer| assert!(answer.is_ok()));
        }
        host.ask(device, line, &Request::SelfTest, |answer| {
            let (golden, first_difference) = (true, None);
            assert_eq!(
                answer,
                Ok(Reply::SelfTest {
                    golden,
                    first_difference
                })
            );
        });
    });
    assert_eq!(turn, Turn::Go);
}

#[test]
fn a_model_with_an_operator_that_the_image_lacks_is_refused_by_its_code() {
    let lacks = Error::UnknownOperator {
        index: 2,
        code: <niwaki::ops::SoftmaxI8 as niwaki::ops::Registered>::CODE,
    };
    board().start::<Fewer>(None, |device, line| {
        let mut host = Host::new(1);
        host.hello(device, line);
        // Here even the model in the image is one.
        host.ask(device, line, &Request::Info, |answer| {
            let Ok(Reply::Info(info)) = answer else {
                panic!("{answer:?}")
            };
            assert_eq!((info.model, info.refused), (None, Some(lacks)));
        });
        assert_eq!(host.upload(device, line, &update(&fixture())), Err(lacks));
        for request in [Request::SelfTest, input(0, 0, &[1]), PLAIN] {
            host.ask(device, line, &request, |answer| {
                assert_eq!(answer, Err(Error::NoModel));
            });
        }
    });
}

#[test]
fn an_upload_that_stops_or_loses_a_piece_does_no_harm() {
    let mut rig = board();
    let update = update(&other_model());
    let (manifest, model) = update.split_at(Manifest::BYTES);
    rig.start::<All>(None, |device, line| {
        let mut host = Host::new(1);
        host.hello(device, line);
        let chunk = |offset, bytes| Request::UploadChunk { offset, bytes };
        for request in [chunk(0, &model[..10]), Request::UploadEnd] {
            host.ask(device, line, &request, |answer| {
                assert_eq!(answer, Err(Error::NoUpload));
            });
        }
        let begin = Request::UploadBegin { manifest };
        host.ask(device, line, &begin, |answer| {
            assert_eq!(answer, Ok(Reply::Uploaded { next: 0 }));
        });
        host.ask(device, line, &chunk(0, &model[..100]), |answer| {
            assert_eq!(answer, Ok(Reply::Uploaded { next: 100 }));
        });
        for (offset, bytes) in [(0, &model[..100]), (101, &model[101..120])] {
            host.ask(device, line, &chunk(offset, bytes), |answer| {
                assert_eq!(answer, Err(Error::OutOfOrder { next: 100 }));
            });
        }
        host.ask(device, line, &Request::UploadEnd, |answer| {
            let (found, needed) = (100, model.len() as u32);
            assert_eq!(answer, Err(Error::Truncated { needed, found }));
        });
        host.ask(device, line, &Request::Activate, |answer| {
            assert_eq!(answer, Err(Error::NothingToActivate));
        });
        feed(&mut host, device, line, &SAMPLE);
        host.ask(device, line, &PLAIN, |answer| assert!(answer.is_ok()));
        // And here the power goes.
    });
    rig.start::<All>(None, |device, line| {
        let mut host = Host::new(1);
        host.hello(device, line);
        feed(&mut host, device, line, &SAMPLE);
        host.ask(device, line, &PLAIN, |answer| assert!(answer.is_ok()));
        assert_eq!(host.upload(device, line, &update), Ok(()));
    });
}

#[test]
fn a_board_with_a_key_takes_what_is_signed_with_it() {
    let (owner, stranger) = (key(1), key(2));
    let trust = Trust::Key(niwaki_store::PublicKey::new(&public(&owner)).unwrap());
    let mut rig: Rig = Rig::new(Some(&fixture()), 16, trust);
    let signed = |key: &SigningKey| {
        let manifest = Manifest::of(1, &other_model()).unwrap();
        let sign = |bytes: &[u8; niwaki_store::SIGNED_BYTES]| key.sign(bytes).to_bytes();
        let manifest = manifest.signed(&public(key), sign);
        [&manifest.to_bytes()[..], &other_model()].concat()
    };
    let mut changed = signed(&owner);
    changed[12] ^= 1;
    rig.start::<All>(None, |device, line| {
        let mut host = Host::new(1);
        host.hello(device, line);
        for (update, error) in [
            (update(&other_model()), Error::Unsigned),
            (
                signed(&stranger),
                Error::OtherKey {
                    found: niwaki_store::key_id(&public(&stranger)),
                    wanted: niwaki_store::key_id(&public(&owner)),
                },
            ),
            (changed, Error::BadSignature),
        ] {
            assert_eq!(host.upload(device, line, &update), Err(error));
        }
        assert_eq!(host.upload(device, line, &signed(&owner)), Ok(()));
        host.ask(device, line, &Request::Activate, |answer| {
            assert!(answer.is_ok());
        });
    });
}

fn key(seed: u8) -> SigningKey {
    SigningKey::from_bytes(&[seed; 32])
}

fn public(key: &SigningKey) -> [u8; 32] {
    key.verifying_key().to_bytes()
}

#[test]
fn a_model_that_computes_other_bits_is_not_activated() {
    let mut rig = board();
    let wrong = niwaki_fixture::artifact_with_wrong_digest(1).unwrap();
    let failed = Error::SelfTestFailed { operator: 1 };
    let turn = rig.start::<All>(None, |device, line| {
        let mut host = Host::new(1);
        host.hello(device, line);
        host.upload(device, line, &update(&wrong)).unwrap();
        host.ask(device, line, &Request::Activate, |answer| {
            assert_eq!(answer, Err(failed));
        });
    });
    assert_eq!(turn, Turn::Go);
    // Where no slot has a model that runs, the store tries what it has when the board starts again.
    let turn = rig.start::<All>(None, |_, _| ());
    assert_eq!(turn, Turn::Restart(Some(failed)));
    rig.start::<All>(Some(failed), |device, line| {
        let mut host = Host::new(1);
        host.hello(device, line);
        host.ask(device, line, &Request::Info, |answer| {
            let Ok(Reply::Info(info)) = answer else {
                panic!("{answer:?}")
            };
            assert_eq!(info.refused, Some(failed));
            assert_eq!(info.model.unwrap().source, Source::Embedded);
        });
    });
}

#[test]
fn a_sensor_feeds_the_model_until_a_host_does_and_its_drift_is_noticed() {
    board().start::<All>(None, |device, line| {
        let mut host = Host::new(1);
        host.hello(device, line);
        let drift = |host: &mut Host, device: &mut RigDevice<'_, All>| {
            let ask = Request::InputStatistics { input: 0 };
            host.ask(device, line, &ask, |answer| match answer {
                Ok(Reply::InputStatistics(seen)) => seen,
                _ => panic!("{answer:?}"),
            })
        };
        let run = |device: &mut RigDevice<'_, All>, values: [i8; 4]| {
            let fill = |session: &mut niwaki::Session<'_, '_, All>| {
                for i in 0..2 {
                    session.input_as::<i8>(i)?.copy_from_slice(&values);
                }
                Ok(())
            };
            let mut output = Vec::new();
            let cost = device.infer(fill, |session| {
                output.extend_from_slice(session.output(0).unwrap_or_default());
            });
            cost.map(|_| output)
        };
        let sample = [100u8, 156, 3, 4, 100, 156, 3, 4];
        let output = run(device, [100, -100, 3, 4]);
        assert_eq!(output, Ok(expected(&fixture(), sample).0));
        assert_eq!(drift(&mut host, device).drift, Drift::Unknown);
        for _ in 1..InputStatistics::WINDOW {
            run(device, [100, -100, 3, 4]).unwrap();
        }
        let seen = drift(&mut host, device);
        assert_eq!(
            (seen.drift, seen.runs),
            (Drift::None, InputStatistics::WINDOW)
        );
        assert_eq!((seen.low, seen.high, seen.mean), (-50.0, 50.0, 0.875));
        assert_eq!((seen.calibrated_low, seen.calibrated_high), (-64.0, 63.5));
        // A sensor that says always the same.
        for _ in 0..InputStatistics::WINDOW {
            run(device, [5; 4]).unwrap();
        }
        assert_eq!(drift(&mut host, device).drift, Drift::Narrow);

        feed(&mut host, device, line, &SAMPLE);
        assert_eq!(run(device, [5; 4]), Err(Error::Busy { session: 1 }));
        device.drop_samples(2);
        host.ask(device, line, &PLAIN, |answer| {
            assert!(matches!(answer, Ok(Reply::Ran { drift: true, .. })));
        });
        host.ask(device, line, &Request::Statistics, |answer| {
            let Ok(Reply::Statistics(seen)) = answer else {
                panic!("{answer:?}")
            };
            assert_eq!(seen.dropped_samples, 3);
            assert_eq!(seen.runs, 2 * InputStatistics::WINDOW + 1);
            assert_eq!((seen.costs.least, seen.costs.greatest), (1, 1));
        });
        host.ask(device, line, &Request::Bye, |answer| {
            assert!(answer.is_ok());
        });
        assert!(run(device, [5; 4]).is_ok());
    });
}

#[test]
fn a_board_without_a_store_says_so() {
    use niwaki_firmware::{Device, Memory, NoStore, Start};
    let artifact = rig::words(&fixture());
    let start = Start {
        embedded: Some(niwaki::as_bytes(&artifact)),
        ..Start::default()
    };
    let mut memory = Memory::<ARENA, 0, 1>::new();
    let (clock, to_board, to_host) = Default::default();
    let mut link = rig::End {
        to_board: &to_board,
        to_host: &to_host,
    };
    let mut device: Device<'_, All, _, rig::Clock, _> =
        Device::new(start, NoStore, &mut memory, &clock, &mut link);
    let mut host = Host::new(1);
    let hello = Request::Hello {
        protocol: niwaki_wire::PROTOCOL,
        take_over: false,
    };
    let begin = Request::UploadBegin { manifest: &[] };
    let sample = [input(0, 0, &[0; 4]), input(1, 0, &[0; 4])];
    let mut decoder = niwaki_wire::Decoder::<512>::new();
    let mut last = Ok(Reply::Done);
    let mut payload = Vec::new();
    for request in [&hello, &begin, &Request::Activate, &Request::RollBack] {
        to_board.0.borrow_mut().extend(host.next(request));
        device.poll();
        let line: Vec<u8> = to_host.0.borrow_mut().drain(..).collect();
        payload = decoder.push(&line).0.unwrap().to_vec();
        last = decode::<Answer<'_>>(&payload)
            .unwrap()
            .1
            .map(|_| Reply::Done);
        assert!(*request == hello || last == Err(Error::NoStore), "{last:?}");
    }
    assert!(last.is_err() && !payload.is_empty());
    // There is room for the digest of one operator, and it has more.
    for request in [&sample[0], &sample[1], &DIGESTS] {
        to_board.0.borrow_mut().extend(host.next(request));
        device.poll();
        let line: Vec<u8> = to_host.0.borrow_mut().drain(..).collect();
        payload = decoder.push(&line).0.unwrap().to_vec();
    }
    let (_, answer) = decode::<Answer<'_>>(&payload).unwrap();
    let (operators, room) = (OPERATORS as u32, 1);
    assert_eq!(answer, Err(Error::TooManyOperators { operators, room }));
}

#[test]
fn no_bytes_that_come_over_the_line_do_harm() {
    board().start::<All>(None, |device, line| {
        let mut host = Host::new(1);
        host.hello(device, line);
        let mut random = niwaki::Xorshift32::new(5);
        let mut noise =
            |len: usize| -> Vec<u8> { (0..len).map(|_| (random.next_u32() >> 24) as u8).collect() };
        for round in 0..3000 {
            // Frames of a right CRC with anything in them, of the right session, and noise between.
            let mut buffer = [0; 512];
            let mut body = noise(1 + round % 40);
            body[0] %= 18;
            // These two would end what is tried here.
            if [15, 16, 17].contains(&body[0]) {
                body[0] = 3;
            }
            host.head.sequence = host.head.sequence.wrapping_add(1);
            let frame = niwaki_wire::encode(&host.head, &Raw(&body), &mut buffer).unwrap();
            line.exchange(device, &[&noise(round % 50), &frame[..]].concat());
        }
        let (output, _) = expected(&fixture(), SAMPLE);
        host.hello(device, line);
        feed(&mut host, device, line, &SAMPLE);
        host.ask(device, line, &PLAIN, |answer| assert!(answer.is_ok()));
        let ask = Request::Output {
            output: 0,
            offset: 0,
        };
        host.ask(device, line, &ask, |answer| {
            let (offset, bytes) = (0, &output[..]);
            assert_eq!(answer, Ok(Reply::Output { offset, bytes }));
        });
    });
}

/// Bytes as they are, without their number before them.
struct Raw<'b>(&'b [u8]);

impl serde::Serialize for Raw<'_> {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        use serde::ser::SerializeTuple as _;
        let mut tuple = serializer.serialize_tuple(self.0.len())?;
        for byte in self.0 {
            tuple.serialize_element(byte)?;
        }
        tuple.end()
    }
}
