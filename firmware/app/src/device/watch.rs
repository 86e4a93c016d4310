//! What a device notices about its own work.

use niwaki::artifact::{DataType, Port, Tensor};
use niwaki::{OperatorSet, Session};
use niwaki_wire::{BINS, Confidence, Costs, Drift, InputStatistics};

/// Inputs that are looked at; a model with more has the first ones looked at.
pub(super) const INPUTS: usize = 4;

/// Counts and spans of what went in and came out.
#[derive(Debug, Default)]
pub(super) struct Watch {
    pub(super) runs: u32,
    pub(super) costs: Costs,
    confidence: [u32; BINS],
    inputs: [InputWatch; INPUTS],
}

impl Watch {
    /// Looks at the inputs, before a run destroys them.
    pub(super) fn look_at_inputs<S: OperatorSet>(&mut self, session: &mut Session<'_, '_, S>) {
        for (i, watch) in self.inputs.iter_mut().enumerate() {
            let model = session.model();
            let (port, tensor) = (model.input_port(i), model.input(i));
            if let (Some(port), Some(tensor), Ok(bytes)) = (port, tensor, session.input_mut(i)) {
                watch.look(&port, &tensor, bytes);
            }
        }
    }

    /// Looks at the first output of a run.
    pub(super) fn look_at_output<S: OperatorSet>(&mut self, session: &Session<'_, '_, S>) {
        self.runs = self.runs.saturating_add(1);
        let model = session.model();
        let (Some(port), Some(tensor), Ok(bytes)) =
            (model.output_port(0), model.output(0), session.output(0))
        else {
            return;
        };
        let mut greatest = f32::NEG_INFINITY;
        each_value(&tensor, bytes, |value| greatest = greatest.max(value));
        if port.low < port.high && greatest > f32::NEG_INFINITY {
            let place = (greatest - port.low) / (port.high - port.low) * BINS as f32;
            // A float becomes the nearest integer that there is, and NaN 0.
            let bin = (place as usize).min(BINS - 1);
            if let Some(count) = self.confidence.get_mut(bin) {
                *count = count.saturating_add(1);
            }
        }
    }

    /// Takes in what a plain run cost.
    pub(super) fn measured(&mut self, cost: u64) {
        let costs = &mut self.costs;
        costs.least = if costs.runs == 0 {
            cost
        } else {
            costs.least.min(cost)
        };
        costs.greatest = costs.greatest.max(cost);
        costs.sum = costs.sum.saturating_add(cost);
        costs.runs = costs.runs.saturating_add(1);
    }

    /// How sure the model has been, beside the range of its output.
    pub(super) fn confidence(&self, output: Option<Port>) -> Confidence {
        Confidence {
            low: output.map_or(0.0, |port| port.low),
            high: output.map_or(0.0, |port| port.high),
            bins: self.confidence,
        }
    }

    /// What input `i` has been like.
    pub(super) fn input(&self, i: usize) -> Option<InputStatistics> {
        self.inputs.get(i).map(InputWatch::statistics)
    }

    /// Whether some input has drifted.
    pub(super) fn drift(&self) -> bool {
        let drifted = |watch: &InputWatch| matches!(watch.drift, Drift::Outside | Drift::Narrow);
        self.inputs.iter().any(drifted)
    }
}

/// One input, over all runs and over those of a window.
#[derive(Clone, Copy, Debug, Default)]
struct InputWatch {
    calibrated: Span,
    all: Seen,
    window: Seen,
    drift: Drift,
}

impl InputWatch {
    fn look(&mut self, port: &Port, tensor: &Tensor, bytes: &[u8]) {
        self.calibrated = calibrated(port, tensor);
        let Span { low, high } = self.calibrated;
        // Half a step: a quantised value stands for all that round to it.
        let slack = tensor.scale * 0.5;
        let mut run = Seen::default();
        each_value(tensor, bytes, |value| {
            run.span.take(value, run.elements == 0);
            run.mean += value;
            run.elements += 1;
            // Not a number is outside too.
            let inside = value >= low - slack && value <= high + slack;
            run.outside += u64::from(!inside);
        });
        if run.elements == 0 {
            return;
        }
        run.mean /= run.elements as f32;
        run.runs = 1;
        self.all.join(&run);
        self.window.join(&run);
        if self.window.runs >= InputStatistics::WINDOW {
            self.drift = self.judge();
            self.window = Seen::default();
        }
    }

    /// What the window shows.
    fn judge(&self) -> Drift {
        let Span { low, high } = self.calibrated;
        let seen = self.window.span.high - self.window.span.low;
        if low >= high {
            Drift::Unknown
        } else if self.window.outside_ppm() > InputStatistics::OUTSIDE_PPM {
            Drift::Outside
        } else if seen * InputStatistics::NARROW < high - low {
            Drift::Narrow
        } else {
            Drift::None
        }
    }

    fn statistics(&self) -> InputStatistics {
        InputStatistics {
            calibrated_low: self.calibrated.low,
            calibrated_high: self.calibrated.high,
            runs: self.all.runs,
            low: self.all.span.low,
            high: self.all.span.high,
            mean: self.all.mean,
            outside_ppm: self.all.outside_ppm(),
            drift: self.drift,
        }
    }
}

/// The range of the calibration. That of an int8 input is what its integers stand for: the port of a
/// model that came quantised has a range that was never measured.
fn calibrated(port: &Port, tensor: &Tensor) -> Span {
    let integers = match tensor.dtype {
        DataType::I8 => -128..=127,
        DataType::U8 => 0..=255,
        _ => 0..=0,
    };
    if tensor.scale <= 0.0 || integers.start() == integers.end() {
        return Span {
            low: port.low,
            high: port.high,
        };
    }
    let real = |integer: &i32| integer.wrapping_sub(tensor.zero_point) as f32 * tensor.scale;
    Span {
        low: real(integers.start()),
        high: real(integers.end()),
    }
}

/// From the least to the greatest value.
#[derive(Clone, Copy, Debug, Default)]
struct Span {
    low: f32,
    high: f32,
}

impl Span {
    fn take(&mut self, value: f32, first: bool) {
        self.low = if first { value } else { self.low.min(value) };
        self.high = if first { value } else { self.high.max(value) };
    }
}

/// What some runs have shown.
#[derive(Clone, Copy, Debug, Default)]
struct Seen {
    runs: u32,
    elements: u64,
    outside: u64,
    span: Span,
    /// Of the runs' means, which are of as many elements each.
    mean: f32,
}

impl Seen {
    fn join(&mut self, run: &Self) {
        let first = self.runs == 0;
        self.span.take(run.span.low, first);
        self.span.take(run.span.high, false);
        self.runs = self.runs.saturating_add(1);
        self.mean += (run.mean - self.mean) / self.runs as f32;
        self.elements = self.elements.saturating_add(run.elements);
        self.outside = self.outside.saturating_add(run.outside);
    }

    fn outside_ppm(&self) -> u32 {
        let ppm = self.outside.saturating_mul(1_000_000);
        ppm.checked_div(self.elements).unwrap_or(0) as u32
    }
}

/// Calls `each` with every element of a tensor as a real number.
fn each_value(tensor: &Tensor, bytes: &[u8], mut each: impl FnMut(f32)) {
    let scale = if tensor.scale > 0.0 {
        tensor.scale
    } else {
        1.0
    };
    let mut real = |integer: i32| each(integer.wrapping_sub(tensor.zero_point) as f32 * scale);
    match tensor.dtype {
        DataType::I8 => bytes.iter().for_each(|&byte| real(i32::from(byte as i8))),
        DataType::U8 | DataType::Bool => bytes.iter().for_each(|&byte| real(i32::from(byte))),
        DataType::I16 => bytes
            .as_chunks()
            .0
            .iter()
            .for_each(|&two| real(i32::from(i16::from_le_bytes(two)))),
        DataType::U16 => bytes
            .as_chunks()
            .0
            .iter()
            .for_each(|&two| real(i32::from(u16::from_le_bytes(two)))),
        DataType::I32 => bytes
            .as_chunks()
            .0
            .iter()
            .for_each(|&four| real(i32::from_le_bytes(four))),
        DataType::I64 => bytes
            .as_chunks()
            .0
            .iter()
            .for_each(|&eight| each(i64::from_le_bytes(eight) as f32)),
        DataType::F32 => bytes
            .as_chunks()
            .0
            .iter()
            .for_each(|&four| each(f32::from_le_bytes(four))),
    }
}
