//! The operators as a sequence: what each may write and read, and what is left for the outputs.

use niwaki::artifact::{DataType, Tensor};
use niwaki::ops::{LookupI8, Registered};
use niwaki::{Rule, Section};

use super::{
    A, B, Break, CONSTANT, JOINED, NEXT, OUTPUT, Row, base, concat, first_of, header,
    interface_record, lookup, operator, parts, record, section, table, tensor,
};
use crate::support::Artifact;

pub fn rows() -> Vec<Row> {
    [
        tensor_indices(),
        writes(),
        reads(),
        operator_section(),
        outputs(),
        operator_order(),
        whole_order(),
    ]
    .into_iter()
    .flatten()
    .collect()
}

/// What is not in the tensor table.
fn tensor_indices() -> Vec<Row> {
    let mut rows = Vec::new();
    for index in [NEXT, u16::MAX] {
        let file = |operator: Vec<u32>| parts(|artifact| artifact.operators[0] = operator);
        let error = operator(0, Rule::TensorIndex);
        rows.extend(table(
            &format!("tensor {index}"),
            [
                ("as output", file(concat(index, &[A, B])), error),
                ("as input", file(concat(JOINED, &[index, B])), error),
                ("as last input", file(concat(JOINED, &[A, index])), error),
            ],
        ));
    }
    rows
}

/// Where an operator may write.
fn writes() -> Vec<Row> {
    // Where the two results lie; the inputs end at byte 12.
    let results = |joined, output| {
        parts(|artifact| {
            artifact.tensors[usize::from(JOINED)].offset = joined;
            artifact.tensors[usize::from(OUTPUT)].offset = output;
        })
    };
    let last = |operator: Vec<u32>| parts(|artifact| artifact.operators[1] = operator);
    // An operator that also writes a tensor of 16 bytes at that offset.
    let second = |offset| {
        parts(|artifact| {
            artifact.tensors.push(Tensor {
                offset,
                ..artifact.tensors[usize::from(OUTPUT)]
            });
            artifact.arena_bytes = 100;
            artifact.operators[1] = record(LookupI8::CODE, &[OUTPUT, NEXT], &[JOINED], &[0]);
        })
    };
    let refused = operator(1, Rule::WritesInput);
    let joined_refused = operator(0, Rule::WritesInput);
    table(
        "writes",
        [
            ("a constant", last(lookup(CONSTANT, JOINED)), refused),
            // A lookup may lie anywhere over its input; here the output is never written then.
            (
                "its input, which a lookup may",
                last(lookup(JOINED, JOINED)),
                interface_record(2, Rule::ReadBeforeWrite),
            ),
            ("the last byte of its input", results(12, 27), Ok(())),
            ("the first byte of its input", results(28, 13), Ok(())),
            ("right before its input", results(28, 12), Ok(())),
            (
                "its inputs, which a concatenation may not",
                results(0, 28),
                joined_refused,
            ),
            ("over the inputs of the model", results(16, 0), Ok(())),
            (
                "the last byte of its second input",
                results(11, 28),
                joined_refused,
            ),
            (
                "one tensor twice",
                last(record(LookupI8::CODE, &[OUTPUT; 2], &[JOINED], &[0])),
                refused,
            ),
            ("outputs that share a byte", second(43), refused),
            // Which no operator of this version does.
            ("outputs apart", second(44), operator(1, Rule::Count)),
        ],
    )
}

/// `base` with these operators, another tensor right over the joined one, and the first input at
/// that offset.
fn rewritten(a: u32, operators: &[Vec<u32>]) -> Artifact {
    let mut artifact = base();
    artifact.tensors.push(artifact.tensors[usize::from(JOINED)]);
    artifact.tensors[usize::from(A)].offset = a;
    artifact.arena_bytes = 100;
    artifact.operators = operators.to_vec();
    artifact
}

/// What an operator may read.
fn reads() -> Vec<Row> {
    let join = || concat(JOINED, &[A, B, CONSTANT]);
    let of = |operators: &[Vec<u32>]| rewritten(0, operators).file();
    // The output ends at byte 44. The last operator reads the first input, eight bytes.
    let late = |a| {
        let late = concat(JOINED, &[A, A]);
        rewritten(a, &[join(), lookup(OUTPUT, JOINED), late]).file()
    };
    let unwritten = |index| operator(index, Rule::ReadBeforeWrite);
    let overwritten = |index| operator(index, Rule::Overwritten);
    table(
        "reads",
        [
            (
                "the result of a later operator",
                of(&[lookup(OUTPUT, JOINED), join()]),
                unwritten(0),
            ),
            (
                "what nothing writes",
                of(&[concat(JOINED, &[A, B, OUTPUT])]),
                unwritten(0),
            ),
            (
                "another tensor of the same bytes",
                of(&[join(), lookup(OUTPUT, NEXT)]),
                unwritten(1),
            ),
            (
                "what another tensor has replaced",
                of(&[
                    join(),
                    lookup(OUTPUT, JOINED),
                    lookup(NEXT, OUTPUT),
                    lookup(OUTPUT, JOINED),
                ]),
                overwritten(3),
            ),
            (
                "what has been written once more",
                of(&[
                    join(),
                    lookup(OUTPUT, JOINED),
                    lookup(NEXT, OUTPUT),
                    lookup(JOINED, OUTPUT),
                    lookup(OUTPUT, JOINED),
                ]),
                Ok(()),
            ),
            ("an input that lost a byte", late(43), overwritten(2)),
            ("an input that is whole", late(44), Ok(())),
        ],
    )
}

/// The section as a whole.
fn operator_section() -> Vec<Row> {
    let whole = section(Section::Operators);
    let count = |count| header(|header| header.operator_count = count);
    let length = |edit: fn(u32) -> u32| {
        header(|header| {
            let [_, len] = &mut header.sections[Section::Operators as usize];
            *len = edit(*len);
        })
    };
    let last_word = |word: usize, value| parts(|artifact| artifact.operators[1][word] = value);
    table(
        "operators",
        [
            ("one less than counted", count(3), whole),
            ("one more than counted", count(1), whole),
            ("none counted", count(0), whole),
            ("the most that can be counted", count(u32::MAX), whole),
            ("a word too few", length(|len| len - 4), whole),
            ("a byte too many", length(|len| len + 1), whole),
            (
                "a word too many",
                parts(|artifact| artifact.operators[1].push(0)),
                whole,
            ),
            ("parameters behind the end", last_word(1, 2), whole),
            ("parameters beyond 32 bits", last_word(1, 1 << 30), whole),
            ("tensors behind the end", last_word(0, 0xffff_0011), whole),
        ],
    )
}

/// What an output of the model holds after a run.
fn outputs() -> Vec<Row> {
    let output = |artifact: &mut Artifact, tensor| {
        artifact.outputs[0].tensor = u32::from(tensor);
    };
    let is = |tensor| parts(|artifact| output(artifact, tensor));
    // The first input as output, at that offset; another output ends at byte 44.
    let moved = |offset| {
        let mut artifact = rewritten(offset, &base().operators);
        output(&mut artifact, A);
        artifact.file()
    };
    let replaced = || {
        let mut artifact = rewritten(0, &base().operators);
        artifact.operators.push(lookup(NEXT, OUTPUT));
        output(&mut artifact, JOINED);
        artifact.file()
    };
    let unwritten = parts(|artifact| {
        let tensor = artifact.push_activation(DataType::I8, &[1]);
        output(artifact, tensor);
    });
    let overwritten = interface_record(2, Rule::Overwritten);
    table(
        "output of the model",
        [
            ("a constant", is(CONSTANT), Ok(())),
            ("an input", is(B), Ok(())),
            ("a result on the way", is(JOINED), Ok(())),
            (
                "what nothing writes",
                unwritten,
                interface_record(2, Rule::ReadBeforeWrite),
            ),
            ("an input that lost a byte", moved(43), overwritten),
            ("an input that is whole", moved(44), Ok(())),
            ("a result that was replaced", replaced(), overwritten),
        ],
    )
}

/// What is wrong with one operator, from its outputs to its parameters.
fn operator_order() -> Vec<Row> {
    // Behind two words of head, two tensors share a word: the output, then the inputs.
    fn name(artifact: &mut Artifact, index: usize, tensor: u16) {
        let word = &mut artifact.operators[0][2 + index / 2];
        let shift = 16 * (index % 2);
        *word = *word & !(0xffff << shift) | u32::from(tensor) << shift;
    }
    // The constant, which nothing may write, is right for all other checks.
    let breaks: [Break<Artifact>; 8] = [
        (
            |artifact| name(artifact, 0, NEXT),
            operator(0, Rule::TensorIndex),
        ),
        (
            |artifact| name(artifact, 0, CONSTANT),
            operator(0, Rule::WritesInput),
        ),
        (
            |artifact| name(artifact, 2, NEXT),
            operator(0, Rule::TensorIndex),
        ),
        (
            |artifact| name(artifact, 2, OUTPUT),
            operator(0, Rule::ReadBeforeWrite),
        ),
        (
            |artifact| artifact.operators[0][0] |= 0xffff,
            operator(0, Rule::UnknownOperator(0xffff)),
        ),
        (
            |artifact| {
                artifact.operators[0][1] += 1;
                artifact.operators[0].push(0);
            },
            operator(0, Rule::Count),
        ),
        (
            |artifact| name(artifact, 2, A),
            operator(0, Rule::ShapeMismatch),
        ),
        (
            |artifact| artifact.operators[1][0] |= 0xffff,
            operator(1, Rule::UnknownOperator(0xffff)),
        ),
    ];
    first_of("one operator", &breaks, |edit| parts(edit))
}

/// From the tensors to the outputs of the model.
fn whole_order() -> Vec<Row> {
    let breaks: [Break<Artifact>; 7] = [
        (
            |artifact| artifact.tensors[0].scale = -1.0,
            tensor(0, Rule::Parameter),
        ),
        (
            |artifact| artifact.inputs[0].low = 2.0,
            interface_record(0, Rule::Parameter),
        ),
        (
            |artifact| artifact.golden = vec![0],
            section(Section::Golden),
        ),
        (
            |artifact| artifact.provenance = vec![0xff],
            section(Section::Provenance),
        ),
        (
            |artifact| artifact.operators[1][1] = 0,
            operator(1, Rule::Count),
        ),
        (
            |artifact| artifact.operators[1].push(0),
            section(Section::Operators),
        ),
        (
            |artifact| {
                let tensor = artifact.push_activation(DataType::I8, &[1]);
                artifact.outputs[0].tensor = u32::from(tensor);
            },
            interface_record(2, Rule::ReadBeforeWrite),
        ),
    ];
    first_of("the whole", &breaks, |edit| parts(edit))
}

#[test]
fn sequences_are_refused() {
    super::check(&rows());
}
