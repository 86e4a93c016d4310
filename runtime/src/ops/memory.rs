//! What an operator sees of the model at load ([`Check`]) and during a run ([`Memory`]).

use bytemuck::{AnyBitPattern, NoUninit};

use crate::artifact::{Blob, DataType, RawOperator, Record, Storage, Tensor, Tensors};
use crate::error::{Fault, Rule};

/// One operator at load: its record, its tensors, and the weights it names.
#[derive(Clone, Copy, Debug)]
pub struct Check<'m> {
    data: &'m [u8],
    tensors: Tensors<'m>,
    operator: RawOperator<'m>,
}

impl<'m> Check<'m> {
    /// Everything about one operator.
    pub fn new(data: &'m [u8], tensors: Tensors<'m>, operator: RawOperator<'m>) -> Self {
        Self {
            data,
            tensors,
            operator,
        }
    }

    /// The operator's code.
    pub fn code(&self) -> u16 {
        self.operator.header.code
    }

    /// The operator's parameters.
    ///
    /// # Errors
    ///
    /// [`Rule::Count`] when there are more or fewer words than this kind of operator has.
    pub fn parameters<P: Record>(&self) -> Result<P, Rule> {
        self.operator.parameters().ok_or(Rule::Count)
    }

    /// Checks that there is one output, and as many inputs as `inputs`.
    ///
    /// # Errors
    ///
    /// [`Rule::Count`].
    pub fn arity(&self, inputs: usize) -> Result<(), Rule> {
        let header = self.operator.header;
        let fits = header.outputs == 1 && usize::from(header.inputs) == inputs;
        fits.then_some(()).ok_or(Rule::Count)
    }

    /// Number of inputs.
    pub fn input_count(&self) -> usize {
        usize::from(self.operator.header.inputs)
    }

    /// The tensor of input `i`.
    ///
    /// # Errors
    ///
    /// [`Rule::Count`] or [`Rule::TensorIndex`].
    pub fn input(&self, i: usize) -> Result<Tensor, Rule> {
        let index = self.operator.input(i).ok_or(Rule::Count)?;
        self.tensors.get(index).ok_or(Rule::TensorIndex)
    }

    /// The tensor of output 0.
    ///
    /// # Errors
    ///
    /// [`Rule::Count`] or [`Rule::TensorIndex`].
    pub fn output(&self) -> Result<Tensor, Rule> {
        let index = self.operator.output(0).ok_or(Rule::Count)?;
        self.tensors.get(index).ok_or(Rule::TensorIndex)
    }

    /// Checks that input `i` has that type and that many elements.
    ///
    /// # Errors
    ///
    /// [`Rule::DataType`] or [`Rule::ShapeMismatch`].
    pub fn expect_input(&self, i: usize, dtype: DataType, len: u64) -> Result<Tensor, Rule> {
        expect(self.input(i)?, dtype, len)
    }

    /// Checks that the output has that type and that many elements.
    ///
    /// # Errors
    ///
    /// [`Rule::DataType`] or [`Rule::ShapeMismatch`].
    pub fn expect_output(&self, dtype: DataType, len: u64) -> Result<Tensor, Rule> {
        expect(self.output()?, dtype, len)
    }

    /// The `len` constants that start at `blob`.
    ///
    /// # Errors
    ///
    /// [`Rule::Data`] when they are not all inside the data section, or misaligned.
    pub fn constants<T: AnyBitPattern>(&self, blob: Blob<T>, len: u64) -> Result<&'m [T], Rule> {
        let len = usize::try_from(len).map_err(|_| Rule::Data)?;
        blob.get(self.data, len).ok_or(Rule::Data)
    }

    /// Rescale multipliers: constants that have to be finite and not negative.
    ///
    /// # Errors
    ///
    /// [`Rule::Data`] or [`Rule::Parameter`].
    pub fn multipliers(&self, blob: Blob<f32>, len: u64) -> Result<(), Rule> {
        let values = self.constants(blob, len)?;
        let good = values.iter().all(|m| m.is_finite() && *m >= 0.0);
        good.then_some(()).ok_or(Rule::Parameter)
    }

    /// Checks a scale: finite and greater than 0.
    ///
    /// # Errors
    ///
    /// [`Rule::Parameter`].
    pub fn scale(&self, scale: f32) -> Result<(), Rule> {
        let good = scale.is_finite() && scale > 0.0;
        good.then_some(()).ok_or(Rule::Parameter)
    }

    /// Checks an int8 zero point.
    ///
    /// # Errors
    ///
    /// [`Rule::Parameter`].
    pub fn zero_point(&self, zero_point: i32) -> Result<(), Rule> {
        let good = (-128..=127).contains(&zero_point);
        good.then_some(()).ok_or(Rule::Parameter)
    }
}

fn expect(tensor: Tensor, dtype: DataType, len: u64) -> Result<Tensor, Rule> {
    if tensor.dtype != dtype {
        return Err(Rule::DataType);
    }
    let fits = tensor.checked_len().map(|found| found as u64) == Some(len);
    fits.then_some(tensor).ok_or(Rule::ShapeMismatch)
}

/// One operator during a run: its record, the constants, and the arena.
#[derive(Debug)]
pub struct Memory<'m, 'a> {
    data: &'m [u8],
    tensors: Tensors<'m>,
    operator: RawOperator<'m>,
    arena: &'a mut [u8],
}

impl<'m, 'a> Memory<'m, 'a> {
    /// Everything that an operator may touch.
    pub fn new(
        data: &'m [u8],
        tensors: Tensors<'m>,
        operator: RawOperator<'m>,
        arena: &'a mut [u8],
    ) -> Self {
        Self {
            data,
            tensors,
            operator,
            arena,
        }
    }

    /// The operator's code.
    pub fn code(&self) -> u16 {
        self.operator.header.code
    }

    /// The operator's parameters.
    ///
    /// # Errors
    ///
    /// A [`Fault`] when the record is not of this kind, which the check excludes.
    pub fn parameters<P: Record>(&self) -> Result<P, Fault> {
        self.operator.parameters().ok_or(Fault)
    }

    /// Number of inputs.
    pub fn input_count(&self) -> usize {
        usize::from(self.operator.header.inputs)
    }

    /// The `len` constants that start at `blob`.
    ///
    /// # Errors
    ///
    /// A [`Fault`] when they are not there, which the check excludes.
    pub fn constants<T: AnyBitPattern>(&self, blob: Blob<T>, len: u32) -> Result<&'m [T], Fault> {
        blob.get(self.data, len as usize).ok_or(Fault)
    }

    /// The record of input `i`.
    ///
    /// # Errors
    ///
    /// A [`Fault`] when there is no such input, which the check excludes.
    pub fn input_tensor(&self, i: usize) -> Result<Tensor, Fault> {
        let index = self.operator.input(i).ok_or(Fault)?;
        self.tensors.get(index).ok_or(Fault)
    }

    /// Input `i` and the output, as slices of elements.
    ///
    /// # Errors
    ///
    /// A [`Fault`] when they overlap or are not there, which the check excludes.
    pub fn unary<A: AnyBitPattern, O: AnyBitPattern + NoUninit>(
        &mut self,
        i: usize,
    ) -> Result<(&[A], &mut [O]), Fault> {
        let input = self.input_tensor(i)?;
        let (sources, output) = self.split_at_output()?;
        Ok((sources.elements(&input)?, output))
    }

    /// Inputs 0 and 1 and the output, as slices of elements. The inputs may be the same.
    ///
    /// # Errors
    ///
    /// A [`Fault`] when they overlap the output or are not there, which the check excludes.
    #[allow(
        clippy::type_complexity,
        reason = "three slices are no type of their own"
    )]
    pub fn binary<A: AnyBitPattern, O: AnyBitPattern + NoUninit>(
        &mut self,
    ) -> Result<(&[A], &[A], &mut [O]), Fault> {
        let inputs = [self.input_tensor(0)?, self.input_tensor(1)?];
        let (sources, output) = self.split_at_output()?;
        let [a, b] = &inputs;
        Ok((sources.elements(a)?, sources.elements(b)?, output))
    }

    /// Inputs 0 and 1, of two types, and the output.
    ///
    /// # Errors
    ///
    /// Those of [`Memory::binary`].
    #[allow(
        clippy::type_complexity,
        reason = "three slices are no type of their own"
    )]
    pub fn pair<A: AnyBitPattern, B: AnyBitPattern, O: AnyBitPattern + NoUninit>(
        &mut self,
    ) -> Result<(&[A], &[B], &mut [O]), Fault> {
        self.pair_of([0, 1])
    }

    /// Any two inputs, of two types, and the output.
    ///
    /// # Errors
    ///
    /// Those of [`Memory::binary`].
    #[allow(
        clippy::type_complexity,
        reason = "three slices are no type of their own"
    )]
    pub fn pair_of<A: AnyBitPattern, B: AnyBitPattern, O: AnyBitPattern + NoUninit>(
        &mut self,
        [a, b]: [usize; 2],
    ) -> Result<(&[A], &[B], &mut [O]), Fault> {
        let (a, b) = (self.input_tensor(a)?, self.input_tensor(b)?);
        let (sources, output) = self.split_at_output()?;
        Ok((sources.elements(&a)?, sources.elements(&b)?, output))
    }

    /// Inputs 0, 1 and 2, of any types, and the output.
    ///
    /// # Errors
    ///
    /// Those of [`Memory::binary`].
    #[allow(
        clippy::type_complexity,
        reason = "four slices are no type of their own"
    )]
    pub fn ternary<A, B, C, O>(&mut self) -> Result<(&[A], &[B], &[C], &mut [O]), Fault>
    where
        A: AnyBitPattern,
        B: AnyBitPattern,
        C: AnyBitPattern,
        O: AnyBitPattern + NoUninit,
    {
        let (a, b) = (self.input_tensor(0)?, self.input_tensor(1)?);
        let c = self.input_tensor(2)?;
        let (sources, output) = self.split_at_output()?;
        Ok((
            sources.elements(&a)?,
            sources.elements(&b)?,
            sources.elements(&c)?,
            output,
        ))
    }

    fn split_at_output<O: AnyBitPattern + NoUninit>(
        &mut self,
    ) -> Result<(Sources<'_>, &mut [O]), Fault> {
        let index = self.operator.output(0).ok_or(Fault)?;
        let range = self.tensors.get(index).ok_or(Fault)?.range();
        let (before, rest) = self.arena.split_at_mut_checked(range.start).ok_or(Fault)?;
        let (output, behind) = rest.split_at_mut_checked(range.len()).ok_or(Fault)?;
        let sources = Sources {
            data: self.data,
            before,
            behind,
            behind_at: range.end,
        };
        Ok((
            sources,
            bytemuck::try_cast_slice_mut(output).map_err(|_| Fault)?,
        ))
    }
}

/// All that an operator may read while it writes its output.
struct Sources<'s> {
    data: &'s [u8],
    /// The arena up to the output.
    before: &'s [u8],
    /// The arena from the output's end, which is byte `behind_at` of it.
    behind: &'s [u8],
    behind_at: usize,
}

impl<'s> Sources<'s> {
    fn elements<T: AnyBitPattern>(&self, tensor: &Tensor) -> Result<&'s [T], Fault> {
        let range = tensor.range();
        let bytes = match tensor.storage {
            Storage::Data => self.data.get(range),
            Storage::Arena if range.start < self.behind_at => self.before.get(range),
            Storage::Arena => self
                .behind
                .get(range.start - self.behind_at..range.end - self.behind_at),
        };
        bytemuck::try_cast_slice(bytes.ok_or(Fault)?).map_err(|_| Fault)
    }
}
