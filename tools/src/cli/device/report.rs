//! What `niwaki device` prints: text for people, or JSON.

use std::fmt::Write as _;
use std::process::ExitCode;

use anyhow::Result;
use niwaki::OperatorSet as _;
use niwaki_tools::artifact::{Artifact, SampleResult};
use niwaki_tools::device::{BoardInfo, BoardModel};
use niwaki_wire::{Drift, InputStatistics, Statistics};
use serde_json::{Value, json};

use super::super::{table, thousands};

/// Bytes or a cost, with its thousands set apart.
fn number(value: impl Into<u64>) -> String {
    thousands(value.into())
}

/// What a command has found.
pub(super) struct Report {
    text: String,
    json: Value,
    failed: bool,
}

impl Report {
    fn new(text: String, json: Value) -> Self {
        Self {
            text,
            json,
            failed: false,
        }
    }

    /// Appends another one.
    pub(super) fn add(&mut self, other: &Self) {
        self.text.push_str(&other.text);
        self.failed |= other.failed;
        if let (Some(all), Some(more)) = (self.json.as_object_mut(), other.json.as_object()) {
            all.extend(more.clone());
        }
    }

    /// Says how often the line has failed, if it has.
    pub(super) fn retries(&mut self, retries: u32) {
        self.add(&Self::new(String::new(), json!({ "retries": retries })));
        if retries > 0 {
            let _ = writeln!(self.text, "{retries} requests had to be sent again");
        }
    }

    pub(super) fn print(&self, json: bool) -> Result<()> {
        if json {
            println!("{}", serde_json::to_string_pretty(&self.json)?);
        } else {
            print!("{}", self.text);
        }
        Ok(())
    }

    pub(super) fn exit_code(&self) -> ExitCode {
        ExitCode::from(u8::from(self.failed))
    }

    pub(super) fn info(info: &BoardInfo) -> Result<Self> {
        let mut text = format!(
            "board     {}, firmware {}\n\
             reads     format {}, numerics {}\n\
             slot      {} bytes{}\n\
             arena     {} bytes\n",
            info.board,
            info.firmware,
            info.format,
            info.numerics,
            number(info.slot_bytes),
            if info.uploaded {
                ", with a model that can be activated"
            } else {
                ""
            },
            number(info.arena_bytes),
        );
        match &info.model {
            Some(model) => text += &model_text(model),
            None => text += "model     none\n",
        }
        if let Some(reason) = &info.refused {
            let _ = writeln!(text, "refused   {reason}");
        }
        Ok(Self::new(text, serde_json::to_value(info)?))
    }

    pub(super) fn activated(model: &BoardModel) -> Self {
        Self::new(model_text(model), json!({ "model": model }))
    }

    pub(super) fn uploaded((bytes, seconds): (usize, f64)) -> Self {
        let rate = bytes as f64 / seconds;
        let text = format!(
            "{} bytes uploaded in {seconds:.2} s, {} bytes a second\n",
            number(bytes as u64),
            number(rate as u64)
        );
        let json = json!({ "bytes": bytes, "seconds": seconds, "bytes_per_second": rate });
        Self::new(text, json)
    }

    pub(super) fn self_test(golden: bool, first_difference: Option<u32>) -> Self {
        let text = match (golden, first_difference) {
            (false, _) => "no golden vector in this model\n".to_owned(),
            (true, None) => "self-test passed, every layer has its golden bits\n".to_owned(),
            (true, Some(i)) => format!("self-test FAILED, operator {i} is the first to differ\n"),
        };
        let json = json!({ "golden": golden, "first_difference": first_difference });
        Self {
            failed: first_difference.is_some(),
            ..Self::new(text, json)
        }
    }

    pub(super) fn run(
        unit: &str,
        results: &[SampleResult],
        costs: &[u64],
        expected: Option<&[SampleResult]>,
        drifted: bool,
        seconds: f64,
    ) -> Self {
        let mean = costs.iter().sum::<u64>() / costs.len().max(1) as u64;
        let mut text = format!(
            "{} samples in {seconds:.2} s, {} {unit} each\n",
            results.len(),
            number(mean)
        );
        let mut json = json!({
            "samples": results.len(),
            "seconds": seconds,
            "unit": unit,
            "cost": mean,
            "drift": drifted,
        });
        let mut failed = false;
        if let Some(expected) = expected {
            let differs = results.iter().zip(expected).position(|(a, b)| a != b);
            failed = differs.is_some();
            let layers = results.first().map_or(0, |result| result.digests.len());
            match differs {
                None => {
                    let _ = writeln!(
                        text,
                        "outputs and the digests of all {layers} layers are this machine's"
                    );
                }
                Some(sample) => {
                    let _ = writeln!(
                        text,
                        "sample {sample} is the first whose bits DIFFER from this machine's"
                    );
                }
            }
            json["same_bits"] = differs.is_none().into();
            json["layers"] = layers.into();
            json["first_difference"] = differs.into();
        }
        if drifted {
            text += "the inputs have drifted from those of the calibration: see `stats`\n";
        }
        Self {
            failed,
            ..Self::new(text, json)
        }
    }

    pub(super) fn profile(
        unit: &str,
        run: u64,
        costs: &[u64],
        artifact: Option<&Artifact>,
    ) -> Result<Self> {
        let model = artifact.map(Artifact::model).transpose()?;
        let names: Vec<_> = model
            .iter()
            .flat_map(niwaki::Model::operators)
            .map(|operator| niwaki::All::name(operator.header.code).unwrap_or_default())
            .collect();
        let total: u64 = costs.iter().sum();
        let mut rows = table(&["#", "operator", unit, "share"]);
        for (i, &cost) in costs.iter().enumerate() {
            let share = cost as f64 / total.max(1) as f64 * 100.0;
            rows.add_row([
                i.to_string(),
                names.get(i).copied().unwrap_or("-").to_owned(),
                number(cost),
                format!("{share:.1} %"),
            ]);
        }
        let text = format!(
            "{rows}\none run {} {unit}, its layers {}\n",
            number(run),
            number(total)
        );
        let json = json!({ "unit": unit, "run": run, "operators": costs, "names": names });
        Ok(Self::new(text, json))
    }

    pub(super) fn statistics(
        info: &BoardInfo,
        seen: &Statistics,
        inputs: &[InputStatistics],
    ) -> Self {
        let costs = &seen.costs;
        let mean = costs.sum.checked_div(costs.runs.into()).unwrap_or(0);
        let mut text = format!(
            "runs      {}, {} of them measured: {} to {} {}, mean {}\n",
            number(seen.runs),
            number(costs.runs),
            number(costs.least),
            number(costs.greatest),
            info.unit,
            number(mean)
        );
        let _ = match seen.stack {
            Some((deepest, all)) => writeln!(
                text,
                "stack     {} of {} bytes at the deepest",
                number(deepest),
                number(all)
            ),
            None => writeln!(text, "stack     this board does not measure it"),
        };
        let _ = writeln!(
            text,
            "dropped   {} frames, {} samples; {} errors of the line",
            seen.dropped_frames, seen.dropped_samples, seen.link_errors
        );
        for (i, input) in inputs.iter().enumerate() {
            let drift = match input.drift {
                Drift::Unknown => "no window is whole yet",
                Drift::None => "no drift",
                Drift::Outside => "DRIFT: many lie outside",
                Drift::Narrow => "DRIFT: all lie close together",
            };
            let _ = writeln!(
                text,
                "input {i}   {:.4} to {:.4}, mean {:.4}, in calibration {:.4} to {:.4}; {} of a \
                 million outside; {drift}",
                input.low,
                input.high,
                input.mean,
                input.calibrated_low,
                input.calibrated_high,
                input.outside_ppm
            );
        }
        let confidence = &seen.confidence;
        let most = confidence.bins.iter().max().copied().unwrap_or(0).max(1);
        let width = (confidence.high - confidence.low) / confidence.bins.len() as f32;
        text += "confidence, the largest element of output 0:\n";
        for (i, &runs) in confidence
            .bins
            .iter()
            .enumerate()
            .filter(|(_, runs)| **runs > 0)
        {
            let from = confidence.low + width * i as f32;
            let bar = "#".repeat((u64::from(runs) * 40).div_ceil(most.into()) as usize);
            let _ = writeln!(
                text,
                "  {from:8.4} to {:8.4}  {runs:6}  {bar}",
                from + width
            );
        }
        let json = json!({ "unit": info.unit, "statistics": seen, "inputs": inputs });
        Self::new(text, json)
    }
}

fn model_text(model: &BoardModel) -> String {
    format!(
        "model     {}, {} bytes, {} operators, arena {} bytes\nsha256    {}\n",
        model.source,
        number(model.file_bytes),
        model.operators,
        number(model.arena_bytes),
        model.sha256
    )
}
