//! ONNX `QuantizeLinear` and `DequantizeLinear`, of one scale and of one for each index of an axis.

use niwaki::Element;
use niwaki::ops::{
    AffineParams, AxisParams, DequantizeAxis, DequantizeI8, QuantizeAxis, QuantizeI8,
};

use super::oracle::{Quantized, dequantize};
use crate::support::{Case, Data, Nd, Operand, Random};

fn draw(random: &mut Random) -> AffineParams {
    AffineParams {
        scale: random.scale(),
        zero_point: random.zero_point(),
    }
}

pub fn to_int8(random: &mut Random, _: &mut Data) -> Case {
    let params = draw(random);
    let output = Quantized {
        zero_point: params.zero_point,
        low: -128,
        high: 127,
    };
    // Half of all values lie on a tie or right beside it.
    let mut float = random.floats();
    let mut near_tie = || {
        let tie = (random.between(0, 600) as f32 - 300.5) * params.scale;
        random.pick(&[tie, tie.next_up(), tie.next_down()])
    };
    let x = Nd::from_fn(&[401], |index| {
        if index[0] % 2 == 0 {
            near_tie()
        } else {
            float()
        }
    });
    let y = x.map(|x| output.quantize(x / params.scale));
    Case::new::<QuantizeI8>(params, vec![Operand::in_order(&x)], Operand::in_order(&y))
}

pub fn to_float(random: &mut Random, _: &mut Data) -> Case {
    let params = draw(random);
    let x = Nd {
        dims: vec![256],
        values: (i8::MIN..=i8::MAX).collect(),
    };
    let y = x.map(|q| dequantize(q, params.zero_point, params.scale));
    Case::new::<DequantizeI8>(params, vec![Operand::in_order(&x)], Operand::in_order(&y))
}

/// Shape and scales of a tensor that is quantised along its middle axis.
struct Axis {
    dims: [usize; 3],
    scales: Vec<f32>,
    zero_points: Vec<i32>,
}

impl Axis {
    fn draw(random: &mut Random, low: i32, high: i32) -> Self {
        let dims = [
            random.between(1, 3),
            random.between(1, 5),
            random.between(1, 30),
        ];
        let span = (i64::from(high) - i64::from(low)) as usize;
        let mut zero_point = || (i64::from(low) + random.between(0, span) as i64) as i32;
        let zero_points = (0..dims[1]).map(|_| zero_point()).collect();
        Self {
            scales: (0..dims[1]).map(|_| random.scale()).collect(),
            zero_points,
            dims,
        }
    }

    fn params(&self, random: &mut Random, data: &mut Data) -> AxisParams {
        let [outer, channels, inner] = self.dims.map(|dim| dim as u32);
        AxisParams {
            outer,
            channels,
            inner,
            scales: data.put(random, &self.scales),
            zero_points: data.put(random, &self.zero_points),
        }
    }
}

pub fn axis(random: &mut Random, data: &mut Data) -> Case {
    match random.below(4) {
        0 => axis_to::<i8>(random, data, -128, 127, |q| q as i8),
        1 => axis_to::<u8>(random, data, 0, 255, |q| q as u8),
        2 => axis_to::<i16>(random, data, -32768, 32767, |q| q as i16),
        _ => axis_to::<u16>(random, data, 0, 65535, |q| q as u16),
    }
}

fn axis_to<T: Element>(
    random: &mut Random,
    data: &mut Data,
    low: i32,
    high: i32,
    narrow: fn(f64) -> T,
) -> Case {
    let axis = Axis::draw(random, low, high);
    let mut float = random.floats();
    let x = Nd::from_fn(&axis.dims, |_| float() * 1000.0);
    let y = Nd::from_fn(&axis.dims, |index| {
        let steps = x.at(index) / axis.scales[index[1]];
        if steps.is_nan() {
            return narrow(low.into());
        }
        let shifted = f64::from(steps.round_ties_even()) + f64::from(axis.zero_points[index[1]]);
        narrow(shifted.clamp(low.into(), high.into()))
    });
    let params = axis.params(random, data);
    let operands = (Operand::in_order(&x), Operand::in_order(&y));
    Case::new::<QuantizeAxis>(params, vec![operands.0], operands.1)
}

pub fn axis_to_float(random: &mut Random, data: &mut Data) -> Case {
    match random.below(5) {
        0 => axis_from(random, data, -128, 127, |bits| bits as i8),
        1 => axis_from(random, data, 0, 255, |bits| bits as u8),
        2 => axis_from(random, data, -32768, 32767, |bits| bits as i16),
        3 => axis_from(random, data, 0, 65535, |bits| bits as u16),
        // The difference of two int32 wraps; biases have a zero point of 0.
        _ => axis_from(random, data, 0, 0, |bits| bits as i32),
    }
}

fn axis_from<T: Element + Into<i32>>(
    random: &mut Random,
    data: &mut Data,
    low: i32,
    high: i32,
    element: fn(u64) -> T,
) -> Case {
    let axis = Axis::draw(random, low, high);
    let x = Nd::from_fn(&axis.dims, |_| element(random.bits()));
    let y = Nd::from_fn(&axis.dims, |index| {
        let q: i32 = x.at(index).into();
        (q - axis.zero_points[index[1]]) as f32 * axis.scales[index[1]]
    });
    let params = axis.params(random, data);
    let operands = (Operand::in_order(&x), Operand::in_order(&y));
    Case::new::<DequantizeAxis>(params, vec![operands.0], operands.1)
}
