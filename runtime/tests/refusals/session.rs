//! What a session refuses: arenas, indices and types.

use niwaki::artifact::DataType;
use niwaki::{Element, Model, RunError, Session};

use super::base;
use crate::support::Aligned;

#[test]
fn arenas() {
    let file = Aligned::copy_of(&base().file());
    let model: Model<'_> = Model::new(file.bytes()).unwrap();
    let needed = model.arena_bytes() as u32;
    let small = |found| Err(RunError::ArenaTooSmall { needed, found });
    let misaligned = Err(RunError::ArenaMisaligned);
    for (shift, len, verdict) in [
        (0, needed, Ok(())),
        (0, needed + 1, Ok(())),
        (4, needed, Ok(())),
        (0, needed - 1, small(needed - 1)),
        (0, 0, small(0)),
        (1, needed, misaligned),
        (2, needed, misaligned),
        (3, needed + 1, misaligned),
        (1, needed - 1, small(needed - 1)),
    ] {
        let mut arena = Aligned::filled(shift + len as usize, 0);
        let session = Session::new(&model, &mut arena.bytes_mut()[shift..]);
        assert_eq!(session.map(|_| ()), verdict, "{len} bytes at {shift}");
    }
}

/// Asks for input and output `index` as elements of type `T`.
fn ask<T: Element>(session: &mut Session<'_, '_>, index: usize) -> [Result<usize, RunError>; 2] {
    [
        session.input_as::<T>(index).map(|elements| elements.len()),
        session.output_as::<T>(index).map(<[T]>::len),
    ]
}

#[test]
fn indices_and_types() {
    let types = [DataType::I8, DataType::U8, DataType::I32, DataType::F32];
    for dtype in types {
        // An operator that takes any type, from inputs of 8 and 4 elements to an output of 12.
        let mut artifact = base();
        artifact.tensors.clear();
        artifact.arena_bytes = 0;
        for len in [8, 4, 12] {
            artifact.push_activation(dtype, &[len]);
        }
        artifact.operators = vec![super::concat(2, &[0, 1])];
        artifact.outputs[0].tensor = 2;

        let file = Aligned::copy_of(&artifact.file());
        let model = Model::new(file.bytes()).unwrap();
        let mut arena = Aligned::filled(model.arena_bytes(), 0);
        let session = &mut Session::new(&model, arena.bytes_mut()).unwrap();
        for index in [0, 1, 2, usize::MAX] {
            let missing = RunError::NoSuchTensor {
                index: index as u32,
            };
            let wrong = RunError::WrongType {
                index: index as u32,
            };
            let lens = [[8, 4].get(index), [12].get(index)];
            let found = [
                ask::<i8>(session, index),
                ask::<u8>(session, index),
                ask::<i32>(session, index),
                ask::<f32>(session, index),
            ];
            for (asked, found) in types.into_iter().zip(found) {
                let verdict = lens.map(|len| match len {
                    None => Err(missing),
                    Some(_) if asked != dtype => Err(wrong),
                    Some(&len) => Ok(len),
                });
                let [asked, dtype] = [asked, dtype].map(DataType::name);
                assert_eq!(found, verdict, "{dtype} as {asked}, index {index}");
            }
            let bytes = lens.map(|len| len.map(|len| len * dtype.bytes()).ok_or(missing));
            let found = [
                session.input_mut(index).map(|bytes| bytes.len()),
                session.output(index).map(<[u8]>::len),
            ];
            assert_eq!(found, bytes, "bytes of {}, index {index}", dtype.name());
        }
    }
}
