//! One operator with its tensors, its parameters and the output that ONNX defines.

use core::fmt::Debug;

use niwaki::artifact::{DataType, RawOperator, Storage};
use niwaki::ops::{Check, Operator, Overlap};
use niwaki::{All, LoadError, Model, OperatorSet as _, Rule, Session};

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
            u64::from(if value.is_nan() { f32::NAN } else { value }.to_bits())
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
    /// expected one, and nothing else has changed. Once with all tensors apart, and then with the
    /// output over each input that the operator says it can lie over.
    ///
    /// # Panics
    ///
    /// When that is not so.
    pub fn check(&self, data: Data, random: &mut Random) {
        let artifact = Artifact::of(self, data, random);
        self.check_placed(&artifact);
        for (i, overlap) in self.overlaps(&artifact) {
            for upwards in [true, false] {
                let slack = random.pick(&[0, 0, 1, 2, 7, 40]);
                self.check_overlapping(artifact.clone(), i, overlap, upwards, slack);
            }
        }
    }

    /// Whether the output may lie over an input.
    pub fn can_overlap(&self, data: Data, random: &mut Random) -> bool {
        !self.overlaps(&Artifact::of(self, data, random)).is_empty()
    }

    /// The inputs in the arena that the output may lie over, by their place among all inputs.
    fn overlaps(&self, artifact: &Artifact) -> Vec<(usize, Overlap)> {
        let file = Aligned::copy_of(&artifact.file());
        let model: Model<'_> = Model::new(file.bytes()).unwrap();
        let operator = model.operators().next().unwrap();
        let check = Check::new(model.data(), model.tensors(), operator);
        let inputs = self.inputs.iter().enumerate();
        inputs
            .filter(|(_, operand)| operand.storage == Storage::Arena)
            .filter_map(|(i, _)| Some((i, All::overlap(&check, i)?)))
            .collect()
    }

    /// Places the output over input `i`, as near as it may lie and `slack` elements more, and
    /// checks the run; one element nearer, the file has to be refused.
    fn check_overlapping(
        &self,
        mut artifact: Artifact,
        i: usize,
        overlap: Overlap,
        upwards: bool,
        slack: u32,
    ) {
        let tensors = artifact.operator_tensors();
        let (output, input) = (tensors[0], tensors[1 + i]);
        let align = self.output.dtype.bytes().max(self.inputs[i].dtype.bytes()) as u32;
        let distance = if upwards {
            overlap.before
        } else {
            overlap.behind
        };
        let least = distance.next_multiple_of(align);
        let (moving, still) = if upwards {
            (input, output)
        } else {
            (output, input)
        };
        let mut place = |distance: u32| {
            artifact.tensors[still].offset = 4;
            artifact.tensors[moving].offset = 4 + distance;
            let ends = [output, input].map(|t| artifact.tensors[t].range().end);
            let mut end = ends[0].max(ends[1]).next_multiple_of(4);
            for (operand, &tensor) in self.inputs.iter().zip(&tensors[1..]) {
                if operand.storage == Storage::Arena && tensor != input {
                    artifact.tensors[tensor].offset = end as u32;
                    end = artifact.tensors[tensor].range().end.next_multiple_of(4);
                }
            }
            artifact.arena_bytes = end as u32;
            artifact.clone()
        };
        self.check_placed(&place(least + slack * align));
        if distance == 0 {
            return;
        }
        let nearer = place((distance - 1) / align * align);
        // At one place it may lie in the other direction.
        let [y, x] = [output, input].map(|t| nearer.tensors[t].offset);
        if overlap.allows(y, x) {
            return;
        }
        let file = Aligned::copy_of(&nearer.file());
        let loaded: Result<Model<'_>, _> = Model::new(file.bytes());
        let (index, rule) = (0, Rule::WritesInput);
        assert_eq!(
            loaded.err(),
            Some(LoadError::Operator { index, rule }),
            "{}",
            self.note
        );
    }

    fn check_placed(&self, artifact: &Artifact) {
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
