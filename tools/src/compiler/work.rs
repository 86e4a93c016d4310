//! What a run of a model takes, in elementary steps: so that the compiler, which runs what it
//! compiles, never runs for hours.

use anyhow::{Result, ensure};
use niwaki::artifact::RawOperator;
use niwaki::ops::{
    AveragePoolF32, AveragePoolF32Params, AveragePoolI8, AveragePoolI8Params, LocalResponseF32,
    LocalResponseF32Params, LpPoolF32, LpPoolF32Params, MaxPoolF32, MaxPoolI8, MaxPoolIndices,
    MaxPoolIndicesParams, MaxPoolParams, Registered as _, TopK, TopKParams,
};
use niwaki::{Model, OperatorSet};

/// Steps of one run: multiply-accumulates, elements read and written, and elements that windows
/// look at.
pub fn of_model<S: OperatorSet>(model: &Model<'_, S>) -> u64 {
    let steps = model
        .operators()
        .map(|operator| of_operator(model, operator));
    steps.fold(0, u64::saturating_add)
}

/// The operator that takes the most steps of a run, by its index, and its steps.
pub fn largest<S: OperatorSet>(model: &Model<'_, S>) -> Option<(usize, u64)> {
    let steps = model
        .operators()
        .map(|operator| of_operator(model, operator));
    steps.enumerate().max_by_key(|&(_, steps)| steps)
}

/// Arena of the largest run that the compiler makes.
const LARGEST_ARENA: usize = 1 << 29;

/// Refuses a run of more than `limit` steps, or of an arena that takes a machine's memory.
///
/// # Errors
///
/// Names the operator that takes the most.
pub fn check_run<S: OperatorSet>(model: &Model<'_, S>, limit: u64) -> Result<()> {
    let steps = of_model(model);
    let name = |index: usize| {
        let output = model.operators().nth(index).and_then(|o| o.output(0));
        let tensor = output.and_then(|output| model.tensors().get(output));
        tensor.map_or("", |tensor| model.text(tensor.name))
    };
    let (index, most) = largest(model).unwrap_or_default();
    ensure!(
        steps <= limit,
        "one run takes {steps} multiply-accumulates and other steps, {most} of them `{}`",
        name(index)
    );
    let arena = model.arena_bytes();
    let of_output = |o: RawOperator<'_>| Some(model.tensors().get(o.output(0)?)?.byte_len());
    let largest = model.operators().filter_map(of_output).enumerate();
    let (index, bytes) = largest.max_by_key(|&(_, bytes)| bytes).unwrap_or_default();
    ensure!(
        arena <= LARGEST_ARENA,
        "one run takes {arena} bytes of arena, {bytes} of them `{}`",
        name(index)
    );
    Ok(())
}

/// Steps of one operator.
fn of_operator<S: OperatorSet>(model: &Model<'_, S>, operator: RawOperator<'_>) -> u64 {
    let tensors = operator.inputs().chain(operator.outputs());
    let elements = tensors
        .filter_map(|index| model.tensors().get(index))
        .fold(0u64, |sum, tensor| sum.saturating_add(tensor.len() as u64));
    let output = operator.output(0).and_then(|i| model.tensors().get(i));
    let for_each_output = for_each_output(operator).saturating_sub(1);
    let looked_at = output.map_or(0, |output| {
        (output.len() as u64).saturating_mul(for_each_output)
    });
    let macs = model.macs(operator);
    macs.saturating_add(elements).saturating_add(looked_at)
}

/// Elements that each element of the output is made from, where that is not counted in
/// multiply-accumulates and may be many; 1 for all other operators.
fn for_each_output(operator: RawOperator<'_>) -> u64 {
    let window = match operator.header.code {
        MaxPoolI8::CODE | MaxPoolF32::CODE => {
            operator.parameters::<MaxPoolParams>().map(|p| p.window)
        }
        MaxPoolIndices::CODE => operator
            .parameters::<MaxPoolIndicesParams>()
            .map(|p| p.window),
        AveragePoolI8::CODE => operator
            .parameters::<AveragePoolI8Params>()
            .map(|p| p.window),
        AveragePoolF32::CODE => operator
            .parameters::<AveragePoolF32Params>()
            .map(|p| p.window),
        LpPoolF32::CODE => operator.parameters::<LpPoolF32Params>().map(|p| p.window),
        LocalResponseF32::CODE => {
            let parameters = operator.parameters::<LocalResponseF32Params>();
            return parameters.map_or(1, |p| p.size.min(p.channels).into());
        }
        TopK::CODE => {
            let parameters = operator.parameters::<TopKParams>();
            return parameters.map_or(1, |p| p.axis.into());
        }
        _ => None,
    };
    window.map_or(1, |w| u64::from(w.kernel_h) * u64::from(w.kernel_w))
}
