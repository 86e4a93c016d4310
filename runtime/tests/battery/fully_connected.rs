//! ONNX `Gemm` and `MatMul` with constant weights.

use niwaki::ops::{
    FullyConnectedBorderI8, FullyConnectedBorderI8Params, FullyConnectedBorderI8Wide,
    FullyConnectedF32, FullyConnectedF32Params, FullyConnectedI8, FullyConnectedI8Params,
    FullyConnectedI8Sparse, FullyConnectedI8SparseParams, FullyConnectedI8Wide,
};

use super::oracle::{Quantized, clip, sparse, wide};
use crate::support::{Case, Data, Nd, Operand, Random};

/// Rows, depth and outputs: `[rows, depth] x [depth, outputs]`.
fn shape(random: &mut Random) -> [usize; 3] {
    let depth = if random.one_in(4) {
        random.between(100, 300)
    } else {
        random.between(1, 70)
    };
    [random.between(1, 6), depth, random.between(1, 40)]
}

pub fn int8(random: &mut Random, data: &mut Data) -> Case {
    let (params, x, y, _) = product(random, data, false);
    Case::new::<FullyConnectedI8>(params, vec![x], y)
}

/// The same with its weights widened.
pub fn int8_wide(random: &mut Random, data: &mut Data) -> Case {
    let (mut params, x, y, w) = product(random, data, false);
    params.weights = wide(random, data, &w.values, [w.dims[0], w.dims[1]]);
    Case::new::<FullyConnectedI8Wide>(params, vec![x], y)
}

/// The same with blocks of zeros, which are not stored.
pub fn int8_sparse(random: &mut Random, data: &mut Data) -> Case {
    let (dense, x, y, w) = product(random, data, true);
    let weights = sparse(&w.values, [w.dims[0], w.dims[1]]);
    let params = FullyConnectedI8SparseParams {
        rows: dense.rows,
        depth: dense.depth,
        outputs: dense.outputs,
        output_zero_point: dense.output_zero_point,
        low: dense.low,
        high: dense.high,
        weights_len: weights.len() as u32,
        weights: data.put(random, &weights),
        bias: dense.bias,
        multipliers: dense.multipliers,
    };
    Case::new::<FullyConnectedI8Sparse>(params, vec![x], y)
}

/// Parameters, input, output and weights `[outputs][depth]`, of which many are zero if they are sparse.
fn product(
    random: &mut Random,
    data: &mut Data,
    is_sparse: bool,
) -> (FullyConnectedI8Params, Operand, Operand, Nd<i8>) {
    let [rows, depth, outputs] = shape(random);
    let mut int8 = random.int8s();
    let x = Nd::from_fn(&[rows, depth], |_| int8());
    let mut int8 = random.int8s();
    let mut w = Nd::from_fn(&[depth, outputs], |_| int8());
    if is_sparse {
        // All, none, or some; single zeros within a block as well.
        let share = random.pick(&[0, 1, 4, 12, 15, 16]);
        for block in 0..depth.div_ceil(4) {
            for o in 0..outputs {
                let is_zero = random.below(16) < share;
                for k in block * 4..(block * 4 + 4).min(depth) {
                    if is_zero || random.one_in(8) {
                        w.values[k * outputs + o] = 0;
                    }
                }
            }
        }
    }
    let bias: Vec<i32> = (0..outputs)
        .map(|_| random.bits() as i32 >> random.pick(&[0, 12, 16, 31]))
        .collect();
    let multipliers: Vec<f32> = random
        .multipliers((depth as f64).sqrt() * 5000.0)
        .take(outputs)
        .collect();
    let zero_point = i64::from(random.zero_point());
    let output = Quantized::draw(random);

    let y = Nd::from_fn(&[rows, outputs], |index| {
        let [row, o] = *index else { panic!() };
        let mut sum = i64::from(bias[o]);
        for k in 0..depth {
            sum += (i64::from(x.at(&[row, k])) - zero_point) * i64::from(w.at(&[k, o]));
        }
        output.rescale(sum, multipliers[o])
    });

    let with_zero_point = |o: usize| {
        let weights = (0..depth).map(|k| i64::from(w.at(&[k, o]))).sum::<i64>();
        (i64::from(bias[o]) - zero_point * weights) as i32
    };
    let bias: Vec<i32> = (0..outputs).map(with_zero_point).collect();
    let w = w.permuted(&[1, 0]);
    let params = FullyConnectedI8Params {
        rows: rows as u32,
        depth: depth as u32,
        outputs: outputs as u32,
        output_zero_point: output.zero_point,
        low: output.low,
        high: output.high,
        weights: data.put(random, &w.values),
        bias: data.put(random, &bias),
        multipliers: data.put(random, &multipliers),
    };
    (params, Operand::in_order(&x), Operand::in_order(&y), w)
}

/// A 1x1 `Conv` of an image of which some channels are constant but for their borders, and are
/// not stored: what they add is in the biases.
pub fn border_int8(random: &mut Random, data: &mut Data) -> Case {
    let (params, x, y, _) = border_product(random, data);
    Case::new::<FullyConnectedBorderI8>(params, vec![x], y)
}

/// The same with its weights widened.
pub fn border_int8_wide(random: &mut Random, data: &mut Data) -> Case {
    let (mut params, x, y, w) = border_product(random, data);
    params.weights = wide(random, data, &w.values, [w.dims[0], w.dims[1]]);
    Case::new::<FullyConnectedBorderI8Wide>(params, vec![x], y)
}

/// Parameters, input, output and weights `[outputs][depth]`.
fn border_product(
    random: &mut Random,
    data: &mut Data,
) -> (FullyConnectedBorderI8Params, Operand, Operand, Nd<i8>) {
    let [lines, columns] = [random.between(1, 6), random.between(1, 6)];
    let [depth, hidden, outputs] = [
        random.between(1, 40),
        random.between(1, 4),
        random.between(1, 20),
    ];
    let counts = [random.between(1, 3), random.between(1, 3)];
    let mut classes = |len: usize, count: usize| -> Vec<u8> {
        (0..len)
            .map(|_| random.between(0, count - 1) as u8)
            .collect()
    };
    let (line_class, column_class) = (classes(lines, counts[0]), classes(columns, counts[1]));
    let mut int8 = random.int8s();
    let x = Nd::from_fn(&[lines, columns, depth], |_| int8());
    let constants = Nd::from_fn(&[counts[0], counts[1], hidden], |_| int8());
    let mut int8 = random.int8s();
    let w = Nd::from_fn(&[outputs, depth], |_| int8());
    let hidden_w = Nd::from_fn(&[outputs, hidden], |_| int8());
    let bias: Vec<i32> = (0..outputs)
        .map(|_| random.bits() as i32 >> random.pick(&[12, 16, 31]))
        .collect();
    let multipliers: Vec<f32> = random
        .multipliers(((depth + hidden) as f64).sqrt() * 5000.0)
        .take(outputs)
        .collect();
    let zero_point = i64::from(random.zero_point());
    let output = Quantized::draw(random);

    let y = Nd::from_fn(&[lines, columns, outputs], |index| {
        let [line, column, o] = *index else { panic!() };
        let mut sum = i64::from(bias[o]);
        for k in 0..depth {
            let real = i64::from(x.at(&[line, column, k])) - zero_point;
            sum += real * i64::from(w.at(&[o, k]));
        }
        for h in 0..hidden {
            let class = [line_class[line].into(), column_class[column].into(), h];
            let real = i64::from(constants.at(&class)) - zero_point;
            sum += real * i64::from(hidden_w.at(&[o, h]));
        }
        output.rescale(sum, multipliers[o])
    });

    let biases = Nd::from_fn(&[counts[0], counts[1], outputs], |index| {
        let [line, column, o] = *index else { panic!() };
        let weights = (0..depth).map(|k| i64::from(w.at(&[o, k]))).sum::<i64>();
        let mut sum = i64::from(bias[o]) - zero_point * weights;
        for h in 0..hidden {
            let real = i64::from(constants.at(&[line, column, h])) - zero_point;
            sum += real * i64::from(hidden_w.at(&[o, h]));
        }
        sum as i32
    });
    let params = FullyConnectedBorderI8Params {
        lines: lines as u32,
        columns: columns as u32,
        depth: depth as u32,
        outputs: outputs as u32,
        line_classes: counts[0] as u32,
        column_classes: counts[1] as u32,
        output_zero_point: output.zero_point,
        low: output.low,
        high: output.high,
        weights: data.put(random, &w.values),
        bias: data.put(random, &biases.values),
        multipliers: data.put(random, &multipliers),
        line_class: data.put(random, &line_class),
        column_class: data.put(random, &column_class),
    };
    (params, Operand::in_order(&x), Operand::in_order(&y), w)
}

pub fn float(random: &mut Random, data: &mut Data) -> Case {
    let [rows, depth, outputs] = shape(random);
    let mut float = random.floats();
    let x = Nd::from_fn(&[rows, depth], |_| float());
    let mut float = random.floats();
    let w = Nd::from_fn(&[depth, outputs], |_| float());
    let bias: Vec<f32> = (0..outputs).map(|_| float()).collect();
    let range = random.float_clamp();

    // The bias, then the products in the order of the input.
    let y = Nd::from_fn(&[rows, outputs], |index| {
        let [row, o] = *index else { panic!() };
        let mut sum = bias[o];
        for k in 0..depth {
            let product = x.at(&[row, k]) * w.at(&[k, o]);
            sum += product;
        }
        clip(sum, range)
    });

    let params = FullyConnectedF32Params {
        rows: rows as u32,
        depth: depth as u32,
        outputs: outputs as u32,
        low: range.0,
        high: range.1,
        weights: data.put(random, &w.values),
        bias: data.put(random, &bias),
    };
    let (x, y) = (Operand::in_order(&x), Operand::in_order(&y));
    Case::new::<FullyConnectedF32>(params, vec![x], y)
}
