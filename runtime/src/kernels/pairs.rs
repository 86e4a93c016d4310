//! Functions of two elements, for vector units.

#[cfg(niwaki_tiles)]
use super::arch::{self, Isa, Job};

/// A function of two elements.
pub(crate) trait Pair<T>: Copy {
    /// Its value.
    fn of(self, a: T, b: T) -> T;

    /// Its values, of as many of the first elements as some instructions take; gives how many. Slices
    /// are of one length.
    #[cfg(niwaki_tiles)]
    #[inline(always)]
    fn of_many(self, _a: &[T], _b: &[T], _y: &mut [T]) -> usize {
        0
    }
}

impl<T, F: Fn(T, T) -> T + Copy> Pair<T> for F {
    #[inline(always)]
    fn of(self, a: T, b: T) -> T {
        self(a, b)
    }
}

/// `y[i] = f(a[i], b[i])`, compiled for the instruction set that there is.
///
/// Not inlined: three places call it for each function.
#[cfg(niwaki_tiles)]
#[inline(never)]
pub(crate) fn pairs<T: Copy>(f: impl Pair<T>, a: &[T], b: &[T], y: &mut [T]) -> Option<()> {
    if a.len() != y.len() || b.len() != y.len() {
        return None;
    }
    arch::run(PairsJob { f, a, b, y })
}

#[cfg(niwaki_tiles)]
struct PairsJob<'j, T, F> {
    f: F,
    a: &'j [T],
    b: &'j [T],
    y: &'j mut [T],
}

#[cfg(niwaki_tiles)]
impl<T: Copy, F: Pair<T>> Job for PairsJob<'_, T, F> {
    #[inline(always)]
    fn on<I: Isa>(self) -> Option<()> {
        let Self { f, a, b, y } = self;
        let done = f.of_many(a, b, y);
        let rest = y.get_mut(done..)?.iter_mut();
        for ((y, &a), &b) in rest.zip(a.get(done..)?).zip(b.get(done..)?) {
            *y = f.of(a, b);
        }
        Some(())
    }
}
