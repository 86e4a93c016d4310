//! The host's side of the protocol: what a test sends to a board, and what it gets back.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test may panic"
)]

use niwaki::{All, LoadError, Model, Session};
use niwaki_firmware::{
    Failure, Memory, Meter, PROFILE_MAGIC, REQUEST_MAGIC, RESPONSE_MAGIC, self_check, serve,
};

const ARENA: usize = niwaki_fixture::ARENA_BYTES;
const WIDTH: usize = niwaki_fixture::WIDTH;
const OPERATORS: usize = niwaki_fixture::OPERATORS.len();
const ALL_EQUAL: u32 = u32::MAX;

type TinyMemory = Memory<ARENA, { 2 * WIDTH }, OPERATORS>;

/// Counts how often it is asked.
#[derive(Default)]
struct Asked(std::cell::Cell<u64>);

impl Meter for Asked {
    fn now(&self) -> u64 {
        self.0.set(self.0.get() + 17);
        self.0.get()
    }
}

/// A model's bytes, aligned.
fn words(artifact: &[u8]) -> Vec<u32> {
    let (whole, rest) = artifact.as_chunks::<4>();
    assert!(rest.is_empty(), "sections end at multiples of 16");
    whole.iter().map(|four| u32::from_le_bytes(*four)).collect()
}

fn request(samples: &[[u8; 2 * WIDTH]]) -> Vec<u8> {
    let mut bytes = REQUEST_MAGIC.to_vec();
    bytes.extend((samples.len() as u32).to_le_bytes());
    bytes.extend(samples.as_flattened());
    bytes
}

fn answer(artifact: &[u8], request: &[u8]) -> (Result<(), Failure>, Vec<u8>) {
    let artifact = words(artifact);
    let artifact = niwaki::as_bytes(&artifact);
    let mut buffer = [0u8; 512];
    let mut rest = &mut buffer[..];
    let result = serve::<All, _, _, _>(
        artifact,
        &mut TinyMemory::new(),
        &Asked::default(),
        &mut { request },
        &mut rest,
    );
    let left = rest.len();
    let written = buffer.len() - left;
    (result, buffer[..written].to_vec())
}

/// What a host gives for one sample: outputs, then digests.
fn expected(artifact: &[u8], sample: [u8; 2 * WIDTH]) -> Vec<u8> {
    let artifact = words(artifact);
    let model = Model::<All>::new(niwaki::as_bytes(&artifact)).unwrap();
    let mut arena = [0u32; ARENA.div_ceil(4)];
    let mut session = Session::new(&model, niwaki::as_bytes_mut(&mut arena)).unwrap();
    session
        .input_mut(0)
        .unwrap()
        .copy_from_slice(&sample[..WIDTH]);
    session
        .input_mut(1)
        .unwrap()
        .copy_from_slice(&sample[WIDTH..]);
    let mut digests = Vec::new();
    let each = &mut |_: usize, digest: niwaki::Digest| digests.extend(digest.0.to_le_bytes());
    session.run_digests(each).unwrap();
    [session.output(0).unwrap(), &digests].concat()
}

fn word(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes(bytes[at..at + 4].try_into().unwrap())
}

#[test]
fn every_sample_gets_its_outputs_and_digests() {
    let artifact = niwaki_fixture::artifact().unwrap();
    let samples = [
        [1, 2, 3, 4, 5, 6, 7, 8],
        [200, 100, 50, 25, 0, 255, 128, 127],
    ];
    let (result, response) = answer(&artifact, &request(&samples));
    assert_eq!(result, Ok(()));
    assert_eq!(response[..4], RESPONSE_MAGIC);
    assert_eq!(word(&response, 4), 0, "status");
    assert_eq!(word(&response, 8), ALL_EQUAL, "self-test");
    assert_eq!(word(&response, 12), OPERATORS as u32);
    assert_eq!(
        response[16..24],
        17u64.to_le_bytes(),
        "the cost of the one plain run"
    );
    let each = samples.map(|sample| expected(&artifact, sample));
    assert_ne!(
        each[0], each[1],
        "the two samples show nothing when their outputs are equal"
    );
    assert_eq!(response[24..], each.concat());
}

#[test]
fn a_profile_gives_the_cost_of_each_operator() {
    let artifact = niwaki_fixture::artifact().unwrap();
    let mut profile = request(&[[1, 2, 3, 4, 5, 6, 7, 8]]);
    profile[..4].copy_from_slice(&PROFILE_MAGIC);
    let (result, response) = answer(&artifact, &profile);
    assert_eq!(result, Ok(()));
    assert_eq!(word(&response, 8), ALL_EQUAL, "self-test");
    let cost = 17u64.to_le_bytes();
    assert_eq!(response[16..24], cost, "the cost of the one plain run");
    assert_eq!(response[24..], [cost; OPERATORS].concat());
}

#[test]
fn a_request_without_samples_is_answered_by_the_head_alone() {
    let artifact = niwaki_fixture::artifact().unwrap();
    let (result, response) = answer(&artifact, &request(&[]));
    assert_eq!((result, response.len()), (Ok(()), 24));
    assert_eq!(
        response[16..],
        0u64.to_le_bytes(),
        "nothing was run, nothing was spent"
    );
}

#[test]
fn the_self_test_names_the_first_operator_that_differs() {
    for operator in 0..OPERATORS {
        let artifact = niwaki_fixture::artifact_with_wrong_digest(operator).unwrap();
        let (result, response) = answer(&artifact, &request(&[]));
        assert_eq!(result, Ok(()));
        assert_eq!(word(&response, 8), operator as u32);

        let artifact = words(&artifact);
        let artifact = niwaki::as_bytes(&artifact);
        let report =
            self_check::<All, _, _, _>(artifact, &mut TinyMemory::new(), &Asked::default())
                .unwrap();
        assert_eq!(report.first_difference, Some(operator));
        assert!(!report.passed());
    }
}

#[test]
fn the_self_check_passes_and_measures() {
    let artifact = words(&niwaki_fixture::artifact().unwrap());
    let artifact = niwaki::as_bytes(&artifact);
    let report =
        self_check::<All, _, _, _>(artifact, &mut TinyMemory::new(), &Asked::default()).unwrap();
    assert!(report.passed() && report.golden);
    assert_eq!(report.cost, 17);
}

/// Checks the refusal: its status, and that its text is the failure's.
fn assert_refused(response: &[u8], status: u32, failure: Failure) {
    let text = failure.to_string();
    assert_eq!(response[..4], RESPONSE_MAGIC);
    assert_eq!(word(response, 4), status);
    assert_eq!(word(response, 8), text.len() as u32);
    assert_eq!(response[12..], *text.as_bytes());
}

#[test]
fn a_damaged_model_is_refused_with_status_1() {
    let mut artifact = niwaki_fixture::artifact().unwrap();
    *artifact.last_mut().unwrap() ^= 1;
    let (result, response) = answer(&artifact, &request(&[]));
    let failure = Failure::Load(LoadError::Damaged);
    assert_eq!(result, Err(failure));
    assert_refused(&response, 1, failure);
}

#[test]
fn a_request_that_is_none_or_is_cut_off_is_refused_with_status_2() {
    let artifact = niwaki_fixture::artifact().unwrap();
    let whole = request(&[[0; 2 * WIDTH]]);
    for (request, failure) in [
        (&b"NWRS\0\0\0\0"[..], Failure::NotARequest),
        (&whole[..6], Failure::RequestEnds),
        (&whole[..whole.len() - 1], Failure::RequestEnds),
    ] {
        let (result, response) = answer(&artifact, request);
        assert_eq!(result, Err(failure));
        assert_refused(&response, 2, failure);
    }
}

#[test]
fn memory_of_another_model_is_refused() {
    let artifact = words(&niwaki_fixture::artifact().unwrap());
    let artifact = niwaki::as_bytes(&artifact);
    let mut other = Memory::<ARENA, WIDTH, OPERATORS>::new();
    let result = self_check::<All, _, _, _>(artifact, &mut other, &Asked::default());
    assert_eq!(result, Err(Failure::OtherModel));
}
