//! Functions of one element, of two, and the choice between two.

use anyhow::{Result, bail};
use niwaki::artifact::{DataType, Record};
use niwaki::ops;
use niwaki::ops::{
    AlphaBetaParams, AlphaParams, BinaryF32Params, IsInfParams, Registered, Strides, WalksParams,
    WhereParams,
};

use super::{Builder, Label, View, walk};
use crate::functions::{Binary, Function};

impl Builder {
    /// A function of each float.
    pub fn function(&mut self, function: Function, x: &View, label: Label) -> View {
        let alpha = |alpha: f32| AlphaParams { alpha };
        let pair = |alpha: f32, beta: f32| AlphaBetaParams { alpha, beta };
        match function {
            Function::Abs => self.map(ops::AbsF32, x, &(), label),
            Function::Neg => self.map(ops::NegF32, x, &(), label),
            Function::Exp => self.map(ops::ExpF32, x, &(), label),
            Function::Log => self.map(ops::LogF32, x, &(), label),
            Function::Sqrt => self.map(ops::SqrtF32, x, &(), label),
            Function::Reciprocal => self.map(ops::ReciprocalF32, x, &(), label),
            Function::Floor => self.map(ops::FloorF32, x, &(), label),
            Function::Ceil => self.map(ops::CeilF32, x, &(), label),
            Function::Round => self.map(ops::RoundF32, x, &(), label),
            Function::Sign => self.map(ops::SignF32, x, &(), label),
            Function::Sin => self.map(ops::SinF32, x, &(), label),
            Function::Cos => self.map(ops::CosF32, x, &(), label),
            Function::Erf => self.map(ops::ErfF32, x, &(), label),
            Function::HardSwish => self.map(ops::HardSwishF32, x, &(), label),
            Function::Mish => self.map(ops::MishF32, x, &(), label),
            Function::Gelu => self.map(ops::GeluF32, x, &(), label),
            Function::GeluTanh => self.map(ops::GeluTanhF32, x, &(), label),
            Function::Softplus => self.map(ops::SoftplusF32, x, &(), label),
            Function::Softsign => self.map(ops::SoftsignF32, x, &(), label),
            Function::Elu { alpha: a } => self.map(ops::EluF32, x, &alpha(a), label),
            Function::Celu { alpha: a } => self.map(ops::CeluF32, x, &alpha(a), label),
            Function::ThresholdedRelu { alpha: a } => {
                self.map(ops::ThresholdedReluF32, x, &alpha(a), label)
            }
            Function::LeakyRelu { alpha: a } => self.map(ops::LeakyReluF32, x, &alpha(a), label),
            Function::Swish { alpha: a } => self.map(ops::SwishF32, x, &alpha(a), label),
            Function::Selu { alpha, gamma } => {
                self.map(ops::SeluF32, x, &pair(alpha, gamma), label)
            }
            Function::HardSigmoid { alpha, beta } => {
                self.map(ops::HardSigmoidF32, x, &pair(alpha, beta), label)
            }
        }
    }

    fn map<O: Registered, P: Record>(&mut self, o: O, x: &View, params: &P, label: Label) -> View {
        self.elementwise(o, x, params, DataType::F32, label)
    }

    /// Whether each float is a NaN.
    pub fn is_nan(&mut self, x: &View, label: Label) -> View {
        self.elementwise(ops::IsNanF32, x, &(), DataType::Bool, label)
    }

    /// Whether each float is one of these infinities.
    pub fn is_inf(&mut self, x: &View, negative: bool, positive: bool, label: Label) -> View {
        let params = IsInfParams {
            negative: negative.into(),
            positive: positive.into(),
        };
        self.elementwise(ops::IsInfF32, x, &params, DataType::Bool, label)
    }

    /// The same elements in another type.
    pub fn cast(&mut self, x: &View, to: DataType, label: Label) -> View {
        match (self.dtype(x), to) {
            (from, to) if from == to => x.clone(),
            (DataType::F32, to) => self.elementwise(ops::CastF32ToInt, x, &(), to, label),
            (_, DataType::F32) => self.elementwise(ops::CastIntToF32, x, &(), to, label),
            _ => self.elementwise(ops::CastInt, x, &(), to, label),
        }
    }

    /// A function of two elements of one type.
    ///
    /// # Errors
    ///
    /// When there is none for that type.
    pub fn binary(
        &mut self,
        function: Binary,
        [a, b]: [&View; 2],
        label: Label,
        shape: &[usize],
    ) -> Result<View> {
        let dtype = self.dtype(a);
        let ([a, b], walks, order) = self.broadcast(a, b, shape);
        let to = if function.compares() {
            DataType::Bool
        } else {
            dtype
        };
        let name = label.name.clone();
        let output = self.tensor(label, to, shape.to_vec(), order);
        let inputs = [&a, &b];
        let float = BinaryF32Params {
            walks,
            low: f32::NEG_INFINITY,
            high: f32::INFINITY,
        };
        let plain = WalksParams { walks };
        Ok(match (function, dtype == DataType::F32) {
            (Binary::Add, true) => self.push(ops::AddF32, &inputs, &float, output),
            (Binary::Mul, true) => self.push(ops::MulF32, &inputs, &float, output),
            (Binary::Sub, true) => self.push(ops::SubF32, &inputs, &float, output),
            (Binary::Div, true) => self.push(ops::DivF32, &inputs, &float, output),
            (Binary::Pow, true) => self.push(ops::PowF32, &inputs, &float, output),
            (Binary::Min, true) => self.push(ops::MinF32, &inputs, &float, output),
            (Binary::Max, true) => self.push(ops::MaxF32, &inputs, &float, output),
            (Binary::Fmod, true) => self.push(ops::FmodF32, &inputs, &float, output),
            (Binary::PRelu, true) => self.push(ops::PReluF32, &inputs, &float, output),
            (Binary::Equal, true) => self.push(ops::EqualF32, &inputs, &plain, output),
            (Binary::Less, true) => self.push(ops::LessF32, &inputs, &plain, output),
            (Binary::LessOrEqual, true) => self.push(ops::LessOrEqualF32, &inputs, &plain, output),
            (Binary::Add, false) => self.push(ops::AddInt, &inputs, &plain, output),
            (Binary::Mul, false) => self.push(ops::MulInt, &inputs, &plain, output),
            (Binary::Sub, false) => self.push(ops::SubInt, &inputs, &plain, output),
            (Binary::Div, false) => self.push(ops::DivInt, &inputs, &plain, output),
            (Binary::Pow, false) => self.push(ops::PowInt, &inputs, &plain, output),
            (Binary::Min, false) => self.push(ops::MinInt, &inputs, &plain, output),
            (Binary::Max, false) => self.push(ops::MaxInt, &inputs, &plain, output),
            (Binary::Mod, false) => self.push(ops::ModInt, &inputs, &plain, output),
            (Binary::Fmod, false) => self.push(ops::FmodInt, &inputs, &plain, output),
            (Binary::And, false) => self.push(ops::AndInt, &inputs, &plain, output),
            (Binary::Or, false) => self.push(ops::OrInt, &inputs, &plain, output),
            (Binary::Xor, false) => self.push(ops::XorInt, &inputs, &plain, output),
            (Binary::ShiftLeft, false) => self.push(ops::ShiftLeftInt, &inputs, &plain, output),
            (Binary::ShiftRight, false) => self.push(ops::ShiftRightInt, &inputs, &plain, output),
            (Binary::Equal, false) => self.push(ops::EqualInt, &inputs, &plain, output),
            (Binary::Less, false) => self.push(ops::LessInt, &inputs, &plain, output),
            (Binary::LessOrEqual, false) => self.push(ops::LessOrEqualInt, &inputs, &plain, output),
            (Binary::PRelu, false)
            | (
                Binary::Mod
                | Binary::And
                | Binary::Or
                | Binary::Xor
                | Binary::ShiftLeft
                | Binary::ShiftRight,
                true,
            ) => bail!(
                "`{name}`: {function:?} of {} is not supported",
                dtype.name()
            ),
        })
    }

    /// Elements of `a` where the condition is true, of `b` elsewhere.
    pub fn choose(
        &mut self,
        condition: &View,
        [a, b]: [&View; 2],
        label: Label,
        shape: &[usize],
    ) -> View {
        let inputs = [condition, a, b].map(|view| self.in_onnx_order(view));
        let walks = inputs.each_ref().map(|view| -> Strides {
            let missing = shape.len() - view.shape.len();
            let mut strides = vec![0; shape.len()];
            let mut step = 1;
            for (axis, &dim) in view.shape.iter().enumerate().rev() {
                strides[missing + axis] = if dim == 1 { 0 } else { step };
                step *= dim;
            }
            walk(shape, &strides)
        });
        let dtype = self.dtype(a);
        let output = self.port(label, dtype, shape);
        let [condition, a, b] = &inputs;
        let inputs = [condition, a, b];
        self.push(ops::Where, &inputs, &WhereParams { walks }, output)
    }
}
