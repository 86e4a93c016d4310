//! One operator with its tensors, its parameters and the output that ONNX defines.

use core::fmt::Debug;

use niwaki::artifact::{DataType, RawOperator, Storage};
use niwaki::ops::Operator;
use niwaki::{Model, Session};

use super::{Aligned, Artifact, Data, Nd, Random};

/// A tensor with its elements in memory order.
#[derive(Clone)]
pub struct Operand {
    pub dtype: DataType,
    pub storage: Storage,
    /// In memory order.
    pub dims: Vec<usize>,
    pub bytes: Vec<u8>,
}

impl Operand {
    /// `axes` is the order of the axes in memory, the one that varies fastest last.
    pub fn new<T: niwaki::Element>(tensor: &Nd<T>, axes: &[usize]) -> Self {
        let stored = tensor.permuted(axes);
        Self {
            dtype: T::DTYPE,
            storage: Storage::Arena,
            dims: stored.dims,
            bytes: bytemuck::cast_slice(&stored.values).to_vec(),
        }
    }

    /// With the axes in ONNX's order.
    pub fn in_order<T: niwaki::Element>(tensor: &Nd<T>) -> Self {
        let axes: Vec<usize> = (0..tensor.dims.len()).collect();
        Self::new(tensor, &axes)
    }

    /// `[N, C, H, W]` with the channels last.
    pub fn channels_last<T: niwaki::Element>(tensor: &Nd<T>) -> Self {
        Self::new(tensor, &[0, 2, 3, 1])
    }

    /// Element `i` so that two elements are equal when their bits are, all NaN being one value:
    /// machines differ in the NaN that they make.
    fn element(&self, bytes: &[u8], i: usize) -> u64 {
        let size = self.dtype.bytes();
        let element = &bytes[i * size..(i + 1) * size];
        if self.dtype == DataType::F32 {
            let value: f32 = bytemuck::pod_read_unaligned(element);
            let value = if value.is_nan() { f32::NAN } else { value };
            value.to_bits().into()
        } else {
            element
                .iter()
                .rev()
                .fold(0, |word, &byte| word << 8 | u64::from(byte))
        }
    }
}

/// Writes an operator record for the indices of its outputs and inputs.
type WriteRecord = Box<dyn Fn(&[u16], &[u16]) -> Vec<u32>>;

/// See the module.
pub struct Case {
    pub code: u16,
    pub inputs: Vec<Operand>,
    /// With the elements that the operator has to write.
    pub output: Operand,
    /// What a person needs to see when the case fails.
    note: String,
    write: WriteRecord,
}

impl Case {
    /// A case of operator `O`. Parameters that point to constants have them in the data section
    /// that goes with the case.
    pub fn new<O>(params: O::Params, inputs: Vec<Operand>, output: Operand) -> Self
    where
        O: Operator,
        O::Params: Debug + 'static,
    {
        Self {
            code: O::CODE,
            note: format!("{} {params:?}", O::NAME),
            inputs,
            output,
            write: Box::new(move |outputs, inputs| {
                let mut words = Vec::new();
                RawOperator::write(O::CODE, outputs, inputs, &params, &mut |word| {
                    words.push(word);
                });
                words
            }),
        }
    }

    /// The words of the operator record.
    pub fn record(&self, outputs: &[u16], inputs: &[u16]) -> Vec<u32> {
        (self.write)(outputs, inputs)
    }

    /// Runs the operator the public way, and compares every bit of the arena: the output is the
    /// expected one, and nothing else has changed.
    ///
    /// # Panics
    ///
    /// When that is not so.
    pub fn check(&self, data: Data, random: &mut Random) {
        let artifact = Artifact::of(self, data, random);
        let file = Aligned::copy_of(&artifact.file());
        let model: Model<'_> =
            Model::new(file.bytes()).unwrap_or_else(|error| panic!("{error}\n{}", self.note));
        // Behind the arena there is memory that belongs to others.
        let mut arena = Aligned::filled(model.arena_bytes() + 32, 0xa5);
        let written = self.inputs.iter().filter(|o| o.storage == Storage::Arena);
        for (i, operand) in written.enumerate() {
            let place = model.input(i).unwrap().range();
            arena.bytes_mut()[place].copy_from_slice(&operand.bytes);
        }
        let before = arena.clone();
        Session::new(&model, arena.bytes_mut())
            .and_then(|mut session| session.run())
            .unwrap_or_else(|error| panic!("{error}\n{}", self.note));

        let output = model.output(0).unwrap().range();
        let (found, expected) = (&arena.bytes()[output.clone()], &self.output.bytes);
        for i in 0..expected.len() / self.output.dtype.bytes() {
            let [found, expected] = [found, expected].map(|bytes| self.output.element(bytes, i));
            assert!(
                found == expected,
                "element {i} of {:?}, in memory order, is {found:#x}, not {expected:#x}\n{}",
                self.output.dims,
                self.note
            );
        }
        for (i, (after, before)) in arena.bytes().iter().zip(before.bytes()).enumerate() {
            let inside = output.contains(&i);
            assert!(
                inside || after == before,
                "wrote to arena byte {i}\n{}",
                self.note
            );
        }
    }
}
