//! What a board tells a [`super::Device`] about itself.

use niwaki_wire::Unit;

use crate::Meter;

/// A board, as far as the application knows it.
pub trait Board: Meter {
    /// Its name, up to 32 bytes.
    fn name(&self) -> &'static str;

    /// What its [`Meter`] counts.
    fn unit(&self) -> Unit;

    /// How many of those go by in a second; 0 when that is not known. Then a host that went away
    /// without a goodbye keeps the board until another one takes it over.
    fn per_second(&self) -> u64 {
        0
    }

    /// The deepest that the stack has been and all that it has, in bytes, of a board that paints it.
    fn stack(&self) -> Option<(u32, u32)> {
        None
    }

    /// The application is at work: a board with a watchdog feeds it here. A run of the model comes
    /// between two calls, so that the watchdog has to wait for longer than that.
    fn still_alive(&self) {}
}
