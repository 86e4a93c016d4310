//! A model with state, frame by frame over a minute of speech.

use std::path::Path;

use niwaki::Session;
use niwaki_tests::models::{self, Variant};
use niwaki_tests::shared;
use niwaki_tools::data::{self, Elements};

const NAME: &str = "silero_vad_16k_op15";

/// Samples of a frame, and of the frame before that stand in front of them.
const FRAME: usize = 512;
const CONTEXT: usize = 64;

/// The samples of a WAV file of one channel, 16 kHz and 16 bits, from -1 to 1.
fn speech(path: &Path) -> Vec<f32> {
    let bytes = std::fs::read(path).unwrap();
    let (header, data) = bytes.split_at(44);
    let word = |at: usize| u16::from_le_bytes([header[at], header[at + 1]]);
    assert_eq!(&header[..4], b"RIFF");
    assert_eq!(&header[36..40], b"data");
    assert_eq!([word(20), word(22), word(24), word(34)], [1, 1, 16_000, 16]);
    let samples = data.as_chunks::<2>().0;
    let samples = samples.iter().map(|&sample| i16::from_le_bytes(sample));
    samples.map(|sample| f32::from(sample) / 32768.0).collect()
}

fn floats(bytes: &[u8]) -> Vec<f32> {
    let words = bytes.as_chunks::<4>().0;
    words.iter().map(|&word| f32::from_le_bytes(word)).collect()
}

#[test]
fn speech_is_found_frame_by_frame_as_recorded() {
    let Some(shared) = shared() else { return };
    let samples = speech(&shared.join("data/audio/silero_test_16k_60s.wav"));
    let recorded = shared.join(format!("samples/{NAME}_probs_full60s.npz"));
    let recorded = data::read_arrays(&recorded).unwrap();
    let Elements::F32(recorded) = &recorded["p"].elements else {
        panic!("the recorded probabilities are not floats");
    };
    let artifact = models::build(&shared, NAME, Variant::Float).unwrap();
    let model = artifact.model().unwrap();
    let mut arena = vec![0u32; model.arena_bytes().div_ceil(4)];
    let mut session = Session::new(&model, niwaki::as_bytes_mut(&mut arena)).unwrap();

    let mut frame = vec![0.0; CONTEXT + FRAME];
    let mut state = vec![0u8; session.input_mut(1).unwrap().len()];
    let mut worst = 0.0f32;
    for (k, (new, &expected)) in samples.chunks_exact(FRAME).zip(recorded).enumerate() {
        frame.copy_within(FRAME.., 0);
        frame[CONTEXT..].copy_from_slice(new);
        let bytes: Vec<u8> = frame.iter().flat_map(|v| v.to_le_bytes()).collect();
        session.input_mut(0).unwrap().copy_from_slice(&bytes);
        session.input_mut(1).unwrap().copy_from_slice(&state);
        session.run().unwrap();
        let probability = floats(session.output(0).unwrap())[0];
        state.copy_from_slice(session.output(1).unwrap());
        worst = worst.max((probability - expected).abs());
        assert!(
            worst <= 1e-3,
            "frame {k}: {probability}, recorded is {expected}"
        );
    }
    let frames = recorded.len();
    println!("{frames} frames, at most {worst:.1e} from what was recorded");
    // A minute, most of it speech: a model that says nothing would not pass.
    assert_eq!(frames, 1874);
    assert!(samples.len() >= frames * FRAME);
    assert!(recorded.iter().filter(|&&p| p > 0.5).count() > 1400);
}
