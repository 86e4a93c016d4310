//! The runtime held against its promises, through its public interface: what an operator
//! computes (`battery`), and what is refused and how (`refusals`). What damaged and forged bytes
//! can do is tried in `tests/hostile.rs` of the repository, on a file that the compiler made.
#![allow(
    unreachable_pub,
    reason = "nothing leaves a test; `pub` is for the files beside it"
)]

mod battery;
mod refusals;
mod support;
