//! Artifacts that were damaged or forged: a clear error or a correct run, nothing else.

use niwaki::{LoadError, Model, Session, Xorshift32};
use niwaki_tests::{root, sealed};

/// Damaged files tried in each test.
const CASES: usize = 100_000;

/// Arenas above this size are not run: the header may claim gigabytes.
const LARGEST_ARENA: usize = 1 << 24;

fn original() -> Vec<u8> {
    std::fs::read(root().join("tests/golden/format-1/digits.niwaki")).unwrap()
}

/// Flips one to eight bits, or cuts the file, or both.
fn damage(original: &[u8], random: &mut Xorshift32) -> Vec<u8> {
    let mut bytes = original.to_vec();
    let kind = random.next_u32() % 8;
    if kind != 0 {
        for _ in 0..1 + random.next_u32() % 8 {
            // Half of all flips go to the records, which are a small part of the file.
            let records = niwaki_tests::data_section(original).start;
            let range = if random.next_u32().is_multiple_of(2) {
                records
            } else {
                bytes.len()
            };
            let at = random.next_u32() as usize % range;
            bytes[at] ^= 1 << (random.next_u32() % 8);
        }
    }
    if kind < 2 {
        bytes.truncate(random.next_u32() as usize % (bytes.len() + 1));
    }
    bytes
}

fn words(bytes: &[u8]) -> Vec<u32> {
    let mut words = vec![0u32; bytes.len().div_ceil(4)];
    niwaki::as_bytes_mut(&mut words)[..bytes.len()].copy_from_slice(bytes);
    words
}

/// Outputs of one run, from an arena that holds `fill` beforehand.
fn run(model: &Model<'_>, fill: u32) -> Vec<Vec<u8>> {
    let mut arena = vec![fill; model.arena_bytes().div_ceil(4)];
    let mut session = Session::new(model, niwaki::as_bytes_mut(&mut arena)).unwrap();
    session.fill_golden_inputs(7).unwrap();
    session.run().unwrap();
    let outputs = 0..model.output_count();
    outputs
        .map(|i| session.output(i).unwrap().to_vec())
        .collect()
}

#[test]
fn damaged_files_are_refused() {
    let original = original();
    let mut random = Xorshift32::new(1);
    let mut intact = 0;
    for _ in 0..CASES {
        let bytes = damage(&original, &mut random);
        let words = words(&bytes);
        let result: Result<Model<'_>, LoadError> =
            Model::new(&niwaki::as_bytes(&words)[..bytes.len()]);
        match result {
            // Flips may undo each other, and a cut may cut nothing.
            Ok(_) => {
                assert_eq!(bytes, original, "a damaged file was loaded");
                intact += 1;
            }
            Err(error) => assert!(!error.to_string().is_empty()),
        }
    }
    assert!(
        intact < CASES / 100,
        "{intact} of {CASES} files were not damaged at all"
    );
}

#[test]
fn forged_files_are_refused_or_run() {
    let original = original();
    let mut random = Xorshift32::new(2);
    let mut ran = 0;
    let mut refusals = std::collections::BTreeSet::new();
    for _ in 0..CASES {
        let bytes = sealed(damage(&original, &mut random));
        let words = words(&bytes);
        let result: Result<Model<'_>, LoadError> =
            Model::new(&niwaki::as_bytes(&words)[..bytes.len()]);
        match result {
            Err(error) => {
                refusals.insert(error.to_string());
            }
            Ok(model) if model.arena_bytes() <= LARGEST_ARENA => {
                let outputs = run(&model, 0);
                // The result depends on the inputs alone, not on what was in the arena.
                if ran % 50 == 0 {
                    assert_eq!(outputs, run(&model, 0xa5a5_a5a5));
                }
                ran += 1;
            }
            Ok(_) => {}
        }
    }
    println!(
        "{ran} of {CASES} forged files load; {} kinds of refusal",
        refusals.len()
    );
    assert!(ran > CASES / 10, "only {ran} files got as far as a run");
    assert!(refusals.len() > 20, "only {refusals:?}");
}
