//! The last step of every quantised operator, as ONNX's QuantizeLinear has it.

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
