//! The attributes that ONNX's Conv, MaxPool and AveragePool share.

use niwaki::ops::Window;

use crate::support::Random;

/// The attributes of one spatial axis, by their ONNX names.
#[derive(Clone, Copy, Debug)]
pub struct Axis {
    pub input: usize,
    pub kernel: usize,
    pub stride: usize,
    pub dilation: usize,
    pub pad_begin: usize,
    pub pad_end: usize,
    pub ceil_mode: bool,
}

impl Axis {
    /// An axis that the operator leaves alone: of a one-dimensional convolution, the height.
    pub const UNIT: Self = Self {
        input: 1,
        kernel: 1,
        stride: 1,
        dilation: 1,
        pad_begin: 0,
        pad_end: 0,
        ceil_mode: false,
    };

    /// Any axis with an input of up to `largest` elements and at least one output.
    pub fn draw(random: &mut Random, largest: usize) -> Self {
        loop {
            let padded = !random.one_in(3);
            let mut pad = || if padded { random.below(5) } else { 0 };
            let (pad_begin, pad_end) = (pad(), pad());
            let axis = Self {
                input: random.between(1, largest),
                kernel: random.pick(&[1, 2, 3, 3, 3, 4, 5, 7]),
                stride: random.pick(&[1, 1, 1, 2, 2, 3, 5]),
                dilation: random.pick(&[1, 1, 1, 2, 3]),
                pad_begin,
                pad_end,
                ceil_mode: random.one_in(4),
            };
            if axis.span() <= axis.padded() {
                return axis;
            }
        }
    }

    /// Elements from the kernel's first to its last.
    fn span(&self) -> usize {
        (self.kernel - 1) * self.dilation + 1
    }

    fn padded(&self) -> usize {
        self.pad_begin + self.input + self.pad_end
    }

    /// ONNX's formula for the size of the output.
    pub fn output(&self) -> usize {
        let room = self.padded() - self.span();
        let steps = if self.ceil_mode {
            room.div_ceil(self.stride)
        } else {
            room / self.stride
        };
        steps + 1
    }

    /// The input element under element `k` of the kernel at output `o`; `None` in the padding.
    pub fn position(&self, o: usize, k: usize) -> Option<usize> {
        let position = (o * self.stride + k * self.dilation).checked_sub(self.pad_begin)?;
        (position < self.input).then_some(position)
    }

    /// Whether element `k` of the kernel lies on the input or its padding at output `o`. Behind
    /// them is where a window may end that `ceil_mode` has added.
    pub fn is_padded_input(&self, o: usize, k: usize) -> bool {
        o * self.stride + k * self.dilation < self.padded()
    }
}

/// Both axes and the batch.
#[derive(Clone, Copy, Debug)]
pub struct Geometry {
    pub batch: usize,
    pub axes: [Axis; 2],
}

impl Geometry {
    /// Any geometry; one in four is one-dimensional.
    pub fn draw(random: &mut Random) -> Self {
        let width = Axis::draw(random, 9);
        let height = match random.below(4) {
            0 => Axis::UNIT,
            _ => Axis::draw(random, 9),
        };
        Self {
            batch: random.pick(&[1, 1, 1, 2, 3]),
            axes: [height, width],
        }
    }

    pub fn input(&self, channels: usize) -> [usize; 4] {
        let [height, width] = self.axes;
        [self.batch, channels, height.input, width.input]
    }

    pub fn output(&self, channels: usize) -> [usize; 4] {
        let [height, width] = self.axes;
        [self.batch, channels, height.output(), width.output()]
    }

    /// The input elements under the window at output (`oy`, `ox`): kernel row and column, then
    /// input row and column. Padding is left out.
    pub fn taps(&self, oy: usize, ox: usize) -> Vec<[usize; 4]> {
        let [height, width] = self.axes;
        let mut taps = Vec::new();
        for ky in 0..height.kernel {
            for kx in 0..width.kernel {
                if let (Some(y), Some(x)) = (height.position(oy, ky), width.position(ox, kx)) {
                    taps.push([ky, kx, y, x]);
                }
            }
        }
        taps
    }

    /// As the artifact stores it.
    pub fn window(&self) -> Window {
        let [height, width] = self.axes;
        Window {
            batch: self.batch as u32,
            in_h: height.input as u32,
            in_w: width.input as u32,
            out_h: height.output() as u32,
            out_w: width.output() as u32,
            kernel_h: height.kernel as u32,
            kernel_w: width.kernel as u32,
            stride_h: height.stride as u32,
            stride_w: width.stride as u32,
            dilation_h: height.dilation as u32,
            dilation_w: width.dilation as u32,
            pad_top: height.pad_begin as u32,
            pad_left: width.pad_begin as u32,
            pad_bottom: height.pad_end as u32,
            pad_right: width.pad_end as u32,
        }
    }
}

/// A battery is worth what its cases reach.
#[test]
fn draws_reach_every_corner() {
    let mut random = Random::new(1);
    let drawn: Vec<Geometry> = (0..400).map(|_| Geometry::draw(&mut random)).collect();
    let any = |what: &str, holds: &dyn Fn(&Geometry) -> bool| {
        let hits = drawn.iter().filter(|geometry| holds(geometry)).count();
        assert!(hits >= 8, "{what}: {hits} of {}", drawn.len());
    };
    let on_an_axis = |holds: fn(&Axis) -> bool| move |g: &Geometry| g.axes.iter().any(holds);
    let first_window = |g: &Geometry| g.taps(0, 0).is_empty();
    let last_window = |g: &Geometry| {
        let [_, _, height, width] = g.output(1);
        g.taps(height - 1, width - 1).is_empty()
    };
    any("batch", &|g| g.batch > 1);
    any("one dimension", &|g| {
        g.axes[0].kernel == 1 && g.axes[0].input == 1
    });
    any("one pixel", &|g| g.axes.iter().all(|axis| axis.input == 1));
    any(
        "kernel beyond the input",
        &on_an_axis(|a| a.kernel > a.input),
    );
    any("unequal padding", &on_an_axis(|a| a.pad_begin != a.pad_end));
    any("unequal axes", &|g| g.axes[0].stride != g.axes[1].stride);
    any(
        "stride beyond the kernel",
        &on_an_axis(|a| a.stride > a.span()),
    );
    any("dilation", &on_an_axis(|a| a.kernel > 1 && a.dilation > 1));
    any("windows begin in padding alone", &first_window);
    any("windows end in padding alone", &last_window);
    any(
        "windows end behind the padding",
        &on_an_axis(|a| a.ceil_mode && !a.is_padded_input(a.output() - 1, a.kernel - 1)),
    );
}
