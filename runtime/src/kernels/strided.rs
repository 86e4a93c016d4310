//! Walks over tensors with strides: broadcasting, transposing, padding.

use crate::MAX_RANK;
use crate::artifact::record;
use crate::error::Rule;

record! {
    /// A loop over up to six nested dimensions, outermost first; 1 where there are fewer.
    pub struct Strides {
        /// Length of each dimension.
        pub dims: [u32; MAX_RANK],
        /// Elements from one index to the next in the other tensor; 0 repeats it.
        pub strides: [u32; MAX_RANK],
    }
}

impl Strides {
    /// Number of steps of the whole walk.
    pub(crate) fn steps(&self) -> Result<u64, Rule> {
        super::volume(&self.dims)
    }

    /// Number of elements that the other tensor has to have: one more than the largest offset.
    pub(crate) fn reach(&self) -> u64 {
        let far = |(&dim, &stride): (&u32, &u32)| {
            u64::from(dim.saturating_sub(1)).saturating_mul(u64::from(stride))
        };
        let offsets = self.dims.iter().zip(&self.strides).map(far);
        offsets.fold(1, u64::saturating_add)
    }

    /// Whether the walk meets the elements of the other tensor one after the other: both have the
    /// same element at each place.
    pub(crate) fn is_in_order(&self) -> bool {
        let mut expected = 1u32;
        self.dims
            .iter()
            .zip(&self.strides)
            .rev()
            .all(|(&dim, &stride)| {
                let fits = dim == 1 || stride == expected;
                expected = expected.saturating_mul(dim);
                fits
            })
    }

    pub(super) fn inner(&self) -> (usize, usize) {
        let [.., dim] = self.dims;
        let [.., stride] = self.strides;
        (dim as usize, stride as usize)
    }
}

/// Calls `row` for every index of the outer dimensions, with the offset in each other tensor.
#[inline(always)]
pub(super) fn for_each_row<const N: usize>(
    walks: [&Strides; N],
    mut row: impl FnMut([usize; N]) -> Option<()>,
) -> Option<()> {
    let [outer @ .., _] = &walks.first()?.dims;
    let mut index = [0u32; MAX_RANK - 1];
    let mut offsets = [0u32; N];
    loop {
        row(offsets.map(|offset| offset as usize))?;
        // Advance like an odometer, from the innermost of the outer dimensions.
        let mut advanced = false;
        for (d, (i, &dim)) in index.iter_mut().zip(outer).enumerate().rev() {
            *i += 1;
            let wraps = *i == dim;
            for (offset, walk) in offsets.iter_mut().zip(walks) {
                let stride = *walk.strides.get(d)?;
                *offset = offset.wrapping_add(stride);
                if wraps {
                    *offset = offset.wrapping_sub(stride.wrapping_mul(dim));
                }
            }
            if !wraps {
                advanced = true;
                break;
            }
            *i = 0;
        }
        if !advanced {
            return Some(());
        }
    }
}

/// Calls `step` for every index, with the offset in each other tensor.
pub(crate) fn for_each_pair(
    walks: [&Strides; 2],
    mut step: impl FnMut([usize; 2]) -> Option<()>,
) -> Option<()> {
    let [(len, stride_a), (_, stride_b)] = walks.map(Strides::inner);
    for_each_row(walks, |[offset_a, offset_b]| {
        (0..len).try_for_each(|i| step([offset_a + i * stride_a, offset_b + i * stride_b]))
    })
}

/// One operand's elements along the inner dimension: a run, or one that is repeated.
#[inline(always)]
fn inner_row<T>(x: &[T], offset: usize, len: usize, stride: usize) -> Option<&[T]> {
    let last = len.saturating_sub(1).checked_mul(stride)?;
    x.get(offset..offset.checked_add(last)?.checked_add(1)?)
}

/// `y[i] = f(a[i], b[i])` with broadcasting. Both walks have the dimensions of `y`.
#[inline(never)]
pub(crate) fn broadcast<T: Copy, O>(
    walks: [&Strides; 2],
    a: &[T],
    b: &[T],
    y: &mut [O],
    f: impl Fn(T, T) -> O,
) -> Option<()> {
    let [walk_a, walk_b] = walks;
    let (len, stride_a) = walk_a.inner();
    let (_, stride_b) = walk_b.inner();
    let mut rows = y.chunks_exact_mut(len.max(1));
    for_each_row(walks, |[offset_a, offset_b]| {
        let row = rows.next()?;
        let a = inner_row(a, offset_a, len, stride_a)?;
        let b = inner_row(b, offset_b, len, stride_b)?;
        match (a, b) {
            ([a], [b]) => row.iter_mut().for_each(|y| *y = f(*a, *b)),
            ([a], b) if stride_b == 1 => row.iter_mut().zip(b).for_each(|(y, &b)| *y = f(*a, b)),
            (a, [b]) if stride_a == 1 => row.iter_mut().zip(a).for_each(|(y, &a)| *y = f(a, *b)),
            (a, b) if stride_a == 1 && stride_b == 1 => {
                row.iter_mut()
                    .zip(a)
                    .zip(b)
                    .for_each(|((y, &a), &b)| *y = f(a, b));
            }
            _ => {
                for (i, y) in row.iter_mut().enumerate() {
                    *y = f(*a.get(i * stride_a)?, *b.get(i * stride_b)?);
                }
            }
        }
        Some(())
    })
}

/// `y[i] = x[walk(i)]`: a transpose. The walk has the dimensions of `y`.
pub(crate) fn gather<T: Copy>(walk: &Strides, x: &[T], y: &mut [T]) -> Option<()> {
    let (len, stride) = walk.inner();
    let mut rows = y.chunks_exact_mut(len.max(1));
    for_each_row([walk], |[offset]| {
        let row = rows.next()?;
        match inner_row(x, offset, len, stride)? {
            [x] => row.fill(*x),
            from => {
                let from = from.iter().step_by(stride.max(1));
                row.iter_mut().zip(from).for_each(|(y, &x)| *y = x);
            }
        }
        Some(())
    })
}

/// `y[start + walk(i)] = x[i]`: a copy into part of a larger tensor. The walk has the dimensions
/// of `x`, and an inner stride of 1.
pub(crate) fn scatter<T: Copy>(walk: &Strides, start: u32, x: &[T], y: &mut [T]) -> Option<()> {
    let (len, stride) = walk.inner();
    let mut rows = x.chunks_exact(len.max(1));
    for_each_row([walk], |[offset]| {
        let at = offset.checked_add(start as usize)?;
        let last = len.saturating_sub(1).checked_mul(stride)?;
        let to = y.get_mut(at..at.checked_add(last)?.checked_add(1)?)?;
        let to = to.iter_mut().step_by(stride.max(1));
        to.zip(rows.next()?).for_each(|(y, &x)| *y = x);
        Some(())
    })
}

/// `y[i] = a[i]` where the condition is not 0, else `b[i]`, with broadcasting.
pub(crate) fn choose<T: Copy>(
    walks: [&Strides; 3],
    condition: &[u8],
    [a, b]: [&[T]; 2],
    y: &mut [T],
) -> Option<()> {
    let strides = walks.map(|walk| walk.inner().1);
    let len = walks.first()?.inner().0;
    let mut rows = y.chunks_exact_mut(len.max(1));
    for_each_row(walks, |mut offsets| {
        for y in rows.next()? {
            let [c, i, j] = offsets;
            *y = if *condition.get(c)? != 0 {
                *a.get(i)?
            } else {
                *b.get(j)?
            };
            for (offset, stride) in offsets.iter_mut().zip(strides) {
                *offset = offset.checked_add(stride)?;
            }
        }
        Some(())
    })
}

/// Copies the elements of a walk with signed strides that begins at `start`.
pub(crate) fn strided_copy<T: Copy>(
    dims: &[u32; MAX_RANK],
    strides: &[i32; MAX_RANK],
    start: u32,
    x: &[T],
    y: &mut [T],
) -> Option<()> {
    // Offsets wrap, and so a negative stride is a large positive one.
    let walk = Strides {
        dims: *dims,
        strides: strides.map(i32::cast_unsigned),
    };
    let (len, stride) = walk.inner();
    let mut rows = y.chunks_exact_mut(len.max(1));
    for_each_row([&walk], |[offset]| {
        let mut at = (offset as u32).wrapping_add(start);
        for y in rows.next()? {
            *y = *x.get(at as usize)?;
            at = at.wrapping_add(stride as u32);
        }
        Some(())
    })
}
