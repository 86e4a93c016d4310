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
    inner: u32,
    x: &[T],
    indices: &[i32],
    y: &mut [T],
) -> Option<()> {
    let inner = inner as usize;
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

/// `y[e] = x[walk(e) + indices[e] * stride]`. The walk has the dimensions of `y`, and a stride of
/// 0 along the axis.
pub(crate) fn gather_elements<T: Copy>(
    walk: &Strides,
    axis: IndexedAxis,
    x: &[T],
    indices: &[i32],
    y: &mut [T],
) -> Option<()> {
    let (len, inner) = walk.inner();
    let mut rows = y
        .chunks_exact_mut(len.max(1))
        .zip(indices.chunks_exact(len.max(1)));
    for_each_row([walk], |[offset]| {
        let (row, indices) = rows.next()?;
        for (i, (y, &index)) in row.iter_mut().zip(indices).enumerate() {
            let at = offset + i * inner + nearest(index, axis.len) * axis.stride as usize;
            *y = *x.get(at)?;
        }
        Some(())
    })
}

/// `y[walk(e) + indices[e] * stride] = combine(what is there, updates[e])`, in the order of `e`.
/// The walk has the dimensions of `updates`, and a stride of 0 along the axis.
pub(crate) fn scatter_elements<T: Copy>(
    walk: &Strides,
    axis: IndexedAxis,
    indices: &[i32],
    updates: &[T],
    y: &mut [T],
    combine: impl Fn(T, T) -> T,
) -> Option<()> {
    let (len, inner) = walk.inner();
    let mut rows = updates
        .chunks_exact(len.max(1))
        .zip(indices.chunks_exact(len.max(1)));
    for_each_row([walk], |[offset]| {
        let (row, indices) = rows.next()?;
        for (i, (&update, &index)) in row.iter().zip(indices).enumerate() {
            if let Some(index) = exact(index, axis.len) {
                let y = y.get_mut(offset + i * inner + index * axis.stride as usize)?;
                *y = combine(*y, update);
            }
        }
        Some(())
    })
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

/// `y[o][d][i]` is `on` where `indices[o][i]` is `d`, and `off` elsewhere.
pub(crate) fn one_hot<T: Copy>(
    depth: u32,
    inner: u32,
    indices: &[i32],
    values: &[T],
    y: &mut [T],
) -> Option<()> {
    let [off, on] = *values.first_chunk()?;
    let inner = inner as usize;
    y.fill(off);
    let blocks = y.chunks_exact_mut((depth as usize * inner).max(1));
    for (y, indices) in blocks.zip(indices.chunks_exact(inner.max(1))) {
        for (i, &index) in indices.iter().enumerate() {
            if let Some(d) = exact(index, depth) {
                *y.get_mut(d * inner + i)? = on;
            }
        }
    }
    Some(())
}

/// `y[o][r][i]` is the index along the axis of the `r`-th largest element of `x[o][..][i]`.
///
/// `key` maps an element to an integer of the same order. Of equal elements the first comes first.
/// Each place is found by a pass over the axis, which needs no memory.
pub(crate) fn top_k<T: Copy>(
    [axis, k, inner]: [u32; 3],
    x: &[T],
    y: &mut [i32],
    key: impl Fn(T) -> i64,
) -> Option<()> {
    let [axis, k, inner] = [axis, k, inner].map(|size| size as usize);
    let blocks = x.chunks_exact((axis * inner).max(1));
    for (x, y) in blocks.zip(y.chunks_exact_mut((k * inner).max(1))) {
        for i in 0..inner {
            let mut last: Option<(i64, usize)> = None;
            for r in 0..k {
                let mut best: Option<(i64, usize)> = None;
                for j in 0..axis {
                    let key = key(*x.get(j * inner + i)?);
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
    }
    Some(())
}
