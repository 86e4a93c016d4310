//! ONNX `Softmax` over the last axis.

use niwaki::ops::{SoftmaxF32, SoftmaxF32Params, SoftmaxI8, SoftmaxI8Params};

use super::oracle::Quantized;
use crate::support::{Case, Data, Nd, Operand, Random};

fn shape(random: &mut Random) -> [usize; 2] {
    [
        random.between(1, 5),
        random.pick(&[1, 2, 3, 10, 17, 64, 257, 1000]),
    ]
}

pub fn int8(random: &mut Random, data: &mut Data) -> Case {
    let [rows, len] = shape(random);
    let mut int8 = random.int8s();
    let x = Nd::from_fn(&[rows, len], |_| int8());
    let input_scale = random.scale();
    // Mostly what the compiler takes for a probability.
    let (output_scale, zero_point) = if random.one_in(3) {
        (random.scale(), random.zero_point())
    } else {
        (1.0 / 256.0, -128)
    };
    let output = Quantized {
        zero_point,
        low: -128,
        high: 127,
    };

    // The exponential of a distance that is an exact integer until the scale meets it.
    let exponential = |distance: i32| libm::expf(-(distance as f32) * input_scale);
    let y = Nd::from_fn(&[rows, len], |index| {
        let [row, i] = *index else { panic!() };
        let at = |i: usize| i32::from(x.at(&[row, i]));
        let largest = (0..len).map(at).max().unwrap();
        let mut total = 0.0;
        for i in 0..len {
            total += exponential(largest - at(i));
        }
        output.quantize(exponential(largest - at(i)) / total / output_scale)
    });

    let table: Vec<f32> = (0..256).map(exponential).collect();
    let params = SoftmaxI8Params {
        rows: rows as u32,
        len: len as u32,
        output_scale,
        output_zero_point: zero_point,
        exponentials: data.put(random, &table),
    };
    let (x, y) = (Operand::in_order(&x), Operand::in_order(&y));
    Case::new::<SoftmaxI8>(params, vec![x], y)
}

pub fn float(random: &mut Random, _: &mut Data) -> Case {
    let [rows, len] = shape(random);
    let mut float = random.floats();
    let spread = random.pick(&[1.0, 30.0, 1e30]);
    let x = Nd::from_fn(&[rows, len], |_| float() * spread);
    case(&x)
}

fn case(x: &Nd<f32>) -> Case {
    let [rows, len] = *x.dims else { panic!() };
    let y = Nd::from_fn(&x.dims, |index| {
        let [row, i] = *index else { panic!() };
        let mut largest = f32::NEG_INFINITY;
        for i in 0..len {
            // NaN is never the largest; the sum takes it in.
            largest = largest.max(x.at(&[row, i]));
        }
        let exponential = |i: usize| libm::expf(x.at(&[row, i]) - largest);
        let mut total = 0.0;
        for i in 0..len {
            total += exponential(i);
        }
        exponential(i) / total
    });
    let params = SoftmaxF32Params {
        rows: rows as u32,
        len: len as u32,
    };
    Case::new::<SoftmaxF32>(params, vec![Operand::in_order(x)], Operand::in_order(&y))
}

/// Rows in which a plain exponential would overflow, underflow or meet no number at all.
#[test]
fn extreme_rows() {
    const INFINITY: f32 = f32::INFINITY;
    let mut random = Random::new(5);
    for row in [
        [0.0; 4],
        [f32::MAX; 4],
        [f32::MIN; 4],
        [f32::MAX, f32::MIN, 0.0, 1.0],
        [88.8, -88.8, 104.0, -104.0],
        [1e-45, -1e-45, 0.0, -0.0],
        [INFINITY, 0.0, 0.0, 0.0],
        [-INFINITY, 0.0, 1.0, 2.0],
        [-INFINITY; 4],
        [f32::NAN, 0.0, 1.0, 2.0],
        [f32::NAN; 4],
    ] {
        let x = Nd {
            dims: vec![1, 4],
            values: row.to_vec(),
        };
        case(&x).check(Data::default(), &mut random);
    }
}
