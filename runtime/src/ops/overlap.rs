//! Where an operator's output may share bytes with an input.
//!
//! An operator that works through its input in order needs less than both tensors: once a row of
//! the input has been read for the last time, its bytes may hold output. How far the output has
//! to be ahead of the input, or behind it, is all that anyone has to know: the loader compares it
//! with the offsets in the file, the compiler plans with it, and [`super::Memory`] takes its bands
//! from the same numbers.

use core::ops::Range;

use crate::kernels::{Band, Window};

/// How far output and input have to begin apart, in bytes, so that no byte of the input is
/// written before it has been read for the last time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Overlap {
    /// The output may begin this many bytes or more before the input; the operator then works
    /// upwards.
    pub before: u32,
    /// The output may begin this many bytes or more behind the input; the operator then works
    /// downwards.
    pub behind: u32,
}

impl Overlap {
    /// Whether the output may begin at byte `output` of the arena and the input at byte `input`.
    pub fn allows(&self, output: u32, input: u32) -> bool {
        let reaches = |from: u32, by: u32, to: u32| from.checked_add(by).is_some_and(|at| at <= to);
        reaches(output, self.before, input) || reaches(input, self.behind, output)
    }

    /// Of a function of one element, of tensors of `len` elements with these sizes in bytes:
    /// each element is read before the one at its place is written.
    pub(crate) fn of_elements(len: usize, input_bytes: usize, output_bytes: usize) -> Self {
        let rest = len.saturating_sub(1) as u32;
        let (input, output) = (input_bytes as u32, output_bytes as u32);
        Self {
            before: rest.saturating_mul(output.saturating_sub(input)),
            behind: rest.saturating_mul(input.saturating_sub(output)),
        }
    }
}

/// The rows of an image, or of a matrix, that an operator computes one after the other, and the
/// rows of the input that each of them needs. A step is one output row.
///
/// Of shapes that a check has accepted: no number of rows, elements or bytes leaves a `u32`.
#[derive(Clone, Copy, Debug)]
pub struct Steps {
    batch: u32,
    in_h: u32,
    out_h: u32,
    stride: u32,
    pad_top: u32,
    /// Input rows from the first that an output row needs to the one behind the last.
    span: u32,
    /// Elements of an input row.
    in_row: u32,
    /// Elements of an output row.
    out_row: u32,
}

impl Steps {
    /// Rows that a window gives, with so many channels in and out. The window has to be checked.
    #[inline(never)]
    pub(crate) fn of_window(window: &Window, in_channels: u32, out_channels: u32) -> Self {
        Self {
            batch: window.batch,
            in_h: window.in_h,
            out_h: window.out_h,
            stride: window.stride_h,
            pad_top: window.pad_top,
            span: (window.kernel_h.saturating_sub(1))
                .saturating_mul(window.dilation_h)
                .saturating_add(1),
            in_row: window.in_w.saturating_mul(in_channels),
            out_row: window.out_w.saturating_mul(out_channels),
        }
    }

    /// Rows of a matrix, each of which needs its own.
    pub(crate) fn of_matrix(rows: u32, depth: u32, outputs: u32) -> Self {
        Self {
            batch: 1,
            in_h: rows,
            out_h: rows,
            stride: 1,
            pad_top: 0,
            span: 1,
            in_row: depth,
            out_row: outputs,
        }
    }

    /// Number of steps: of output rows.
    pub fn count(&self) -> u32 {
        self.batch * self.out_h
    }

    /// The input rows that step `s` needs, counted over the batch. Both ends rise with `s`. They
    /// may hold rows between two taps that no tap meets, and none where all taps meet padding.
    fn needed(&self, s: u32) -> Range<u32> {
        let out_h = self.out_h.max(1);
        let (image, oy) = (s / out_h, s % out_h);
        let in_h = self.in_h;
        let top = oy * self.stride;
        let pad = self.pad_top;
        let on_image = |row: u32| image * in_h + row.saturating_sub(pad).min(in_h);
        on_image(top)..on_image(top + self.span)
    }

    /// First byte of the input that step `s` needs, and the one behind the last.
    fn read(&self, s: u32, size: usize) -> Range<u32> {
        let row = self.in_row * size as u32;
        let rows = self.needed(s);
        rows.start * row..rows.end * row
    }

    /// Bytes of output that are there before step `s`.
    fn written(&self, s: u32, size: usize) -> u32 {
        s * self.out_row * size as u32
    }

    /// The distances that these steps need, for elements of these sizes in bytes.
    ///
    /// Upwards, step `s` writes bytes below `written(s + 1)` while bytes from `read(s).start` on
    /// are needed; downwards it writes bytes from `written(s)` on while those below `read(s).end`
    /// are needed. Within an image both differences are linear in `s` but where rows begin and
    /// end to meet the image, and from image to image they move by a constant: the largest is at
    /// one of those places in the first or the last image.
    pub(crate) fn overlap(&self, input_size: usize, output_size: usize) -> Overlap {
        let stride = self.stride.max(1);
        let (out_h, in_h) = (self.out_h, self.in_h);
        let (pad, span) = (self.pad_top, self.span);
        let bends = [
            0,
            pad / stride,
            pad.saturating_sub(span) / stride,
            (pad + in_h) / stride,
            (pad + in_h).saturating_sub(span) / stride,
            out_h,
        ];
        let mut overlap = Overlap {
            before: 0,
            behind: 0,
        };
        for image in [0, self.batch.saturating_sub(1)] {
            for bend in bends {
                for oy in bend.saturating_sub(1)..=bend + 1 {
                    let s = image * out_h + oy.min(out_h.saturating_sub(1));
                    let read = self.read(s, input_size);
                    let before = self.written(s + 1, output_size).saturating_sub(read.start);
                    let behind = read.end.saturating_sub(self.written(s, output_size));
                    overlap.before = overlap.before.max(before);
                    overlap.behind = overlap.behind.max(behind);
                }
            }
        }
        overlap
    }

    /// The elements of an input that these elements of the output are computed from; `None` when
    /// they begin or end inside a row, or are none.
    pub fn needed_for(&self, elements: &Range<usize>) -> Option<Range<usize>> {
        Some(self.span_of_elements(elements)?.input)
    }

    /// The rows that these elements of the output are; `None` when they begin or end inside a row.
    pub(crate) fn span_of_elements(&self, elements: &Range<usize>) -> Option<Span> {
        let row = self.out_row as usize;
        let whole = |at: usize| (at.checked_rem(row)? == 0).then(|| (at / row) as u32);
        let rows = whole(elements.start)?..whole(elements.end)?;
        (rows.start < rows.end && rows.end <= self.count()).then(|| self.span_of(rows))
    }

    /// All rows at once.
    pub(crate) fn all(&self) -> Span {
        self.span_of(0..self.count())
    }

    /// Whether these are all rows.
    pub(crate) fn is_done(&self, done: u32) -> bool {
        done >= self.count()
    }

    /// The longest run of rows that can be computed at once when `done` rows are there and the
    /// output begins at byte `output`, before the input, which begins at byte `input`. `None`
    /// when not even one can: the offsets break [`Overlap::allows`].
    #[inline(never)]
    pub(crate) fn upwards(
        &self,
        done: u32,
        [input_size, output_size]: [usize; 2],
        [input, output]: [u32; 2],
    ) -> Option<Span> {
        let limit = input + self.read(done, input_size).start;
        let room = limit.checked_sub(output)?;
        let end = room.checked_div(self.written(1, output_size))?;
        let end = end.min(self.count());
        (end > done).then(|| self.span_of(done..end))
    }

    /// The same when the output begins behind the input, where the last rows come first.
    #[inline(never)]
    pub(crate) fn downwards(
        &self,
        done: u32,
        [input_size, output_size]: [usize; 2],
        [input, output]: [u32; 2],
    ) -> Option<Span> {
        let end = self.count().checked_sub(done)?;
        let limit = input + self.read(end.checked_sub(1)?, input_size).end;
        let row = self.written(1, output_size);
        let over = limit.saturating_sub(output);
        // Rounded up: a row that is only half behind the input is not.
        let start = over.checked_div(row)? + u32::from(!over.is_multiple_of(row));
        (start < end).then(|| self.span_of(start..end))
    }

    /// The rows that come next when they are read from a copy of their input, of at most `most`
    /// elements. `None` when not even one can.
    ///
    /// Where one row can be computed after the other, so can some at once from a copy: what they
    /// write is not needed by those that come later.
    #[cfg(niwaki_tiles)]
    pub(crate) fn copied(&self, done: u32, is_upwards: bool, most: usize) -> Option<Span> {
        let left = self.count().checked_sub(done)?;
        let mut rows = left;
        while rows > 0 {
            let span = if is_upwards {
                self.span_of(done..done + rows)
            } else {
                self.span_of(left - rows..left)
            };
            if span.input.len() <= most {
                return Some(span);
            }
            rows /= 2;
        }
        None
    }

    /// A span with that many rows less, of those that would be computed last.
    pub(crate) fn without(&self, span: &Span, rows: u32, upwards: bool) -> Span {
        let Range { start, end } = span.band.rows;
        self.span_of(if upwards {
            start..end.saturating_sub(rows)
        } else {
            start + rows..end
        })
    }

    fn span_of(&self, steps: Range<u32>) -> Span {
        let first = self.needed(steps.start).start;
        let last = self.needed(steps.end.saturating_sub(1)).end;
        let elements =
            |rows: Range<u32>, row: u32| (rows.start * row) as usize..(rows.end * row) as usize;
        Span {
            input: elements(first..last.max(first), self.in_row),
            output: elements(steps.clone(), self.out_row),
            band: Band {
                rows: steps,
                input_row: first as usize,
            },
        }
    }
}

/// Rows that are computed at once, and the elements of both tensors that belong to them.
pub(crate) struct Span {
    /// Elements of the input.
    pub(crate) input: Range<usize>,
    /// Elements of the output.
    pub(crate) output: Range<usize>,
    /// The rows.
    pub(crate) band: Band,
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The closed form against the definition, over every step.
    #[test]
    fn distances_are_the_largest_over_all_steps() {
        let mut random = crate::Xorshift32::new(1);
        let mut below = |end: u32| random.next_u32() % end;
        for _ in 0..20_000 {
            let steps = Steps {
                batch: 1 + below(3),
                in_h: 1 + below(12),
                out_h: 1 + below(12),
                stride: 1 + below(5),
                pad_top: below(9),
                span: 1 + below(9),
                in_row: 1 + below(20),
                out_row: 1 + below(20),
            };
            let [a, b] = [1 + 3 * below(2), 1 + 3 * below(2)].map(|size| size as usize);
            let (mut before, mut behind) = (0, 0);
            for s in 0..steps.count() {
                let read = steps.read(s, a);
                before = before.max(steps.written(s + 1, b).saturating_sub(read.start));
                behind = behind.max(read.end.saturating_sub(steps.written(s, b)));
            }
            assert_eq!(steps.overlap(a, b), Overlap { before, behind }, "{steps:?}");
        }
    }
}
