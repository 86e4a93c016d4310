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

/// One operand's elements along the inner dimension: a run, or one that is repeated.
#[inline(always)]
fn inner_row<T>(x: &[T], offset: usize, len: usize, stride: usize) -> Option<&[T]> {
    let last = len.saturating_sub(1).checked_mul(stride)?;
    x.get(offset..offset.checked_add(last)?.checked_add(1)?)
}

/// `y[i] = f(a[i], b[i])` with broadcasting. Both walks have the dimensions of `y`.
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
