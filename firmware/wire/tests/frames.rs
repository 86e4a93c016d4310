//! Frames on good lines and bad ones.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    missing_docs,
    unreachable_pub,
    reason = "a test may panic"
)]

mod noise;

use niwaki_wire::{
    Answer, Decoder, Head, PAYLOAD_BYTES, Reply, Request, decode, encode, frame_bytes,
    payload_bytes, piece_bytes,
};
use noise::Random;

const HEAD: Head = Head {
    session: 0x1234_5678,
    sequence: 9,
};

/// The frame of a request, in a vector.
fn frame(request: &Request<'_>) -> Vec<u8> {
    let mut buffer = [0; 512];
    encode(&HEAD, request, &mut buffer).unwrap().to_vec()
}

#[test]
fn every_message_comes_back_as_it_was() {
    let mut random = Random::new(3);
    for _ in 0..20_000 {
        let (mut bytes, mut buffer) = ([0; 200], [0; 512]);
        let request = noise::request(&mut random, &mut bytes);
        let mut decoder = Decoder::<512>::new();
        let (payload, rest) = decoder.push(encode(&HEAD, &request, &mut buffer).unwrap());
        assert_eq!(decode(payload.unwrap()), Some((HEAD, request)));
        assert!(rest.is_empty());

        let answer = noise::answer(&mut random, &mut bytes);
        let (payload, _) = decoder.push(encode(&HEAD, &answer, &mut buffer).unwrap());
        assert_eq!(decode::<Answer<'_>>(payload.unwrap()), Some((HEAD, answer)));
        assert_eq!(decoder.dropped(), 0);
    }
}

#[test]
fn a_frame_has_zeros_at_its_ends_alone_and_no_more_bytes_than_was_said() {
    for len in 0..600 {
        for byte in [0, 1, 0xff] {
            let bytes = vec![byte; len];
            let request = Request::UploadChunk {
                offset: 0,
                bytes: &bytes,
            };
            let mut buffer = [0; 1024];
            let frame = encode(&HEAD, &request, &mut buffer).unwrap();
            let (ends, middle) = (
                [frame[0], frame[frame.len() - 1]],
                &frame[1..frame.len() - 1],
            );
            assert_eq!(ends, [0, 0]);
            assert!(!middle.contains(&0));
            let mut decoder = Decoder::<1024>::new();
            let payload = decoder.push(frame).0.unwrap().len();
            let (frame, most) = (frame.len(), frame_bytes(payload));
            assert!(frame <= most, "{payload}: {frame} bytes, {most} were said");

            // And there is just room for it.
            assert!(encode(&HEAD, &request, &mut buffer[..frame - 1]).is_none());
            assert!(encode(&HEAD, &request, &mut buffer[..frame]).is_some());
        }
    }
}

#[test]
fn the_largest_pieces_have_room() {
    for frame in 40..2000 {
        let payload = payload_bytes(frame);
        assert!(frame_bytes(payload) <= frame && frame_bytes(payload + 1) > frame);
        let head = Head {
            session: u32::MAX,
            sequence: u16::MAX,
        };
        let (piece, mut buffer) = (vec![0; piece_bytes(payload)], vec![0; frame]);
        let (bytes, offset) = (&piece[..], u32::MAX);
        let page: Answer<'_> = Ok(Reply::Page {
            from: offset,
            total: offset,
            bytes,
        });
        let input = u16::MAX;
        let requests = [
            Request::Input {
                input,
                offset,
                bytes,
            },
            Request::UploadChunk { offset, bytes },
        ];
        assert!(encode(&head, &page, &mut buffer).is_some(), "{frame}");
        for request in requests {
            assert!(encode(&head, &request, &mut buffer).is_some(), "{frame}");
        }
    }
    assert!(piece_bytes(PAYLOAD_BYTES) >= 128, "a manifest fits");
}

#[test]
fn every_flipped_bit_and_every_cut_is_found_and_the_next_frame_is_received() {
    let first = frame(&Request::Input {
        input: 1,
        offset: 300,
        bytes: &[0, 1, 2, 0, 0, 255, 254],
    });
    let second = frame(&Request::Info);
    let receive = |line: &[u8]| {
        let mut decoder = Decoder::<128>::new();
        let (mut line, mut received) = (line, Vec::new());
        while let (Some(payload), rest) = decoder.push(line) {
            received.push(payload.to_vec());
            line = rest;
        }
        received
    };
    let whole = receive(&[&first[..], &second].concat());
    assert_eq!(whole.len(), 2);
    // The zeros at the ends are for frames that come before and behind.
    for at in 1..first.len() - 1 {
        for bit in 0..8 {
            let mut damaged = first.clone();
            damaged[at] ^= 1 << bit;
            let line = [&damaged[..], &second].concat();
            assert_eq!(receive(&line), whole[1..], "byte {at}, bit {bit}");
        }
        for cut in [&first[..at], &first[at + 1..]] {
            let line = [cut, &second[..]].concat();
            assert_eq!(receive(&line), whole[1..], "cut at {at}");
        }
    }
}

#[test]
fn a_frame_that_is_too_long_is_dropped_and_the_next_one_received() {
    let long = frame(&Request::UploadChunk {
        offset: 0,
        bytes: &[5; 100],
    });
    let mut decoder = Decoder::<64>::new();
    assert_eq!(decoder.push(&long).0, None);
    assert_eq!(decoder.dropped(), 1);
    assert!(decoder.push(&frame(&Request::Bye)).0.is_some());
}

#[test]
fn bytes_that_are_no_message_are_none() {
    let mut random = Random::new(11);
    let mut payload = [0u8; 64];
    for _ in 0..200_000 {
        let len = random.below(payload.len());
        payload[..len].fill_with(|| random.word() as u8);
        if let Some((_, request)) = decode::<Request<'_>>(&payload[..len]) {
            // Then it is one, all of it.
            let mut buffer = [0; 256];
            assert!(encode(&HEAD, &request, &mut buffer).is_some());
        }
        let _ = decode::<Answer<'_>>(&payload[..len]);
    }
}

#[test]
fn nothing_but_what_was_sent_comes_out_of_a_bad_line() {
    let outcome = noise::fuzz(200_000, 1);
    assert_eq!(outcome.sent / 100_000, 2);
    assert!(outcome.whole > outcome.sent / 3 && outcome.whole < outcome.sent);
    assert!(outcome.received >= outcome.whole && outcome.dropped > outcome.sent / 3);
}
