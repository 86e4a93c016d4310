//! What comes over a line, from anybody: frames do not depend on the pieces in which their bytes arrive,
//! and a message that is understood is the one that it says when it is sent again.

#![no_main]

use libfuzzer_sys::fuzz_target;
use niwaki_wire::{Decoder, Error, Reply, Request, decode, encode};

/// Bytes of the largest frame here.
const FRAME: usize = 512;

/// The payloads of all frames, whose bytes arrive so many at a time, and how many were dropped.
fn received(line: &[u8], piece: usize) -> (Vec<Vec<u8>>, u32) {
    let mut decoder = Decoder::<FRAME>::new();
    let mut payloads = Vec::new();
    for mut chunk in line.chunks(piece) {
        while !chunk.is_empty() {
            let (payload, rest) = decoder.push(chunk);
            payloads.extend(payload.map(<[u8]>::to_vec));
            chunk = rest;
        }
    }
    (payloads, decoder.dropped())
}

/// Understands bytes as a message, and says it again.
macro_rules! said_again {
    ($payload:expr, $message:ty) => {
        if let Some((head, message)) = decode::<$message>($payload) {
            let mut frame = [0; FRAME];
            match encode(&head, &message, &mut frame) {
                Some(frame) => {
                    let (payloads, dropped) = received(frame, frame.len());
                    assert_eq!((payloads.len(), dropped), (1, 0), "{message:?}");
                    // Texts, as a NaN is not equal to itself.
                    let again = decode::<$message>(&payloads[0]);
                    assert_eq!(format!("{:?}", Some((head, message))), format!("{again:?}"));
                }
                // What is not canonical may be longer or shorter than what it says.
                None => assert!($payload.len() > FRAME / 2, "{message:?} has no room"),
            }
        }
    };
}

fuzz_target!(|bytes: &[u8]| {
    assert_eq!(received(bytes, bytes.len().max(1)), received(bytes, 3));
    // Behind the CRC, which the fuzzer would not find.
    said_again!(bytes, Request<'_>);
    said_again!(bytes, Reply<'_>);
    said_again!(bytes, Error);
});
