//! The engine as JavaScript drives it, on the host.

mod tiny;

use niwaki::{LoadError, RunError, Xorshift32};
use niwaki_wasm::{Engine, Fact, Status};

const INPUT: [u8; tiny::LEN] = [0, 1, 2, 127, 128, 255];

fn engine(bytes: &[u8]) -> Result<Engine, LoadError> {
    let mut engine = Engine::new(bytes.len(), 64).expect("there is room for some bytes");
    load(&mut engine, bytes).map(|()| engine)
}

fn load(engine: &mut Engine, bytes: &[u8]) -> Result<(), LoadError> {
    engine.file_mut().copy_from_slice(bytes);
    engine.load()
}

fn run(engine: &mut Engine) -> Result<Vec<u8>, RunError> {
    engine.elements_mut(0).unwrap().copy_from_slice(&INPUT);
    engine.run()?;
    Ok(engine.elements_mut(1).unwrap().to_vec())
}

#[test]
fn it_computes_and_describes_itself() {
    let mut engine = engine(&tiny::artifact([0; 2])).unwrap();
    assert_eq!(run(&mut engine).unwrap(), INPUT.map(tiny::expected));
    assert_eq!(run(&mut engine).unwrap(), INPUT.map(tiny::expected));
    let facts = [
        (Fact::Inputs, 1),
        (Fact::Outputs, 1),
        (Fact::Operators, 2),
        (Fact::Golden, 1),
    ];
    for (fact, value) in facts {
        assert_eq!(engine.fact(fact as u32), value, "{fact:?}");
    }
    let port = *engine.port(0).unwrap();
    assert_eq!(port.bytes, tiny::LEN as u32);
    // Stored as (batch, width, channel) of ONNX's (batch, channel, width).
    assert_eq!((port.rank, &port.shape[..3]), (3, &[1, 2, 3][..]));
    assert_eq!((f32::from_bits(port.scale), port.zero_point), (0.5, 3));
    assert_eq!([port.name[1], port.labels[1]], [6, 0]);
    let port = *engine.port(1).unwrap();
    assert_eq!([port.name[1], port.labels[1]], [5, 10]);
    assert_eq!(engine.port(2), None);
    let [operator, name] = engine.layer(1).map(|l| [l.operator[1], l.name[1]]).unwrap();
    assert_eq!([operator, name], ["LookupI8".len() as u32, 0]);
    assert_eq!(engine.layer(2), None);
}

#[test]
fn a_run_can_be_made_piece_by_piece_and_given_up() {
    let mut engine = engine(&tiny::artifact([0; 2])).unwrap();
    engine.elements_mut(0).unwrap().copy_from_slice(&INPUT);
    assert_eq!(engine.step(), Ok(Some(0)));
    // Given up: the next run is a whole one.
    assert_eq!(run(&mut engine).unwrap(), INPUT.map(tiny::expected));
    engine.elements_mut(0).unwrap().copy_from_slice(&INPUT);
    let steps = [(); 3].map(|()| engine.step());
    assert_eq!(steps, [Ok(Some(0)), Ok(Some(1)), Ok(None)]);
    assert_eq!(engine.elements_mut(1).unwrap(), INPUT.map(tiny::expected));
}

#[test]
fn each_piece_shows_what_it_has_written() {
    let mut engine = engine(&tiny::artifact([0; 2])).unwrap();
    engine.elements_mut(0).unwrap().copy_from_slice(&INPUT);
    let wanted = *engine.port(1).unwrap();
    for index in 0..2 {
        assert_eq!(engine.step(), Ok(Some(index)));
        let found = *engine.activation().unwrap();
        assert_eq!(found.bytes, tiny::LEN as u32);
        assert_eq!((found.rank, &found.shape[..3]), (3, &[1, 2, 3][..]));
        assert_eq!(found.axes[..3], [0, 2, 1]);
    }
    let found = *engine.activation().unwrap();
    assert_eq!((found.address, found.scale), (wanted.address, wanted.scale));
    // Nothing is left, and nothing was written.
    assert_eq!(engine.step(), Ok(None));
    assert_eq!(engine.activation(), None);
}

#[test]
fn the_self_test_names_the_first_operator_that_differs() {
    let mut random = Xorshift32::new(tiny::SEED);
    let golden = [(); tiny::LEN].map(|()| (random.next_u32() >> 24) as u8);
    let mut first_one = engine(&tiny::artifact([0; 2])).unwrap();
    first_one.elements_mut(0).unwrap().copy_from_slice(&golden);
    let [first, second] = first_one.run_digests().unwrap()[..] else {
        panic!("one digest for each of two operators");
    };
    let self_test = |digests| engine(&tiny::artifact(digests)).unwrap().self_test();
    assert_eq!(self_test([first, second]), Ok(None));
    assert_eq!(self_test([first, !second]), Ok(Some(1)));
    assert_eq!(self_test([!first, !second]), Ok(Some(0)));
}

#[test]
fn every_damaged_byte_is_noticed_and_the_engine_is_good_for_another_model() {
    let sound = tiny::artifact([0; 2]);
    let mut engine = engine(&sound).unwrap();
    for at in 0..sound.len() {
        let mut damaged = sound.clone();
        damaged[at] ^= 0x10;
        assert!(engine.prepare(damaged.len(), 64));
        assert!(
            load(&mut engine, &damaged).is_err(),
            "byte {at} is not covered"
        );
        assert!(!engine.message().is_empty());
        // Nothing runs that has not been loaded, and nothing breaks.
        assert!(engine.run().is_err() && engine.port(0).is_none());
    }
    let mut damaged = sound.clone();
    *damaged.last_mut().unwrap() ^= 1;
    assert!(engine.prepare(damaged.len(), 64));
    engine.file_mut().copy_from_slice(&damaged);
    assert_eq!(engine.load().map_err(Status::from), Err(Status::Damaged));
    assert_eq!(engine.message(), LoadError::Damaged.to_string().as_bytes());
    assert!(engine.prepare(sound.len(), 64));
    load(&mut engine, &sound).unwrap();
    assert_eq!(run(&mut engine).unwrap(), INPUT.map(tiny::expected));
}

#[test]
fn what_does_not_fit_is_refused() {
    assert!(Engine::new(usize::MAX / 2, 64).is_none());
    assert!(Engine::new(64, usize::MAX).is_none());
    // An arena that is smaller than the file asks for, which another caller could make.
    let bytes = tiny::artifact([0; 2]);
    let mut engine = Engine::new(bytes.len(), 0).unwrap();
    load(&mut engine, &bytes).unwrap();
    assert_eq!(engine.run(), Err(RunError::Internal { operator: 0 }));
    assert_eq!(engine.port(0), None);
}
