//! The runtime held against its promises, through its public interface: what an operator
//! computes (`battery`), what is refused and how (`refusals`), what forged bytes can do
//! (`hostile`), and the arithmetic beneath (`numerics`).
#![allow(
    unreachable_pub,
    reason = "nothing leaves a test; `pub` is for the files beside it"
)]

mod battery;
mod support;
