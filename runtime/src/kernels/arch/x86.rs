//! x86-64: AVX-512 with VNNI, AVX2, and the scalar loops, chosen when the program runs.

#![allow(unsafe_code)]

use core::arch::x86_64::{
    __cpuid_count, __m128i, __m256i, __m512i, _mm_add_epi32, _mm_cvtepi8_epi16, _mm_hadd_epi32,
    _mm_loadl_epi64, _mm_loadu_si128, _mm_mask_storeu_epi8, _mm_packs_epi16, _mm_packs_epi32,
    _mm_storel_epi64, _mm_storeu_si128, _mm_unpackhi_epi32, _mm_unpackhi_epi64, _mm_unpacklo_epi32,
    _mm_unpacklo_epi64, _mm256_add_epi32, _mm256_castsi256_ps, _mm256_castsi256_si128,
    _mm256_cvtepi8_epi16, _mm256_cvtepi8_epi32, _mm256_cvtepi32_ps, _mm256_cvtps_epi32,
    _mm256_extracti128_si256, _mm256_loadu_si256, _mm256_madd_epi16, _mm256_max_ps, _mm256_min_ps,
    _mm256_mul_ps, _mm256_or_si256, _mm256_set1_epi32, _mm256_set1_ps, _mm256_slli_epi32,
    _mm256_srli_epi32, _mm256_storeu_si256, _mm512_add_epi32, _mm512_castsi512_ps,
    _mm512_castsi512_si256, _mm512_cvtepi8_epi32, _mm512_cvtepi32_epi8, _mm512_cvtepi32_ps,
    _mm512_cvtps_epi32, _mm512_dpbusd_epi32, _mm512_extracti64x4_epi64, _mm512_loadu_si512,
    _mm512_maskz_loadu_epi8, _mm512_max_ps, _mm512_min_ps, _mm512_mul_ps, _mm512_or_si512,
    _mm512_set1_epi8, _mm512_set1_epi32, _mm512_set1_ps, _mm512_shuffle_i32x4, _mm512_slli_epi32,
    _mm512_srli_epi32, _mm512_storeu_si512, _mm512_sub_epi32, _mm512_unpackhi_epi32,
    _mm512_unpackhi_epi64, _mm512_unpacklo_epi32, _mm512_unpacklo_epi64, _mm512_xor_si512,
};
use core::sync::atomic::{AtomicU8, Ordering};

use super::Job;
use super::scalar::Scalar;
use super::tiles::{Lanes, Work, rows_by_four};
use crate::numerics::OutputStage;

cpufeatures::new!(avx512, "avx512f", "avx512bw", "avx512vl");
cpufeatures::new!(avx2, "avx2");

/// What [`vnni`] has found: 0 when it was not asked yet.
static VNNI: AtomicU8 = AtomicU8::new(0);

/// Whether there is AVX-512 with VNNI. The crate that tells features apart has no name for it, and to
/// ask the processor takes long on virtual machines: it is asked once.
#[inline(always)]
fn vnni() -> bool {
    match VNNI.load(Ordering::Relaxed) {
        0 => {
            // The crate has asked whether the system keeps the registers.
            let found = avx512::get() && __cpuid_count(7, 0).ecx & 1 << 11 != 0;
            VNNI.store(1 + u8::from(found), Ordering::Relaxed);
            found
        }
        found => found == 2,
    }
}

/// Does the job on the best of the three, without sums of products of their own.
#[inline(always)]
pub(super) fn run(job: impl Job) -> Option<()> {
    if avx512::get() {
        // SAFETY: the processor and the system have all that the function is compiled for.
        unsafe { on_avx512(job) }
    } else if avx2::get() {
        // SAFETY: as above.
        unsafe { on_avx2(job) }
    } else {
        job.on::<Scalar>()
    }
}

/// # Safety
///
/// The processor has to have these features.
#[target_feature(enable = "avx512f,avx512bw,avx512vl")]
unsafe fn on_avx512(job: impl Job) -> Option<()> {
    job.on::<Scalar>()
}

/// # Safety
///
/// The processor has to have this feature.
#[target_feature(enable = "avx2")]
unsafe fn on_avx2(job: impl Job) -> Option<()> {
    job.on::<Scalar>()
}

/// The sets that have tiles.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Set {
    Vnni,
    Avx2,
}

impl Set {
    /// All of them, the best one first.
    #[cfg(test)]
    pub(crate) const ALL: [Self; 2] = [Self::Vnni, Self::Avx2];

    /// Whether this machine has it.
    #[inline(always)]
    pub(crate) fn is_there(self) -> bool {
        match self {
            Self::Vnni => vnni(),
            Self::Avx2 => avx2::get(),
        }
    }

    /// The best that this machine has.
    #[inline(always)]
    pub(super) fn best() -> Option<Self> {
        #[cfg(test)]
        if let Some(forced) = super::FORCED.get() {
            return forced;
        }
        if vnni() {
            Some(Self::Vnni)
        } else {
            avx2::get().then_some(Self::Avx2)
        }
    }

    /// Does the work on it; `None` when it is not there.
    #[inline(always)]
    pub(super) fn run(self, work: impl Work) -> Option<()> {
        if !self.is_there() {
            return None;
        }
        match self {
            // SAFETY: the processor and the system have all that the function is compiled for.
            Self::Vnni => unsafe { tiles_on_vnni(work) },
            // SAFETY: as above.
            Self::Avx2 => unsafe { tiles_on_avx2(work) },
        }
    }
}

/// # Safety
///
/// The processor has to have these features.
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vnni")]
unsafe fn tiles_on_vnni(work: impl Work) -> Option<()> {
    work.on::<Vnni>()
}

/// # Safety
///
/// The processor has to have this feature.
#[target_feature(enable = "avx2")]
unsafe fn tiles_on_avx2(work: impl Work) -> Option<()> {
    work.on::<Avx2>()
}

/// AVX2: words of two int16.
struct Avx2;

/// AVX-512 with VNNI: words of four int8. Its products are those of bytes without a sign, of windows,
/// and int8, of weights: windows hold the input 128 higher, which biases take out again.
struct Vnni;

/// Four words of four rows each, word by word.
#[inline]
#[target_feature(enable = "sse2")]
fn transposed([a, b, c, d]: [__m128i; 4]) -> [__m128i; 4] {
    let low = [_mm_unpacklo_epi32(a, b), _mm_unpacklo_epi32(c, d)];
    let high = [_mm_unpackhi_epi32(a, b), _mm_unpackhi_epi32(c, d)];
    [
        _mm_unpacklo_epi64(low[0], low[1]),
        _mm_unpackhi_epi64(low[0], low[1]),
        _mm_unpacklo_epi64(high[0], high[1]),
        _mm_unpackhi_epi64(high[0], high[1]),
    ]
}

/// The sums of the lanes of four vectors.
#[inline]
#[target_feature(enable = "avx2")]
fn totals(vectors: [__m256i; 4]) -> [i32; 4] {
    let [a, b, c, d] =
        vectors.map(|v| _mm_add_epi32(_mm256_castsi256_si128(v), _mm256_extracti128_si256::<1>(v)));
    let totals = _mm_hadd_epi32(_mm_hadd_epi32(a, b), _mm_hadd_epi32(c, d));
    let mut sums = [0; 4];
    // SAFETY: the array is of four i32.
    unsafe { _mm_storeu_si128(sums.as_mut_ptr().cast(), totals) };
    sums
}

impl Lanes for Avx2 {
    type V = __m256i;
    const LANES: usize = 8;
    const TAPS: usize = 2;
    const STEP: usize = 16;
    const WIDE: bool = false;
    const COMPACT: bool = false;
    const EXCESS: i32 = 0;
    const DIRECT_EXCESS: i32 = 0;

    #[inline(always)]
    unsafe fn all(value: u32) -> __m256i {
        // SAFETY: the feature is there.
        unsafe { _mm256_set1_epi32(value.cast_signed()) }
    }

    #[inline(always)]
    unsafe fn load(from: *const u32) -> __m256i {
        // SAFETY: eight words are there.
        unsafe { _mm256_loadu_si256(from.cast()) }
    }

    #[inline(always)]
    unsafe fn splat(from: *const u32) -> __m256i {
        // SAFETY: a word is there.
        let word = unsafe { from.cast::<i32>().read_unaligned() };
        // SAFETY: the feature is there.
        unsafe { _mm256_set1_epi32(word) }
    }

    #[inline(always)]
    unsafe fn store(value: __m256i, to: *mut u32) {
        // SAFETY: there is room for eight words.
        unsafe { _mm256_storeu_si256(to.cast(), value) }
    }

    #[inline(always)]
    unsafe fn dot(sums: __m256i, x: __m256i, w: __m256i) -> __m256i {
        // SAFETY: the feature is there.
        let products = unsafe { _mm256_madd_epi16(x, w) };
        // SAFETY: the feature is there.
        unsafe { _mm256_add_epi32(sums, products) }
    }

    #[inline(always)]
    unsafe fn bytes(from: *const i8) -> __m256i {
        // SAFETY: eight bytes are there.
        let bytes = unsafe { _mm_loadl_epi64(from.cast()) };
        // SAFETY: the feature is there.
        unsafe { _mm256_cvtepi8_epi32(bytes) }
    }

    #[inline(always)]
    unsafe fn push(words: __m256i, bytes: __m256i) -> __m256i {
        // SAFETY: the feature is there.
        let low = unsafe { _mm256_srli_epi32::<16>(words) };
        // SAFETY: the feature is there.
        let high = unsafe { _mm256_slli_epi32::<16>(bytes) };
        // SAFETY: the feature is there.
        unsafe { _mm256_or_si256(low, high) }
    }

    #[inline(always)]
    unsafe fn flip(words: __m256i) -> __m256i {
        words
    }

    #[inline(always)]
    unsafe fn correct(sums: __m256i, _: __m256i) -> __m256i {
        sums
    }

    #[inline(always)]
    unsafe fn requantize(sums: __m256i, multipliers: __m256i, stage: &OutputStage, to: *mut i8) {
        // SAFETY: the feature is there, and room for eight bytes.
        unsafe { requantize_avx2(sums, multipliers, stage, to) }
    }

    #[inline(always)]
    unsafe fn transpose(rows: [*const i8; 4], to: *mut u32, pitch: usize) {
        // SAFETY: the feature is there, four words of int16 in each row, and room for what is written.
        unsafe { transpose_avx2(rows, to, pitch) }
    }

    #[inline(always)]
    unsafe fn direct(sums: __m256i, x: *const i8, w: *const i8) -> __m256i {
        // SAFETY: sixteen bytes are there.
        let x = unsafe { load_16(x) };
        // SAFETY: sixteen bytes are there.
        let w = unsafe { load_16(w) };
        // SAFETY: the feature is there.
        unsafe { Self::dot(sums, x, w) }
    }

    #[inline(always)]
    unsafe fn add(a: __m256i, b: __m256i) -> __m256i {
        // SAFETY: the feature is there.
        unsafe { _mm256_add_epi32(a, b) }
    }

    #[inline(always)]
    unsafe fn rows(x: *const i8, w: *const i8, len: usize, rows: usize) -> __m256i {
        // SAFETY: the caller's.
        unsafe { rows_by_four::<Self>(x, w, len, rows) }
    }

    #[inline(always)]
    unsafe fn totals(sums: [__m256i; 4]) -> [i32; 4] {
        // SAFETY: the feature is there.
        unsafe { totals(sums) }
    }

    #[inline(always)]
    fn element(x: i8) -> u32 {
        i32::from(x).cast_unsigned() & 0xffff
    }

    #[inline(always)]
    fn convert(from: &[i8], to: &mut [u8]) {
        let (to, _) = to.as_chunks_mut::<2>();
        for (to, &from) in to.iter_mut().zip(from) {
            *to = i16::from(from).to_le_bytes();
        }
    }
}

/// Sixteen int8 as int16.
///
/// # Safety
///
/// `from` has to be the first of sixteen.
#[inline]
#[target_feature(enable = "avx2")]
unsafe fn load_16(from: *const i8) -> __m256i {
    // SAFETY: the caller's.
    _mm256_cvtepi8_epi16(unsafe { _mm_loadu_si128(from.cast()) })
}

/// # Safety
///
/// Eight int8 have to be there in each row, and room for four vectors of four words.
#[inline]
#[target_feature(enable = "avx2")]
unsafe fn transpose_avx2(rows: [*const i8; 4], to: *mut u32, pitch: usize) {
    let [a, b, c, d] = rows;
    // SAFETY: the caller's.
    let a = _mm_cvtepi8_epi16(unsafe { _mm_loadl_epi64(a.cast()) });
    // SAFETY: the caller's.
    let b = _mm_cvtepi8_epi16(unsafe { _mm_loadl_epi64(b.cast()) });
    // SAFETY: the caller's.
    let c = _mm_cvtepi8_epi16(unsafe { _mm_loadl_epi64(c.cast()) });
    // SAFETY: the caller's.
    let d = _mm_cvtepi8_epi16(unsafe { _mm_loadl_epi64(d.cast()) });
    for (word, lanes) in transposed([a, b, c, d]).into_iter().enumerate() {
        // SAFETY: the caller's.
        unsafe { _mm_storeu_si128(to.wrapping_add(word * pitch).cast(), lanes) };
    }
}

/// # Safety
///
/// There has to be room for eight int8.
#[inline]
#[target_feature(enable = "avx2")]
unsafe fn requantize_avx2(sums: __m256i, multipliers: __m256i, stage: &OutputStage, to: *mut i8) {
    let [low, high] = stage.bounds();
    let (low, high) = (_mm256_set1_ps(low), _mm256_set1_ps(high));
    let real = _mm256_mul_ps(_mm256_cvtepi32_ps(sums), _mm256_castsi256_ps(multipliers));
    // Inside the bounds the conversion is exact, and rounds half to even.
    let real = _mm256_min_ps(_mm256_max_ps(real, low), high);
    let zero_point = _mm256_set1_epi32(stage.zero_point());
    let whole = _mm256_add_epi32(_mm256_cvtps_epi32(real), zero_point);
    let (low, high) = (
        _mm256_castsi256_si128(whole),
        _mm256_extracti128_si256::<1>(whole),
    );
    let words = _mm_packs_epi32(low, high);
    let bytes = _mm_packs_epi16(words, words);
    // SAFETY: the caller's.
    unsafe { _mm_storel_epi64(to.cast(), bytes) };
}

impl Lanes for Vnni {
    type V = __m512i;
    const LANES: usize = 16;
    const TAPS: usize = 4;
    const STEP: usize = 64;
    const WIDE: bool = true;
    const COMPACT: bool = false;
    const EXCESS: i32 = 128;
    const DIRECT_EXCESS: i32 = 128;

    #[inline(always)]
    unsafe fn all(value: u32) -> __m512i {
        // SAFETY: the feature is there.
        unsafe { _mm512_set1_epi32(value.cast_signed()) }
    }

    #[inline(always)]
    unsafe fn load(from: *const u32) -> __m512i {
        // SAFETY: sixteen words are there.
        unsafe { _mm512_loadu_si512(from.cast()) }
    }

    #[inline(always)]
    unsafe fn splat(from: *const u32) -> __m512i {
        // SAFETY: a word is there.
        let word = unsafe { from.cast::<i32>().read_unaligned() };
        // SAFETY: the feature is there.
        unsafe { _mm512_set1_epi32(word) }
    }

    #[inline(always)]
    unsafe fn store(value: __m512i, to: *mut u32) {
        // SAFETY: there is room for sixteen words.
        unsafe { _mm512_storeu_si512(to.cast(), value) }
    }

    #[inline(always)]
    unsafe fn dot(sums: __m512i, x: __m512i, w: __m512i) -> __m512i {
        // SAFETY: the feature is there.
        unsafe { _mm512_dpbusd_epi32(sums, x, w) }
    }

    #[inline(always)]
    unsafe fn bytes(from: *const i8) -> __m512i {
        // SAFETY: sixteen bytes are there.
        let bytes = unsafe { _mm_loadu_si128(from.cast()) };
        // SAFETY: the feature is there.
        unsafe { _mm512_cvtepi8_epi32(bytes) }
    }

    #[inline(always)]
    unsafe fn push(words: __m512i, bytes: __m512i) -> __m512i {
        // SAFETY: the feature is there.
        let low = unsafe { _mm512_srli_epi32::<8>(words) };
        // SAFETY: the feature is there.
        let high = unsafe { _mm512_slli_epi32::<24>(bytes) };
        // SAFETY: the feature is there.
        unsafe { _mm512_or_si512(low, high) }
    }

    #[inline(always)]
    unsafe fn flip(words: __m512i) -> __m512i {
        // SAFETY: the feature is there.
        let signs = unsafe { _mm512_set1_epi8(-128) };
        // SAFETY: the feature is there.
        unsafe { _mm512_xor_si512(words, signs) }
    }

    #[inline(always)]
    unsafe fn correct(sums: __m512i, total: __m512i) -> __m512i {
        // SAFETY: the feature is there.
        let excess = unsafe { _mm512_slli_epi32::<7>(total) };
        // SAFETY: the feature is there.
        unsafe { _mm512_sub_epi32(sums, excess) }
    }

    #[inline(always)]
    unsafe fn requantize(sums: __m512i, multipliers: __m512i, stage: &OutputStage, to: *mut i8) {
        // SAFETY: the feature is there, and room for sixteen bytes.
        unsafe { requantize_vnni(sums, multipliers, stage, to, !0) }
    }

    #[inline(always)]
    unsafe fn requantize_some(
        sums: __m512i,
        multipliers: __m512i,
        stage: &OutputStage,
        to: *mut i8,
        count: usize,
    ) {
        let mask = ((1u32 << count) - 1) as u16;
        // SAFETY: the feature is there, and room for so many bytes.
        unsafe { requantize_vnni(sums, multipliers, stage, to, mask) }
    }

    #[inline(always)]
    unsafe fn transpose(rows: [*const i8; 4], to: *mut u32, pitch: usize) {
        // SAFETY: the feature is there, sixteen int8 in each row, and room for what is written.
        unsafe { transpose_vnni(rows, to, pitch) }
    }

    #[inline(always)]
    unsafe fn direct(sums: __m512i, x: *const i8, w: *const i8) -> __m512i {
        // SAFETY: 64 bytes are there.
        let x = unsafe { _mm512_loadu_si512(x.cast()) };
        // SAFETY: 64 bytes are there.
        let w = unsafe { _mm512_loadu_si512(w.cast()) };
        // SAFETY: the feature is there.
        let w = unsafe { Self::flip(w) };
        // SAFETY: the feature is there.
        unsafe { _mm512_dpbusd_epi32(sums, w, x) }
    }

    #[inline(always)]
    unsafe fn add(a: __m512i, b: __m512i) -> __m512i {
        // SAFETY: the feature is there.
        unsafe { _mm512_add_epi32(a, b) }
    }

    #[inline(always)]
    unsafe fn rows(x: *const i8, w: *const i8, len: usize, rows: usize) -> __m512i {
        // SAFETY: the features are there, and the elements.
        unsafe { rows_vnni(x, w, len, rows) }
    }

    #[inline(always)]
    unsafe fn totals(sums: [__m512i; 4]) -> [i32; 4] {
        // SAFETY: the feature is there.
        unsafe { totals_vnni(sums) }
    }

    #[inline(always)]
    fn element(x: i8) -> u32 {
        u32::from(x.cast_unsigned() ^ 0x80)
    }

    #[inline(always)]
    fn convert(from: &[i8], to: &mut [u8]) {
        for (to, &from) in to.iter_mut().zip(from) {
            *to = from.cast_unsigned() ^ 0x80;
        }
    }
}

/// # Safety
///
/// Sixteen int8 have to be there in each row, and room for four vectors of four words.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vl")]
unsafe fn transpose_vnni(rows: [*const i8; 4], to: *mut u32, pitch: usize) {
    let [a, b, c, d] = rows;
    // SAFETY: the caller's.
    let a = unsafe { _mm_loadu_si128(a.cast()) };
    // SAFETY: the caller's.
    let b = unsafe { _mm_loadu_si128(b.cast()) };
    // SAFETY: the caller's.
    let c = unsafe { _mm_loadu_si128(c.cast()) };
    // SAFETY: the caller's.
    let d = unsafe { _mm_loadu_si128(d.cast()) };
    for (word, lanes) in transposed([a, b, c, d]).into_iter().enumerate() {
        // SAFETY: the caller's.
        unsafe { _mm_storeu_si128(to.wrapping_add(word * pitch).cast(), lanes) };
    }
}

/// # Safety
///
/// There has to be room for as many int8 as the mask has bits.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vl")]
unsafe fn requantize_vnni(
    sums: __m512i,
    multipliers: __m512i,
    stage: &OutputStage,
    to: *mut i8,
    mask: u16,
) {
    let [low, high] = stage.bounds();
    let (low, high) = (_mm512_set1_ps(low), _mm512_set1_ps(high));
    let real = _mm512_mul_ps(_mm512_cvtepi32_ps(sums), _mm512_castsi512_ps(multipliers));
    // Inside the bounds the conversion is exact, and rounds half to even.
    let real = _mm512_min_ps(_mm512_max_ps(real, low), high);
    let zero_point = _mm512_set1_epi32(stage.zero_point());
    let whole = _mm512_add_epi32(_mm512_cvtps_epi32(real), zero_point);
    let bytes = _mm512_cvtepi32_epi8(whole);
    if mask == !0 {
        // SAFETY: the caller's.
        unsafe { _mm_storeu_si128(to.cast(), bytes) };
    } else {
        // SAFETY: the caller's.
        unsafe { _mm_mask_storeu_epi8(to, mask, bytes) };
    }
}

#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vl")]
fn totals_vnni(sums: [__m512i; 4]) -> [i32; 4] {
    totals(sums.map(|v| {
        let high = _mm512_extracti64x4_epi64::<1>(v);
        _mm256_add_epi32(_mm512_castsi512_si256(v), high)
    }))
}

/// Two vectors whose neighbouring lanes, added, become those of one.
#[inline]
#[target_feature(enable = "avx512f")]
fn pair_words(a: __m512i, b: __m512i) -> __m512i {
    _mm512_add_epi32(_mm512_unpacklo_epi32(a, b), _mm512_unpackhi_epi32(a, b))
}

/// The same for pairs of lanes.
#[inline]
#[target_feature(enable = "avx512f")]
fn pair_doubles(a: __m512i, b: __m512i) -> __m512i {
    _mm512_add_epi32(_mm512_unpacklo_epi64(a, b), _mm512_unpackhi_epi64(a, b))
}

/// The same for fours of lanes.
#[inline]
#[target_feature(enable = "avx512f")]
fn pair_fours(a: __m512i, b: __m512i) -> __m512i {
    let even = _mm512_shuffle_i32x4::<0b10_00_10_00>(a, b);
    let odd = _mm512_shuffle_i32x4::<0b11_01_11_01>(a, b);
    _mm512_add_epi32(even, odd)
}

/// [`Lanes::rows`]. Sixteen sums are variables, as those of the tiles.
///
/// # Safety
///
/// `len` elements have to be there at `x`, and as many for each of `rows` at `w`.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vnni")]
unsafe fn rows_vnni(x: *const i8, w: *const i8, len: usize, rows: usize) -> __m512i {
    macro_rules! rows {
        ($($sum:ident $row:literal),*) => {{
            let zero = _mm512_set1_epi32(0);
            let signs = _mm512_set1_epi8(-128);
            $(let mut $sum = zero;)*
            // Where there are no more rows, the last one again.
            let last = rows - 1;
            let mut at = 0;
            while at + 64 <= len {
                // SAFETY: the step ends at or before the end.
                let x = unsafe { _mm512_loadu_si512(x.wrapping_add(at).cast()) };
                $(
                    let row = w.wrapping_add(last.min($row) * len + at);
                    // SAFETY: the step ends at or before the end of the row.
                    let weights = unsafe { _mm512_loadu_si512(row.cast()) };
                    $sum = _mm512_dpbusd_epi32($sum, _mm512_xor_si512(weights, signs), x);
                )*
                at += 64;
            }
            if at < len {
                let mask = (1u64 << (len - at)) - 1;
                // SAFETY: the mask ends where the elements do.
                let x = unsafe { _mm512_maskz_loadu_epi8(mask, x.wrapping_add(at)) };
                $(
                    let row = w.wrapping_add(last.min($row) * len + at);
                    // SAFETY: the mask ends where the row does.
                    let weights = unsafe { _mm512_maskz_loadu_epi8(mask, row) };
                    $sum = _mm512_dpbusd_epi32($sum, _mm512_xor_si512(weights, signs), x);
                )*
            }
            [$($sum),*]
        }};
    }
    let [a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p] = rows!(
        s0 0, s1 1, s2 2, s3 3, s4 4, s5 5, s6 6, s7 7, s8 8, s9 9, s10 10, s11 11, s12 12, s13 13,
        s14 14, s15 15
    );
    let first = pair_doubles(pair_words(a, b), pair_words(c, d));
    let second = pair_doubles(pair_words(e, f), pair_words(g, h));
    let third = pair_doubles(pair_words(i, j), pair_words(k, l));
    let fourth = pair_doubles(pair_words(m, n), pair_words(o, p));
    pair_fours(pair_fours(first, second), pair_fours(third, fourth))
}
