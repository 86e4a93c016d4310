//! One axis of ONNX `Resize`, from tables.

use niwaki::ops::{ResampleF32, ResampleF32Params};

use crate::support::{Case, Data, Nd, Operand, Random};

pub fn float(random: &mut Random, data: &mut Data) -> Case {
    let [outer, in_len, inner] = [
        random.between(1, 4),
        random.between(1, 12),
        random.pick(&[1, 2, 5, 16]),
    ];
    let (out_len, taps) = (random.between(1, 12), random.between(1, 6));
    let mut float = random.floats();
    let x = Nd::from_fn(&[outer, in_len, inner], |_| float());
    let weights = Nd::from_fn(&[out_len, taps], |_| float());
    let outside = float();
    let mut indices = Nd::from_fn(&[out_len, taps], |_| random.below(in_len) as u32);
    for first in indices.values.iter_mut().step_by(taps) {
        if random.one_in(5) {
            *first = in_len as u32;
        }
    }
    let y = Nd::from_fn(&[outer, out_len, inner], |place| {
        let [o, j, i] = *place else { panic!() };
        if indices.at(&[j, 0]) == in_len as u32 {
            return outside;
        }
        let mut sum = 0.0;
        for t in 0..taps {
            let from = indices.at(&[j, t]) as usize;
            let product = weights.at(&[j, t]) * x.at(&[o, from, i]);
            sum += product;
        }
        sum
    });
    let params = ResampleF32Params {
        outer: outer as u32,
        in_len: in_len as u32,
        out_len: out_len as u32,
        inner: inner as u32,
        taps: taps as u32,
        outside,
        indices: data.put(random, &indices.values),
        weights: data.put(random, &weights.values),
    };
    Case::new::<ResampleF32>(params, vec![Operand::in_order(&x)], Operand::in_order(&y))
}
