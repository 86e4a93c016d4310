//! Post-training quantisation: a float graph becomes a QDQ graph, as an exporter would write it,
//! and goes the same way from there.

use std::collections::{HashMap, HashSet};

use anyhow::Result;
use ndarray::{ArrayD, Axis};

use super::Options;
use super::calibrate::Calibration;
use crate::graph::{Constant, DataType, Graph, Node, Op, Quantization, ValueId};
use crate::layers::Moment;

/// Scale and zero point of int8 over a range, which is widened to hold 0 exactly.
pub fn affine(low: f32, high: f32) -> (f32, i32) {
    let (low, high) = (low.min(0.0), high.max(0.0));
    let scale = (high - low) / 255.0;
    // A tensor that is always 0, or too small for a scale: any scale stands for it.
    if !scale.is_normal() {
        return (1.0, 0);
    }
    let zero_point = (-128.0 - low / scale)
        .round_ties_even()
        .clamp(-128.0, 127.0);
    (scale, zero_point as i32)
}

/// Rewrites a float graph with QuantizeLinear and DequantizeLinear around every tensor that
/// lies in memory: int8 activations per tensor, int8 weights per output channel, int32 biases.
///
/// # Errors
///
/// When weights cannot be quantised.
pub fn quantize(graph: &Graph, calibration: &Calibration, options: &Options) -> Result<Graph> {
    let mut quantizer = Quantizer {
        source: graph,
        uses: graph.use_counts(),
        clamped: clamped(graph),
        outputs: graph.outputs.iter().copied().collect(),
        seen_as: seen_as(graph),
        calibration,
        options,
        result: Graph {
            values: graph.values.clone(),
            output_names: graph.output_names.clone(),
            ..Graph::default()
        },
        dequantized: HashMap::new(),
        affines: HashMap::new(),
    };
    let concat_ranges = quantizer.concat_ranges();
    quantizer.inputs(&concat_ranges);
    for node in &graph.nodes {
        quantizer.node(node, &concat_ranges);
    }
    quantizer.outputs();
    quantizer.result.remove_dead_nodes();
    Ok(quantizer.result)
}

/// Values that a clamp reads.
fn clamped(graph: &Graph) -> HashSet<ValueId> {
    let clamps = graph.nodes.iter();
    let clamps = clamps.filter(|node| matches!(node.op, Op::Clamp { .. }));
    clamps.map(|node| node.inputs[0]).collect()
}

/// For each value the one that calibration has seen: reshapes lie in no memory of their own.
fn seen_as(graph: &Graph) -> Vec<ValueId> {
    let mut seen: Vec<ValueId> = (0..graph.values.len()).collect();
    for node in &graph.nodes {
        if matches!(node.op, Op::Reshape | Op::Transpose { .. }) {
            seen[node.output] = seen[node.inputs[0]];
        }
    }
    seen
}

struct Quantizer<'g> {
    source: &'g Graph,
    uses: Vec<usize>,
    /// Values that a clamp reads.
    clamped: HashSet<ValueId>,
    /// Outputs of the model.
    outputs: HashSet<ValueId>,
    /// For each value the one that calibration has seen.
    seen_as: Vec<ValueId>,
    calibration: &'g Calibration,
    options: &'g Options,
    result: Graph,
    /// For each value of the source, the one to read instead: dequantised int8.
    dequantized: HashMap<ValueId, ValueId>,
    /// Scale and zero point of each value of the source that is quantised.
    affines: HashMap<ValueId, (f32, i32)>,
}

impl Quantizer<'_> {
    /// Inputs of a Concat that nothing else reads get the Concat's scale, so that it copies.
    fn concat_ranges(&self) -> HashMap<ValueId, (f32, f32)> {
        let mut ranges = HashMap::new();
        for node in &self.source.nodes {
            if matches!(node.op, Op::Concat { .. })
                && let Some(range) = self.calibration.range(node.output)
            {
                for &input in node.inputs.iter().filter(|&&input| self.uses[input] == 1) {
                    ranges.insert(input, range);
                }
            }
        }
        ranges
    }

    fn read(&self, id: ValueId) -> ValueId {
        self.dequantized.get(&id).copied().unwrap_or(id)
    }

    fn push(&mut self, name: &str, op: Op, inputs: Vec<ValueId>, output: ValueId) {
        self.result.nodes.push(Node {
            name: name.to_owned(),
            op,
            inputs,
            output,
        });
    }

    fn dequantize(&mut self, int8: ValueId, quantization: Quantization) -> ValueId {
        let name = format!("{}.dequantized", self.result.values[int8].name);
        let shape = self.result.values[int8].shape.clone();
        let output = self.result.add_value(&name, DataType::F32, shape);
        self.push(&name, Op::Dequantize(quantization), vec![int8], output);
        output
    }

    /// Quantises float value `id` and has all readers read the dequantised int8.
    fn quantize_value(&mut self, id: ValueId, affine: (f32, i32)) {
        let (name, shape) = {
            let value = &self.result.values[id];
            (value.name.clone(), value.shape.clone())
        };
        // The int8 tensor is what lies in memory: it bears the model's name for the value.
        self.result.values[id].name = format!("{name}.float");
        let int8 = self.result.add_value(&name, DataType::I8, shape);
        let quantization = Quantization::per_tensor(affine.0, affine.1);
        self.push(&name, Op::Quantize(quantization.clone()), vec![id], int8);
        let float = self.dequantize(int8, quantization);
        self.dequantized.insert(id, float);
        self.affines.insert(id, affine);
    }

    fn inputs(&mut self, concat_ranges: &HashMap<ValueId, (f32, f32)>) {
        for &id in &self.source.inputs {
            let is_float = self.source.values[id].dtype == DataType::F32;
            let range = concat_ranges
                .get(&id)
                .copied()
                .or_else(|| self.calibration.range(id));
            let Some((low, high)) = range.filter(|_| is_float) else {
                self.result.inputs.push(id);
                continue;
            };
            let (scale, zero_point) = affine(low, high);
            if self.options.int8_io {
                let value = self.result.values[id].clone();
                let int8 = self.result.add_value(value.name, DataType::I8, value.shape);
                let quantization = Quantization::per_tensor(scale, zero_point);
                let float = self.dequantize(int8, quantization);
                self.dequantized.insert(id, float);
                self.affines.insert(id, (scale, zero_point));
                self.result.inputs.push(int8);
            } else {
                self.result.inputs.push(id);
                self.quantize_value(id, (scale, zero_point));
                // The input is the float tensor: the name is the caller's.
                let name = self.source.values[id].name.clone();
                let int8 = self.result.values.len() - 2;
                self.result.values[int8].name = format!("{name}.int8");
                self.result.values[id].name = name;
            }
        }
    }

    fn node(&mut self, node: &Node, concat_ranges: &HashMap<ValueId, (f32, f32)>) {
        let mut inputs: Vec<ValueId> = node.inputs.iter().map(|&id| self.read(id)).collect();
        match &node.op {
            Op::Conv { .. } => self.weights(node, 0, &mut inputs),
            Op::MatMul { transposed } if self.source.shape(node.inputs[1]).len() == 2 => {
                self.weights(node, usize::from(!transposed), &mut inputs);
            }
            Op::Add | Op::Mul => self.constant_operands(&mut inputs),
            // A table that rows are taken from.
            Op::Indexed(op) if op.gathers() => self.constant_operands(&mut inputs[..1]),
            _ => {}
        }
        self.push(&node.name, node.op.clone(), inputs, node.output);
        if let Some(affine) = self.output_affine(node, concat_ranges) {
            self.quantize_value(node.output, affine);
        }
    }

    /// How the output of a node is quantised; `None` where it stays float.
    fn output_affine(
        &self,
        node: &Node,
        concat_ranges: &HashMap<ValueId, (f32, f32)>,
    ) -> Option<(f32, i32)> {
        // A clamp that is the only reader is taken in: what lies in memory is its output.
        let fused = self.uses[node.output] == 1
            && matches!(
                node.op,
                Op::Conv { .. } | Op::ConvTranspose { .. } | Op::MatMul { .. } | Op::Add | Op::Mul
            )
            && self.clamped.contains(&node.output);
        if fused {
            return None;
        }
        match &node.op {
            // Moving elements changes no value, and int8 keep their meaning.
            Op::Reshape
            | Op::Transpose { .. }
            | Op::MaxPool(_)
            | Op::Slice { .. }
            | Op::Take { .. }
            | Op::Expand => {
                return self.affines.get(&node.inputs[0]).copied();
            }
            Op::Indexed(op) if op.gathers() => {
                return self.affines.get(&node.inputs[0]).copied();
            }
            Op::Pad { value, .. } if *value == 0.0 => {
                return self.affines.get(&node.inputs[0]).copied();
            }
            // Their ranges are known without looking.
            Op::Softmax { .. } | Op::Sigmoid => {
                let last = self.outputs.contains(&node.output);
                let float = last && !self.options.int8_io;
                return (!float).then_some((1.0 / 256.0, -128));
            }
            Op::Tanh => return Some((1.0 / 128.0, 0)),
            // States go round and round: an error in them would too. And statistics are no
            // activations.
            Op::Recurrent(_) => return None,
            Op::LayerNorm(norm) if norm.result != Moment::Normalized => return None,
            _ => {}
        }
        let range = concat_ranges.get(&node.output).copied();
        let range = range.or_else(|| self.calibration.range(node.output));
        range.map(|(low, high)| affine(low, high))
    }

    /// Quantises constant operands per tensor.
    fn constant_operands(&mut self, inputs: &mut [ValueId]) {
        for id in inputs {
            let Some(values) = self.result.constant_f32(*id).cloned() else {
                continue;
            };
            let ends = values.iter().fold((0.0f32, 0.0f32), |(low, high), &v| {
                (low.min(v), high.max(v))
            });
            let (scale, zero_point) = affine(ends.0, ends.1);
            self.affines.insert(*id, (scale, zero_point));
            let int8 = values.mapv(|v| {
                ((v / scale).round_ties_even() + zero_point as f32).clamp(-128.0, 127.0) as i8
            });
            let name = format!("{}.int8", self.result.values[*id].name);
            let int8 = self.result.add_constant(name, Constant::I8(int8));
            *id = self.dequantize(int8, Quantization::per_tensor(scale, zero_point));
        }
    }

    /// Quantises the weights of a node per output channel (`axis`) and its bias to match.
    fn weights(&mut self, node: &Node, axis: usize, inputs: &mut Vec<ValueId>) {
        let input_scale = self.affines.get(&node.inputs[0]).map(|affine| affine.0);
        let weights = self.source.constant_f32(node.inputs[1]).cloned();
        let (Some(input_scale), Some(weights)) = (input_scale, weights) else {
            return;
        };
        let channels = weights.shape()[axis];
        let bias: Vec<f32> = match node.inputs.get(2) {
            None => vec![0.0; channels],
            Some(&id) => match self.source.constant_f32(id) {
                Some(bias) => bias.iter().copied().collect(),
                None => return,
            },
        };
        let mut scales = Vec::new();
        let mut int8 = ArrayD::zeros(weights.raw_dim());
        for (c, channel) in weights.axis_iter(Axis(axis)).enumerate() {
            let largest = channel.iter().fold(0.0f32, |m, w| m.max(w.abs()));
            // A bias has to fit i32 in units of input scale * weight scale, with room for the
            // sum: a channel of tiny weights gets a larger scale.
            let for_bias = bias[c].abs() / input_scale / (1 << 29) as f32;
            let mut scale = (largest / 127.0).max(for_bias);
            if !scale.is_normal() {
                scale = 1.0;
            }
            let mut target = int8.index_axis_mut(Axis(axis), c);
            target.zip_mut_with(&channel, |q, &w| {
                *q = (w / scale).round_ties_even().clamp(-127.0, 127.0) as i8;
            });
            scales.push(scale);
        }
        let correction = match self.options.bias_correction {
            true => self.bias_correction(node, axis, &weights, &int8, &scales),
            false => vec![0.0; channels],
        };
        let bias: Vec<i32> = (0..channels)
            .map(|c| {
                let real = f64::from(bias[c]) + correction[c];
                (real / f64::from(input_scale * scales[c])).round_ties_even() as i32
            })
            .collect();
        let name = self.source.values[node.inputs[1]].name.clone();
        let quantization = |scale: Vec<f32>, axis: usize, dtype: DataType| Quantization {
            zero_point: vec![0; scale.len()],
            scale,
            axis: Some(axis),
            dtype,
        };
        let bias_scales = scales.iter().map(|scale| input_scale * scale).collect();
        let int8 = self
            .result
            .add_constant(format!("{name}.int8"), Constant::I8(int8));
        let weights = self.dequantize(int8, quantization(scales, axis, DataType::I8));
        let bias = Constant::I32(ndarray::arr1(&bias).into_dyn());
        let bias = self.result.add_constant(format!("{name}.bias"), bias);
        let bias = self.dequantize(bias, quantization(bias_scales, 0, DataType::I32));
        inputs.truncate(1);
        inputs.extend([weights, bias]);
    }

    /// What to add to each bias so that the mean output stays what it was: minus the mean input
    /// of each channel times the error of its weights (Nagel et al. 2019, section 4.2,
    /// <https://arxiv.org/abs/1906.04721>, with means that calibration has seen).
    fn bias_correction(
        &self,
        node: &Node,
        axis: usize,
        weights: &ArrayD<f32>,
        int8: &ArrayD<i8>,
        scales: &[f32],
    ) -> Vec<f64> {
        let nothing = vec![0.0; scales.len()];
        let group = match node.op {
            Op::Conv { group, .. } => group,
            _ => 1,
        };
        let Some(means) = self.calibration.channel_means(self.seen_as[node.inputs[0]]) else {
            return nothing;
        };
        // Axis of the input channels in what is left of the weights when one output is taken.
        let per_group = weights.len_of(Axis(1 - axis.min(1)));
        if means.len() != per_group * group {
            return nothing;
        }
        let group_out = scales.len() / group;
        let channels = weights
            .axis_iter(Axis(axis))
            .zip(int8.axis_iter(Axis(axis)));
        channels
            .zip(scales)
            .enumerate()
            .map(|(c, ((float, int8), &scale))| {
                let first = c / group_out * per_group;
                let inputs = float.axis_iter(Axis(0)).zip(int8.axis_iter(Axis(0)));
                let errors = inputs.map(|(float, int8)| -> f64 {
                    float
                        .iter()
                        .zip(&int8)
                        .map(|(&w, &q)| f64::from(w) - f64::from(q) * f64::from(scale))
                        .sum()
                });
                errors
                    .zip(&means[first..])
                    .map(|(error, mean)| error * mean)
                    .sum()
            })
            .collect()
    }

    fn outputs(&mut self) {
        let producers = self.result.producers();
        for &id in &self.source.outputs {
            let float = self.read(id);
            let output = if self.options.int8_io && float != id {
                // The int8 under the last DequantizeLinear.
                producers[float].map_or(float, |index| self.result.nodes[index].inputs[0])
            } else {
                float
            };
            self.result.outputs.push(output);
        }
    }
}
