//! Random work for an instruction set and for the scalar loops, which have to agree: for homes
//! where nothing else can call the kernels with more than what models hold.

use core::ops::Range;

use super::scalar::Scalar;
use super::sparse::{self, BAND, BLOCK, GROUP, SparseIsa, SparseRows};
use super::{Filters, Isa, Job, PIXELS, SUMS, Taps2d, Workspace, run};
use crate::Xorshift32;
use crate::numerics::OutputStage;

/// Bytes that inputs and weights are cut out of.
const BYTES: usize = 2048;

/// Elements of a window that every instruction set has room for, with as many pixels as there are.
const PIECE: usize = if cfg!(niwaki_thumb1) { 40 } else { 144 };

/// Results of a draw, at most.
const RESULTS: usize = 512;

/// The first of these seeds for which the best instruction set of this machine and the scalar loops
/// give different results, or one of them none.
pub(crate) fn first_difference(seeds: Range<u32>) -> Option<u32> {
    let mut results = [Results::new(), Results::new()];
    for seed in seeds {
        let [best, scalar] = &mut results;
        (best.len, scalar.len) = (0, 0);
        let drawn = run(Draw(seed, best))
            .and_then(|()| Draw(seed, scalar).on::<Scalar>())
            .and_then(|()| draw_sparse::<sparse::Best>(seed, best))
            .and_then(|()| draw_sparse::<Scalar>(seed, scalar));
        let same = best.values.get(..best.len) == scalar.values.get(..scalar.len);
        if drawn.is_none() || !same || best.len == 0 {
            return Some(seed);
        }
    }
    None
}

/// What an instruction set gave.
struct Results {
    values: [i32; RESULTS],
    len: usize,
}

impl Results {
    fn new() -> Self {
        Self {
            values: [0; RESULTS],
            len: 0,
        }
    }

    fn extend(&mut self, values: impl IntoIterator<Item = i32>) -> Option<()> {
        for value in values {
            *self.values.get_mut(self.len)? = value;
            self.len += 1;
        }
        Some(())
    }
}

/// One call of each function of an instruction set, with arguments that a seed gives.
struct Draw<'r>(u32, &'r mut Results);

impl Job for Draw<'_> {
    #[inline(always)]
    fn on<I: Isa>(self) -> Option<()> {
        let Self(seed, results) = self;
        let mut random = Xorshift32::new(seed);
        let mut below = |end: usize| (random.next_u32() as usize).checked_rem(end).unwrap_or(0);
        // The ends of the range, where sums overflow first, or anything.
        let is_extreme = below(2) == 0;
        // Weights of whole words have to begin at them.
        let mut words = [[0u32; BYTES / 4]; 2];
        let bytes: &mut [[i8; BYTES]; 2] = bytemuck::cast_mut(&mut words);
        for byte in bytes.as_flattened_mut() {
            let any = below(256) as u8 as i8;
            *byte = if !is_extreme {
                any
            } else if any < 0 {
                -128
            } else {
                127
            };
        }
        let [x, w] = &*bytes;
        let stage = |below: &mut dyn FnMut(usize) -> usize| {
            let zero_point = below(256) as i32 - 128;
            let low = below(256) as i32 - 128;
            let high = low + below((128 - low) as usize) as i32;
            match below(2) {
                0 => OutputStage::new(zero_point, -128, 127),
                _ => OutputStage::new(zero_point, low, high),
            }
        };

        // Products.
        let pixels = 1 + below(PIXELS);
        // Any lengths and places, or those of whole words.
        let whole = if below(2) == 0 { 1 } else { 8 };
        let to_whole = |n: usize| n.next_multiple_of(whole);
        let (len, outputs) = (to_whole(1 + below(150)), 1 + below(12));
        let filters = Filters {
            weights: w.get(..len * outputs)?,
            len,
            bias: &[],
            multipliers: &[],
            stage: stage(&mut below)?,
        };
        let start = below(len) / whole * whole;
        let end = start + to_whole(1 + below((len - start).min(PIECE)));
        let piece = start..end.min(len);
        let Workspace {
            mut windows,
            mut sums,
            ..
        } = bytemuck::Zeroable::zeroed();
        let mut runs = [[].as_slice(); PIXELS];
        for run in &mut runs {
            *run = x.get(below(1000)..)?.get(..piece.len())?;
        }
        let cut = below(piece.len()) & !3;
        let [mut before, mut behind] = [runs; 2];
        for ((run, before), behind) in runs.iter().zip(&mut before).zip(&mut behind) {
            (*before, *behind) = run.split_at_checked(cut)?;
        }
        I::place(&mut windows, 0, before.get(..pixels)?)?;
        I::place(&mut windows, cut, behind.get(..pixels)?)?;
        let from = below(outputs);
        let channels = from..from + 1 + below(outputs - from);
        let count = channels.len();
        let mut bias = [0; 12];
        for bias in &mut bias {
            *bias = (below(1 << 31) as i32).wrapping_mul(3) >> below(32);
        }
        I::begin(bias.get(..count)?, pixels, &mut sums)?;
        I::products(
            &windows,
            pixels,
            &filters,
            channels,
            piece.clone(),
            &mut sums,
        )?;
        for sums in sums.chunks_exact(SUMS.checked_div(pixels)?.max(1)) {
            results.extend(sums.iter().take(count).copied())?;
        }
        // Weights that end too early are refused.
        let short = Filters {
            weights: w.get(..len * outputs - 1)?,
            ..filters
        };
        let all = outputs - 1..outputs;
        let end = len - 1..len;
        let refused = I::products(&windows, pixels, &short, all, end, &mut sums).is_none();
        results.extend([i32::from(refused)])?;

        // Depthwise windows.
        let taps = Taps2d {
            rows: below(5),
            columns: below(6),
            x_stride: [below(100), below(60)],
            w_stride: [below(100), below(60)],
        };
        let count = below(40);
        let (x, w) = (x.get(below(900)..)?, w.get(below(900)..)?);
        let mut sums = [3; 40];
        I::depthwise(&taps, x, w, sums.get_mut(..count)?)?;
        results.extend(sums)?;

        // Rescale.
        let count = below(40);
        let mut multipliers = [0.0; 40];
        let mut y = [0; 40];
        for (sum, multiplier) in sums.iter_mut().zip(&mut multipliers) {
            *sum = (below(1 << 31) as i32).wrapping_mul(5) >> below(32);
            *multiplier = below(1 << 20) as f32 * [1e-6, 1e-9, 1e-12, 1e3].get(below(4))?;
        }
        let (sums, multipliers) = (sums.get(..count)?, multipliers.get(..count)?);
        I::requantize(&stage(&mut below)?, sums, multipliers, y.get_mut(..count)?)?;
        results.extend(y.map(i32::from))
    }
}

/// Halfwords of sparse weights at most.
const HALFWORDS: usize = 2048;

/// Products with sparse weights that a seed gives.
#[inline(never)]
fn draw_sparse<I: SparseIsa>(seed: u32, results: &mut Results) -> Option<()> {
    let mut random = Xorshift32::new(seed);
    let mut below = |end: usize| (random.next_u32() as usize).checked_rem(end).unwrap_or(0);
    let (len, outputs) = (1 + below(150), 1 + below(20));
    let share = below(17);
    let mut weights = [0u16; HALFWORDS];
    let mut count = 0;
    let mut first = 0;
    while first < outputs {
        for start in (0..len).step_by(BAND) {
            for _ in first..outputs.min(first + GROUP) {
                let map_at = count;
                count += 1;
                for (i, at) in (start..len.min(start + BAND)).step_by(BLOCK).enumerate() {
                    if below(16) >= share {
                        continue;
                    }
                    *weights.get_mut(map_at)? |= 0x8000 >> i;
                    for pair in [at, at + 2] {
                        let mut weight = |k| if k < len { below(256) } else { 0 };
                        let half = weight(pair) | weight(pair + 1) << 8;
                        *weights.get_mut(count)? = half as u16;
                        count += 1;
                    }
                }
            }
        }
        first += GROUP;
    }
    let rows = SparseRows::new(weights.get(..count)?, outputs, len)?;
    let pixels = [1, sparse::PIXELS].get(below(2)).copied()?;
    let mut x = [0i8; BYTES];
    for x in &mut x {
        *x = below(256) as u8 as i8;
    }
    let mut bias = [0i32; GROUP];
    for bias in &mut bias {
        *bias = (below(1 << 31) as i32).wrapping_mul(3) >> below(32);
    }
    let mut workspace: sparse::Workspace = bytemuck::Zeroable::zeroed();
    let mut cursor = rows.cursor();
    while cursor.channels() > 0 {
        let channels = cursor.channels();
        for start in (0..len).step_by(BAND) {
            let mut runs = [[].as_slice(); sparse::PIXELS];
            for (pixel, run) in runs.iter_mut().enumerate() {
                *run = x.get(pixel * len..)?.get(start..len.min(start + BAND))?;
            }
            let sparse::Workspace { bands, sums } = &mut workspace;
            I::place_band(bands, runs.get(..pixels)?)?;
            let bias = (start == 0).then_some(bias.get(..channels)?);
            I::add_blocks(bands, pixels, &mut cursor, bias, sums)?;
        }
        for sums in workspace.sums.chunks_exact(GROUP).take(pixels) {
            results.extend(sums.get(..channels)?.iter().copied())?;
        }
    }
    Some(())
}
