//! Integers of every type, comparisons, choices, casts, and what moves or reduces elements.

use niwaki::Operator;
use niwaki::artifact::DataType;
use niwaki::ops::{
    self, ArgParams, CumSumParams, ReduceParams, StridedCopyParams, TakeParams, WalksParams,
    WhereParams,
};

use super::elementwise::Broadcast;
use crate::support::{Case, Data, Nd, Operand, Random};

const TYPES: [DataType; 7] = [
    DataType::I8,
    DataType::U8,
    DataType::I16,
    DataType::U16,
    DataType::I32,
    DataType::I64,
    DataType::Bool,
];

/// The value that a type keeps of an integer.
fn wrapped(dtype: DataType, v: i64) -> i64 {
    match dtype {
        DataType::I8 => (v as i8).into(),
        DataType::U8 => (v as u8).into(),
        DataType::I16 => (v as i16).into(),
        DataType::U16 => (v as u16).into(),
        DataType::I32 => (v as i32).into(),
        DataType::Bool => (v != 0).into(),
        _ => v,
    }
}

fn draw(random: &mut Random, dtype: DataType) -> i64 {
    let v = match random.below(4) {
        0 => random.bits() as i64,
        1 => random.pick(&[i64::MIN, i64::MAX, 0, -1, 127, -128, 32767, i32::MIN.into()]),
        _ => random.between(0, 20) as i64 - 8,
    };
    wrapped(dtype, v)
}

fn integers(random: &mut Random, dtype: DataType, dims: &[usize]) -> Nd<i64> {
    Nd::from_fn(dims, |_| draw(random, dtype))
}

fn operand(dtype: DataType, x: &Nd<i64>, order: &[usize]) -> Operand {
    let stored = x.permuted(order);
    let bytes = stored.values.iter();
    Operand {
        dtype,
        storage: niwaki::artifact::Storage::Arena,
        bytes: bytes
            .flat_map(|v| v.to_le_bytes()[..dtype.bytes()].to_vec())
            .collect(),
        dims: stored.dims,
    }
}

fn in_order(dtype: DataType, x: &Nd<i64>) -> Operand {
    let order: Vec<usize> = (0..x.dims.len()).collect();
    operand(dtype, x, &order)
}

fn binary<O>(random: &mut Random, compares: bool, f: fn(i64, i64) -> i64) -> Case
where
    O: Operator<Params = WalksParams>,
{
    let dtype = random.pick(&TYPES);
    let broadcast = Broadcast::draw(random);
    let [a, b] = [0, 1].map(|i| integers(random, dtype, &broadcast.shapes[i]));
    let to = if compares { DataType::Bool } else { dtype };
    let y = broadcast.apply([&a, &b], |a, b| wrapped(to, f(a, b)));
    let params = WalksParams {
        walks: [broadcast.walk(0), broadcast.walk(1)],
    };
    let inputs = [&a, &b].into_iter().zip(&broadcast.orders);
    let inputs = inputs.map(|(x, order)| operand(dtype, x, order)).collect();
    Case::new::<O>(params, inputs, operand(to, &y, &broadcast.output_order))
}

macro_rules! binaries {
    ($($name:ident: $op:ident, $compares:literal, $f:expr;)*) => {$(
        pub fn $name(random: &mut Random, _: &mut Data) -> Case {
            binary::<ops::$op>(random, $compares, $f)
        }
    )*};
}

fn low(v: i128) -> i64 {
    v as i64
}

binaries! {
    add: AddInt, false, |a, b| low(i128::from(a) + i128::from(b));
    sub: SubInt, false, |a, b| low(i128::from(a) - i128::from(b));
    mul: MulInt, false, |a, b| low(i128::from(a) * i128::from(b));
    div: DivInt, false, |a, b| if b == 0 { 0 } else { low(i128::from(a) / i128::from(b)) };
    modulo: ModInt, false, |a, b| if b == 0 { 0 } else {
        let (a, b) = (i128::from(a), i128::from(b));
        low(((a % b) + b) % b)
    };
    fmod: FmodInt, false, |a, b| if b == 0 { 0 } else { low(i128::from(a) % i128::from(b)) };
    pow: PowInt, false, |a, b| match (a, b) {
        (_, 0..) => {
            let mut result = 1i64;
            let mut square = a;
            for bit in 0..63 {
                if b >> bit & 1 == 1 {
                    result = result.wrapping_mul(square);
                }
                square = square.wrapping_mul(square);
            }
            result
        }
        (1, _) => 1,
        (-1, _) => if b % 2 == 0 { 1 } else { -1 },
        _ => 0,
    };
    min: MinInt, false, i64::min;
    max: MaxInt, false, i64::max;
    and: AndInt, false, |a, b| a & b;
    or: OrInt, false, |a, b| a | b;
    xor: XorInt, false, |a, b| a ^ b;
    shift_left: ShiftLeftInt, false, |a, b| u32::try_from(b)
        .ok()
        .and_then(|b| a.checked_shl(b))
        .unwrap_or(0);
    shift_right: ShiftRightInt, false, |a, b| u32::try_from(b)
        .ok()
        .and_then(|b| a.checked_shr(b))
        .unwrap_or(if a < 0 { -1 } else { 0 });
    equal: EqualInt, true, |a, b| i64::from(a == b);
    less: LessInt, true, |a, b| i64::from(a < b);
    less_or_equal: LessOrEqualInt, true, |a, b| i64::from(a <= b);
}

fn comparison<O>(random: &mut Random, f: fn(&f32, &f32) -> bool) -> Case
where
    O: Operator<Params = WalksParams>,
{
    let broadcast = Broadcast::draw(random);
    let [a, b] = [0, 1].map(|i| {
        let mut float = random.floats();
        Nd::from_fn(&broadcast.shapes[i], |_| float())
    });
    let y = broadcast.apply([&a, &b], |a, b| u8::from(f(&a, &b)));
    let params = WalksParams {
        walks: [broadcast.walk(0), broadcast.walk(1)],
    };
    let inputs = broadcast.operands(random, [&a, &b]);
    let output = Operand {
        dtype: DataType::Bool,
        ..Operand::new(&y, &broadcast.output_order)
    };
    Case::new::<O>(params, inputs, output)
}

pub fn equal_float(random: &mut Random, _: &mut Data) -> Case {
    comparison::<ops::EqualF32>(random, f32::eq)
}

pub fn less_float(random: &mut Random, _: &mut Data) -> Case {
    comparison::<ops::LessF32>(random, f32::lt)
}

pub fn less_or_equal_float(random: &mut Random, _: &mut Data) -> Case {
    comparison::<ops::LessOrEqualF32>(random, f32::le)
}

pub fn choose(random: &mut Random, _: &mut Data) -> Case {
    let dtype = random.pick(&TYPES);
    let broadcast = Broadcast::draw(random);
    let [a, b] = [0, 1].map(|i| integers(random, dtype, &broadcast.shapes[i]));
    // The condition has the first one's shape, and any byte but 0 is true.
    let condition = Nd::from_fn(&broadcast.shapes[0], |_| random.pick(&[0, 0, 1, 255]));
    let picked = Nd {
        dims: a.dims.clone(),
        values: condition
            .values
            .iter()
            .zip(&a.values)
            .map(|(&c, &a)| (c, a))
            .collect(),
    };
    let others = b.map(|b| (0, b));
    let y = broadcast.apply(
        [&picked, &others],
        |(c, a), (_, b)| if c != 0 { a } else { b },
    );
    let params = WhereParams {
        walks: [broadcast.walk(0), broadcast.walk(0), broadcast.walk(1)],
    };
    let [first, second] = &broadcast.orders;
    let inputs = vec![
        operand(DataType::Bool, &condition, first),
        operand(dtype, &a, first),
        operand(dtype, &b, second),
    ];
    Case::new::<ops::Where>(params, inputs, operand(dtype, &y, &broadcast.output_order))
}

pub fn cast(random: &mut Random, _: &mut Data) -> Case {
    let [from, to] = [random.pick(&TYPES), random.pick(&TYPES)];
    let x = integers(random, from, &[200]);
    let y = x.map(|v| wrapped(to, v));
    Case::new::<ops::CastInt>((), vec![in_order(from, &x)], in_order(to, &y))
}

pub fn cast_to_float(random: &mut Random, _: &mut Data) -> Case {
    let from = random.pick(&TYPES);
    let x = integers(random, from, &[200]);
    let y = x.map(|v| v as f32);
    Case::new::<ops::CastIntToF32>((), vec![in_order(from, &x)], Operand::in_order(&y))
}

pub fn cast_from_float(random: &mut Random, _: &mut Data) -> Case {
    let to = random.pick(&TYPES);
    let (least, most) = match to {
        DataType::I8 => (-128, 127),
        DataType::U8 => (0, 255),
        DataType::I16 => (-32768, 32767),
        DataType::U16 => (0, 65535),
        DataType::I32 => (i32::MIN.into(), i32::MAX.into()),
        _ => (i64::MIN, i64::MAX),
    };
    let mut float = random.floats();
    let x = Nd::from_fn(&[random.between(1, 200)], |_| float() * 50.0);
    let y = x.map(|x| match to {
        DataType::Bool => i64::from(x != 0.0),
        _ if x.is_nan() => 0,
        _ => (x.trunc() as i128).clamp(least.into(), most.into()) as i64,
    });
    Case::new::<ops::CastF32ToInt>((), vec![Operand::in_order(&x)], in_order(to, &y))
}

pub fn strided_copy(random: &mut Random, _: &mut Data) -> Case {
    let dtype = random.pick(&TYPES);
    let rank = random.below(niwaki::MAX_RANK + 1);
    let shape: Vec<usize> = (0..rank).map(|_| random.between(1, 5)).collect();
    let x = integers(random, dtype, &shape);
    let steps: Vec<i64> = (0..rank).map(|_| random.pick(&[1, 2, -1, -2, 0])).collect();
    let mut dims = Vec::new();
    let mut starts = Vec::new();
    for (&dim, &step) in shape.iter().zip(&steps) {
        let start = random.below(dim);
        let room = match step {
            0 => 4,
            1.. => (dim - 1 - start) / step as usize + 1,
            _ => start / step.unsigned_abs() as usize + 1,
        };
        dims.push(random.between(1, room));
        starts.push(start);
    }
    let y = Nd::from_fn(&dims, |index| {
        let at = index.iter().zip(&starts).zip(&steps);
        let at: Vec<usize> = at
            .map(|((&i, &start), &step)| (start as i64 + i as i64 * step) as usize)
            .collect();
        x.at(&at)
    });
    let memory = x.strides();
    let mut params = StridedCopyParams {
        dims: [1; niwaki::MAX_RANK],
        strides: [0; niwaki::MAX_RANK],
        start: starts
            .iter()
            .zip(&memory)
            .map(|(s, m)| s * m)
            .sum::<usize>() as u32,
    };
    let first = niwaki::MAX_RANK - rank;
    for i in 0..rank {
        params.dims[first + i] = dims[i] as u32;
        params.strides[first + i] = (steps[i] * memory[i] as i64) as i32;
    }
    Case::new::<ops::StridedCopy>(params, vec![in_order(dtype, &x)], in_order(dtype, &y))
}

/// `[outer][len][inner]`.
fn lanes(random: &mut Random) -> [usize; 3] {
    [
        random.between(1, 4),
        random.between(1, 9),
        random.between(1, 4),
    ]
}

pub fn take(random: &mut Random, data: &mut Data) -> Case {
    let dtype = random.pick(&TYPES);
    let [outer, len, inner] = lanes(random);
    let x = integers(random, dtype, &[outer, len, inner]);
    let indices: Vec<u32> = (0..random.between(1, 12))
        .map(|_| random.below(len) as u32)
        .collect();
    let y = Nd::from_fn(&[outer, indices.len(), inner], |at| {
        x.at(&[at[0], indices[at[1]] as usize, at[2]])
    });
    let params = TakeParams {
        outer: outer as u32,
        input_len: len as u32,
        output_len: indices.len() as u32,
        inner: inner as u32,
        indices: data.put(random, &indices),
    };
    Case::new::<ops::Take>(params, vec![in_order(dtype, &x)], in_order(dtype, &y))
}

fn fold<T: Copy>(x: &Nd<T>, start: T, f: fn(T, T) -> T) -> Nd<T> {
    Nd::from_fn(&[x.dims[0], x.dims[2]], |at| {
        (0..x.dims[1]).fold(start, |value, i| f(value, x.at(&[at[0], i, at[1]])))
    })
}

fn reduce_int<O>(random: &mut Random, start: i64, f: fn(i64, i64) -> i64) -> Case
where
    O: Operator<Params = ReduceParams>,
{
    let dtype = random.pick(&TYPES);
    let sizes = lanes(random);
    let x = integers(random, dtype, &sizes);
    let y = fold(&x, start, f).map(|v| wrapped(dtype, v));
    let [outer, len, inner] = sizes.map(|n| n as u32);
    let params = ReduceParams { outer, len, inner };
    Case::new::<O>(params, vec![in_order(dtype, &x)], in_order(dtype, &y))
}

fn reduce_float<O>(random: &mut Random, start: f32, f: fn(f32, f32) -> f32) -> Case
where
    O: Operator<Params = ReduceParams>,
{
    let sizes = lanes(random);
    let mut float = random.floats();
    let x = Nd::from_fn(&sizes, |_| float());
    let y = fold(&x, start, f);
    let [outer, len, inner] = sizes.map(|n| n as u32);
    let params = ReduceParams { outer, len, inner };
    Case::new::<O>(params, vec![Operand::in_order(&x)], Operand::in_order(&y))
}

macro_rules! reductions {
    ($($float:ident, $int:ident: $f32:ident, $i64:ident, $start:expr, $f:expr, $int_start:expr, $int_f:expr;)*) => {$(
        pub fn $float(random: &mut Random, _: &mut Data) -> Case {
            reduce_float::<ops::$f32>(random, $start, $f)
        }
        pub fn $int(random: &mut Random, _: &mut Data) -> Case {
            reduce_int::<ops::$i64>(random, $int_start, $int_f)
        }
    )*};
}

/// `f32::max` and `f32::min` drop a NaN, ONNX and NumPy keep it. Of equal ones, zeros of either
/// sign among them, the later one stays.
fn extreme(a: f32, b: f32, first: bool) -> f32 {
    if a.is_nan() || (!b.is_nan() && first) {
        a
    } else {
        b
    }
}

reductions! {
    sum, sum_int: ReduceSumF32, ReduceSumInt, 0.0, |a, b| a + b, 0, i64::wrapping_add;
    product, product_int: ReduceProdF32, ReduceProdInt, 1.0, |a, b| a * b, 1, i64::wrapping_mul;
    largest, largest_int: ReduceMaxF32, ReduceMaxInt,
        f32::NEG_INFINITY, |a, b| extreme(a, b, a > b), i64::MIN, i64::max;
    smallest, smallest_int: ReduceMinF32, ReduceMinInt,
        f32::INFINITY, |a, b| extreme(a, b, a < b), i64::MAX, i64::min;
}

/// The first or last index whose element no other one is better than.
fn places<T: Copy>(x: &Nd<T>, last: bool, better: fn(T, T) -> bool) -> Nd<i64> {
    Nd::from_fn(&[x.dims[0], x.dims[2]], |at| {
        let lane: Vec<T> = (0..x.dims[1]).map(|i| x.at(&[at[0], i, at[1]])).collect();
        let best = |i: &usize| lane.iter().all(|&other| !better(other, lane[*i]));
        let mut all = (0..lane.len()).filter(best);
        let place = if last { all.next_back() } else { all.next() };
        place.unwrap() as i64
    })
}

/// The case of places that are known.
fn place_case<O>(sizes: [usize; 3], last: bool, x: Operand, y: &Nd<i64>) -> Case
where
    O: Operator<Params = ArgParams>,
{
    let [outer, len, inner] = sizes.map(|n| n as u32);
    let params = ArgParams {
        outer,
        len,
        inner,
        last: last.into(),
    };
    Case::new::<O>(params, vec![x], in_order(DataType::I64, y))
}

fn place_float<O>(random: &mut Random, better: fn(f32, f32) -> bool) -> Case
where
    O: Operator<Params = ArgParams>,
{
    let sizes = lanes(random);
    let mut float = random.floats();
    let x = Nd::from_fn(&sizes, |_| float());
    let last = random.one_in(2);
    let y = places(&x, last, better);
    place_case::<O>(sizes, last, Operand::in_order(&x), &y)
}

fn place_int<O>(random: &mut Random, better: fn(i64, i64) -> bool) -> Case
where
    O: Operator<Params = ArgParams>,
{
    let dtype = random.pick(&TYPES);
    let sizes = lanes(random);
    let x = integers(random, dtype, &sizes);
    let last = random.one_in(2);
    let y = places(&x, last, better);
    place_case::<O>(sizes, last, in_order(dtype, &x), &y)
}

pub fn arg_max(random: &mut Random, _: &mut Data) -> Case {
    place_float::<ops::ArgMaxF32>(random, |a, b| !b.is_nan() && (a > b || a.is_nan()))
}

pub fn arg_min(random: &mut Random, _: &mut Data) -> Case {
    place_float::<ops::ArgMinF32>(random, |a, b| !b.is_nan() && (a < b || a.is_nan()))
}

pub fn arg_max_int(random: &mut Random, _: &mut Data) -> Case {
    place_int::<ops::ArgMaxInt>(random, |a, b| a > b)
}

pub fn arg_min_int(random: &mut Random, _: &mut Data) -> Case {
    place_int::<ops::ArgMinInt>(random, |a, b| a < b)
}

fn cumulated<T: Copy>(x: &Nd<T>, p: &CumSumParams, zero: T, add: fn(T, T) -> T) -> Nd<T> {
    let len = x.dims[1];
    Nd::from_fn(&x.dims, |at| {
        let place = if p.reverse != 0 {
            len - 1 - at[1]
        } else {
            at[1]
        };
        let count = place + usize::from(p.exclusive == 0);
        (0..count).fold(zero, |sum, i| {
            let i = if p.reverse != 0 { len - 1 - i } else { i };
            add(sum, x.at(&[at[0], i, at[2]]))
        })
    })
}

fn cum_sum_params(random: &mut Random, sizes: [usize; 3]) -> CumSumParams {
    let [outer, len, inner] = sizes.map(|n| n as u32);
    CumSumParams {
        outer,
        len,
        inner,
        exclusive: random.one_in(2).into(),
        reverse: random.one_in(2).into(),
    }
}

pub fn cum_sum(random: &mut Random, _: &mut Data) -> Case {
    let sizes = lanes(random);
    let params = cum_sum_params(random, sizes);
    let mut float = random.floats();
    let x = Nd::from_fn(&sizes, |_| float());
    let y = cumulated(&x, &params, 0.0, |a, b| a + b);
    Case::new::<ops::CumSumF32>(params, vec![Operand::in_order(&x)], Operand::in_order(&y))
}

pub fn cum_sum_int(random: &mut Random, _: &mut Data) -> Case {
    let dtype = random.pick(&TYPES);
    let sizes = lanes(random);
    let params = cum_sum_params(random, sizes);
    let x = integers(random, dtype, &sizes);
    let y = cumulated(&x, &params, 0, i64::wrapping_add).map(|v| wrapped(dtype, v));
    Case::new::<ops::CumSumInt>(params, vec![in_order(dtype, &x)], in_order(dtype, &y))
}
