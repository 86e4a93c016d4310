//! Lookup: any function of one byte, as a table that the compiler made.

use super::{Check, Memory, Operator, Overlap, Steps};
use crate::artifact::{Blob, DataType, record};
use crate::error::{Fault, Rule};

record! {
    /// Parameters of [`LookupI8`].
    pub struct LookupParams {
        /// 256 bytes: the output for each input byte, taken as unsigned.
        pub table: Blob<u8>,
    }
}

/// A function of one int8 or uint8, byte by byte.
#[derive(Debug)]
pub struct LookupI8;

impl Operator for LookupI8 {
    type Params = LookupParams;

    fn check(check: &Check<'_>, p: &LookupParams) -> Result<(), Rule> {
        check.arity(1)?;
        let byte = |dtype| matches!(dtype, DataType::I8 | DataType::U8);
        let (input, output) = (check.input(0)?, check.output()?);
        if !byte(input.dtype) || !byte(output.dtype) {
            return Err(Rule::DataType);
        }
        if input.len() != output.len() {
            return Err(Rule::ShapeMismatch);
        }
        check.constants(p.table, 256)?;
        Ok(())
    }

    fn steps(check: &Check<'_>, _: &Self::Params) -> Option<Steps> {
        check.element_steps()
    }

    fn overlap(check: &Check<'_>, _: &Self::Params, i: usize) -> Option<Overlap> {
        check.element_overlap(i)
    }

    fn run(memory: &mut Memory<'_, '_>, p: &LookupParams) -> Result<(), Fault> {
        let table = memory.constants(p.table, 256)?;
        let table = table.first_chunk::<256>().ok_or(Fault)?;
        // A byte is an index below 256: there is always an entry.
        memory.by_elements(|x: u8| table.get(usize::from(x)).copied().unwrap_or_default())
    }
}
