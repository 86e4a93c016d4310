//! ONNX `QuantizeLinear` and `DequantizeLinear` of one scale.

use niwaki::ops::{AffineParams, DequantizeI8, QuantizeI8};

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
