//! The geometry that convolutions and pools share.

use crate::artifact::record;
use crate::error::Rule;

record! {
    /// A kernel that slides over the two inner axes of an NHWC tensor, in elements of the axis.
    /// One-dimensional operators have a height of 1.
    pub struct Window {
        /// Number of images.
        pub batch: u32,
        /// Input height.
        pub in_h: u32,
        /// Input width.
        pub in_w: u32,
        /// Output height.
        pub out_h: u32,
        /// Output width.
        pub out_w: u32,
        /// Kernel height.
        pub kernel_h: u32,
        /// Kernel width.
        pub kernel_w: u32,
        /// Rows from one output to the next.
        pub stride_h: u32,
        /// Columns from one output to the next.
        pub stride_w: u32,
        /// Rows from one kernel row to the next.
        pub dilation_h: u32,
        /// Columns from one kernel column to the next.
        pub dilation_w: u32,
        /// Rows of padding above.
        pub pad_top: u32,
        /// Columns of padding on the left.
        pub pad_left: u32,
        /// Rows of padding below.
        pub pad_bottom: u32,
        /// Columns of padding on the right.
        pub pad_right: u32,
    }
}

/// One of the two axes of a window.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Axis {
    input: u32,
    kernel: u32,
    stride: u32,
    dilation: u32,
    pad: u32,
    pad_end: u32,
}

/// The kernel elements that meet the input, for one output position on one axis.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Taps {
    /// First kernel element that lies on the input.
    pub(crate) first: u32,
    /// The one behind the last.
    pub(crate) end: u32,
    /// Input position of kernel element 0; negative in the padding.
    origin: i32,
    dilation: u32,
}

impl Taps {
    /// Input position of kernel element `k`, which has to be one of those that meet the input.
    #[inline(always)]
    pub(crate) fn position(&self, k: u32) -> u32 {
        self.origin
            .wrapping_add_unsigned(k.wrapping_mul(self.dilation))
            .cast_unsigned()
    }

    /// Whether kernel element `k` lies on the input.
    #[cfg(niwaki_tiles)]
    pub(crate) fn has(&self, k: u32) -> bool {
        (self.first..self.end).contains(&k)
    }

    /// How many kernel elements lie on the input.
    #[inline(always)]
    pub(crate) fn count(&self) -> u32 {
        self.end.saturating_sub(self.first)
    }
}

impl Axis {
    /// The kernel elements that lie on the input at output position `o`.
    #[inline(always)]
    pub(crate) fn taps(&self, o: u32) -> Taps {
        let origin = (o.wrapping_mul(self.stride))
            .cast_signed()
            .wrapping_sub_unsigned(self.pad);
        let at = |k: u32| origin.wrapping_add_unsigned(k.wrapping_mul(self.dilation));
        let mut first = 0;
        while first < self.kernel && at(first) < 0 {
            first += 1;
        }
        let mut end = self.kernel;
        while end > first && at(end - 1) >= self.input.cast_signed() {
            end -= 1;
        }
        Taps {
            first,
            end,
            origin,
            dilation: self.dilation,
        }
    }

    /// How many kernel elements lie on the input or its padding at output position `o`: the
    /// divisor of an average that counts padding.
    pub(crate) fn padded_count(&self, o: u32) -> u32 {
        let whole = Self {
            input: self.pad + self.input + self.pad_end,
            pad: 0,
            ..*self
        };
        whole.taps(o).count()
    }
}

impl Window {
    /// The vertical axis.
    pub(crate) fn rows(&self) -> Axis {
        Axis {
            input: self.in_h,
            kernel: self.kernel_h,
            stride: self.stride_h,
            dilation: self.dilation_h,
            pad: self.pad_top,
            pad_end: self.pad_bottom,
        }
    }

    /// The horizontal axis.
    pub(crate) fn columns(&self) -> Axis {
        Axis {
            input: self.in_w,
            kernel: self.kernel_w,
            stride: self.stride_w,
            dilation: self.dilation_w,
            pad: self.pad_left,
            pad_end: self.pad_right,
        }
    }

    /// Checks that every number is in its range and that no position can overflow.
    pub(crate) fn check(&self) -> Result<(), Rule> {
        let positive = [
            self.batch,
            self.in_h,
            self.in_w,
            self.out_h,
            self.out_w,
            self.kernel_h,
            self.kernel_w,
            self.stride_h,
            self.stride_w,
            self.dilation_h,
            self.dilation_w,
        ];
        if positive.contains(&0) {
            return Err(Rule::Parameter);
        }
        let axes = [(self.rows(), self.out_h), (self.columns(), self.out_w)];
        for (axis, out) in axes {
            let last = u64::from(out)
                .saturating_mul(u64::from(axis.stride))
                .saturating_add(u64::from(axis.kernel).saturating_mul(u64::from(axis.dilation)))
                .saturating_add(u64::from(axis.input))
                .saturating_add(u64::from(axis.pad))
                .saturating_add(u64::from(axis.pad_end));
            if last > i32::MAX as u64 {
                return Err(Rule::Parameter);
            }
        }
        Ok(())
    }

    /// Output pixels: what every operator with a window computes one by one.
    pub(crate) fn output_pixels(&self) -> [u32; 3] {
        [self.batch, self.out_h, self.out_w]
    }

    /// Input pixels.
    pub(crate) fn input_pixels(&self) -> [u32; 3] {
        [self.batch, self.in_h, self.in_w]
    }

    /// All output rows.
    pub(crate) fn whole(&self) -> Band {
        Band {
            rows: 0..self.batch * self.out_h,
            input_row: 0,
        }
    }

    /// The output rows of a band.
    #[inline(always)]
    fn rows_of(&self, band: &Band) -> Option<impl Iterator<Item = Row>> {
        let mut image = band.rows.start.checked_div(self.out_h)?;
        let mut oy = band.rows.start.checked_rem(self.out_h)?;
        let input_row = band.input_row;
        Some(band.rows.clone().map(move |_| {
            let image_row = image as usize * self.in_h as usize;
            let row = Row {
                // Of rows that begin behind the image's first: what is read is not.
                image_row: image_row.wrapping_sub(input_row),
                rows: self.rows().taps(oy),
                oy,
            };
            oy += 1;
            if oy == self.out_h {
                oy = 0;
                image += 1;
            }
            row
        }))
    }

    /// The output pixels of a band in memory order, with the taps of both axes.
    #[inline(always)]
    pub(crate) fn pixels(&self, band: &Band) -> Option<Pixels<'_>> {
        let image = band.rows.start.checked_div(self.out_h)? as usize;
        let oy = band.rows.start.checked_rem(self.out_h)?;
        let image_row = image * self.in_h as usize;
        Some(Pixels {
            window: self,
            row: Row {
                image_row: image_row.wrapping_sub(band.input_row),
                rows: self.rows().taps(oy),
                oy,
            },
            rows: band.rows.len(),
            ox: 0,
        })
    }

    /// Calls `span` for output pixels of a band in memory order, with the taps of the first and how many
    /// from there on, in its row, have as many: it gives how many of them it has done.
    #[inline(always)]
    pub(crate) fn for_each_span(
        &self,
        band: &Band,
        mut span: impl FnMut(Pixel, u32) -> Option<u32>,
    ) -> Option<()> {
        let reach = (self.kernel_w - 1) * self.dilation_w + 1;
        let free = (self.in_w + self.pad_left).saturating_sub(reach);
        // Behind the last pixel whose columns all lie on the input or on the left of it.
        let end = (free.checked_div(self.stride_w)? + 1).min(self.out_w);
        for row in self.rows_of(band)? {
            let mut ox = 0;
            while ox < self.out_w {
                let pixel = row.pixel(self, ox);
                let is_whole = pixel.columns.count() == self.kernel_w;
                let alike = if is_whole { end.saturating_sub(ox) } else { 1 };
                ox += span(pixel, alike.max(1))?.max(1);
            }
        }
        Some(())
    }

    /// Of a product as a convolution: a line of so many pixels.
    #[cfg(niwaki_tiles)]
    pub(crate) fn line(pixels: usize) -> Self {
        Self {
            batch: 1,
            in_h: 1,
            in_w: pixels as u32,
            out_h: 1,
            out_w: pixels as u32,
            kernel_h: 1,
            kernel_w: 1,
            stride_h: 1,
            stride_w: 1,
            dilation_h: 1,
            dilation_w: 1,
            pad_top: 0,
            pad_left: 0,
            pad_bottom: 0,
            pad_right: 0,
        }
    }

    /// Calls `pixel` for each output pixel of a band in memory order, with the taps of both axes.
    #[inline(always)]
    pub(crate) fn for_each_pixel(
        &self,
        band: &Band,
        mut pixel: impl FnMut(Pixel) -> Option<()>,
    ) -> Option<()> {
        for row in self.rows_of(band)? {
            for ox in 0..self.out_w {
                pixel(row.pixel(self, ox))?;
            }
        }
        Some(())
    }
}

/// One output row.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Row {
    image_row: usize,
    rows: Taps,
    oy: u32,
}

impl Row {
    /// Its pixel at column `ox`.
    #[inline(always)]
    pub(crate) fn pixel(&self, window: &Window, ox: u32) -> Pixel {
        Pixel {
            image_row: self.image_row,
            in_w: window.in_w as usize,
            rows: self.rows,
            columns: window.columns().taps(ox),
            oy: self.oy,
            ox,
        }
    }
}

/// The output pixels of a band. A type of its own, as the adaptors of iterators are several times as
/// large, and this one is on the stack below the kernels.
pub(crate) struct Pixels<'w> {
    window: &'w Window,
    row: Row,
    /// Rows that are left, with `row`.
    rows: usize,
    ox: u32,
}

impl Iterator for Pixels<'_> {
    type Item = Pixel;

    #[inline(always)]
    fn next(&mut self) -> Option<Pixel> {
        let window = self.window;
        if self.ox >= window.out_w {
            self.ox = 0;
            self.rows = self.rows.saturating_sub(1);
            let row = &mut self.row;
            row.oy += 1;
            if row.oy == window.out_h {
                row.oy = 0;
                row.image_row = row.image_row.wrapping_add(window.in_h as usize);
            }
            row.rows = window.rows().taps(row.oy);
        }
        if self.rows == 0 {
            return None;
        }
        let pixel = self.row.pixel(window, self.ox);
        self.ox += 1;
        Some(pixel)
    }
}

/// Output rows that are computed at once. The input and output that a kernel gets with it are the
/// rows that belong to it, and no others.
#[derive(Clone, Debug)]
pub(crate) struct Band {
    /// The output rows, counted over the batch.
    pub(crate) rows: core::ops::Range<u32>,
    /// The input row, counted over the batch, that the input begins with.
    pub(crate) input_row: usize,
}

/// One output pixel: where its window meets the input.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Pixel {
    /// First row of the image, counted from the input's first; below 0, and wrapped, when the
    /// input begins later.
    image_row: usize,
    in_w: usize,
    /// Taps of the vertical axis.
    pub(crate) rows: Taps,
    /// Taps of the horizontal axis.
    pub(crate) columns: Taps,
    /// Output row.
    pub(crate) oy: u32,
    /// Output column.
    pub(crate) ox: u32,
}

impl Pixel {
    /// Index of the input pixel under kernel element (`ky`, `kx`), which has to lie on the input.
    #[inline(always)]
    pub(crate) fn input_index(&self, ky: u32, kx: u32) -> usize {
        let row = self.image_row.wrapping_add(self.rows.position(ky) as usize);
        row * self.in_w + self.columns.position(kx) as usize
    }
}
