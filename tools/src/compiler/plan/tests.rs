//! Plans with strips: whatever is run in strips, every layer keeps its bytes.

use niwaki::{Model, Session, Xorshift32};

use super::fit::PACES;
use super::lifetimes::Conflicts;
use super::schedule::Group;
use super::{ordered, place, plan, plan_within, run_in_strips};
use crate::compiler::emit;
use crate::compiler::random_graphs::graph;
use crate::compiler::select::{Selected, select};
use crate::proof::prove;

fn ports(selected: &Selected) -> [Vec<usize>; 2] {
    [&selected.inputs, &selected.outputs].map(|ports| ports.iter().map(|port| port.0).collect())
}

/// The digests of all layers for some inputs, from an artifact that the loader has accepted.
fn digests(selected: &Selected, plan: &super::Plan) -> Vec<u64> {
    let artifact = emit::emit(selected, plan, &emit::Extras::default()).unwrap();
    let model: Model<'_> = Model::new(niwaki::as_bytes(&artifact)).unwrap();
    let mut arena = vec![0u32; model.arena_bytes().div_ceil(4)];
    prove(niwaki::as_bytes(&artifact)).unwrap();
    let mut session = Session::new(&model, niwaki::as_bytes_mut(&mut arena)).unwrap();
    let mut all = Vec::new();
    for seed in 1..4 {
        session.fill_golden_inputs(seed).unwrap();
        session
            .run_digests(&mut |_, digest| all.push(digest.0))
            .unwrap();
    }
    all
}

/// What a graph gives when nothing is run in strips, and its operators.
fn whole(seed: u32) -> (Selected, Vec<u64>, usize) {
    let mut selected = select(&graph(seed, 23, true)).unwrap();
    let [inputs, outputs] = ports(&selected);
    let plan = plan(&mut selected.builder, &inputs, &outputs).unwrap();
    let digests = digests(&selected, &plan);
    (selected, digests, plan.arena_bytes)
}

#[test]
fn any_group_at_any_pace_keeps_the_bytes() {
    let mut random = Xorshift32::new(7);
    let (mut groups, mut strips) = (0, 0);
    for seed in 1..60 {
        let (selected, expected, _) = whole(seed);
        let [inputs, outputs] = ports(&selected);
        for _ in 0..20 {
            let mut selected = selected.clone();
            let problem = ordered(&mut selected.builder, &inputs, &outputs).unwrap();
            let mut below = |end: usize| (random.next_u32() >> 8) as usize % end;
            let count = problem.operators.len();
            let from = below(count - 1);
            let range = from..from + 2 + below(count - from - 1);
            let pace = PACES[below(PACES.len())];
            let Some(group) = Group::of(&problem, range, pace) else {
                continue;
            };
            groups += 1;
            strips += group.strips;
            let problem = problem.with_group(group);
            let plan = place::place(&problem, &Conflicts::of(&problem));
            run_in_strips(&mut selected.builder, &problem);
            assert_eq!(
                digests(&selected, &plan),
                expected,
                "{seed}: {:?}",
                plan.strips
            );
        }
    }
    assert!(groups > 200 && strips > 5 * groups, "{groups}, {strips}");
}

/// Wrong plans: the prover finds them, and the loader accepts none that it finds.
#[test]
fn what_the_loader_accepts_is_proved() {
    let (mut wrong, mut right) = (0, 0);
    for seed in 1..30 {
        let (selected, _, arena) = whole(seed);
        let [inputs, outputs] = ports(&selected);
        let mut selected = selected.clone();
        let ram = arena * 9 / 10;
        let builder = &mut selected.builder;
        let plan = plan_within(builder, &inputs, &outputs, ram)
            .or_else(|_| plan(builder, &inputs, &outputs))
            .unwrap();
        for index in 0..plan.offsets.len() {
            let mut moved = plan.clone();
            moved.offsets[index] = moved.offsets[(index + 1) % plan.offsets.len()];
            moved.arena_bytes += arena;
            let words = emit::serialise(&selected, &moved, &emit::Extras::default(), &[]).unwrap();
            let bytes = niwaki::as_bytes(&words);
            let proof = prove(bytes);
            if Model::<niwaki::All>::new(bytes).is_ok() {
                proof.unwrap();
                right += 1;
            } else {
                wrong += usize::from(proof.is_err());
            }
        }
    }
    assert!(wrong > 100 && right > 20, "{wrong}, {right}");
}

#[test]
fn less_memory_keeps_the_bytes_or_says_how_far_it_gets() {
    let (mut fitting, mut refused) = (0, 0);
    for seed in 1..30 {
        let (selected, expected, arena) = whole(seed);
        let [inputs, outputs] = ports(&selected);
        for percent in [100, 90, 75, 60] {
            let ram = arena * percent / 100;
            let mut selected = selected.clone();
            match plan_within(&mut selected.builder, &inputs, &outputs, ram) {
                Ok(plan) => {
                    assert!(plan.arena_bytes <= ram);
                    assert_eq!(digests(&selected, &plan), expected, "{seed}, {percent} %");
                    fitting += usize::from(!plan.strips.is_empty());
                }
                Err(error) => {
                    let text = error.to_string();
                    assert!(
                        text.contains("smallest arena") && text.contains("layer"),
                        "{text}"
                    );
                    assert!(percent < 100);
                    refused += 1;
                }
            }
        }
    }
    assert!(fitting > 3 && refused > 10, "{fitting}, {refused}");
}
