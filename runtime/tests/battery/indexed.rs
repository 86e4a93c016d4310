//! ONNX `Gather`, `GatherElements`, `GatherND`, `ScatterElements`, `ScatterND`, `OneHot` and
//! `TopK`. Indices that ONNX forbids follow `NUMERICS.md`.

use niwaki::Element;
use niwaki::MAX_RANK;
use niwaki::ops::{
    Gather, GatherElements, GatherND, GatherParams, IndexedElementsParams, IndexedSlicesParams,
    OneHot, OneHotParams, ScatterElements, ScatterND, TopK, TopKParams,
};

use super::walk;
use crate::support::{Case, Data, Nd, Operand, Random};

/// An index into an axis: mostly one that ONNX allows.
fn index(random: &mut Random, len: usize) -> i32 {
    match random.below(8) {
        0 => random.bits() as i32,
        1 => random.pick(&[len as i32, -(len as i32) - 1, i32::MAX, i32::MIN]),
        2 | 3 => random.below(len) as i32 - len as i32,
        _ => random.below(len) as i32,
    }
}

/// The element that is read.
fn read(index: i32, len: usize) -> usize {
    let len = len as i64;
    let index = i64::from(index) + if index < 0 { len } else { 0 };
    index.clamp(0, len - 1) as usize
}

/// The element that is written, if there is one.
fn written(index: i32, len: usize) -> Option<usize> {
    let index = i64::from(index) + if index < 0 { len as i64 } else { 0 };
    usize::try_from(index).ok().filter(|&index| index < len)
}

fn numbers(random: &mut Random, dims: &[usize]) -> Nd<i32> {
    Nd::from_fn(dims, |_| random.bits() as i32)
}

/// As int8 or int32: what is moved is not looked at.
fn stored(tensor: &Nd<i32>, narrow: bool) -> Operand {
    if narrow {
        Operand::in_order(&tensor.map(|v| v as i8))
    } else {
        Operand::in_order(tensor)
    }
}

pub fn gather(random: &mut Random, _: &mut Data) -> Case {
    let rank = random.between(1, 4);
    let dims = walk::shape(random, rank);
    let axis = random.below(rank);
    let x = numbers(random, &dims);
    let indices: Vec<i32> = (0..random.between(1, 9))
        .map(|_| index(random, dims[axis]))
        .collect();
    let mut shape = dims.clone();
    shape[axis] = indices.len();
    let y = Nd::from_fn(&shape, |place| {
        let mut place = place.to_vec();
        place[axis] = read(indices[place[axis]], dims[axis]);
        x.at(&place)
    });
    let params = GatherParams {
        outer: dims[..axis].iter().product::<usize>() as u32,
        axis: dims[axis] as u32,
        inner: dims[axis + 1..].iter().product::<usize>() as u32,
        count: indices.len() as u32,
    };
    let narrow = random.one_in(2);
    let indices = Operand::in_order(&Nd {
        dims: vec![indices.len()],
        values: indices,
    });
    let inputs = vec![stored(&x, narrow), indices];
    Case::new::<Gather>(params, inputs, stored(&y, narrow))
}

/// Dimensions of data and of indices, which may be shorter along the other axes, and the axis.
fn elements(random: &mut Random) -> (Vec<usize>, Vec<usize>, usize) {
    let rank = random.between(1, 4);
    let dims = walk::shape(random, rank);
    let axis = random.below(rank);
    let mut of_indices: Vec<usize> = dims.iter().map(|&dim| random.between(1, dim)).collect();
    of_indices[axis] = random.between(1, 6);
    (dims, of_indices, axis)
}

fn elements_params(
    x: &Nd<i32>,
    indices: &[usize],
    axis: usize,
    reduction: u32,
) -> IndexedElementsParams {
    let strides = x.strides();
    let steps = indices.iter().zip(&strides).enumerate();
    let steps: Vec<(usize, usize)> = steps
        .map(|(i, (&dim, &stride))| (dim, if i == axis { 0 } else { stride }))
        .collect();
    IndexedElementsParams {
        walk: walk::of(steps.into_iter()),
        axis: x.dims[axis] as u32,
        axis_stride: strides[axis] as u32,
        reduction,
    }
}

pub fn gather_elements(random: &mut Random, _: &mut Data) -> Case {
    let (dims, of_indices, axis) = elements(random);
    let x = numbers(random, &dims);
    let indices = Nd::from_fn(&of_indices, |_| index(random, dims[axis]));
    let y = Nd::from_fn(&of_indices, |place| {
        let mut from = place.to_vec();
        from[axis] = read(indices.at(place), dims[axis]);
        x.at(&from)
    });
    let narrow = random.one_in(2);
    let params = elements_params(&x, &of_indices, axis, 0);
    let inputs = vec![stored(&x, narrow), Operand::in_order(&indices)];
    Case::new::<GatherElements>(params, inputs, stored(&y, narrow))
}

/// ONNX's reductions of two elements; a comparison with a NaN changes nothing.
fn join_floats(reduction: u32, there: f32, update: f32) -> f32 {
    match reduction {
        0 => update,
        1 => there + update,
        2 => there * update,
        3 => {
            if update < there {
                update
            } else {
                there
            }
        }
        _ => {
            if update > there {
                update
            } else {
                there
            }
        }
    }
}

fn join_integers(reduction: u32, there: i32, update: i32) -> i32 {
    match reduction {
        0 => update,
        1 => there.wrapping_add(update),
        2 => there.wrapping_mul(update),
        3 => there.min(update),
        _ => there.max(update),
    }
}

fn put<T: Copy>(y: &mut Nd<T>, place: &[usize], value: impl FnOnce(T) -> T) {
    let offset = place.iter().zip(y.strides()).map(|(i, stride)| i * stride);
    let offset: usize = offset.sum();
    y.values[offset] = value(y.values[offset]);
}

/// Every index of a shape, the last axis varying fastest.
fn places(dims: &[usize]) -> Vec<Vec<usize>> {
    let mut places = Vec::new();
    Nd::from_fn(dims, |place| places.push(place.to_vec()));
    places
}

pub fn scatter_elements(random: &mut Random, _: &mut Data) -> Case {
    let (dims, of_indices, axis) = elements(random);
    let x = numbers(random, &dims);
    let indices = Nd::from_fn(&of_indices, |_| index(random, dims[axis]));
    let reduction = random.below(5) as u32;
    let params = elements_params(&x, &of_indices, axis, reduction);
    let targets: Vec<_> = places(&of_indices)
        .into_iter()
        .filter_map(|place| {
            let mut to = place.clone();
            to[axis] = written(indices.at(&place), dims[axis])?;
            Some((place, to))
        })
        .collect();
    let (y, data, updates) = scattered(random, [&dims, &of_indices], reduction, &targets);
    let inputs = vec![data, Operand::in_order(&indices), updates];
    Case::new::<ScatterElements>(params, inputs, y)
}

/// Data and updates of these shapes, floats or integers, and what comes out when each update goes to
/// its target. Gives the output, the data and the updates.
fn scattered(
    random: &mut Random,
    [data, updates]: [&[usize]; 2],
    reduction: u32,
    targets: &[(Vec<usize>, Vec<usize>)],
) -> (Operand, Operand, Operand) {
    if random.one_in(2) {
        let mut float = random.floats();
        let x = Nd::from_fn(data, |_| float());
        let updates = Nd::from_fn(updates, |_| float());
        let mut y = x.clone();
        for (from, to) in targets {
            put(&mut y, to, |there| {
                join_floats(reduction, there, updates.at(from))
            });
        }
        (
            Operand::in_order(&y),
            Operand::in_order(&x),
            Operand::in_order(&updates),
        )
    } else {
        let narrow = reduction == 0 && random.one_in(2);
        let x = numbers(random, data);
        let updates = numbers(random, updates);
        let mut y = x.clone();
        for (from, to) in targets {
            put(&mut y, to, |there| {
                join_integers(reduction, there, updates.at(from))
            });
        }
        (
            stored(&y, narrow),
            stored(&x, narrow),
            stored(&updates, narrow),
        )
    }
}

/// A shape of data with its batch axes, indexed axes, and the rest.
struct Slices {
    batch: Vec<usize>,
    indexed: Vec<usize>,
    inner: Vec<usize>,
    tuples: usize,
}

impl Slices {
    fn draw(random: &mut Random, batched: bool) -> Self {
        let (batch, depth, inner) = (random.below(2), random.between(1, 3), random.below(3));
        Self {
            batch: walk::shape(random, if batched { batch } else { 0 }),
            indexed: walk::shape(random, depth),
            inner: walk::shape(random, inner),
            tuples: random.between(1, 6),
        }
    }

    fn data(&self) -> Vec<usize> {
        [&*self.batch, &self.indexed, &self.inner].concat()
    }

    fn indices(&self, random: &mut Random) -> Nd<i32> {
        let dims = [&*self.batch, &[self.tuples, self.indexed.len()]].concat();
        Nd::from_fn(&dims, |place| {
            index(random, self.indexed[*place.last().unwrap()])
        })
    }

    fn slices(&self) -> Vec<usize> {
        [&*self.batch, &[self.tuples], &self.inner].concat()
    }

    /// The tuple that the slice with element `place` belongs to.
    fn tuple(&self, indices: &Nd<i32>, place: &[usize]) -> Vec<i32> {
        let prefix = &place[..=self.batch.len()];
        let at = |k| indices.at(&[prefix, &[k]].concat());
        (0..self.indexed.len()).map(at).collect()
    }

    fn params(&self, reduction: u32) -> IndexedSlicesParams {
        let mut dims = [1; MAX_RANK];
        for (to, &dim) in dims.iter_mut().zip(&self.indexed) {
            *to = dim as u32;
        }
        IndexedSlicesParams {
            batch: self.batch.iter().product::<usize>() as u32,
            tuples: self.tuples as u32,
            depth: self.indexed.len() as u32,
            dims,
            inner: self.inner.iter().product::<usize>() as u32,
            reduction,
        }
    }
}

pub fn gather_nd(random: &mut Random, _: &mut Data) -> Case {
    let slices = Slices::draw(random, true);
    let x = numbers(random, &slices.data());
    let indices = slices.indices(random);
    let batch = slices.batch.len();
    let y = Nd::from_fn(&slices.slices(), |place| {
        let tuple = slices.tuple(&indices, place);
        let tuple = tuple.iter().zip(&slices.indexed);
        let chosen: Vec<usize> = tuple.map(|(&i, &dim)| read(i, dim)).collect();
        x.at(&[&place[..batch], &chosen, &place[batch + 1..]].concat())
    });
    let narrow = random.one_in(2);
    let inputs = vec![stored(&x, narrow), Operand::in_order(&indices)];
    Case::new::<GatherND>(slices.params(0), inputs, stored(&y, narrow))
}

pub fn scatter_nd(random: &mut Random, _: &mut Data) -> Case {
    let slices = Slices::draw(random, false);
    let indices = slices.indices(random);
    let reduction = random.below(5) as u32;
    let targets: Vec<_> = places(&slices.slices())
        .into_iter()
        .filter_map(|place| {
            let tuple = slices.tuple(&indices, &place);
            let tuple = tuple.iter().zip(&slices.indexed);
            let chosen: Option<Vec<usize>> = tuple.map(|(&i, &dim)| written(i, dim)).collect();
            let to = [&chosen?[..], &place[1..]].concat();
            Some((place, to))
        })
        .collect();
    let shapes = [&slices.data()[..], &slices.slices()];
    let (y, data, updates) = scattered(random, shapes, reduction, &targets);
    let inputs = vec![data, Operand::in_order(&indices), updates];
    Case::new::<ScatterND>(slices.params(reduction), inputs, y)
}

pub fn one_hot(random: &mut Random, _: &mut Data) -> Case {
    let [outer, depth, inner] = [(); 3].map(|()| random.between(1, 6));
    let indices = Nd::from_fn(&[outer, inner], |_| index(random, depth));
    let values = numbers(random, &[2]);
    let y = Nd::from_fn(&[outer, depth, inner], |place| {
        let [o, d, i] = *place else { panic!() };
        let on = written(indices.at(&[o, i]), depth) == Some(d);
        values.at(&[usize::from(on)])
    });
    let params = OneHotParams {
        outer: outer as u32,
        depth: depth as u32,
        inner: inner as u32,
    };
    let narrow = random.one_in(2);
    let inputs = vec![Operand::in_order(&indices), stored(&values, narrow)];
    Case::new::<OneHot>(params, inputs, stored(&y, narrow))
}

pub fn top_k(random: &mut Random, _: &mut Data) -> Case {
    let [outer, axis, inner] = [
        random.between(1, 3),
        random.pick(&[1, 2, 5, 40]),
        random.between(1, 3),
    ];
    let k = random.between(1, axis);
    let largest = random.one_in(2);
    let dims = [outer, axis, inner];
    match random.below(3) {
        0 => {
            let mut int8 = random.int8s();
            ranked(&Nd::from_fn(&dims, |_| int8()), k, largest, f64::from)
        }
        1 => {
            let x = Nd::from_fn(&dims, |_| random.bits() as i32 >> random.pick(&[0, 28]));
            ranked(&x, k, largest, f64::from)
        }
        _ => {
            let mut float = random.floats();
            // A NaN is above all numbers.
            let value = |x: f32| if x.is_nan() { f64::MAX } else { f64::from(x) };
            ranked(&Nd::from_fn(&dims, |_| float()), k, largest, move |x| {
                if x == f32::INFINITY { 1e300 } else { value(x) }
            })
        }
    }
}

/// The indices in the order of a stable sort.
fn ranked<T: Element>(x: &Nd<T>, k: usize, largest: bool, value: impl Fn(T) -> f64) -> Case {
    let [outer, axis, inner] = *x.dims else {
        panic!()
    };
    let y = Nd::from_fn(&[outer, k, inner], |place| {
        let [o, r, i] = *place else { panic!() };
        let mut order: Vec<usize> = (0..axis).collect();
        order.sort_by(|&a, &b| {
            let [a, b] = [a, b].map(|j| value(x.at(&[o, j, i])));
            let ascending = a.partial_cmp(&b).unwrap();
            if largest {
                ascending.reverse()
            } else {
                ascending
            }
        });
        order[r] as i32
    });
    let params = TopKParams {
        outer: outer as u32,
        axis: axis as u32,
        k: k as u32,
        inner: inner as u32,
        largest: u32::from(largest),
    };
    Case::new::<TopK>(params, vec![Operand::in_order(x)], Operand::in_order(&y))
}
