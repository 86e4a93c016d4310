//! ONNX `Conv`, of any number of groups; depthwise when each channel is a group.

use niwaki::ops::{
    ConvF32, ConvF32Params, ConvI8, ConvI8Params, ConvI8Wide, DepthwiseConvF32, DepthwiseConvI8,
    DepthwiseF32Params, DepthwiseI8Params,
};

use super::geometry::{Axis, Geometry};
use super::oracle::{Quantized, clip, wide};
use crate::support::{Case, Data, Nd, Operand, Random};

/// The attributes that decide the shapes.
#[derive(Clone, Copy, Debug)]
struct Conv {
    geometry: Geometry,
    groups: usize,
    /// Input channels of one group.
    group_in: usize,
    /// Output channels of one group.
    group_out: usize,
}

impl Conv {
    fn draw(random: &mut Random) -> Self {
        let geometry = Geometry::draw(random);
        let (groups, group_in, group_out) = match random.below(3) {
            0 => (
                random.between(2, 5),
                random.between(1, 6),
                random.between(1, 6),
            ),
            1 => (1, random.between(1, 40), random.between(1, 8)),
            _ => (1, random.between(1, 8), random.between(1, 40)),
        };
        Self {
            geometry,
            groups,
            group_in,
            group_out,
        }
    }

    fn draw_depthwise(random: &mut Random) -> Self {
        Self {
            geometry: Geometry::draw(random),
            groups: random.between(1, 40),
            group_in: 1,
            group_out: 1,
        }
    }

    fn in_channels(&self) -> usize {
        self.groups * self.group_in
    }

    fn out_channels(&self) -> usize {
        self.groups * self.group_out
    }

    /// ONNX's weights: output channel, input channel of the group, kernel row, kernel column.
    fn filter(&self) -> [usize; 4] {
        let [height, width] = self.geometry.axes;
        [
            self.out_channels(),
            self.group_in,
            height.kernel,
            width.kernel,
        ]
    }

    fn filter_len(&self) -> usize {
        self.filter()[1..].iter().product()
    }
}

/// Everything that an int8 convolution is given.
struct ConvI8Case {
    conv: Conv,
    x: Nd<i8>,
    w: Nd<i8>,
    bias: Vec<i32>,
    multipliers: Vec<f32>,
    input_zero_point: i32,
    output: Quantized,
}

impl ConvI8Case {
    fn draw(random: &mut Random, conv: Conv) -> Self {
        let mut int8 = random.int8s();
        let x = Nd::from_fn(&conv.geometry.input(conv.in_channels()), |_| int8());
        let mut int8 = random.int8s();
        let w = Nd::from_fn(&conv.filter(), |_| int8());
        let typical = (conv.filter_len() as f64).sqrt() * 5000.0;
        let multipliers = random.multipliers(typical);
        Self {
            bias: (0..conv.out_channels()).map(|_| bias(random)).collect(),
            multipliers: multipliers.take(conv.out_channels()).collect(),
            input_zero_point: random.zero_point(),
            output: Quantized::draw(random),
            conv,
            x,
            w,
        }
    }

    /// ONNX's ConvInteger with a bias, then the rescale.
    fn expected(&self) -> Nd<i8> {
        let Conv {
            geometry,
            group_in,
            group_out,
            ..
        } = self.conv;
        Nd::from_fn(&geometry.output(self.conv.out_channels()), |index| {
            let [n, m, oy, ox] = *index else { panic!() };
            let mut sum = i64::from(self.bias[m]);
            for [ky, kx, y, x] in geometry.taps(oy, ox) {
                for c in 0..group_in {
                    let channel = m / group_out * group_in + c;
                    let x = i64::from(self.x.at(&[n, channel, y, x]));
                    let w = i64::from(self.w.at(&[m, c, ky, kx]));
                    sum += (x - i64::from(self.input_zero_point)) * w;
                }
            }
            self.output.rescale(sum, self.multipliers[m])
        })
    }

    /// The bias as it is stored: with the zero point's share of every weight in it.
    fn stored_bias(&self) -> Vec<i32> {
        let filters = self.w.values.chunks(self.conv.filter_len());
        let weights = filters.map(|filter| filter.iter().map(|&w| i64::from(w)).sum::<i64>());
        let zero_point = i64::from(self.input_zero_point);
        let bias = self.bias.iter().map(|&bias| i64::from(bias));
        bias.zip(weights)
            .map(|(bias, weights)| (bias - zero_point * weights) as i32)
            .collect()
    }

    fn general(&self, random: &mut Random, data: &mut Data) -> Case {
        self.case::<ConvI8>(self.params(random, data))
    }

    fn params(&self, random: &mut Random, data: &mut Data) -> ConvI8Params {
        let weights = self.w.permuted(&[0, 2, 3, 1]);
        ConvI8Params {
            window: self.conv.geometry.window(),
            groups: self.conv.groups as u32,
            group_in: self.conv.group_in as u32,
            group_out: self.conv.group_out as u32,
            input_zero_point: self.input_zero_point,
            output_zero_point: self.output.zero_point,
            low: self.output.low,
            high: self.output.high,
            weights: data.put(random, &weights.values),
            bias: data.put(random, &self.stored_bias()),
            multipliers: data.put(random, &self.multipliers),
        }
    }

    /// The same with its weights widened.
    fn wide(&self, random: &mut Random, data: &mut Data) -> Case {
        let weights = self.w.permuted(&[0, 2, 3, 1]);
        let shape = [self.conv.group_out, self.conv.filter_len()];
        let params = ConvI8Params {
            weights: wide(random, data, &weights.values, shape),
            ..self.params(random, data)
        };
        self.case::<ConvI8Wide>(params)
    }

    fn depthwise(&self, random: &mut Random, data: &mut Data) -> Case {
        let weights = self.w.permuted(&[2, 3, 0, 1]);
        let params = DepthwiseI8Params {
            window: self.conv.geometry.window(),
            channels: self.conv.groups as u32,
            input_zero_point: self.input_zero_point,
            output_zero_point: self.output.zero_point,
            low: self.output.low,
            high: self.output.high,
            weights: data.put(random, &weights.values),
            bias: data.put(random, &self.stored_bias()),
            multipliers: data.put(random, &self.multipliers),
        };
        self.case::<DepthwiseConvI8>(params)
    }

    fn case<O: niwaki::Operator<Params: core::fmt::Debug + 'static>>(
        &self,
        params: O::Params,
    ) -> Case {
        let x = Operand::channels_last(&self.x);
        Case::new::<O>(params, vec![x], Operand::channels_last(&self.expected()))
    }
}

/// A bias of any size: most leave the sum to the products, some wrap it.
fn bias(random: &mut Random) -> i32 {
    let bits = random.bits() as i32;
    bits >> random.pick(&[0, 12, 16, 20, 31])
}

/// Everything that a float convolution is given.
struct ConvF32Case {
    conv: Conv,
    x: Nd<f32>,
    w: Nd<f32>,
    bias: Vec<f32>,
    clip: (f32, f32),
}

impl ConvF32Case {
    fn draw(random: &mut Random, conv: Conv) -> Self {
        let mut float = random.floats();
        let x = Nd::from_fn(&conv.geometry.input(conv.in_channels()), |_| float());
        let mut float = random.floats();
        let w = Nd::from_fn(&conv.filter(), |_| float());
        let mut float = random.floats();
        Self {
            conv,
            x,
            w,
            bias: (0..conv.out_channels()).map(|_| float()).collect(),
            clip: random.float_clamp(),
        }
    }

    /// The bias, then the products by kernel row, kernel column and input channel, one by one.
    fn expected(&self) -> Nd<f32> {
        let Conv {
            geometry,
            group_in,
            group_out,
            ..
        } = self.conv;
        Nd::from_fn(&geometry.output(self.conv.out_channels()), |index| {
            let [n, m, oy, ox] = *index else { panic!() };
            let mut sum = self.bias[m];
            for [ky, kx, y, x] in geometry.taps(oy, ox) {
                for c in 0..group_in {
                    let channel = m / group_out * group_in + c;
                    let product = self.x.at(&[n, channel, y, x]) * self.w.at(&[m, c, ky, kx]);
                    sum += product;
                }
            }
            clip(sum, self.clip)
        })
    }

    fn general(&self, random: &mut Random, data: &mut Data) -> Case {
        // By group first: a group's output channels vary fastest in its own block.
        let [_, group_in, kernel_h, kernel_w] = self.conv.filter();
        let grouped = Nd {
            dims: vec![
                self.conv.groups,
                self.conv.group_out,
                group_in,
                kernel_h,
                kernel_w,
            ],
            values: self.w.values.clone(),
        };
        let params = ConvF32Params {
            window: self.conv.geometry.window(),
            groups: self.conv.groups as u32,
            group_in: self.conv.group_in as u32,
            group_out: self.conv.group_out as u32,
            low: self.clip.0,
            high: self.clip.1,
            weights: data.put(random, &grouped.permuted(&[0, 3, 4, 2, 1]).values),
            bias: data.put(random, &self.bias),
        };
        self.case::<ConvF32>(params)
    }

    fn depthwise(&self, random: &mut Random, data: &mut Data) -> Case {
        let weights = self.w.permuted(&[2, 3, 0, 1]);
        let params = DepthwiseF32Params {
            window: self.conv.geometry.window(),
            channels: self.conv.groups as u32,
            low: self.clip.0,
            high: self.clip.1,
            weights: data.put(random, &weights.values),
            bias: data.put(random, &self.bias),
        };
        self.case::<DepthwiseConvF32>(params)
    }

    fn case<O: niwaki::Operator<Params: core::fmt::Debug + 'static>>(
        &self,
        params: O::Params,
    ) -> Case {
        let x = Operand::channels_last(&self.x);
        Case::new::<O>(params, vec![x], Operand::channels_last(&self.expected()))
    }
}

pub fn int8(random: &mut Random, data: &mut Data) -> Case {
    let conv = Conv::draw(random);
    ConvI8Case::draw(random, conv).general(random, data)
}

pub fn int8_wide(random: &mut Random, data: &mut Data) -> Case {
    let conv = Conv::draw(random);
    ConvI8Case::draw(random, conv).wide(random, data)
}

pub fn float(random: &mut Random, data: &mut Data) -> Case {
    let conv = Conv::draw(random);
    ConvF32Case::draw(random, conv).general(random, data)
}

pub fn depthwise_int8(random: &mut Random, data: &mut Data) -> Case {
    let conv = Conv::draw_depthwise(random);
    ConvI8Case::draw(random, conv).depthwise(random, data)
}

pub fn depthwise_float(random: &mut Random, data: &mut Data) -> Case {
    let conv = Conv::draw_depthwise(random);
    ConvF32Case::draw(random, conv).depthwise(random, data)
}

/// -128 times -128 throughout, against a zero point of 127: the largest products that there are,
/// which a kernel that adds two of them in 16 bits, or saturates, gets wrong.
#[test]
fn largest_products() {
    let mut random = Random::new(2);
    for (x, w, zero_point) in [(-128, -128, 127), (-128, 127, 127), (127, -128, -128)] {
        for channels in 1..=40 {
            let axis = Axis {
                input: 3,
                kernel: 3,
                pad_begin: 1,
                pad_end: 1,
                ..Axis::UNIT
            };
            let geometry = Geometry {
                batch: 1,
                axes: [axis; 2],
            };
            let depthwise = Conv {
                geometry,
                groups: channels,
                group_in: 1,
                group_out: 1,
            };
            let dense = Conv {
                groups: 1,
                group_in: channels,
                ..depthwise
            };
            let mut case = |conv: Conv| {
                let mut case = ConvI8Case::draw(&mut random, conv);
                case.x.values.fill(x);
                case.w.values.fill(w);
                case.input_zero_point = zero_point;
                case
            };
            let (dense, depthwise) = (case(dense), case(depthwise));
            let mut data = Data::default();
            let wide = dense.wide(&mut random, &mut data);
            let dense = dense.general(&mut random, &mut data);
            let depthwise = depthwise.depthwise(&mut random, &mut data);
            dense.check(data.clone(), &mut random);
            wide.check(data.clone(), &mut random);
            depthwise.check(data, &mut random);
        }
    }
}

/// A depthwise convolution is a grouped one, so both operators have to agree on it.
#[test]
fn depthwise_is_a_grouped_convolution() {
    let mut random = Random::new(3);
    for _ in 0..50 {
        let conv = Conv::draw_depthwise(&mut random);
        let mut data = Data::default();
        let int8 = ConvI8Case::draw(&mut random, conv).general(&mut random, &mut data);
        let float = ConvF32Case::draw(&mut random, conv).general(&mut random, &mut data);
        int8.check(data.clone(), &mut random);
        float.check(data, &mut random);
    }
}
