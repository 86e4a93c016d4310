//! Activations that exporters write as chains of operations: GELU in both forms, Swish, HardSwish.

use crate::functions::{Binary, Function};
use crate::graph::{Graph, Op, ValueId};

/// Coefficients of 1, x, x^2 and x^3.
type Polynomial = [f64; 4];

/// `plain + gated * t`: polynomials of one value x, and t a function of x.
#[derive(Clone, Copy, Debug, Default)]
struct Expression {
    plain: Polynomial,
    gated: Polynomial,
}

/// How deep an expression is looked into, and how many nodes may follow the function in it.
const DEPTH: usize = 6;

/// Largest difference of a constant, relative to the one that is looked for: exporters write them
/// with seven digits or more.
const TOLERANCE: f64 = 1e-5;

/// An activation as a chain: a function of a polynomial of x, and what is made of both.
struct Chain {
    argument: Polynomial,
    result: Expression,
    is: Function,
}

/// The sum of two polynomials, the second one `sign` times.
fn sum(a: Polynomial, b: Polynomial, sign: f64) -> Polynomial {
    std::array::from_fn(|i| a[i] + sign * b[i])
}

/// The product, if its degree is not above 3.
fn product(a: Polynomial, b: Polynomial) -> Option<Polynomial> {
    let mut result = [0.0; 7];
    for (i, a) in a.iter().enumerate() {
        for (j, b) in b.iter().enumerate() {
            result[i + j] += a * b;
        }
    }
    let low = *result.first_chunk()?;
    (result[4..] == [0.0; 3]).then_some(low)
}

impl Expression {
    fn constant(value: f64) -> Self {
        Self {
            plain: [value, 0.0, 0.0, 0.0],
            ..Self::default()
        }
    }

    fn plus(self, other: Self, sign: f64) -> Self {
        Self {
            plain: sum(self.plain, other.plain, sign),
            gated: sum(self.gated, other.gated, sign),
        }
    }

    /// The product, if the function is in it once at most.
    fn times(self, other: Self) -> Option<Self> {
        let squared = product(self.gated, other.gated)?;
        let gated = sum(
            product(self.plain, other.gated)?,
            product(self.gated, other.plain)?,
            1.0,
        );
        (squared == [0.0; 4]).then_some(Self {
            plain: product(self.plain, other.plain)?,
            gated,
        })
    }

    /// Its value, if it has no x in it.
    fn as_constant(self) -> Option<f64> {
        let rest = [self.plain[1], self.plain[2], self.plain[3]];
        (rest == [0.0; 3] && self.gated == [0.0; 4]).then_some(self.plain[0])
    }

    fn is(&self, wanted: &Self) -> bool {
        alike(&self.plain, &wanted.plain) && alike(&self.gated, &wanted.gated)
    }
}

fn alike(found: &Polynomial, wanted: &Polynomial) -> bool {
    let pairs = found.iter().zip(wanted);
    pairs
        .into_iter()
        .all(|(found, wanted)| (found - wanted).abs() <= TOLERANCE * wanted.abs())
}

/// The chains that begin with this function; its argument says more for some.
fn chain(function: &Op, argument: &Polynomial) -> Option<Chain> {
    let times_x = |factor: f64, plain: f64| Expression {
        plain: [0.0, plain, 0.0, 0.0],
        gated: [0.0, factor, 0.0, 0.0],
    };
    let (argument, result, is) = match function {
        Op::Function(Function::Erf) => {
            let argument = [0.0, std::f64::consts::FRAC_1_SQRT_2, 0.0, 0.0];
            (argument, times_x(0.5, 0.5), Function::Gelu)
        }
        Op::Tanh => {
            let factor = (2.0 / std::f64::consts::PI).sqrt();
            let argument = [0.0, factor, 0.0, factor * 0.044_715];
            (argument, times_x(0.5, 0.5), Function::GeluTanh)
        }
        Op::Sigmoid => {
            let alpha = argument[1];
            let is = Function::Swish {
                alpha: alpha as f32,
            };
            ([0.0, alpha, 0.0, 0.0], times_x(1.0, 0.0), is)
        }
        Op::Clamp { low, high } if (*low, *high) == (0.0, 6.0) => {
            let argument = [3.0, 1.0, 0.0, 0.0];
            (argument, times_x(1.0 / 6.0, 0.0), Function::HardSwish)
        }
        Op::Function(Function::HardSigmoid { alpha, beta })
            if (*alpha, *beta) == (1.0 / 6.0, 0.5) =>
        {
            let argument = [0.0, 1.0, 0.0, 0.0];
            (argument, times_x(1.0, 0.0), Function::HardSwish)
        }
        _ => return None,
    };
    Some(Chain {
        argument,
        result,
        is,
    })
}

/// The graph with its producers and sole readers.
struct Finder<'g> {
    graph: &'g Graph,
    producers: Vec<Option<usize>>,
    /// The node that alone reads a value.
    readers: Vec<Option<usize>>,
}

impl Finder<'_> {
    /// A value as an expression of `x` and `function`.
    fn expression(
        &self,
        id: ValueId,
        x: ValueId,
        function: Option<ValueId>,
        depth: usize,
    ) -> Option<Expression> {
        if id == x {
            return Some(Expression {
                plain: [0.0, 1.0, 0.0, 0.0],
                ..Expression::default()
            });
        }
        if Some(id) == function {
            return Some(Expression {
                gated: [1.0, 0.0, 0.0, 0.0],
                ..Expression::default()
            });
        }
        if let Some(constant) = self.graph.constant_f32(id) {
            let first = constant.iter().next().filter(|_| constant.len() == 1);
            return first.map(|&value| Expression::constant(value.into()));
        }
        let node = &self.graph.nodes[self.producers[id]?];
        let below = depth.checked_sub(1)?;
        let operand = |i: usize| self.expression(*node.inputs.get(i)?, x, function, below);
        match &node.op {
            Op::Add => Some(operand(0)?.plus(operand(1)?, 1.0)),
            Op::Binary(Binary::Sub) => Some(operand(0)?.plus(operand(1)?, -1.0)),
            Op::Mul => operand(0)?.times(operand(1)?),
            Op::Binary(Binary::Div) => {
                let divisor = operand(1)?.as_constant()?;
                operand(0)?.times(Expression::constant(1.0 / divisor))
            }
            Op::Binary(Binary::Pow) => {
                let base = operand(0)?;
                match operand(1)?.as_constant()? {
                    2.0 => base.times(base),
                    3.0 => base.times(base)?.times(base),
                    _ => None,
                }
            }
            _ => None,
        }
    }

    /// Values that an expression may be of: what it is computed from, itself among it.
    fn sources(&self, id: ValueId, depth: usize, found: &mut Vec<ValueId>) {
        if self.graph.constant(id).is_some() || found.contains(&id) {
            return;
        }
        found.push(id);
        let node = self.producers[id].map(|index| &self.graph.nodes[index]);
        let arithmetic = |op: &Op| {
            let of_two = [Binary::Sub, Binary::Div, Binary::Pow].map(Op::Binary);
            matches!(op, Op::Add | Op::Mul) || of_two.contains(op)
        };
        if let Some(node) = node.filter(|node| arithmetic(&node.op))
            && depth > 0
        {
            for &input in &node.inputs {
                self.sources(input, depth - 1, found);
            }
        }
    }

    /// The activation that begins with the function at node `index`: its last node, its x.
    fn activation(&self, index: usize) -> Option<(usize, ValueId, Function)> {
        let node = &self.graph.nodes[index];
        chain(&node.op, &[0.0; 4])?;
        let mut sources = Vec::new();
        self.sources(node.inputs[0], DEPTH, &mut sources);
        sources.into_iter().find_map(|x| {
            let argument = self.expression(node.inputs[0], x, None, DEPTH)?.plain;
            let chain = chain(&node.op, &argument)?;
            let fits = alike(&argument, &chain.argument);
            let last = fits.then(|| self.last(node.output, x, &chain.result))?;
            Some((last?, x, chain.is))
        })
    }

    /// The node behind a function whose output is the whole expression.
    fn last(&self, function: ValueId, x: ValueId, wanted: &Expression) -> Option<usize> {
        let mut id = function;
        for _ in 0..DEPTH {
            let index = self.readers[id]?;
            id = self.graph.nodes[index].output;
            let expression = self.expression(id, x, Some(function), DEPTH)?;
            if expression.is(wanted) && self.graph.shape(id) == self.graph.shape(x) {
                return Some(index);
            }
        }
        None
    }
}

/// Puts one function in the place of each chain. Returns how many there were.
pub fn fuse_activations(graph: &mut Graph) -> usize {
    let uses = graph.use_counts();
    let mut readers = vec![None; graph.values.len()];
    for (index, node) in graph.nodes.iter().enumerate() {
        for &id in node.inputs.iter().filter(|&&id| uses[id] == 1) {
            readers[id] = Some(index);
        }
    }
    let finder = Finder {
        producers: graph.producers(),
        readers,
        graph,
    };
    let found = (0..graph.nodes.len()).filter_map(|index| finder.activation(index));
    let found: Vec<(usize, ValueId, Function)> = found.collect();
    for &(last, x, function) in &found {
        graph.nodes[last].op = Op::Function(function);
        graph.nodes[last].inputs = vec![x];
    }
    graph.remove_dead_nodes();
    found.len()
}

#[cfg(test)]
mod tests {
    use ndarray::{ArrayD, IxDyn};

    use super::*;
    use crate::graph::{Constant, DataType, Node};

    #[derive(Default)]
    struct Maker(Graph);

    impl Maker {
        fn input(&mut self) -> ValueId {
            let x = self.0.add_value("x", DataType::F32, vec![2, 3]);
            self.0.inputs.push(x);
            x
        }

        fn scalar(&mut self, value: f32) -> ValueId {
            let value = ArrayD::from_elem(IxDyn(&[]), value);
            self.0.add_constant("c", Constant::F32(value))
        }

        fn node(&mut self, op: Op, inputs: &[ValueId]) -> ValueId {
            let output = self.0.add_value("y", DataType::F32, vec![2, 3]);
            self.0.nodes.push(Node {
                name: "n".into(),
                op,
                inputs: inputs.to_vec(),
                output,
            });
            output
        }

        /// What is left when `y` is the output.
        fn fused(mut self, y: ValueId) -> Vec<Op> {
            self.0.outputs.push(y);
            self.0.output_names.push("y".into());
            fuse_activations(&mut self.0);
            self.0.nodes.into_iter().map(|node| node.op).collect()
        }
    }

    const ERF: Op = Op::Function(Function::Erf);

    /// `erf(x / sqrt(2)) + 1`, and x.
    fn gate(maker: &mut Maker, root: f32) -> [ValueId; 2] {
        let x = maker.input();
        let root = maker.scalar(root);
        let scaled = maker.node(Op::Binary(Binary::Div), &[x, root]);
        let erf = maker.node(ERF, &[scaled]);
        let one = maker.scalar(1.0);
        [maker.node(Op::Add, &[erf, one]), x]
    }

    #[test]
    fn gelu_by_erf_is_found_in_every_order_of_its_factors() {
        for order in 0..3 {
            let mut maker = Maker::default();
            let [gate, x] = gate(&mut maker, std::f32::consts::SQRT_2);
            let half = maker.scalar(0.5);
            let factors = [gate, x, half];
            let [a, b, c] = std::array::from_fn(|i| factors[(i + order) % 3]);
            let first = maker.node(Op::Mul, &[a, b]);
            let y = maker.node(Op::Mul, &[c, first]);
            assert_eq!(maker.fused(y), [Op::Function(Function::Gelu)]);
        }
    }

    #[test]
    fn gelu_by_tanh_is_found() {
        let mut maker = Maker::default();
        let x = maker.input();
        let three = maker.scalar(3.0);
        let cube = maker.node(Op::Binary(Binary::Pow), &[x, three]);
        let factor = maker.scalar(0.044_715);
        let cube = maker.node(Op::Mul, &[factor, cube]);
        let inner = maker.node(Op::Add, &[x, cube]);
        let factor = maker.scalar(0.797_884_6);
        let inner = maker.node(Op::Mul, &[inner, factor]);
        let tanh = maker.node(Op::Tanh, &[inner]);
        let one = maker.scalar(1.0);
        let gate = maker.node(Op::Add, &[one, tanh]);
        let half = maker.scalar(0.5);
        let scaled = maker.node(Op::Mul, &[x, half]);
        let y = maker.node(Op::Mul, &[scaled, gate]);
        assert_eq!(maker.fused(y), [Op::Function(Function::GeluTanh)]);
    }

    #[test]
    fn swish_and_hard_swish_are_found() {
        let mut maker = Maker::default();
        let x = maker.input();
        let alpha = maker.scalar(1.702);
        let scaled = maker.node(Op::Mul, &[x, alpha]);
        let gate = maker.node(Op::Sigmoid, &[scaled]);
        let y = maker.node(Op::Mul, &[gate, x]);
        let swish = Function::Swish { alpha: 1.702 };
        assert_eq!(maker.fused(y), [Op::Function(swish)]);

        let mut maker = Maker::default();
        let x = maker.input();
        let [three, six] = [3.0, 6.0].map(|value| maker.scalar(value));
        let shifted = maker.node(Op::Add, &[x, three]);
        let clamp = Op::Clamp {
            low: 0.0,
            high: 6.0,
        };
        let gate = maker.node(clamp, &[shifted]);
        let product = maker.node(Op::Mul, &[x, gate]);
        let y = maker.node(Op::Binary(Binary::Div), &[product, six]);
        assert_eq!(maker.fused(y), [Op::Function(Function::HardSwish)]);
    }

    #[test]
    fn what_only_looks_like_one_stays() {
        // Another constant.
        let mut maker = Maker::default();
        let [other, x] = gate(&mut maker, 1.5);
        let half = maker.scalar(0.5);
        let scaled = maker.node(Op::Mul, &[x, half]);
        let y = maker.node(Op::Mul, &[scaled, other]);
        assert!(maker.fused(y).contains(&ERF));
        // Another value than the function's.
        let mut maker = Maker::default();
        let [gate, _] = gate(&mut maker, std::f32::consts::SQRT_2);
        let z = maker.input();
        let half = maker.scalar(0.5);
        let scaled = maker.node(Op::Mul, &[z, half]);
        let y = maker.node(Op::Mul, &[scaled, gate]);
        assert!(maker.fused(y).contains(&ERF));
        // A factor is missing.
        let mut maker = Maker::default();
        let x = maker.input();
        let gate = maker.node(Op::Sigmoid, &[x]);
        let two = maker.scalar(2.0);
        let doubled = maker.node(Op::Mul, &[x, two]);
        let y = maker.node(Op::Mul, &[doubled, gate]);
        assert!(maker.fused(y).contains(&Op::Sigmoid));
    }
}
