//! Weights of int8 products as Cortex-M4 and M7 multiply them: FORMAT.md, 6, `blob wide`.
//!
//! Behind the shrink, which knows only weights as they are; before the plan, as records have no
//! strips yet.

use anyhow::{Context as _, Result};
use niwaki::artifact::{Blob, Operators, Record};
use niwaki::ops::{
    ConvI8, ConvI8Params, ConvI8Wide, FullyConnectedBorderI8, FullyConnectedBorderI8Params,
    FullyConnectedBorderI8Wide, FullyConnectedI8, FullyConnectedI8Params, FullyConnectedI8Wide,
    Registered as _,
};

use super::builder::{Builder, BuiltOperator};

/// Puts operators with widened weights in the place of those that have them.
///
/// # Errors
///
/// Only for a defect of the compiler.
pub fn widen(builder: &mut Builder) -> Result<()> {
    for index in 0..builder.operators.len() {
        let bytes = niwaki::as_bytes(&builder.operators[index].record).to_vec();
        let raw = Operators::new(&bytes).next().context("a cut record")?;
        let what = "parameters of another length";
        match raw.header.code {
            ConvI8::CODE => {
                let mut p: ConvI8Params = raw.parameters().context(what)?;
                let len = p.window.kernel_h * p.window.kernel_w * p.group_in;
                p.weights = wide(builder, p.weights, p.groups, [p.group_out, len])?;
                replace(builder, index, ConvI8Wide::CODE, &p);
            }
            FullyConnectedI8::CODE => {
                let mut p: FullyConnectedI8Params = raw.parameters().context(what)?;
                p.weights = wide(builder, p.weights, 1, [p.outputs, p.depth])?;
                replace(builder, index, FullyConnectedI8Wide::CODE, &p);
            }
            FullyConnectedBorderI8::CODE => {
                let mut p: FullyConnectedBorderI8Params = raw.parameters().context(what)?;
                p.weights = wide(builder, p.weights, 1, [p.outputs, p.depth])?;
                replace(builder, index, FullyConnectedBorderI8Wide::CODE, &p);
            }
            _ => {}
        }
    }
    // The weights as they were are of no use any more.
    builder.compact();
    Ok(())
}

fn replace(builder: &mut Builder, index: usize, code: u16, params: &impl Record) {
    let old = &mut builder.operators[index];
    let inputs = std::mem::take(&mut old.inputs);
    *old = BuiltOperator::new(code, inputs, params, old.output);
}

/// Stores the rows of each group widened; the blob is one of int8 in name only, as in the record.
fn wide(
    builder: &mut Builder,
    weights: Blob<i8>,
    groups: u32,
    shape: [u32; 2],
) -> Result<Blob<i8>> {
    let [rows, len] = shape.map(|size| size as usize);
    let all = weights.get(&builder.data, groups as usize * rows * len);
    let all = all.context("weights outside the data section")?;
    let mut bytes = Vec::new();
    for group in all.chunks(rows * len) {
        for pair in group.chunks(2 * len) {
            for step in (0..len).step_by(4) {
                for channel in 0..2 {
                    for element in [0, 2, 1, 3].map(|i| step + i) {
                        let row = pair.chunks(len).nth(channel);
                        let weight = row.and_then(|row| row.get(element)).copied();
                        bytes.extend(i16::from(weight.unwrap_or(0)).to_le_bytes());
                    }
                }
            }
        }
    }
    Ok(Blob::at(builder.store_bytes(bytes)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_paired_and_padded() {
        let mut builder = Builder::default();
        let narrow: Vec<i8> = (1..=15).map(|w| -w).collect();
        let blob = builder.store_i8(narrow);
        let blob = wide(&mut builder, blob, 1, [3, 5]).unwrap();
        let bytes = &builder.data[blob.offset as usize..];
        let halves = bytes.as_chunks::<2>().0;
        let stored: Vec<i16> = halves.iter().map(|h| -i16::from_le_bytes(*h)).collect();
        let expected = [
            [1, 3, 2, 4, 6, 8, 7, 9],
            [5, 0, 0, 0, 10, 0, 0, 0],
            [11, 13, 12, 14, 0, 0, 0, 0],
            [15, 0, 0, 0, 0, 0, 0, 0],
        ];
        assert_eq!(stored, expected.concat());
        assert!(blob.offset.is_multiple_of(4));
    }
}
