//! What an operator sees of the model at load ([`Check`]) and during a run ([`Memory`]).

use core::cell::Cell;
use core::ops::Range;

use bytemuck::{AnyBitPattern, NoUninit, Pod, Zeroable};

use super::overlap::{Overlap, Span, Steps};
use super::strip::Part;
use crate::artifact::{Blob, DataType, RawOperator, Record, Storage, Tensor, Tensors};
use crate::error::{Fault, Rule};
use crate::kernels::{Band, CopyChecked as _, Pair, Strides, for_each_pair};

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

    /// The rows of an operator that computes each element of the output from those of the inputs
    /// at the same index.
    pub(crate) fn element_steps(&self) -> Option<Steps> {
        let output = self.output().ok()?;
        let row = u32::try_from(output.row_len()).ok()?;
        Some(Steps::of_matrix(output.rows(), row, row))
    }

    /// Where the output of a function of one element may lie over input `i`.
    pub(crate) fn element_overlap(&self, i: usize) -> Option<Overlap> {
        let (input, output) = (self.input(i).ok()?, self.output().ok()?);
        let sizes = (input.dtype.bytes(), output.dtype.bytes());
        Some(Overlap::of_elements(output.len(), sizes.0, sizes.1))
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
    /// What lies behind the arena.
    workspace: &'a mut [u8],
    /// The strip to compute; `None` for an operator that is run at once.
    part: Option<Part<'m>>,
}

/// Whether what operators write before they read it lies behind the arena. A microcontroller has a small
/// stack, whose depth nobody knows before it is measured, and an arena of a size that everybody knows.
/// Elsewhere it is on the stack: there it is larger, and the arena of a model is what the file says.
pub(crate) const WORKSPACE_IN_ARENA: bool = cfg!(target_os = "none");

/// A place on the stack for what operators write before they read it, on machines that have it there.
pub(crate) struct Held<W>(
    #[cfg(not(target_os = "none"))] W,
    #[cfg(target_os = "none")] core::marker::PhantomData<W>,
);

impl<W: Zeroable> Held<W> {
    /// All zero.
    #[inline(always)]
    pub(crate) fn new() -> Self {
        Self(
            #[cfg(not(target_os = "none"))]
            W::zeroed(),
            #[cfg(target_os = "none")]
            core::marker::PhantomData,
        )
    }

    #[inline(always)]
    fn get_mut(&mut self) -> Option<&mut W> {
        #[cfg(not(target_os = "none"))]
        return Some(&mut self.0);
        #[cfg(target_os = "none")]
        None
    }
}

impl<'m, 'a> Memory<'m, 'a> {
    /// Everything that an operator may touch.
    pub fn new(
        data: &'m [u8],
        tensors: Tensors<'m>,
        operator: RawOperator<'m>,
        arena: &'a mut [u8],
        workspace: &'a mut [u8],
    ) -> Self {
        Self {
            data,
            tensors,
            operator,
            arena,
            workspace,
            part: None,
        }
    }

    /// Memory for the kernel alone, with whatever is in it. To be taken once.
    ///
    /// # Errors
    ///
    /// A [`Fault`] when there is less than [`super::Operator::WORKSPACE`] says, which a session excludes.
    #[inline(always)]
    pub(crate) fn workspace<'h, W: Pod>(
        &mut self,
        held: &'h mut Held<W>,
    ) -> Result<&'h mut W, Fault>
    where
        'a: 'h,
    {
        if let Some(held) = held.get_mut() {
            return Ok(held);
        }
        let bytes = core::mem::take(&mut self.workspace);
        let bytes = bytes.get_mut(..size_of::<W>()).ok_or(Fault)?;
        bytemuck::try_from_bytes_mut(bytes).map_err(|_| Fault)
    }

    /// Turns to one strip of the operator's group. Makes room for the strip's rows in the
    /// output's place.
    ///
    /// # Errors
    ///
    /// A [`Fault`] when there is no room, which the check excludes.
    #[inline(never)]
    pub fn begin_part(&mut self, part: Part<'m>) -> Result<(), Fault> {
        let output = self.output_tensor()?;
        let row = output.row_len() * output.dtype.bytes();
        let gone = part.step(&self.operator, &output) as usize * row;
        if gone > 0 {
            let kept = self.operator.strip.keep() as usize * row;
            let place = self.arena.get_mut(output.range()).ok_or(Fault)?;
            move_down(place.get_mut(..gone + kept).ok_or(Fault)?, gone).ok_or(Fault)?;
        }
        self.part = Some(part);
        Ok(())
    }

    /// Whether the strip has any rows of this operator.
    #[inline(never)]
    pub(crate) fn has_work(&self) -> bool {
        let output = self.output_tensor();
        output.is_ok_and(|output| !self.new_elements(&output).is_empty())
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
        self.read_parameters().ok_or(Fault)
    }

    /// The operator's parameters; `None` when the record is not of this kind. On a microcontroller a
    /// function of its own, so that what it reads with is not on the stack while the kernel runs.
    #[cfg_attr(target_os = "none", inline(never))]
    pub(crate) fn read_parameters<P: Record>(&self) -> Option<P> {
        self.operator.parameters()
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

    /// The record of the output.
    ///
    /// # Errors
    ///
    /// A [`Fault`] when there is none, which the check excludes.
    pub fn output_tensor(&self) -> Result<Tensor, Fault> {
        let index = self.operator.output(0).ok_or(Fault)?;
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
        Ok((sources.whole(&input)?, output))
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
        Ok((sources.whole(a)?, sources.whole(b)?, output))
    }

    /// Computes the output from input 0 in rows: all at once when the two tensors lie apart, and
    /// otherwise as many at a time as find room, from the side that the input is left at.
    ///
    /// `run` gets the rows, and the elements of both tensors that belong to them.
    ///
    /// # Errors
    ///
    /// A [`Fault`] when `run` gives `None`, or when the tensors lie closer than
    /// [`Steps::overlap`] says, both of which the check excludes.
    pub(crate) fn by_rows<A: AnyBitPattern, O: AnyBitPattern + NoUninit>(
        &mut self,
        steps: &Steps,
        run: impl FnMut(&Band, &[A], &mut [O]) -> Option<()>,
    ) -> Result<(), Fault> {
        self.by_rows_together(steps, 1, run)
    }

    /// The same for a kernel that computes `together` rows as fast as one: where not all rows find
    /// room, a multiple of that many if so many do.
    ///
    /// # Errors
    ///
    /// As [`Memory::by_rows`].
    #[inline(always)]
    pub(crate) fn by_rows_together<A: AnyBitPattern, O: AnyBitPattern + NoUninit>(
        &mut self,
        steps: &Steps,
        together: u32,
        mut run: impl FnMut(&Band, &[A], &mut [O]) -> Option<()>,
    ) -> Result<(), Fault> {
        let mut done = 0;
        let mut stretch = Stretch::none();
        while !steps.is_done(done) && self.stretch(steps, done, together, &mut stretch)? {
            #[cfg(niwaki_tiles)]
            if stretch.is_copied {
                done += stretch.band.rows.end - stretch.band.rows.start;
                self.by_copied_rows(&stretch, &mut run)?;
                continue;
            }
            let (sources, y) = split_at_output(self.data, self.arena, &stretch.to)?;
            let x = sources.bytes(stretch.storage, stretch.from.clone())?;
            run(&stretch.band, x, y).ok_or(Fault)?;
            done += stretch.band.rows.end - stretch.band.rows.start;
        }
        Ok(())
    }

    /// Rows whose output is written over their input: they are read from a copy.
    #[cfg(niwaki_tiles)]
    #[inline(never)]
    fn by_copied_rows<A: AnyBitPattern, O: AnyBitPattern + NoUninit>(
        &mut self,
        stretch: &Stretch,
        run: &mut impl FnMut(&Band, &[A], &mut [O]) -> Option<()>,
    ) -> Result<(), Fault> {
        let mut copied = crate::kernels::Copied::new();
        let from = self.arena.get(stretch.from.clone()).ok_or(Fault)?;
        let x = copied.copy(from).ok_or(Fault)?;
        let y = self.arena.get_mut(stretch.to.clone()).ok_or(Fault)?;
        let x = bytemuck::try_cast_slice(x).map_err(|_| Fault)?;
        let y = bytemuck::try_cast_slice_mut(y).map_err(|_| Fault)?;
        run(&stretch.band, x, y).ok_or(Fault)
    }

    /// Makes `stretch` what comes next when `done` rows are there; false when that is all. A function of
    /// its own, so that the records of the tensors are not on the stack while the kernel runs.
    #[inline(never)]
    fn stretch(
        &self,
        steps: &Steps,
        done: u32,
        together: u32,
        stretch: &mut Stretch,
    ) -> Result<bool, Fault> {
        let (input, output) = (self.input_place(0)?, self.output_place()?);
        let Some(span) = self.next_span(steps, &input.tensor, &output.tensor, done)? else {
            return Ok(false);
        };
        let (rows, is_whole) = (span.band.rows.len() as u32, self.part.is_none());
        let span = match rows.checked_rem(together) {
            Some(rest) if rest > 0 && rest < rows && rows + done < steps.count() && is_whole => {
                let upwards = output.tensor.offset < input.tensor.offset;
                steps.without(&span, rest, upwards)
            }
            _ => span,
        };
        #[cfg(niwaki_tiles)]
        let (span, is_copied) = {
            let rows = span.band.rows.len();
            let all = rows as u32 + done >= steps.count() || self.part.is_some();
            let upwards = output.tensor.offset < input.tensor.offset;
            let size = input.tensor.dtype.bytes();
            let more = (!all).then(|| steps.copied(done, upwards, crate::kernels::COPIED / size));
            match more.flatten() {
                Some(more) if more.band.rows.len() > rows => (more, true),
                _ => (span, false),
            }
        };
        *stretch = Stretch {
            #[cfg(niwaki_tiles)]
            is_copied,
            band: span.band,
            storage: input.tensor.storage,
            from: input.bytes(&span.input)?,
            to: output.bytes(&span.output)?,
        };
        Ok(true)
    }

    /// The rows to compute when `done` of them are there; `None` when that is all.
    #[inline(never)]
    fn next_span(
        &self,
        steps: &Steps,
        input: &Tensor,
        output: &Tensor,
        done: u32,
    ) -> Result<Option<Span>, Fault> {
        if self.part.is_some() {
            let span = || steps.span_of_elements(&self.new_elements(output));
            return if done > 0 {
                Ok(None)
            } else {
                span().map(Some).ok_or(Fault)
            };
        }
        if steps.is_done(done) {
            return Ok(None);
        }
        let sizes = [input.dtype.bytes(), output.dtype.bytes()];
        let offsets = [input.offset, output.offset];
        let span = if !input.overlaps(output) {
            Some(steps.all())
        } else if output.offset < input.offset {
            steps.upwards(done, sizes, offsets)
        } else {
            steps.downwards(done, sizes, offsets)
        };
        span.map(Some).ok_or(Fault)
    }

    /// Where input `i` is, and which of its elements are there.
    fn input_place(&self, i: usize) -> Result<Place, Fault> {
        self.place(self.operator.input(i).ok_or(Fault)?)
    }

    /// Where the output is, and which of its elements are there.
    fn output_place(&self) -> Result<Place, Fault> {
        self.place(self.operator.output(0).ok_or(Fault)?)
    }

    fn place(&self, index: u16) -> Result<Place, Fault> {
        let tensor = self.tensors.get(index).ok_or(Fault)?;
        let first = match &self.part {
            Some(part) => part.first_row(index, &tensor).ok_or(Fault)? as usize * tensor.row_len(),
            None => 0,
        };
        Ok(Place { tensor, first })
    }

    /// The elements of the output that are to be computed.
    fn new_elements(&self, output: &Tensor) -> Range<usize> {
        match &self.part {
            Some(part) => {
                let rows = part.rows(&self.operator, output);
                let row = output.row_len();
                rows.start as usize * row..rows.end as usize * row
            }
            None => 0..output.len(),
        }
    }

    /// Some elements of an input and some of the output, which share no byte.
    fn pieces<A: AnyBitPattern, O: AnyBitPattern + NoUninit>(
        &mut self,
        input: &Place,
        from: &Range<usize>,
        output: &Place,
        to: &Range<usize>,
    ) -> Result<(&[A], &mut [O]), Fault> {
        let (sources, y) = split_at_output(self.data, self.arena, &output.bytes(to)?)?;
        Ok((sources.elements(input, from)?, y))
    }

    /// Computes each element of the output from the one of input 0 at the same index.
    ///
    /// # Errors
    ///
    /// A [`Fault`] when there are no such tensors, which the check excludes.
    pub(crate) fn by_elements<A, O>(&mut self, f: impl Fn(A) -> O) -> Result<(), Fault>
    where
        A: AnyBitPattern + NoUninit,
        O: AnyBitPattern + NoUninit,
    {
        let (from, to) = (self.input_place(0)?, self.output_place()?);
        let (input, output) = (&from.tensor, &to.tensor);
        if self.part.is_some() || !input.overlaps(output) {
            let elements = self.new_elements(output);
            let (x, y) = self.pieces::<A, O>(&from, &elements, &to, &elements)?;
            for (y, &x) in y.iter_mut().zip(x) {
                *y = f(x);
            }
            return Ok(());
        }
        let upwards = output.offset < input.offset
            || output.offset == input.offset && size_of::<A>() >= size_of::<O>();
        let cells = Cell::from_mut(&mut *self.arena).as_slice_of_cells();
        let x = cells.get(input.range()).ok_or(Fault)?;
        let y = cells.get(output.range()).ok_or(Fault)?;
        let len = output.len();
        for done in 0..len {
            let i = if upwards { done } else { len - 1 - done };
            let x = x.get(i * size_of::<A>()..(i + 1) * size_of::<A>());
            let y = y.get(i * size_of::<O>()..(i + 1) * size_of::<O>());
            store(y.ok_or(Fault)?, f(load(x.ok_or(Fault)?)));
        }
        Ok(())
    }

    /// Computes each element of the output from one of each of two inputs, which the walks lead
    /// to. Where the output shares bytes with an input, it does so upwards.
    ///
    /// # Errors
    ///
    /// A [`Fault`] when there are no such tensors, which the check excludes.
    pub(crate) fn by_pairs<T: AnyBitPattern + NoUninit>(
        &mut self,
        walks: [&Strides; 2],
        f: impl Pair<T>,
    ) -> Result<(), Fault> {
        if self.part.is_some() {
            return self.pairs_of_part(f);
        }
        let operands = self.operands()?;
        if operands.overlap {
            return self.pairs_over(walks, &operands, f);
        }
        let (sources, y) = split_at_output::<T>(self.data, self.arena, &operands.output)?;
        let [a, b] = operands
            .inputs
            .map(|(storage, range)| sources.bytes(storage, range));
        #[cfg(niwaki_tiles)]
        if walks.iter().all(|walk| walk.is_in_order()) {
            return crate::kernels::pairs(f, a?, b?, y).ok_or(Fault);
        }
        crate::kernels::broadcast(walks, a?, b?, y, |a, b| f.of(a, b)).ok_or(Fault)
    }

    /// [`Memory::by_pairs`] where the output shares bytes with an input.
    #[inline(never)]
    fn pairs_over<T: AnyBitPattern + NoUninit>(
        &mut self,
        walks: [&Strides; 2],
        operands: &Operands,
        f: impl Pair<T>,
    ) -> Result<(), Fault> {
        if walks.iter().all(|walk| walk.is_in_order()) {
            return self.pairs_in_order_over(operands, f);
        }
        let cells = Cell::from_mut(&mut *self.arena).as_slice_of_cells();
        let [a, b] = operands.inputs.each_ref().map(|(storage, range)| {
            let range = range.clone();
            match storage {
                Storage::Arena => Operand::Arena(cells.get(range).unwrap_or_default()),
                Storage::Data => Operand::Data(self.data.get(range).unwrap_or_default()),
            }
        });
        let y = cells.get(operands.output.clone()).ok_or(Fault)?;
        let mut y = y.chunks_exact(size_of::<T>());
        for_each_pair(walks, |[at_a, at_b]| {
            store(y.next()?, f.of(a.element(at_a)?, b.element(at_b)?));
            Some(())
        })
        .ok_or(Fault)
    }

    /// The same of walks that meet every element in order: some at a time, read before they are written.
    #[inline(always)]
    fn pairs_in_order_over<T: AnyBitPattern + NoUninit>(
        &mut self,
        operands: &Operands,
        f: impl Pair<T>,
    ) -> Result<(), Fault> {
        let mut held = [[T::zeroed(); BLOCK]; 2];
        let mut at = 0;
        let bytes = operands.output.len();
        while at < bytes {
            let count = (BLOCK * size_of::<T>()).min(bytes - at);
            for (held, (storage, range)) in held.iter_mut().zip(&operands.inputs) {
                let memory: &[u8] = match storage {
                    Storage::Arena => self.arena,
                    Storage::Data => self.data,
                };
                let held: &mut [u8] = bytemuck::cast_slice_mut(held);
                let start = range.start + at;
                let from = memory.get(start..start + count).ok_or(Fault)?;
                let held = held.get_mut(..count).ok_or(Fault)?;
                held.copy_from_slice_checked(from).ok_or(Fault)?;
            }
            let start = operands.output.start + at;
            let y = self.arena.get_mut(start..start + count).ok_or(Fault)?;
            let y: &mut [T] = bytemuck::try_cast_slice_mut(y).map_err(|_| Fault)?;
            let [a, b] = &held;
            #[cfg(niwaki_tiles)]
            {
                let [a, b] = [a, b].map(|held| held.get(..y.len()));
                crate::kernels::pairs(f, a.ok_or(Fault)?, b.ok_or(Fault)?, y).ok_or(Fault)?;
            }
            #[cfg(not(niwaki_tiles))]
            for (y, (&a, &b)) in y.iter_mut().zip(a.iter().zip(b)) {
                *y = f.of(a, b);
            }
            at += count;
        }
        Ok(())
    }

    /// Where inputs 0 and 1 and the output are. A function of its own, so that the records of the
    /// tensors are not on the stack while the kernel runs.
    #[inline(never)]
    fn operands(&self) -> Result<Operands, Fault> {
        let (a, b) = (self.input_tensor(0)?, self.input_tensor(1)?);
        let output = self.output_tensor()?;
        Ok(Operands {
            overlap: a.overlaps(&output) || b.overlaps(&output),
            inputs: [(a.storage, a.range()), (b.storage, b.range())],
            output: output.range(),
        })
    }

    /// [`Memory::by_pairs`] of one strip, of two inputs whose walks meet every element in order.
    #[inline(never)]
    fn pairs_of_part<T: AnyBitPattern + NoUninit>(&mut self, f: impl Pair<T>) -> Result<(), Fault> {
        let places = [self.input_place(0)?, self.input_place(1)?];
        let output = self.output_place()?;
        let elements = self.new_elements(&output.tensor);
        let (sources, y) = split_at_output::<T>(self.data, self.arena, &output.bytes(&elements)?)?;
        let [a, b] = &places;
        let a = sources.elements::<T>(a, &elements)?;
        let b = sources.elements::<T>(b, &elements)?;
        #[cfg(niwaki_tiles)]
        return crate::kernels::pairs(f, a, b, y).ok_or(Fault);
        #[cfg(not(niwaki_tiles))]
        for ((y, &a), &b) in y.iter_mut().zip(a).zip(b) {
            *y = f.of(a, b);
        }
        #[cfg(not(niwaki_tiles))]
        Ok(())
    }

    /// Inputs 0 to `N` - 1 and the output as bytes, with their element types: for operators whose
    /// tensors are of several types.
    ///
    /// # Errors
    ///
    /// A [`Fault`] when they overlap the output or are not there, which the check excludes.
    #[allow(
        clippy::type_complexity,
        reason = "slices beside their types are no type of their own"
    )]
    pub fn bytes<const N: usize>(
        &mut self,
    ) -> Result<([(DataType, &[u8]); N], (DataType, &mut [u8])), Fault> {
        let mut tensors = [None; N];
        for (i, tensor) in tensors.iter_mut().enumerate() {
            *tensor = Some(self.input_tensor(i)?);
        }
        let dtype = self.output_tensor()?.dtype;
        let (sources, output) = self.split_at_output::<u8>()?;
        let mut inputs: [(DataType, &[u8]); N] = [(dtype, &[]); N];
        for (input, tensor) in inputs.iter_mut().zip(&tensors) {
            let tensor = tensor.as_ref().ok_or(Fault)?;
            *input = (tensor.dtype, sources.whole(tensor)?);
        }
        Ok((inputs, (dtype, output)))
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
        Ok((sources.whole(&a)?, sources.whole(&b)?, output))
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
            sources.whole(&a)?,
            sources.whole(&b)?,
            sources.whole(&c)?,
            output,
        ))
    }

    fn split_at_output<O: AnyBitPattern + NoUninit>(
        &mut self,
    ) -> Result<(Sources<'_>, &mut [O]), Fault> {
        let range = self.output_tensor()?.range();
        split_at_output(self.data, self.arena, &range)
    }
}

/// Where two inputs and the output are, and whether the output shares bytes with one of them.
struct Operands {
    inputs: [(Storage, Range<usize>); 2],
    output: Range<usize>,
    overlap: bool,
}

/// What one call of a kernel has: its rows, the bytes that it reads, and those that it writes.
struct Stretch {
    /// Whether the input has to be read from a copy.
    #[cfg(niwaki_tiles)]
    is_copied: bool,
    band: Band,
    storage: Storage,
    from: Range<usize>,
    to: Range<usize>,
}

impl Stretch {
    /// No rows and no bytes.
    #[inline(always)]
    fn none() -> Self {
        Self {
            #[cfg(niwaki_tiles)]
            is_copied: false,
            band: Band {
                rows: 0..0,
                input_row: 0,
            },
            storage: Storage::Arena,
            from: 0..0,
            to: 0..0,
        }
    }
}

/// Where a tensor is, and the element that its place begins with.
struct Place {
    tensor: Tensor,
    first: usize,
}

impl Place {
    /// The bytes of these elements.
    fn bytes(&self, elements: &Range<usize>) -> Result<Range<usize>, Fault> {
        let size = self.tensor.dtype.bytes();
        let start = self.tensor.offset as usize;
        let at = |element: usize| element.checked_sub(self.first).map(|i| start + i * size);
        Ok(at(elements.start).ok_or(Fault)?..at(elements.end).ok_or(Fault)?)
    }
}

/// Moves all but the first `gone` bytes to the front.
fn move_down(bytes: &mut [u8], gone: usize) -> Option<()> {
    let mut rest = bytes;
    while rest.len() > gone {
        let (to, from) = rest.split_at_mut_checked(gone)?;
        let len = gone.min(from.len());
        to.get_mut(..len)?
            .copy_from_slice_checked(from.get(..len)?)?;
        rest = from;
    }
    Some(())
}

/// Takes these bytes of the arena out, to be written, from all others, which may be read.
fn split_at_output<'s, O: AnyBitPattern + NoUninit>(
    data: &'s [u8],
    arena: &'s mut [u8],
    output: &Range<usize>,
) -> Result<(Sources<'s>, &'s mut [O]), Fault> {
    let (before, rest) = arena.split_at_mut_checked(output.start).ok_or(Fault)?;
    let (written, behind) = rest.split_at_mut_checked(output.len()).ok_or(Fault)?;
    let sources = Sources {
        data,
        before,
        behind,
        behind_at: output.end,
    };
    let written = bytemuck::try_cast_slice_mut(written).map_err(|_| Fault)?;
    Ok((sources, written))
}

/// Reads an element from bytes that may be written through another slice.
#[inline(always)]
fn load<T: AnyBitPattern + NoUninit>(from: &[Cell<u8>]) -> T {
    let mut value = T::zeroed();
    let bytes = bytemuck::bytes_of_mut(&mut value);
    bytes
        .iter_mut()
        .zip(from)
        .for_each(|(b, cell)| *b = cell.get());
    value
}

/// Writes an element to bytes that may be read through another slice.
#[inline(always)]
fn store<T: NoUninit>(to: &[Cell<u8>], value: T) {
    let bytes = bytemuck::bytes_of(&value);
    to.iter().zip(bytes).for_each(|(cell, &b)| cell.set(b));
}

/// The bytes of an input that the output may be written over.
enum Operand<'s> {
    Arena(&'s [Cell<u8>]),
    Data(&'s [u8]),
}

/// Elements that are read before any of them is written.
const BLOCK: usize = if cfg!(niwaki_tiles) { 256 } else { 16 };

impl Operand<'_> {
    #[inline(always)]
    fn element<T: AnyBitPattern + NoUninit>(&self, index: usize) -> Option<T> {
        let start = index * size_of::<T>();
        match self {
            Self::Arena(cells) => Some(load(cells.get(start..start + size_of::<T>())?)),
            Self::Data(bytes) => {
                bytemuck::try_pod_read_unaligned(bytes.get(start..start + size_of::<T>())?).ok()
            }
        }
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
    fn whole<T: AnyBitPattern>(&self, tensor: &Tensor) -> Result<&'s [T], Fault> {
        self.bytes(tensor.storage, tensor.range())
    }

    fn elements<T: AnyBitPattern>(
        &self,
        place: &Place,
        elements: &Range<usize>,
    ) -> Result<&'s [T], Fault> {
        self.bytes(place.tensor.storage, place.bytes(elements)?)
    }

    fn bytes<T: AnyBitPattern>(
        &self,
        storage: Storage,
        range: Range<usize>,
    ) -> Result<&'s [T], Fault> {
        let bytes = match storage {
            Storage::Data => self.data.get(range),
            Storage::Arena if range.start < self.behind_at => self.before.get(range),
            Storage::Arena => self
                .behind
                .get(range.start - self.behind_at..range.end - self.behind_at),
        };
        bytemuck::try_cast_slice(bytes.ok_or(Fault)?).map_err(|_| Fault)
    }
}
