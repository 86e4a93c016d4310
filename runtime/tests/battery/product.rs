//! ONNX `MatMul` of two activations, with broadcasting and transposed operands.

use niwaki::MAX_RANK;
use niwaki::ops::{MatMulF32, MatMulF32Params, MatMulI8, MatMulI8Params, MatMulShape, Strides};

use super::oracle::{Quantized, clip};
use super::walk;
use crate::support::{Case, Data, Nd, Operand, Random};

/// Shapes of a product, ONNX's way: batch dimensions of each operand, then the matrix.
struct Product {
    batch: Vec<usize>,
    operands: [Vec<usize>; 2],
    /// The operand's matrix lies transposed in memory.
    transposed: [bool; 2],
    rows: usize,
    depth: usize,
    columns: usize,
}

impl Product {
    fn draw(random: &mut Random) -> Self {
        let rank = random.below(4);
        let batch: Vec<usize> = (0..rank).map(|_| random.between(1, 3)).collect();
        let [rows, columns] = [random.between(1, 7), random.between(1, 9)];
        let depth = random.pick(&[1, 2, 3, 8, 33]);
        let mut repeated = |matrix: [usize; 2]| {
            let mut dims = batch.clone();
            for dim in &mut dims {
                if random.one_in(3) {
                    *dim = 1;
                }
            }
            dims.extend(matrix);
            dims
        };
        Self {
            operands: [repeated([rows, depth]), repeated([depth, columns])],
            transposed: [random.one_in(3), random.one_in(3)],
            batch,
            rows,
            depth,
            columns,
        }
    }

    /// The order of an operand's axes in memory.
    fn order(&self, i: usize) -> Vec<usize> {
        let rank = self.batch.len();
        let mut order: Vec<usize> = (0..rank + 2).collect();
        if self.transposed[i] {
            order.swap(rank, rank + 1);
        }
        order
    }

    fn shape(&self) -> MatMulShape {
        let rank = self.batch.len();
        let strides = [0, 1].map(|i| walk::strides(&self.operands[i], &self.order(i)));
        let walks = [0, 1].map(|i| {
            let mut walk = Strides {
                dims: [1; MAX_RANK],
                strides: [0; MAX_RANK],
            };
            let stored = walk.dims.iter_mut().zip(&mut walk.strides);
            let steps = self.batch.iter().zip(&self.operands[i]).zip(&strides[i]);
            for ((dim, step), ((&size, &own), &stride)) in stored.zip(steps) {
                *dim = size as u32;
                *step = if own > 1 { stride as u32 } else { 0 };
            }
            walk
        });
        let matrix = [0, 1].map(|i| [strides[i][rank] as u32, strides[i][rank + 1] as u32]);
        MatMulShape {
            batch: walks,
            rows: self.rows as u32,
            depth: self.depth as u32,
            columns: self.columns as u32,
            left: matrix[0],
            right: matrix[1],
        }
    }

    /// The output, of what `sum` makes of the pairs of factors.
    fn output<T: Copy, O: Copy>(
        &self,
        a: &Nd<T>,
        b: &Nd<T>,
        sum: impl Fn(&mut dyn Iterator<Item = (T, T)>) -> O,
    ) -> Nd<O> {
        let rank = self.batch.len();
        let dims = [&*self.batch, &[self.rows, self.columns]].concat();
        Nd::from_fn(&dims, |place| {
            let at = |x: &Nd<T>, matrix: [usize; 2]| {
                let batch = place[..rank].iter().zip(&x.dims);
                let mut index: Vec<usize> = batch
                    .map(|(&i, &dim)| if dim == 1 { 0 } else { i })
                    .collect();
                index.extend(matrix);
                x.at(&index)
            };
            let (i, j) = (place[rank], place[rank + 1]);
            sum(&mut (0..self.depth).map(|k| (at(a, [i, k]), at(b, [k, j]))))
        })
    }
}

pub fn float(random: &mut Random, _: &mut Data) -> Case {
    let product = Product::draw(random);
    let mut float = random.floats();
    let [a, b] = [0, 1].map(|i| Nd::from_fn(&product.operands[i], |_| float()));
    let range = random.float_clamp();
    let y = product.output(&a, &b, |factors| {
        let mut sum = 0.0;
        for (a, b) in factors {
            let product = a * b;
            sum += product;
        }
        clip(sum, range)
    });
    let params = MatMulF32Params {
        shape: product.shape(),
        low: range.0,
        high: range.1,
    };
    let inputs = vec![
        Operand::new(&a, &product.order(0)),
        Operand::new(&b, &product.order(1)),
    ];
    Case::new::<MatMulF32>(params, inputs, Operand::in_order(&y))
}

pub fn int8(random: &mut Random, _: &mut Data) -> Case {
    let product = Product::draw(random);
    let [a, b] = [0, 1].map(|i| {
        let mut int8 = random.int8s();
        Nd::from_fn(&product.operands[i], |_| int8())
    });
    let zero_points = [random.zero_point(), random.zero_point()];
    let typical = (product.depth as f64).sqrt() * 8000.0;
    let multiplier = random.multipliers(typical).next().unwrap();
    let output = Quantized::draw(random);
    let y = product.output(&a, &b, |factors| {
        let mut sum = 0i64;
        for (a, b) in factors {
            let a = i64::from(a) - i64::from(zero_points[0]);
            let b = i64::from(b) - i64::from(zero_points[1]);
            sum += a * b;
        }
        output.rescale(sum, multiplier)
    });
    let params = MatMulI8Params {
        shape: product.shape(),
        input_zero_points: zero_points,
        multiplier,
        output_zero_point: output.zero_point,
        low: output.low,
        high: output.high,
    };
    let inputs = vec![
        Operand::new(&a, &product.order(0)),
        Operand::new(&b, &product.order(1)),
    ];
    Case::new::<MatMulI8>(params, inputs, Operand::in_order(&y))
}
