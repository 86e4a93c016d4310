//! Random graphs of int8 layers behind an int8 image, for tests of the passes behind selection:
//! some channels are constant, some are not read.

use ndarray::{ArrayD, IxDyn};
use niwaki::Xorshift32;

use crate::graph::{Constant, DataType, Graph, Node, Op, Quantization, ValueId, WindowAttributes};

struct Maker {
    graph: Graph,
    random: Xorshift32,
    /// Whether some convolutions take every other row and column.
    strided: bool,
}

/// An int8 image in the graph, as the floats that it stands for.
#[derive(Clone)]
struct Image {
    float: ValueId,
    scale: f32,
    shape: Vec<usize>,
}

impl Maker {
    fn below(&mut self, n: u32) -> usize {
        (self.random.next_u32() >> 8) as usize % n as usize
    }

    fn int8(&mut self) -> i8 {
        (self.random.next_u32() >> 24) as i8
    }

    fn node(
        &mut self,
        op: Op,
        inputs: Vec<ValueId>,
        dtype: DataType,
        shape: Vec<usize>,
    ) -> ValueId {
        let name = format!("v{}", self.graph.values.len());
        let output = self.graph.add_value(&name, dtype, shape);
        self.graph.nodes.push(Node {
            name,
            op,
            inputs,
            output,
        });
        output
    }

    /// Quantises floats and dequantises them again, behind a Relu or not.
    fn image(&mut self, float: ValueId, scale: f32, shape: &[usize]) -> Image {
        let relu = self.below(2) == 0;
        let clamp = Op::Clamp {
            low: 0.0,
            high: f32::INFINITY,
        };
        let float = match relu {
            true => self.node(clamp, vec![float], DataType::F32, shape.to_vec()),
            false => float,
        };
        let zero_point = i32::from(self.int8() / 4);
        let q = Quantization::per_tensor(scale, zero_point);
        let int8 = self.node(
            Op::Quantize(q.clone()),
            vec![float],
            DataType::I8,
            shape.to_vec(),
        );
        self.dequantized(int8, q, shape)
    }

    fn dequantized(&mut self, int8: ValueId, q: Quantization, shape: &[usize]) -> Image {
        let scale = q.scale[0];
        let shape = shape.to_vec();
        let float = self.node(Op::Dequantize(q), vec![int8], DataType::F32, shape.clone());
        Image {
            float,
            scale,
            shape,
        }
    }

    /// A convolution in which some output channels have no weights, and some input channels are
    /// not read.
    fn conv(&mut self, x: &Image, out: usize, group: usize, kernel: usize, pad: usize) -> Image {
        let stride = if self.strided && self.below(3) == 0 {
            2
        } else {
            1
        };
        let group_in = x.shape[1] / group;
        let unread: Vec<bool> = (0..x.shape[1]).map(|_| self.below(4) == 0).collect();
        let zero: Vec<bool> = (0..out).map(|_| self.below(3) == 0).collect();
        let shape = [out, group_in, kernel, kernel];
        let weights = ArrayD::from_shape_fn(IxDyn(&shape), |index| {
            let w = self.int8();
            let gone = zero[index[0]] || (group == 1 && unread[index[1]]);
            if gone { 0 } else { w }
        });
        let bias: Vec<i32> = (0..out).map(|_| i32::from(self.int8()) * 60).collect();
        let constant = |maker: &mut Self, constant: Constant, q: Quantization| {
            let shape = constant.shape().to_vec();
            let id = maker.graph.add_constant("c", constant);
            maker.node(Op::Dequantize(q), vec![id], DataType::F32, shape)
        };
        let w_scale = 0.01;
        let mut q = Quantization::per_tensor(w_scale, 0);
        let w = constant(self, Constant::I8(weights), q.clone());
        q.scale = vec![x.scale * w_scale];
        q.dtype = DataType::I32;
        let b = constant(self, Constant::I32(ndarray::arr1(&bias).into_dyn()), q);
        let window = WindowAttributes {
            strides: vec![stride; 2],
            ..Self::window(kernel, pad)
        };
        let side = |n: usize| (n + 2 * pad - kernel) / stride + 1;
        let shape = vec![1, out, side(x.shape[2]), side(x.shape[3])];
        let op = Op::Conv { window, group };
        let y = self.node(op, vec![x.float, w, b], DataType::F32, shape.clone());
        self.image(y, x.scale * 1.5, &shape)
    }

    /// A 1x1 convolution that keeps rows and columns.
    fn branch(&mut self, x: &Image, out: usize) -> Image {
        let strided = std::mem::take(&mut self.strided);
        let y = self.conv(x, out, 1, 1, 0);
        self.strided = strided;
        y
    }

    fn window(kernel: usize, pad: usize) -> WindowAttributes {
        WindowAttributes {
            kernel: vec![kernel; 2],
            strides: vec![1; 2],
            dilations: vec![1; 2],
            pads_begin: vec![pad; 2],
            pads_end: vec![pad; 2],
        }
    }

    /// One more layer.
    fn layer(&mut self, x: &Image) -> Image {
        let channels = x.shape[1];
        let same = x.shape.clone();
        match self.below(10) {
            0 | 1 => self.conv(x, 8, 1, 1, 0),
            2 => self.conv(x, 6, 1, 3, 1),
            3 | 4 => self.conv(x, channels, channels, 3, 1),
            5 => {
                let other = self.branch(x, channels);
                let op = if self.below(2) == 0 { Op::Add } else { Op::Mul };
                let y = self.node(op, vec![x.float, other.float], DataType::F32, same.clone());
                self.image(y, x.scale, &same)
            }
            6 => {
                let other = self.branch(x, 5);
                let mut shape = same;
                shape[1] += 5;
                let op = Op::Concat { axis: 1 };
                let y = self.node(op, vec![x.float, other.float], DataType::F32, shape.clone());
                let q = Quantization::per_tensor(x.scale, 3);
                let int8 = self.node(
                    Op::Quantize(q.clone()),
                    vec![y],
                    DataType::I8,
                    shape.clone(),
                );
                self.dequantized(int8, q, &shape)
            }
            7 => {
                let op = Op::AveragePool {
                    window: Self::window(3, 1),
                    count_include_pad: self.below(2) == 0,
                };
                let y = self.node(op, vec![x.float], DataType::F32, same.clone());
                self.image(y, x.scale, &same)
            }
            8 => {
                let op = Op::MaxPool(Self::window(3, 1));
                let y = self.node(op, vec![x.float], DataType::F32, same.clone());
                let mut pool = x.clone();
                pool.float = y;
                pool
            }
            _ => {
                // A function of one element: a table.
                let y = self.node(Op::Sigmoid, vec![x.float], DataType::F32, same.clone());
                self.image(y, 0.01, &same)
            }
        }
    }
}

/// A graph of some layers behind an int8 image of so many rows.
pub(super) fn graph(seed: u32, rows: usize, strided: bool) -> Graph {
    let mut maker = Maker {
        graph: Graph::default(),
        random: Xorshift32::new(seed),
        strided,
    };
    let shape = [1, 4, rows, 6];
    let input = maker.graph.add_value("x", DataType::I8, shape.to_vec());
    maker.graph.inputs.push(input);
    let mut x = maker.dequantized(input, Quantization::per_tensor(0.05, 3), &shape);
    for _ in 0..7 {
        x = maker.layer(&x);
    }
    x = maker.conv(&x, 3, 1, 1, 0);
    maker.graph.outputs.push(x.float);
    maker.graph.output_names.push("y".to_owned());
    maker.graph
}
