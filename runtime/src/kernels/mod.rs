//! The loops. Safe and total: each takes slices and a struct of parameters, and gives
//! `None` when a slice is shorter than the parameters say, which the checks at load exclude.
//!
//! Sums of int8 products are left to [`arch`], which has them for each instruction set, and for
//! none: the scalar ones, which are the reference. All activations are stored channels last (NHWC).

#[allow(
    unsafe_code,
    reason = "the one place for it: see the module's own text"
)]
mod arch;
#[cfg(niwaki_tiles)]
mod blocks;
mod conv;
mod conv_transpose;
mod depthwise;
mod filters;
mod fully_connected;
mod indexed;
pub(crate) mod integer;
mod lanes;
mod layer_norm;
mod local_response;
mod mat_mul;
mod pairs;
#[cfg(niwaki_tiles)]
mod plain;
mod pool;
mod recurrent;
mod resample;
mod softmax;
mod sparse;
mod strided;
mod window;

#[cfg(all(niwaki_tiles, target_arch = "wasm32"))]
pub(crate) use arch::affine_pairs;
#[cfg(feature = "kernel-check")]
pub(crate) use arch::check::first_difference;
pub(crate) use arch::sparse::{SparseRows, Workspace as SparseWorkspace};
#[cfg(niwaki_tiles)]
pub(crate) use arch::tiles::{COPIED, Copied};
pub(crate) use arch::{Weight, Wide, Workspace};
pub(crate) use conv::{ConvF32, ConvI8, CopyChecked};
pub(crate) use conv_transpose::ConvTransposeF32;
pub(crate) use depthwise::{DepthwiseF32, DepthwiseI8};
pub(crate) use fully_connected::{FullyConnectedBorderI8, FullyConnectedF32, FullyConnectedI8};
pub(crate) use indexed::{
    IndexedAxis, Tuples, copy_element, exact, for_each_element, gather_nd, gather_rows, one_hot,
    read, scatter_nd, top_k,
};
pub(crate) use lanes::Lanes;
pub(crate) use layer_norm::LayerNorm;
pub(crate) use local_response::LocalResponse;
pub use mat_mul::MatMulShape;
pub(crate) use pairs::Pair;
#[cfg(niwaki_tiles)]
pub(crate) use pairs::pairs;
pub use pool::IndexSteps;
pub(crate) use pool::{
    AverageI8, average_pool_f32, average_pool_i8, lp_pool_f32, max_pool, max_pool_indices,
};
pub use recurrent::Activation;
pub(crate) use recurrent::{Gru, Lstm, Recurrent, Rnn};
pub(crate) use resample::Resample;
pub(crate) use softmax::{softmax_f32, softmax_i8};
pub(crate) use sparse::{SPARSE_PIXELS, SparseProductI8};
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
