//! Writes artifacts with the runtime's own writers, and lets a test break each part of one.

use niwaki::MAX_RANK;
use niwaki::artifact::{Blob, DataType, Header, Port, Record, Storage, Tensor, Text};

use super::{Case, Operand, Random};

/// A data section in the making.
#[derive(Clone, Default)]
pub struct Data {
    pub bytes: Vec<u8>,
}

impl Data {
    /// Appends values at any place that fits their type: kernels may count on no more than that.
    pub fn put<T: bytemuck::NoUninit + bytemuck::AnyBitPattern>(
        &mut self,
        random: &mut Random,
        values: &[T],
    ) -> Blob<T> {
        Blob::at(self.put_bytes(random, size_of::<T>(), bytemuck::cast_slice(values)))
    }

    fn put_bytes(&mut self, random: &mut Random, align: usize, bytes: &[u8]) -> u32 {
        let gap = random.below(8);
        let at = (self.bytes.len() + gap).next_multiple_of(align);
        self.bytes.resize(at, 0x55);
        self.bytes.extend_from_slice(bytes);
        at as u32
    }
}

/// The parts of an artifact, each open to be broken.
#[derive(Clone, Default)]
pub struct Artifact {
    pub arena_bytes: u32,
    pub tensors: Vec<Tensor>,
    /// The words of each operator record.
    pub operators: Vec<Vec<u32>>,
    pub data: Data,
    pub inputs: Vec<Port>,
    pub outputs: Vec<Port>,
    pub golden: Vec<u8>,
    pub strings: Vec<u8>,
    pub provenance: Vec<u8>,
}

impl Artifact {
    /// An artifact of this one operator.
    pub fn of(case: &Case, data: Data, random: &mut Random) -> Self {
        let mut artifact = Self {
            data,
            ..Self::default()
        };
        artifact.push_case(case, random);
        artifact
    }

    /// Appends an operator with tensors of its own; they are inputs and outputs of the model.
    /// What its parameters point to has to be in the data section already.
    pub fn push_case(&mut self, case: &Case, random: &mut Random) {
        // Where the output lies among the inputs is the planner's choice.
        let operands: Vec<&Operand> = case.inputs.iter().chain([&case.output]).collect();
        let mut tensors = vec![0; operands.len()];
        for i in random.permutation(operands.len()) {
            tensors[i] = self.push_operand(operands[i], random);
        }
        let (inputs, output) = tensors.split_at(case.inputs.len());
        for (&tensor, operand) in inputs.iter().zip(&case.inputs) {
            if operand.storage == Storage::Arena {
                self.inputs.push(port(tensor));
            }
        }
        self.outputs.push(port(output[0]));
        self.operators.push(case.record(output, inputs));
    }

    fn push_operand(&mut self, operand: &Operand, random: &mut Random) -> u16 {
        let offset = match operand.storage {
            Storage::Data => self
                .data
                .put_bytes(random, operand.dtype.alignment(), &operand.bytes),
            Storage::Arena => {
                let gap = random.below(20) as u32;
                let at =
                    (self.arena_bytes + gap).next_multiple_of(operand.dtype.alignment() as u32);
                self.arena_bytes = at + operand.bytes.len() as u32;
                at
            }
        };
        self.push_tensor(tensor(
            operand.dtype,
            operand.storage,
            &operand.dims,
            offset,
        ))
    }

    /// The tensors of the first operator: its output, then its inputs.
    pub fn operator_tensors(&self) -> Vec<usize> {
        let record = niwaki::as_bytes(&self.operators[0]);
        let operator = niwaki::artifact::Operators::new(record).next().unwrap();
        let tensors = operator.outputs().chain(operator.inputs());
        tensors.map(usize::from).collect()
    }

    /// Appends a tensor at the arena's end, which moves.
    pub fn push_activation(&mut self, dtype: DataType, dims: &[usize]) -> u16 {
        let tensor = tensor(dtype, Storage::Arena, dims, self.arena_bytes);
        self.arena_bytes = (tensor.range().end as u32).next_multiple_of(4);
        self.push_tensor(tensor)
    }

    fn push_tensor(&mut self, tensor: Tensor) -> u16 {
        self.tensors.push(tensor);
        self.tensors.len() as u16 - 1
    }

    /// The whole file.
    pub fn file(&self) -> Vec<u8> {
        self.file_with(|_| {})
    }

    /// The whole file with a header that `edit` has changed; the SHA-256 is right all the same.
    pub fn file_with(&self, edit: impl FnOnce(&mut Header)) -> Vec<u8> {
        let ports: Vec<Port> = self.inputs.iter().chain(&self.outputs).copied().collect();
        let sections = [
            words(&self.tensors),
            words(&self.operators.concat()),
            self.data.bytes.clone(),
            words(&ports),
            self.golden.clone(),
            self.strings.clone(),
            self.provenance.clone(),
        ];
        let mut header = Header {
            arena_bytes: self.arena_bytes,
            operator_count: self.operators.len() as u32,
            input_count: self.inputs.len() as u32,
            output_count: self.outputs.len() as u32,
            ..Header::new()
        };
        let mut file = vec![0; Header::BYTES.next_multiple_of(16)];
        for (place, section) in header.sections.iter_mut().zip(&sections) {
            *place = [file.len() as u32, section.len() as u32];
            file.extend_from_slice(section);
            file.resize(file.len().next_multiple_of(16), 0);
        }
        header.file_bytes = file.len() as u32;
        edit(&mut header);
        header.seal(&mut file);
        file
    }
}

/// An input or output of the model with nothing to say about it.
pub fn port(tensor: u16) -> Port {
    Port {
        tensor: u32::from(tensor),
        low: -1.0,
        high: 1.0,
        ..Port::default()
    }
}

fn tensor(dtype: DataType, storage: Storage, shape: &[usize], offset: u32) -> Tensor {
    let mut dims = [1; MAX_RANK];
    for (dim, &size) in dims.iter_mut().zip(shape) {
        *dim = size as u32;
    }
    Tensor {
        dtype,
        storage,
        rank: shape.len() as u8,
        held: 0,
        dims,
        // Every axis at its own place: operators look at their parameters, not at this.
        layout: 0x54_3210,
        offset,
        scale: 0.0,
        zero_point: 0,
        name: Text::EMPTY,
    }
}

fn words<R: Record>(records: &[R]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for record in records {
        record.write(&mut |word| bytes.extend(word.to_le_bytes()));
    }
    bytes
}

/// Bytes at an address that fits the runtime.
#[derive(Clone)]
pub struct Aligned {
    words: Vec<u32>,
    len: usize,
}

impl Aligned {
    pub fn copy_of(bytes: &[u8]) -> Self {
        let mut aligned = Self::filled(bytes.len(), 0);
        aligned.bytes_mut().copy_from_slice(bytes);
        aligned
    }

    pub fn filled(len: usize, byte: u8) -> Self {
        Self {
            words: vec![u32::from_ne_bytes([byte; 4]); len.div_ceil(4)],
            len,
        }
    }

    pub fn bytes(&self) -> &[u8] {
        &niwaki::as_bytes(&self.words)[..self.len]
    }

    pub fn bytes_mut(&mut self) -> &mut [u8] {
        &mut niwaki::as_bytes_mut(&mut self.words)[..self.len]
    }
}
