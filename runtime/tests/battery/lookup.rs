//! Any function of one byte.

use niwaki::artifact::DataType;
use niwaki::ops::{LookupI8, LookupParams};

use crate::support::{Case, Data, Nd, Operand, Random};

pub fn bytes(random: &mut Random, data: &mut Data) -> Case {
    let table: Vec<u8> = (0..256).map(|_| random.bits() as u8).collect();
    // Every byte once, then any.
    let len = random.between(1, 600);
    let x = Nd::from_fn(&[len], |index| match u8::try_from(index[0]) {
        Ok(byte) => byte,
        Err(_) => random.bits() as u8,
    });
    let y = x.map(|byte| table[usize::from(byte)]);
    let params = LookupParams {
        table: data.put(random, &table),
    };
    let mut operand = |bytes: &Nd<u8>| Operand {
        dtype: random.pick(&[DataType::I8, DataType::U8]),
        ..Operand::in_order(bytes)
    };
    Case::new::<LookupI8>(params, vec![operand(&x)], operand(&y))
}
