//! Pools and norms that float models alone have.

use niwaki::artifact::DataType;
use niwaki::ops;
use niwaki::ops::{IndexSteps, LocalResponseF32Params, LpPoolF32Params, MaxPoolIndicesParams};

use super::{Builder, Label, View};
use crate::graph::WindowAttributes;

impl Builder {
    /// Where the largest value under the window lies, of floats or int8.
    pub fn max_pool_indices(
        &mut self,
        x: &View,
        attributes: &WindowAttributes,
        column_major: bool,
        label: Label,
        shape: &[usize],
    ) -> View {
        let x = self.image(x);
        let window = Self::window(&x, attributes, shape);
        let area = window.in_h * window.in_w;
        let (row, column) = match column_major {
            true => (1, window.in_h),
            false => (window.in_w, 1),
        };
        let params = MaxPoolIndicesParams {
            window,
            channels: shape[1] as u32,
            steps: IndexSteps {
                batch: shape[1] as u32 * area,
                channel: area,
                row,
                column,
            },
        };
        let output = self.image_output(label, DataType::I32, shape);
        self.push(ops::MaxPoolIndices, &[&x], &params, output)
    }

    /// The p-norm under a window.
    pub fn lp_pool_f32(
        &mut self,
        x: &View,
        attributes: &WindowAttributes,
        p: u32,
        label: Label,
        shape: &[usize],
    ) -> View {
        let x = self.image(x);
        let params = LpPoolF32Params {
            window: Self::window(&x, attributes, shape),
            channels: shape[1] as u32,
            p,
        };
        let output = self.image_output(label, DataType::F32, shape);
        self.push(ops::LpPoolF32, &[&x], &params, output)
    }

    /// Local response normalisation over `size` channels.
    pub fn local_response_f32(
        &mut self,
        x: &View,
        size: u32,
        [alpha, beta, bias]: [f32; 3],
        label: Label,
    ) -> View {
        let x = self.image(x);
        let channels = x.shape[1] as u32;
        let params = LocalResponseF32Params {
            pixels: x.shape.iter().product::<usize>() as u32 / channels,
            channels,
            size,
            alpha,
            beta,
            bias,
        };
        self.elementwise(ops::LocalResponseF32, &x, &params, DataType::F32, label)
    }
}
