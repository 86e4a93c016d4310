//! A model that is put into a program: what is known of it when the program is compiled.

mod digits {
    niwaki::include_model!("../../tests/golden/format-3/digits.niwaki");
}

/// In strips: their records are longer.
mod strips {
    niwaki::include_model!("../../tests/golden/format-3/digits-strips.niwaki");
}

use niwaki::{All, Model, OperatorSet};

#[test]
fn sizes_and_types_are_those_of_the_model() {
    let model = Model::<All>::new(digits::MODEL).unwrap();
    assert_eq!(digits::ARENA_BYTES, model.arena_bytes());
    assert_eq!(digits::OPERATOR_COUNT, model.operator_count());
    assert_eq!(digits::INPUT_BYTES, 28 * 28 * 4);
    assert_eq!(digits::OUTPUT_BYTES, 10 * 4);
    assert_eq!(digits::INPUT_SHAPE, [1, 1, 28, 28]);
    assert_eq!(digits::OUTPUT_SHAPE, [1, 10]);
    let _: digits::Input = [0f32; 28 * 28];
    let _: digits::Output = [0f32; 10];
    const { assert!(strips::ARENA_BYTES < digits::ARENA_BYTES) };
}

#[test]
fn the_set_has_the_models_operators_and_no_others() {
    for (bytes, has) in [
        (digits::MODEL, codes::<digits::ModelOperators>()),
        (strips::MODEL, codes::<strips::ModelOperators>()),
    ] {
        let model = Model::<All>::new(bytes).unwrap();
        let mut used: Vec<_> = model.operators().map(|op| op.header.code).collect();
        used.sort_unstable();
        used.dedup();
        assert_eq!(used, has);
    }
    // An operator of the table that is not in the set.
    assert_eq!(digits::ModelOperators::name(niwaki::ops::TABLE[9].0), None);
}

fn codes<S: OperatorSet>() -> Vec<u16> {
    let table = niwaki::ops::TABLE.iter().map(|&(code, _)| code);
    table.filter(|&code| S::name(code).is_some()).collect()
}

niwaki::operator_set!(struct Others: AddI8, ConvF32);

// As programs say it.
const _: () = niwaki::include::assert_runs::<All>(digits::MODEL, digits::ARENA_BYTES);

#[test]
fn a_program_with_too_small_an_arena_or_too_few_operators_is_not_built() {
    use niwaki::include::assert_runs;

    type Assertion = fn(&[u8], usize);
    let refusal = |assertion: Assertion, model: &'static [u8], arena: usize| {
        let payload = std::panic::catch_unwind(|| assertion(model, arena)).err()?;
        let message = payload.downcast::<&str>().expect("a text");
        Some(*message)
    };
    let of_the_model = assert_runs::<digits::ModelOperators>;
    let others = assert_runs::<Others>;
    let (model, bytes) = (digits::MODEL, digits::ARENA_BYTES);
    assert_eq!(refusal(of_the_model, model, bytes), None);
    let small = refusal(of_the_model, model, bytes - 1).unwrap();
    assert!(small.contains("needs a larger arena"), "{small}");
    let few = refusal(others, model, bytes).unwrap();
    assert!(
        few.contains("has an operator that this program lacks"),
        "{few}"
    );
    let other = refusal(of_the_model, &[0; 200], bytes).unwrap();
    assert!(other.contains("no .niwaki file"), "{other}");
}

#[test]
fn a_run_by_types_gives_the_bits_of_a_run_by_slices() {
    let input: digits::Input = core::array::from_fn(|i| (i % 7) as f32 / 7.0);
    let mut arena = digits::Arena::new();
    let mut session = digits::session(&mut arena).unwrap();
    let typed = *digits::run(&mut session, &input).unwrap();

    let model = Model::<All>::new(digits::MODEL).unwrap();
    let mut arena = vec![0u32; model.arena_bytes().div_ceil(4)];
    let mut session = niwaki::Session::new(&model, niwaki::as_bytes_mut(&mut arena)).unwrap();
    session.input_as(0).unwrap().copy_from_slice(&input);
    session.run().unwrap();
    assert_eq!(session.output_as::<f32>(0).unwrap(), typed);
    assert!(typed.iter().any(|&score| score > 0.0));
}
