//! Random graphs of int8 layers with channels that are constant or unread: the output keeps its
//! bytes, whatever went.

use niwaki::{Model, Session};

use super::{Report, shrink};
use crate::compiler::random_graphs::graph;
use crate::compiler::select::select;
use crate::compiler::{emit, plan, simplify};
use crate::graph::Graph;

fn artifact(graph: &Graph, with: bool) -> (Vec<u32>, Option<Report>) {
    let mut selected = select(graph).unwrap();
    let report = with.then(|| shrink(&mut selected, simplify::Report::default()).unwrap());
    let ports = |ports: &[(usize, String)]| ports.iter().map(|p| p.0).collect::<Vec<_>>();
    let (inputs, outputs) = (ports(&selected.inputs), ports(&selected.outputs));
    let plan = plan::plan(&mut selected.builder, &inputs, &outputs).unwrap();
    let artifact = emit::emit(&selected, &plan, &emit::Extras::default()).unwrap();
    (artifact, report)
}

fn outputs(artifact: &[u32]) -> Vec<Vec<u8>> {
    let model: Model<'_> = Model::new(niwaki::as_bytes(artifact)).unwrap();
    let mut arena = vec![0u32; model.arena_bytes().div_ceil(4)];
    let mut session = Session::new(&model, niwaki::as_bytes_mut(&mut arena)).unwrap();
    let mut all = Vec::new();
    for seed in 1..6 {
        session.fill_golden_inputs(seed).unwrap();
        session.run().unwrap();
        all.push(session.output(0).unwrap().to_vec());
    }
    all
}

#[test]
fn outputs_keep_their_bytes_whatever_goes() {
    let (mut constant, mut unread, mut borders) = (0, 0, 0);
    for seed in 1..400 {
        let graph = graph(seed, 5, false);
        let (plain, _) = artifact(&graph, false);
        let (shrunk, report) = artifact(&graph, true);
        assert_eq!(outputs(&plain), outputs(&shrunk), "seed {seed}");
        let report = report.unwrap();
        assert!(report.after.macs <= report.before.macs, "seed {seed}");
        constant += report.constant_channels;
        unread += report.unread_channels;
        borders += report.border_products;
    }
    println!("{constant} constant and {unread} unread channels, {borders} products with borders");
    assert!(constant > 1000 && unread > 300 && borders > 30);
}
