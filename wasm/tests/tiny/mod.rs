//! The smallest artifact with something to get wrong: two tables, one after the other, where the
//! second writes over the input.

use niwaki::Section;
use niwaki::artifact::{
    Blob, DataType, Golden, Header, Port, RawOperator, Record, Storage, Tensor, Text,
};
use niwaki::ops::{LookupI8, LookupParams, Registered};

/// Elements of its input and of its output.
pub(crate) const LEN: usize = 6;

/// What it computes of one byte.
pub(crate) fn expected(byte: u8) -> u8 {
    (byte ^ FIRST).wrapping_add(SECOND)
}

const FIRST: u8 = 0x5a;
const SECOND: u8 = 17;
const STRINGS: &[u8] = b"pixelsscoreten\ntwenty";
/// Seed of its golden input.
pub(crate) const SEED: u32 = 7;

/// The artifact, with these digests of its two operators.
pub(crate) fn artifact(digests: [u64; 2]) -> Vec<u8> {
    let text = |offset: u32, len: u32| Text { offset, len };
    let tensor = |offset: u32| Tensor {
        dtype: DataType::U8,
        storage: Storage::Arena,
        rank: 3,
        held: 0,
        dims: [1, 3, 2, 1, 1, 1],
        // Stored as (batch, width, channel) of ONNX's (batch, channel, width).
        layout: 0x120,
        offset,
        scale: 0.5,
        zero_point: 3,
        name: Text::EMPTY,
    };
    let port = |tensor: u32, name: Text, labels: Text| Port {
        tensor,
        low: 0.0,
        high: 1.0,
        name,
        labels,
        preprocessing: Text::EMPTY,
    };
    let lookup = |output: u16, input: u16, table: u32, sink: &mut dyn FnMut(u32)| {
        let table = Blob::at(table);
        let params = LookupParams { table };
        RawOperator::write(LookupI8::CODE, &[output], &[input], &params, sink);
    };

    let tensors = words(|sink| [0, 16, 0].map(tensor).iter().for_each(|t| t.write(sink)));
    let operators = words(|sink| {
        lookup(1, 0, 0, sink);
        lookup(2, 1, 256, sink);
    });
    let data = (0..=255u8)
        .map(|byte| byte ^ FIRST)
        .chain((0..=255u8).map(|byte| byte.wrapping_add(SECOND)))
        .collect();
    let interface = words(|sink| {
        port(0, text(0, 6), Text::EMPTY).write(sink);
        port(2, text(6, 5), text(11, 10)).write(sink);
    });
    let mut golden = words(|sink| {
        let (seed, reserved) = (SEED, 0);
        Golden { seed, reserved }.write(sink);
    });
    golden.extend(digests.iter().flat_map(|digest| digest.to_le_bytes()));

    let mut header = Header {
        arena_bytes: 32,
        operator_count: 2,
        input_count: 1,
        output_count: 1,
        ..Header::new()
    };
    let mut file = vec![0; Header::BYTES];
    let sections = [
        tensors,
        operators,
        data,
        interface,
        golden,
        STRINGS.to_vec(),
        b"{}".to_vec(),
    ];
    for (section, bytes) in Section::ALL.into_iter().zip(sections) {
        file.resize(file.len().next_multiple_of(16), 0);
        header.sections[section as usize] = [file.len() as u32, bytes.len() as u32];
        file.extend(bytes);
    }
    header.file_bytes = file.len() as u32;
    header.seal(&mut file);
    file
}

fn words(write: impl FnOnce(&mut dyn FnMut(u32))) -> Vec<u8> {
    let mut bytes = Vec::new();
    write(&mut |word| bytes.extend(word.to_le_bytes()));
    bytes
}
