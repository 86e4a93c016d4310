//! What every test of the runtime is built from: numbers, tensors, artifacts and cases.

mod artifact;
mod case;
mod nd;
mod random;

pub use artifact::{Aligned, Artifact, Data, port};
pub use case::{Case, Operand};
pub use nd::Nd;
pub use random::Random;
