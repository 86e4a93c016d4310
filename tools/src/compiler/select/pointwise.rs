//! Small expressions of one value and constants, such as `x * sigmoid(x)`: functions of one element,
//! whatever operators they are written with.

use anyhow::Result;
use niwaki::{functions, numerics};

use super::{Int8View, Selector, Unary};
use crate::functions::Binary;
use crate::graph::{DataType, Node, Op, ValueId};

/// Operators that an expression may have. Those that exporters write have up to seven (GELU); the
/// bound keeps selection linear.
const OPERATORS: usize = 16;

/// A function of two floats, with the runtime's bits; `None` for operations that are none.
fn pair(op: &Op) -> Option<fn(f32, f32) -> f32> {
    Some(match op {
        Op::Add => |a, b| a + b,
        Op::Mul => |a, b| a * b,
        Op::Binary(Binary::Sub) => |a, b| a - b,
        Op::Binary(Binary::Div) => |a, b| a / b,
        Op::Binary(Binary::Pow) => numerics::pow,
        Op::Binary(Binary::Min) => functions::min,
        Op::Binary(Binary::Max) => functions::max,
        _ => return None,
    })
}

impl Selector<'_> {
    /// The one int8 value that `id`, a function of two operands, is computed from, and its result
    /// for each byte. `None` when it is computed from several, or from none.
    pub(super) fn pointwise(&mut self, id: ValueId) -> Result<Option<(Int8View, [f32; 256])>> {
        if self.node(id).is_none_or(|node| pair(&node.op).is_none()) {
            return Ok(None);
        }
        let (mut leaf, mut operators) = (None, 0);
        if !self.is_expression(id, self.shape(id), &mut leaf, &mut operators) {
            return Ok(None);
        }
        let Some(leaf) = leaf else {
            return Ok(None);
        };
        let Some(int8) = self.exact_int8(leaf)? else {
            return Ok(None);
        };
        let values = int8.reals().map(|x| self.evaluate(id, leaf, x));
        Ok(Some((int8, values)))
    }

    fn operator_of(&self, id: ValueId) -> Option<&Node> {
        let floats = self.graph.values[id].dtype == DataType::F32;
        let node = self.node(id).filter(|_| floats)?;
        (pair(&node.op).is_some() || Unary::of(&node.op).is_some()).then_some(node)
    }

    /// Whether `id` is made of constants and of one value of that shape, which becomes the leaf.
    fn is_expression(
        &self,
        id: ValueId,
        shape: &[usize],
        leaf: &mut Option<ValueId>,
        operators: &mut usize,
    ) -> bool {
        if self.constant_scalar(id).is_some() {
            return true;
        }
        if self.shape(id) != shape {
            return false;
        }
        let Some(node) = self.operator_of(id) else {
            return *leaf.get_or_insert(id) == id;
        };
        *operators += 1;
        *operators <= OPERATORS
            && node
                .inputs
                .iter()
                .all(|&input| self.is_expression(input, shape, leaf, operators))
    }

    /// A constant of one element.
    fn constant_scalar(&self, id: ValueId) -> Option<f32> {
        let one = self.shape(id).iter().product::<usize>() == 1;
        self.constant_float(id).filter(|_| one)?.first().copied()
    }

    /// The expression's value where the leaf is `x`.
    fn evaluate(&self, id: ValueId, leaf: ValueId, x: f32) -> f32 {
        if id == leaf {
            return x;
        }
        if let Some(constant) = self.constant_scalar(id) {
            return constant;
        }
        let Some(node) = self.operator_of(id) else {
            return f32::NAN;
        };
        let input = |i: usize| self.evaluate(node.inputs[i], leaf, x);
        match (pair(&node.op), Unary::of(&node.op)) {
            (Some(function), _) => function(input(0), input(1)),
            (None, Some(function)) => function.apply(input(0)),
            (None, None) => f32::NAN,
        }
    }
}
