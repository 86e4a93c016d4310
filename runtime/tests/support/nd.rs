//! A tensor that is addressed by ONNX's indices and knows nothing of memory.

/// Elements in the order of ONNX's axes.
#[derive(Clone, Debug)]
pub struct Nd<T> {
    pub dims: Vec<usize>,
    pub values: Vec<T>,
}

impl<T: Copy> Nd<T> {
    /// Calls `value` with every index, the last axis varying fastest.
    pub fn from_fn(dims: &[usize], mut value: impl FnMut(&[usize]) -> T) -> Self {
        let len = dims.iter().product();
        let mut index = vec![0; dims.len()];
        let mut values = Vec::with_capacity(len);
        for _ in 0..len {
            values.push(value(&index));
            for (i, &dim) in index.iter_mut().zip(dims).rev() {
                *i += 1;
                if *i < dim {
                    break;
                }
                *i = 0;
            }
        }
        Self {
            dims: dims.to_vec(),
            values,
        }
    }

    /// The element at an index.
    pub fn at(&self, index: &[usize]) -> T {
        assert_eq!(index.len(), self.dims.len());
        let offset = index.iter().zip(&self.dims).fold(0, |offset, (&i, &dim)| {
            assert!(i < dim, "{index:?} in {:?}", self.dims);
            offset * dim + i
        });
        self.values[offset]
    }

    /// Every element changed by `f`.
    pub fn map<U>(&self, f: impl FnMut(T) -> U) -> Nd<U> {
        Nd {
            dims: self.dims.clone(),
            values: self.values.iter().copied().map(f).collect(),
        }
    }

    /// The same tensor with its axes in another order: axis `i` of the result is axis `axes[i]`.
    pub fn permuted(&self, axes: &[usize]) -> Self {
        let dims: Vec<usize> = axes.iter().map(|&axis| self.dims[axis]).collect();
        Self::from_fn(&dims, |index| {
            let mut original = vec![0; index.len()];
            for (&axis, &i) in axes.iter().zip(index) {
                original[axis] = i;
            }
            self.at(&original)
        })
    }

    /// Elements from one index to the next along each axis, when the last axis varies fastest.
    pub fn strides(&self) -> Vec<usize> {
        (0..self.dims.len())
            .map(|axis| self.dims[axis + 1..].iter().product())
            .collect()
    }
}
