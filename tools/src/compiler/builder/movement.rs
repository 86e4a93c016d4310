//! Copies that pick elements.

use niwaki::MAX_RANK;
use niwaki::artifact::Blob;
use niwaki::ops;
use niwaki::ops::{StridedCopyParams, TakeParams};

use super::{Builder, Label, View};

impl View {
    /// For each axis, elements from one index to the next in memory.
    pub(super) fn steps(&self) -> Vec<i64> {
        let mut steps = vec![0; self.shape.len()];
        let mut step = 1i64;
        for &axis in self.order.iter().rev() {
            steps[axis] = step;
            step *= self.shape[axis] as i64;
        }
        steps
    }
}

impl Builder {
    /// A copy of `shape` that starts at element `start` of `x` and has `steps` for its axes.
    fn strided_copy(
        &mut self,
        x: &View,
        start: i64,
        steps: &[i64],
        order: Vec<usize>,
        label: Label,
        shape: &[usize],
    ) -> View {
        let mut params = StridedCopyParams {
            dims: [1; MAX_RANK],
            strides: [0; MAX_RANK],
            start: start as u32,
        };
        let first = MAX_RANK - shape.len();
        for (i, &axis) in order.iter().enumerate() {
            params.dims[first + i] = shape[axis] as u32;
            let step = if shape[axis] == 1 { 0 } else { steps[axis] };
            params.strides[first + i] = step as i32;
        }
        let label = self.inherited(x, label);
        let dtype = self.dtype(x);
        let output = self.tensor(label, dtype, shape.to_vec(), order);
        self.push(ops::StridedCopy, &[x], &params, output)
    }

    /// Every `steps`th element from `starts` on, along each axis.
    pub fn sliced(
        &mut self,
        x: &View,
        starts: &[usize],
        steps: &[i64],
        label: Label,
        shape: &[usize],
    ) -> View {
        let memory = x.steps();
        let start = starts.iter().zip(&memory).map(|(&s, step)| s as i64 * step);
        let start = start.sum();
        let steps: Vec<i64> = memory.iter().zip(steps).map(|(m, s)| m * s).collect();
        self.strided_copy(x, start, &steps, x.order.clone(), label, shape)
    }

    /// The elements repeated along axes of length 1 and along new ones before the first.
    pub fn expanded(&mut self, x: &View, label: Label, shape: &[usize]) -> View {
        let missing = shape.len() - x.shape.len();
        let mut steps = vec![0; missing];
        let memory = x.steps();
        steps.extend((0..x.shape.len()).map(|axis| match x.shape[axis] {
            1 => 0,
            _ => memory[axis],
        }));
        let order = (0..missing).chain(x.order.iter().map(|axis| axis + missing));
        self.strided_copy(x, 0, &steps, order.collect(), label, shape)
    }

    /// Elements outside and inside of one axis in memory.
    pub(super) fn around(x: &View, axis: usize) -> (u32, u32) {
        let place = x.order.iter().position(|&a| a == axis).unwrap_or(0);
        let volume = |axes: &[usize]| axes.iter().map(|&a| x.shape[a] as u32).product();
        (volume(&x.order[..place]), volume(&x.order[place + 1..]))
    }

    /// Indices of one axis, in any order and repeated.
    pub fn taken(
        &mut self,
        x: &View,
        axis: usize,
        indices: &[u32],
        label: Label,
        shape: &[usize],
    ) -> View {
        let (outer, inner) = Self::around(x, axis);
        let bytes = indices.iter().flat_map(|index| index.to_le_bytes());
        let params = TakeParams {
            outer,
            input_len: x.shape[axis] as u32,
            output_len: indices.len() as u32,
            inner,
            indices: Blob::at(self.store_bytes(bytes.collect())),
        };
        let label = self.inherited(x, label);
        let dtype = self.dtype(x);
        let output = self.tensor(label, dtype, shape.to_vec(), x.order.clone());
        self.push(ops::Take, &[x], &params, output)
    }
}
