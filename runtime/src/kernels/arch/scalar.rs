//! The reference: any machine, no unsafe code.

use super::{CHANNELS, Isa, Runs, Taps2d};

/// Plain loops.
pub(crate) struct Scalar;

impl Isa for Scalar {
    #[inline(always)]
    fn dots<const P: usize>(
        runs: &Runs,
        x: [&[i8]; P],
        w: [&[i8]; CHANNELS],
        sums: &mut [[i32; CHANNELS]; P],
    ) -> Option<()> {
        for row in 0..runs.rows {
            for (&x, sums) in x.iter().zip(&mut *sums) {
                let x = x.get(row * runs.x_stride..)?.get(..runs.len)?;
                for (w, sum) in w.iter().zip(sums) {
                    let w = w.get(row * runs.w_stride..)?.get(..runs.len)?;
                    *sum = (x.iter().zip(w)).fold(*sum, |sum, (&x, &w)| {
                        sum.wrapping_add(i32::from(x) * i32::from(w))
                    });
                }
            }
        }
        Some(())
    }

    #[inline(always)]
    fn depthwise(taps: &Taps2d, x: &[i8], w: &[i8], sums: &mut [i32]) -> Option<()> {
        for row in 0..taps.rows {
            for column in 0..taps.columns {
                let at = |[down, along]: [usize; 2]| row * down + column * along;
                let x = x.get(at(taps.x_stride)..)?.get(..sums.len())?;
                let w = w.get(at(taps.w_stride)..)?.get(..sums.len())?;
                for ((sum, &x), &w) in sums.iter_mut().zip(x).zip(w) {
                    *sum = sum.wrapping_add(i32::from(x) * i32::from(w));
                }
            }
        }
        Some(())
    }
}
