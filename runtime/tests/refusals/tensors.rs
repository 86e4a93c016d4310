//! The tensor table.

use niwaki::artifact::{DataType, Storage, Tensor};
use niwaki::{Rule, Section};

use super::{
    Break, CONSTANT, NEXT, OUTPUT, Row, first_of, header, parts, sealed, section, table, tensor,
};
use crate::support::Artifact;

pub fn rows() -> Vec<Row> {
    [tensors(), shapes(), places(), order()]
        .into_iter()
        .flatten()
        .collect()
}

/// The table as a whole, and what a record says apart from shape and place.
fn tensors() -> Vec<Row> {
    let table_length =
        |edit: fn(u32) -> u32| header(|header| header.sections[0][1] = edit(header.sections[0][1]));
    let many = |count| parts(|artifact| artifact.tensors.resize(count, artifact.tensors[0]));
    let whole = section(Section::Tensors);
    let mut rows = table(
        "tensors",
        [
            ("a word too few", table_length(|len| len - 4), whole),
            ("a byte too many", table_length(|len| len + 1), whole),
            ("65536", many(65_536), whole),
            ("65535", many(65_535), Ok(())),
        ],
    );

    // In the first word of a record, where the header says that the section starts.
    let kind = |byte: usize, code: u8| {
        sealed(|file| {
            let first = u32::from_le_bytes([file[64], file[65], file[66], file[67]]);
            file[first as usize + 52 * usize::from(OUTPUT) + byte] = code;
        })
    };
    let codes = [
        ("element type", 0, &[0, 9, 0x81, 255][..]),
        ("storage", 1, &[2, 0x80, 255]),
    ];
    for (what, byte, codes) in codes {
        let refused = codes
            .iter()
            .map(|&code| (code, kind(byte, code), tensor(OUTPUT, Rule::DataType)));
        rows.extend(table(what, refused));
    }
    // The output has 16 rows.
    let held = [17, 0x80, 255].map(|code| (code, kind(3, code), tensor(OUTPUT, Rule::Shape)));
    rows.extend(table("rows held", held));
    let constant = parts(|artifact| artifact.tensors[usize::from(CONSTANT)].held = 1);
    let refused = tensor(CONSTANT, Rule::Shape);
    rows.extend(table("rows held", [("of a constant", constant, refused)]));

    let scales = [
        (f32::NAN, tensor(OUTPUT, Rule::Parameter)),
        (f32::INFINITY, tensor(OUTPUT, Rule::Parameter)),
        (-f32::from_bits(1), tensor(OUTPUT, Rule::Parameter)),
        (f32::from_bits(1), Ok(())),
        (f32::MAX, Ok(())),
    ];
    let scales = scales.map(|(scale, verdict)| {
        let file = parts(|artifact| artifact.tensors[usize::from(OUTPUT)].scale = scale);
        (scale, file, verdict)
    });
    rows.extend(table("scale", scales));
    rows
}

/// An artifact with one more tensor, which nothing uses, in the largest arena that there can be.
fn with_tensor(dtype: DataType, dims: &[u32], edit: impl FnOnce(&mut Tensor)) -> Vec<u8> {
    parts(|artifact| {
        let mut tensor = artifact.tensors[0];
        tensor.dtype = dtype;
        tensor.rank = dims.len() as u8;
        tensor.dims[..dims.len()].copy_from_slice(dims);
        tensor.dims[dims.len()..].fill(1);
        edit(&mut tensor);
        artifact.tensors.push(tensor);
        artifact.arena_bytes = u32::MAX;
    })
}

/// Ranks, dimensions and layouts.
fn shapes() -> Vec<Row> {
    let shape = tensor(NEXT, Rule::Shape);
    let int8 = |dims: &[u32], edit: fn(&mut Tensor)| with_tensor(DataType::I8, dims, edit);
    let ranks = table(
        "rank",
        [
            ("0", int8(&[], |_| ()), Ok(())),
            ("6", int8(&[1, 2, 1, 2, 1, 2], |_| ()), Ok(())),
            ("7", int8(&[2], |tensor| tensor.rank = 7), shape),
            ("255", int8(&[2], |tensor| tensor.rank = 255), shape),
            (
                "2 behind it",
                int8(&[2], |tensor| tensor.dims[1] = 2),
                shape,
            ),
            (
                "0 behind it",
                int8(&[2], |tensor| tensor.dims[5] = 0),
                shape,
            ),
            ("2 behind 0", int8(&[], |tensor| tensor.dims[0] = 2), shape),
        ],
    );

    let layouts = [
        (1, 0x0, Ok(())),
        (1, 0x1, shape),
        (2, 0x10, Ok(())),
        (2, 0x01, Ok(())),
        (2, 0x00, shape),
        (2, 0x20, shape),
        (2, 0xf0, shape),
        // What is behind the rank means nothing.
        (2, 0xffff_ff01, Ok(())),
        (6, 0x01_2345, Ok(())),
        (6, 0x01_2346, shape),
        (6, 0x01_2344, shape),
    ];
    let layouts = layouts.map(|(rank, layout, verdict)| {
        let edit = |tensor: &mut Tensor| tensor.layout = layout;
        let file = with_tensor(DataType::I8, &[2; 6][..rank], edit);
        (format!("{layout:#x} of rank {rank}"), file, verdict)
    });

    let sizes = [
        (DataType::I8, &[0][..], Ok(())),
        (DataType::I8, &[2, 0, 2], Ok(())),
        // A dimension of 0 does not make up for the others.
        (DataType::I8, &[0, u32::MAX, 2], shape),
        (DataType::I8, &[i32::MAX.cast_unsigned()], Ok(())),
        (DataType::I8, &[1 << 31], shape),
        (DataType::F32, &[(1 << 29) - 1], Ok(())),
        (DataType::F32, &[1 << 29], shape),
        (DataType::I32, &[1 << 15, 1 << 14], shape),
        // In 32 bits these would be small, or nothing.
        (DataType::U8, &[1 << 16, 1 << 16], shape),
        (DataType::U8, &[(1 << 31) + 3, 2], shape),
        (DataType::F32, &[(1 << 30) + 1], shape),
        (DataType::U8, &[u32::MAX; 6], shape),
    ];
    let sizes = sizes.map(|(dtype, dims, verdict)| {
        let what = format!("{} {dims:?}", dtype.name());
        (what, with_tensor(dtype, dims, |_| ()), verdict)
    });
    let mut rows = ranks;
    rows.extend(table("layout", layouts));
    rows.extend(table("size", sizes));
    rows
}

/// Offsets, and the ends of arena and data section.
fn places() -> Vec<Row> {
    let place =
        |index: u16, offset| parts(|artifact| artifact.tensors[usize::from(index)].offset = offset);
    let mut rows = table(
        "place",
        [
            (
                "the arena is a byte too short",
                parts(|artifact| artifact.arena_bytes -= 1),
                tensor(OUTPUT, Rule::Placement),
            ),
            (
                "a byte behind the arena",
                place(OUTPUT, 29),
                tensor(OUTPUT, Rule::Placement),
            ),
            (
                "around the end of 32 bits",
                place(OUTPUT, u32::MAX - 15),
                tensor(OUTPUT, Rule::Placement),
            ),
            (
                "the data section is a byte too short",
                header(|header| header.sections[Section::Data as usize][1] -= 1),
                tensor(CONSTANT, Rule::Placement),
            ),
            (
                "a byte behind the data section",
                place(CONSTANT, 257),
                tensor(CONSTANT, Rule::Placement),
            ),
            (
                "shared bytes of the data section",
                place(CONSTANT, 3),
                Ok(()),
            ),
        ],
    );
    // Written from `FORMAT.md`, section 4: what an offset is a multiple of.
    let alignments = [
        (DataType::I8, 1),
        (DataType::U8, 1),
        (DataType::Bool, 1),
        (DataType::I16, 2),
        (DataType::U16, 2),
        (DataType::I32, 4),
        (DataType::F32, 4),
        (DataType::I64, 4),
    ];
    for (dtype, alignment) in alignments {
        for storage in [Storage::Arena, Storage::Data] {
            let offsets = (0..=4).map(|offset| {
                let aligned = (offset as usize).is_multiple_of(alignment);
                let file = with_tensor(dtype, &[2], |tensor| {
                    (tensor.storage, tensor.offset) = (storage, offset);
                });
                let verdict = if aligned {
                    Ok(())
                } else {
                    tensor(NEXT, Rule::Placement)
                };
                (offset, file, verdict)
            });
            let what = format!("offset of {} in {storage:?}", dtype.name());
            rows.extend(table(&what, offsets));
        }
    }
    rows
}

/// What is wrong with one tensor.
fn order() -> Vec<Row> {
    fn last(artifact: &mut Artifact) -> &mut Tensor {
        &mut artifact.tensors[usize::from(OUTPUT)]
    }
    let breaks: [Break<Artifact>; 4] = [
        (
            |artifact| last(artifact).rank = 7,
            tensor(OUTPUT, Rule::Shape),
        ),
        (
            |artifact| last(artifact).offset = 99,
            tensor(OUTPUT, Rule::Placement),
        ),
        (
            |artifact| last(artifact).scale = -1.0,
            tensor(OUTPUT, Rule::Parameter),
        ),
        (
            |artifact| last(artifact).name.len = 99,
            tensor(OUTPUT, Rule::Text),
        ),
    ];
    first_of("one tensor", &breaks, |edit| parts(edit))
}

#[test]
fn tensors_are_refused() {
    super::check(&rows());
}
