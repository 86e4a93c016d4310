//! What can be wrong: with a file (found at load), with a call (found at once), with us (a fault).

use core::fmt;

/// A section of an artifact, in file order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[repr(u8)]
pub enum Section {
    /// Tensor records.
    Tensors,
    /// Operator records, in execution order.
    Operators,
    /// Weights, biases, multipliers and tables.
    Data,
    /// Inputs, then outputs.
    Interface,
    /// Golden vectors.
    Golden,
    /// UTF-8 text: names and labels.
    Strings,
    /// Provenance as JSON.
    Provenance,
}

impl Section {
    /// Every section, in file order.
    pub const ALL: [Self; 7] = [
        Self::Tensors,
        Self::Operators,
        Self::Data,
        Self::Interface,
        Self::Golden,
        Self::Strings,
        Self::Provenance,
    ];

    /// The section's name as `FORMAT.md` has it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Tensors => "tensors",
            Self::Operators => "operators",
            Self::Data => "data",
            Self::Interface => "interface",
            Self::Golden => "golden",
            Self::Strings => "strings",
            Self::Provenance => "provenance",
        }
    }
}

/// A rule of the format that a record breaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Rule {
    /// The record ends before its last field.
    Truncated,
    /// The operator's code is not in the operator set that this program was built with.
    UnknownOperator(u16),
    /// The operator has another number of inputs, outputs or parameter words than its kind has.
    Count,
    /// A tensor index is beyond the tensor table.
    TensorIndex,
    /// The data type's code is unknown, or not one that this place takes.
    DataType,
    /// A tensor has more than six dimensions, a dimension of zero, or too many elements.
    Shape,
    /// Shapes of the operator's tensors do not agree with its parameters.
    ShapeMismatch,
    /// A tensor lies outside the arena or the data section, or is not aligned.
    Placement,
    /// Weights, bias, multipliers or a table lie outside the data section, or are not aligned.
    Data,
    /// A parameter is outside its range.
    Parameter,
    /// A tensor is read before anything has written it.
    ReadBeforeWrite,
    /// A tensor is overwritten between the operator that writes it and one that reads it.
    Overwritten,
    /// An operator writes over one of its own inputs, or into the data section.
    WritesInput,
    /// Text is not UTF-8, or lies outside the strings section.
    Text,
    /// Operators that are run in strips do not fit together: rows have no room, are read when they
    /// are not there, or are written over before they are read.
    Strips,
}

impl Rule {
    /// Every rule.
    pub const ALL: [Self; 15] = [
        Self::Truncated,
        Self::UnknownOperator(0),
        Self::Count,
        Self::TensorIndex,
        Self::DataType,
        Self::Shape,
        Self::ShapeMismatch,
        Self::Placement,
        Self::Data,
        Self::Parameter,
        Self::ReadBeforeWrite,
        Self::Overwritten,
        Self::WritesInput,
        Self::Text,
        Self::Strips,
    ];

    /// The sentence of [`fmt::Display`]; a number that belongs into it is in its middle.
    fn pieces(self) -> [Piece; 3] {
        Piece::line([Piece::Text(match self {
            Self::Truncated => "the record is cut off",
            Self::UnknownOperator(code) => {
                return [
                    Piece::Text("operator code "),
                    Piece::Number(u32::from(code)),
                    Piece::Text(" is not in this program's operator set"),
                ];
            }
            Self::Count => "wrong number of inputs, outputs or parameters",
            Self::TensorIndex => "tensor index beyond the tensor table",
            Self::DataType => "data type unknown or not accepted here",
            Self::Shape => "shape with more than six or too large dimensions",
            Self::ShapeMismatch => "tensor shapes do not agree with the parameters",
            Self::Placement => "tensor outside the arena or data section, or misaligned",
            Self::Data => "weights outside the data section, or misaligned",
            Self::Parameter => "parameter out of range",
            Self::ReadBeforeWrite => "tensor read before it is written",
            Self::Overwritten => "tensor overwritten before its last use",
            Self::WritesInput => "operator writes over its own input or a constant",
            Self::Text => "text is not UTF-8 or outside the strings section",
            Self::Strips => "operators run in strips do not fit together",
        })])
    }
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        Piece::write(&self.pieces(), f)
    }
}

/// A piece of a message, for programs that have no room for [`core::fmt`]: see
/// [`LoadError::pieces`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Piece {
    /// To be written as it is; may be empty.
    Text(&'static str),
    /// To be written in decimal digits.
    Number(u32),
}

impl Piece {
    /// The pieces, and empty ones behind them.
    fn line<const FEW: usize, const N: usize>(pieces: [Self; FEW]) -> [Self; N] {
        let mut line = [Self::Text(""); N];
        for (to, from) in line.iter_mut().zip(pieces) {
            *to = from;
        }
        line
    }

    fn write(pieces: &[Self], f: &mut fmt::Formatter<'_>) -> fmt::Result {
        pieces.iter().try_for_each(|piece| match piece {
            Self::Text(text) => f.write_str(text),
            Self::Number(number) => write!(f, "{number}"),
        })
    }
}

/// Why a file was refused. Nothing has been run, nothing has been written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum LoadError {
    /// The bytes do not begin with the magic of a niwaki artifact.
    NotAnArtifact,
    /// The file is shorter than its header says.
    Truncated {
        /// Bytes that the header asks for.
        needed: u32,
        /// Bytes that are there.
        found: u32,
    },
    /// The file was written for a newer format than this program reads.
    NewerFormat {
        /// Version in the file.
        found: u16,
        /// Newest version that this program reads.
        newest: u16,
    },
    /// The file was made for another version of the numeric contract.
    OtherNumerics {
        /// Version in the file.
        found: u16,
        /// Version that this program computes by.
        supported: u16,
    },
    /// The SHA-256 in the header is not that of the bytes: the file was damaged on its way.
    Damaged,
    /// The slice does not start at a multiple of [`crate::ALIGNMENT`] bytes in memory.
    Misaligned,
    /// A section lies outside the file, or is not a whole number of records.
    Section(Section),
    /// A tensor record breaks a rule.
    Tensor {
        /// Index in the tensor table.
        index: u32,
        /// What it breaks.
        rule: Rule,
    },
    /// An operator record breaks a rule.
    Operator {
        /// Index in execution order.
        index: u32,
        /// What it breaks.
        rule: Rule,
    },
    /// An input, output or golden record breaks a rule.
    Interface {
        /// Index among inputs and outputs.
        index: u32,
        /// What it breaks.
        rule: Rule,
    },
}

impl LoadError {
    /// The sentence of its [`fmt::Display`] in pieces.
    pub fn pieces(&self) -> [Piece; 6] {
        use Piece::{Number, Text};
        let of_record = |what, index: &u32, rule: &Rule| {
            let [a, b, c] = rule.pieces();
            [Text(what), Number(*index), Text(": "), a, b, c]
        };
        match self {
            Self::NotAnArtifact => Piece::line([Text(
                "not a niwaki artifact: make one with `niwaki compile MODEL.onnx -o MODEL.niwaki`",
            )]),
            Self::Truncated { needed, found } => Piece::line([
                Text("the file is cut off: "),
                Number(*found),
                Text(" bytes of "),
                Number(*needed),
                Text("; copy it again"),
            ]),
            Self::NewerFormat { found, newest } => Piece::line([
                Text("the file has format version "),
                Number(u32::from(*found)),
                Text(", this program reads up to "),
                Number(u32::from(*newest)),
                Text(": update the program or compile the model again with its version of niwaki"),
            ]),
            Self::OtherNumerics { found, supported } => Piece::line([
                Text("the file was made for numeric contract "),
                Number(u32::from(*found)),
                Text(", this program computes by "),
                Number(u32::from(*supported)),
                Text(": compile the model again"),
            ]),
            Self::Damaged => Piece::line([Text(
                "the file is damaged: its SHA-256 is not the one in its header; copy it again or compile the model again",
            )]),
            Self::Misaligned => Piece::line([
                Text("the model's bytes must start at a multiple of "),
                Number(crate::ALIGNMENT as u32),
                Text(" in memory"),
            ]),
            Self::Section(section) => Piece::line([
                Text("section `"),
                Text(section.name()),
                Text("` is outside the file or not whole"),
            ]),
            Self::Tensor { index, rule } => of_record("tensor ", index, rule),
            Self::Operator { index, rule } => of_record("operator ", index, rule),
            Self::Interface { index, rule } => of_record("input or output ", index, rule),
        }
    }
}

impl fmt::Display for LoadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        Piece::write(&self.pieces(), f)
    }
}

impl core::error::Error for LoadError {}

/// An operator met what the checks at load exclude. It is a defect of this crate: the outputs of
/// the run are not valid, no memory has been harmed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Fault;

/// Why a call on a session was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum RunError {
    /// The arena is smaller than the artifact asks for.
    ArenaTooSmall {
        /// Bytes that the model needs.
        needed: u32,
        /// Bytes that were given.
        found: u32,
    },
    /// The arena does not start at a multiple of [`crate::ALIGNMENT`] bytes.
    ArenaMisaligned,
    /// There is no input or output of that index.
    NoSuchTensor {
        /// The index asked for.
        index: u32,
    },
    /// The element type asked for is not that of the tensor.
    WrongType {
        /// The index asked for.
        index: u32,
    },
    /// An operator met what the checks at load exclude: please report it, with the model.
    Internal {
        /// The operator's index in execution order.
        operator: u32,
    },
}

impl fmt::Display for RunError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ArenaTooSmall { needed, found } => {
                write!(f, "the arena has {found} bytes, the model needs {needed}")
            }
            Self::ArenaMisaligned => write!(
                f,
                "the arena must start at a multiple of {} in memory",
                crate::ALIGNMENT
            ),
            Self::NoSuchTensor { index } => write!(f, "the model has no input or output {index}"),
            Self::WrongType { index } => {
                write!(f, "input or output {index} has another element type")
            }
            Self::Internal { operator } => write!(
                f,
                "internal fault in operator {operator}: please report it, with the model"
            ),
        }
    }
}

impl core::error::Error for RunError {}
