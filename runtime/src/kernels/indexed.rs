//! Elements read or written where indices say that are known at run time alone.
//!
//! Indices are data: one that is out of range must do no harm. A read takes the nearest element;
//! a write is left out.

use super::Strides;
use super::strided::for_each_row;

/// The element that an index reads: negative ones count from the end, and one that is out of
/// range reads the nearest.
#[inline(always)]
pub(crate) fn nearest(index: i32, len: u32) -> usize {
    let from_end = if index < 0 {
        i64::from(index) + i64::from(len)
    } else {
        i64::from(index)
    };
    from_end.min(i64::from(len) - 1).max(0) as usize
}

/// The element that an index writes: negative ones count from the end, and one that is out of
/// range writes nothing.
#[inline(always)]
pub(crate) fn exact(index: i32, len: u32) -> Option<usize> {
    let from_end = if index < 0 {
        i64::from(index) + i64::from(len)
    } else {
        i64::from(index)
    };
    (0..i64::from(len))
        .contains(&from_end)
        .then_some(from_end as usize)
}

/// `y[o][j] = x[o][indices[j]]`, with `inner` elements in each.
pub(crate) fn gather_rows<T: Copy>(
    axis: u32,
    inner: usize,
    x: &[T],
    indices: &[i32],
    y: &mut [T],
) -> Option<()> {
    let blocks = x.chunks_exact((axis as usize * inner).max(1));
    let outputs = y.chunks_exact_mut((indices.len() * inner).max(1));
    for (x, y) in blocks.zip(outputs) {
        for (y, &index) in y.chunks_exact_mut(inner.max(1)).zip(indices) {
            let at = nearest(index, axis) * inner;
            let x = x.get(at..at + inner)?;
            y.iter_mut().zip(x).for_each(|(y, &x)| *y = x);
        }
    }
    Some(())
}

/// The axis that indices of single elements go along.
#[derive(Clone, Copy)]
pub(crate) struct IndexedAxis {
    /// Its length.
    pub(crate) len: u32,
    /// Elements from one index to the next.
    pub(crate) stride: u32,
}

/// Which element an index stands for: [`nearest`], for reads, or [`exact`], for writes.
pub(crate) type Named = fn(i32, u32) -> Option<usize>;

/// [`nearest`] as [`Named`].
pub(crate) fn read(index: i32, len: u32) -> Option<usize> {
    Some(nearest(index, len))
}

/// Gives the number of each index and the element of the data that it names:
/// `f(e, walk(e) + indices[e] * stride)`, in the order of `e`. The walk has the dimensions of the
/// indices, and a stride of 0 along the axis.
///
/// What is done with an element is behind a pointer, so that there is one loop for all types.
pub(crate) fn for_each_element(
    walk: &Strides,
    axis: IndexedAxis,
    indices: &[i32],
    named: Named,
    f: &mut dyn FnMut(usize, usize) -> Option<()>,
) -> Option<()> {
    let (len, inner) = walk.inner();
    let mut rows = indices.chunks_exact(len.max(1));
    let mut e = 0;
    for_each_row([walk], |[offset]| {
        for (i, &index) in rows.next()?.iter().enumerate() {
            if let Some(index) = named(index, axis.len) {
                f(e, offset + i * inner + index * axis.stride as usize)?;
            }
            e += 1;
        }
        Some(())
    })
}

/// Copies element `from` to element `to`, both of `size` bytes.
pub(crate) fn copy_element(
    size: usize,
    (x, from): (&[u8], usize),
    (y, to): (&mut [u8], usize),
) -> Option<()> {
    let x = x.get(from * size..)?.get(..size)?;
    let y = y.get_mut(to * size..)?.get_mut(..size)?;
    y.iter_mut().zip(x).for_each(|(y, &x)| *y = x);
    Some(())
}

/// Tuples of indices, each of which names a slice of `inner` elements.
#[derive(Clone, Copy)]
pub(crate) struct Tuples<'p> {
    /// Lengths of the axes that a tuple has an index for.
    pub(crate) dims: &'p [u32],
    /// Elements of a slice.
    pub(crate) inner: usize,
}

impl Tuples<'_> {
    /// Elements that the tuples of one batch choose from.
    fn reach(&self) -> usize {
        self.dims
            .iter()
            .fold(self.inner, |len, &dim| len * dim as usize)
    }

    fn first(&self, slice: usize) -> usize {
        slice * self.inner
    }
}

/// `y[b][t] = x[b][indices[b][t]]`, slices of `inner` elements.
pub(crate) fn gather_nd<T: Copy>(
    tuples: Tuples<'_>,
    per_batch: u32,
    x: &[T],
    indices: &[i32],
    y: &mut [T],
) -> Option<()> {
    let depth = tuples.dims.len();
    let batches = x.chunks_exact(tuples.reach().max(1));
    let indices = indices.chunks_exact((per_batch as usize * depth).max(1));
    let outputs = y.chunks_exact_mut((per_batch as usize * tuples.inner).max(1));
    for ((x, indices), y) in batches.zip(indices).zip(outputs) {
        let slices = y.chunks_exact_mut(tuples.inner.max(1));
        for (y, tuple) in slices.zip(indices.chunks_exact(depth.max(1))) {
            let slice = tuple.iter().zip(tuples.dims).fold(0, |slice, (&i, &dim)| {
                slice * dim as usize + nearest(i, dim)
            });
            let at = tuples.first(slice);
            let x = x.get(at..at + tuples.inner)?;
            y.iter_mut().zip(x).for_each(|(y, &x)| *y = x);
        }
    }
    Some(())
}

/// `y[indices[t]] = combine(what is there, updates[t])`, slices of `inner` elements, in the order
/// of `t`.
pub(crate) fn scatter_nd<T: Copy>(
    tuples: Tuples<'_>,
    indices: &[i32],
    updates: &[T],
    y: &mut [T],
    combine: impl Fn(T, T) -> T,
) -> Option<()> {
    let slices = updates.chunks_exact(tuples.inner.max(1));
    for (updates, tuple) in slices.zip(indices.chunks_exact(tuples.dims.len().max(1))) {
        let slice = tuple
            .iter()
            .zip(tuples.dims)
            .try_fold(0, |slice, (&i, &dim)| {
                Some(slice * dim as usize + exact(i, dim)?)
            });
        let Some(slice) = slice else { continue };
        let at = tuples.first(slice);
        let y = y.get_mut(at..at + tuples.inner)?;
        for (y, &update) in y.iter_mut().zip(updates) {
            *y = combine(*y, update);
        }
    }
    Some(())
}

/// `y[o][d][i]` is `on` where `indices[o][i]` is `d`, and `off` elsewhere. Values and outputs are
/// bytes of elements of any type.
pub(crate) fn one_hot(
    depth: u32,
    inner: u32,
    indices: &[i32],
    values: &[u8],
    y: &mut [u8],
) -> Option<()> {
    let size = values.len() / 2;
    let (off, on) = values.split_at_checked(size)?;
    let inner = inner as usize;
    let set = |to: &mut [u8], value: &[u8]| to.iter_mut().zip(value).for_each(|(to, &v)| *to = v);
    y.iter_mut()
        .zip(off.iter().cycle())
        .for_each(|(to, &v)| *to = v);
    // Elements of the blocks before.
    let mut before = 0;
    for indices in indices.chunks_exact(inner.max(1)) {
        for (i, &index) in indices.iter().enumerate() {
            if let Some(d) = exact(index, depth) {
                set(y.get_mut((before + d * inner + i) * size..)?, on);
            }
        }
        before += depth as usize * inner;
    }
    Some(())
}

/// `y[o][r][i]` is the index along the axis of the `r`-th largest element of `x[o][..][i]`.
///
/// `key` gives the element of `x` at an index as an integer of the same order. Of equal elements
/// the first comes first. Each place is found by a pass over the axis, which needs no memory.
pub(crate) fn top_k(
    [axis, k, inner]: [u32; 3],
    y: &mut [i32],
    key: impl Fn(usize) -> Option<i64>,
) -> Option<()> {
    let [axis, k, inner] = [axis, k, inner].map(|size| size as usize);
    let mut first = 0;
    for y in y.chunks_exact_mut((k * inner).max(1)) {
        for i in 0..inner {
            let mut last: Option<(i64, usize)> = None;
            for r in 0..k {
                let mut best: Option<(i64, usize)> = None;
                for j in 0..axis {
                    let key = key(first + j * inner + i)?;
                    let is_left = last.is_none_or(|(k, at)| key < k || key == k && j > at);
                    if is_left && best.is_none_or(|(k, _)| key > k) {
                        best = Some((key, j));
                    }
                }
                let (_, at) = best?;
                *y.get_mut(r * inner + i)? = at as i32;
                last = best;
            }
        }
        first += axis * inner;
    }
    Some(())
}
