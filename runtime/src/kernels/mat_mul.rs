//! Products of two matrices that are both known at run time alone, of any strides.

use super::Strides;
use super::strided::for_each_row;
use crate::artifact::record;
use crate::numerics::clamp_f32;

record! {
    /// Sizes and steps of a batch of matrix products `[rows][depth] x [depth][columns]`.
    pub struct MatMulShape {
        /// The batch's dimensions, the last of which is 1, and the steps through each operand from
        /// one matrix to the next.
        pub batch: [Strides; 2],
        /// Rows of the output.
        pub rows: u32,
        /// Length of each sum.
        pub depth: u32,
        /// Columns of the output.
        pub columns: u32,
        /// Elements of the left operand from one row to the next, and from one column to the next.
        pub left: [u32; 2],
        /// The same for the right operand.
        pub right: [u32; 2],
    }
}

impl MatMulShape {
    /// Calls `row` for each row of the output, with where the row of the left operand and the
    /// matrix of the right operand start.
    #[inline(always)]
    fn for_each_output_row(&self, mut row: impl FnMut(usize, usize) -> Option<()>) -> Option<()> {
        let [left, right] = &self.batch;
        let [row_step, _] = self.left;
        for_each_row([left, right], |[left, right]| {
            for i in 0..self.rows as usize {
                row(left + i * row_step as usize, right)?;
            }
            Some(())
        })
    }

    /// Floats: each sum starts at 0 and adds its products in the order of the depth.
    pub(crate) fn run_f32(
        &self,
        a: &[f32],
        b: &[f32],
        (low, high): (f32, f32),
        y: &mut [f32],
    ) -> Option<()> {
        let mut rows = y.chunks_exact_mut((self.columns as usize).max(1));
        let [_, left_step] = self.left.map(|step| step as usize);
        let [depth_step, column_step] = self.right.map(|step| step as usize);
        self.for_each_output_row(|left, right| {
            let row = rows.next()?;
            row.fill(0.0);
            for k in 0..self.depth as usize {
                let a = *a.get(left + k * left_step)?;
                let b = b.get(right + k * depth_step..)?;
                if column_step == 1 {
                    let b = b.get(..row.len())?;
                    row.iter_mut().zip(b).for_each(|(y, &b)| *y += a * b);
                } else {
                    for (j, y) in row.iter_mut().enumerate() {
                        *y += a * *b.get(j * column_step)?;
                    }
                }
            }
            for y in row {
                *y = clamp_f32(*y, low, high);
            }
            Some(())
        })
    }

    /// The exact sums of int8 less their zero points, each given to `finish`.
    pub(crate) fn run_i8<O>(
        &self,
        a: &[i8],
        b: &[i8],
        zero_points: [i32; 2],
        y: &mut [O],
        finish: impl Fn(i32) -> O,
    ) -> Option<()> {
        let [zero_a, zero_b] = zero_points;
        let mut rows = y.chunks_exact_mut((self.columns as usize).max(1));
        let [_, left_step] = self.left.map(|step| step as usize);
        let [depth_step, column_step] = self.right.map(|step| step as usize);
        self.for_each_output_row(|left, right| {
            for (j, y) in rows.next()?.iter_mut().enumerate() {
                let mut sum = 0i32;
                for k in 0..self.depth as usize {
                    let a = i32::from(*a.get(left + k * left_step)?);
                    let b = i32::from(*b.get(right + k * depth_step + j * column_step)?);
                    sum = sum.wrapping_add((a - zero_a) * (b - zero_b));
                }
                *y = finish(sum);
            }
            Some(())
        })
    }
}
