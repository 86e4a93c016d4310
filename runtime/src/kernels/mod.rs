//! The loops. Scalar, safe and total: each takes slices and a struct of parameters, and gives
//! `None` when a slice is shorter than the parameters say, which the checks at load exclude.
//!
//! These are the reference: a kernel for an instruction set has to give the same bits. All
//! activations are stored channels last (NHWC).

mod conv;
mod conv_transpose;
mod depthwise;
mod fully_connected;
mod indexed;
pub(crate) mod integer;
mod lanes;
mod layer_norm;
mod local_response;
mod mat_mul;
mod pool;
mod recurrent;
mod resample;
mod softmax;
mod strided;
mod window;

pub(crate) use conv::{ConvF32, ConvI8, CopyChecked};
pub(crate) use conv_transpose::ConvTransposeF32;
pub(crate) use depthwise::{DepthwiseF32, DepthwiseI8};
pub(crate) use fully_connected::{FullyConnectedBorderI8, FullyConnectedF32, FullyConnectedI8};
pub(crate) use indexed::{
    IndexedAxis, Tuples, gather_elements, gather_nd, gather_rows, one_hot, scatter_elements,
    scatter_nd, top_k,
};
pub(crate) use lanes::Lanes;
pub(crate) use layer_norm::LayerNorm;
pub(crate) use local_response::LocalResponse;
pub use mat_mul::MatMulShape;
pub use pool::IndexSteps;
pub(crate) use pool::{
    AverageI8, average_pool_f32, average_pool_i8, lp_pool_f32, max_pool, max_pool_indices,
};
pub use recurrent::Activation;
pub(crate) use recurrent::{Gru, Lstm, Recurrent, Rnn};
pub(crate) use resample::Resample;
pub(crate) use softmax::{softmax_f32, softmax_i8};
pub use strided::Strides;
pub(crate) use strided::{broadcast, choose, for_each_pair, gather, scatter, strided_copy};
pub(crate) use window::Band;
pub use window::Window;

use crate::error::Rule;

/// The product of sizes, or `None` beyond 2³¹ - 1: what no tensor can have.
pub(crate) fn volume(sizes: &[u32]) -> Result<u64, Rule> {
    let product = sizes
        .iter()
        .try_fold(1u64, |product, &size| product.checked_mul(u64::from(size)));
    product
        .filter(|&n| 0 < n && n <= i32::MAX as u64)
        .ok_or(Rule::Parameter)
}

/// The sum of products of two runs of int8, in i32.
///
/// The compiler proves that it stays in range; for a file that was made by another hand the sum
/// wraps, the same on every machine.
#[inline(always)]
fn dot(x: &[i8], w: &[i8]) -> i32 {
    x.iter().zip(w).fold(0i32, |sum, (&x, &w)| {
        sum.wrapping_add(i32::from(x) * i32::from(w))
    })
}

/// The sum of a run of int8, in i32.
#[inline(always)]
fn sum(w: &[i8]) -> i32 {
    w.iter()
        .fold(0i32, |sum, &w| sum.wrapping_add(i32::from(w)))
}
