//! The last step of every quantised operator, as ONNX's QuantizeLinear has it; weights in the order
//! of FORMAT.md's wide and sparse weights.

use niwaki::artifact::Blob;

use crate::support::{Data, Random};

/// The quantisation of an int8 output and its fused activation.
#[derive(Clone, Copy, Debug)]
pub struct Quantized {
    pub zero_point: i32,
    pub low: i32,
    pub high: i32,
}

impl Quantized {
    pub fn draw(random: &mut crate::support::Random) -> Self {
        let zero_point = random.zero_point();
        let (low, high) = random.int8_clamp(zero_point);
        Self {
            zero_point,
            low,
            high,
        }
    }

    /// `clamp(round(v) + zero_point)`, ties to even. What is not a number becomes the lower bound,
    /// which ONNX leaves open and `NUMERICS.md` does not.
    pub fn quantize(&self, v: f32) -> i8 {
        if v.is_nan() {
            return self.low as i8;
        }
        let shifted = f64::from(v.round_ties_even()) + f64::from(self.zero_point);
        shifted.clamp(f64::from(self.low), f64::from(self.high)) as i8
    }

    /// The rescale of an exact sum. A sum beyond 32 bits wraps, on every machine.
    pub fn rescale(&self, sum: i64, multiplier: f32) -> i8 {
        let sum = sum as i32 as f32;
        let product = sum * multiplier;
        self.quantize(product)
    }
}

/// DequantizeLinear.
pub fn dequantize(q: i8, zero_point: i32, scale: f32) -> f32 {
    let difference = i32::from(q) - zero_point;
    difference as f32 * scale
}

/// ONNX's Clip, which lets NaN through.
pub fn clip(v: f32, (low, high): (f32, f32)) -> f32 {
    if v < low {
        return low;
    }
    if v > high {
        return high;
    }
    v
}

/// Puts rows of weights, `[groups][channels][len]`, into the data section as `FORMAT.md` has them in
/// a `blob wide`. In the parameters it is a blob of int8 all the same.
pub fn wide(
    random: &mut Random,
    data: &mut Data,
    weights: &[i8],
    [channels, len]: [usize; 2],
) -> Blob<i8> {
    let (pairs, steps) = (channels.div_ceil(2), len.div_ceil(4));
    let groups = weights.len() / (channels * len);
    let mut halves = vec![0i16; groups * pairs * steps * 8];
    for (at, &weight) in weights.iter().enumerate() {
        let (group, channel, k) = (at / (channels * len), at / len % channels, at % len);
        let step = (group * pairs + channel / 2) * steps + k / 4;
        let within = [0, 2, 1, 3][k % 4];
        halves[step * 8 + channel % 2 * 4 + within] = weight.into();
    }
    let words = halves.as_chunks::<2>().0.iter();
    let words: Vec<u32> = words.map(|pair| bytemuck::cast(*pair)).collect();
    Blob::at(data.put(random, &words).offset)
}

/// Rows of weights, `[channels][len]`, as `FORMAT.md` has sparse weights.
pub fn sparse(weights: &[i8], [channels, len]: [usize; 2]) -> Vec<u16> {
    let mut halves = Vec::new();
    for first in (0..channels).step_by(16) {
        for start in (0..len).step_by(64) {
            for channel in first..(first + 16).min(channels) {
                let row = &weights[channel * len..(channel + 1) * len];
                let mut map = 0;
                let mut blocks = Vec::new();
                for at in (start..len.min(start + 64)).step_by(4) {
                    let weight = |k: usize| row.get(at + k).copied().unwrap_or(0);
                    let block = [0, 1, 2, 3].map(weight);
                    if block != [0; 4] {
                        map |= 0x8000 >> ((at - start) / 4);
                        let [a, b, c, d] = block.map(|w| w as u8);
                        blocks.extend([u16::from_le_bytes([a, b]), u16::from_le_bytes([c, d])]);
                    }
                }
                halves.push(map);
                halves.extend(blocks);
            }
        }
    }
    halves
}
