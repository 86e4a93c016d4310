//! Operations with many attributes: what the graph says of them.

use niwaki::ops::Activation;

/// LayerNormalization and RMSNormalization. A row is all axes from `axis` on. Inputs: the rows;
/// for [`Moment::Normalized`] optionally a scale and then a bias, of a row's shape.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct LayerNorm {
    /// The first axis of a row.
    pub axis: usize,
    /// Added to the variance.
    pub epsilon: f32,
    /// The mean is subtracted; else it counts as 0: a root mean square.
    pub centred: bool,
    /// What is given.
    pub result: Moment,
}

/// What a normalisation gives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Moment {
    /// The normalised rows.
    Normalized,
    /// The mean of each row.
    Mean,
    /// The inverse standard deviation of each row.
    InverseDeviation,
}

/// Weighted sums along one axis.
#[derive(Clone, Debug, PartialEq)]
pub struct Resampling {
    /// The axis.
    pub axis: usize,
    /// How many elements of the input an element of the output is made of.
    pub taps: usize,
    /// For each position of the output `taps` positions of the input; its length as the first
    /// for a position that lies outside.
    pub indices: Vec<u32>,
    /// As many weights.
    pub weights: Vec<f32>,
    /// The value of positions that lie outside.
    pub outside: f32,
}

/// Which recurrent layer it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cell {
    /// ONNX `LSTM`.
    Lstm {
        /// The forget gate is 1 - the input gate.
        coupled: bool,
    },
    /// ONNX `GRU`.
    Gru {
        /// The reset gate acts behind the product with the recurrence.
        linear_before_reset: bool,
    },
    /// ONNX `RNN`.
    Rnn,
}

impl Cell {
    /// Rows of the weights for each unit.
    pub fn gates(self) -> usize {
        match self {
            Self::Lstm { .. } => 4,
            Self::Gru { .. } => 3,
            Self::Rnn => 1,
        }
    }

    /// Kinds of states: hidden ones, for an LSTM cell states too.
    pub fn states(self) -> usize {
        match self {
            Self::Lstm { .. } => 2,
            _ => 1,
        }
    }

    /// Activations of one direction.
    pub fn activations(self) -> usize {
        match self {
            Self::Lstm { .. } => 3,
            Self::Gru { .. } => 2,
            Self::Rnn => 1,
        }
    }
}

/// LSTM, GRU or RNN over whole sequences. Inputs: the sequences `[steps][batch][input]`; weights,
/// recurrence and bias as ONNX has them, constant; the initial states `[directions][batch]
/// [hidden]`; for an LSTM optionally constant peepholes.
///
/// The output is `[steps + states][directions][batch][hidden]`: the hidden states of all steps,
/// then the final hidden states, then for an LSTM the final cell states.
#[derive(Clone, Debug, PartialEq)]
pub struct Recurrent {
    /// Which layer.
    pub cell: Cell,
    /// 1 or 2; the second one goes backward.
    pub directions: usize,
    /// The first direction goes backward.
    pub reverse: bool,
    /// Sums are clamped to -clip and clip before their activation; infinite when they are not.
    pub clip: f32,
    /// Those of all directions.
    pub activations: Vec<Activation>,
}
