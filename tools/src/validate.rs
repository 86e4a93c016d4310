//! The artifact against the reference, home by home.

use anyhow::{Result, ensure};
use serde::Serialize;

use crate::artifact::{Artifact, SampleResult, real_values};
use crate::data::{Elements, Samples};
use crate::homes::{self, Attempt, Cost, Home};

/// What validation found at one home.
#[derive(Clone, Debug, Serialize)]
pub struct HomeReport {
    /// The home's name.
    pub home: &'static str,
    /// `ok`, or `not_run` when something is missing on this machine.
    pub status: &'static str,
    /// What is missing, and the command that installs it.
    pub reason: Option<String>,
    /// Number of samples that ran.
    pub samples: usize,
    /// Every operator's output and every output of the model has the bytes that the host has.
    pub same_bits: bool,
    /// Sample and operator of the first difference from the host.
    pub first_difference: Option<Difference>,
    /// The artifact's golden vector gave the digests that the compiler stored.
    pub self_test: bool,
    /// Digest of every operator's output for the first sample, in hexadecimal.
    pub digests: Vec<String>,
    /// Largest difference from the reference, over all outputs, in real units.
    pub max_abs_error: f64,
    /// The same, relative to the largest output of the reference.
    pub max_relative_error: f64,
    /// Share of samples whose largest element of output 0 is the reference's.
    pub argmax_agreement: f64,
    /// Share of samples whose largest element of output 0 is the label.
    pub accuracy: Option<f64>,
    /// The same, of the reference.
    pub reference_accuracy: Option<f64>,
    /// What one run takes.
    pub cost: Option<Cost>,
}

/// Where two homes first differ.
#[derive(Clone, Debug, Serialize)]
pub struct Difference {
    /// Index of the sample.
    pub sample: usize,
    /// Index of the operator.
    pub operator: usize,
    /// Name of its output.
    pub layer: String,
}

impl HomeReport {
    fn not_run(home: Home, reason: String) -> Self {
        Self {
            home: home.name(),
            status: "not_run",
            reason: Some(reason),
            samples: 0,
            same_bits: false,
            first_difference: None,
            self_test: false,
            digests: Vec::new(),
            max_abs_error: 0.0,
            max_relative_error: 0.0,
            argmax_agreement: 0.0,
            accuracy: None,
            reference_accuracy: None,
            cost: None,
        }
    }
}

/// Index of the largest element; the first one among equals.
pub fn argmax(values: &[f64]) -> usize {
    let mut best = 0;
    for (i, v) in values.iter().enumerate() {
        if *v > values[best] {
            best = i;
        }
    }
    best
}

/// The outputs of all samples in real units.
struct Reals(Vec<Vec<Vec<f64>>>);

impl Reals {
    fn of_results(artifact: &Artifact, results: &[SampleResult]) -> Result<Self> {
        let model = artifact.model()?;
        let sample = |result: &SampleResult| {
            let outputs = result.outputs.iter().enumerate();
            outputs
                .filter_map(|(i, bytes)| {
                    let tensor = model.output(i)?;
                    let elements = Elements::from_bytes(tensor.dtype, bytes);
                    Some(real_values(&tensor, &elements))
                })
                .collect()
        };
        Ok(Self(results.iter().map(sample).collect()))
    }

    fn of_reference(artifact: &Artifact, reference: &Samples) -> Result<Self> {
        let model = artifact.model()?;
        let sample = |row: &Vec<Elements>| {
            let outputs = row.iter().enumerate();
            outputs
                .map(|(i, elements)| match model.output(i) {
                    // Integers of the reference mean what the artifact's integers mean.
                    Some(tensor) if !matches!(elements, Elements::F32(_)) => {
                        real_values(&tensor, elements)
                    }
                    _ => elements.to_f64(),
                })
                .collect()
        };
        Ok(Self(reference.samples.iter().map(sample).collect()))
    }

    fn accuracy(&self, labels: &[i64]) -> f64 {
        let right = self.0.iter().zip(labels).filter(|(outputs, label)| {
            outputs
                .first()
                .is_some_and(|scores| argmax(scores) as i64 == **label)
        });
        right.count() as f64 / self.0.len().max(1) as f64
    }
}

/// Runs the samples at every home and compares.
///
/// # Errors
///
/// When a home fails, or reference and labels do not fit the samples.
pub fn validate(
    artifact: &Artifact,
    samples: &Samples,
    reference: &Samples,
    labels: Option<&[i64]>,
    homes: &[Home],
) -> Result<Vec<HomeReport>> {
    let count = samples.samples.len();
    ensure!(
        reference.samples.len() == count,
        "the reference has {} samples, the data {count}",
        reference.samples.len()
    );
    if let Some(labels) = labels {
        ensure!(
            labels.len() == count,
            "there are {} labels for {count} samples",
            labels.len()
        );
    }
    let expected = Reals::of_reference(artifact, reference)?;
    for (ours, theirs) in artifact.output_slots()?.iter().zip(&expected.0[0]) {
        let len: usize = ours.shape.iter().product();
        ensure!(
            len == theirs.len(),
            "output `{}` has {len} elements, the reference's {}",
            ours.name,
            theirs.len()
        );
    }
    let host = artifact.run(samples)?;
    let mut reports = Vec::new();
    for &home in homes {
        let run = match homes::run(home, artifact, samples)? {
            Attempt::Ran(run) => run,
            Attempt::NotRun(reason) => {
                reports.push(HomeReport::not_run(home, reason));
                continue;
            }
        };
        let found = Reals::of_results(artifact, &run.results)?;
        let first_difference = first_difference(artifact, &host, &run.results)?;
        let mut agreed = 0;
        let (mut worst, mut largest) = (0.0f64, 0.0f64);
        for (ours, theirs) in found.0.iter().zip(&expected.0) {
            agreed += usize::from(argmax(&ours[0]) == argmax(&theirs[0]));
            for (a, b) in ours.iter().flatten().zip(theirs.iter().flatten()) {
                worst = worst.max((a - b).abs());
                largest = largest.max(b.abs());
            }
        }
        let same_outputs = host
            .iter()
            .zip(&run.results)
            .all(|(a, b)| a.outputs == b.outputs);
        reports.push(HomeReport {
            home: home.name(),
            status: "ok",
            reason: None,
            samples: count,
            same_bits: first_difference.is_none() && same_outputs,
            first_difference,
            self_test: run.self_test.is_none(),
            digests: hexadecimal(run.results.first()),
            max_abs_error: worst,
            max_relative_error: if largest > 0.0 {
                worst / largest
            } else {
                worst
            },
            argmax_agreement: agreed as f64 / count as f64,
            accuracy: labels.map(|labels| found.accuracy(labels)),
            reference_accuracy: labels.map(|labels| expected.accuracy(labels)),
            cost: Some(run.cost),
        });
    }
    Ok(reports)
}

fn hexadecimal(result: Option<&SampleResult>) -> Vec<String> {
    let digests = result.into_iter().flat_map(|result| &result.digests);
    digests.map(|digest| format!("{digest:016x}")).collect()
}

/// The first sample and operator whose digests differ.
fn first_difference(
    artifact: &Artifact,
    host: &[SampleResult],
    there: &[SampleResult],
) -> Result<Option<Difference>> {
    let model = artifact.model()?;
    for (sample, (a, b)) in host.iter().zip(there).enumerate() {
        let differs = a.digests.iter().zip(&b.digests).position(|(a, b)| a != b);
        if let Some(operator) = differs {
            let output = model.operators().nth(operator).and_then(|op| op.output(0));
            let tensor = output.and_then(|index| model.tensors().get(index));
            return Ok(Some(Difference {
                sample,
                operator,
                layer: tensor.map_or(String::new(), |t| model.text(t.name).to_owned()),
            }));
        }
    }
    Ok(None)
}
