//! A line that does to frames what lines do: bits that flip, bytes that are lost, doubled or made up,
//! frames that are cut or change places, in pieces of any size.

use std::collections::VecDeque;

use niwaki::Xorshift32;
use niwaki_wire::{
    Answer, Decoder, Error, Head, PAYLOAD_BYTES, Record, Reply, Request, Side, decode, encode,
    frame_bytes,
};

const FRAME: usize = frame_bytes(PAYLOAD_BYTES);

/// What came of a fuzzed stream.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Outcome {
    /// Frames that were sent.
    pub sent: u32,
    /// Frames that the line left alone.
    pub whole: u32,
    /// Frames that came out of the decoder.
    pub received: u32,
    /// Frames that the decoder has dropped.
    pub dropped: u32,
}

/// Numbers below a bound.
pub struct Random(Xorshift32);

impl Random {
    pub fn new(seed: u32) -> Self {
        Self(Xorshift32::new(seed))
    }

    pub fn below(&mut self, bound: usize) -> usize {
        self.0.next_u32() as usize % bound
    }

    pub fn word(&mut self) -> u32 {
        // Small ones too, as they have fewer bytes.
        self.0.next_u32() >> self.below(32)
    }

    fn bytes<'b>(&mut self, buffer: &'b mut [u8; 200]) -> &'b [u8] {
        let len = self.below(buffer.len() + 1);
        // Runs of zeros and runs without any are what COBS is about.
        let all = self.below(3);
        for byte in &mut buffer[..len] {
            *byte = match all {
                0 => 0,
                1 => 1 + self.below(255) as u8,
                _ => self.below(256) as u8,
            };
        }
        &buffer[..len]
    }
}

/// Sends `frames` frames through the line, and holds what comes out against what went in.
///
/// # Panics
///
/// When a frame comes out that was never sent, or one that the line left alone does not come out as
/// it was.
pub fn fuzz(frames: u32, seed: u32) -> Outcome {
    let mut random = Random::new(seed);
    let mut outcome = Outcome::default();
    let mut decoder = Decoder::<FRAME>::new();
    // What may still come out, and whether it has to.
    let mut expected: VecDeque<(Vec<u8>, bool)> = VecDeque::new();
    while outcome.sent < frames {
        let mut line = Vec::new();
        let mut held: Option<(Vec<u8>, bool, Vec<u8>)> = None;
        for _ in 0..1 + random.below(6) {
            outcome.sent += 1;
            let (frame, payload) = message(outcome.sent, &mut random);
            let (frame, whole) = damage(frame, &mut random);
            outcome.whole += u32::from(whole);
            let sent = (payload, whole, frame);
            // Two that change places.
            if held.is_none() && random.below(8) == 0 {
                held = Some(sent);
                continue;
            }
            for (payload, whole, frame) in [Some(sent), held.take()].into_iter().flatten() {
                line.extend(frame);
                expected.push_back((payload, whole));
            }
        }
        if let Some((payload, whole, frame)) = held {
            line.extend(frame);
            expected.push_back((payload, whole));
        }
        let mut line = &line[..];
        while !line.is_empty() {
            let (mut piece, rest) = line.split_at(1 + random.below(line.len()));
            line = rest;
            while !piece.is_empty() {
                let (payload, behind) = decoder.push(piece);
                piece = behind;
                let Some(payload) = payload else { break };
                outcome.received += 1;
                // Nobody may stumble over what is in it either.
                let _ = decode::<Request<'_>>(payload);
                let _ = decode::<Answer<'_>>(payload);
                loop {
                    let (sent, whole) = expected.pop_front().expect("a frame that was never sent");
                    if sent == payload {
                        break;
                    }
                    assert!(!whole, "a whole frame is lost, or was changed on its way");
                }
            }
        }
    }
    assert!(
        expected.iter().all(|(_, whole)| !whole),
        "a whole frame is lost"
    );
    outcome.dropped = decoder.dropped();
    outcome
}

/// A frame, and the payload in it, which no frame of another session has.
fn message(session: u32, random: &mut Random) -> (Vec<u8>, Vec<u8>) {
    let head = Head {
        session,
        sequence: random.word() as u16,
    };
    let mut buffer = [0; 200];
    let mut frame = [0; FRAME];
    let frame = if random.below(2) == 0 {
        let request = request(random, &mut buffer);
        encode(&head, &request, &mut frame)
    } else {
        let answer = answer(random, &mut buffer);
        encode(&head, &answer, &mut frame)
    };
    let frame = frame.expect("every message of this size has room").to_vec();
    let mut decoder = Decoder::<FRAME>::new();
    let (payload, _) = decoder.push(&frame);
    let payload = payload.expect("a frame is one").to_vec();
    (frame, payload)
}

/// What the line makes of a frame, and whether it left it alone.
fn damage(mut frame: Vec<u8>, random: &mut Random) -> (Vec<u8>, bool) {
    let at = random.below(frame.len());
    match random.below(10) {
        0 => frame[at] ^= 1 << random.below(8),
        1 => frame.truncate(at),
        2 => drop(frame.drain(..at)),
        3 => drop(frame.remove(at)),
        4 => frame.insert(at, random.word() as u8),
        5 => {
            let to = at + random.below(frame.len() - at);
            frame[at..to].reverse();
        }
        // Noise in front of a frame, up to the length of many.
        6 => {
            let noise = (0..random.below(2000)).map(|_| random.word() as u8);
            let noise: Vec<u8> = noise.collect();
            frame.splice(..0, noise);
            return (frame, true);
        }
        _ => return (frame, true),
    }
    (frame, false)
}

/// Any request.
pub fn request<'b>(random: &mut Random, buffer: &'b mut [u8; 200]) -> Request<'b> {
    let index = random.word() as u16;
    let offset = random.word();
    let odd = random.below(2) == 1;
    match random.below(18) {
        0 => Request::Hello {
            protocol: index,
            take_over: odd,
        },
        1 => Request::Info,
        2 => Request::Port {
            side: if odd { Side::Input } else { Side::Output },
            index,
        },
        3 => Request::Input {
            input: index,
            offset,
            bytes: random.bytes(buffer),
        },
        4 => Request::Run {
            record: [Record::Nothing, Record::Digests, Record::Costs][random.below(3)],
        },
        5 => Request::Output {
            output: index,
            offset,
        },
        6 => Request::SelfTest,
        7 => Request::Profile { from: offset },
        8 => Request::Digests { from: offset },
        9 => Request::Statistics,
        10 => Request::InputStatistics { input: index },
        11 => Request::UploadBegin {
            manifest: random.bytes(buffer),
        },
        12 | 13 => Request::UploadChunk {
            offset,
            bytes: random.bytes(buffer),
        },
        14 => Request::UploadEnd,
        15 => Request::Activate,
        16 => Request::RollBack,
        _ => Request::Bye,
    }
}

/// An answer of each shape.
pub fn answer<'b>(random: &mut Random, buffer: &'b mut [u8; 200]) -> Answer<'b> {
    let word = random.word();
    match random.below(8) {
        0 => Err(Error::Busy { session: word }),
        1 => Err(Error::UnknownOperator {
            index: word,
            code: random.word() as u16,
        }),
        2 => Err(Error::NothingToActivate),
        3 => Ok(Reply::Done),
        4 => Ok(Reply::Ran {
            cost: u64::from(word) << random.below(32),
            drift: random.below(2) == 0,
        }),
        5 => Ok(Reply::Statistics(niwaki_wire::Statistics {
            runs: word,
            stack: Some((word, random.word())),
            ..Default::default()
        })),
        6 => Ok(Reply::Page {
            from: word,
            total: random.word(),
            bytes: random.bytes(buffer),
        }),
        _ => Ok(Reply::Output {
            offset: word,
            bytes: random.bytes(buffer),
        }),
    }
}
