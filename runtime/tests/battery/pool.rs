//! ONNX `MaxPool` and `AveragePool`.

use niwaki::ops::{
    AveragePoolF32, AveragePoolF32Params, AveragePoolI8, AveragePoolI8Params, IndexSteps,
    LpPoolF32, LpPoolF32Params, MaxPoolF32, MaxPoolI8, MaxPoolIndices, MaxPoolIndicesParams,
    MaxPoolParams,
};

use super::geometry::{Axis, Geometry};
use super::oracle::Quantized;
use crate::support::{Case, Data, Nd, Operand, Random};

fn draw(random: &mut Random) -> (Geometry, usize) {
    let geometry = if random.one_in(6) {
        global(random)
    } else {
        Geometry::draw(random)
    };
    (geometry, random.between(1, 40))
}

/// A window that is the whole image.
fn global(random: &mut Random) -> Geometry {
    let mut axis = || {
        let input = random.between(1, 9);
        Axis {
            input,
            kernel: input,
            ..Axis::UNIT
        }
    };
    Geometry {
        batch: 1,
        axes: [axis(), axis()],
    }
}

pub fn max_int8(random: &mut Random, _: &mut Data) -> Case {
    let (geometry, channels) = draw(random);
    let mut int8 = random.int8s();
    let x = Nd::from_fn(&geometry.input(channels), |_| int8());
    let y = largest(&geometry, &x, i8::MIN);
    Case::new::<MaxPoolI8>(params(&geometry, channels), vec![operand(&x)], operand(&y))
}

pub fn max_float(random: &mut Random, _: &mut Data) -> Case {
    let (geometry, channels) = draw(random);
    let mut float = random.floats();
    let x = Nd::from_fn(&geometry.input(channels), |_| float());
    let y = largest(&geometry, &x, f32::NEG_INFINITY);
    Case::new::<MaxPoolF32>(params(&geometry, channels), vec![operand(&x)], operand(&y))
}

fn params(geometry: &Geometry, channels: usize) -> MaxPoolParams {
    MaxPoolParams {
        window: geometry.window(),
        channels: channels as u32,
    }
}

fn operand<T: niwaki::Element>(tensor: &Nd<T>) -> Operand {
    Operand::channels_last(tensor)
}

/// Padding counts as `lowest`; of equal values, such as the two zeros, the first one stays.
fn largest<T: Copy + PartialOrd>(geometry: &Geometry, x: &Nd<T>, lowest: T) -> Nd<T> {
    Nd::from_fn(&geometry.output(x.dims[1]), |index| {
        let [n, c, oy, ox] = *index else { panic!() };
        let mut largest = lowest;
        for [_, _, y, x_] in geometry.taps(oy, ox) {
            let value = x.at(&[n, c, y, x_]);
            if value > largest {
                largest = value;
            }
        }
        largest
    })
}

/// How many elements ONNX divides by. A window without any averages nothing, and gives 0.
fn count(geometry: &Geometry, count_include_pad: bool, oy: usize, ox: usize) -> f32 {
    let [height, width] = geometry.axes;
    let mut count = 0;
    for ky in 0..height.kernel {
        for kx in 0..width.kernel {
            let counts = if count_include_pad {
                height.is_padded_input(oy, ky) && width.is_padded_input(ox, kx)
            } else {
                height.position(oy, ky).is_some() && width.position(ox, kx).is_some()
            };
            count += usize::from(counts);
        }
    }
    count.max(1) as f32
}

pub fn average_int8(random: &mut Random, _: &mut Data) -> Case {
    let (geometry, channels) = draw(random);
    let mut int8 = random.int8s();
    let x = Nd::from_fn(&geometry.input(channels), |_| int8());
    let count_include_pad = random.one_in(2);
    let output = Quantized::draw(random);
    let (input_scale, output_scale) = (random.scale(), random.scale());
    let input_zero_point = random.zero_point();

    let y = Nd::from_fn(&geometry.output(channels), |index| {
        let [n, c, oy, ox] = *index else { panic!() };
        let mut sum = 0i64;
        for [_, _, y, x_] in geometry.taps(oy, ox) {
            sum += i64::from(x.at(&[n, c, y, x_])) - i64::from(input_zero_point);
        }
        let multiplier = input_scale / count(&geometry, count_include_pad, oy, ox) / output_scale;
        output.rescale(sum, multiplier)
    });

    let params = AveragePoolI8Params {
        window: geometry.window(),
        channels: channels as u32,
        count_include_pad: u32::from(count_include_pad),
        input_scale,
        input_zero_point,
        output_scale,
        output_zero_point: output.zero_point,
        low: output.low,
        high: output.high,
    };
    Case::new::<AveragePoolI8>(params, vec![operand(&x)], operand(&y))
}

pub fn average_float(random: &mut Random, _: &mut Data) -> Case {
    let (geometry, channels) = draw(random);
    let mut float = random.floats();
    let x = Nd::from_fn(&geometry.input(channels), |_| float());
    let count_include_pad = random.one_in(2);

    let y = Nd::from_fn(&geometry.output(channels), |index| {
        let [n, c, oy, ox] = *index else { panic!() };
        let mut sum = 0.0;
        for [_, _, y, x_] in geometry.taps(oy, ox) {
            sum += x.at(&[n, c, y, x_]);
        }
        sum / count(&geometry, count_include_pad, oy, ox)
    });

    let params = AveragePoolF32Params {
        window: geometry.window(),
        channels: channels as u32,
        count_include_pad: u32::from(count_include_pad),
    };
    Case::new::<AveragePoolF32>(params, vec![operand(&x)], operand(&y))
}

pub fn max_indices(random: &mut Random, _: &mut Data) -> Case {
    let (geometry, channels) = draw(random);
    let dims = geometry.input(channels);
    // In ONNX's order of the axes; columns count before rows when storage_order is 1.
    let column_major = random.one_in(2);
    let [_, _, height, width] = dims;
    let place = move |[n, c, y, x]: [usize; 4]| {
        let pixel = if column_major {
            x * height + y
        } else {
            y * width + x
        };
        (n * channels + c) * height * width + pixel
    };
    let step = |unit: [usize; 4]| place(unit) as u32;
    let params = MaxPoolIndicesParams {
        window: geometry.window(),
        channels: channels as u32,
        steps: IndexSteps {
            batch: step([1, 0, 0, 0]),
            channel: step([0, 1, 0, 0]),
            row: step([0, 0, 1, 0]),
            column: step([0, 0, 0, 1]),
        },
    };
    if random.one_in(2) {
        let mut float = random.floats();
        let x = Nd::from_fn(&dims, |_| float());
        let y = first_largest(&geometry, &x, f32::NEG_INFINITY, place);
        Case::new::<MaxPoolIndices>(params, vec![operand(&x)], operand(&y))
    } else {
        let mut int8 = random.int8s();
        let x = Nd::from_fn(&dims, |_| int8());
        let y = first_largest(&geometry, &x, i8::MIN, place);
        Case::new::<MaxPoolIndices>(params, vec![operand(&x)], operand(&y))
    }
}

/// The place of the first of the largest; of the first element, when none is above `lowest`; 0
/// when there is no element.
fn first_largest<T: Copy + PartialOrd>(
    geometry: &Geometry,
    x: &Nd<T>,
    lowest: T,
    place: impl Fn([usize; 4]) -> usize,
) -> Nd<i32> {
    Nd::from_fn(&geometry.output(x.dims[1]), |index| {
        let [n, c, oy, ox] = *index else { panic!() };
        let taps = geometry.taps(oy, ox);
        let places = taps.iter().map(|&[_, _, y, x]| [n, c, y, x]);
        let places: Vec<[usize; 4]> = places.collect();
        let mut largest = lowest;
        let mut winner = places.first().copied();
        for &at in &places {
            if x.at(&at) > largest {
                largest = x.at(&at);
                winner = Some(at);
            }
        }
        winner.map_or(0, |at| place(at) as i32)
    })
}

pub fn norm(random: &mut Random, _: &mut Data) -> Case {
    let (geometry, channels) = draw(random);
    let mut float = random.floats();
    let x = Nd::from_fn(&geometry.input(channels), |_| float());
    let p = random.between(1, 4);
    let y = Nd::from_fn(&geometry.output(channels), |index| {
        let [n, c, oy, ox] = *index else { panic!() };
        let mut sum = 0.0;
        for [_, _, y, x_] in geometry.taps(oy, ox) {
            let value = x.at(&[n, c, y, x_]);
            sum += match p {
                1 => value.abs(),
                2 => value * value,
                _ => libm::powf(value.abs(), p as f32),
            };
        }
        match p {
            1 => sum,
            2 => sum.sqrt(),
            _ => libm::powf(sum, 1.0 / p as f32),
        }
    });
    let params = LpPoolF32Params {
        window: geometry.window(),
        channels: channels as u32,
        p: p as u32,
    };
    Case::new::<LpPoolF32>(params, vec![operand(&x)], operand(&y))
}
