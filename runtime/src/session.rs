//! A model at work in an arena.

use bytemuck::{AnyBitPattern, NoUninit};

use crate::artifact::{DataType, RawOperator, Tensor};
use crate::error::RunError;
use crate::model::Model;
#[cfg(feature = "digests")]
use crate::ops::MAX_GROUP;
use crate::ops::{All, Group, Memory, OperatorSet, Part};

/// A Rust type that is the element type of a tensor.
pub trait Element: AnyBitPattern + NoUninit + private::Sealed {
    /// The tensor's element type.
    const DTYPE: DataType;
}

mod private {
    pub trait Sealed {}
}

macro_rules! element {
    ($($ty:ty => $dtype:ident),*) => {$(
        impl private::Sealed for $ty {}
        impl Element for $ty {
            const DTYPE: DataType = DataType::$dtype;
        }
    )*};
}
// An int64 is aligned to 4 only, so there is no slice of them; nor of bool, as any byte is one.
element!(i8 => I8, u8 => U8, i16 => I16, u16 => U16, i32 => I32, f32 => F32);

/// How far a run has come that is made piece by piece, see [`Session::step`]. It borrows nothing,
/// so that it can be kept from one call of a program to the next.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Progress {
    /// Index of the first operator of the group that is at work.
    group: usize,
    /// The group's strip.
    strip: u32,
    /// The operator within the group that is next.
    position: usize,
}

/// See `Session::execute`.
#[cfg(target_family = "wasm")]
type Done<'d, 'm> =
    dyn FnMut(usize, &RawOperator<'m>, Option<Part<'m>>, &mut [u8]) -> Option<()> + 'd;

/// The same function, behind a pointer where code is to be shared.
#[cfg(target_family = "wasm")]
fn shared<'d, 'm>(done: &'d mut Done<'d, 'm>) -> &'d mut Done<'d, 'm> {
    done
}

/// The same function.
#[cfg(not(target_family = "wasm"))]
fn shared<'m, D>(done: &mut D) -> &mut D
where
    D: FnMut(usize, &RawOperator<'m>, Option<Part<'m>>, &mut [u8]) -> Option<()>,
{
    done
}

/// A model and the memory that it runs in.
///
/// Inputs lie in the arena and their place is used again during a run: write all of them before
/// each run. Outputs stay until the next run or the next write to an input.
#[derive(Debug)]
pub struct Session<'m, 'a, S: OperatorSet = All> {
    model: Model<'m, S>,
    arena: &'a mut [u8],
    /// What lies behind the arena, for operators to work in.
    workspace: &'a mut [u8],
}

impl<'m, 'a, S: OperatorSet> Session<'m, 'a, S> {
    /// Takes a slice of at least [`Model::arena_bytes`] bytes, aligned to [`crate::ALIGNMENT`].
    ///
    /// # Errors
    ///
    /// [`RunError::ArenaTooSmall`] and [`RunError::ArenaMisaligned`].
    pub fn new(model: &Model<'m, S>, arena: &'a mut [u8]) -> Result<Self, RunError> {
        let found = u32::try_from(arena.len()).unwrap_or(u32::MAX);
        let needed = model.arena_bytes();
        let arena = arena.get_mut(..needed).ok_or(RunError::ArenaTooSmall {
            needed: needed as u32,
            found,
        })?;
        if arena.as_ptr().align_offset(crate::ALIGNMENT) != 0 {
            return Err(RunError::ArenaMisaligned);
        }
        let workspace = needed - S::CODES.workspace_bytes();
        let (arena, workspace) = arena.split_at_mut(workspace);
        Ok(Self {
            model: *model,
            arena,
            workspace,
        })
    }

    /// The model.
    pub fn model(&self) -> &Model<'m, S> {
        &self.model
    }

    fn bytes_mut(&mut self, index: usize, tensor: Option<Tensor>) -> Result<&mut [u8], RunError> {
        let missing = RunError::NoSuchTensor {
            index: index as u32,
        };
        let range = tensor.ok_or(missing)?.range();
        self.arena.get_mut(range).ok_or(missing)
    }

    /// The bytes of input `i`, to be written before each run.
    ///
    /// # Errors
    ///
    /// [`RunError::NoSuchTensor`].
    pub fn input_mut(&mut self, i: usize) -> Result<&mut [u8], RunError> {
        self.bytes_mut(i, self.model.input(i))
    }

    /// Input `i` as elements of type `T`.
    ///
    /// # Errors
    ///
    /// [`RunError::NoSuchTensor`], and [`RunError::WrongType`] when `T` is not its type.
    pub fn input_as<T: Element>(&mut self, i: usize) -> Result<&mut [T], RunError> {
        let wrong = RunError::WrongType { index: i as u32 };
        let dtype = self.model.input(i).map(|t| t.dtype);
        let bytes = self.input_mut(i)?;
        if dtype != Some(T::DTYPE) {
            return Err(wrong);
        }
        bytemuck::try_cast_slice_mut(bytes).map_err(|_| wrong)
    }

    /// The bytes of output `i` after a run.
    ///
    /// # Errors
    ///
    /// [`RunError::NoSuchTensor`].
    pub fn output(&self, i: usize) -> Result<&[u8], RunError> {
        let missing = RunError::NoSuchTensor { index: i as u32 };
        let tensor = self.model.output(i).ok_or(missing)?;
        self.tensor(&tensor).ok_or(missing)
    }

    /// Output `i` as elements of type `T`.
    ///
    /// # Errors
    ///
    /// [`RunError::NoSuchTensor`], and [`RunError::WrongType`] when `T` is not its type.
    pub fn output_as<T: Element>(&self, i: usize) -> Result<&[T], RunError> {
        let wrong = RunError::WrongType { index: i as u32 };
        let bytes = self.output(i)?;
        if self.model.output(i).map(|t| t.dtype) != Some(T::DTYPE) {
            return Err(wrong);
        }
        bytemuck::try_cast_slice(bytes).map_err(|_| wrong)
    }

    /// Input `i` as an array, whose type [`crate::include_model!`] knows.
    ///
    /// # Errors
    ///
    /// [`RunError::NoSuchTensor`], and [`RunError::WrongType`] when it has another number of bytes.
    #[doc(hidden)]
    pub fn input_array<T, const N: usize>(&mut self, i: usize) -> Result<&mut [T; N], RunError>
    where
        T: AnyBitPattern + NoUninit,
    {
        let wrong = RunError::WrongType { index: i as u32 };
        let bytes = self.input_mut(i)?;
        let elements = bytemuck::try_cast_slice_mut(bytes).map_err(|_| wrong)?;
        elements.try_into().map_err(|_| wrong)
    }

    /// Output `i` as an array, whose type [`crate::include_model!`] knows.
    ///
    /// # Errors
    ///
    /// [`RunError::NoSuchTensor`], and [`RunError::WrongType`] when it has another number of bytes.
    #[doc(hidden)]
    pub fn output_array<T, const N: usize>(&self, i: usize) -> Result<&[T; N], RunError>
    where
        T: AnyBitPattern + NoUninit,
    {
        let wrong = RunError::WrongType { index: i as u32 };
        let elements = bytemuck::try_cast_slice(self.output(i)?).map_err(|_| wrong)?;
        elements.try_into().map_err(|_| wrong)
    }

    fn tensor(&self, tensor: &Tensor) -> Option<&[u8]> {
        match tensor.storage {
            crate::artifact::Storage::Arena => self.arena.get(tensor.range()),
            crate::artifact::Storage::Data => self.model.data().get(tensor.range()),
        }
    }

    /// Computes the outputs from the inputs. Neither allocates nor panics.
    ///
    /// # Errors
    ///
    /// [`RunError::Internal`] only, which would be a defect of this crate.
    pub fn run(&mut self) -> Result<(), RunError> {
        self.execute(shared(&mut |_, _, _, _| Some(())))
    }

    /// Runs every operator, those of a group strip by strip, and calls `done` behind each with its
    /// index, the operator, the strip, and the arena.
    ///
    /// In WebAssembly `done` is behind a pointer, so that there is one copy for all callers: every byte is
    /// downloaded. Elsewhere that would be a frame of the stack.
    fn execute<D>(&mut self, done: &mut D) -> Result<(), RunError>
    where
        D: FnMut(usize, &RawOperator<'m>, Option<Part<'m>>, &mut [u8]) -> Option<()> + ?Sized,
    {
        let mut operators = self.model.operators();
        let mut index = 0;
        while let Some(group) = Group::or_one(operators) {
            for strip in 0..group.strips().max(1) {
                let part = (group.strips() > 0).then(|| group.part(strip));
                for (index, operator) in (index..).zip(group.operators()) {
                    self.run_operator(&operator, part)
                        .and_then(|()| done(index, &operator, part, self.arena))
                        .ok_or(RunError::Internal {
                            operator: index as u32,
                        })?;
                }
            }
            index += group.len();
            operators.nth(group.len() - 1);
        }
        Ok(())
    }

    /// Does the next piece of a run: one operator, or one strip of it where operators are run in
    /// strips. Gives the operator's index, and `None` when nothing is left, which makes `progress`
    /// that of a new run. The outputs are those of [`Session::run`].
    ///
    /// Between two pieces a program may look at the time, serve others, or give the run up by
    /// dropping `progress`. It must leave the inputs and the session alone until the run is over:
    /// another run in between, or the progress of another model, gives outputs that mean nothing.
    ///
    /// ```
    /// # fn demo(mut session: niwaki::Session<'_, '_>) -> Result<(), niwaki::RunError> {
    /// let mut progress = niwaki::Progress::default();
    /// while let Some(operator) = session.step(&mut progress)? {
    ///     println!("operator {operator} has run");
    /// }
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// Those of [`Session::run`].
    pub fn step(&mut self, progress: &mut Progress) -> Result<Option<usize>, RunError> {
        let mut operators = self.model.operators();
        if let Some(before) = progress.group.checked_sub(1) {
            operators.nth(before);
        }
        let Some(group) = Group::or_one(operators) else {
            *progress = Progress::default();
            return Ok(None);
        };
        let index = progress.group + progress.position;
        let part = (group.strips() > 0).then(|| group.part(progress.strip));
        group
            .operators()
            .nth(progress.position)
            .and_then(|operator| self.run_operator(&operator, part))
            .ok_or(RunError::Internal {
                operator: index as u32,
            })?;
        progress.position += 1;
        if progress.position >= group.len() {
            progress.position = 0;
            progress.strip += 1;
        }
        if progress.strip >= group.strips().max(1) {
            progress.strip = 0;
            progress.group += group.len();
        }
        Ok(Some(index))
    }

    /// What a piece of a run has just written: the operator's first output, and the bytes of it that
    /// are new, which are all of them unless the operator is run in strips. `before` is the progress
    /// that [`Session::step`] was given for the piece. `None` when nothing was left to do.
    ///
    /// The bytes last until the next piece. Those of all strips, in order, make up the tensor.
    #[cfg(feature = "digests")]
    pub fn written(&self, before: &Progress) -> Option<(Tensor, &[u8])> {
        let mut operators = self.model.operators();
        if let Some(skipped) = before.group.checked_sub(1) {
            operators.nth(skipped);
        }
        let group = Group::or_one(operators)?;
        let operator = group.operators().nth(before.position)?;
        let index = operator.output(0)?;
        let tensor = self.model.tensors().get(index)?;
        let range = if group.strips() > 0 {
            let part = group.part(before.strip);
            part.new_bytes(&operator, index, &tensor)?
        } else {
            tensor.range()
        };
        Some((tensor, self.arena.get(range)?))
    }

    /// Runs one operator, or the strip `part` of it.
    fn run_operator(&mut self, operator: &RawOperator<'m>, part: Option<Part<'m>>) -> Option<()> {
        let (data, tensors) = (self.model.data(), self.model.tensors());
        let mut memory = Memory::new(data, tensors, *operator, self.arena, self.workspace);
        if let Some(part) = part {
            memory.begin_part(part).ok()?;
            if !memory.has_work() {
                return Some(());
            }
        }
        S::run(&mut memory).ok()
    }

    /// Like [`Session::run`], and shows each operator's output as soon as it is there.
    ///
    /// The observer gets the operator's index, its output tensor and the output's bytes, which it
    /// may change: that is how a test holds one layer against a reference apart from the others.
    /// An operator that is run in strips is shown once for each: then the bytes are the rows that
    /// are new, which may be none.
    ///
    /// # Errors
    ///
    /// Those of [`Session::run`].
    #[cfg(feature = "digests")]
    pub fn run_observed(
        &mut self,
        observe: &mut dyn FnMut(usize, &Tensor, &mut [u8]),
    ) -> Result<(), RunError> {
        let tensors = self.model.tensors();
        self.execute(shared(&mut |index, operator, part, arena| {
            for output in operator.outputs() {
                let tensor = tensors.get(output)?;
                let range = match part {
                    Some(part) => part.new_bytes(operator, output, &tensor)?,
                    None => tensor.range(),
                };
                observe(index, &tensor, arena.get_mut(range)?);
            }
            Some(())
        }))
    }

    /// Like [`Session::run`], and gives the digest of each operator's output, in the order of the
    /// operators.
    ///
    /// # Errors
    ///
    /// Those of [`Session::run`].
    #[cfg(feature = "digests")]
    pub fn run_digests(
        &mut self,
        each: &mut dyn FnMut(usize, crate::Digest),
    ) -> Result<(), RunError> {
        // The operators of a group have indices next to each other: each has a place of its own.
        let mut digests = [crate::Digest::EMPTY; MAX_GROUP];
        let tensors = self.model.tensors();
        self.execute(shared(&mut |index, operator, part, arena| {
            let output = operator.output(0)?;
            let tensor = tensors.get(output)?;
            let range = match part {
                Some(part) => part.new_bytes(operator, output, &tensor)?,
                None => tensor.range(),
            };
            let digest = digests.get_mut(index % MAX_GROUP)?;
            digest.update(tensor.dtype, arena.get(range)?);
            if part.is_none_or(|part| part.is_last()) {
                each(index, *digest);
                *digest = crate::Digest::EMPTY;
            }
            Some(())
        }))
    }

    /// Fills the inputs with the golden values made from `seed`.
    ///
    /// # Errors
    ///
    /// [`RunError::NoSuchTensor`], which a checked model does not give.
    #[cfg(feature = "digests")]
    pub fn fill_golden_inputs(&mut self, seed: u32) -> Result<(), RunError> {
        let mut random = crate::Xorshift32::new(seed);
        for i in 0..self.model.input_count() {
            let missing = RunError::NoSuchTensor { index: i as u32 };
            let port = self.model.input_port(i).ok_or(missing)?;
            let tensor = self.model.input(i).ok_or(missing)?;
            crate::fill_golden_input(&mut random, &port, &tensor, self.input_mut(i)?);
        }
        Ok(())
    }

    /// Runs the artifact's golden vector and compares every operator's output with the digests
    /// that the compiler stored. `Ok(None)` means that all are equal or that the artifact has no
    /// golden vector; `Ok(Some(i))` that operator `i` is the first to differ.
    ///
    /// # Errors
    ///
    /// Those of [`Session::run`].
    #[cfg(feature = "digests")]
    pub fn self_test(&mut self) -> Result<Option<usize>, RunError> {
        let section = self.model.golden();
        let Some(golden) = crate::artifact::Golden::open(section) else {
            return Ok(None);
        };
        self.fill_golden_inputs(golden.seed)?;
        let mut expected = crate::artifact::Golden::digests(section);
        let mut first = None;
        self.run_digests(&mut |index, digest| {
            if expected.next() != Some(digest.0) && first.is_none() {
                first = Some(index);
            }
        })?;
        Ok(first)
    }
}
