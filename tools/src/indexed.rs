//! Operations on elements that indices name which are known at run time alone. Indices are int32
//! and count from the end where they are negative; what one does that is out of range says
//! `runtime/NUMERICS.md`.

/// How an update joins what is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Join {
    /// It replaces it.
    Replace,
    /// Their sum.
    Add,
    /// Their product.
    Mul,
    /// The smaller one.
    Min,
    /// The larger one.
    Max,
}

impl Join {
    /// Its number in the artifact.
    pub fn code(self) -> u32 {
        self as u32
    }
}

/// An operation with indices.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Indexed {
    /// Slices of an axis: data, indices. The indices' axes take the place of the axis.
    Gather {
        /// The axis.
        axis: usize,
    },
    /// Single elements along an axis: data, indices of the output's shape.
    GatherElements {
        /// The axis.
        axis: usize,
    },
    /// Slices that tuples of indices name: data, indices.
    GatherNd {
        /// Axes in front that data and indices have in common.
        batch_dims: usize,
    },
    /// A copy of the data with single elements updated: data, indices, updates.
    ScatterElements {
        /// The axis that indices go along.
        axis: usize,
        /// How updates join the data.
        join: Join,
    },
    /// A copy of the data with slices updated that tuples name: data, indices, updates.
    ScatterNd {
        /// How updates join the data.
        join: Join,
    },
    /// Of two values the second one where an index is, the first elsewhere: values, indices.
    OneHot {
        /// The new axis of the output.
        axis: usize,
    },
    /// Indices of the largest or smallest elements along an axis, best first.
    TopK {
        /// The axis.
        axis: usize,
        /// The largest are looked for, not the smallest.
        largest: bool,
    },
}

impl Indexed {
    /// Moves elements of its data and computes nothing.
    pub fn gathers(self) -> bool {
        matches!(
            self,
            Self::Gather { .. } | Self::GatherElements { .. } | Self::GatherNd { .. }
        )
    }
}
