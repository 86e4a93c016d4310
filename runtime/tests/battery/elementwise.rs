//! ONNX `Add` and `Mul` with multidirectional broadcasting.

use niwaki::artifact::Storage;
use niwaki::ops::{self, AddF32, AddI8, BinaryF32Params, BinaryI8Params, MulF32, MulI8, Strides};
use niwaki::{Element, MAX_RANK};

use super::oracle::{Quantized, clip, dequantize};
use super::walk;
use crate::support::{Case, Data, Nd, Operand, Random};

/// The shapes of both inputs, and the order in memory of all three tensors.
pub struct Broadcast {
    pub shapes: [Vec<usize>; 2],
    pub orders: [Vec<usize>; 2],
    pub output_order: Vec<usize>,
}

impl Broadcast {
    /// Up to six axes; each input has each of them, repeats it, or, if it is a leading one, lacks
    /// it. One axis is sometimes long, and half of all inputs lie in memory as ONNX has them.
    pub fn draw(random: &mut Random) -> Self {
        let rank = random.below(MAX_RANK + 1);
        let output = walk::shape(random, rank);
        let mut input = || {
            let skipped = if random.one_in(3) {
                random.below(rank + 1)
            } else {
                0
            };
            let repeats = random.pick(&[2, 4, 1000]);
            let dims = output[skipped..].iter();
            dims.map(|&dim| if random.one_in(repeats) { 1 } else { dim })
                .collect::<Vec<_>>()
        };
        let shapes = [input(), input()];
        let orders = [0, 1].map(|i| walk::order(random, shapes[i].len()));
        let rank = shapes[0].len().max(shapes[1].len());
        Self {
            output_order: walk::order(random, rank),
            shapes,
            orders,
        }
    }

    /// ONNX aligns shapes at their last axis; a size of 1 gives way to any other.
    fn output(&self) -> Vec<usize> {
        let rank = self.output_order.len();
        let size = |shape: &Vec<usize>, axis: usize| {
            (axis + shape.len())
                .checked_sub(rank)
                .map_or(1, |i| shape[i])
        };
        let [a, b] = &self.shapes;
        (0..rank)
            .map(|axis| size(a, axis).max(size(b, axis)))
            .collect()
    }

    /// The element of input `i` that meets the output's `index`.
    fn at<T: Copy>(x: &Nd<T>, index: &[usize]) -> T {
        let aligned = &index[index.len() - x.dims.len()..];
        let index: Vec<usize> = aligned
            .iter()
            .zip(&x.dims)
            .map(|(&i, &dim)| if dim == 1 { 0 } else { i })
            .collect();
        x.at(&index)
    }

    pub fn apply<T: Copy, O>(&self, [a, b]: [&Nd<T>; 2], f: impl Fn(T, T) -> O) -> Nd<O>
    where
        O: Copy,
    {
        Nd::from_fn(&self.output(), |index| {
            f(Self::at(a, index), Self::at(b, index))
        })
    }

    /// The output's dimensions in memory order, and the steps through input `i`.
    pub fn walk(&self, i: usize) -> Strides {
        let output = self.output();
        let missing = output.len() - self.shapes[i].len();
        let strides = walk::strides(&self.shapes[i], &self.orders[i]);
        let steps = self.output_order.iter().map(|&axis| {
            let own = axis.checked_sub(missing)?;
            (self.shapes[i][own] > 1).then_some(strides[own])
        });
        let dims = self.output_order.iter().map(|&axis| output[axis]);
        walk::of(dims.zip(steps.map(Option::unwrap_or_default)))
    }

    pub fn operands<T: Element>(&self, random: &mut Random, inputs: [&Nd<T>; 2]) -> Vec<Operand> {
        let operand = |(x, order): (&Nd<T>, &Vec<usize>)| Operand {
            storage: random.pick(&[Storage::Arena, Storage::Arena, Storage::Data]),
            ..Operand::new(x, order)
        };
        inputs.into_iter().zip(&self.orders).map(operand).collect()
    }
}

fn case_int8<O>(random: &mut Random, operate: impl Fn(f32, f32) -> f32) -> Case
where
    O: niwaki::Operator<Params = BinaryI8Params>,
{
    let broadcast = Broadcast::draw(random);
    let [a, b] = [0, 1].map(|i| {
        let mut int8 = random.int8s();
        Nd::from_fn(&broadcast.shapes[i], |_| int8())
    });
    let input_scales = [random.scale(), random.scale()];
    let input_zero_points = [random.zero_point(), random.zero_point()];
    // Near one of the inputs' scales, so that few outputs are clamped.
    let output_scale = match random.below(4) {
        0 => random.scale(),
        1 => input_scales[0],
        2 => input_scales[1],
        _ => operate(input_scales[0], input_scales[1]).clamp(f32::MIN_POSITIVE, f32::MAX) * 0.75,
    };
    let output = Quantized::draw(random);

    let y = broadcast.apply([&a, &b], |a, b| {
        let a = dequantize(a, input_zero_points[0], input_scales[0]);
        let b = dequantize(b, input_zero_points[1], input_scales[1]);
        output.quantize(operate(a, b) / output_scale)
    });

    let params = BinaryI8Params {
        walks: [broadcast.walk(0), broadcast.walk(1)],
        input_scales,
        input_zero_points,
        output_scale,
        output_zero_point: output.zero_point,
        low: output.low,
        high: output.high,
    };
    let inputs = broadcast.operands(random, [&a, &b]);
    Case::new::<O>(params, inputs, Operand::new(&y, &broadcast.output_order))
}

fn case_float<O>(random: &mut Random, operate: impl Fn(f32, f32) -> f32) -> Case
where
    O: niwaki::Operator<Params = BinaryF32Params>,
{
    let broadcast = Broadcast::draw(random);
    let [a, b] = [0, 1].map(|i| {
        let mut float = random.floats();
        Nd::from_fn(&broadcast.shapes[i], |_| float())
    });
    let range = random.float_clamp();
    let y = broadcast.apply([&a, &b], |a, b| clip(operate(a, b), range));
    let params = BinaryF32Params {
        walks: [broadcast.walk(0), broadcast.walk(1)],
        low: range.0,
        high: range.1,
    };
    let inputs = broadcast.operands(random, [&a, &b]);
    Case::new::<O>(params, inputs, Operand::new(&y, &broadcast.output_order))
}

pub fn add_int8(random: &mut Random, _: &mut Data) -> Case {
    case_int8::<AddI8>(random, |a, b| a + b)
}

pub fn add_float(random: &mut Random, _: &mut Data) -> Case {
    case_float::<AddF32>(random, |a, b| a + b)
}

pub fn mul_int8(random: &mut Random, _: &mut Data) -> Case {
    case_int8::<MulI8>(random, |a, b| a * b)
}

pub fn mul_float(random: &mut Random, _: &mut Data) -> Case {
    case_float::<MulF32>(random, |a, b| a * b)
}

macro_rules! floats {
    ($($name:ident: $op:ident, $f:expr;)*) => {$(
        pub fn $name(random: &mut Random, _: &mut Data) -> Case {
            case_float::<ops::$op>(random, $f)
        }
    )*};
}

floats! {
    sub: SubF32, |a, b| a - b;
    div: DivF32, |a, b| a / b;
    pow: PowF32, libm::powf;
    fmod: FmodF32, |a, b| a % b;
    prelu: PReluF32, |x, slope| if x < 0.0 { slope * x } else { x };
    // `f32::min` and `f32::max` drop a NaN; of equal ones the second stays.
    min: MinF32, |a, b| if a.is_nan() || a < b { a } else { b };
    max: MaxF32, |a, b| if a.is_nan() || a > b { a } else { b };
}

/// Every pair of int8, under scales that tie, that do not, and that leave the range of f32.
#[test]
fn every_pair_of_int8() {
    let mut random = Random::new(4);
    let broadcast = Broadcast {
        shapes: [vec![256, 1], vec![256]],
        orders: [vec![0, 1], vec![0]],
        output_order: vec![0, 1],
    };
    let all = |dims: &[usize]| Nd {
        dims: dims.to_vec(),
        values: (i8::MIN..=i8::MAX).collect(),
    };
    let (a, b) = (all(&[256, 1]), all(&[256]));
    for scales in [
        [0.5, 0.25, 0.5],
        [0.1, 0.3, 0.07],
        [1.0, 1e-3, 2.0],
        [3e38, 3e38, 1e-38],
    ] {
        for zero_points in [[-128, 127, 0], [3, -7, -128]] {
            let [scale_a, scale_b, output_scale] = scales;
            let output = Quantized {
                zero_point: zero_points[2],
                low: -128,
                high: 127,
            };
            let params = BinaryI8Params {
                walks: [broadcast.walk(0), broadcast.walk(1)],
                input_scales: [scale_a, scale_b],
                input_zero_points: [zero_points[0], zero_points[1]],
                output_scale,
                output_zero_point: output.zero_point,
                low: output.low,
                high: output.high,
            };
            let expected = |operate: fn(f32, f32) -> f32| {
                let y = broadcast.apply([&a, &b], |a, b| {
                    let a = dequantize(a, zero_points[0], scale_a);
                    let b = dequantize(b, zero_points[1], scale_b);
                    output.quantize(operate(a, b) / output_scale)
                });
                Operand::in_order(&y)
            };
            let inputs = || vec![Operand::in_order(&a), Operand::in_order(&b)];
            let sum = Case::new::<AddI8>(params, inputs(), expected(|a, b| a + b));
            let product = Case::new::<MulI8>(params, inputs(), expected(|a, b| a * b));
            sum.check(Data::default(), &mut random);
            product.check(Data::default(), &mut random);
        }
    }
}
