//! Operator records: a fixed head, the tensors, then the parameters of that kind of operator.

use super::{Record, Words, record};

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
    pub parameter_words: u16,
    /// In how many strips the operator is run, together with its neighbours; 0 when it is run at
    /// once. A [`Strip`] follows where it is not 0.
    pub strips: u16,
}

impl Record for OperatorHeader {
    const WORDS: usize = 2;
    fn read(words: &mut Words<'_>) -> Option<Self> {
        let [low, high, outputs, inputs] = words.next_word()?.to_le_bytes();
        let sizes = words.next_word()?;
        Some(Self {
            code: u16::from_le_bytes([low, high]),
            outputs,
            inputs,
            parameter_words: sizes as u16,
            strips: (sizes >> 16) as u16,
        })
    }
    fn write(&self, sink: &mut dyn FnMut(u32)) {
        let [low, high] = self.code.to_le_bytes();
        sink(u32::from_le_bytes([low, high, self.outputs, self.inputs]));
        sink(u32::from(self.parameter_words) | u32::from(self.strips) << 16);
    }
}

record! {
    /// How an operator is run in strips: which rows of its output are there after how many strips
    /// of its group. A row is one step along the output's first dimension that is longer than 1.
    pub struct Strip {
        /// How many strips pass, times `step`, before the first rows.
        pub lag: u32,
        /// Rows in the low half that come with every so many strips, the high half:
        /// after `s` strips there are (`s` * low - `lag`) / high rows, rounded down, at least none
        /// and at most all.
        pub pace: u32,
        /// In the low half, rows that a strip leaves in memory for the next ones; in the high half,
        /// how many operators of the same group follow.
        pub keep_and_rest: u32,
    }
}

impl Strip {
    /// The rows of `rows` that are there after so many strips.
    pub fn done(&self, strips: u32, rows: u32) -> u32 {
        let [step, every] = [self.pace & 0xffff, self.pace >> 16];
        let ahead = strips.saturating_mul(step).saturating_sub(self.lag);
        ahead.checked_div(every).unwrap_or(0).min(rows)
    }

    /// Rows that a strip leaves in memory for the next ones.
    pub fn keep(&self) -> u32 {
        self.keep_and_rest & 0xffff
    }

    /// How many operators of the same group follow.
    pub fn rest(&self) -> u32 {
        self.keep_and_rest >> 16
    }
}

/// A view of one operator record.
#[derive(Clone, Copy, Debug)]
pub struct RawOperator<'m> {
    /// The fixed head.
    pub header: OperatorHeader,
    /// How it is run in strips; of no meaning when it is run at once.
    pub strip: Strip,
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
            parameter_words: P::WORDS as u16,
            strips: 0,
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
        let mut rest = self.0.get(OperatorHeader::WORDS * 4..)?;
        let mut strip = Strip::default();
        if header.strips != 0 {
            strip = Strip::read(&mut Words::new(rest))?;
            rest = rest.get(Strip::WORDS * 4..)?;
        }
        let tensor_bytes =
            (usize::from(header.outputs) + usize::from(header.inputs)).div_ceil(2) * 4;
        let (tensors, rest) = rest.split_at_checked(tensor_bytes)?;
        let parameter_bytes = usize::from(header.parameter_words) * 4;
        let (parameters, rest) = rest.split_at_checked(parameter_bytes)?;
        self.0 = rest;
        Some(RawOperator {
            header,
            strip,
            tensors,
            parameters,
        })
    }
}
