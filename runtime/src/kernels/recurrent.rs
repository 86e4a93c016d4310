//! LSTM, GRU and RNN: a step for each element of a sequence, in one direction or both.
//!
//! No scratch memory is needed: the hidden state of a step is the output of the step before, the
//! cell state lives in its own part of the output, and the gates of a few units at a time live on
//! the stack.

use crate::artifact::record;
use crate::numerics::{clamp_f32, exp, ln, sigmoid, tanh};

/// How many units are computed at a time; the sums of their gates live on the stack.
const BLOCK: usize = 8;

record! {
    /// A function of one float with up to two parameters.
    pub struct Activation {
        /// 0 Sigmoid, 1 Tanh, 2 Relu, 3 HardSigmoid, 4 Affine, 5 LeakyRelu, 6 ThresholdedRelu,
        /// 7 ScaledTanh, 8 Elu, 9 Softsign, 10 Softplus.
        pub function: u32,
        /// ONNX's alpha.
        pub alpha: f32,
        /// ONNX's beta.
        pub beta: f32,
    }
}

impl Activation {
    /// Whether there is such a function.
    pub(crate) fn is_known(&self) -> bool {
        self.function <= 10
    }

    /// The function at `v`.
    fn apply(&self, v: f32) -> f32 {
        let Self { alpha, beta, .. } = *self;
        match self.function {
            0 => sigmoid(v),
            1 => tanh(v),
            2 => clamp_f32(v, 0.0, f32::INFINITY),
            3 => clamp_f32(alpha * v + beta, 0.0, 1.0),
            4 => alpha * v + beta,
            5 if v < 0.0 => alpha * v,
            5 => v,
            6 if v < alpha => 0.0,
            6 => v,
            7 => alpha * tanh(beta * v),
            8 if v < 0.0 => alpha * (exp(v) - 1.0),
            8 => v,
            9 => v / (1.0 + v.abs()),
            _ => ln(1.0 + exp(v)),
        }
    }
}

/// What LSTM, GRU and RNN have in common.
#[derive(Clone, Copy)]
pub(crate) struct Recurrent<'m> {
    pub(crate) steps: u32,
    pub(crate) batch: u32,
    pub(crate) input: u32,
    pub(crate) hidden: u32,
    /// 1 or 2; the second one goes backward.
    pub(crate) directions: u32,
    /// The first direction goes backward too.
    pub(crate) reverse: bool,
    /// Sums are clamped to -clip and clip before their activation.
    pub(crate) clip: f32,
    /// `[directions][input][gates * hidden]`.
    pub(crate) weights: &'m [f32],
    /// `[directions][hidden][gates * hidden]`.
    pub(crate) recurrence: &'m [f32],
    /// `[directions][biases * hidden]`.
    pub(crate) bias: &'m [f32],
}

/// The sums of `G` gates of a block of units.
type Sums<const G: usize> = [[f32; BLOCK]; G];

/// One step of one direction and one sequence of the batch.
struct Step<'y> {
    /// Index among directions.
    direction: usize,
    /// Index into states: direction, then batch.
    state: usize,
    /// The input.
    x: &'y [f32],
    /// The hidden state before: at the first step the initial one.
    before: &'y [f32],
    /// Where the hidden state goes.
    after: &'y mut [f32],
}

/// Row `from` of `y` and, to be written, row `to`, which is another one.
fn two_rows(
    y: &mut [f32],
    from: Option<usize>,
    to: usize,
    len: usize,
) -> Option<(Option<&[f32]>, &mut [f32])> {
    match from {
        None => Some((None, y.get_mut(to * len..)?.get_mut(..len)?)),
        Some(from) if from < to => {
            let (low, high) = y.split_at_mut_checked(to * len)?;
            Some((
                Some(low.get(from * len..)?.get(..len)?),
                high.get_mut(..len)?,
            ))
        }
        Some(from) => {
            let (low, high) = y.split_at_mut_checked(from * len)?;
            Some((
                Some(high.get(..len)?),
                low.get_mut(to * len..)?.get_mut(..len)?,
            ))
        }
    }
}

impl Recurrent<'_> {
    /// Elements of one state: of all directions and the whole batch.
    fn state_len(&self) -> usize {
        self.directions as usize * self.batch as usize * self.hidden as usize
    }

    /// Calls `step` for each step in the order of its direction. `x` is `[steps][batch][input]`, `h`
    /// `[directions][batch][hidden]`.
    fn for_each_step(
        &self,
        x: &[f32],
        h: &[f32],
        y: &mut [f32],
        mut step: impl FnMut(Step<'_>) -> Option<()>,
    ) -> Option<()> {
        let [steps, batch] = [self.steps as usize, self.batch as usize];
        let [directions, hidden] = [self.directions as usize, self.hidden as usize];
        let input = self.input as usize;
        for direction in 0..directions {
            let backward = self.reverse || direction == 1;
            let mut previous = None;
            for s in 0..steps {
                let t = if backward { steps - 1 - s } else { s };
                for b in 0..batch {
                    let state = direction * batch + b;
                    let at = |t: usize| t * directions * batch + state;
                    let (before, after) = two_rows(y, previous.map(at), at(t), hidden)?;
                    step(Step {
                        direction,
                        state,
                        x: Self::row(x, t * batch + b, input)?,
                        before: match before {
                            Some(before) => before,
                            None => Self::row(h, state, hidden)?,
                        },
                        after,
                    })?;
                }
                previous = Some(t);
            }
        }
        Some(())
    }

    /// Copies the hidden states of the last steps to the end of the output.
    fn copy_final_states(&self, y: &[f32], y_h: &mut [f32]) -> Option<()> {
        let one = self.batch as usize * self.hidden as usize;
        let last = (self.steps as usize).checked_sub(1)?;
        for (direction, to) in y_h.chunks_exact_mut(one.max(1)).enumerate() {
            let backward = self.reverse || direction == 1;
            let t = if backward { 0 } else { last };
            let from = (t * self.directions as usize + direction) * one;
            let from = y.get(from..from + one)?;
            to.iter_mut().zip(from).for_each(|(to, &from)| *to = from);
        }
        Some(())
    }

    /// Row `i` of `rows` rows of that length.
    fn row(x: &[f32], i: usize, len: usize) -> Option<&[f32]> {
        x.get(i * len..i * len + len)
    }

    /// Starts sums at the biases `terms`, for `n` units from `start`.
    fn biased<const G: usize>(
        &self,
        direction: usize,
        biases: usize,
        terms: [usize; G],
        start: usize,
        n: usize,
    ) -> Option<Sums<G>> {
        let hidden = self.hidden as usize;
        let bias = Self::row(self.bias, direction, biases * hidden)?;
        let mut sums = [[0.0; BLOCK]; G];
        for (sums, term) in sums.iter_mut().zip(terms) {
            let from = bias.get(term * hidden + start..)?.get(..n)?;
            sums.iter_mut()
                .zip(from)
                .for_each(|(sum, &bias)| *sum = bias);
        }
        Some(sums)
    }

    /// Adds `x[i] * matrix[i][gate][unit]` in the order of `i`.
    fn add<const G: usize>(
        &self,
        sums: [&mut [f32; BLOCK]; G],
        x: &[f32],
        matrix: &[f32],
        gates: [usize; G],
        row_len: usize,
        (start, n): (usize, usize),
    ) -> Option<()> {
        let hidden = self.hidden as usize;
        for (sums, gate) in sums.into_iter().zip(gates) {
            let column = gate * hidden + start;
            for (&x, row) in x.iter().zip(matrix.chunks_exact(row_len.max(1))) {
                let row = row.get(column..)?.get(..n)?;
                for (sum, &w) in sums.iter_mut().zip(row) {
                    *sum += x * w;
                }
            }
        }
        Some(())
    }

    /// The matrices of one direction: weights and recurrence.
    fn matrices(&self, direction: usize, row_len: usize) -> Option<[&[f32]; 2]> {
        Some([
            Self::row(self.weights, direction, self.input as usize * row_len)?,
            Self::row(self.recurrence, direction, self.hidden as usize * row_len)?,
        ])
    }

    fn clipped(&self, v: f32) -> f32 {
        clamp_f32(v, -self.clip, self.clip)
    }

    /// Starts of the blocks of units, and how many units each has.
    fn blocks(&self) -> impl Iterator<Item = (usize, usize)> + use<> {
        let hidden = self.hidden as usize;
        (0..hidden.div_ceil(BLOCK)).map(move |block| {
            let start = block * BLOCK;
            (start, (hidden - start).min(BLOCK))
        })
    }
}

/// A long short-term memory.
pub(crate) struct Lstm<'m> {
    /// Gates in ONNX's order: input, output, forget, cell.
    pub(crate) common: Recurrent<'m>,
    /// Three for each direction: of the gates, the cell's input, and the hidden state.
    pub(crate) activations: [Activation; 6],
    /// The forget gate is 1 - the input gate.
    pub(crate) coupled: bool,
    /// `[directions][3 * hidden]`: of the input, output and forget gate.
    pub(crate) peepholes: Option<&'m [f32]>,
}

impl Lstm<'_> {
    /// `x` is `[steps][batch][input]`; `y` is `[steps][directions][batch][hidden]`, then the final
    /// hidden and cell states `[directions][batch][hidden]`.
    pub(crate) fn run(&self, x: &[f32], h: &[f32], c: &[f32], y: &mut [f32]) -> Option<()> {
        let common = &self.common;
        let hidden = common.hidden as usize;
        let states = common.state_len();
        let (y, ends) = y.split_at_mut_checked(states * common.steps as usize)?;
        let (y_h, y_c) = ends.split_at_mut_checked(states)?;
        y_c.iter_mut().zip(c).for_each(|(to, &from)| *to = from);
        common.for_each_step(x, h, y, |step| {
            let Step { x, before, .. } = step;
            let cells = y_c.get_mut(step.state * hidden..)?.get_mut(..hidden)?;
            let [f, g, output] = *self.activations.get(3 * step.direction..)?.first_chunk()?;
            let [weights, recurrence] = common.matrices(step.direction, 4 * hidden)?;
            let peepholes = match self.peepholes {
                Some(all) => Some(Recurrent::row(all, step.direction, 3 * hidden)?),
                None => None,
            };
            for (start, n) in common.blocks() {
                let mut sums = common.biased::<4>(step.direction, 4, [0, 1, 2, 3], start, n)?;
                for (x, matrix) in [(x, weights), (before, recurrence)] {
                    let gates = [0, 1, 2, 3];
                    common.add(sums.each_mut(), x, matrix, gates, 4 * hidden, (start, n))?;
                }
                let cells = cells.get_mut(start..)?.get_mut(..n)?;
                let after = step.after.get_mut(start..)?.get_mut(..n)?;
                let [inputs, outputs, forgets, candidates] = &sums;
                let gates = inputs.iter().zip(outputs).zip(forgets).zip(candidates);
                let states = cells.iter_mut().zip(after);
                for (u, ((cell, h), (((&i, &o), &forget), &candidate))) in
                    states.zip(gates).enumerate()
                {
                    // The weight from the cell to a gate of this unit.
                    let seen = |gate: usize, sum: f32, cell: f32| -> Option<f32> {
                        Some(match peepholes {
                            Some(p) => sum + *p.get(gate * hidden + start + u)? * cell,
                            None => sum,
                        })
                    };
                    let i = f.apply(common.clipped(seen(0, i, *cell)?));
                    let forget = if self.coupled {
                        1.0 - i
                    } else {
                        f.apply(common.clipped(seen(2, forget, *cell)?))
                    };
                    let candidate = g.apply(common.clipped(candidate));
                    *cell = forget * *cell + i * candidate;
                    let o = f.apply(common.clipped(seen(1, o, *cell)?));
                    *h = o * output.apply(*cell);
                }
            }
            Some(())
        })?;
        common.copy_final_states(y, y_h)
    }
}

/// A gated recurrent unit.
pub(crate) struct Gru<'m> {
    /// Gates in ONNX's order: update, reset, hidden. Biases: update, reset, hidden from the input,
    /// hidden from the state.
    pub(crate) common: Recurrent<'m>,
    /// Two for each direction: of the gates, and the hidden state.
    pub(crate) activations: [Activation; 4],
    /// The reset gate acts behind the product with the recurrence, not before it.
    pub(crate) linear_before_reset: bool,
}

impl Gru<'_> {
    /// `x` is `[steps][batch][input]`; `y` is `[steps][directions][batch][hidden]`, then the final
    /// hidden states `[directions][batch][hidden]`, where the states that the reset gate has let
    /// through lie until then.
    pub(crate) fn run(&self, x: &[f32], h: &[f32], y: &mut [f32]) -> Option<()> {
        let common = &self.common;
        let hidden = common.hidden as usize;
        let (y, y_h) = y.split_at_mut_checked(common.state_len() * common.steps as usize)?;
        common.for_each_step(x, h, y, |step| {
            let Step { x, before, .. } = step;
            let through = y_h.get_mut(step.state * hidden..)?.get_mut(..hidden)?;
            let [f, g] = *self.activations.get(2 * step.direction..)?.first_chunk()?;
            let [weights, recurrence] = common.matrices(step.direction, 3 * hidden)?;
            if !self.linear_before_reset {
                for (start, n) in common.blocks() {
                    let mut sums = common.biased::<1>(step.direction, 4, [1], start, n)?;
                    for (x, matrix) in [(x, weights), (before, recurrence)] {
                        common.add(sums.each_mut(), x, matrix, [1], 3 * hidden, (start, n))?;
                    }
                    let through = through.get_mut(start..)?.get_mut(..n)?;
                    let before = before.get(start..)?.get(..n)?;
                    let [resets] = &sums;
                    for ((to, &h), &r) in through.iter_mut().zip(before).zip(resets) {
                        *to = f.apply(common.clipped(r)) * h;
                    }
                }
            }
            for (start, n) in common.blocks() {
                // Update, reset, hidden from the input, hidden from the state.
                let mut sums = common.biased::<4>(step.direction, 4, [0, 1, 2, 3], start, n)?;
                let [update, reset, from_x, from_h] = &mut sums;
                let block = (start, n);
                common.add([update, from_x], x, weights, [0, 2], 3 * hidden, block)?;
                common.add([update], before, recurrence, [0], 3 * hidden, block)?;
                if self.linear_before_reset {
                    common.add([reset], x, weights, [1], 3 * hidden, block)?;
                    let sums = [reset, from_h];
                    common.add(sums, before, recurrence, [1, 2], 3 * hidden, block)?;
                } else {
                    common.add([from_h], through, recurrence, [2], 3 * hidden, block)?;
                }
                let after = step.after.get_mut(start..)?.get_mut(..n)?;
                let before = before.get(start..)?.get(..n)?;
                let [updates, resets, from_x, from_h] = &sums;
                let gates = updates.iter().zip(resets).zip(from_x).zip(from_h);
                for ((to, &h), (((&z, &r), &from_x), &from_h)) in
                    after.iter_mut().zip(before).zip(gates)
                {
                    let z = f.apply(common.clipped(z));
                    let from_h = if self.linear_before_reset {
                        f.apply(common.clipped(r)) * from_h
                    } else {
                        from_h
                    };
                    let candidate = g.apply(common.clipped(from_x + from_h));
                    *to = (1.0 - z) * candidate + z * h;
                }
            }
            Some(())
        })?;
        common.copy_final_states(y, y_h)
    }
}

/// A plain recurrent network.
pub(crate) struct Rnn<'m> {
    pub(crate) common: Recurrent<'m>,
    /// One for each direction.
    pub(crate) activations: [Activation; 2],
}

impl Rnn<'_> {
    /// `x` is `[steps][batch][input]`; `y` is `[steps][directions][batch][hidden]`, then the final
    /// hidden states `[directions][batch][hidden]`.
    pub(crate) fn run(&self, x: &[f32], h: &[f32], y: &mut [f32]) -> Option<()> {
        let common = &self.common;
        let hidden = common.hidden as usize;
        let (y, y_h) = y.split_at_mut_checked(common.state_len() * common.steps as usize)?;
        common.for_each_step(x, h, y, |step| {
            let Step { x, before, .. } = step;
            let f = self.activations.get(step.direction)?;
            let [weights, recurrence] = common.matrices(step.direction, hidden)?;
            for (start, n) in common.blocks() {
                let mut sums = common.biased::<1>(step.direction, 1, [0], start, n)?;
                for (x, matrix) in [(x, weights), (before, recurrence)] {
                    common.add(sums.each_mut(), x, matrix, [0], hidden, (start, n))?;
                }
                let after = step.after.get_mut(start..)?.get_mut(..n)?;
                let [sums] = &sums;
                for (to, &sum) in after.iter_mut().zip(sums) {
                    *to = f.apply(common.clipped(sum));
                }
            }
            Some(())
        })?;
        common.copy_final_states(y, y_h)
    }
}
