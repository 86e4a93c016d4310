//! Runs through `[outer][len][inner]` along the middle dimension.

/// The three sizes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Lanes {
    pub(crate) outer: usize,
    pub(crate) len: usize,
    pub(crate) inner: usize,
}

/// The indices of one lane's elements, ascending.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Lane {
    next: usize,
    left: usize,
    step: usize,
}

impl Lane {
    /// The index of its last element.
    pub(crate) fn last_index(&self) -> Option<usize> {
        let far = self.left.checked_sub(1)?.checked_mul(self.step)?;
        self.next.checked_add(far)
    }
}

impl Iterator for Lane {
    type Item = usize;

    fn next(&mut self) -> Option<usize> {
        self.left = self.left.checked_sub(1)?;
        let index = self.next;
        self.next = index.wrapping_add(self.step);
        Some(index)
    }
}

impl Lanes {
    /// Calls `lane` for each one, `inner` varying fastest.
    pub(crate) fn for_each(self, mut lane: impl FnMut(Lane) -> Option<()>) -> Option<()> {
        let block = self.len.checked_mul(self.inner)?;
        let mut first = 0usize;
        for _ in 0..self.outer {
            for i in 0..self.inner {
                lane(Lane {
                    next: first.checked_add(i)?,
                    left: self.len,
                    step: self.inner,
                })?;
            }
            first = first.checked_add(block)?;
        }
        Some(())
    }
}
