//! Operator records: a fixed head, the tensors, then the parameters of that kind of operator.

use super::{Record, Words};

/// The first two words of an operator record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OperatorHeader {
    /// Kind of operator, see [`crate::ops`].
    pub code: u16,
    /// Number of outputs.
    pub outputs: u8,
    /// Number of inputs.
    pub inputs: u8,
    /// Number of parameter words.
    pub parameter_words: u32,
}

impl Record for OperatorHeader {
    const WORDS: usize = 2;
    fn read(words: &mut Words<'_>) -> Option<Self> {
        let [low, high, outputs, inputs] = words.next_word()?.to_le_bytes();
        Some(Self {
            code: u16::from_le_bytes([low, high]),
            outputs,
            inputs,
            parameter_words: words.next_word()?,
        })
    }
    fn write(&self, sink: &mut dyn FnMut(u32)) {
        let [low, high] = self.code.to_le_bytes();
        sink(u32::from_le_bytes([low, high, self.outputs, self.inputs]));
        sink(self.parameter_words);
    }
}

/// A view of one operator record.
#[derive(Clone, Copy, Debug)]
pub struct RawOperator<'m> {
    /// The fixed head.
    pub header: OperatorHeader,
    /// Indices of the output tensors, then of the input tensors, two bytes each.
    tensors: &'m [u8],
    /// Parameter words.
    parameters: &'m [u8],
}

impl<'m> RawOperator<'m> {
    fn tensor(&self, index: usize) -> Option<u16> {
        let at = index * 2;
        let two = self.tensors.get(at..)?.first_chunk::<2>()?;
        Some(u16::from_le_bytes(*two))
    }

    /// Tensor index of output `i`.
    pub fn output(&self, i: usize) -> Option<u16> {
        (i < usize::from(self.header.outputs)).then(|| self.tensor(i))?
    }

    /// Tensor index of input `i`.
    pub fn input(&self, i: usize) -> Option<u16> {
        (i < usize::from(self.header.inputs))
            .then(|| self.tensor(usize::from(self.header.outputs) + i))?
    }

    /// Tensor indices of all outputs.
    pub fn outputs(&self) -> impl Iterator<Item = u16> + '_ {
        (0..usize::from(self.header.outputs)).filter_map(|i| self.output(i))
    }

    /// Tensor indices of all inputs.
    pub fn inputs(&self) -> impl Iterator<Item = u16> + '_ {
        (0..usize::from(self.header.inputs)).filter_map(|i| self.input(i))
    }

    /// The parameters as a record of kind `P`; `None` when there are more or fewer words.
    pub fn parameters<P: Record>(&self) -> Option<P> {
        (self.parameters.len() == P::WORDS * 4)
            .then(|| P::read(&mut Words::new(self.parameters)))?
    }

    /// Writes a whole operator record.
    pub fn write<P: Record>(
        code: u16,
        outputs: &[u16],
        inputs: &[u16],
        parameters: &P,
        sink: &mut dyn FnMut(u32),
    ) {
        OperatorHeader {
            code,
            outputs: outputs.len() as u8,
            inputs: inputs.len() as u8,
            parameter_words: P::WORDS as u32,
        }
        .write(sink);
        let mut tensors = outputs.iter().chain(inputs);
        while let Some(first) = tensors.next() {
            let second = tensors.next().copied().unwrap_or(0);
            sink(u32::from(*first) | u32::from(second) << 16);
        }
        parameters.write(sink);
    }
}

/// The operators in execution order. Iterates over whole records; a cut one ends the iteration.
#[derive(Clone, Copy, Debug)]
pub struct Operators<'m>(&'m [u8]);

impl<'m> Operators<'m> {
    /// A view of the section's bytes.
    pub fn new(section: &'m [u8]) -> Self {
        Self(section)
    }

    /// True when every byte of the section has been iterated over.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl<'m> Iterator for Operators<'m> {
    type Item = RawOperator<'m>;

    fn next(&mut self) -> Option<Self::Item> {
        let header = OperatorHeader::read(&mut Words::new(self.0))?;
        let rest = self.0.get(OperatorHeader::WORDS * 4..)?;
        let tensor_bytes =
            (usize::from(header.outputs) + usize::from(header.inputs)).div_ceil(2) * 4;
        let (tensors, rest) = rest.split_at_checked(tensor_bytes)?;
        let parameter_bytes = (header.parameter_words as usize).checked_mul(4)?;
        let (parameters, rest) = rest.split_at_checked(parameter_bytes)?;
        self.0 = rest;
        Some(RawOperator {
            header,
            tensors,
            parameters,
        })
    }
}
