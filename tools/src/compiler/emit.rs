//! The artifact's bytes.

use std::collections::{BTreeMap, HashMap};

use niwaki::artifact::{Golden, Header, Port, Record, Storage, Text};
use niwaki::{LoadError, Model, Section, Session};

use anyhow::{Context as _, Result, ensure};

use super::plan::Plan;
use super::select::Selected;
use super::work;

/// Seed of every golden vector.
const GOLDEN_SEED: u32 = 0x6e69_7761;

/// What goes into an artifact beside operators and weights.
#[derive(Clone, Debug, Default)]
pub struct Extras {
    /// Names, labels and provenance are left out.
    pub strip: bool,
    /// Smallest and largest value of each input, and then of each output.
    pub ranges: Vec<(f32, f32)>,
    /// Labels of output 0.
    pub labels: Vec<String>,
    /// Of inputs by their names, what to do with raw data, as JSON.
    pub preprocess: BTreeMap<String, String>,
    /// Where the model came from, as JSON.
    pub provenance: String,
    /// Steps that the run of the golden vector may take; with 0 there is no such vector.
    pub golden_steps: u64,
}

/// Text under construction, and where each string is.
#[derive(Default)]
struct Strings {
    text: String,
    places: HashMap<String, usize>,
}

impl Strings {
    fn add(&mut self, text: &str) -> Text {
        if text.is_empty() {
            return Text::EMPTY;
        }
        let offset = match self.places.get(text) {
            Some(&offset) => offset,
            None => {
                let offset = self.text.len();
                self.text.push_str(text);
                self.places.insert(text.to_owned(), offset);
                offset
            }
        };
        Text {
            offset: offset as u32,
            len: text.len() as u32,
        }
    }
}

fn words(record: &impl Record, bytes: &mut Vec<u8>) {
    record.write(&mut |word| bytes.extend(word.to_le_bytes()));
}

/// Serialises the artifact, runs its golden vector once to store the digests, and gives the
/// bytes as words, aligned as a model has to be.
///
/// # Errors
///
/// When the run would take longer than allowed, and when the runtime refuses what was written: a
/// defect of the compiler.
pub fn emit(selected: &Selected, plan: &Plan, extras: &Extras) -> Result<Vec<u32>> {
    let without = serialise(selected, plan, extras, &[])?;
    let bytes = niwaki::as_bytes(&without);
    let model: Model<'_> = Model::new(bytes).map_err(|error| refusal(selected, error))?;
    if extras.golden_steps == 0 {
        return Ok(without);
    }
    work::check_run(&model, extras.golden_steps).context(
        "the golden vector, by which an artifact tests itself, is too long a run: give --golden-steps a larger number, or 0 for an artifact without such a vector",
    )?;
    let digests = golden_digests(&model).context("the compiled model does not run")?;
    serialise(selected, plan, extras, &digests)
}

/// The runtime's refusal, with the layer's name. What only the runtime bounds, such as the window
/// of a pool, comes up here.
fn refusal(selected: &Selected, error: LoadError) -> anyhow::Error {
    let builder = &selected.builder;
    let tensor = match error {
        LoadError::Operator { index, .. } => {
            let operator = builder.operators.get(index as usize);
            operator.and_then(|operator| builder.tensors.get(operator.output))
        }
        LoadError::Tensor { index, .. } => builder.tensors.get(index as usize),
        _ => None,
    };
    let name = tensor.map_or_else(String::new, |tensor| format!("`{}`: ", tensor.name));
    anyhow::Error::new(error).context(format!(
        "{name}the runtime has no room for this layer as it is, its sizes or parameters are too large"
    ))
}

fn golden_digests(model: &Model<'_>) -> Result<Vec<u64>> {
    let mut arena = vec![0u32; model.arena_bytes().div_ceil(4)];
    let mut session = Session::new(model, niwaki::as_bytes_mut(&mut arena))?;
    session.fill_golden_inputs(GOLDEN_SEED)?;
    let mut digests = Vec::new();
    session.run_digests(&mut |_, digest| digests.push(digest.0))?;
    Ok(digests)
}

/// Serialises the artifact with these digests of its golden vector; with none, it has no such
/// vector.
///
/// # Errors
///
/// When it exceeds a limit of the format.
pub fn serialise(
    selected: &Selected,
    plan: &Plan,
    extras: &Extras,
    digests: &[u64],
) -> Result<Vec<u32>> {
    let builder = &selected.builder;
    let mut strings = Strings::default();
    let name = |strings: &mut Strings, text: &str| match extras.strip {
        true => Text::EMPTY,
        false => strings.add(text),
    };

    let mut interface = Vec::new();
    for (i, (tensor, port)) in selected.inputs.iter().chain(&selected.outputs).enumerate() {
        let (low, high) = extras.ranges.get(i).copied().unwrap_or((0.0, 1.0));
        let labels = match i == selected.inputs.len() {
            true => extras.labels.join("\n"),
            false => String::new(),
        };
        let preprocessing = match i < selected.inputs.len() {
            true => extras.preprocess.get(port).cloned().unwrap_or_default(),
            false => String::new(),
        };
        let port = Port {
            tensor: *tensor as u32,
            low,
            high,
            // Ports keep their names: callers find them by name.
            name: strings.add(port),
            labels: strings.add(&labels),
            preprocessing: strings.add(&preprocessing),
        };
        words(&port, &mut interface);
    }
    let mut tensors = Vec::new();
    for (tensor, &offset) in builder.tensors.iter().zip(&plan.offsets) {
        let mut record = tensor.record();
        record.name = name(&mut strings, &tensor.name);
        record.offset = offset as u32;
        if let Some(data) = tensor.data {
            record.storage = Storage::Data;
            record.offset = data;
        }
        words(&record, &mut tensors);
    }
    let tensor_count = builder.tensors.len();
    ensure!(
        u16::try_from(tensor_count).is_ok(),
        "the model has {tensor_count} tensors; 65535 are supported"
    );
    let records = builder
        .operators
        .iter()
        .flat_map(|operator| &operator.record);
    let operators: Vec<u8> = records.flat_map(|word| word.to_le_bytes()).collect();
    let mut golden = Vec::new();
    if !digests.is_empty() {
        let seed = GOLDEN_SEED;
        words(&Golden { seed, reserved: 0 }, &mut golden);
        golden.extend(digests.iter().flat_map(|digest| digest.to_le_bytes()));
    }
    let provenance = if extras.strip { "" } else { &extras.provenance };

    let sections: [&[u8]; 7] = [
        &tensors,
        &operators,
        &builder.data,
        &interface,
        &golden,
        strings.text.as_bytes(),
        provenance.as_bytes(),
    ];
    let mut file = vec![0u8; Header::BYTES];
    let mut header = Header::new();
    for (section, bytes) in Section::ALL.into_iter().zip(sections) {
        file.resize(file.len().next_multiple_of(16), 0);
        header.sections[section as usize] = [file.len() as u32, bytes.len() as u32];
        file.extend(bytes);
    }
    file.resize(file.len().next_multiple_of(16), 0);
    header.file_bytes = u32::try_from(file.len()).context("the artifact exceeds 4 GiB")?;
    header.arena_bytes = u32::try_from(plan.arena_bytes).context("the arena exceeds 4 GiB")?;
    header.operator_count = builder.operators.len() as u32;
    header.input_count = selected.inputs.len() as u32;
    header.output_count = selected.outputs.len() as u32;
    header.seal(&mut file);
    let words = file.as_chunks::<4>().0;
    Ok(words.iter().map(|word| u32::from_le_bytes(*word)).collect())
}
