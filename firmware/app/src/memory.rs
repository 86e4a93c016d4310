//! All the memory that a model needs on a board.

/// The memory of one model, whose sizes its build script knows: the arena, a copy of one sample,
/// and one digest for each operator. To be put into a `static`, where it is all zeros and so
/// takes no flash.
// The arena comes first, and so has the alignment of the whole.
#[derive(Debug)]
#[repr(C, align(16))]
pub struct Memory<const ARENA: usize, const INPUT: usize, const OPERATORS: usize> {
    arena: [u8; ARENA],
    sample: [u8; INPUT],
    digests: [[u8; 8]; OPERATORS],
}

impl<const ARENA: usize, const INPUT: usize, const OPERATORS: usize>
    Memory<ARENA, INPUT, OPERATORS>
{
    /// Memory that is all zeros.
    pub const fn new() -> Self {
        Self {
            arena: [0; ARENA],
            sample: [0; INPUT],
            digests: [[0; 8]; OPERATORS],
        }
    }

    /// The memory without its sizes: what follows is compiled once for every model.
    pub(crate) fn buffers(&mut self) -> Buffers<'_> {
        Buffers {
            arena: &mut self.arena,
            sample: &mut self.sample,
            digests: &mut self.digests,
        }
    }
}

impl<const ARENA: usize, const INPUT: usize, const OPERATORS: usize> Default
    for Memory<ARENA, INPUT, OPERATORS>
{
    fn default() -> Self {
        Self::new()
    }
}

/// A [`Memory`] of any size.
pub(crate) struct Buffers<'a> {
    /// Activations.
    pub(crate) arena: &'a mut [u8],
    /// One sample: a run destroys the inputs in the arena, and a sample may be run twice.
    pub(crate) sample: &'a mut [u8],
    /// Digests of the operators' outputs, little-endian.
    pub(crate) digests: &'a mut [[u8; 8]],
}
