//! A checked view of an artifact.

use core::marker::PhantomData;

use crate::artifact::{
    Golden, Header, Operators, Port, RawOperator, Record, Storage, Tensor, Tensors, Words,
};
use crate::error::{LoadError, Rule, Section};
use crate::ops::{All, Check, OperatorSet};

/// A model that has passed every check, borrowed from its bytes.
///
/// `S` is the set of operators that this program links; an artifact that needs another one is
/// refused. The default links all of them. A copy of a `Model` is a few words.
#[derive(Debug)]
pub struct Model<'m, S: OperatorSet = All> {
    header: Header,
    file: &'m [u8],
    operators: PhantomData<S>,
}

impl<S: OperatorSet> Clone for Model<'_, S> {
    fn clone(&self) -> Self {
        *self
    }
}
impl<S: OperatorSet> Copy for Model<'_, S> {}

impl<'m, S: OperatorSet> Model<'m, S> {
    /// Checks all that can be wrong with a model file.
    ///
    /// After it has succeeded, a run's result is a function of its inputs alone: every operator's
    /// shapes and parameters agree, every tensor and weight lies in its section, and nothing is
    /// read before it is written or after it is overwritten.
    ///
    /// # Errors
    ///
    /// [`LoadError`] says which rule is broken, and where. Trailing bytes behind the length that
    /// the header names are not looked at.
    pub fn new(bytes: &'m [u8]) -> Result<Self, LoadError> {
        let header = Header::open(bytes)?;
        if bytes.as_ptr().align_offset(crate::ALIGNMENT) != 0 {
            return Err(LoadError::Misaligned);
        }
        let model = Self::from_checked(header, bytes);
        model.check_tensors()?;
        model.check_interface()?;
        let sound = model.reads_are_sound();
        model.check_operators(sound)?;
        model.check_strips()?;
        if !sound {
            model.check_outputs()?;
        }
        Ok(model)
    }

    /// Takes a file that has passed [`Model::new`] before, on this machine or another: when the program
    /// was built, or before it was sent. It looks at magic, versions and length alone, and so leaves out
    /// of a program all code that checks.
    ///
    /// A file that would not have passed makes a run fail with [`crate::RunError::Internal`], go on for
    /// very long, or give numbers that mean nothing. It cannot harm memory.
    ///
    /// # Errors
    ///
    /// [`LoadError::NotAnArtifact`], [`LoadError::Truncated`], [`LoadError::NewerFormat`],
    /// [`LoadError::OtherNumerics`] or [`LoadError::Misaligned`].
    pub fn trusted(bytes: &'m [u8]) -> Result<Self, LoadError> {
        let header = Header::glance(bytes)?;
        if bytes.as_ptr().align_offset(crate::ALIGNMENT) != 0 {
            return Err(LoadError::Misaligned);
        }
        Ok(Self::from_checked(header, bytes))
    }

    /// What the header says, for [`Model::from_checked`].
    pub(crate) fn header(&self) -> Header {
        self.header
    }

    /// The model of `bytes` that [`Model::new`] has accepted before, with the header found then.
    pub(crate) fn from_checked(header: Header, bytes: &'m [u8]) -> Self {
        Self {
            header,
            file: bytes,
            operators: PhantomData,
        }
    }

    fn section(&self, section: Section) -> &'m [u8] {
        self.header.section(self.file, section).unwrap_or_default()
    }

    fn check_tensors(&self) -> Result<(), LoadError> {
        let tensors = self.tensors();
        if !tensors.is_whole() || tensors.len() > usize::from(u16::MAX) {
            return Err(LoadError::Section(Section::Tensors));
        }
        for index in 0..tensors.len() as u16 {
            let check = || {
                let tensor = tensors.get(index).ok_or(Rule::DataType)?;
                let rank = usize::from(tensor.rank);
                let tail = tensor.dims.get(rank..).ok_or(Rule::Shape)?;
                let mut axes = 0u32;
                tensor.axes().for_each(|axis| axes |= 1 << axis);
                if tail.iter().any(|&dim| dim != 1) || axes != (1 << rank) - 1 {
                    return Err(Rule::Shape);
                }
                tensor.checked_len().ok_or(Rule::Shape)?;
                let most = match tensor.storage {
                    Storage::Arena => tensor.rows(),
                    Storage::Data => 0,
                };
                if u32::from(tensor.held) > most {
                    return Err(Rule::Shape);
                }
                let room = match tensor.storage {
                    Storage::Arena => self.header.arena_bytes as usize,
                    Storage::Data => self.data().len(),
                };
                let aligned = (tensor.offset as usize).is_multiple_of(tensor.dtype.alignment());
                if !aligned || tensor.range().end > room {
                    return Err(Rule::Placement);
                }
                if !tensor.scale.is_finite() || tensor.scale < 0.0 {
                    return Err(Rule::Parameter);
                }
                tensor.name.get(self.strings()).ok_or(Rule::Text)?;
                Ok(())
            };
            check().map_err(|rule| LoadError::Tensor {
                index: u32::from(index),
                rule,
            })?;
        }
        Ok(())
    }

    fn check_interface(&self) -> Result<(), LoadError> {
        let ports = self
            .header
            .input_count
            .checked_add(self.header.output_count);
        let bytes = ports.and_then(|n| (n as usize).checked_mul(Port::WORDS * 4));
        if bytes != Some(self.section(Section::Interface).len()) {
            return Err(LoadError::Section(Section::Interface));
        }
        for index in 0..self.input_count() + self.output_count() {
            let check = || {
                let port = self.port(index).ok_or(Rule::Truncated)?;
                let tensor = self.port_tensor(&port).ok_or(Rule::TensorIndex)?;
                for text in [port.name, port.labels, port.preprocessing] {
                    text.get(self.strings()).ok_or(Rule::Text)?;
                }
                if !port.low.is_finite() || !port.high.is_finite() || port.low > port.high {
                    return Err(Rule::Parameter);
                }
                if index < self.input_count() && tensor.storage != Storage::Arena {
                    return Err(Rule::Placement);
                }
                for earlier in 0..index.min(self.input_count()) {
                    let other = self.port(earlier).and_then(|p| self.port_tensor(&p));
                    if index < self.input_count() && other.is_none_or(|o| o.overlaps(&tensor)) {
                        return Err(Rule::Overwritten);
                    }
                }
                Ok(())
            };
            check().map_err(|rule| LoadError::Interface {
                index: index as u32,
                rule,
            })?;
        }
        let golden = self.section(Section::Golden);
        let with_digests = (Golden::WORDS * 4).checked_add(self.operator_count().saturating_mul(8));
        let whole = golden.is_empty() || Some(golden.len()) == with_digests;
        let provenance = core::str::from_utf8(self.section(Section::Provenance));
        if !whole {
            return Err(LoadError::Section(Section::Golden));
        }
        provenance.map_err(|_| LoadError::Section(Section::Provenance))?;
        Ok(())
    }

    /// `sound`: [`Model::reads_are_sound`], so that no read needs a look of its own.
    fn check_operators(&self, sound: bool) -> Result<(), LoadError> {
        let mut operators = self.operators();
        let mut index = 0u32;
        for operator in &mut operators {
            self.check_operator(index, operator, sound)
                .map_err(|rule| LoadError::Operator { index, rule })?;
            index += 1;
        }
        if !operators.is_empty() || index != self.header.operator_count {
            return Err(LoadError::Section(Section::Operators));
        }
        Ok(())
    }

    fn check_operator(
        &self,
        index: u32,
        operator: RawOperator<'m>,
        sound: bool,
    ) -> Result<(), Rule> {
        let check = Check::new(self.data(), self.tensors(), operator);
        for (o, output) in operator.outputs().enumerate() {
            let output = self.tensors().get(output).ok_or(Rule::TensorIndex)?;
            let mut others = operator.outputs().take(o);
            let clash = others.any(|t| {
                let other = self.tensors().get(t);
                other.is_some_and(|other| other.overlaps(&output))
            });
            if output.storage != Storage::Arena || clash {
                return Err(Rule::WritesInput);
            }
        }
        if !sound {
            for input in operator.inputs() {
                self.check_written(input, index)?;
            }
        }
        // What has no elements is never computed, so that no operator has to think of it.
        let empty = |t| {
            self.tensors()
                .get(t)
                .is_some_and(|tensor| tensor.is_empty())
        };
        if operator.outputs().chain(operator.inputs()).any(empty) {
            return Err(Rule::ShapeMismatch);
        }
        S::check(&check)?;
        if operator.header.strips != 0 {
            // Where such outputs may lie is another question, for all of the group together.
            return Ok(());
        }
        self.check_overlaps(&check, operator)
    }

    /// Checks that each output shares bytes with an input only where the operator has read them
    /// for the last time before it writes there.
    fn check_overlaps(&self, check: &Check<'m>, operator: RawOperator<'m>) -> Result<(), Rule> {
        for output in operator.outputs() {
            let output = self.tensors().get(output).ok_or(Rule::TensorIndex)?;
            for (i, input) in operator.inputs().enumerate() {
                let input = self.tensors().get(input).ok_or(Rule::TensorIndex)?;
                let allowed = || {
                    S::overlap(check, i)
                        .is_some_and(|overlap| overlap.allows(output.offset, input.offset))
                };
                if input.overlaps(&output) && !allowed() {
                    return Err(Rule::WritesInput);
                }
            }
        }
        Ok(())
    }

    /// Checks that tensor `index` holds its own value when operator `before` starts: that it is
    /// constant, an input, or an earlier operator's output, and that nothing has been written
    /// over it since. It walks over all operators before, and is asked only where
    /// [`Model::reads_are_sound`] has found that some read is wrong, to say which.
    fn check_written(&self, index: u16, before: u32) -> Result<(), Rule> {
        let tensor = self.tensors().get(index).ok_or(Rule::TensorIndex)?;
        if tensor.storage == Storage::Data {
            return Ok(());
        }
        let is_input = (0..self.input_count())
            .filter_map(|i| self.port(i))
            .any(|port| port.tensor == u32::from(index));
        let mut state = if is_input {
            Ok(())
        } else {
            Err(Rule::ReadBeforeWrite)
        };
        for operator in self.operators().take(before as usize) {
            for output in operator.outputs() {
                if output == index {
                    state = Ok(());
                } else if self
                    .tensors()
                    .get(output)
                    .is_none_or(|o| o.overlaps(&tensor))
                {
                    state = state.and(Err(Rule::Overwritten));
                }
            }
        }
        state
    }

    fn check_outputs(&self) -> Result<(), LoadError> {
        for i in 0..self.output_count() {
            let index = (self.input_count() + i) as u32;
            let port = self.output_port(i).ok_or(Rule::Truncated);
            port.and_then(|port| {
                let tensor = u16::try_from(port.tensor).map_err(|_| Rule::TensorIndex)?;
                self.check_written(tensor, self.header.operator_count)
            })
            .map_err(|rule| LoadError::Interface { index, rule })?;
        }
        Ok(())
    }

    /// Bytes of activation memory that a [`crate::Session`] needs: what the file says, and on
    /// microcontrollers what the operators of the set work in.
    pub fn arena_bytes(&self) -> usize {
        crate::include::session_bytes(self.header.arena_bytes as usize, S::CODES)
    }

    /// Length of the whole artifact in bytes.
    pub fn file_bytes(&self) -> usize {
        self.header.file_bytes as usize
    }

    /// Number of inputs.
    pub fn input_count(&self) -> usize {
        self.header.input_count as usize
    }

    /// Number of outputs.
    pub fn output_count(&self) -> usize {
        self.header.output_count as usize
    }

    /// Number of operators.
    pub fn operator_count(&self) -> usize {
        self.header.operator_count as usize
    }

    pub(crate) fn port(&self, index: usize) -> Option<Port> {
        let at = index.checked_mul(Port::WORDS * 4)?;
        Port::read(&mut Words::new(self.section(Section::Interface).get(at..)?))
    }

    pub(crate) fn port_tensor(&self, port: &Port) -> Option<Tensor> {
        self.tensors().get(u16::try_from(port.tensor).ok()?)
    }

    /// The description of input `i`.
    pub fn input_port(&self, i: usize) -> Option<Port> {
        (i < self.input_count()).then(|| self.port(i))?
    }

    /// The description of output `i`.
    pub fn output_port(&self, i: usize) -> Option<Port> {
        (i < self.output_count()).then(|| self.port(self.input_count().checked_add(i)?))?
    }

    /// The tensor of input `i`.
    pub fn input(&self, i: usize) -> Option<Tensor> {
        self.port_tensor(&self.input_port(i)?)
    }

    /// The tensor of output `i`.
    pub fn output(&self, i: usize) -> Option<Tensor> {
        self.port_tensor(&self.output_port(i)?)
    }

    /// The tensor table.
    pub fn tensors(&self) -> Tensors<'m> {
        Tensors::new(self.section(Section::Tensors))
    }

    /// The operators in execution order.
    pub fn operators(&self) -> Operators<'m> {
        Operators::new(self.section(Section::Operators))
    }

    /// Weights, biases, multipliers and tables.
    pub fn data(&self) -> &'m [u8] {
        self.section(Section::Data)
    }

    /// The section that [`crate::artifact::Text`] points into.
    pub fn strings(&self) -> &'m [u8] {
        self.section(Section::Strings)
    }

    /// The golden section: empty, or a [`Golden`] and its digests.
    pub fn golden(&self) -> &'m [u8] {
        self.section(Section::Golden)
    }

    /// Where the model came from, as JSON; empty when stripped.
    pub fn provenance(&self) -> &'m str {
        core::str::from_utf8(self.section(Section::Provenance)).unwrap_or_default()
    }

    /// A text of this model; empty when it has none.
    pub fn text(&self, text: crate::artifact::Text) -> &'m str {
        text.get(self.strings()).unwrap_or_default()
    }

    /// Multiply-accumulates of one operator, counted as its formula says (padding included).
    pub fn macs(&self, operator: RawOperator<'m>) -> u64 {
        S::macs(&Check::new(self.data(), self.tensors(), operator))
    }

    /// Bytes of one operator's weights proper: without biases, multipliers and tables.
    pub fn weight_bytes(&self, operator: RawOperator<'m>) -> u64 {
        S::weight_bytes(&Check::new(self.data(), self.tensors(), operator))
    }
}
