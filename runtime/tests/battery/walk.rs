//! Shapes of any rank, and the walks over memory that operators store for them.

use niwaki::MAX_RANK;
use niwaki::ops::Strides;

use crate::support::Random;

/// A small shape of that rank; one of its axes is long in one of three.
pub fn shape(random: &mut Random, rank: usize) -> Vec<usize> {
    let mut shape: Vec<usize> = (0..rank).map(|_| random.between(1, 4)).collect();
    if rank > 0 && random.one_in(3) {
        let axis = random.below(rank);
        shape[axis] = random.between(5, 40);
    }
    shape
}

/// An order of the axes in memory: ONNX's own, or any other.
pub fn order(random: &mut Random, rank: usize) -> Vec<usize> {
    if random.one_in(2) {
        (0..rank).collect()
    } else {
        random.permutation(rank)
    }
}

/// Elements from one index to the next along each axis of a tensor whose axes lie in memory in
/// that order.
pub fn strides(shape: &[usize], order: &[usize]) -> Vec<usize> {
    let mut strides = vec![0; shape.len()];
    let mut step = 1;
    for &axis in order.iter().rev() {
        strides[axis] = step;
        step *= shape[axis];
    }
    strides
}

/// The stored form of a walk, given its dimensions and strides from the outermost.
pub fn of(steps: impl DoubleEndedIterator<Item = (usize, usize)>) -> Strides {
    let mut walk = Strides {
        dims: [1; MAX_RANK],
        strides: [0; MAX_RANK],
    };
    let stored = walk.dims.iter_mut().zip(&mut walk.strides);
    for ((dim, stride), (size, step)) in stored.rev().zip(steps.rev()) {
        (*dim, *stride) = (size as u32, step as u32);
    }
    walk
}
