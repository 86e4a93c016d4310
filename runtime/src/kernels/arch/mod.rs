//! Sums of products on each instruction set, and all of the project's unsafe code.
//!
//! An instruction set is one file here and one arm of [`run`]. It knows no operator: kernels are
//! generic over [`Isa`], and every `Isa` gives the bits of [`scalar::Scalar`], because sums of int8
//! products in i32 that wrap have the same value in any order.

#[cfg(niwaki_arm_dsp)]
mod arm_dsp;
mod scalar;
#[cfg(all(target_arch = "wasm32", target_feature = "simd128"))]
mod wasm_simd;
#[cfg(target_arch = "x86_64")]
mod x86;

use crate::numerics::OutputStage;

/// Output channels that are summed together.
pub(crate) const CHANNELS: usize = 4;

/// A rectangle of products: `rows` runs of `len` elements, the beginnings of two neighbouring runs
/// `x_stride` elements of input and `w_stride` of weights apart.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Runs {
    pub(crate) rows: usize,
    pub(crate) len: usize,
    pub(crate) x_stride: usize,
    pub(crate) w_stride: usize,
}

impl Runs {
    /// One run.
    #[inline(always)]
    pub(crate) fn one(len: usize) -> Self {
        Self {
            rows: 1,
            len,
            x_stride: 0,
            w_stride: 0,
        }
    }
}

/// For kernels that work with pointers.
#[cfg(any(niwaki_arm_dsp, target_arch = "x86_64"))]
impl Runs {
    /// How many elements lie between the first and the end of the last run; `None` when that is
    /// more than a `usize` holds.
    #[inline(always)]
    fn reach(&self, stride: usize) -> Option<usize> {
        match self.rows.checked_sub(1) {
            Some(steps) if self.len > 0 => steps.checked_mul(stride)?.checked_add(self.len),
            _ => Some(0),
        }
    }

    /// Whether all runs lie inside all of these slices. What the unsafe kernels rely on.
    #[inline(always)]
    fn fit(&self, x: &[&[i8]], w: &[&[i8]]) -> bool {
        let inside = |stride: usize, slices: &[&[i8]]| {
            let shortest = slices.iter().map(|slice| slice.len()).min();
            self.reach(stride)
                .zip(shortest)
                .is_some_and(|(reach, shortest)| reach <= shortest)
        };
        inside(self.x_stride, x) && inside(self.w_stride, w)
    }
}

/// The taps of a depthwise window: `rows` x `columns` vectors of channels.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Taps2d {
    pub(crate) rows: usize,
    pub(crate) columns: usize,
    /// Elements of input from a row to the next, and from a column to the next.
    pub(crate) x_stride: [usize; 2],
    /// The same for the weights.
    pub(crate) w_stride: [usize; 2],
}

/// For kernels that work with pointers.
#[cfg(any(niwaki_arm_dsp, target_arch = "x86_64"))]
impl Taps2d {
    /// Elements from the first of the first tap to the end of the last, for so many channels.
    #[inline(always)]
    fn reach(&self, [row, column]: [usize; 2], channels: usize) -> Option<usize> {
        let (Some(rows), Some(columns)) = (self.rows.checked_sub(1), self.columns.checked_sub(1))
        else {
            return Some(0);
        };
        let down = rows.checked_mul(row)?;
        let along = columns.checked_mul(column)?;
        down.checked_add(along)?.checked_add(channels)
    }

    /// Whether all taps lie inside slices of these lengths.
    #[inline(always)]
    fn fit(&self, channels: usize, x: usize, w: usize) -> bool {
        self.reach(self.x_stride, channels)
            .is_some_and(|reach| reach <= x)
            && self
                .reach(self.w_stride, channels)
                .is_some_and(|reach| reach <= w)
    }
}

/// An instruction set.
pub(crate) trait Isa {
    /// Adds to `sums[p][c]` the products of input `x[p]` and weights `w[c]` over all runs. `None`
    /// when a run leaves its slice.
    fn dots<const P: usize>(
        runs: &Runs,
        x: [&[i8]; P],
        w: [&[i8]; CHANNELS],
        sums: &mut [[i32; CHANNELS]; P],
    ) -> Option<()>;

    /// Adds to `sums[c]` the products of input and weights at channel `c` of every tap. `None` when
    /// a tap leaves its slice.
    fn depthwise(taps: &Taps2d, x: &[i8], w: &[i8], sums: &mut [i32]) -> Option<()>;

    /// [`OutputStage::requantize`], for multipliers that are finite, as the check at load wants them.
    #[inline(always)]
    fn requantize(stage: &OutputStage, sum: i32, multiplier: f32) -> i8 {
        stage.requantize(sum, multiplier)
    }
}

/// Work that is generic over the instruction set.
pub(crate) trait Job {
    /// Does it. To be `#[inline(always)]`, so that it is compiled for the instruction set that
    /// calls it.
    fn on<I: Isa>(self) -> Option<()>;
}

/// Does the job on the best instruction set that this machine has.
#[inline(always)]
pub(crate) fn run(job: impl Job) -> Option<()> {
    #[cfg(niwaki_arm_dsp)]
    return job.on::<arm_dsp::ArmDsp>();
    #[cfg(all(target_arch = "wasm32", target_feature = "simd128"))]
    return job.on::<wasm_simd::WasmSimd>();
    #[cfg(target_arch = "x86_64")]
    return x86::run(job);
    #[cfg(not(any(
        niwaki_arm_dsp,
        target_arch = "x86_64",
        all(target_arch = "wasm32", target_feature = "simd128")
    )))]
    job.on::<scalar::Scalar>()
}
