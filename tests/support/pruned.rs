//! Models that are pruned in blocks, made from models that are not.

use anyhow::{Context as _, Result, ensure};
use prost::Message as _;

use crate::onnx::pb::{ModelProto, NodeProto, tensor_proto::DataType};

/// Weights of a block: consecutive input channels of one output channel.
const BLOCK: usize = 4;

/// A QDQ model of which that share of the blocks of each output channel of its pointwise convolutions is
/// zero, those of smallest norm. Nothing is trained again: it serves to measure bytes and
/// instructions.
///
/// # Errors
///
/// When the bytes are no model, or one without such convolutions of int8 weights.
pub fn block_sparse(model: &[u8], share: f64) -> Result<Vec<u8>> {
    let mut model = ModelProto::decode(model).context("not an ONNX model")?;
    let graph = model.graph.as_mut().context("a model without a graph")?;
    let mut names = Vec::new();
    for conv in graph.node.iter().filter(|node| node.op_type == "Conv") {
        let is_dequantised = |node: &&NodeProto| {
            node.op_type == "DequantizeLinear" && node.output.first() == conv.input.get(1)
        };
        if let Some(node) = graph.node.iter().find(is_dequantised) {
            names.push(node.input[0].clone());
        }
    }
    let mut pruned = 0;
    for weights in names {
        let tensors = &mut graph.initializer;
        let Some(tensor) = tensors.iter_mut().find(|tensor| tensor.name == weights) else {
            continue;
        };
        let [_, inputs, 1, 1] = tensor.dims[..] else {
            continue;
        };
        let row = inputs as usize;
        if !row.is_multiple_of(BLOCK) || tensor.data_type != DataType::Int8 as i32 {
            continue;
        }
        ensure!(!tensor.raw_data.is_empty(), "weights that are not raw");
        for row in tensor.raw_data.chunks_exact_mut(row) {
            let blocks = row.as_chunks_mut::<BLOCK>().0;
            let norm = |block: &[u8; BLOCK]| -> i32 {
                let squares = block.map(|w| i32::from(w.cast_signed()).pow(2));
                squares.iter().sum()
            };
            let mut order: Vec<usize> = (0..blocks.len()).collect();
            order.sort_by_key(|&block| norm(&blocks[block]));
            for &block in &order[..(share * order.len() as f64).round() as usize] {
                blocks[block] = [0; BLOCK];
            }
        }
        pruned += 1;
    }
    ensure!(pruned > 0, "no pointwise convolution of int8 weights");
    Ok(model.encode_to_vec())
}
