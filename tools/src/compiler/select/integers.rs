//! What is computed in integers: a float value that is quantised, from values that int8 stand for.

use anyhow::Result;
use niwaki::artifact::DataType as Stored;
use niwaki::numerics::{OutputStage, dequantize};

use super::{Demand, FUNCTIONS, Int8View, Label, Selector, Unary, View};
use crate::compiler::builder::Int8Output;
use crate::functions::{Binary, Reduction};
use crate::graph::{Graph, Indexed, Node, Op, ValueId};

/// Taps of a window up to which the runtime averages in integers.
const POOL_TAPS: usize = 1 << 23;

/// For each value, how all that read it quantise it, through what moves elements.
pub(super) fn demands(graph: &Graph) -> Vec<Demand> {
    let mut demands = vec![Demand::Nobody; graph.values.len()];
    for &id in &graph.outputs {
        demands[id] = Demand::Mixed;
    }
    for node in graph.nodes.iter().rev() {
        let own = match &node.op {
            Op::Quantize(q) => match q.as_int8() {
                Some((scale, zero_point)) => Demand::One(scale, zero_point),
                None => Demand::Mixed,
            },
            op if op.moves() || matches!(op, Op::MaxPool(_)) => demands[node.output],
            _ => Demand::Mixed,
        };
        for &input in moved(node) {
            demands[input] = match demands[input] {
                Demand::Nobody => own,
                known if known == own => known,
                _ => Demand::Mixed,
            };
        }
    }
    demands
}

/// The inputs whose elements an operation moves: not those that say where to.
fn moved(node: &Node) -> &[ValueId] {
    match node.op {
        Op::Indexed(op) if op.gathers() => &node.inputs[..1],
        _ => &node.inputs,
    }
}

/// What becomes of a float value on its way to int8: functions of one element, the last one
/// first, then scale and zero point.
#[derive(Clone)]
struct Rounding {
    functions: Vec<Unary>,
    affine: (f32, i32),
    stage: OutputStage,
}

impl Rounding {
    /// The int8 of a real value.
    fn of(&self, x: f32) -> i8 {
        let y = self.functions.iter().rev().fold(x, |x, f| f.apply(x));
        self.stage.quantize(y / self.affine.0)
    }

    /// The end of an operation in integers, when only clamps stand behind it.
    fn output(&self) -> Option<Int8Output> {
        let (scale, zero_point) = self.affine;
        let mut out = Int8Output {
            scale,
            zero_point,
            low: -128,
            high: 127,
        };
        // Rounding keeps order, so clamping the float and clamping its int8 are the same. The
        // innermost clamp, which belongs to the operation, comes last in the list.
        for function in self.functions.iter().rev() {
            let Unary::Clamp(low, high) = function else {
                return None;
            };
            let ends = [low, high].map(|end| self.stage.quantize(end / scale).into());
            out.low = out.low.clamp(ends[0], ends[1]);
            out.high = out.high.clamp(ends[0], ends[1]);
        }
        Some(out)
    }
}

impl Int8View {
    /// The real value of each byte.
    pub(super) fn reals(&self) -> [f32; 256] {
        let (scale, zero_point) = self.affine;
        std::array::from_fn(|byte| dequantize((byte as u8).cast_signed(), zero_point, scale))
    }
}

impl Selector<'_> {
    /// The int8 that stand for float value `id`, when there are such: a dequantised tensor, also
    /// moved or pooled by maximum since.
    pub(super) fn exact_int8(&mut self, id: ValueId) -> Result<Option<Int8View>> {
        if let Some(known) = self.stand_ins.get(&id) {
            return Ok(known.clone());
        }
        let found = self.find_exact_int8(id)?;
        self.stand_ins.insert(id, found.clone());
        Ok(found)
    }

    fn find_exact_int8(&mut self, id: ValueId) -> Result<Option<Int8View>> {
        let Some(node) = self.node(id) else {
            return Ok(None);
        };
        match &node.op {
            Op::Dequantize(q) => match q.as_int8() {
                // A constant may have a negative scale, which no operator takes.
                Some(affine) if affine.0 > 0.0 => {
                    let view = self.integer(node.inputs[0])?;
                    Ok(Some(Int8View { view, affine }))
                }
                _ => Ok(None),
            },
            Op::Reshape
            | Op::Transpose { .. }
            | Op::MaxPool(_)
            | Op::Pad { .. }
            | Op::Slice { .. }
            | Op::Take { .. }
            | Op::Expand
            | Op::Indexed(
                Indexed::Gather { .. } | Indexed::GatherElements { .. } | Indexed::GatherNd { .. },
            ) => {
                let Some(inner) = self.exact_int8(node.inputs[0])? else {
                    return Ok(None);
                };
                let (scale, zero_point) = inner.affine;
                if let Op::Pad { value, .. } = &node.op {
                    let steps = *value as f32 / scale;
                    let stands = steps.fract() == 0.0
                        && (-128.0..=127.0).contains(&(steps + zero_point as f32))
                        && f64::from(steps * scale) == *value;
                    if !stands {
                        return Ok(None);
                    }
                }
                let label = Label {
                    affine: Some(inner.affine),
                    ..self.label(id)
                };
                let shape = self.shape(id);
                let fill = |v: f64| Ok(u32::from(((v as f32 / scale) as i32 + zero_point) as u8));
                let mut views = vec![inner.view];
                for &id in node.inputs.iter().skip(1) {
                    views.push(self.value(id)?);
                }
                let view = self.structural(&node.op, &views, label, shape, fill)?;
                Ok(Some(Int8View {
                    view,
                    affine: inner.affine,
                }))
            }
            _ => Ok(None),
        }
    }

    /// QuantizeLinear of float value `id`.
    pub(super) fn quantized(
        &mut self,
        id: ValueId,
        affine: (f32, i32),
        label: Label,
    ) -> Result<View> {
        let stage = OutputStage::new(affine.1, -128, 127).ok_or_else(|| {
            anyhow::anyhow!("`{}`: zero point {} is outside int8", label.name, affine.1)
        })?;
        let rounding = Rounding {
            functions: Vec::new(),
            affine,
            stage,
        };
        self.rounded(id, rounding, label)
    }

    /// The int8 of float value `id`.
    fn rounded(&mut self, id: ValueId, mut rounding: Rounding, label: Label) -> Result<View> {
        // Those that stand behind `id`.
        let before = rounding.functions.clone();
        // Functions of one element between the operation and the quantisation.
        let mut base = id;
        while let Some(node) = self.node(base)
            && let Some(function) = Unary::of(&node.op)
            && rounding.functions.len() < FUNCTIONS
        {
            rounding.functions.push(function);
            base = node.inputs[0];
        }
        if let Some(constant) = self.constant_float(base) {
            let constant = constant.mapv(|x| rounding.of(x));
            return Ok(self.builder.constant_i8(label, &constant));
        }
        if let Some(int8) = self.exact_int8(base)? {
            if rounding.functions.is_empty() && int8.affine == rounding.affine {
                return Ok(int8.view);
            }
            let table = int8.reals().map(|x| rounding.of(x));
            return Ok(self.tabulated(&int8, &table, label));
        }
        if let Some(view) = self.rounded_before_moving(base, &rounding, &label)? {
            return Ok(view);
        }
        if let Some((int8, values)) = self.pointwise(base)? {
            let table = values.map(|x| rounding.of(x));
            return Ok(self.tabulated(&int8, &table, label));
        }
        if let Some(node) = self.node(base)
            && let Some(out) = rounding.output()
            && let Some(view) = self.in_integers(node, out, label.clone())?
        {
            return Ok(view);
        }
        let mut x = self.float(id)?;
        for function in before.iter().rev() {
            let label = Label {
                name: format!("{}.real", label.name),
                ..Label::default()
            };
            x = match *function {
                Unary::Clamp(low, high) => self.builder.clamp_f32(&x, (low, high), label),
                Unary::Sigmoid => self.builder.sigmoid_f32(&x, label),
                Unary::Tanh => self.builder.tanh_f32(&x, label),
                Unary::Function(function) => self.builder.function(function, &x, label),
            };
        }
        Ok(self.builder.quantize(&x, rounding.affine, label))
    }

    /// Moving elements and rounding them are one and the same in either order, so what is behind
    /// can be done in integers, and moves bytes. `None` where others want the floats.
    fn rounded_before_moving(
        &mut self,
        id: ValueId,
        rounding: &Rounding,
        label: &Label,
    ) -> Result<Option<View>> {
        let Some(node) = self.node(id) else {
            return Ok(None);
        };
        // The largest int8 is that of the largest float, as long as nothing stands between that
        // might not keep order.
        let pools = matches!(node.op, Op::MaxPool(_)) && rounding.functions.is_empty();
        if !node.op.moves() && !pools {
            return Ok(None);
        }
        let (scale, zero_point) = rounding.affine;
        let plain = rounding.functions.is_empty();
        for &input in moved(node) {
            let alone = self.uses[input] == 1
                || plain && self.demands[input] == Demand::One(scale, zero_point);
            if !alone && self.exact_int8(input)?.is_none() && self.constant_float(input).is_none() {
                return Ok(None);
            }
        }
        let label = Label {
            affine: Some(rounding.affine),
            ..label.clone()
        };
        let mut views = Vec::new();
        for &input in moved(node) {
            let shared = plain && self.demands[input] == Demand::One(scale, zero_point);
            if let Some(view) = self.demanded.get(&input).filter(|_| shared) {
                views.push(view.clone());
                continue;
            }
            // What only looks at the same bytes in another way leaves them their name.
            let inner = match node.op {
                Op::Reshape | Op::Transpose { .. } if self.uses[input] == 1 => label.clone(),
                _ => Label {
                    name: format!("{}.quantized", self.graph.values[input].name),
                    value: None,
                    affine: Some(rounding.affine),
                },
            };
            let view = self.rounded(input, rounding.clone(), inner)?;
            if shared {
                self.demanded.insert(input, view.clone());
            }
            views.push(view);
        }
        for &input in &node.inputs[views.len()..] {
            views.push(self.value(input)?);
        }
        let fill = |v: f64| Ok(u32::from(rounding.of(v as f32).cast_unsigned()));
        let shape = self.shape(id);
        self.structural(&node.op, &views, label, shape, fill)
            .map(Some)
    }

    /// A table for a function of one dequantised element, quantised again.
    fn tabulated(&mut self, int8: &Int8View, table: &[i8; 256], label: Label) -> View {
        let table = table.map(i8::cast_unsigned);
        self.builder.lookup(&int8.view, &table, Stored::I8, label)
    }

    /// The operation in integers, if the runtime has it; `None` otherwise.
    fn in_integers(&mut self, node: &Node, out: Int8Output, label: Label) -> Result<Option<View>> {
        let shape = self.shape(node.output);
        match &node.op {
            Op::Conv { .. } => self.convolution_in_integers(node, out, label),
            Op::MatMul { .. } => {
                self.product_in_integers(node, node.inputs.get(2).copied(), out, label)
            }
            Op::Add => {
                if let Some(view) = self.biased_in_integers(node, out, &label)? {
                    return Ok(Some(view));
                }
                self.pair_in_integers(node, out, label)
            }
            Op::Mul => self.pair_in_integers(node, out, label),
            Op::AveragePool {
                window,
                count_include_pad,
            } => {
                let Some(x) = self.exact_int8(node.inputs[0])? else {
                    return Ok(None);
                };
                let padded = *count_include_pad;
                let view = self
                    .builder
                    .average_pool_i8(&x.view, x.affine, window, padded, out, label, shape);
                Ok(Some(view))
            }
            Op::Binary(Binary::Div) => self.mean_in_integers(node, out, label),
            Op::Softmax { axis } if (out.low, out.high) == (-128, 127) => {
                let Some(x) = self.exact_int8(node.inputs[0])? else {
                    return Ok(None);
                };
                let affine = (out.scale, out.zero_point);
                let scale = x.affine.0;
                let view = self
                    .builder
                    .softmax_i8(&x.view, scale, *axis, affine, label);
                Ok(Some(view))
            }
            Op::Where => self.choice_in_integers(node, out, label),
            _ => Ok(None),
        }
    }

    fn convolution_in_integers(
        &mut self,
        node: &Node,
        out: Int8Output,
        label: Label,
    ) -> Result<Option<View>> {
        let Op::Conv { window, group } = &node.op else {
            return Ok(None);
        };
        let Some(x) = self.exact_int8(node.inputs[0])? else {
            return Ok(None);
        };
        let bias = node.inputs.get(2).copied();
        let Some(layer) = self.int8_weights(node.inputs[1], 0, bias, x.affine.0) else {
            return Ok(None);
        };
        let view = layer.input(self, &x.view, 1, *group);
        let shape = self.shape(node.output);
        let weights = &layer.weights;
        let view = self
            .builder
            .conv_i8(&view, x.affine, window, *group, weights, out, label, shape)?;
        Ok(Some(view))
    }

    /// MatMul and Add: how exporters write a dense layer with a bias.
    fn biased_in_integers(
        &mut self,
        node: &Node,
        out: Int8Output,
        label: &Label,
    ) -> Result<Option<View>> {
        for (product, bias) in [(0, 1), (1, 0)] {
            let inner = self.sole_node(node.inputs[product]);
            if let Some(inner) = inner
                && matches!(inner.op, Op::MatMul { .. })
                && inner.inputs.len() == 2
                && self.shape(inner.output) == self.shape(node.output)
            {
                let bias = Some(node.inputs[bias]);
                let view = self.product_in_integers(inner, bias, out, label.clone())?;
                if view.is_some() {
                    return Ok(view);
                }
            }
        }
        Ok(None)
    }

    /// A sum or product of two dequantised values.
    fn pair_in_integers(
        &mut self,
        node: &Node,
        out: Int8Output,
        label: Label,
    ) -> Result<Option<View>> {
        let a = self.exact_int8(node.inputs[0])?;
        let b = self.exact_int8(node.inputs[1])?;
        let (Some(a), Some(b)) = (a, b) else {
            return Ok(None);
        };
        let product = matches!(node.op, Op::Mul);
        let operands = [(&a.view, a.affine), (&b.view, b.affine)];
        let shape = self.shape(node.output);
        let view = self.builder.binary_i8(product, operands, out, label, shape);
        Ok(Some(view))
    }

    /// The mean along axes, which is a sum divided by a constant: a pool over them.
    fn mean_in_integers(
        &mut self,
        node: &Node,
        out: Int8Output,
        label: Label,
    ) -> Result<Option<View>> {
        let (Some(sum), Some(count)) = (
            self.node(node.inputs[0]),
            self.graph.constant_f32(node.inputs[1]),
        ) else {
            return Ok(None);
        };
        let Op::Reduce {
            reduction: Reduction::Sum,
            axes,
        } = &sum.op
        else {
            return Ok(None);
        };
        let from = self.shape(sum.inputs[0]);
        let taps: usize = axes.iter().map(|&axis| from[axis]).product();
        let divides = count.len() == 1 && count.iter().all(|&n| n == taps as f32);
        if !divides || taps >= POOL_TAPS || self.shape(node.output) != self.shape(sum.output) {
            return Ok(None);
        }
        let Some(x) = self.exact_int8(sum.inputs[0])? else {
            return Ok(None);
        };
        let shape = self.shape(node.output);
        let view = self.builder.mean_i8(&x.view, x.affine, axes, out, label);
        Ok(Some(self.builder.reshaped(&view, shape)))
    }

    /// One of two dequantised values for each element, both in the scale of the output.
    fn choice_in_integers(
        &mut self,
        node: &Node,
        out: Int8Output,
        label: Label,
    ) -> Result<Option<View>> {
        let mut choices = Vec::new();
        for &input in &node.inputs[..2] {
            let Some(x) = self.exact_int8(input)? else {
                return Ok(None);
            };
            choices.push((input, x));
        }
        let Some(stage) = OutputStage::new(out.zero_point, out.low, out.high) else {
            return Ok(None);
        };
        let affine = (out.scale, out.zero_point);
        let mut views = Vec::new();
        for (input, x) in choices {
            if x.affine == affine && (out.low, out.high) == (-128, 127) {
                views.push(x.view);
                continue;
            }
            let label = Label {
                name: format!("{}.rescaled", self.graph.values[input].name),
                value: None,
                affine: Some(affine),
            };
            let table = x.reals().map(|v| stage.quantize(v / out.scale));
            views.push(self.tabulated(&x, &table, label));
        }
        let condition = self.value(node.inputs[2])?;
        let shape = self.shape(node.output);
        let choices = [&views[0], &views[1]];
        Ok(Some(self.builder.choose(&condition, choices, label, shape)))
    }

    fn product_in_integers(
        &mut self,
        node: &Node,
        bias: Option<ValueId>,
        out: Int8Output,
        label: Label,
    ) -> Result<Option<View>> {
        let Op::MatMul { transposed } = node.op else {
            return Ok(None);
        };
        let Some(x) = self.exact_int8(node.inputs[0])? else {
            return Ok(None);
        };
        let shape = self.shape(node.output);
        let axis = usize::from(!transposed);
        if self.shape(node.inputs[1]).len() == 2
            && let Some(mut layer) = self.int8_weights(node.inputs[1], axis, bias, x.affine.0)
        {
            let view = layer.input(self, &x.view, x.view.shape.len() - 1, 1);
            if !transposed {
                let weights = std::mem::take(&mut layer.weights.weights);
                layer.weights.weights = weights.reversed_axes().as_standard_layout().into_owned();
            }
            let weights = &layer.weights;
            let view = self
                .builder
                .fully_connected_i8(&view, x.affine, weights, out, label, shape)?;
            return Ok(Some(view));
        }
        if bias.is_some() || transposed {
            return Ok(None);
        }
        let Some(w) = self.exact_int8(node.inputs[1])? else {
            return Ok(None);
        };
        let operands = [(&x.view, x.affine), (&w.view, w.affine)];
        self.builder
            .mat_mul_i8(operands, out, label, shape)
            .map(Some)
    }
}
