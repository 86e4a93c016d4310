//! LSTM, GRU and RNN over a whole sequence, in one direction or both.
//!
//! Such an operator writes one tensor: the hidden states of all steps, then the final hidden
//! states, then for an LSTM the final cell states. The compiler takes it apart.

use super::{Check, Memory, Operator};
use crate::artifact::{Blob, DataType, record};
use crate::error::{Fault, Rule};
use crate::kernels::{self, Activation, volume};

record! {
    /// What LSTM, GRU and RNN have in common.
    pub struct RecurrentParams {
        /// Steps of the sequence.
        pub steps: u32,
        /// Number of sequences.
        pub batch: u32,
        /// Elements of the input of one step.
        pub input: u32,
        /// Elements of the hidden state.
        pub hidden: u32,
        /// 1 or 2; the second one goes backward.
        pub directions: u32,
        /// 1 when the first direction goes backward.
        pub reverse: u32,
        /// Sums are clamped to -clip and clip before their activation; +inf does not clamp.
        pub clip: f32,
        /// `[directions][input][gates * hidden]`.
        pub weights: Blob<f32>,
        /// `[directions][hidden][gates * hidden]`.
        pub recurrence: Blob<f32>,
        /// `[directions][biases * hidden]`.
        pub bias: Blob<f32>,
    }
}

record! {
    /// Parameters of [`Lstm`]: 4 gates (input, output, forget, cell), as many biases.
    pub struct LstmParams {
        /// Sizes and weights.
        pub common: RecurrentParams,
        /// Three for each direction: of the gates, the cell's input, and the hidden state.
        pub activations: [Activation; 6],
        /// 1 when the forget gate is 1 - the input gate.
        pub coupled: u32,
        /// 1 when there are peepholes.
        pub has_peepholes: u32,
        /// `[directions][3 * hidden]`: from the cell to the input, output and forget gate.
        pub peepholes: Blob<f32>,
    }
}

record! {
    /// Parameters of [`Gru`]: 3 gates (update, reset, hidden), 4 biases (update, reset, hidden
    /// from the input, hidden from the state).
    pub struct GruParams {
        /// Sizes and weights.
        pub common: RecurrentParams,
        /// Two for each direction: of the gates, and the hidden state.
        pub activations: [Activation; 4],
        /// 1 when the reset gate acts behind the product with the recurrence.
        pub linear_before_reset: u32,
    }
}

record! {
    /// Parameters of [`Rnn`]: 1 gate, 1 bias.
    pub struct RnnParams {
        /// Sizes and weights.
        pub common: RecurrentParams,
        /// One for each direction.
        pub activations: [Activation; 2],
    }
}

impl RecurrentParams {
    /// Checks inputs, of which all but the first are initial states, the output, and weights.
    fn check(&self, check: &Check<'_>, gates: u32, biases: u32, states: u32) -> Result<(), Rule> {
        check.arity(states as usize + 1)?;
        if !(1..=2).contains(&self.directions) || self.clip.is_nan() || self.clip < 0.0 {
            return Err(Rule::Parameter);
        }
        let Self {
            steps,
            batch,
            input,
            hidden,
            directions,
            ..
        } = *self;
        let rows = volume(&[hidden, gates])? as u32;
        let state = volume(&[directions, batch, hidden])?;
        check.expect_input(0, DataType::F32, volume(&[steps, batch, input])?)?;
        for i in 1..=states as usize {
            check.expect_input(i, DataType::F32, state)?;
        }
        let all = u64::from(steps) + u64::from(states);
        let all = u32::try_from(all).map_err(|_| Rule::Parameter)?;
        let output = volume(&[all, directions, batch, hidden])?;
        check.expect_output(DataType::F32, output)?;
        check.constants(self.weights, volume(&[directions, input, rows])?)?;
        check.constants(self.recurrence, volume(&[directions, hidden, rows])?)?;
        check.constants(self.bias, volume(&[directions, biases, hidden])?)?;
        Ok(())
    }

    fn kernel<'m>(
        &self,
        memory: &Memory<'m, '_>,
        gates: u32,
        biases: u32,
    ) -> Result<kernels::Recurrent<'m>, Fault> {
        let Self {
            input,
            hidden,
            directions,
            ..
        } = *self;
        let rows = directions * gates * hidden;
        Ok(kernels::Recurrent {
            steps: self.steps,
            batch: self.batch,
            input,
            hidden,
            directions,
            reverse: self.reverse != 0,
            clip: self.clip,
            weights: memory.constants(self.weights, rows * input)?,
            recurrence: memory.constants(self.recurrence, rows * hidden)?,
            bias: memory.constants(self.bias, directions * biases * hidden)?,
        })
    }

    /// Weights and recurrence of all directions.
    fn weight_count(&self, gates: u32) -> u64 {
        let [input, hidden, directions] = [self.input, self.hidden, self.directions].map(u64::from);
        let rows = hidden.saturating_mul(u64::from(gates) * directions);
        rows.saturating_mul(input + hidden)
    }

    fn macs(&self, gates: u32) -> u64 {
        let rows = u64::from(self.steps) * u64::from(self.batch);
        rows.saturating_mul(self.weight_count(gates))
    }
}

fn known(activations: &[Activation]) -> Result<(), Rule> {
    let known = activations.iter().all(Activation::is_known);
    known.then_some(()).ok_or(Rule::Parameter)
}

/// ONNX `LSTM`. Inputs: the sequences, initial hidden states, initial cell states.
#[derive(Debug)]
pub struct Lstm;

impl Operator for Lstm {
    type Params = LstmParams;

    fn check(check: &Check<'_>, p: &LstmParams) -> Result<(), Rule> {
        p.common.check(check, 4, 4, 2)?;
        known(&p.activations)?;
        if p.has_peepholes != 0 {
            let len = volume(&[p.common.directions, 3, p.common.hidden])?;
            check.constants(p.peepholes, len)?;
        }
        Ok(())
    }

    fn run(memory: &mut Memory<'_, '_>, p: &LstmParams) -> Result<(), Fault> {
        let peepholes = match p.has_peepholes {
            0 => None,
            _ => {
                let len = p.common.directions * 3 * p.common.hidden;
                Some(memory.constants(p.peepholes, len)?)
            }
        };
        let kernel = kernels::Lstm {
            common: p.common.kernel(memory, 4, 4)?,
            activations: p.activations,
            coupled: p.coupled != 0,
            peepholes,
        };
        let (x, h, c, y) = memory.ternary()?;
        kernel.run(x, h, c, y).ok_or(Fault)
    }

    fn macs(_: &Check<'_>, p: &LstmParams) -> u64 {
        p.common.macs(4)
    }

    fn weight_bytes(p: &LstmParams) -> u64 {
        4 * p.common.weight_count(4)
    }
}

/// ONNX `GRU`. Inputs: the sequences, initial hidden states.
#[derive(Debug)]
pub struct Gru;

impl Operator for Gru {
    type Params = GruParams;

    fn check(check: &Check<'_>, p: &GruParams) -> Result<(), Rule> {
        p.common.check(check, 3, 4, 1)?;
        known(&p.activations)
    }

    fn run(memory: &mut Memory<'_, '_>, p: &GruParams) -> Result<(), Fault> {
        let kernel = kernels::Gru {
            common: p.common.kernel(memory, 3, 4)?,
            activations: p.activations,
            linear_before_reset: p.linear_before_reset != 0,
        };
        let (x, h, y) = memory.binary::<f32, f32>()?;
        kernel.run(x, h, y).ok_or(Fault)
    }

    fn macs(_: &Check<'_>, p: &GruParams) -> u64 {
        p.common.macs(3)
    }

    fn weight_bytes(p: &GruParams) -> u64 {
        4 * p.common.weight_count(3)
    }
}

/// ONNX `RNN`. Inputs: the sequences, initial hidden states.
#[derive(Debug)]
pub struct Rnn;

impl Operator for Rnn {
    type Params = RnnParams;

    fn check(check: &Check<'_>, p: &RnnParams) -> Result<(), Rule> {
        p.common.check(check, 1, 1, 1)?;
        known(&p.activations)
    }

    fn run(memory: &mut Memory<'_, '_>, p: &RnnParams) -> Result<(), Fault> {
        let kernel = kernels::Rnn {
            common: p.common.kernel(memory, 1, 1)?,
            activations: p.activations,
        };
        let (x, h, y) = memory.binary::<f32, f32>()?;
        kernel.run(x, h, y).ok_or(Fault)
    }

    fn macs(_: &Check<'_>, p: &RnnParams) -> u64 {
        p.common.macs(1)
    }

    fn weight_bytes(p: &RnnParams) -> u64 {
        4 * p.common.weight_count(1)
    }
}
