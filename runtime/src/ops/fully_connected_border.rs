//! FullyConnected over the pixels of an image, with a bias that depends on how near the border
//! a pixel is: a 1x1 `Conv` behind a padded one of whose channels some were constant.

use super::{Check, Held, Memory, Operator, Steps};
use crate::artifact::{Blob, DataType, record};
use crate::error::{Fault, Rule};
use crate::kernels::{self, Weight, Wide, volume};
use crate::numerics::OutputStage;

record! {
    /// Parameters of [`FullyConnectedBorderI8`] and [`FullyConnectedBorderI8Wide`].
    pub struct FullyConnectedBorderI8Params {
        /// Lines of pixels, those of all images of the batch together.
        pub lines: u32,
        /// Pixels of one line.
        pub columns: u32,
        /// Elements of one input pixel.
        pub depth: u32,
        /// Elements of one output pixel.
        pub outputs: u32,
        /// Number of kinds of lines.
        pub line_classes: u32,
        /// Number of kinds of columns.
        pub column_classes: u32,
        /// Zero point of the output.
        pub output_zero_point: i32,
        /// Smallest output value: the fused activation.
        pub low: i32,
        /// Largest output value: the fused activation.
        pub high: i32,
        /// `[outputs][depth]`; of [`FullyConnectedBorderI8Wide`] as FORMAT.md, 6, says.
        pub weights: Blob<i8>,
        /// `[line_classes][column_classes][outputs]`: as that of FullyConnectedI8.
        pub bias: Blob<i32>,
        /// `[outputs]`: input scale * weight scale / output scale.
        pub multipliers: Blob<f32>,
        /// `[lines]`: the class of each line, less than `line_classes`.
        pub line_class: Blob<u8>,
        /// `[columns]`: the class of each column, less than `column_classes`.
        pub column_class: Blob<u8>,
    }
}

fn steps(p: &FullyConnectedBorderI8Params) -> Steps {
    Steps::of_matrix(p.lines * p.columns, p.depth, p.outputs)
}

/// Int8 matrix product over pixels with a bias for each class of pixels.
#[derive(Debug)]
pub struct FullyConnectedBorderI8;

/// The same with weights in 16 bits, in the order that Cortex-M4 and M7 multiply them.
#[derive(Debug)]
pub struct FullyConnectedBorderI8Wide;

macro_rules! int8 {
    ($operator:ident of $weight:ty) => {
        impl Operator for $operator {
            type Params = FullyConnectedBorderI8Params;

            const WORKSPACE: usize = size_of::<kernels::Workspace>();

            fn check(check: &Check<'_>, p: &FullyConnectedBorderI8Params) -> Result<(), Rule> {
                check.arity(1)?;
                let pixels = [p.lines, p.columns];
                check.expect_input(0, DataType::I8, volume(&[pixels[0], pixels[1], p.depth])?)?;
                check.expect_output(DataType::I8, volume(&[pixels[0], pixels[1], p.outputs])?)?;
                volume(&[p.depth, p.outputs])?;
                let weights = volume(&<$weight>::shape(p.outputs, p.depth))?;
                let weights = check.constants(p.weights.of::<$weight>(), weights)?;
                if !<$weight>::are_filled_up(weights, p.depth) {
                    return Err(Rule::Data);
                }
                let biases = volume(&[p.line_classes, p.column_classes, p.outputs])?;
                check.constants(p.bias, biases)?;
                check.multipliers(p.multipliers, u64::from(p.outputs))?;
                let axes = [
                    (p.line_class, p.lines, p.line_classes),
                    (p.column_class, p.columns, p.column_classes),
                ];
                for (classes, len, count) in axes {
                    let classes = check.constants(classes, u64::from(len))?;
                    if classes.iter().any(|&class| u32::from(class) >= count) {
                        return Err(Rule::Parameter);
                    }
                }
                OutputStage::new(p.output_zero_point, p.low, p.high).ok_or(Rule::Parameter)?;
                Ok(())
            }

            fn steps(_: &Check<'_>, p: &FullyConnectedBorderI8Params) -> Option<Steps> {
                Some(steps(p))
            }

            fn run(
                memory: &mut Memory<'_, '_>,
                p: &FullyConnectedBorderI8Params,
            ) -> Result<(), Fault> {
                let biases = p.line_classes * p.column_classes * p.outputs;
                let [rows, row] = <$weight>::shape(p.outputs, p.depth);
                let kernel = kernels::FullyConnectedBorderI8 {
                    product: kernels::FullyConnectedI8 {
                        depth: p.depth,
                        outputs: p.outputs,
                        weights: memory.constants(p.weights.of::<$weight>(), rows * row)?,
                        bias: memory.constants(p.bias, biases)?,
                        multipliers: memory.constants(p.multipliers, p.outputs)?,
                        stage: OutputStage::new(p.output_zero_point, p.low, p.high).ok_or(Fault)?,
                    },
                    column_classes: p.column_classes,
                    line_class: memory.constants(p.line_class, p.lines)?,
                    column_class: memory.constants(p.column_class, p.columns)?,
                };
                let steps = steps(p);
                let mut held = Held::new();
                let workspace = memory.workspace(&mut held)?;
                memory.by_rows(&steps, |band, x, y| {
                    kernel.run(workspace, band.rows.start, x, y)
                })
            }

            fn macs(_: &Check<'_>, p: &FullyConnectedBorderI8Params) -> u64 {
                let pixels = u64::from(p.lines) * u64::from(p.columns);
                pixels * u64::from(p.depth) * u64::from(p.outputs)
            }

            fn weight_bytes(p: &FullyConnectedBorderI8Params) -> u64 {
                let [rows, row] = <$weight>::shape(p.outputs, p.depth).map(u64::from);
                rows * row * size_of::<$weight>() as u64
            }
        }
    };
}

int8!(FullyConnectedBorderI8 of i8);
int8!(FullyConnectedBorderI8Wide of Wide);
