//! niwaki, or a Rust runtime that it is timed against, as a process that runs when it is told to:
//!
//! ```sh
//! niwaki-peers ENGINE MODEL DTYPE SHAPE
//! ```
//!
//! ENGINE is niwaki, tract or rten; DTYPE and SHAPE, such as `int8` and `1x49x10x1`, are those of
//! the model's one input. It says `ready` and its version when the model is loaded. Then it
//! answers each line `N` by the nanoseconds of one run, the least of N. `peer.py` and `peer.mjs`
//! speak the same.

use std::hint::black_box;
use std::io::{BufRead as _, Write as _};
use std::sync::Arc;
use std::time::Instant;

use anyhow::{Context as _, Result, bail, ensure};

/// Runs once.
type Run = Box<dyn FnMut() -> Result<()>>;

fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [engine, path, dtype, shape] = &arguments[..] else {
        bail!("usage: niwaki-peers niwaki|tract|rten MODEL int8|float32 SHAPE");
    };
    let shape: Vec<usize> = shape
        .split('x')
        .map(str::parse)
        .collect::<Result<_, _>>()
        .with_context(|| format!("`{shape}` is no shape, for instance 1x49x10x1"))?;
    let input = match dtype.as_str() {
        "int8" => Input::I8(pattern(&shape).collect()),
        "float32" => Input::F32(pattern(&shape).map(|v| f32::from(v) / 128.0).collect()),
        other => bail!("`{other}` is no type of an input: int8 and float32 are"),
    };
    let (version, mut run) = match engine.as_str() {
        "niwaki" => ("0.1.0", niwaki(path, &input)?),
        "tract" => ("0.23", tract(path, &shape, &input)?),
        "rten" => ("0.27", rten(path, &shape, input)?),
        other => bail!("`{other}` is no engine: niwaki, tract and rten are"),
    };
    run()?;
    let mut out = std::io::stdout().lock();
    writeln!(out, "ready {version}")?;
    for line in std::io::stdin().lock().lines() {
        let count: usize = line?.trim().parse()?;
        let mut least = u128::MAX;
        for _ in 0..count {
            let start = Instant::now();
            run()?;
            least = least.min(start.elapsed().as_nanos());
        }
        writeln!(out, "{least}")?;
    }
    Ok(())
}

/// The elements of the model's one input.
enum Input {
    I8(Vec<i8>),
    F32(Vec<f32>),
}

/// The same elements for every engine: all values, in no order that helps.
fn pattern(shape: &[usize]) -> impl Iterator<Item = i8> {
    (0..shape.iter().product()).map(|i: usize| ((i * 37 % 251) as i32 - 125) as i8)
}

fn niwaki(path: &str, input: &Input) -> Result<Run> {
    use niwaki::{Model, Session};

    let bytes = std::fs::read(path)?;
    let mut words = vec![0u32; bytes.len().div_ceil(4)];
    niwaki::as_bytes_mut(&mut words)[..bytes.len()].copy_from_slice(&bytes);
    // The process ends with them.
    let words: &'static [u32] = words.leak();
    let model: Model<'static> = Model::new(&niwaki::as_bytes(words)[..bytes.len()])?;
    let arena: &'static mut [u32] = vec![0u32; model.arena_bytes().div_ceil(4)].leak();
    let mut session = Session::new(&model, niwaki::as_bytes_mut(arena))?;
    let bytes: Vec<u8> = match input {
        Input::I8(elements) => elements.iter().map(|v| v.cast_unsigned()).collect(),
        Input::F32(elements) => elements.iter().flat_map(|v| v.to_le_bytes()).collect(),
    };
    Ok(Box::new(move || {
        // A run uses the input's place again: setting it is part of a run.
        let place = session.input_mut(0)?;
        ensure!(place.len() == bytes.len(), "the input has another size");
        place.copy_from_slice(&bytes);
        session.run()?;
        black_box(session.output(0)?);
        Ok(())
    }))
}

fn tract(path: &str, shape: &[usize], input: &Input) -> Result<Run> {
    use tract_onnx::prelude::*;

    let flat = |error: TractError| anyhow::anyhow!("{error:?}");
    let mut model = tract_onnx::onnx().model_for_path(path).map_err(flat)?;
    let (dtype, tensor) = match input {
        Input::I8(elements) => (i8::datum_type(), Tensor::from_shape(shape, elements)),
        Input::F32(elements) => (f32::datum_type(), Tensor::from_shape(shape, elements)),
    };
    let fact = InferenceFact::dt_shape(dtype, shape);
    model.set_input_fact(0, fact).map_err(flat)?;
    let model = model.into_optimized().map_err(flat)?;
    let runnable = model.into_runnable().map_err(flat)?;
    let input = tensor.map_err(flat)?.into_tvalue();
    Ok(Box::new(move || {
        black_box(runnable.run(tvec!(input.clone())).map_err(flat)?);
        Ok(())
    }))
}

fn rten(path: &str, shape: &[usize], input: Input) -> Result<Run> {
    use rten::{Model, RunOptions, ThreadPool, Value};

    let model = Model::load_file(path)?;
    let input = match input {
        Input::I8(elements) => Value::from_shape(shape, elements)?,
        Input::F32(elements) => Value::from_shape(shape, elements)?,
    };
    let pool = Arc::new(ThreadPool::with_num_threads(1));
    Ok(Box::new(move || {
        let mut options = RunOptions::default();
        options.thread_pool = Some(pool.clone());
        black_box(model.run_one((&input).into(), Some(options))?);
        Ok(())
    }))
}
