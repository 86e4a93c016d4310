//! Steps that an ONNX operator is made of, where the graph has no operation of its own for it.

use anyhow::Result;
use ndarray::{ArrayD, IxDyn};

use super::broadcast;
use crate::functions::{Binary, Function, Reduction};
use crate::graph::{Constant, DataType, Op, ValueId};
use crate::import::Context;

impl Context<'_> {
    /// The name of a step; that of the node's output for the last one, whose part is empty.
    pub(super) fn part(&self, part: &str) -> String {
        match part {
            "" => self.output_name(0),
            _ => format!("{}.{part}", self.output_name(0)),
        }
    }

    pub(super) fn dtype(&self, id: ValueId) -> DataType {
        self.graph.values[id].dtype
    }

    /// A function of each float.
    pub(super) fn function(
        &mut self,
        part: &str,
        function: Function,
        x: ValueId,
    ) -> Result<ValueId> {
        let shape = self.graph.shape(x).to_vec();
        self.emit_named(&self.part(part), Op::Function(function), vec![x], shape)
    }

    /// A function of two values of one type, broadcasting.
    pub(super) fn binary(
        &mut self,
        part: &str,
        function: Binary,
        a: ValueId,
        b: ValueId,
    ) -> Result<ValueId> {
        let shape = broadcast(self.graph.shape(a), self.graph.shape(b))?;
        let op = match (function, self.dtype(a)) {
            // These two fuse with what is around them.
            (Binary::Add, DataType::F32) => Op::Add,
            (Binary::Mul, DataType::F32) => Op::Mul,
            _ => Op::Binary(function),
        };
        self.emit_named(&self.part(part), op, vec![a, b], shape)
    }

    /// Elements of `a` where the condition is true, of `b` elsewhere.
    pub(super) fn choose(
        &mut self,
        part: &str,
        condition: ValueId,
        a: ValueId,
        b: ValueId,
    ) -> Result<ValueId> {
        let shape = broadcast(self.graph.shape(a), self.graph.shape(b))?;
        let shape = broadcast(&shape, self.graph.shape(condition))?;
        self.emit_named(&self.part(part), Op::Where, vec![a, b, condition], shape)
    }

    /// The same elements in another type.
    pub(super) fn cast(&mut self, part: &str, x: ValueId, to: DataType) -> Result<ValueId> {
        if self.dtype(x) == to {
            return Ok(x);
        }
        let shape = self.graph.shape(x).to_vec();
        self.emit_named(&self.part(part), Op::Cast(to), vec![x], shape)
    }

    /// One element for all along these axes, which stay with length 1.
    pub(super) fn reduce(
        &mut self,
        part: &str,
        reduction: Reduction,
        x: ValueId,
        axes: &[usize],
    ) -> Result<ValueId> {
        let mut shape = self.graph.shape(x).to_vec();
        axes.iter().for_each(|&axis| shape[axis] = 1);
        let axes = axes.to_vec();
        self.emit_named(
            &self.part(part),
            Op::Reduce { reduction, axes },
            vec![x],
            shape,
        )
    }

    /// The mean along these axes: the sum, divided by the number of elements.
    pub(super) fn mean(&mut self, part: &str, x: ValueId, axes: &[usize]) -> Result<ValueId> {
        let count: usize = axes.iter().map(|&axis| self.graph.shape(x)[axis]).product();
        let sum = self.reduce(&format!("{part}.sum"), Reduction::Sum, x, axes)?;
        let count = self.scalar(self.dtype(x), count as f64);
        self.binary(part, Binary::Div, sum, count)
    }

    /// The mean along these axes, `x` less its mean, and the variance: the mean square of that.
    pub(super) fn moments(&mut self, x: ValueId, axes: &[usize]) -> Result<[ValueId; 3]> {
        let mean = self.mean("mean", x, axes)?;
        let centred = self.binary("centred", Binary::Sub, x, mean)?;
        let square = self.binary("square", Binary::Mul, centred, centred)?;
        let variance = self.mean("variance", square, axes)?;
        Ok([mean, centred, variance])
    }

    /// `x / sqrt(variance + epsilon)`.
    pub(super) fn over_deviation(
        &mut self,
        part: &str,
        x: ValueId,
        variance: ValueId,
        epsilon: f32,
    ) -> Result<ValueId> {
        let epsilon = self.scalar(DataType::F32, epsilon.into());
        let variance = self.binary("positive", Binary::Add, variance, epsilon)?;
        let deviation = self.function("deviation", Function::Sqrt, variance)?;
        self.binary(part, Binary::Div, x, deviation)
    }

    /// `(x - mean) / sqrt(variance + epsilon)` over these axes.
    pub(super) fn standardized(
        &mut self,
        part: &str,
        x: ValueId,
        axes: &[usize],
        epsilon: f32,
    ) -> Result<ValueId> {
        let [_, centred, variance] = self.moments(x, axes)?;
        self.over_deviation(part, centred, variance, epsilon)
    }

    /// The same elements under another shape.
    pub(super) fn reshaped(&mut self, part: &str, x: ValueId, shape: &[usize]) -> Result<ValueId> {
        if self.graph.shape(x) == shape {
            return Ok(x);
        }
        self.emit_named(&self.part(part), Op::Reshape, vec![x], shape.to_vec())
    }

    /// A constant of `rank` axes that counts up from 0 along one of them, int32.
    pub(super) fn count_up(
        &mut self,
        part: &str,
        len: usize,
        axis: usize,
        rank: usize,
    ) -> Result<ValueId> {
        let mut shape = vec![1; rank];
        shape[axis] = len;
        let numbers = ArrayD::from_shape_vec(IxDyn(&shape), (0..len as i32).collect())?;
        let name = self.part(part);
        Ok(self.graph.add_constant(name, Constant::I32(numbers)))
    }

    /// A constant of one element.
    pub(super) fn scalar(&mut self, dtype: DataType, value: f64) -> ValueId {
        let shape = IxDyn(&[]);
        let constant = match dtype {
            DataType::F32 => Constant::F32(ArrayD::from_elem(shape, value as f32)),
            DataType::I8 => Constant::I8(ArrayD::from_elem(shape, value as i8)),
            DataType::U8 => Constant::U8(ArrayD::from_elem(shape, value as u8)),
            DataType::I16 => Constant::I16(ArrayD::from_elem(shape, value as i16)),
            DataType::U16 => Constant::U16(ArrayD::from_elem(shape, value as u16)),
            DataType::I32 => Constant::I32(ArrayD::from_elem(shape, value as i32)),
            DataType::I64 => Constant::I64(ArrayD::from_elem(shape, value as i64)),
            DataType::Bool => Constant::Bool(ArrayD::from_elem(shape, value != 0.0)),
        };
        self.graph.add_constant(value.to_string(), constant)
    }
}
