//! The files through which Node and the boards get samples and give results, little-endian.
//!
//! Request: `NWRQ`, u32 number of samples, then for each sample the bytes of all inputs.
//! Response: `NWRS`, u32 status (0: all is well; otherwise u32 length and a text follow, and
//! nothing else), u32 first operator whose golden digest differs (`0xffff_ffff`: none), u32
//! number of operators, u64 cost of one run, then for each sample the bytes of all outputs and
//! one u64 digest for each operator.
//!
//! A request that begins with `NWPQ` asks for a profile: then there is one u64 cost for each
//! operator instead of outputs and digests. Boards know it.

use std::path::Path;

use anyhow::{Context as _, Result, bail, ensure};

use crate::artifact::{Artifact, SampleResult};
use crate::data::Samples;

/// What a response holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Response {
    pub(super) results: Vec<SampleResult>,
    pub(super) self_test: Option<usize>,
    pub(super) cost: u64,
}

/// The request for all samples.
pub(super) fn request(samples: &Samples) -> Vec<u8> {
    let mut bytes = b"NWRQ".to_vec();
    bytes.extend((samples.samples.len() as u32).to_le_bytes());
    for elements in samples.samples.iter().flatten() {
        bytes.extend(elements.to_bytes());
    }
    bytes
}

/// The request for the cost of each operator on one sample, the bytes of all inputs.
pub(super) fn profile_request(sample: &[u8]) -> Vec<u8> {
    [b"NWPQ", &1u32.to_le_bytes()[..], sample].concat()
}

/// The cost of a run and of each operator, from the response to a [`profile_request`].
pub(super) fn read_profile(path: &Path, artifact: &Artifact) -> Result<(u64, Vec<u64>)> {
    let bytes = std::fs::read(path).context("the home wrote no response")?;
    let mut reader = Reader(&bytes);
    let head = read_head(&mut reader, artifact)?;
    let costs = (0..head.operators)
        .map(|_| reader.u64())
        .collect::<Result<_>>()?;
    reader.end()?;
    Ok((head.cost, costs))
}

struct Reader<'b>(&'b [u8]);

impl<'b> Reader<'b> {
    fn take(&mut self, len: usize) -> Result<&'b [u8]> {
        let (taken, rest) = self
            .0
            .split_at_checked(len)
            .context("the response is cut off")?;
        self.0 = rest;
        Ok(taken)
    }

    fn u32(&mut self) -> Result<u32> {
        Ok(u32::from_le_bytes(self.take(4)?.try_into()?))
    }

    fn u64(&mut self) -> Result<u64> {
        Ok(u64::from_le_bytes(self.take(8)?.try_into()?))
    }

    fn end(&self) -> Result<()> {
        ensure!(self.0.is_empty(), "the home's response has bytes to spare");
        Ok(())
    }
}

/// What a response says before the samples.
struct Head {
    self_test: Option<usize>,
    operators: usize,
    cost: u64,
}

fn read_head(reader: &mut Reader<'_>, artifact: &Artifact) -> Result<Head> {
    ensure!(reader.take(4)? == b"NWRS", "the home's response is not one");
    if reader.u32()? != 0 {
        let len = reader.u32()? as usize;
        bail!("{}", String::from_utf8_lossy(reader.take(len)?));
    }
    let self_test = reader.u32()?;
    let operators = reader.u32()? as usize;
    let expected = artifact.model()?.operator_count();
    ensure!(
        operators == expected,
        "the home ran {operators} operators, the artifact has {expected}"
    );
    Ok(Head {
        self_test: (self_test != u32::MAX).then_some(self_test as usize),
        operators,
        cost: reader.u64()?,
    })
}

/// Reads the response to a request of `samples` samples.
pub(super) fn read_response(path: &Path, artifact: &Artifact, samples: usize) -> Result<Response> {
    let bytes = std::fs::read(path).context("the home wrote no response")?;
    let mut reader = Reader(&bytes);
    let head = read_head(&mut reader, artifact)?;
    let model = artifact.model()?;
    let sizes: Vec<usize> = (0..model.output_count())
        .filter_map(|i| model.output(i))
        .map(|tensor| tensor.byte_len())
        .collect();
    let mut results = Vec::new();
    for _ in 0..samples {
        let outputs = sizes
            .iter()
            .map(|&size| Ok(reader.take(size)?.to_vec()))
            .collect::<Result<_>>()?;
        let digests = (0..head.operators)
            .map(|_| reader.u64())
            .collect::<Result<_>>()?;
        results.push(SampleResult { outputs, digests });
    }
    reader.end()?;
    Ok(Response {
        results,
        self_test: head.self_test,
        cost: head.cost,
    })
}
