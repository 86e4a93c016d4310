//! Operators that move elements and do not look at them: one instance for each size.

/// A plain word of as many bytes as an element has. Eight bytes are two words, which need no more
/// alignment than the arena has.
macro_rules! by_size {
    ($dtype:expr, $element:ident => $body:expr) => {
        match $dtype.bytes() {
            1 => {
                type $element = u8;
                $body
            }
            2 => {
                type $element = u16;
                $body
            }
            4 => {
                type $element = u32;
                $body
            }
            8 => {
                type $element = [u32; 2];
                $body
            }
            _ => Err($crate::error::Fault),
        }
    };
}
pub(super) use by_size;
