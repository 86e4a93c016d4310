//! Operators that are run in strips: what has to fit together, and where they may write.

use niwaki::artifact::{DataType, Record, Strip};
use niwaki::ops::{LookupI8, MaxPoolI8, MaxPoolParams, Registered, Window};
use niwaki::{Rule, Session};

use super::{Row, concat, interface_record, operator, record, table, tensor};
use crate::support::{Aligned, Artifact, port};

// The tensors of `base`, by index: six rows of four bytes each.
const X: u16 = 0;
const PART: u16 = 1;
const Y: u16 = 2;

/// Rows of every tensor.
const ROWS: u32 = 6;

/// A lookup whose rows are read by a pool over three rows, padded by one: in strip `s` the first
/// computes row `s` and the second row `s - 1`. Three rows of what is between them are held.
pub fn base() -> Artifact {
    let mut artifact = Artifact {
        data: crate::support::Data {
            bytes: (0..=255).collect(),
        },
        ..Artifact::default()
    };
    for index in [X, PART, Y] {
        let found = artifact.push_activation(DataType::I8, &[1, ROWS as usize, 4]);
        assert_eq!(found, index);
    }
    artifact.tensors[usize::from(PART)].held = 3;
    artifact.inputs = vec![port(X)];
    artifact.outputs = vec![port(Y)];
    artifact.operators = vec![
        in_strips(7, strip(0, 2, 1), lookup()),
        in_strips(7, strip(1, 6, 0), pool()),
    ];
    artifact
}

fn lookup() -> Vec<u32> {
    record(LookupI8::CODE, &[PART], &[X], &[0])
}

fn pool() -> Vec<u32> {
    let params = MaxPoolParams {
        window: Window {
            batch: 1,
            in_h: ROWS,
            in_w: 4,
            out_h: ROWS,
            out_w: 4,
            kernel_h: 3,
            kernel_w: 1,
            stride_h: 1,
            stride_w: 1,
            dilation_h: 1,
            dilation_w: 1,
            pad_top: 1,
            pad_bottom: 1,
            ..Window::default()
        },
        channels: 1,
    };
    let mut words = Vec::new();
    params.write(&mut |word| words.push(word));
    record(MaxPoolI8::CODE, &[Y], &[PART], &words)
}

/// One row a strip, behind so many strips.
fn strip(lag: u32, keep: u32, rest: u32) -> Strip {
    Strip {
        lag,
        pace: 1 | 1 << 16,
        keep_and_rest: keep | rest << 16,
    }
}

/// The operator's record with a strip, written from `FORMAT.md`, section 5.
fn in_strips(strips: u32, strip: Strip, mut operator: Vec<u32>) -> Vec<u32> {
    operator[1] |= strips << 16;
    let words = [strip.lag, strip.pace, strip.keep_and_rest];
    operator.splice(2..2, words);
    operator
}

fn parts(edit: impl FnOnce(&mut Artifact)) -> Vec<u8> {
    let mut artifact = base();
    edit(&mut artifact);
    artifact.file()
}

pub fn rows() -> Vec<Row> {
    [schedules(), places(), groups()]
        .into_iter()
        .flatten()
        .collect()
}

/// Rows that come too late, too early, or have no room.
fn schedules() -> Vec<Row> {
    let first = |strip| parts(|artifact| artifact.operators[0] = in_strips(7, strip, lookup()));
    let second = |strip| parts(|artifact| artifact.operators[1] = in_strips(7, strip, pool()));
    let held = |rows| parts(|artifact| artifact.tensors[usize::from(PART)].held = rows);
    let all = |strips| {
        parts(|artifact| {
            artifact.operators = vec![
                in_strips(strips, strip(0, 2, 1), lookup()),
                in_strips(strips, strip(1, 6, 0), pool()),
            ];
        })
    };
    let paced = |pace| Strip {
        pace,
        ..strip(0, 2, 1)
    };
    let refused = |index| operator(index, Rule::Strips);
    table(
        "schedules",
        [
            ("as they are", parts(|_| {}), Ok(())),
            ("one strip more, in which nothing is left", all(8), Ok(())),
            ("one strip fewer, so that a row is left", all(6), refused(1)),
            (
                "rows read before they are there",
                second(strip(0, 6, 0)),
                refused(1),
            ),
            (
                "a row later than it could be",
                second(strip(2, 6, 0)),
                refused(1),
            ),
            (
                "rows read that are kept no more",
                first(strip(0, 1, 1)),
                refused(1),
            ),
            (
                "more rows kept than there is room for",
                first(strip(0, 3, 1)),
                refused(0),
            ),
            (
                "two rows at a time, without the room",
                first(paced(2 | 1 << 16)),
                refused(0),
            ),
            ("no pace", first(paced(1)), refused(0)),
            ("no rows", first(paced(1 << 16)), refused(0)),
            ("room for two rows", held(2), refused(0)),
            ("room for four rows", held(4), Ok(())),
            ("room for all rows", held(ROWS as u8), Ok(())),
            (
                "room for more rows than there are",
                held(ROWS as u8 + 1),
                tensor(PART, Rule::Shape),
            ),
            ("everything held", held(0), Ok(())),
        ],
    )
}

/// Where outputs of a group may lie.
fn places() -> Vec<Row> {
    // Rows are four bytes. X begins at 0 unless Y does, and the part lies apart from both.
    let at = |index: u16, offset| {
        parts(|artifact| {
            artifact.tensors[usize::from(PART)].offset = 72;
            artifact.tensors[usize::from(index)].offset = offset;
            artifact.arena_bytes = 108;
        })
    };
    let refused = |index| operator(index, Rule::Strips);
    table(
        "places",
        [
            // Row s - 1 of the output is written when rows up to s have been read.
            ("the output over the input", at(Y, 0), Ok(())),
            ("the output one row behind the input", at(Y, 4), Ok(())),
            ("the output a byte further", at(Y, 5), refused(1)),
            ("the output behind all of the input", at(Y, 36), Ok(())),
            (
                "the output over the last byte of the part",
                at(Y, 83),
                refused(1),
            ),
            ("the output behind the part", at(Y, 84), Ok(())),
            (
                "the part over the input's first row",
                at(PART, 0),
                refused(0),
            ),
            (
                "the part over the input's last row",
                at(PART, 20),
                refused(0),
            ),
            ("the part right before the output", at(PART, 36), Ok(())),
        ],
    )
}

/// What makes a group.
fn groups() -> Vec<Row> {
    let refused = |index| operator(index, Rule::Strips);
    let with = |first: Vec<u32>, second: Vec<u32>| {
        parts(|artifact| artifact.operators = vec![first, second])
    };
    let first = || in_strips(7, strip(0, 2, 1), lookup());
    let second = || in_strips(7, strip(1, 6, 0), pool());
    let many = |count: u16, strips| {
        parts(|artifact| {
            artifact.operators.clear();
            for i in 0..count {
                let output = artifact.push_activation(DataType::I8, &[1, ROWS as usize, 4]);
                let lookup = record(LookupI8::CODE, &[output], &[X], &[0]);
                let strip = strip(0, 6, u32::from(count - 1 - i));
                artifact.operators.push(in_strips(strips, strip, lookup));
                artifact.outputs = vec![port(output)];
            }
        })
    };
    let alone = in_strips(7, strip(0, 6, 0), concat(Y, &[X]));
    table(
        "groups",
        [
            (
                "the second runs at once",
                with(in_strips(7, strip(0, 2, 0), lookup()), pool()),
                refused(1),
            ),
            (
                "the first runs at once",
                with(lookup(), second()),
                refused(0),
            ),
            (
                "of unequal strips",
                with(first(), in_strips(8, strip(1, 6, 0), pool())),
                refused(1),
            ),
            (
                "one follows where none is",
                with(first(), in_strips(7, strip(1, 6, 1), pool())),
                refused(1),
            ),
            (
                "cut off",
                with(in_strips(7, strip(0, 2, 2), lookup()), second()),
                refused(1),
            ),
            (
                "the reader before the writer",
                with(
                    in_strips(7, strip(1, 6, 1), pool()),
                    in_strips(7, strip(0, 2, 0), lookup()),
                ),
                operator(0, Rule::ReadBeforeWrite),
            ),
            (
                "an operator that has no rows",
                parts(|artifact| artifact.operators = vec![alone]),
                refused(0),
            ),
            (
                "a part as output of the model",
                parts(|artifact| artifact.outputs = vec![port(PART)]),
                interface_record(1, Rule::Strips),
            ),
            ("of 32 operators", many(32, 6), Ok(())),
            ("of 33 operators", many(33, 6), refused(0)),
            ("of 32 operators in 128 strips", many(32, 128), Ok(())),
            ("of 32 operators in 129 strips", many(32, 129), refused(0)),
        ],
    )
}

#[test]
fn groups_that_do_not_fit_are_refused() {
    super::check(&rows());
}

/// The pool over the looked up rows, whatever is held of them.
#[test]
fn strips_compute_what_the_whole_does() {
    let run = |artifact: &Artifact| {
        let file = Aligned::copy_of(&artifact.file());
        let model: niwaki::Model<'_> = niwaki::Model::new(file.bytes()).unwrap();
        let mut arena = Aligned::filled(model.arena_bytes(), 0x33);
        let mut session = Session::new(&model, arena.bytes_mut()).unwrap();
        let input = session.input_mut(0).unwrap();
        let rows = [9u8, 200, 3, 77, 140, 80];
        for (i, byte) in input.iter_mut().enumerate() {
            *byte = rows[i / 4].wrapping_mul(i as u8 % 4 + 1);
        }
        session.run().unwrap();
        session.output(0).unwrap().to_vec()
    };
    let mut whole = base();
    whole.operators = vec![lookup(), pool()];
    whole.tensors[usize::from(PART)].held = 0;
    whole.tensors[usize::from(Y)].offset = 48;
    whole.arena_bytes = 72;
    assert_eq!(run(&base()), run(&whole));
}
