//! The glue's behaviour, on the host: what a JavaScript caller gets, short of JavaScript.

mod tiny;

use niwaki::{Digest, LoadError, Xorshift32, artifact::DataType};
use niwaki_wasm::{Error, Instance};

const INPUT: [u8; tiny::LEN] = [0, 1, 127, 128, 254, 255];

fn tiny() -> Instance {
    Instance::new(&tiny::artifact([0; 2])).expect("the artifact is sound")
}

#[test]
fn a_second_run_computes_the_same() -> Result<(), Error> {
    let mut instance = tiny();
    instance.set_input(0, &INPUT)?;
    let first = instance.run_with_digests()?;
    assert_eq!(instance.output(0)?, INPUT.map(tiny::expected));
    // The last operator has overwritten the input's place in the arena by now.
    assert_eq!(instance.run_with_digests()?, first);
    instance.run()?;
    assert_eq!(instance.output(0)?, INPUT.map(tiny::expected));
    assert_eq!(
        first.last(),
        Some(&Digest::of(DataType::U8, &instance.output(0)?).0)
    );
    Ok(())
}

#[test]
fn ports_are_described_in_onnx_order() -> Result<(), Error> {
    let instance = tiny();
    let input = instance.input_port(0)?;
    assert_eq!(
        (input.name.as_str(), input.dtype.as_str()),
        ("pixels", "uint8")
    );
    assert_eq!(input.shape, [1, 2, 3]);
    assert_eq!(
        (input.bytes, input.scale, input.zero_point),
        (tiny::LEN, 0.5, 3)
    );
    let output = instance.output_port(0)?;
    assert_eq!(output.name, "score");
    assert_eq!(output.labels, ["ten", "twenty"]);
    Ok(())
}

#[test]
fn calls_out_of_turn_are_refused() -> Result<(), Error> {
    let mut instance = tiny();
    let no_input = Error::NoSuchInput { index: 1, count: 1 };
    let no_output = Error::NoSuchOutput { index: 1, count: 1 };
    let too_long = Error::InputLength {
        index: 0,
        needed: tiny::LEN,
        found: 7,
    };
    assert_eq!(instance.run(), Err(Error::InputNotSet { index: 0 }));
    assert_eq!(instance.output(0), Err(Error::NotRun));
    assert_eq!(instance.output(1), Err(no_output));
    assert_eq!(instance.output_port(1), Err(no_output));
    assert_eq!(instance.input_port(1), Err(no_input));
    assert_eq!(instance.set_input(1, &INPUT), Err(no_input));
    assert_eq!(instance.set_input(0, &[0; 7]), Err(too_long));
    // None of it is in the way of a proper call.
    instance.set_input(0, &INPUT)?;
    instance.run()
}

#[test]
fn the_self_test_names_the_first_operator_that_differs() -> Result<(), Error> {
    let mut random = Xorshift32::new(tiny::SEED);
    let golden = [(); tiny::LEN].map(|()| (random.next_u32() >> 24) as u8);
    let mut instance = tiny();
    instance.set_input(0, &golden)?;
    let digests = instance.run_with_digests()?;
    let [first, second] = digests[..] else {
        panic!("one digest for each of two operators, not {digests:?}");
    };

    let self_test = |digests| Instance::new(&tiny::artifact(digests))?.self_test();
    assert_eq!(self_test([first, second])?, None);
    assert_eq!(self_test([first, !second])?, Some(1));
    assert_eq!(self_test([!first, !second])?, Some(0));

    // The self-test takes the arena: what it leaves there is not an output of the caller's.
    instance.self_test()?;
    assert_eq!(instance.output(0), Err(Error::NotRun));
    instance.run()?;
    assert_eq!(instance.output(0)?, golden.map(tiny::expected));
    Ok(())
}

#[test]
fn a_run_piece_by_piece_gives_the_same_and_is_given_up_by_another() -> Result<(), Error> {
    let sample = [7u8; tiny::LEN];
    let mut instance = tiny();
    assert_eq!(instance.step(), Err(Error::InputNotSet { index: 0 }));
    instance.set_input(0, &sample)?;
    for _ in 0..2 {
        assert_eq!(instance.step()?, Some(0));
        assert_eq!(instance.output(0), Err(Error::NotRun));
        assert_eq!(instance.step()?, Some(1));
        assert_eq!(instance.step()?, None);
        assert_eq!(instance.output(0)?, sample.map(tiny::expected));
    }
    assert_eq!(instance.step()?, Some(0));
    instance.run()?;
    assert_eq!(instance.output(0)?, sample.map(tiny::expected));
    assert_eq!(instance.step()?, Some(0));
    Ok(())
}

#[test]
fn every_damaged_byte_is_noticed() {
    let sound = tiny::artifact([0; 2]);
    for at in 0..sound.len() {
        let mut damaged = sound.clone();
        damaged[at] ^= 0x10;
        assert!(Instance::new(&damaged).is_err(), "byte {at} is not covered");
    }
    let last = sound.len() - 1;
    let mut damaged = sound.clone();
    damaged[last] ^= 1;
    let error = Instance::new(&damaged).expect_err("the last byte is covered");
    assert_eq!(error, Error::Load(LoadError::Damaged));
    assert_eq!(error.to_string(), LoadError::Damaged.to_string());
    assert!(Instance::new(&[]).is_err());
}
