//! Elements read or written where indices say, and such indices.

use niwaki::MAX_RANK;
use niwaki::artifact::DataType;
use niwaki::ops;
use niwaki::ops::{
    GatherParams, IndexedElementsParams, IndexedSlicesParams, OneHotParams, TopKParams,
};

use super::{Builder, Label, View, walk};
use crate::indexed::{Indexed, Join};

/// The product of sizes.
fn volume(dims: &[usize]) -> u32 {
    dims.iter().map(|&dim| dim as u32).product()
}

impl Builder {
    /// An operation with indices; `views` are its inputs.
    pub fn indexed(&mut self, op: Indexed, views: &[View], label: Label, shape: &[usize]) -> View {
        match (op, views) {
            (Indexed::Gather { axis }, [x, indices]) => {
                self.gathered(x, indices, axis, label, shape)
            }
            (Indexed::GatherElements { axis }, [x, indices]) => {
                let params = elements(x, indices, axis, Join::Replace);
                let output = self.like(x, label, shape, indices.order.clone());
                self.push(ops::GatherElements, &[x, indices], &params, output)
            }
            (Indexed::ScatterElements { axis, join }, [x, indices, updates]) => {
                let updates = self.arranged(updates, &indices.order);
                let params = elements(x, indices, axis, join);
                let output = self.like(x, label, shape, x.order.clone());
                let inputs = [x, indices, &updates];
                self.push(ops::ScatterElements, &inputs, &params, output)
            }
            (Indexed::GatherNd { batch_dims }, [x, indices]) => {
                let [x, indices] = [x, indices].map(|view| self.in_onnx_order(view));
                let params = slices(&x.shape, &indices.shape, batch_dims, Join::Replace);
                let output = self.like(&x, label, shape, (0..shape.len()).collect());
                self.push(ops::GatherND, &[&x, &indices], &params, output)
            }
            (Indexed::ScatterNd { join }, [x, indices, updates]) => {
                let views = [x, indices, updates].map(|view| self.in_onnx_order(view));
                let [x, indices, updates] = &views;
                let params = slices(&x.shape, &indices.shape, 0, join);
                let output = self.like(x, label, shape, x.order.clone());
                self.push(ops::ScatterND, &[x, indices, updates], &params, output)
            }
            (Indexed::OneHot { axis }, [values, indices]) => {
                self.one_hot(values, indices, axis, label, shape)
            }
            (Indexed::TopK { axis, largest }, [x]) => self.top_k(x, axis, largest, label, shape),
            _ => unreachable!("the importer gives each operation its inputs"),
        }
    }

    /// A tensor of the type of `x`, quantised as it is.
    fn like(&mut self, x: &View, label: Label, shape: &[usize], order: Vec<usize>) -> View {
        let (label, dtype) = (self.inherited(x, label), self.dtype(x));
        self.tensor(label, dtype, shape.to_vec(), order)
    }

    fn one_hot(
        &mut self,
        values: &View,
        indices: &View,
        axis: usize,
        label: Label,
        shape: &[usize],
    ) -> View {
        let indices = self.in_onnx_order(indices);
        let params = OneHotParams {
            outer: volume(&shape[..axis]),
            depth: shape[axis] as u32,
            inner: volume(&shape[axis + 1..]),
        };
        let output = self.like(values, label, shape, (0..shape.len()).collect());
        self.push(ops::OneHot, &[&indices, values], &params, output)
    }

    fn top_k(
        &mut self,
        x: &View,
        axis: usize,
        largest: bool,
        label: Label,
        shape: &[usize],
    ) -> View {
        let (x, [outer, len, inner]) = self.lanes(x, &[axis]);
        let params = TopKParams {
            outer,
            axis: len,
            k: shape[axis] as u32,
            inner,
            largest: largest.into(),
        };
        let output = self.tensor(label, DataType::I32, shape.to_vec(), x.order.clone());
        self.push(ops::TopK, &[&x], &params, output)
    }

    fn gathered(
        &mut self,
        x: &View,
        indices: &View,
        axis: usize,
        label: Label,
        shape: &[usize],
    ) -> View {
        let [x, indices] = [x, indices].map(|view| self.in_onnx_order(view));
        let params = GatherParams {
            outer: volume(&x.shape[..axis]),
            axis: x.shape[axis] as u32,
            inner: volume(&x.shape[axis + 1..]),
            count: volume(&indices.shape),
        };
        let output = self.like(&x, label, shape, (0..shape.len()).collect());
        self.push(ops::Gather, &[&x, &indices], &params, output)
    }
}

/// The walk over indices in their order, through data in any order.
fn elements(x: &View, indices: &View, axis: usize, join: Join) -> IndexedElementsParams {
    let steps = x.steps();
    let step = |a: usize| if a == axis { 0 } else { steps[a] as usize };
    let dims: Vec<usize> = indices.order.iter().map(|&a| indices.shape[a]).collect();
    let strides: Vec<usize> = indices.order.iter().map(|&a| step(a)).collect();
    IndexedElementsParams {
        walk: walk(&dims, &strides),
        axis: x.shape[axis] as u32,
        axis_stride: steps[axis] as u32,
        reduction: join.code(),
    }
}

/// Tuples of indices along the axes behind the first `batch_dims`.
fn slices(x: &[usize], indices: &[usize], batch_dims: usize, join: Join) -> IndexedSlicesParams {
    let (tuples, depth) = indices.split_at(indices.len() - 1);
    let depth = depth.iter().sum();
    let (axes, inner) = x[batch_dims..].split_at(depth);
    let mut dims = [1; MAX_RANK];
    for (to, &dim) in dims.iter_mut().zip(axes) {
        *to = dim as u32;
    }
    IndexedSlicesParams {
        batch: volume(&x[..batch_dims]),
        tuples: volume(&tuples[batch_dims..]),
        depth: depth as u32,
        dims,
        inner: volume(inner),
        reduction: join.code(),
    }
}
