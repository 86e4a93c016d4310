//! Matrix product with constant weights: dense layers and 1x1 convolutions.

use core::ops::Range;

use super::arch::{Gathered, Job, Multiplies, PIXELS, Weight, Windows, Workspace};
use super::conv::CopyChecked;
use super::filters::Filters;
#[cfg(niwaki_tiles)]
use super::{ConvI8, Window};
use crate::numerics::{OutputStage, clamp_f32};

/// An int8 product.
pub(crate) struct FullyConnectedI8<'m, W = i8> {
    /// Elements of one input row.
    pub(crate) depth: u32,
    /// Elements of one output row.
    pub(crate) outputs: u32,
    /// `[outputs][depth]`, as [`Weight`] lays them out.
    pub(crate) weights: &'m [W],
    /// `[outputs]`: bias - input_zero_point * (sum of the output's weights).
    pub(crate) bias: &'m [i32],
    /// `[outputs]`.
    pub(crate) multipliers: &'m [f32],
    pub(crate) stage: OutputStage,
}

impl<W: Weight> FullyConnectedI8<'_, W> {
    /// `x` is `[rows][depth]`, `y` is `[rows][outputs]`.
    #[inline(never)]
    pub(crate) fn run(&self, workspace: &mut Workspace, x: &[i8], y: &mut [i8]) -> Option<()> {
        #[cfg(niwaki_tiles)]
        if let Some(weights) = W::as_int8(self.weights) {
            let kernel = FullyConnectedI8 {
                depth: self.depth,
                outputs: self.outputs,
                weights,
                bias: self.bias,
                multipliers: self.multipliers,
                stage: self.stage,
            };
            let done = super::blocks::product(&kernel, x, y);
            if done.is_some() || super::arch::tiles::ALWAYS {
                return done;
            }
        }
        #[cfg(niwaki_tiles)]
        if super::arch::tiles::ALWAYS {
            return super::plain::product(self, x, y);
        }
        let kernel = self;
        W::run(ProductJob {
            kernel,
            workspace,
            x,
            y,
        })
    }
}

#[cfg(niwaki_tiles)]
impl<'m, W> FullyConnectedI8<'m, W> {
    /// The same as a convolution, of a [`Window::line`].
    pub(crate) fn as_conv(&self, window: &'m Window) -> ConvI8<'m, W> {
        ConvI8 {
            window,
            groups: 1,
            group_in: self.depth,
            group_out: self.outputs,
            input_zero_point: 0,
            weights: self.weights,
            bias: self.bias,
            multipliers: self.multipliers,
            stage: self.stage,
        }
    }
}

/// One run of a product.
struct ProductJob<'j, W> {
    kernel: &'j FullyConnectedI8<'j, W>,
    workspace: &'j mut Workspace,
    x: &'j [i8],
    y: &'j mut [i8],
}

impl<W: Weight> Job<W> for ProductJob<'_, W> {
    #[inline(always)]
    fn on<I: Multiplies<W>>(self) -> Option<()> {
        let Self {
            kernel,
            workspace,
            x,
            y,
        } = self;
        let [depth, outputs] = [kernel.depth, kernel.outputs].map(|n| n as usize);
        let filters = Filters {
            weights: kernel.weights,
            len: depth,
            bias: kernel.bias,
            multipliers: kernel.multipliers,
            stage: kernel.stage,
        };
        if <I as Multiplies<W>>::rows(&filters, &mut workspace.sums, x, y).is_some() {
            return Some(());
        }
        let rows = x.chunks((PIXELS * depth).max(1));
        for (x, y) in rows.zip(y.chunks_mut((PIXELS * outputs).max(1))) {
            let count = x.len().checked_div(depth)?;
            let held = Windows::piece::<I>(count)?;
            let place = |windows: &mut Windows, _: &mut Gathered, piece: Range<usize>| {
                let mut runs = [[].as_slice(); PIXELS];
                for (run, x) in runs.iter_mut().zip(x.chunks_exact(depth.max(1))) {
                    *run = x.get(piece.clone())?;
                }
                I::place(windows, 0, runs.get(..count)?)
            };
            filters.run::<I>(workspace, count, held, place, y, outputs)?;
        }
        Some(())
    }
}

/// An int8 product over pixels whose bias depends on the pixel's class.
pub(crate) struct FullyConnectedBorderI8<'m, W = i8> {
    /// Its bias is `[line_classes][column_classes][outputs]`.
    pub(crate) product: FullyConnectedI8<'m, W>,
    pub(crate) column_classes: u32,
    /// `[lines]`.
    pub(crate) line_class: &'m [u8],
    /// `[columns]`.
    pub(crate) column_class: &'m [u8],
}

impl<W: Weight> FullyConnectedBorderI8<'_, W> {
    /// `x` is `[pixels][depth]`, `y` is `[pixels][outputs]`, of pixels from number `first` on, line
    /// by line.
    pub(crate) fn run(
        &self,
        workspace: &mut Workspace,
        first: u32,
        x: &[i8],
        y: &mut [i8],
    ) -> Option<()> {
        let outputs = (self.product.outputs as usize).max(1);
        let rows = x.chunks_exact((self.product.depth as usize).max(1));
        let columns = self.column_class.len();
        let mut line = (first as usize).checked_div(columns)?;
        let mut column = (first as usize).checked_rem(columns)?;
        for (x, y) in rows.zip(y.chunks_exact_mut(outputs)) {
            let line_class = usize::from(*self.line_class.get(line)?);
            let column_class = usize::from(*self.column_class.get(column)?);
            let class = line_class * self.column_classes as usize + column_class;
            let start = class * outputs;
            FullyConnectedI8 {
                bias: self.product.bias.get(start..start + outputs)?,
                ..self.product
            }
            .run(workspace, x, y)?;
            column += 1;
            if column == columns {
                (line, column) = (line + 1, 0);
            }
        }
        Some(())
    }
}

/// A float product.
pub(crate) struct FullyConnectedF32<'m> {
    /// Elements of one input row.
    pub(crate) depth: u32,
    /// Elements of one output row.
    pub(crate) outputs: u32,
    /// `[depth][outputs]`.
    pub(crate) weights: &'m [f32],
    /// `[outputs]`.
    pub(crate) bias: &'m [f32],
    pub(crate) low: f32,
    pub(crate) high: f32,
}

impl FullyConnectedF32<'_> {
    /// `x` is `[rows][depth]`, `y` is `[rows][outputs]`.
    ///
    /// Each output starts at its bias and adds its products in the order of the input.
    pub(crate) fn run(&self, x: &[f32], y: &mut [f32]) -> Option<()> {
        let outputs = (self.outputs as usize).max(1);
        let rows = x.chunks_exact((self.depth as usize).max(1));
        for (x, y) in rows.zip(y.chunks_exact_mut(outputs)) {
            y.copy_from_slice_checked(self.bias)?;
            for (&x, weights) in x.iter().zip(self.weights.chunks_exact(outputs)) {
                for (y, &w) in y.iter_mut().zip(weights) {
                    *y += x * w;
                }
            }
            for y in y {
                *y = clamp_f32(*y, self.low, self.high);
            }
        }
        Some(())
    }
}
