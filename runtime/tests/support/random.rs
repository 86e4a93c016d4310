//! Test data from a seed: the same on every machine and in every run.

/// SplitMix64 (<https://doi.org/10.1145/2714064.2660195>), with draws named after what they mean.
pub struct Random(u64);

impl Random {
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub fn bits(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number below `end`.
    pub fn below(&mut self, end: usize) -> usize {
        ((u128::from(self.bits()) * end as u128) >> 64) as usize
    }

    /// A number from `low` to `high`, both included.
    pub fn between(&mut self, low: usize, high: usize) -> usize {
        low + self.below(high - low + 1)
    }

    /// True once in `n` draws.
    pub fn one_in(&mut self, n: usize) -> bool {
        self.below(n) == 0
    }

    /// One of `choices`.
    pub fn pick<T: Copy>(&mut self, choices: &[T]) -> T {
        choices[self.below(choices.len())]
    }

    /// The numbers below `n` in any order.
    pub fn permutation(&mut self, n: usize) -> Vec<usize> {
        let mut order: Vec<usize> = (0..n).collect();
        for i in (1..n).rev() {
            order.swap(i, self.below(i + 1));
        }
        order
    }

    /// From 0 to 1.
    fn unit(&mut self) -> f64 {
        (self.bits() >> 11) as f64 / (1u64 << 53) as f64
    }

    /// Positive, with a logarithm that is spread evenly over that range.
    pub fn log_uniform(&mut self, low: f64, high: f64) -> f32 {
        (low.ln() + (high.ln() - low.ln()) * self.unit()).exp() as f32
    }

    /// Draws int8 in one style for a whole tensor: any value, the two ends, one value throughout,
    /// or small ones.
    pub fn int8s(&mut self) -> impl FnMut() -> i8 + use<> {
        let mut random = Self::new(self.bits());
        let style = random.below(6);
        let constant = random.pick(&[-128, 127, 0, -1]);
        move || match style {
            0 => random.pick(&[-128, 127]),
            1 => constant,
            2 => random.between(0, 6) as i8 - 3,
            _ => random.bits() as i8,
        }
    }

    /// Draws floats in one style for a whole tensor: tame, of any magnitude, few distinct ones, or
    /// with the values among them that arithmetic treats in a special way.
    pub fn floats(&mut self) -> impl FnMut() -> f32 + use<> {
        let mut random = Self::new(self.bits());
        let style = random.below(5);
        move || match style {
            0 => f32::from_bits(random.bits() as u32),
            1 => random.below(5) as f32 - 2.0,
            2 if random.one_in(12) => random.special_float(),
            _ => (random.unit() * 8.0 - 4.0) as f32,
        }
    }

    fn special_float(&mut self) -> f32 {
        self.pick(&[
            f32::NAN,
            f32::INFINITY,
            f32::NEG_INFINITY,
            f32::MAX,
            f32::MIN,
            f32::MIN_POSITIVE,
            f32::from_bits(1),
            0.0,
            -0.0,
        ])
    }

    /// A scale: any, or a power of two, which makes exact ties common.
    pub fn scale(&mut self) -> f32 {
        match self.below(8) {
            0..3 => self.pick(&[0.25, 0.5, 1.0, 2.0]),
            3 => self.log_uniform(1e-38, 1e38),
            _ => self.log_uniform(1e-3, 10.0),
        }
    }

    /// A zero point; each end of int8 in one of four draws.
    pub fn zero_point(&mut self) -> i32 {
        match self.below(4) {
            0 => -128,
            1 => 127,
            _ => i32::from(self.bits() as i8),
        }
    }

    /// The inclusive range of a fused activation: none, ReLU, any, or a single value.
    pub fn int8_clamp(&mut self, zero_point: i32) -> (i32, i32) {
        let [a, b] = [self.bits() as i8, self.bits() as i8].map(i32::from);
        match self.below(5) {
            0 => (zero_point, 127),
            1 => (a.min(b), a.max(b)),
            2 => (a, a),
            _ => (-128, 127),
        }
    }

    /// The range of a float's fused activation.
    pub fn float_clamp(&mut self) -> (f32, f32) {
        self.pick(&[
            (f32::NEG_INFINITY, f32::INFINITY),
            (f32::NEG_INFINITY, f32::INFINITY),
            (0.0, f32::INFINITY),
            (0.0, 6.0),
            (-1.0, 1.0),
        ])
    }

    /// Rescale multipliers for sums that are mostly about as large as `typical`.
    pub fn multipliers(&mut self, typical: f64) -> Multipliers {
        Multipliers {
            random: Self::new(self.bits()),
            typical: typical.max(1.0),
        }
    }
}

/// See [`Random::multipliers`].
pub struct Multipliers {
    random: Random,
    typical: f64,
}

impl Iterator for Multipliers {
    type Item = f32;

    /// Mostly one that spreads typical sums over int8; else a power of two, whose products tie
    /// exactly, one that puts some sum right next to a tie, or one from the ends of the range.
    fn next(&mut self) -> Option<f32> {
        let spreading = 64.0 / self.typical;
        let random = &mut self.random;
        Some(match random.below(10) {
            0 | 1 => spreading.log2().round().exp2() as f32,
            2 | 3 => {
                let tie = random.between(0, 127) as f64 + 0.5;
                let sum = random.between(1, self.typical as usize);
                (tie / sum as f64) as f32
            }
            4 => random.pick(&[0.0, f32::from_bits(1), f32::MIN_POSITIVE, 1e30, f32::MAX]),
            _ => random.log_uniform(spreading / 8.0, spreading * 4.0),
        })
    }
}
