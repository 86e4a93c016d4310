//! Requests and responses, little-endian: the board's side of them.
//!
//! ```text
//! request   "NWRQ"  samples: u32  { bytes of all inputs, in their order } for each sample
//! profile   "NWPQ", and else a request
//! response  "NWRS"  status: u32 = 0  self_test: u32  operators: u32  cost: u64
//!           { bytes of all outputs, in their order; digest: u64 for each operator } for each sample
//!           to a profile: { cost: u64 for each operator } for each sample
//! refusal   "NWRS"  status: u32 = 1 (the model) or 2 (anything else)  length: u32  UTF-8 text
//! ```
//!
//! `self_test` is the index of the first operator whose output is not the golden one, or
//! 0xFFFFFFFF. `cost` is what one plain run of the first sample took, 0 when there is none.

use core::fmt::{self, Write as _};

use embedded_io::{Error as _, Read, ReadExactError, Write};

use crate::Failure;

/// How a request begins.
pub const REQUEST_MAGIC: [u8; 4] = *b"NWRQ";
/// How a request for the cost of each operator begins.
pub const PROFILE_MAGIC: [u8; 4] = *b"NWPQ";
/// How a response begins.
pub const RESPONSE_MAGIC: [u8; 4] = *b"NWRS";

/// Fills `buffer` in as few reads as the stream allows.
pub(crate) fn read(stream: &mut impl Read, buffer: &mut [u8]) -> Result<(), Failure> {
    stream.read_exact(buffer).map_err(|error| match error {
        ReadExactError::UnexpectedEof => Failure::RequestEnds,
        ReadExactError::Other(error) => Failure::Read(error.kind()),
    })
}

/// Writes all of `bytes` in as few writes as the stream allows.
pub(crate) fn write(stream: &mut impl Write, bytes: &[u8]) -> Result<(), Failure> {
    let written = stream.write_all(bytes);
    written.map_err(|error| Failure::Write(error.kind()))
}

/// What a request wants to know of each sample.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wanted {
    /// The outputs, and the digest of every operator's output.
    Results,
    /// The cost of every operator.
    Costs,
}

/// Reads the front of a request and gives what is wanted of how many samples.
pub(crate) fn read_request_head(stream: &mut impl Read) -> Result<(Wanted, u32), Failure> {
    let mut head = [0; 8];
    read(stream, &mut head)?;
    let [a, b, c, d, samples @ ..] = head;
    let wanted = match [a, b, c, d] {
        REQUEST_MAGIC => Wanted::Results,
        PROFILE_MAGIC => Wanted::Costs,
        _ => return Err(Failure::NotARequest),
    };
    Ok((wanted, u32::from_le_bytes(samples)))
}

/// What a response says before the samples.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ResponseHead {
    /// The first operator that fails the self-test.
    pub(crate) self_test: Option<usize>,
    /// Number of operators.
    pub(crate) operators: usize,
    /// Instructions or cycles of one run.
    pub(crate) cost: u64,
}

impl ResponseHead {
    /// Writes it with status 0.
    pub(crate) fn write(&self, stream: &mut impl Write) -> Result<(), Failure> {
        // An operator's index is far below 2³²: the tensor table alone ends at 2¹⁶.
        let self_test = self.self_test.map_or(u32::MAX, |index| index as u32);
        let mut head = [0; 24];
        let words = RESPONSE_MAGIC
            .into_iter()
            .chain(0u32.to_le_bytes())
            .chain(self_test.to_le_bytes())
            .chain((self.operators as u32).to_le_bytes())
            .chain(self.cost.to_le_bytes());
        head.iter_mut().zip(words).for_each(|(to, from)| *to = from);
        write(stream, &head)
    }
}

/// Writes a refusal in place of a response.
pub(crate) fn write_refusal(stream: &mut impl Write, failure: &Failure) -> Result<(), Failure> {
    let status: u32 = match failure {
        Failure::Load(_) => 1,
        _ => 2,
    };
    // The length comes before a text that is nowhere in memory as a whole: format it twice.
    let mut length = Length(0);
    // Neither the counter nor the texts of a failure can fail to format.
    let _ = write!(length, "{failure}");
    write(stream, &RESPONSE_MAGIC)?;
    write(stream, &status.to_le_bytes())?;
    write(stream, &length.0.to_le_bytes())?;
    let mut text = Text {
        stream,
        result: Ok(()),
    };
    let _ = write!(text, "{failure}");
    text.result
}

/// Counts the bytes of a text.
struct Length(u32);

impl fmt::Write for Length {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.0 += text.len() as u32;
        Ok(())
    }
}

/// Writes a text to a stream, and keeps the stream's error, which [`fmt::Error`] has no room for.
struct Text<'s, W> {
    stream: &'s mut W,
    result: Result<(), Failure>,
}

impl<W: Write> fmt::Write for Text<'_, W> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.result = write(self.stream, text.as_bytes());
        self.result.map_err(|_| fmt::Error)
    }
}
