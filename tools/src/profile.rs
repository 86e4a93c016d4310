//! What each operator of an artifact costs at a home, and what bounds it.

use anyhow::{Result, ensure};
use niwaki::OperatorSet as _;
use serde::Serialize;

use crate::artifact::{Artifact, onnx_shape};
use crate::homes::HomeProfile;

/// A profile of one run.
#[derive(Clone, Debug, Serialize)]
pub struct Profile {
    /// `us` (microseconds of wall time) or `instructions` (executed).
    pub unit: &'static str,
    /// What one run takes that nobody looks at.
    pub run: f64,
    /// What the operators take together.
    pub operators_total: f64,
    /// Multiply-accumulates of one run.
    pub macs: u64,
    /// The highest rate of an operator, in multiply-accumulates per unit: the yardstick of
    /// [`Bound`]. 0 when there are none.
    pub best_rate: f64,
    /// One row for each operator.
    pub layers: Vec<Layer>,
}

/// An operator in a profile.
#[derive(Clone, Debug, Serialize)]
pub struct Layer {
    /// Its number, in order of execution.
    pub index: usize,
    /// Which operator it is.
    pub operator: &'static str,
    /// Name of the output in the ONNX model; empty when stripped.
    pub name: String,
    /// Dimensions of the output in ONNX's order.
    pub shape: Vec<usize>,
    /// What it takes, in the profile's unit.
    pub cost: f64,
    /// Its part of what all operators take, from 0 to 1.
    pub share: f64,
    /// Its multiply-accumulates.
    pub macs: u64,
    /// Multiply-accumulates per unit.
    pub rate: f64,
    /// The part of its cost that its products would take at [`Profile::best_rate`], from 0 to 1.
    pub products: f64,
    /// What bounds it.
    pub bound: Bound,
}

/// What bounds an operator.
///
/// The yardstick is the operator of the same run with the most multiply-accumulates per unit. At
/// that rate the products of another operator would take a part of what it costs: from a half
/// on, it is bound by multiplying; below, by what is around the products.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Bound {
    /// At least half of its cost is products.
    Multiply,
    /// Less than half: loads and stores, padding, rescaling, short loops.
    Overhead,
    /// It has no products: it moves elements, or applies a function to each.
    Memory,
}

impl Bound {
    /// As it is written in a table.
    pub fn name(self) -> &'static str {
        match self {
            Self::Multiply => "multiply",
            Self::Overhead => "overhead",
            Self::Memory => "memory",
        }
    }
}

impl Profile {
    /// What a home has measured of an artifact, layer by layer.
    ///
    /// # Errors
    ///
    /// When it has measured another artifact.
    pub fn of(artifact: &Artifact, measured: &HomeProfile) -> Result<Self> {
        let model = artifact.model()?;
        let tensors = model.tensors();
        let mut layers: Vec<Layer> = model
            .operators()
            .zip(&measured.operators)
            .enumerate()
            .filter_map(|(index, (operator, &cost))| {
                let output = tensors.get(operator.output(0)?)?;
                let macs = model.macs(operator);
                Some(Layer {
                    index,
                    operator: niwaki::All::name(operator.header.code)?,
                    name: model.text(output.name).to_owned(),
                    shape: onnx_shape(&output),
                    cost,
                    share: 0.0,
                    macs,
                    rate: ratio(macs as f64, cost),
                    products: 0.0,
                    bound: Bound::Memory,
                })
            })
            .collect();
        ensure!(
            layers.len() == model.operator_count() && layers.len() == measured.operators.len(),
            "the home measured {} operators, the artifact has {}",
            measured.operators.len(),
            model.operator_count()
        );
        let total: f64 = layers.iter().map(|layer| layer.cost).sum();
        let best = layers.iter().map(|layer| layer.rate).fold(0.0, f64::max);
        for layer in &mut layers {
            layer.share = ratio(layer.cost, total);
            layer.products = ratio(layer.rate, best);
            layer.bound = match layer.macs {
                0 => Bound::Memory,
                _ if layer.products >= 0.5 => Bound::Multiply,
                _ => Bound::Overhead,
            };
        }
        Ok(Self {
            unit: measured.run.unit,
            run: measured.run.value,
            operators_total: total,
            macs: layers.iter().map(|layer| layer.macs).sum(),
            best_rate: best,
            layers,
        })
    }
}

/// A quotient; 0 where there is nothing to divide by.
fn ratio(part: f64, whole: f64) -> f64 {
    if whole > 0.0 { part / whole } else { 0.0 }
}

#[cfg(test)]
mod tests {
    use super::{Bound, Profile};
    use crate::artifact::Artifact;
    use crate::homes::{Cost, HomeProfile};

    fn digits() -> Artifact {
        let root = std::path::PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("..");
        Artifact::read(&root.join("tests/golden/format-1/digits.niwaki")).unwrap()
    }

    fn measured(operators: Vec<f64>) -> HomeProfile {
        let run = Cost {
            value: 1.0,
            unit: "us",
        };
        HomeProfile { run, operators }
    }

    #[test]
    fn the_fastest_products_are_the_yardstick() {
        let artifact = digits();
        let model = artifact.model().unwrap();
        let macs: Vec<u64> = model.operators().map(|o| model.macs(o)).collect();
        let with: Vec<usize> = (0..macs.len()).filter(|&i| macs[i] > 0).collect();
        let without = macs.iter().position(|&macs| macs == 0).unwrap();
        // All products at one rate, but for one layer at the half of it, one just below.
        let mut costs: Vec<f64> = macs.iter().map(|&macs| macs as f64 / 8.0).collect();
        costs[with[1]] *= 2.0;
        costs[with[2]] *= 2.001;
        costs[without] = 7.0;
        let profile = Profile::of(&artifact, &measured(costs.clone())).unwrap();
        let bound = |index: usize| profile.layers[index].bound;
        assert!((profile.best_rate - 8.0).abs() < 1e-9);
        assert_eq!(bound(with[0]), Bound::Multiply);
        assert_eq!(bound(with[1]), Bound::Multiply);
        assert_eq!(bound(with[2]), Bound::Overhead);
        assert_eq!(bound(without), Bound::Memory);
        let shares: f64 = profile.layers.iter().map(|layer| layer.share).sum();
        assert!((shares - 1.0).abs() < 1e-9);
        assert!((profile.operators_total - costs.iter().sum::<f64>()).abs() < 1e-9);
    }

    #[test]
    fn what_was_measured_of_another_model_is_refused() {
        let error = Profile::of(&digits(), &measured(vec![1.0])).unwrap_err();
        assert!(error.to_string().contains("1 operators"), "{error}");
    }
}
