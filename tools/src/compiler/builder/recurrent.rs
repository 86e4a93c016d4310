//! LSTM, GRU and RNN.

use ndarray::{ArrayD, IxDyn};
use niwaki::artifact::{Blob, DataType};
use niwaki::ops;
use niwaki::ops::{Activation, GruParams, LstmParams, RecurrentParams, RnnParams};

use super::{Builder, Label, View};
use crate::layers::{Cell, Recurrent};

/// Constants of a recurrent layer, as ONNX has them.
#[derive(Clone, Debug)]
pub struct RecurrentWeights {
    /// `[directions][gates * hidden][input]`.
    pub weights: ArrayD<f32>,
    /// `[directions][gates * hidden][hidden]`.
    pub recurrence: ArrayD<f32>,
    /// `[directions][2 * gates * hidden]`: of the input, then of the state.
    pub bias: ArrayD<f32>,
    /// `[directions][3 * hidden]`.
    pub peepholes: Option<ArrayD<f32>>,
}

/// Biases as the kernels add them: those of input and state summed, but for the hidden gate of a
/// GRU, whose two stay apart.
fn biases(bias: &ArrayD<f32>, cell: Cell, hidden: usize) -> Vec<f32> {
    let half = cell.gates() * hidden;
    let summed = match cell {
        Cell::Gru { .. } => 2 * hidden,
        _ => half,
    };
    let mut all = Vec::new();
    for direction in bias.outer_iter() {
        let direction: Vec<f32> = direction.iter().copied().collect();
        let (input, state) = direction.split_at(half);
        let sums = input.iter().zip(state).take(summed);
        all.extend(sums.map(|(input, state)| input + state));
        all.extend(&input[summed..]);
        all.extend(&state[summed..]);
    }
    all
}

impl Builder {
    /// A recurrent layer over whole sequences; `states` are the initial ones.
    pub fn recurrent(
        &mut self,
        x: &View,
        states: &[View],
        recurrent: &Recurrent,
        weights: &RecurrentWeights,
        label: Label,
        shape: &[usize],
    ) -> View {
        let x = self.in_onnx_order(x);
        let states: Vec<View> = states.iter().map(|view| self.in_onnx_order(view)).collect();
        let hidden = weights.recurrence.shape()[2];
        let bias = biases(&weights.bias, recurrent.cell, hidden);
        let common = RecurrentParams {
            steps: x.shape[0] as u32,
            batch: x.shape[1] as u32,
            input: x.shape[2] as u32,
            hidden: hidden as u32,
            directions: recurrent.directions as u32,
            reverse: recurrent.reverse.into(),
            clip: recurrent.clip,
            weights: self.rows_inside(&weights.weights),
            recurrence: self.rows_inside(&weights.recurrence),
            bias: self.store_f32(bias),
        };
        let peepholes = weights.peepholes.as_ref();
        let peepholes = peepholes.map(|values| self.store_f32(values.iter().copied()));
        let inputs: Vec<&View> = std::iter::once(&x).chain(&states).collect();
        let output = self.port(label, DataType::F32, shape);
        match recurrent.cell {
            Cell::Lstm { coupled } => {
                let params = LstmParams {
                    common,
                    activations: activations(&recurrent.activations),
                    coupled: coupled.into(),
                    has_peepholes: peepholes.is_some().into(),
                    peepholes: peepholes.unwrap_or_default(),
                };
                self.push(ops::Lstm, &inputs, &params, output)
            }
            Cell::Gru {
                linear_before_reset,
            } => {
                let params = GruParams {
                    common,
                    activations: activations(&recurrent.activations),
                    linear_before_reset: linear_before_reset.into(),
                };
                self.push(ops::Gru, &inputs, &params, output)
            }
            Cell::Rnn => {
                let params = RnnParams {
                    common,
                    activations: activations(&recurrent.activations),
                };
                self.push(ops::Rnn, &inputs, &params, output)
            }
        }
    }

    /// Matrices `[directions][rows][columns]`, stored with their rows innermost.
    fn rows_inside(&mut self, matrices: &ArrayD<f32>) -> Blob<f32> {
        let turned = matrices.view().permuted_axes(IxDyn(&[0, 2, 1]));
        self.store_f32(turned.iter().copied())
    }
}

/// The activations of the directions that there are; those of another one are not looked at.
fn activations<const N: usize>(given: &[Activation]) -> [Activation; N] {
    std::array::from_fn(|i| given.get(i).copied().unwrap_or_default())
}
