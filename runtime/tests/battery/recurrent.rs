//! ONNX `LSTM`, `GRU` and `RNN`, written over ONNX's own shapes of weights.

use niwaki::ops::{Activation, Gru, GruParams, Lstm, LstmParams, RecurrentParams, Rnn, RnnParams};

use super::oracle::clip;
use crate::support::{Case, Data, Nd, Operand, Random};

/// ONNX's definition of each activation.
fn activate(f: &Activation, x: f32) -> f32 {
    let (alpha, beta) = (f.alpha, f.beta);
    match f.function {
        0 => 1.0 / (1.0 + libm::expf(-x)),
        1 => libm::tanhf(x),
        2 => clip(x, (0.0, f32::INFINITY)),
        3 => {
            let line = alpha * x;
            clip(line + beta, (0.0, 1.0))
        }
        4 => {
            let line = alpha * x;
            line + beta
        }
        5 => {
            if x < 0.0 {
                alpha * x
            } else {
                x
            }
        }
        6 => {
            if x < alpha {
                0.0
            } else {
                x
            }
        }
        7 => alpha * libm::tanhf(beta * x),
        8 => {
            if x < 0.0 {
                alpha * (libm::expf(x) - 1.0)
            } else {
                x
            }
        }
        9 => x / (1.0 + x.abs()),
        10 => libm::logf(1.0 + libm::expf(x)),
        other => panic!("{other}"),
    }
}

/// A recurrent operator with everything but its gates.
struct Draw {
    steps: usize,
    batch: usize,
    input: usize,
    hidden: usize,
    directions: usize,
    reverse: bool,
    clip: f32,
    /// `[steps, batch, input]`.
    x: Nd<f32>,
    /// `[directions, gates * hidden, input]`.
    w: Nd<f32>,
    /// `[directions, gates * hidden, hidden]`.
    r: Nd<f32>,
    /// `[directions, biases * hidden]`.
    b: Nd<f32>,
    /// `[directions, batch, hidden]`.
    h: Nd<f32>,
}

fn draw(random: &mut Random, gates: usize, biases: usize) -> Draw {
    let [steps, batch, directions] = [
        random.between(1, 4),
        random.pick(&[1, 1, 2, 3]),
        random.between(1, 2),
    ];
    let (input, hidden) = (random.between(1, 12), random.pick(&[1, 2, 3, 7, 8, 9, 17]));
    let mut float = random.floats();
    let x = Nd::from_fn(&[steps, batch, input], |_| float());
    let h = Nd::from_fn(&[directions, batch, hidden], |_| float());
    let mut float = random.floats();
    let rows = gates * hidden;
    Draw {
        steps,
        batch,
        input,
        hidden,
        directions,
        reverse: random.one_in(3),
        clip: random.pick(&[f32::INFINITY, f32::INFINITY, 1.0, 0.25]),
        x,
        w: Nd::from_fn(&[directions, rows, input], |_| float()),
        r: Nd::from_fn(&[directions, rows, hidden], |_| float()),
        b: Nd::from_fn(&[directions, biases * hidden], |_| float()),
        h,
    }
}

fn activations<const N: usize>(random: &mut Random) -> [Activation; N] {
    std::array::from_fn(|_| Activation {
        function: random.below(11) as u32,
        alpha: random.pick(&[0.2, 1.0, 0.5]),
        beta: random.pick(&[0.5, 1.0, 0.0]),
    })
}

impl Draw {
    fn params(&self, random: &mut Random, data: &mut Data) -> RecurrentParams {
        RecurrentParams {
            steps: self.steps as u32,
            batch: self.batch as u32,
            input: self.input as u32,
            hidden: self.hidden as u32,
            directions: self.directions as u32,
            reverse: u32::from(self.reverse),
            clip: self.clip,
            weights: data.put(random, &self.w.permuted(&[0, 2, 1]).values),
            recurrence: data.put(random, &self.r.permuted(&[0, 2, 1]).values),
            bias: data.put(random, &self.b.values),
        }
    }

    /// Calls `step` with direction, step and number in the batch, in the order of time.
    fn each(&self, mut step: impl FnMut(usize, usize, usize)) {
        for d in 0..self.directions {
            let backward = self.reverse || d == 1;
            for s in 0..self.steps {
                let t = if backward { self.steps - 1 - s } else { s };
                for n in 0..self.batch {
                    step(d, t, n);
                }
            }
        }
    }

    /// `sum` plus row `row` of the weights times the input.
    fn add_input(&self, mut sum: f32, d: usize, row: usize, t: usize, n: usize) -> f32 {
        for i in 0..self.input {
            let product = self.x.at(&[t, n, i]) * self.w.at(&[d, row, i]);
            sum += product;
        }
        sum
    }

    /// `sum` plus row `row` of the recurrence times `h`.
    fn add_state(&self, mut sum: f32, d: usize, row: usize, h: &[f32]) -> f32 {
        for (i, h) in h.iter().enumerate() {
            let product = h * self.r.at(&[d, row, i]);
            sum += product;
        }
        sum
    }

    fn bias(&self, d: usize, gate: usize, j: usize) -> f32 {
        self.b.at(&[d, gate * self.hidden + j])
    }

    fn start(states: &Nd<f32>, d: usize, n: usize) -> Vec<f32> {
        let hidden = states.dims[2];
        (0..hidden).map(|j| states.at(&[d, n, j])).collect()
    }

    fn states(&self) -> Vec<Vec<Vec<f32>>> {
        let batch = |d| {
            (0..self.batch)
                .map(|n| Self::start(&self.h, d, n))
                .collect()
        };
        (0..self.directions).map(batch).collect()
    }

    fn activated(&self, f: &Activation, sum: f32) -> f32 {
        activate(f, clip(sum, (-self.clip, self.clip)))
    }

    /// Where in the output the hidden state of a step goes.
    fn place(&self, d: usize, t: usize, n: usize) -> usize {
        ((t * self.directions + d) * self.batch + n) * self.hidden
    }

    fn output(&self, y: Vec<f32>, ends: &[Vec<Vec<Vec<f32>>>]) -> Operand {
        let mut values = y;
        for state in ends.iter().flatten().flatten() {
            values.extend(state);
        }
        Operand::in_order(&Nd {
            dims: vec![values.len()],
            values,
        })
    }

    fn empty(&self) -> Vec<f32> {
        vec![0.0; self.steps * self.directions * self.batch * self.hidden]
    }
}

pub fn lstm(random: &mut Random, data: &mut Data) -> Case {
    let draw = draw(random, 4, 4);
    let hidden = draw.hidden;
    let mut float = random.floats();
    let c = draw.h.map(|_| float());
    let p = Nd::from_fn(&[draw.directions, 3 * hidden], |_| float());
    let (peepholes, coupled) = (random.one_in(2), random.one_in(4));
    let activations: [Activation; 6] = activations(random);

    let mut h = draw.states();
    let mut cells: Vec<Vec<Vec<f32>>> = (0..draw.directions)
        .map(|d| (0..draw.batch).map(|n| Draw::start(&c, d, n)).collect())
        .collect();
    let mut y = draw.empty();
    draw.each(|d, t, n| {
        let [f, g, last] = [0, 1, 2].map(|i| &activations[3 * d + i]);
        let mut after = vec![0.0; hidden];
        for j in 0..hidden {
            let sum = |gate: usize| {
                let sum = draw.add_input(draw.bias(d, gate, j), d, gate * hidden + j, t, n);
                draw.add_state(sum, d, gate * hidden + j, &h[d][n])
            };
            let peep = |gate: usize, sum: f32, cell: f32| {
                if !peepholes {
                    return sum;
                }
                let seen = p.at(&[d, gate * hidden + j]) * cell;
                sum + seen
            };
            let cell = &mut cells[d][n][j];
            let i = draw.activated(f, peep(0, sum(0), *cell));
            let forget = if coupled {
                1.0 - i
            } else {
                draw.activated(f, peep(2, sum(2), *cell))
            };
            let (kept, new) = (forget * *cell, i * draw.activated(g, sum(3)));
            *cell = kept + new;
            let o = draw.activated(f, peep(1, sum(1), *cell));
            after[j] = o * activate(last, *cell);
        }
        y[draw.place(d, t, n)..][..hidden].copy_from_slice(&after);
        h[d][n] = after;
    });

    let params = LstmParams {
        common: draw.params(random, data),
        activations,
        coupled: u32::from(coupled),
        has_peepholes: u32::from(peepholes),
        peepholes: data.put(random, &p.values),
    };
    let inputs = [&draw.x, &draw.h, &c].map(Operand::in_order).to_vec();
    Case::new::<Lstm>(params, inputs, draw.output(y, &[h, cells]))
}

pub fn gru(random: &mut Random, data: &mut Data) -> Case {
    let draw = draw(random, 3, 4);
    let hidden = draw.hidden;
    let linear_before_reset = random.one_in(2);
    let activations: [Activation; 4] = activations(random);

    let mut h = draw.states();
    let mut y = draw.empty();
    draw.each(|d, t, n| {
        let [f, g] = [0, 1].map(|i| &activations[2 * d + i]);
        let gate = |gate: usize, j: usize| {
            let sum = draw.add_input(draw.bias(d, gate, j), d, gate * hidden + j, t, n);
            draw.activated(f, draw.add_state(sum, d, gate * hidden + j, &h[d][n]))
        };
        let reset: Vec<f32> = (0..hidden).map(|j| gate(1, j)).collect();
        let through: Vec<f32> = reset.iter().zip(&h[d][n]).map(|(r, h)| r * h).collect();
        let after: Vec<f32> = (0..hidden)
            .map(|j| {
                let z = gate(0, j);
                let row = 2 * hidden + j;
                let from_x = draw.add_input(draw.bias(d, 2, j), d, row, t, n);
                let bias = draw.bias(d, 3, j);
                let from_h = if linear_before_reset {
                    reset[j] * draw.add_state(bias, d, row, &h[d][n])
                } else {
                    draw.add_state(bias, d, row, &through)
                };
                let candidate = draw.activated(g, from_x + from_h);
                let (new, old) = ((1.0 - z) * candidate, z * h[d][n][j]);
                new + old
            })
            .collect();
        y[draw.place(d, t, n)..][..hidden].copy_from_slice(&after);
        h[d][n] = after;
    });

    let params = GruParams {
        common: draw.params(random, data),
        activations,
        linear_before_reset: u32::from(linear_before_reset),
    };
    let inputs = [&draw.x, &draw.h].map(Operand::in_order).to_vec();
    Case::new::<Gru>(params, inputs, draw.output(y, &[h]))
}

pub fn rnn(random: &mut Random, data: &mut Data) -> Case {
    let draw = draw(random, 1, 1);
    let hidden = draw.hidden;
    let activations: [Activation; 2] = activations(random);

    let mut h = draw.states();
    let mut y = draw.empty();
    draw.each(|d, t, n| {
        let after: Vec<f32> = (0..hidden)
            .map(|j| {
                let sum = draw.add_input(draw.bias(d, 0, j), d, j, t, n);
                draw.activated(&activations[d], draw.add_state(sum, d, j, &h[d][n]))
            })
            .collect();
        y[draw.place(d, t, n)..][..hidden].copy_from_slice(&after);
        h[d][n] = after;
    });

    let params = RnnParams {
        common: draw.params(random, data),
        activations,
    };
    let inputs = [&draw.x, &draw.h].map(Operand::in_order).to_vec();
    Case::new::<Rnn>(params, inputs, draw.output(y, &[h]))
}
