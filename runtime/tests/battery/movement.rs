//! ONNX `Transpose`, `Concat` and `Pad`: operators that move elements of any type.

use niwaki::artifact::{DataType, Storage};
use niwaki::ops::{Concat, ConcatParams, Pad, PadParams, Transpose, TransposeParams};
use niwaki::{Element, MAX_RANK};

use super::walk;
use crate::support::{Case, Data, Nd, Operand, Random};

/// Makes an element from random bits.
type FromBits<T> = fn(u64) -> T;

/// Draws a case whose elements are of that type and made that way.
type DrawOf<T> = fn(&mut Random, DataType, FromBits<T>) -> Case;

/// Draws for elements of one byte or of four.
fn of_any_size(random: &mut Random, byte: DrawOf<u8>, word: DrawOf<i32>) -> Case {
    match random.below(4) {
        0 => byte(random, DataType::I8, |bits| bits as u8),
        1 => byte(random, DataType::U8, |bits| bits as u8),
        // A move keeps a NaN's bits; the comparison would not see it, so there is none.
        2 => word(random, DataType::F32, |bits| {
            bits as i32 & 0xbfff_ffffu32.cast_signed()
        }),
        _ => word(random, DataType::I32, |bits| bits as i32),
    }
}

fn tensor<T: Copy>(random: &mut Random, dims: &[usize], element: FromBits<T>) -> Nd<T> {
    Nd::from_fn(dims, |_| element(random.bits()))
}

fn operand<T: Element>(tensor: &Nd<T>, dtype: DataType) -> Operand {
    Operand {
        dtype,
        ..Operand::in_order(tensor)
    }
}

pub fn transpose(random: &mut Random, _: &mut Data) -> Case {
    of_any_size(random, transpose_of, transpose_of)
}

fn transpose_of<T: Element>(random: &mut Random, dtype: DataType, element: FromBits<T>) -> Case {
    let rank = random.below(MAX_RANK + 1);
    let dims = walk::shape(random, rank);
    let x = tensor(random, &dims, element);
    let perm = random.permutation(rank);
    let y = x.permuted(&perm);
    let strides = x.strides();
    let params = TransposeParams {
        walk: walk::of(perm.iter().map(|&axis| (x.dims[axis], strides[axis]))),
    };
    Case::new::<Transpose>(params, vec![operand(&x, dtype)], operand(&y, dtype))
}

pub fn concat(random: &mut Random, _: &mut Data) -> Case {
    of_any_size(random, concat_of, concat_of)
}

fn concat_of<T: Element>(random: &mut Random, dtype: DataType, element: FromBits<T>) -> Case {
    let rank = random.between(1, MAX_RANK);
    let axis = random.below(rank);
    let mut dims = walk::shape(random, rank);
    let inputs: Vec<Nd<T>> = (0..random.between(1, 5))
        .map(|_| {
            dims[axis] = random.between(1, 5);
            tensor(random, &dims, element)
        })
        .collect();

    dims[axis] = inputs.iter().map(|x| x.dims[axis]).sum();
    let y = Nd::from_fn(&dims, |index| {
        let mut index = index.to_vec();
        let mut inputs = inputs.iter();
        loop {
            let x = inputs.next().unwrap();
            if index[axis] < x.dims[axis] {
                return x.at(&index);
            }
            index[axis] -= x.dims[axis];
        }
    });

    let params = ConcatParams {
        outer: dims[..axis].iter().product::<usize>() as u32,
    };
    let inputs = inputs.iter().map(|x| Operand {
        storage: random.pick(&[Storage::Arena, Storage::Arena, Storage::Data]),
        ..operand(x, dtype)
    });
    Case::new::<Concat>(params, inputs.collect(), operand(&y, dtype))
}

pub fn pad(random: &mut Random, _: &mut Data) -> Case {
    of_any_size(random, pad_of, pad_of)
}

fn pad_of<T: Element>(random: &mut Random, dtype: DataType, element: FromBits<T>) -> Case {
    let rank = random.below(MAX_RANK + 1);
    let dims = walk::shape(random, rank);
    let x = tensor(random, &dims, element);
    let pads: Vec<[usize; 2]> = (0..rank)
        .map(|_| [random.below(3), random.below(3)])
        .collect();
    let value = element(random.bits());

    let padded = x.dims.iter().zip(&pads);
    let dims: Vec<usize> = padded
        .map(|(dim, [begin, end])| begin + dim + end)
        .collect();
    let y = Nd::from_fn(&dims, |index| {
        let inner = index.iter().zip(&pads).zip(&x.dims);
        let inner: Option<Vec<usize>> = inner
            .map(|((&i, [begin, _]), &dim)| i.checked_sub(*begin).filter(|&i| i < dim))
            .collect();
        inner.map_or(value, |index| x.at(&index))
    });

    let strides = y.strides();
    let start: usize = pads
        .iter()
        .zip(&strides)
        .map(|([begin, _], s)| begin * s)
        .sum();
    let mut stored = [0; 4];
    stored[..size_of::<T>()].copy_from_slice(bytemuck::bytes_of(&value));
    let params = PadParams {
        walk: walk::of(x.dims.iter().copied().zip(strides)),
        start: start as u32,
        value: u32::from_le_bytes(stored),
    };
    Case::new::<Pad>(params, vec![operand(&x, dtype)], operand(&y, dtype))
}

/// A stride of 0 repeats an element, as ONNX's Expand does, along the innermost axis too.
#[test]
fn strides_of_zero_repeat() {
    let mut random = Random::new(6);
    for steps in [[(2, 3), (4, 0), (3, 1)], [(2, 3), (3, 1), (4, 0)]] {
        let x = tensor(&mut random, &[2, 3], |bits| bits as u8);
        let repeated = steps.iter().position(|&(_, stride)| stride == 0).unwrap();
        let y = Nd::from_fn(&steps.map(|(dim, _)| dim), |index| {
            let mut index = index.to_vec();
            index.remove(repeated);
            x.at(&index)
        });
        let params = TransposeParams {
            walk: walk::of(steps.into_iter()),
        };
        let (x, y) = (operand(&x, DataType::U8), operand(&y, DataType::U8));
        Case::new::<Transpose>(params, vec![x], y).check(Data::default(), &mut random);
    }
}
