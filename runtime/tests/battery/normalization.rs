//! ONNX `LayerNormalization`, `RMSNormalization` and `LRN`.

use niwaki::ops::{LayerNormF32, LayerNormF32Params, LocalResponseF32, LocalResponseF32Params};

use crate::support::{Case, Data, Nd, Operand, Random};

pub fn layer(random: &mut Random, _: &mut Data) -> Case {
    let (rows, len) = (random.between(1, 5), random.pick(&[1, 2, 3, 16, 65]));
    let mut float = random.floats();
    let x = Nd::from_fn(&[rows, len], |_| float());
    let mut float = random.floats();
    let [scale, bias] = [(); 2].map(|()| Nd::from_fn(&[len], |_| float()));
    let epsilon = random.pick(&[1e-5, 0.0, 0.1]);
    let centred = random.one_in(2);
    let result = random.pick(&[0, 0, 0, 1, 2]);
    let operands = if result == 0 { random.below(3) } else { 0 };

    let moments = |row: usize| {
        let mut mean = 0.0;
        if centred {
            for i in 0..len {
                mean += x.at(&[row, i]);
            }
            mean /= len as f32;
        }
        let mut variance = 0.0;
        for i in 0..len {
            let difference = x.at(&[row, i]) - mean;
            let square = difference * difference;
            variance += square;
        }
        variance /= len as f32;
        (mean, 1.0 / (variance + epsilon).sqrt())
    };
    let y = match result {
        0 => Nd::from_fn(&[rows, len], |place| {
            let [row, i] = *place else { panic!() };
            let (mean, inverse) = moments(row);
            let mut y = (x.at(place) - mean) * inverse;
            if operands > 0 {
                y *= scale.at(&[i]);
            }
            if operands > 1 {
                y += bias.at(&[i]);
            }
            y
        }),
        1 => Nd::from_fn(&[rows], |place| moments(place[0]).0),
        _ => Nd::from_fn(&[rows], |place| moments(place[0]).1),
    };
    let params = LayerNormF32Params {
        rows: rows as u32,
        len: len as u32,
        epsilon,
        centred: u32::from(centred),
        result,
    };
    let inputs = [&x, &scale, &bias].map(Operand::in_order);
    let inputs = inputs[..=operands].to_vec();
    Case::new::<LayerNormF32>(params, inputs, Operand::in_order(&y))
}

pub fn local_response(random: &mut Random, _: &mut Data) -> Case {
    let (pixels, channels) = (random.between(1, 5), random.between(1, 9));
    let mut float = random.floats();
    let x = Nd::from_fn(&[pixels, channels], |_| float());
    let size = random.between(1, 12);
    let (alpha, beta) = (random.pick(&[1e-4, 0.5]), random.pick(&[0.75, 0.5, 1.0]));
    let bias = random.pick(&[1.0, 2.0]);
    let y = Nd::from_fn(&x.dims, |place| {
        let [pixel, c] = *place else { panic!() };
        // ONNX: from floor((size - 1) / 2) channels before to ceil((size - 1) / 2) behind.
        let before = (size - 1) / 2;
        let behind = (size - 1).div_ceil(2);
        let mut squares = 0.0;
        for other in 0..channels {
            if other + before >= c && other <= c + behind {
                let square = x.at(&[pixel, other]) * x.at(&[pixel, other]);
                squares += square;
            }
        }
        let base: f32 = bias + alpha / size as f32 * squares;
        x.at(place) / libm::powf(base, beta)
    });
    let params = LocalResponseF32Params {
        pixels: pixels as u32,
        channels: channels as u32,
        size: size as u32,
        alpha,
        beta,
        bias,
    };
    Case::new::<LocalResponseF32>(params, vec![Operand::in_order(&x)], Operand::in_order(&y))
}
