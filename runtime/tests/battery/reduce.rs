//! ONNX's reductions of floats, rows along the last axis.

use niwaki::Operator;
use niwaki::ops::{
    ArgMaxF32, ArgMinF32, ArgParams, CumSum, CumSumParams, ReduceL1F32, ReduceL2F32,
    ReduceLogSumExpF32, ReduceLogSumF32, ReduceMinF32, ReduceParams, ReduceProdF32, ReduceSumF32,
    ReduceSumSquareF32,
};

use crate::support::{Case, Data, Nd, Operand, Random};

/// Some rows; some of them with equal elements.
fn rows(random: &mut Random) -> Nd<f32> {
    let dims = [
        random.between(1, 5),
        random.pick(&[1, 2, 3, 10, 17, 64, 257]),
    ];
    let mut float = random.floats();
    let coarse = random.one_in(3);
    Nd::from_fn(&dims, |_| {
        let value = float();
        if coarse { value.round() } else { value }
    })
}

/// A reduction whose oracle is given a whole row.
fn reduction<O: Operator<Params = ReduceParams>>(
    random: &mut Random,
    f: impl Fn(&[f32]) -> f32,
) -> Case {
    let x = rows(random);
    let [rows, len] = *x.dims else { panic!() };
    let y = Nd::from_fn(&[rows], |index| f(&x.values[index[0] * len..][..len]));
    let params = ReduceParams {
        rows: rows as u32,
        len: len as u32,
    };
    let operands = (Operand::in_order(&x), Operand::in_order(&y));
    Case::new::<O>(params, vec![operands.0], operands.1)
}

/// The sum in the order of the row.
fn sum(terms: impl Iterator<Item = f32>) -> f32 {
    let mut sum = 0.0;
    for term in terms {
        sum += term;
    }
    sum
}

pub fn add(random: &mut Random, _: &mut Data) -> Case {
    reduction::<ReduceSumF32>(random, |row| sum(row.iter().copied()))
}

pub fn product(random: &mut Random, _: &mut Data) -> Case {
    reduction::<ReduceProdF32>(random, |row| {
        let mut product = 1.0;
        for x in row {
            product *= x;
        }
        product
    })
}

pub fn least(random: &mut Random, _: &mut Data) -> Case {
    reduction::<ReduceMinF32>(random, |row| {
        let mut least = f32::INFINITY;
        for &x in row {
            if x < least {
                least = x;
            }
        }
        least
    })
}

pub fn sum_square(random: &mut Random, _: &mut Data) -> Case {
    reduction::<ReduceSumSquareF32>(random, |row| sum(row.iter().map(|x| x * x)))
}

pub fn l1(random: &mut Random, _: &mut Data) -> Case {
    reduction::<ReduceL1F32>(random, |row| sum(row.iter().map(|x| x.abs())))
}

pub fn l2(random: &mut Random, _: &mut Data) -> Case {
    reduction::<ReduceL2F32>(random, |row| sum(row.iter().map(|x| x * x)).sqrt())
}

pub fn log_sum(random: &mut Random, _: &mut Data) -> Case {
    reduction::<ReduceLogSumF32>(random, |row| libm::logf(sum(row.iter().copied())))
}

pub fn log_sum_exp(random: &mut Random, _: &mut Data) -> Case {
    reduction::<ReduceLogSumExpF32>(random, |row| {
        let largest = row.iter().fold(f32::NEG_INFINITY, |a, &b| a.max(b));
        libm::logf(sum(row.iter().map(|x| libm::expf(x - largest)))) + largest
    })
}

/// The index of the element that is as `better` says than every other; among equal ones the first
/// or the last. Rows have no NaN here but where the whole row is drawn so.
fn arg<O: Operator<Params = ArgParams>>(
    random: &mut Random,
    better: impl Fn(f32, f32) -> bool,
) -> Case {
    let x = rows(random);
    let x = x.map(|x| if x.is_nan() { 0.0 } else { x });
    let [rows, len] = *x.dims else { panic!() };
    let last = random.one_in(2);
    let index_of = |row: &[f32]| -> u64 {
        let is_best = |&i: &usize| row.iter().all(|&other| !better(other, row[i]));
        let mut best = (0..row.len()).filter(is_best);
        let index = if last { best.next_back() } else { best.next() };
        index.unwrap() as u64
    };
    let bytes = x
        .values
        .chunks(len)
        .flat_map(|row| index_of(row).to_le_bytes());
    let y = Operand {
        dtype: niwaki::artifact::DataType::I64,
        dims: vec![rows],
        bytes: bytes.collect(),
        ..Operand::in_order(&x)
    };
    let params = ArgParams {
        rows: rows as u32,
        len: len as u32,
        last: u32::from(last),
    };
    Case::new::<O>(params, vec![Operand::in_order(&x)], y)
}

pub fn arg_max(random: &mut Random, _: &mut Data) -> Case {
    arg::<ArgMaxF32>(random, |a, b| a > b)
}

pub fn arg_min(random: &mut Random, _: &mut Data) -> Case {
    arg::<ArgMinF32>(random, |a, b| a < b)
}

pub fn running(random: &mut Random, _: &mut Data) -> Case {
    let x = rows(random);
    if random.one_in(2) {
        return running_of(random, &x, |sum, x| sum + x);
    }
    let x = Nd::from_fn(&x.dims, |_| random.bits() as i32);
    running_of(random, &x, i32::wrapping_add)
}

fn running_of<T: niwaki::Element + Default>(
    random: &mut Random,
    x: &Nd<T>,
    add: impl Fn(T, T) -> T,
) -> Case {
    let [rows, len] = *x.dims else { panic!() };
    let (exclusive, reverse) = (random.one_in(2), random.one_in(2));
    let y = Nd::from_fn(&x.dims, |index| {
        let [row, i] = *index else { panic!() };
        let row = &x.values[row * len..][..len];
        let own = usize::from(!exclusive);
        if reverse {
            row[i + 1 - own..]
                .iter()
                .rev()
                .fold(T::default(), |sum, &x| add(sum, x))
        } else {
            row[..i + own]
                .iter()
                .fold(T::default(), |sum, &x| add(sum, x))
        }
    });
    let params = CumSumParams {
        rows: rows as u32,
        len: len as u32,
        exclusive: u32::from(exclusive),
        reverse: u32::from(reverse),
    };
    let operands = (Operand::in_order(x), Operand::in_order(&y));
    Case::new::<CumSum>(params, vec![operands.0], operands.1)
}
