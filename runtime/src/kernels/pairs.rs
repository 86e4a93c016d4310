//! Functions of two elements, for vector units.

use super::arch::{self, Isa, Job};

/// `y[i] = f(a[i], b[i])`, compiled for the instruction set that there is.
///
/// Not inlined: three places call it for each function.
#[inline(never)]
pub(crate) fn pairs<T: Copy>(f: impl Fn(T, T) -> T, a: &[T], b: &[T], y: &mut [T]) -> Option<()> {
    if a.len() != y.len() || b.len() != y.len() {
        return None;
    }
    arch::run(PairsJob { f, a, b, y })
}

struct PairsJob<'j, T, F> {
    f: F,
    a: &'j [T],
    b: &'j [T],
    y: &'j mut [T],
}

impl<T: Copy, F: Fn(T, T) -> T> Job for PairsJob<'_, T, F> {
    #[inline(always)]
    fn on<I: Isa>(self) -> Option<()> {
        let Self { f, a, b, y } = self;
        for ((y, &a), &b) in y.iter_mut().zip(a).zip(b) {
            *y = f(a, b);
        }
        Some(())
    }
}
