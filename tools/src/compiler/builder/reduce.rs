//! Reductions.

use niwaki::artifact::DataType;
use niwaki::ops;
use niwaki::ops::{ArgParams, CumSumParams, ReduceParams};

use super::{Builder, Label, View};
use crate::functions::Reduction;

impl Builder {
    /// The value with these axes side by side in memory; the product of the sizes before them, of
    /// them, and behind them. Moved only if they lie apart.
    pub(super) fn lanes(&mut self, x: &View, axes: &[usize]) -> (View, [u32; 3]) {
        let inside = |axis: &usize| axes.contains(axis);
        let first = x.order.iter().position(inside).unwrap_or(0);
        let together = x.order[first..].iter().take_while(|a| inside(a)).count();
        let x = if together == axes.len() {
            x.clone()
        } else {
            let kept = x.order.iter().filter(|a| !inside(a));
            let order: Vec<usize> = kept
                .chain(x.order.iter().filter(|a| inside(a)))
                .copied()
                .collect();
            self.arranged(x, &order)
        };
        let first = x.order.iter().position(inside).unwrap_or(0);
        let volume = |axes: &[usize]| axes.iter().map(|&a| x.shape[a] as u32).product();
        let sizes = [
            volume(&x.order[..first]),
            volume(&x.order[first..first + axes.len()]),
            volume(&x.order[first + axes.len()..]),
        ];
        (x, sizes)
    }

    /// One element for all along these axes, which stay with length 1.
    pub fn reduced(
        &mut self,
        reduction: Reduction,
        x: &View,
        axes: &[usize],
        label: Label,
        shape: &[usize],
    ) -> View {
        let (x, [outer, len, inner]) = self.lanes(x, axes);
        let dtype = self.dtype(&x);
        let params = ReduceParams { outer, len, inner };
        let output = self.tensor(label, dtype, shape.to_vec(), x.order.clone());
        match (reduction, dtype == DataType::F32) {
            (Reduction::Sum, true) => self.push(ops::ReduceSumF32, &[&x], &params, output),
            (Reduction::Sum, false) => self.push(ops::ReduceSumInt, &[&x], &params, output),
            (Reduction::Product, true) => self.push(ops::ReduceProdF32, &[&x], &params, output),
            (Reduction::Product, false) => self.push(ops::ReduceProdInt, &[&x], &params, output),
            (Reduction::Max, true) => self.push(ops::ReduceMaxF32, &[&x], &params, output),
            (Reduction::Max, false) => self.push(ops::ReduceMaxInt, &[&x], &params, output),
            (Reduction::Min, true) => self.push(ops::ReduceMinF32, &[&x], &params, output),
            (Reduction::Min, false) => self.push(ops::ReduceMinInt, &[&x], &params, output),
        }
    }

    /// The index of the largest or smallest element along an axis, which stays with length 1.
    pub fn arg_extreme(
        &mut self,
        x: &View,
        axis: usize,
        (largest, last): (bool, bool),
        label: Label,
        shape: &[usize],
    ) -> View {
        let (x, [outer, len, inner]) = self.lanes(x, &[axis]);
        let float = self.dtype(&x) == DataType::F32;
        let params = ArgParams {
            outer,
            len,
            inner,
            last: last.into(),
        };
        let output = self.tensor(label, DataType::I64, shape.to_vec(), x.order.clone());
        match (largest, float) {
            (true, true) => self.push(ops::ArgMaxF32, &[&x], &params, output),
            (true, false) => self.push(ops::ArgMaxInt, &[&x], &params, output),
            (false, true) => self.push(ops::ArgMinF32, &[&x], &params, output),
            (false, false) => self.push(ops::ArgMinInt, &[&x], &params, output),
        }
    }

    /// Running sums along an axis.
    pub fn cumulated(
        &mut self,
        x: &View,
        axis: usize,
        (exclusive, reverse): (bool, bool),
        label: Label,
    ) -> View {
        let (x, [outer, len, inner]) = self.lanes(x, &[axis]);
        let params = CumSumParams {
            outer,
            len,
            inner,
            exclusive: exclusive.into(),
            reverse: reverse.into(),
        };
        let dtype = self.dtype(&x);
        let output = self.tensor(label, dtype, x.shape.clone(), x.order.clone());
        match dtype {
            DataType::F32 => self.push(ops::CumSumF32, &[&x], &params, output),
            _ => self.push(ops::CumSumInt, &[&x], &params, output),
        }
    }
}
