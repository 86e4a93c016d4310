//! Whether every tensor is read between its write and the next write over it, found without a
//! table in memory.

use crate::Model;
use crate::artifact::{Operators, Storage, Tensor};
use crate::ops::OperatorSet;

impl<S: OperatorSet> Model<'_, S> {
    /// True exactly when every input of an operator and every output of the model holds its own
    /// value when it is read: it is constant, or an input of the model or an earlier operator's
    /// output, and nothing has been written over it since.
    ///
    /// It counts. A read is right when the last write of its tensor comes before it, with nothing
    /// written over the tensor in between. So each right read lies in the life of just one write,
    /// which ends where the tensor is written again, as a whole or in part, and no wrong read lies
    /// in any. All reads are right when there are as many in all lives together as there are reads.
    ///
    /// The time is the sum of the lengths of the lives, up to where memory is used again: linear in
    /// practice. It is the square of the number of operators when no memory is ever used again, at
    /// some nanoseconds a step on a host.
    pub(crate) fn reads_are_sound(&self) -> bool {
        let mut reads = 0u64;
        let mut right = 0u64;
        for i in 0..self.input_count() {
            let port = self.input_port(i);
            let index = port.and_then(|port| u16::try_from(port.tensor).ok());
            right += index.map_or(0, |index| self.reads_of_life(index, self.operators()));
        }
        let mut rest = self.operators();
        while let Some(operator) = rest.next() {
            reads += operator.inputs().map(|t| self.is_read(t)).sum::<u64>();
            for output in operator.outputs() {
                right += self.reads_of_life(output, rest);
            }
        }
        for i in 0..self.output_count() {
            let index = self
                .output_port(i)
                .and_then(|port| u16::try_from(port.tensor).ok());
            reads += index.map_or(1, |index| self.is_read(index));
        }
        reads == right
    }

    /// 1 for a tensor whose reads are counted, 0 for a constant.
    fn is_read(&self, index: u16) -> u64 {
        let tensor = self.tensors().get(index);
        u64::from(tensor.is_none_or(|tensor| tensor.storage != Storage::Data))
    }

    /// Reads of tensor `index` by the operators `rest` until one of them writes over it, and as
    /// outputs of the model if none does.
    fn reads_of_life(&self, index: u16, rest: Operators<'_>) -> u64 {
        let Some(tensor) = self.tensors().get(index) else {
            return 0;
        };
        if tensor.storage == Storage::Data {
            return 0;
        }
        let mut reads = 0;
        for operator in rest {
            reads += operator.inputs().filter(|&input| input == index).count() as u64;
            if operator.outputs().any(|output| self.ends(&tensor, output)) {
                return reads;
            }
        }
        let outputs = (0..self.output_count()).filter_map(|i| self.output_port(i));
        reads
            + outputs
                .filter(|port| port.tensor == u32::from(index))
                .count() as u64
    }

    /// Whether a write of `output` ends the life of `tensor`.
    fn ends(&self, tensor: &Tensor, output: u16) -> bool {
        let output = self.tensors().get(output);
        output.is_none_or(|output| output.overlaps(tensor))
    }
}
