//! Inputs and outputs, texts, golden and provenance.

use niwaki::artifact::{Header, Port, Storage, Text};
use niwaki::{Rule, Section};

use super::{
    A, B, Break, CONSTANT, NEXT, OUTPUT, Row, Verdict, first_of, header, interface_record, parts,
    section, table, tensor,
};
use crate::support::Artifact;

pub fn rows() -> Vec<Row> {
    [interface(), texts(), golden_and_provenance(), order()]
        .into_iter()
        .flatten()
        .collect()
}

/// The port at that place of the interface.
fn port(artifact: &mut Artifact, index: usize) -> &mut Port {
    artifact
        .inputs
        .iter_mut()
        .chain(&mut artifact.outputs)
        .nth(index)
        .unwrap()
}

/// The section as a whole, and what a record says apart from its texts.
fn interface() -> Vec<Row> {
    let whole = section(Section::Interface);
    let length = |header: &mut Header| header.sections[Section::Interface as usize][1] = 36 * 3 - 4;
    let mut rows = table(
        "interface",
        [
            ("a word too few", header(length), whole),
            (
                "another input",
                header(|header| header.input_count = 3),
                whole,
            ),
            (
                "an output less",
                header(|header| header.output_count = 0),
                whole,
            ),
            (
                "counts that add up in 32 bits",
                header(|header| {
                    (header.input_count, header.output_count) = (u32::MAX, 4);
                }),
                whole,
            ),
            (
                "records that add up in 32 bits",
                header(|header| header.input_count = 2 + (1 << 30)),
                whole,
            ),
            (
                "a constant as input",
                parts(|artifact| artifact.inputs[1].tensor = u32::from(CONSTANT)),
                interface_record(1, Rule::Placement),
            ),
            (
                "one tensor twice",
                parts(|artifact| artifact.inputs[1].tensor = u32::from(A)),
                interface_record(1, Rule::Overwritten),
            ),
            (
                "inputs that share a byte",
                parts(|artifact| artifact.tensors[usize::from(B)].offset -= 1),
                interface_record(1, Rule::Overwritten),
            ),
            (
                "an input inside another",
                parts(|artifact| artifact.tensors[usize::from(B)].offset = 2),
                interface_record(1, Rule::Overwritten),
            ),
        ],
    );
    rows.extend(table("no elements", without_elements()));
    for index in 0..3 {
        let indices = [u32::from(NEXT), 65_535, 65_536, u32::MAX].map(|tensor| {
            let file = parts(|artifact| port(artifact, index).tensor = tensor);
            let verdict = interface_record(index as u32, Rule::TensorIndex);
            (tensor, file, verdict)
        });
        rows.extend(table(&format!("tensor of port {index}"), indices));

        let parameter = interface_record(index as u32, Rule::Parameter);
        let ranges = [
            (f32::NAN, 1.0, parameter),
            (0.0, f32::NAN, parameter),
            (f32::NEG_INFINITY, 0.0, parameter),
            (0.0, f32::INFINITY, parameter),
            (1.0, 1.0f32.next_down(), parameter),
            (1.0, 1.0, Ok(())),
            (f32::MIN, f32::MAX, Ok(())),
        ];
        let ranges = ranges.map(|(low, high, verdict)| {
            let file = parts(|artifact| {
                let port = port(artifact, index);
                (port.low, port.high) = (low, high);
            });
            (format!("{low:?} to {high:?}"), file, verdict)
        });
        rows.extend(table(&format!("range of port {index}"), ranges));
    }
    rows
}

/// Inputs and outputs that have no element, and so no byte that anyone could write over.
fn without_elements() -> [(&'static str, Vec<u8>, Verdict); 4] {
    let empty = |storage, edit: fn(&mut Artifact, Port)| {
        parts(|artifact| {
            let mut tensor = artifact.tensors[usize::from(A)];
            (tensor.dims[0], tensor.storage) = (0, storage);
            // Inside the first input.
            tensor.offset += 1;
            artifact.tensors.push(tensor);
            let port = Port {
                tensor: u32::from(NEXT),
                ..artifact.inputs[0]
            };
            edit(artifact, port);
        })
    };
    let inputs = |artifact: &mut Artifact, port| artifact.inputs.push(port);
    let outputs = |artifact: &mut Artifact, port| artifact.outputs.push(port);
    [
        ("an input", empty(Storage::Arena, inputs), Ok(())),
        (
            "a constant input",
            empty(Storage::Data, inputs),
            interface_record(2, Rule::Placement),
        ),
        ("a constant output", empty(Storage::Data, outputs), Ok(())),
        (
            "an output that nothing writes",
            empty(Storage::Arena, outputs),
            interface_record(3, Rule::ReadBeforeWrite),
        ),
    ]
}

/// Every text that a record has, in the strings of `base`: five bytes, the second and third of
/// which are one character.
fn texts() -> Vec<Row> {
    let places = [
        ([0, 5], true),
        ([1, 2], true),
        ([5, 0], true),
        ([0, 6], false),
        ([5, 1], false),
        ([6, 0], false),
        ([0, 2], false),
        ([2, 2], false),
        ([0, u32::MAX], false),
        ([u32::MAX, 1], false),
        ([u32::MAX, u32::MAX], false),
    ];
    type Edit = fn(&mut Artifact, usize) -> &mut Text;
    let tensor_name: Edit = |artifact, index| &mut artifact.tensors[index].name;
    let name: Edit = |artifact, index| &mut port(artifact, index).name;
    let labels: Edit = |artifact, index| &mut port(artifact, index).labels;
    let preprocessing: Edit = |artifact, index| &mut port(artifact, index).preprocessing;
    let of_port = |index| interface_record(index, Rule::Text);
    let texts = [
        (
            "name of a tensor",
            tensor_name,
            OUTPUT,
            tensor(OUTPUT, Rule::Text),
        ),
        ("name of an input", name, 1, of_port(1)),
        ("labels of an input", labels, 0, of_port(0)),
        ("preprocessing of an input", preprocessing, 1, of_port(1)),
        ("name of an output", name, 2, of_port(2)),
        ("labels of an output", labels, 2, of_port(2)),
        ("preprocessing of an output", preprocessing, 2, of_port(2)),
    ];
    let mut rows = Vec::new();
    for (what, text, index, error) in texts {
        let places = places.map(|([offset, len], good)| {
            let file = parts(|artifact| *text(artifact, usize::from(index)) = Text { offset, len });
            let verdict = if good { Ok(()) } else { error };
            (format!("{len} bytes at {offset}"), file, verdict)
        });
        rows.extend(table(what, places));
    }
    rows
}

fn golden_and_provenance() -> Vec<Row> {
    // A seed, a zero, and a digest for each of two operators.
    let golden = [0, 1, 8, 16, 23, 24, 25, 32].map(|len| {
        let file = parts(|artifact| artifact.golden = vec![1; len]);
        let verdict = match len {
            0 | 24 => Ok(()),
            _ => section(Section::Golden),
        };
        (format!("{len} bytes"), file, verdict)
    });
    let not_text = section(Section::Provenance);
    let provenance = [
        ("nothing", &b""[..], Ok(())),
        ("no UTF-8", b"{\xff}", not_text),
        ("half a character", b"{}\xc3", not_text),
    ];
    let provenance = provenance.map(|(what, bytes, verdict)| {
        let file = parts(|artifact| artifact.provenance = bytes.to_vec());
        (what, file, verdict)
    });
    let mut rows = table("golden", golden);
    rows.extend(table("provenance", provenance));
    rows
}

/// What is wrong with one input.
fn order() -> Vec<Row> {
    let broken = |rule| interface_record(1, rule);
    let breaks: [Break<Artifact>; 5] = [
        (
            |artifact| artifact.inputs[1].tensor = 99,
            broken(Rule::TensorIndex),
        ),
        (
            |artifact| artifact.inputs[1].labels.len = 99,
            broken(Rule::Text),
        ),
        (
            |artifact| artifact.inputs[1].low = 2.0,
            broken(Rule::Parameter),
        ),
        (
            |artifact| artifact.inputs[1].tensor = u32::from(CONSTANT),
            broken(Rule::Placement),
        ),
        (
            |artifact| artifact.inputs[1].tensor = u32::from(A),
            broken(Rule::Overwritten),
        ),
    ];
    first_of("one input", &breaks, |edit| parts(edit))
}

#[test]
fn interfaces_are_refused() {
    super::check(&rows());
}
