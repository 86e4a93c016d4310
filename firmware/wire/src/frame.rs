//! Frames: `00 COBS(payload, CRC-32) 00`.

use cobs::{DecodeResult, DecoderState, EncoderState, PushResult};
use crc::{CRC_32_ISO_HDLC, Crc};
use postcard::ser_flavors::Flavor;
use postcard::ser_flavors::crc::CrcModifier;
use serde::{Deserialize, Serialize};

use crate::Head;

/// Bytes of a message that every board takes; one that has room for more says so in its answer to
/// [`crate::Request::Hello`].
pub const PAYLOAD_BYTES: usize = 256;

/// Of Ethernet, zip and PNG; the polynomial finds up to three flipped bits in 11,000 bytes.
static CRC: Crc<u32> = Crc::<u32>::new(&CRC_32_ISO_HDLC);
const CRC_BYTES: usize = 4;

/// Bytes of a buffer that holds any frame of `payload` bytes, and that a [`Decoder`] needs for it.
pub const fn frame_bytes(payload: usize) -> usize {
    let covered = payload + CRC_BYTES;
    // A zero before and behind; COBS takes a byte at the start and one for each 254.
    2 + 1 + covered / 254 + covered
}

/// Bytes of the longest message whose frame a buffer of `frame` bytes holds.
pub const fn payload_bytes(frame: usize) -> usize {
    let mut payload = frame;
    while payload > 0 && frame_bytes(payload) > frame {
        payload -= 1;
    }
    payload
}

/// Bytes of a tensor, a model or a page that fit into a message of `payload` bytes, with all that
/// stands before them.
pub const fn piece_bytes(payload: usize) -> usize {
    // The head takes 8, the largest offset 5, the longest of these messages two of them; and there
    // are its kind and the length of the piece. A multiple of 8, so that a page has whole numbers.
    payload.saturating_sub(24) / 8 * 8
}

/// Writes a message as a frame to the front of `buffer`, and gives the frame; `None` when the buffer
/// is too short.
pub fn encode<'b>(
    head: &Head,
    body: &impl Serialize,
    buffer: &'b mut [u8],
) -> Option<&'b mut [u8]> {
    let (message, crc) = (&(head, body), CRC.digest());
    let flavor = CrcModifier::new(Stuffed::new(buffer)?, crc);
    postcard::serialize_with_flavor(message, flavor).ok()
}

/// Writes bytes as a frame. postcard's own flavor for COBS can panic, in the eyes of a compiler.
struct Stuffed<'b> {
    buffer: &'b mut [u8],
    len: usize,
    cobs: EncoderState,
}

/// Where COBS begins: the zero in front ends whatever noise the receiver has taken for the start of a
/// frame.
const COBS_AT: usize = 1;

impl<'b> Stuffed<'b> {
    fn new(buffer: &'b mut [u8]) -> Option<Self> {
        // The zero in front, and the place of the first code.
        buffer.get_mut(..COBS_AT + 1)?.fill(0);
        Some(Self {
            buffer,
            len: COBS_AT + 1,
            cobs: EncoderState::default(),
        })
    }

    /// Sets the code at `at` of those that COBS has written.
    fn set(&mut self, at: usize, code: u8) -> postcard::Result<()> {
        let place = self.buffer.get_mut(COBS_AT + at);
        *place.ok_or(postcard::Error::SerializeBufferFull)? = code;
        Ok(())
    }

    fn push(&mut self, byte: u8) -> postcard::Result<()> {
        let place = self.buffer.get_mut(self.len);
        *place.ok_or(postcard::Error::SerializeBufferFull)? = byte;
        self.len += 1;
        Ok(())
    }
}

impl<'b> Flavor for Stuffed<'b> {
    type Output = &'b mut [u8];

    fn try_push(&mut self, byte: u8) -> postcard::Result<()> {
        match self.cobs.push(byte) {
            PushResult::AddSingle(byte) => self.push(byte),
            PushResult::ModifyFromStartAndSkip((at, code)) => {
                self.set(at, code)?;
                self.push(0)
            }
            PushResult::ModifyFromStartAndPushAndSkip((at, code, byte)) => {
                self.set(at, code)?;
                self.push(byte)?;
                self.push(0)
            }
        }
    }

    fn finalize(mut self) -> postcard::Result<Self::Output> {
        let (at, code) = self.cobs.clone().finalize();
        self.set(at, code)?;
        self.push(0)?;
        let Self { buffer, len, .. } = self;
        let frame = buffer.get_mut(..len);
        frame.ok_or(postcard::Error::SerializeBufferFull)
    }
}

/// Reads a message from the payload of a frame; `None` when it is none, or has bytes to spare.
pub fn decode<'p, B: Deserialize<'p>>(payload: &'p [u8]) -> Option<(Head, B)> {
    let (message, rest) = postcard::take_from_bytes(payload).ok()?;
    rest.is_empty().then_some(message)
}

/// Reads the head of a message whose body may be anything.
pub fn decode_head(payload: &[u8]) -> Option<Head> {
    let (head, _) = postcard::take_from_bytes(payload).ok()?;
    Some(head)
}

/// Finds frames in a stream of bytes, which may come in pieces of any size and may be anything.
///
/// `N` bytes hold the longest frame that it takes, see [`frame_bytes`].
#[derive(Debug)]
pub struct Decoder<const N: usize = { frame_bytes(PAYLOAD_BYTES) }> {
    buffer: [u8; N],
    len: usize,
    state: DecoderState,
    /// The frame is longer than the buffer: wait for its end.
    too_long: bool,
    dropped: u32,
}

impl<const N: usize> Decoder<N> {
    /// A decoder that has seen nothing.
    pub const fn new() -> Self {
        Self {
            buffer: [0; N],
            len: 0,
            state: DecoderState::Idle,
            too_long: false,
            dropped: 0,
        }
    }

    /// How many frames came to an end and were none: longer than the buffer, not COBS, or of another
    /// CRC.
    pub fn dropped(&self) -> u32 {
        self.dropped
    }

    /// Takes bytes up to the end of the first good frame, and gives its payload and the bytes behind
    /// it. Without a payload all bytes are taken.
    pub fn push<'d, 'c>(&'d mut self, chunk: &'c [u8]) -> (Option<&'d [u8]>, &'c [u8]) {
        let mut bytes = chunk.iter();
        while let Some(&byte) = bytes.next() {
            if let Some(len) = self.take(byte) {
                return (self.buffer.get(..len), bytes.as_slice());
            }
        }
        (None, &[])
    }

    /// Takes one byte, and gives the length of the payload when it ends a good frame.
    fn take(&mut self, byte: u8) -> Option<usize> {
        match self.state.feed(byte) {
            Ok(DecodeResult::NoData) => None,
            Ok(DecodeResult::DataContinue(decoded)) => {
                match self.buffer.get_mut(self.len) {
                    Some(place) => *place = decoded,
                    None => self.too_long = true,
                }
                self.len = self.len.saturating_add(1);
                None
            }
            Ok(DecodeResult::DataComplete) => {
                let payload = self.checked_len();
                self.start_again(payload.is_none());
                payload
            }
            // A zero where none may be: the frame has been cut, and the next one begins.
            Err(_) => {
                self.start_again(true);
                None
            }
        }
    }

    /// The length of the payload, if the CRC behind it is right.
    fn checked_len(&self) -> Option<usize> {
        let decoded = self.buffer.get(..self.len).filter(|_| !self.too_long)?;
        let (payload, crc) = decoded.split_last_chunk::<CRC_BYTES>()?;
        (CRC.checksum(payload) == u32::from_le_bytes(*crc)).then_some(payload.len())
    }

    fn start_again(&mut self, dropped: bool) {
        self.dropped = self.dropped.saturating_add(u32::from(dropped));
        self.len = 0;
        self.too_long = false;
    }
}

impl<const N: usize> Default for Decoder<N> {
    fn default() -> Self {
        Self::new()
    }
}
