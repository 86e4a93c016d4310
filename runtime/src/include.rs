//! What [`crate::include_model!`] reads of an artifact while a program is compiled.
//!
//! Functions here are evaluated by the compiler, on a file that may be anything: a panic is an error of
//! the build, with its text. They read sizes and kinds; the whole file is checked by
//! [`crate::Model::new`].

#![allow(
    clippy::indexing_slicing,
    clippy::panic,
    reason = "evaluated when a program is compiled, where a panic is a message of the compiler"
)]

use crate::artifact::{DataType, Header, MAGIC, OperatorHeader, Port, Record, Strip, Tensor};
use crate::error::Section;
use crate::ops::{Codes, OperatorSet};
use crate::{FORMAT_VERSION, MAX_RANK, NUMERICS_VERSION};

/// Words of the header, in its order.
const VERSIONS: usize = 0;
const FILE_BYTES: usize = 1;
const ARENA_BYTES: usize = 2;
const OPERATOR_COUNT: usize = 3;
const INPUT_COUNT: usize = 4;
const SECTIONS: usize = 6;

/// The first word behind magic and SHA-256.
const WORDS_AT: usize = Header::BYTES - Header::WORDS * 4;

/// An artifact whose header is in order.
#[derive(Clone, Copy, Debug)]
#[doc(hidden)]
pub struct Included<'m>(&'m [u8]);

/// An input or an output of an [`Included`].
#[derive(Clone, Copy, Debug)]
#[doc(hidden)]
pub enum Side {
    /// An input.
    Input,
    /// An output.
    Output,
}

impl<'m> Included<'m> {
    /// Reads the header.
    pub const fn open(bytes: &'m [u8]) -> Self {
        let mut i = 0;
        while i < MAGIC.len() {
            assert!(
                bytes.len() >= Header::BYTES && bytes[i] == MAGIC[i],
                "this is no .niwaki file: `niwaki compile MODEL.onnx -o MODEL.niwaki` makes one"
            );
            i += 1;
        }
        let artifact = Self(bytes);
        let versions = artifact.word(WORDS_AT, VERSIONS);
        let format = versions as u16;
        assert!(
            format >= 1 && format <= FORMAT_VERSION,
            "this .niwaki file has a newer format than the crate niwaki: update the crate"
        );
        assert!(
            (versions >> 16) as u16 == NUMERICS_VERSION,
            "this .niwaki file was compiled for other arithmetic: compile the model anew"
        );
        assert!(
            artifact.word(WORDS_AT, FILE_BYTES) as usize == bytes.len(),
            "this .niwaki file is cut off, or something is behind it: copy it again"
        );
        artifact
    }

    /// The little-endian word `index` words behind the byte `at`.
    const fn word(self, at: usize, index: usize) -> u32 {
        let at = at + index * 4;
        assert!(at + 4 <= self.0.len(), "this .niwaki file is damaged");
        u32::from_le_bytes([self.0[at], self.0[at + 1], self.0[at + 2], self.0[at + 3]])
    }

    /// Start and end of a section.
    const fn section(self, section: Section) -> [usize; 2] {
        let place = SECTIONS + section as usize * 2;
        let start = self.word(WORDS_AT, place) as usize;
        let end = start + self.word(WORDS_AT, place + 1) as usize;
        assert!(end <= self.0.len(), "this .niwaki file is damaged");
        [start, end]
    }

    /// Bytes of activation memory that a session needs.
    pub const fn arena_bytes(self) -> usize {
        session_bytes(self.word(WORDS_AT, ARENA_BYTES) as usize, self.codes())
    }

    /// How many operators there are.
    pub const fn operator_count(self) -> usize {
        self.word(WORDS_AT, OPERATOR_COUNT) as usize
    }

    /// How many inputs or outputs there are.
    pub const fn count(self, side: Side) -> usize {
        self.word(WORDS_AT, INPUT_COUNT + side as usize) as usize
    }

    /// Each kind of operator that there is.
    pub const fn codes(self) -> Codes {
        let [mut at, end] = self.section(Section::Operators);
        let mut codes = Codes::NONE;
        while at < end {
            let first = self.word(at, 0);
            let [low, high, outputs, inputs] = first.to_le_bytes();
            codes = codes.with(u16::from_le_bytes([low, high]));
            let sizes = self.word(at, 1);
            let [parameters, strips] = [sizes & 0xffff, sizes >> 16];
            let strip = if strips > 0 { Strip::WORDS } else { 0 };
            let tensors = (outputs as usize + inputs as usize).div_ceil(2);
            at += (OperatorHeader::WORDS + strip + tensors + parameters as usize) * 4;
        }
        codes
    }

    /// Where the tensor record of an input or output starts.
    const fn tensor(self, side: Side, index: usize) -> usize {
        assert!(
            index < self.count(side),
            "this model has fewer inputs or outputs"
        );
        // The ports of outputs follow those of inputs; each begins with its tensor's index.
        let port = match side {
            Side::Input => index,
            Side::Output => self.count(Side::Input) + index,
        };
        let [ports, _] = self.section(Section::Interface);
        let tensor = self.word(ports, port * Port::WORDS) as usize;
        let [tensors, _] = self.section(Section::Tensors);
        tensors + tensor * Tensor::WORDS * 4
    }

    /// The code of an input's or output's element type.
    pub const fn dtype(self, side: Side, index: usize) -> u8 {
        self.word(self.tensor(side, index), 0) as u8
    }

    /// How many dimensions an input or output has.
    pub const fn rank(self, side: Side, index: usize) -> usize {
        self.word(self.tensor(side, index), 0).to_le_bytes()[2] as usize
    }

    /// The first `RANK` dimensions of an input or output, in memory order.
    pub const fn shape<const RANK: usize>(self, side: Side, index: usize) -> [usize; RANK] {
        assert!(RANK <= MAX_RANK, "this .niwaki file is damaged");
        let record = self.tensor(side, index);
        let mut shape = [0; RANK];
        let mut i = 0;
        while i < RANK {
            shape[i] = self.word(record, 1 + i) as usize;
            i += 1;
        }
        shape
    }

    /// How many elements an input or output has.
    pub const fn elements(self, side: Side, index: usize) -> usize {
        let shape = self.shape::<MAX_RANK>(side, index);
        let mut elements = 1usize;
        let mut i = 0;
        while i < self.rank(side, index) {
            elements *= shape[i];
            i += 1;
        }
        elements
    }

    /// Bytes of all inputs or outputs together.
    pub const fn bytes(self, side: Side) -> usize {
        let mut bytes = 0;
        let mut i = 0;
        while i < self.count(side) {
            bytes += self.elements(side, i) * element_bytes(self.dtype(side, i));
            i += 1;
        }
        bytes
    }
}

/// Stops the build of a program with a model that could not run in it: by an operator set that lacks one of
/// the model's, or an arena of fewer bytes than [`crate::Model::arena_bytes`] says with that set. For
/// programs that take other models too, and whose set and arena are not the model's own.
///
/// # Panics
///
/// When it could not, or when `model` is no artifact: while the program is compiled, in a constant.
pub const fn assert_runs<S: OperatorSet>(model: &[u8], arena: usize) {
    let model = Included::open(model);
    assert!(
        S::CODES.has_all(model.codes()),
        "the model has an operator that this program lacks: `niwaki inspect` shows those of the model"
    );
    let needed = model.word(WORDS_AT, ARENA_BYTES) as usize;
    assert!(
        session_bytes(needed, S::CODES) <= arena,
        "the model needs a larger arena than this program has: compile it with `niwaki compile --ram BYTES`, \
         or give the program a larger arena"
    );
}

/// Bytes that a session needs of an arena that the file says, with these operators.
pub(crate) const fn session_bytes(arena: usize, operators: Codes) -> usize {
    match operators.workspace_bytes() {
        0 => arena,
        // It is aligned as the arena is.
        workspace => arena
            .next_multiple_of(crate::ALIGNMENT)
            .saturating_add(workspace),
    }
}

const fn element_bytes(dtype: u8) -> usize {
    match dtype {
        1 | 2 | 8 => 1,
        3 | 6 => 2,
        4 | 5 => 4,
        7 => 8,
        _ => panic!("this .niwaki file is damaged"),
    }
}

/// The Rust type of an element type's code.
#[doc(hidden)]
pub trait ElementOf {
    /// The type.
    type Element;
    /// Its zero.
    const ZERO: Self::Element;
}

/// An element type's code as a type.
#[derive(Debug)]
#[doc(hidden)]
pub struct Code<const DTYPE: u8>;

macro_rules! elements {
    ($($dtype:ident => $element:ty, $zero:expr;)*) => {
        $(impl ElementOf for Code<{ DataType::$dtype as u8 }> {
            type Element = $element;
            const ZERO: $element = $zero;
        })*
    };
}

elements! {
    I8 => i8, 0;
    U8 => u8, 0;
    I16 => i16, 0;
    U16 => u16, 0;
    I32 => i32, 0;
    F32 => f32, 0.0;
    // An arena is aligned to words: these are two of them, the low one first.
    I64 => [u32; 2], [0; 2];
    Bool => u8, 0;
}

/// Activation memory of `BYTES` bytes, aligned, to be put into a `static`. It is all zeros there, and so
/// takes no flash.
#[derive(Debug)]
#[repr(C, align(16))]
pub struct Arena<const BYTES: usize>([u8; BYTES]);

impl<const BYTES: usize> Arena<BYTES> {
    /// All zeros.
    pub const fn new() -> Self {
        Self([0; BYTES])
    }

    /// What a [`crate::Session`] takes.
    pub fn bytes(&mut self) -> &mut [u8] {
        &mut self.0
    }
}

impl<const BYTES: usize> Default for Arena<BYTES> {
    fn default() -> Self {
        Self::new()
    }
}

/// Puts a model into the program: its bytes, its sizes, the operators that it uses and no others, and the
/// types of its first input and output, all known when the program is compiled.
///
/// The path is relative to the file that calls, as in [`include_bytes!`], or an expression that such a
/// macro takes, such as `concat!(env!("OUT_DIR"), "/kws.niwaki")`. To be called in a module of its own:
///
/// ```ignore
/// mod kws {
///     niwaki::include_model!("../models/kws.niwaki");
/// }
///
/// static ARENA: StaticCell<kws::Arena> = StaticCell::new();
///
/// let mut session = kws::session(ARENA.init(kws::Arena::new()))?; // all checks, once
/// let scores: &kws::Output = kws::run(&mut session, &samples)?;   // no panic, no heap
/// ```
///
/// It defines
///
/// | item | what it is |
/// |---|---|
/// | `MODEL` | the artifact, aligned, in flash |
/// | `ModelOperators` | the set of just its operators |
/// | `ARENA_BYTES`, `Arena` | bytes of activation memory; an aligned type of that size for a `static` |
/// | `OPERATOR_COUNT` | the number of operators |
/// | `INPUT_BYTES`, `OUTPUT_BYTES` | bytes of all inputs, of all outputs |
/// | `Input`, `INPUT_SHAPE` | the first input's type, an array of its elements, and shape, in memory order |
/// | `ZEROS` | an input of zeros, to begin with |
/// | `Output`, `OUTPUT_SHAPE` | the same of the first output |
/// | `session` | checks the model and begins to work with it |
/// | `trusted_session` | the same without a check, for a file that `niwaki-build` has checked |
/// | `run` | runs it on the first input, and gives the first output |
///
/// Models with more inputs or outputs are fed by [`crate::Session::input_as`] and read by
/// [`crate::Session::output_as`]. [`crate::Session::step`] runs one operator at a time, so that other
/// tasks get their turn.
///
/// A file that is none, is cut off or is of another version is an error of the compiler. The rest,
/// with the SHA-256, is checked by `session`.
#[macro_export]
macro_rules! include_model {
    ($path:expr $(,)?) => {
        const BYTES: &[u8] = {
            // Cache lines and vector loads start at multiples of 16.
            #[repr(C, align(16))]
            struct Aligned<T: ?Sized>(T);
            &Aligned(*::core::include_bytes!($path)).0
        };

        const INCLUDED: $crate::include::Included<'static> = $crate::include::Included::open(BYTES);

        /// The artifact, read in place.
        #[allow(
            dead_code,
            unreachable_pub,
            reason = "written for every kind of program"
        )]
        pub static MODEL: &[u8] = BYTES;

        /// Bytes of activation memory that a session needs.
        #[allow(
            dead_code,
            unreachable_pub,
            reason = "written for every kind of program"
        )]
        pub const ARENA_BYTES: usize = INCLUDED.arena_bytes();

        /// Number of operators.
        #[allow(
            dead_code,
            unreachable_pub,
            reason = "written for every kind of program"
        )]
        pub const OPERATOR_COUNT: usize = INCLUDED.operator_count();

        /// Bytes of all inputs together.
        #[allow(
            dead_code,
            unreachable_pub,
            reason = "written for every kind of program"
        )]
        pub const INPUT_BYTES: usize = INCLUDED.bytes($crate::include::Side::Input);

        /// Bytes of all outputs together.
        #[allow(
            dead_code,
            unreachable_pub,
            reason = "written for every kind of program"
        )]
        pub const OUTPUT_BYTES: usize = INCLUDED.bytes($crate::include::Side::Output);

        /// The shape of the first input, in memory order.
        #[allow(
            dead_code,
            unreachable_pub,
            reason = "written for every kind of program"
        )]
        pub const INPUT_SHAPE: [usize; INCLUDED.rank($crate::include::Side::Input, 0)] =
            INCLUDED.shape($crate::include::Side::Input, 0);

        /// The shape of the first output, in memory order.
        #[allow(
            dead_code,
            unreachable_pub,
            reason = "written for every kind of program"
        )]
        pub const OUTPUT_SHAPE: [usize; INCLUDED.rank($crate::include::Side::Output, 0)] =
            INCLUDED.shape($crate::include::Side::Output, 0);

        /// The elements of the first input.
        #[allow(
            dead_code,
            unreachable_pub,
            reason = "written for every kind of program"
        )]
        pub type Input = [<$crate::include::Code<
            { INCLUDED.dtype($crate::include::Side::Input, 0) },
        > as $crate::include::ElementOf>::Element;
            INCLUDED.elements($crate::include::Side::Input, 0)];

        /// A first input of zeros.
        #[allow(
            dead_code,
            unreachable_pub,
            reason = "written for every kind of program"
        )]
        pub const ZEROS: Input = [<$crate::include::Code<
            { INCLUDED.dtype($crate::include::Side::Input, 0) },
        > as $crate::include::ElementOf>::ZERO;
            INCLUDED.elements($crate::include::Side::Input, 0)];

        /// The elements of the first output.
        #[allow(
            dead_code,
            unreachable_pub,
            reason = "written for every kind of program"
        )]
        pub type Output = [<$crate::include::Code<
            { INCLUDED.dtype($crate::include::Side::Output, 0) },
        > as $crate::include::ElementOf>::Element;
            INCLUDED.elements($crate::include::Side::Output, 0)];

        /// The operators that this model uses, and no other.
        #[derive(Debug)]
        #[allow(
            dead_code,
            unreachable_pub,
            reason = "written for every kind of program"
        )]
        pub struct ModelOperators;

        impl $crate::OperatorSet for ModelOperators {
            const CODES: $crate::ops::Codes = INCLUDED.codes();
        }

        /// Activation memory of just the size that this model needs.
        #[allow(
            dead_code,
            unreachable_pub,
            reason = "written for every kind of program"
        )]
        pub type Arena = $crate::Arena<ARENA_BYTES>;

        /// A session of this model.
        #[allow(
            dead_code,
            unreachable_pub,
            reason = "written for every kind of program"
        )]
        pub type Session<'a> = $crate::Session<'static, 'a, ModelOperators>;

        /// Checks the model, once, and begins to work with it.
        ///
        /// # Errors
        ///
        /// When the file is damaged.
        #[allow(
            dead_code,
            unreachable_pub,
            reason = "written for every kind of program"
        )]
        pub fn session(
            arena: &mut Arena,
        ) -> ::core::result::Result<Session<'_>, $crate::LoadError> {
            let model = $crate::Model::new(MODEL)?;
            // The arena has the size that the model names, and so this does not fail.
            $crate::Session::new(&model, arena.bytes()).map_err(|_| $crate::LoadError::Damaged)
        }

        /// Begins to work with the model without a check: see `niwaki::Model::trusted`.
        ///
        /// # Errors
        ///
        /// None for a file that `include_model!` has accepted.
        #[allow(
            dead_code,
            unreachable_pub,
            reason = "written for every kind of program"
        )]
        pub fn trusted_session(
            arena: &mut Arena,
        ) -> ::core::result::Result<Session<'_>, $crate::LoadError> {
            let model = $crate::Model::trusted(MODEL)?;
            $crate::Session::new(&model, arena.bytes()).map_err(|_| $crate::LoadError::Damaged)
        }

        /// Runs the model on its first input, and gives its first output.
        ///
        /// # Errors
        ///
        /// None for a session of this model.
        #[allow(
            dead_code,
            unreachable_pub,
            reason = "written for every kind of program"
        )]
        pub fn run<'s>(
            session: &'s mut Session<'_>,
            input: &Input,
        ) -> ::core::result::Result<&'s Output, $crate::RunError> {
            *session.input_array(0)? = *input;
            session.run()?;
            session.output_array(0)
        }
    };
}
