//! Every check that `FORMAT.md`, section 11, lists, held against the reader.
//!
//! A row is an artifact that differs from a valid one in a single thing, and the verdict that the
//! reader has to give: the exact error, or none where the change stays just inside a limit.

mod file;
mod interface;
mod operators;
mod order;
mod parameters;
mod session;
mod strips;
mod tensors;

use std::collections::BTreeSet;
use std::fmt::Display;

use niwaki::artifact::{DataType, Header, Record, Storage, Tensor, Text, Words};
use niwaki::ops::{self, Registered};
use niwaki::{All, LoadError, Model, OperatorSet, OwnedModel, Rule, Section, Session};

use crate::support::{Aligned, Artifact, port};

/// What the reader says.
pub type Verdict = Result<(), LoadError>;

/// See the module.
pub struct Row {
    name: String,
    file: Vec<u8>,
    /// How far the file starts behind an address that fits it.
    shift: usize,
    verdict: Verdict,
}

impl Row {
    pub fn new(name: String, file: Vec<u8>, verdict: Verdict) -> Self {
        Self {
            name,
            file,
            shift: 0,
            verdict,
        }
    }
}

/// Rows from what is written in a table: what is done to which part, the file, the verdict.
fn table<W: Display>(
    part: &str,
    rows: impl IntoIterator<Item = (W, Vec<u8>, Verdict)>,
) -> Vec<Row> {
    rows.into_iter()
        .map(|(what, file, verdict)| Row::new(format!("{part}: {what}"), file, verdict))
        .collect()
}

/// A way to break something, and the verdict on it.
type Break<T> = (fn(&mut T), Verdict);

/// Rows that break one of these rules together with all behind it: the first is reported. What
/// comes first has the last word where two change the same bytes.
fn first_of<T>(
    part: &str,
    breaks: &[Break<T>],
    file: impl Fn(&dyn Fn(&mut T)) -> Vec<u8>,
) -> Vec<Row> {
    let rows = (0..breaks.len()).map(|first| {
        let broken = &breaks[first..];
        let file = file(&|whole| broken.iter().rev().for_each(|(edit, _)| edit(whole)));
        let what = format!("break {first} and all behind it");
        (what, file, broken[0].1)
    });
    table(part, rows)
}

/// Reads a file with the operators of `S`, both ways that there are.
fn load<S: OperatorSet>(file: &[u8], shift: usize) -> Verdict {
    let mut bytes = Aligned::filled(shift + file.len(), 0);
    bytes.bytes_mut()[shift..].copy_from_slice(file);
    let file = &bytes.bytes()[shift..];
    let verdict = Model::<S>::new(file).map(|_| ());
    assert_eq!(OwnedModel::<_, S>::new(file).map(|_| ()), verdict);
    verdict
}

/// Holds the reader against every row, and names all that differ.
fn check(rows: &[Row]) {
    let differing = rows.iter().filter_map(|row| {
        let found = load::<All>(&row.file, row.shift);
        let Row { name, verdict, .. } = row;
        (found != *verdict).then(|| format!("{name}: {found:?}, not {verdict:?}\n"))
    });
    let differing: Vec<String> = differing.collect();
    assert!(
        differing.is_empty(),
        "{} of {} rows differ:\n{}",
        differing.len(),
        rows.len(),
        differing.concat()
    );
}

/// All there are.
fn rows() -> Vec<Row> {
    [
        file::rows(),
        tensors::rows(),
        interface::rows(),
        order::rows(),
        operators::rows(),
        strips::rows(),
    ]
    .into_iter()
    .flatten()
    .collect()
}

// The tensors of `base`, by index.
const A: u16 = 0;
const B: u16 = 1;
const CONSTANT: u16 = 2;
const JOINED: u16 = 3;
const OUTPUT: u16 = 4;
/// Where the next tensor goes.
const NEXT: u16 = 5;

/// A valid artifact to be broken. Two inputs and a constant are joined, and the result is looked
/// up: int8 throughout, so that a step of one byte is the smallest that there is. Tensors lie in
/// the arena without a gap.
fn base() -> Artifact {
    let mut artifact = Artifact {
        strings: "näme".into(),
        provenance: b"{}".into(),
        ..Artifact::default()
    };
    let [a, b] = [8, 4].map(|len| artifact.push_activation(DataType::I8, &[len]));
    // The table of the lookup, then the constant.
    artifact.data.bytes = vec![0; 256 + 4];
    artifact.tensors.push(Tensor {
        storage: Storage::Data,
        offset: 256,
        ..artifact.tensors[usize::from(b)]
    });
    let [joined, output] = [16; 2].map(|len| artifact.push_activation(DataType::I8, &[len]));
    artifact.operators = vec![concat(JOINED, &[A, B, CONSTANT]), lookup(OUTPUT, JOINED)];
    artifact.inputs = vec![port(a), port(b)];
    artifact.outputs = vec![port(output)];
    for tensor in &mut artifact.tensors {
        tensor.name = Text { offset: 0, len: 5 };
    }
    assert_eq!([a, b, joined, output], [A, B, JOINED, OUTPUT]);
    artifact
}

/// `base` with its parts changed.
fn parts(edit: impl FnOnce(&mut Artifact)) -> Vec<u8> {
    let mut artifact = base();
    edit(&mut artifact);
    artifact.file()
}

/// `base` with another header; the SHA-256 is right.
fn header(edit: impl FnOnce(&mut Header)) -> Vec<u8> {
    base().file_with(edit)
}

/// `base` with other bytes, and a SHA-256 that is right again.
fn sealed(edit: impl FnOnce(&mut Vec<u8>)) -> Vec<u8> {
    let mut file = raw(edit);
    Header::read(&mut Words::new(&file[40..]))
        .unwrap()
        .seal(&mut file);
    file
}

/// `base` with other bytes, and the SHA-256 that it had.
fn raw(edit: impl FnOnce(&mut Vec<u8>)) -> Vec<u8> {
    let mut file = base().file();
    edit(&mut file);
    file
}

/// An operator record, written from `FORMAT.md`, section 5.
fn record(code: u16, outputs: &[u16], inputs: &[u16], parameters: &[u32]) -> Vec<u32> {
    let [low, high] = code.to_le_bytes();
    let counts = [outputs.len() as u8, inputs.len() as u8];
    let head = u32::from_le_bytes([low, high, counts[0], counts[1]]);
    let tensors = [outputs, inputs].concat();
    let pairs = tensors
        .chunks(2)
        .map(|pair| u32::from(pair[0]) | u32::from(pair.get(1).copied().unwrap_or(0)) << 16);
    [head, parameters.len() as u32]
        .into_iter()
        .chain(pairs)
        .chain(parameters.iter().copied())
        .collect()
}

fn concat(output: u16, inputs: &[u16]) -> Vec<u32> {
    record(ops::Concat::CODE, &[output], inputs, &[1])
}

fn lookup(output: u16, input: u16) -> Vec<u32> {
    record(ops::LookupI8::CODE, &[output], &[input], &[0])
}

fn section(section: Section) -> Verdict {
    Err(LoadError::Section(section))
}

fn tensor(index: u16, rule: Rule) -> Verdict {
    let index = u32::from(index);
    Err(LoadError::Tensor { index, rule })
}

/// The interface counts inputs first: 0 and 1 are the inputs of `base`, 2 is its output.
fn interface_record(index: u32, rule: Rule) -> Verdict {
    Err(LoadError::Interface { index, rule })
}

fn operator(index: u32, rule: Rule) -> Verdict {
    Err(LoadError::Operator { index, rule })
}

/// Lists the rules by their names. One that is missing here does not compile.
macro_rules! rules {
    ($($rule:ident $(($of:pat))?),* $(,)?) => {
        const RULES: &[&str] = &[$(stringify!($rule)),*];

        fn name_of(rule: Rule) -> &'static str {
            match rule {
                $(Rule::$rule $(($of))? => stringify!($rule),)*
            }
        }
    };
}

rules! {
    Truncated,
    UnknownOperator(_),
    Count,
    TensorIndex,
    DataType,
    Shape,
    ShapeMismatch,
    Placement,
    Data,
    Parameter,
    ReadBeforeWrite,
    Overwritten,
    WritesInput,
    Text,
    Strips,
}

/// The rule of a record that an error names.
fn rule_of(error: LoadError) -> Option<Rule> {
    match error {
        LoadError::Tensor { rule, .. }
        | LoadError::Operator { rule, .. }
        | LoadError::Interface { rule, .. } => Some(rule),
        _ => None,
    }
}

#[test]
fn every_rule_is_broken() {
    let broken = rows().into_iter().filter_map(|row| row.verdict.err());
    let mut broken: BTreeSet<&str> = broken.filter_map(rule_of).map(name_of).collect();
    // The section is as long as its records before one of them is read, so no file breaks this.
    assert!(broken.insert("Truncated"));
    assert_eq!(broken, RULES.iter().copied().collect());
}

/// The tables of the section say in their last column which error a check gives.
#[test]
fn the_errors_are_those_that_the_format_names() {
    let format = include_str!("../../FORMAT.md");
    let (_, section) = format.split_once("\n## 11 ").unwrap();
    let (section, _) = section.split_once("\n## 12 ").unwrap();
    let name = |text: &str| {
        let end = text.find(|c: char| !c.is_alphanumeric());
        text[..end.unwrap_or(text.len())].to_owned()
    };
    let cells = section
        .lines()
        .filter_map(|line| line.strip_suffix("` |")?.rsplit_once("| `"));
    let errors = cells.map(|(_, error)| name(error));
    // The last column of the ranges holds formulas.
    let named: BTreeSet<String> = errors
        .filter(|name| name.starts_with(char::is_uppercase))
        .collect();

    let errors = rows().into_iter().filter_map(|row| row.verdict.err());
    let given = errors.map(|error| match rule_of(error) {
        Some(rule) => name_of(rule).to_owned(),
        None => name(&format!("{error:?}")),
    });
    assert_eq!(named, given.collect());
}

/// A row shows something only if the artifact that it changes has nothing else wrong with it.
#[test]
fn what_is_not_broken_runs() {
    let kinds = operators::KINDS
        .iter()
        .map(|kind| (kind.name, kind.artifact()));
    for (name, artifact) in kinds.chain([("base", base()), ("strips", strips::base())]) {
        let file = Aligned::copy_of(&artifact.file());
        let model: Model<'_> =
            Model::new(file.bytes()).unwrap_or_else(|error| panic!("{name}: {error}"));
        let mut arena = Aligned::filled(model.arena_bytes(), 0);
        let mut session = Session::new(&model, arena.bytes_mut()).unwrap();
        assert_eq!(session.run(), Ok(()), "{name}");
    }
}
