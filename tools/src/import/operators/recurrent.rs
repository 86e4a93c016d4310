//! LSTM, GRU and RNN.

use anyhow::{Context as _, Result, bail, ensure};
use ndarray::{ArrayD, IxDyn};
use niwaki::ops::Activation;

use super::require_float_at;
use crate::graph::{Constant, Op, ValueId};
use crate::import::Context;
use crate::layers::{Cell, Recurrent};

/// Elements of an initial state that is left out, and so is 0.
const LARGEST_STATE: usize = 1 << 24;

/// ONNX's activations in the order of their codes, with the defaults of alpha and beta where
/// they have such.
const ACTIVATIONS: [(&str, Option<f32>, Option<f32>); 11] = [
    ("sigmoid", None, None),
    ("tanh", None, None),
    ("relu", None, None),
    ("hardsigmoid", Some(0.2), Some(0.5)),
    ("affine", Some(1.0), Some(0.0)),
    ("leakyrelu", Some(0.01), None),
    ("thresholdedrelu", Some(1.0), None),
    ("scaledtanh", Some(1.0), Some(1.0)),
    ("elu", Some(1.0), None),
    ("softsign", None, None),
    ("softplus", None, None),
];

/// Sizes of a recurrent layer.
#[derive(Clone, Copy)]
struct Sizes {
    steps: usize,
    batch: usize,
    hidden: usize,
    directions: usize,
    states: usize,
    /// Batch before steps and directions.
    batch_first: bool,
}

/// Order of axes that brings batch in front, and the one that brings it back.
const BATCH_FIRST_SEQUENCE: [usize; 3] = [1, 0, 2];
const BATCH_FIRST_OUTPUT: [usize; 4] = [2, 0, 1, 3];

pub(super) fn lstm(context: &mut Context<'_>) -> Result<Vec<ValueId>> {
    let coupled = context.int("input_forget", 0) != 0;
    recurrent(context, Cell::Lstm { coupled }, &["input_forget"])
}

pub(super) fn gru(context: &mut Context<'_>) -> Result<Vec<ValueId>> {
    let linear_before_reset = context.int("linear_before_reset", 0) != 0;
    let cell = Cell::Gru {
        linear_before_reset,
    };
    recurrent(context, cell, &["linear_before_reset"])
}

pub(super) fn rnn(context: &mut Context<'_>) -> Result<Vec<ValueId>> {
    recurrent(context, Cell::Rnn, &[])
}

/// The layer, and its output taken apart: the hidden states of all steps, the final hidden states,
/// and for an LSTM the final cell states.
fn recurrent(context: &mut Context<'_>, cell: Cell, own: &[&str]) -> Result<Vec<ValueId>> {
    let mut known = vec![
        "activation_alpha",
        "activation_beta",
        "activations",
        "clip",
        "direction",
        "hidden_size",
        "layout",
    ];
    known.extend(own);
    context.only_attributes(&known)?;
    let attributes = attributes(context, cell)?;
    let sizes = sizes(context, &attributes)?;
    let lengths = lengths(context, sizes)?;
    let inputs = inputs(context, cell, sizes)?;
    let packed = match lengths {
        None => layer(context, "states", &attributes, inputs, sizes)?,
        Some(lengths) => by_length(context, &attributes, &inputs, sizes, &lengths)?,
    };
    unpack(context, packed, sizes)
}

/// What the attributes say.
fn attributes(context: &Context<'_>, cell: Cell) -> Result<Recurrent> {
    let direction = context.string("direction").unwrap_or_default();
    let (directions, reverse) = match direction.to_lowercase().as_str() {
        "" | "forward" => (1, false),
        "reverse" => (1, true),
        "bidirectional" => (2, false),
        _ => bail!(
            "attribute `direction` is `{direction}`; forward, reverse and bidirectional are accepted"
        ),
    };
    let clip = context.float("clip", f32::INFINITY);
    ensure!(
        clip > 0.0,
        "attribute `clip` is {clip}; it has to be greater than 0"
    );
    Ok(Recurrent {
        cell,
        directions,
        reverse,
        clip,
        activations: activations(context, cell, directions)?,
    })
}

/// The activations of all directions; `activation_alpha` and `activation_beta` go to those that
/// have such a parameter, in their order.
fn activations(context: &Context<'_>, cell: Cell, directions: usize) -> Result<Vec<Activation>> {
    let defaults: &[&str] = match cell {
        Cell::Lstm { .. } => &["Sigmoid", "Tanh", "Tanh"],
        Cell::Gru { .. } => &["Sigmoid", "Tanh"],
        Cell::Rnn => &["Tanh"],
    };
    let names = context.strings("activations");
    let names = names.filter(|names| !names.is_empty()).unwrap_or_else(|| {
        let all = (0..directions).flat_map(|_| defaults);
        all.map(|&name| name.to_owned()).collect()
    });
    ensure!(
        names.len() == directions * cell.activations(),
        "attribute `activations` has {} values; {} are accepted",
        names.len(),
        directions * cell.activations()
    );
    let mut alphas = context
        .floats("activation_alpha")
        .unwrap_or_default()
        .into_iter();
    let mut betas = context
        .floats("activation_beta")
        .unwrap_or_default()
        .into_iter();
    let mut activations = Vec::new();
    for name in &names {
        let lower = name.to_lowercase();
        let code = ACTIVATIONS.iter().position(|(known, ..)| *known == lower);
        let code = code.with_context(|| format!("activation `{name}` is not one of ONNX's"))?;
        let (_, alpha, beta) = ACTIVATIONS[code];
        let parameter = |default: Option<f32>, given: &mut dyn Iterator<Item = f32>| {
            default.map_or(0.0, |default| given.next().unwrap_or(default))
        };
        activations.push(Activation {
            function: code as u32,
            alpha: parameter(alpha, &mut alphas),
            beta: parameter(beta, &mut betas),
        });
    }
    Ok(activations)
}

/// The sizes that input, weights and recurrence agree on.
fn sizes(context: &Context<'_>, attributes: &Recurrent) -> Result<Sizes> {
    let (x, w, r) = (context.shape(0)?, context.shape(1)?, context.shape(2)?);
    let batch_first = context.int("layout", 0) != 0;
    let gates = attributes.cell.gates();
    let hidden = r.get(2).copied().unwrap_or(0);
    let directions = attributes.directions;
    let rows = hidden
        .checked_mul(gates)
        .context("its hidden state is too large")?;
    ensure!(
        x.len() == 3
            && !x.contains(&0)
            && w == [directions, rows, x[2]]
            && r == [directions, rows, hidden],
        "input of shape {x:?}, weights of shape {w:?} and recurrence of shape {r:?} do not fit {directions} directions"
    );
    let stated = context.int("hidden_size", hidden as i64);
    ensure!(
        usize::try_from(stated) == Ok(hidden),
        "attribute `hidden_size` is {stated}, the weights have {hidden}"
    );
    let [first, second] = [x[0], x[1]];
    Ok(Sizes {
        steps: if batch_first { second } else { first },
        batch: if batch_first { first } else { second },
        hidden,
        directions,
        states: attributes.cell.states(),
        batch_first,
    })
}

/// The length of each sequence (input 4); `None` when all go to the end.
fn lengths(context: &Context<'_>, sizes: Sizes) -> Result<Option<Vec<usize>>> {
    let Some(values) = context.integers(4, "sequence_lens")? else {
        return Ok(None);
    };
    let lengths: Vec<usize> = values
        .iter()
        .filter_map(|&len| usize::try_from(len).ok())
        .filter(|len| (1..=sizes.steps).contains(len))
        .collect();
    ensure!(
        lengths.len() == values.len() && values.len() == sizes.batch,
        "its sequence_lens {values:?} do not fit {} sequences of 1 to {} steps",
        sizes.batch,
        sizes.steps
    );
    let whole = lengths.iter().all(|&len| len == sizes.steps);
    Ok((!whole).then_some(lengths))
}

/// A constant of zeros.
fn zeros(context: &mut Context<'_>, part: &str, shape: &[usize]) -> Result<ValueId> {
    let elements = shape.iter().try_fold(1usize, |n, &dim| n.checked_mul(dim));
    ensure!(
        elements.is_some_and(|n| n <= LARGEST_STATE),
        "its {part} of shape {shape:?} is too large: {LARGEST_STATE} elements are supported"
    );
    let name = context.part(part);
    let zeros = Constant::F32(ArrayD::zeros(IxDyn(shape)));
    Ok(context.graph.add_constant(name, zeros))
}

/// Input `i`, of a shape; zeros where it is left out.
fn input_or_zeros(
    context: &mut Context<'_>,
    i: usize,
    what: &str,
    shape: &[usize],
) -> Result<ValueId> {
    let Some(id) = context.optional_input(i) else {
        return zeros(context, what, shape);
    };
    require_float_at(context, i)?;
    ensure!(
        context.graph.shape(id) == shape,
        "its {what} (input {i}) has shape {:?}; {shape:?} is accepted",
        context.graph.shape(id)
    );
    Ok(id)
}

/// A value with its first two axes exchanged.
fn exchanged(context: &mut Context<'_>, part: &str, id: ValueId) -> Result<ValueId> {
    let shape = context.graph.shape(id);
    let shape = vec![shape[1], shape[0], shape[2]];
    let perm = BATCH_FIRST_SEQUENCE.to_vec();
    context.emit_named(&context.part(part), Op::Transpose { perm }, vec![id], shape)
}

/// The inputs of the graph's operation, in its order.
fn inputs(context: &mut Context<'_>, cell: Cell, sizes: Sizes) -> Result<Vec<ValueId>> {
    let Sizes {
        batch,
        hidden,
        directions,
        ..
    } = sizes;
    for i in 0..3 {
        require_float_at(context, i)?;
    }
    let mut x = context.input(0)?;
    if sizes.batch_first {
        x = exchanged(context, "sequence", x)?;
    }
    let bias = [directions, 2 * cell.gates() * hidden];
    let bias = input_or_zeros(context, 3, "bias", &bias)?;
    let mut inputs = vec![x, context.input(1)?, context.input(2)?, bias];
    let names = ["initial_h", "initial_c"];
    for (i, name) in names.iter().enumerate().take(sizes.states) {
        let mut shape = [directions, batch, hidden];
        if sizes.batch_first {
            shape.swap(0, 1);
        }
        let mut state = input_or_zeros(context, 5 + i, name, &shape)?;
        if sizes.batch_first {
            state = exchanged(context, &format!("{name}.first"), state)?;
        }
        inputs.push(state);
    }
    if matches!(cell, Cell::Lstm { .. }) && context.optional_input(7).is_some() {
        let shape = [directions, 3 * hidden];
        inputs.push(input_or_zeros(context, 7, "peepholes", &shape)?);
    }
    Ok(inputs)
}

/// The layer over sequences of one length.
fn layer(
    context: &mut Context<'_>,
    part: &str,
    attributes: &Recurrent,
    inputs: Vec<ValueId>,
    sizes: Sizes,
) -> Result<ValueId> {
    let rows = sizes.steps + sizes.states;
    let shape = vec![rows, sizes.directions, sizes.batch, sizes.hidden];
    let op = Op::Recurrent(Box::new(attributes.clone()));
    context.emit_named(&context.part(part), op, inputs, shape)
}

/// `len` indices of an axis from `start` on.
fn part_of(
    context: &mut Context<'_>,
    part: &str,
    id: ValueId,
    axis: usize,
    (start, len): (usize, usize),
) -> Result<ValueId> {
    let mut shape = context.graph.shape(id).to_vec();
    if shape[axis] == len {
        return Ok(id);
    }
    shape[axis] = len;
    let mut starts = vec![0; shape.len()];
    starts[axis] = start;
    let steps = vec![1; shape.len()];
    context.emit_named(
        &context.part(part),
        Op::Slice { starts, steps },
        vec![id],
        shape,
    )
}

/// Each sequence on its own, as far as it goes: behind its end the states of its steps are 0, and
/// its final states are those of its own last step.
fn by_length(
    context: &mut Context<'_>,
    attributes: &Recurrent,
    inputs: &[ValueId],
    sizes: Sizes,
    lengths: &[usize],
) -> Result<ValueId> {
    let states = 4..4 + sizes.states;
    let mut sequences = Vec::new();
    for (b, &steps) in lengths.iter().enumerate() {
        let name = |part: &str| format!("sequence{b}.{part}");
        let one = Sizes {
            steps,
            batch: 1,
            ..sizes
        };
        let mut own = inputs.to_vec();
        own[0] = part_of(context, &name("only"), own[0], 1, (b, 1))?;
        own[0] = part_of(context, &name("steps"), own[0], 0, (0, steps))?;
        for state in states.clone() {
            own[state] = part_of(
                context,
                &name(&format!("state{state}")),
                own[state],
                1,
                (b, 1),
            )?;
        }
        let packed = layer(context, &name("packed"), attributes, own, one)?;
        let y = part_of(context, &name("y"), packed, 0, (0, steps))?;
        let ends = part_of(context, &name("ends"), packed, 0, (steps, sizes.states))?;
        sequences.push(rejoined(context, &name(""), y, ends, sizes.steps - steps)?);
    }
    let shape = vec![
        sizes.steps + sizes.states,
        sizes.directions,
        sizes.batch,
        sizes.hidden,
    ];
    let op = Op::Concat { axis: 2 };
    context.emit_named(&context.part("states"), op, sequences, shape)
}

/// States of steps, `behind` steps of zeros, and final states.
fn rejoined(
    context: &mut Context<'_>,
    part: &str,
    y: ValueId,
    ends: ValueId,
    behind: usize,
) -> Result<ValueId> {
    let mut parts = vec![y, ends];
    let mut shape = context.graph.shape(y).to_vec();
    if behind > 0 {
        shape[0] = behind;
        parts.insert(1, zeros(context, &format!("{part}behind"), &shape)?);
    }
    let rows = parts.iter().map(|&id| context.graph.shape(id)[0]).sum();
    shape[0] = rows;
    let op = Op::Concat { axis: 0 };
    context.emit_named(&context.part(&format!("{part}joined")), op, parts, shape)
}

/// The outputs in ONNX's shapes.
fn unpack(context: &mut Context<'_>, packed: ValueId, sizes: Sizes) -> Result<Vec<ValueId>> {
    let Sizes {
        steps,
        batch,
        hidden,
        directions,
        ..
    } = sizes;
    let mut outputs = Vec::new();
    let part = if sizes.batch_first { "y" } else { "" };
    let y = part_of(context, part, packed, 0, (0, steps))?;
    if sizes.batch_first {
        let perm = BATCH_FIRST_OUTPUT.to_vec();
        let shape = vec![batch, steps, directions, hidden];
        let name = context.output_name(0);
        outputs.push(context.emit_named(&name, Op::Transpose { perm }, vec![y], shape)?);
    } else {
        outputs.push(y);
    }
    for state in 0..sizes.states {
        let name = context.output_name(1 + state);
        let rows = part_of(
            context,
            &format!("state{state}"),
            packed,
            0,
            (steps + state, 1),
        )?;
        let shape = vec![directions, batch, hidden];
        let first = sizes.batch_first;
        let flat = if first {
            format!("{name}.flat")
        } else {
            name.clone()
        };
        let mut last = context.emit_named(&flat, Op::Reshape, vec![rows], shape)?;
        if first {
            let perm = BATCH_FIRST_SEQUENCE.to_vec();
            let shape = vec![batch, directions, hidden];
            last = context.emit_named(&name, Op::Transpose { perm }, vec![last], shape)?;
        }
        outputs.push(last);
    }
    Ok(outputs)
}
