//! What the words of parameters mean, as `FORMAT.md`, section 6, has it, and which values section
//! 11 lets them have.

use niwaki::Rule;

/// The parameters' window: every number even, so that a product which grows by a multiple of 2³²
/// looks unchanged to arithmetic in 32 bits.
const WINDOW: [u32; 15] = [2, 8, 4, 4, 2, 4, 2, 2, 2, 1, 2, 1, 0, 1, 1];
/// Input pixels, output pixels and taps of it.
pub const PIXELS_IN: usize = 2 * 8 * 4;
pub const PIXELS_OUT: usize = 2 * 4 * 2;
pub const TAPS: usize = 4 * 2;

/// Dimensions of every walk.
const DIMS: [u32; 6] = [1, 1, 1, 2, 3, 4];
/// Its steps.
pub const STEPS: usize = 2 * 3 * 4;

/// Length of the data section, which is all zero: every blob of a valid artifact starts with it.
pub const DATA: usize = 2048;

/// One or more words of parameters.
#[derive(Clone, Copy)]
pub enum Field {
    /// The window of a convolution, 15 words.
    Window,
    /// The window of a pool, 15 words.
    PoolWindow,
    /// A number of elements or channels that decides how long a tensor is.
    Size(u32),
    ZeroPoint,
    /// `low` and `high` of an int8 operator.
    Int8Range,
    /// `low` and `high` of a float operator, which a reader does not look at.
    FloatRange,
    Scale,
    /// A number of classes, of which the data section, all zero, has the first.
    Classes,
    /// How many halfwords sparse weights have.
    Halfwords(u32),
    /// Any value will do.
    Free,
    /// That many elements of that many bytes in the data section.
    Blob(usize, usize),
    /// That many floats in the data section that must not be negative.
    Multipliers(usize),
    /// That many int32 in the data section, apart from the floats of `Multipliers`.
    Zeros(usize),
    /// A walk through a tensor with these strides.
    Walk([u32; 6]),
    /// Two walks with the same dimensions.
    Walks([u32; 6], [u32; 6]),
    /// `outer` of Concat, of inputs of 8 and 12 elements.
    Outer,
    /// `start` of Pad, where the walk ends with the output's last element.
    Start(u32),
}

/// Other values for some words of a field, and the rule that they break, if they do.
pub struct Change {
    /// Number of the word in the field, and its new value.
    pub words: Vec<(usize, u32)>,
    /// Number of a float in the data section, and its new value.
    pub float: Option<(usize, f32)>,
    pub verdict: Result<(), Rule>,
}

type Verdict = Result<(), Rule>;

const FINE: Verdict = Ok(());
const OUT_OF_RANGE: Verdict = Err(Rule::Parameter);
const MISMATCH: Verdict = Err(Rule::ShapeMismatch);
const NO_DATA: Verdict = Err(Rule::Data);

fn change(words: &[(usize, u32)], verdict: Verdict) -> Change {
    Change {
        words: words.to_vec(),
        float: None,
        verdict,
    }
}

/// One change for each value of word 0.
fn values<const N: usize>(verdict: Verdict, values: [u32; N]) -> impl Iterator<Item = Change> {
    values
        .into_iter()
        .map(move |value| change(&[(0, value)], verdict))
}

impl Field {
    /// Its words in a valid record.
    pub fn words(self) -> Vec<u32> {
        match self {
            Self::Window | Self::PoolWindow => WINDOW.to_vec(),
            Self::Size(value) | Self::Start(value) | Self::Halfwords(value) => vec![value],
            Self::ZeroPoint => vec![5],
            Self::Int8Range => [-100i32, 100].map(i32::cast_unsigned).to_vec(),
            Self::FloatRange => [-1.0f32, 6.0].map(f32::to_bits).to_vec(),
            Self::Scale => vec![0.5f32.to_bits()],
            Self::Free | Self::Classes => vec![1],
            Self::Blob(..) | Self::Multipliers(_) => vec![0],
            Self::Zeros(_) => vec![DATA as u32 / 2],
            Self::Walk(strides) => [DIMS, strides].concat(),
            Self::Walks(a, b) => [DIMS, a, DIMS, b].concat(),
            Self::Outer => vec![2],
        }
    }

    /// Values on both sides of every limit.
    pub fn changes(self) -> Vec<Change> {
        match self {
            Self::Window => {
                let mut changes = window();
                // Of a convolution, the weights grow with the kernel.
                changes.push(change(&[(5, 1 << 12), (6, 1 << 11)], NO_DATA));
                changes
            }
            Self::PoolWindow => {
                let mut changes = window();
                changes.push(change(&[(5, 1 << 12), (6, 1 << 11)], OUT_OF_RANGE));
                changes.push(change(&[(5, 1 << 12), (6, (1 << 11) - 1)], FINE));
                changes
            }
            Self::Size(value) => values(OUT_OF_RANGE, [0, value + (1 << 31)])
                .chain(values(MISMATCH, [value + 1]))
                .collect(),
            Self::ZeroPoint => {
                let beyond = [-129, 128, 5 + 256, i32::MIN, i32::MAX];
                values(OUT_OF_RANGE, beyond.map(i32::cast_unsigned))
                    .chain(values(FINE, [-128i32, 127].map(i32::cast_unsigned)))
                    .collect()
            }
            Self::Int8Range => [
                (-129, 0, OUT_OF_RANGE),
                (0, 128, OUT_OF_RANGE),
                (1, 0, OUT_OF_RANGE),
                (127, -128, OUT_OF_RANGE),
                (i32::MIN, i32::MAX, OUT_OF_RANGE),
                (-128, 127, FINE),
                (-128, -128, FINE),
                (127, 127, FINE),
            ]
            .map(|(low, high, verdict)| {
                let [low, high] = [low, high].map(i32::cast_unsigned);
                change(&[(0, low), (1, high)], verdict)
            })
            .into(),
            Self::FloatRange => [(f32::NAN, f32::NAN), (1.0, 0.0)]
                .map(|(low, high)| change(&[(0, low.to_bits()), (1, high.to_bits())], FINE))
                .into(),
            Self::Scale => {
                let beyond = [0.0, -0.0, -1.0, f32::NAN, f32::INFINITY, f32::NEG_INFINITY];
                values(OUT_OF_RANGE, beyond.map(f32::to_bits))
                    .chain(values(FINE, [1, f32::MAX.to_bits()]))
                    .collect()
            }
            Self::Classes => values(OUT_OF_RANGE, [0, u32::MAX])
                .chain(values(FINE, [2]))
                .collect(),
            Self::Halfwords(value) => {
                values(NO_DATA, [0, value - 1, value + 1, u32::MAX]).collect()
            }
            Self::Free => values(FINE, [0, u32::MAX]).collect(),
            Self::Blob(size, len) => blob(size, len),
            Self::Zeros(len) => blob(4, len),
            Self::Multipliers(len) => multipliers(len),
            Self::Walk(strides) => walks(&[strides]),
            Self::Walks(a, b) => {
                let mut changes = walks(&[a, b]);
                changes.extend([0, 12].map(|dims| change(&[(dims, 2)], MISMATCH)));
                changes
            }
            Self::Outer => values(MISMATCH, [0, 3, 8, 12, u32::MAX])
                .chain(values(FINE, [1, 4]))
                .collect(),
            Self::Start(value) => values(MISMATCH, [value + 1, u32::MAX])
                .chain(values(FINE, [0]))
                .collect(),
        }
    }
}

fn window() -> Vec<Change> {
    let mut changes = Vec::new();
    for (word, value) in WINDOW.into_iter().take(11).enumerate() {
        changes.push(change(&[(word, 0)], OUT_OF_RANGE));
        changes.push(change(&[(word, value + (1 << 31))], OUT_OF_RANGE));
    }
    // Batch, input and output decide how long the tensors are.
    for (word, value) in WINDOW.into_iter().take(5).enumerate() {
        changes.push(change(&[(word, value + 1)], MISMATCH));
    }
    for axis in 0..2 {
        let [input, out, kernel, stride, dilation, before, behind] =
            [1, 3, 5, 7, 9, 11, 13].map(|word| word + axis);
        let at = |word: usize| WINDOW[word];
        let span = at(out) * at(stride) + at(kernel) * at(dilation);
        let room = i32::MAX.cast_unsigned() - span - at(input) - at(before) - at(behind);
        let counts = [
            (before, 1),
            (behind, 1),
            (stride, at(out)),
            (dilation, at(kernel)),
        ];
        for (word, times) in counts {
            let largest = at(word) + room / times;
            changes.push(change(&[(word, largest)], FINE));
            changes.push(change(&[(word, largest + 1)], OUT_OF_RANGE));
            changes.push(change(&[(word, u32::MAX)], OUT_OF_RANGE));
        }
        changes.push(change(&[(before, 0), (behind, 0)], FINE));
    }
    // Nothing has 2³¹ elements, and in 32 bits the second kernel has none.
    changes.push(change(&[(5, 1 << 15), (6, 1 << 16)], OUT_OF_RANGE));
    changes.push(change(&[(5, 1 << 16), (6, 1 << 16)], OUT_OF_RANGE));
    changes
}

fn blob(size: usize, len: usize) -> Vec<Change> {
    let last = (DATA - size * len) as u32;
    let size = size as u32;
    let mut changes: Vec<Change> = values(FINE, [last])
        .chain(values(NO_DATA, [last + size, u32::MAX - (size - 1)]))
        .collect();
    changes.extend((1..size).flat_map(|gap| values(NO_DATA, [gap])));
    changes
}

fn multipliers(len: usize) -> Vec<Change> {
    let mut changes = blob(4, len);
    let tiny = f32::from_bits(1);
    let values = [
        (0, -tiny, OUT_OF_RANGE),
        (len - 1, -1.0, OUT_OF_RANGE),
        (len - 1, f32::NAN, OUT_OF_RANGE),
        (len - 1, f32::INFINITY, OUT_OF_RANGE),
        (len - 1, f32::NEG_INFINITY, OUT_OF_RANGE),
        (len - 1, f32::MAX, FINE),
        (len - 1, tiny, FINE),
        // It belongs to somebody else.
        (len, f32::NAN, FINE),
    ];
    changes.extend(values.map(|(index, value, verdict)| Change {
        words: Vec::new(),
        float: Some((index, value)),
        verdict,
    }));
    changes
}

/// Walks one behind the other, whose dimensions change together.
fn walks(walks: &[[u32; 6]]) -> Vec<Change> {
    let firsts = || (0..walks.len()).map(|walk| 12 * walk);
    let dims = [
        (0, 0, OUT_OF_RANGE),
        (0, 1 << 31, OUT_OF_RANGE),
        // In 32 bits as many steps as before.
        (0, 1 + (1 << 29), OUT_OF_RANGE),
        (5, DIMS[5] + 1, MISMATCH),
    ];
    let mut changes: Vec<Change> = dims
        .into_iter()
        .map(|(dim, size, verdict)| {
            let words: Vec<_> = firsts().map(|first| (first + dim, size)).collect();
            change(&words, verdict)
        })
        .collect();
    for (first, strides) in firsts().zip(walks) {
        for (dim, &stride) in strides.iter().enumerate() {
            let word = first + 6 + dim;
            if stride > 0 {
                changes.extend(
                    [stride + 1, stride + (1 << 31), u32::MAX]
                        .map(|stride| change(&[(word, stride)], MISMATCH)),
                );
            }
            if DIMS[dim] == 1 {
                // Never taken.
                changes.push(change(&[(word, u32::MAX)], FINE));
            }
        }
    }
    changes
}
