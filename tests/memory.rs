//! `niwaki inspect --memory`: the arena over time as a table, as JSON and as a picture.

use niwaki_tests::onnx::Onnx;
use niwaki_tests::{float, niwaki, root};
use niwaki_tools::artifact::Artifact;
use niwaki_tools::memory::{Timeline, svg};
use niwaki_tools::{compiler, import};

fn compiled(onnx: &Onnx) -> Artifact {
    let constants = std::collections::HashMap::new();
    let dimensions = import::Dimensions::new();
    let imported = import::import_bytes(&onnx.bytes(), &dimensions, &constants).unwrap();
    let compiled = compiler::compile(&imported, &float(), None).unwrap();
    Artifact::from_bytes(compiled.bytes()).unwrap()
}

fn timeline(artifact: &Artifact) -> Timeline {
    Timeline::of(&artifact.model().unwrap())
}

/// A sum of what came in and what two functions made of it: three tensors at once.
fn residual() -> Onnx {
    let mut onnx = Onnx::new(&[1, 100]);
    onnx.node("Sigmoid", &["x"], "a");
    onnx.node("Softmax", &["a"], "b");
    onnx.node("Sub", &["b", "x"], "y");
    onnx.output("y");
    onnx
}

#[test]
fn lives_go_from_the_write_to_the_last_read() {
    let timeline = timeline(&compiled(&residual()));
    let life = |name: &str| {
        timeline
            .lives
            .iter()
            .find(|life| life.name == name)
            .unwrap()
    };
    let span = |name: &str| (life(name).first, life(name).last, life(name).bytes);
    assert_eq!(timeline.lives.len(), 4);
    assert_eq!(span("x"), (0, 3, 400));
    assert_eq!(span("a"), (1, 2, 400));
    assert_eq!(span("b"), (2, 3, 400));
    assert_eq!(span("y"), (3, 4, 400));
    assert_eq!(timeline.moments.len(), 3);
    let top = timeline.moments.iter().map(|moment| moment.top).max();
    assert_eq!(top, Some(timeline.arena_bytes));
    let peak = &timeline.moments[timeline.peak.unwrap()];
    assert_eq!(peak.top, timeline.arena_bytes);
    for moment in &timeline.moments {
        assert!(moment.live_bytes <= moment.top);
        assert!(moment.live.len() >= 2);
    }
}

/// Boxes of tensors in a picture, with their titles.
fn boxes(picture: &str) -> Vec<(String, [f64; 4])> {
    let document = roxmltree::Document::parse(picture).expect("well-formed XML");
    let rects = document.descendants().filter(|node| {
        let class = node.attribute("class").unwrap_or_default();
        node.has_tag_name("rect") && class.split(' ').any(|class| class == "tensor")
    });
    let number = |node: &roxmltree::Node<'_, '_>, name: &str| -> f64 {
        node.attribute(name).unwrap().parse().unwrap()
    };
    rects
        .map(|node| {
            let title = node.prev_sibling_element().unwrap().text().unwrap();
            let edges = ["x", "y", "width", "height"].map(|name| number(&node, name));
            (title.to_owned(), edges)
        })
        .collect()
}

#[test]
fn the_picture_has_one_box_a_tensor_inside_its_frame() {
    let folder = root().join("examples/digits");
    let imported = import::import(&folder.join("digits.onnx"), &import::Dimensions::new()).unwrap();
    let compiled = compiler::compile(&imported, &float(), None).unwrap();
    let digits = Artifact::from_bytes(compiled.bytes()).unwrap();
    for artifact in [digits, self::compiled(&residual())] {
        let timeline = timeline(&artifact);
        let picture = svg::draw(&timeline, "a model");
        let boxes = boxes(&picture);
        assert_eq!(boxes.len(), timeline.lives.len());
        let document = roxmltree::Document::parse(&picture).unwrap();
        let size = |name: &str| -> f64 {
            let value = document.root_element().attribute(name).unwrap();
            value.parse().unwrap()
        };
        for ((title, [x, y, width, height]), life) in boxes.iter().zip(&timeline.lives) {
            assert!(
                title.contains(&life.name) && title.contains(&life.shape),
                "{title}"
            );
            assert!(*x >= 0.0 && *y >= 0.0 && *width > 0.0, "{title}");
            assert!(
                x + width <= size("width") && y + height <= size("height"),
                "{title}"
            );
        }
        assert!(picture.contains("prefers-color-scheme: dark"));
        assert!(picture.contains("the peak is at operator"));
    }
}

#[test]
fn hostile_names_stay_text() {
    let mut onnx = Onnx::new(&[1, 4]);
    let name = "</text><script>alert(\"1\")</script>&\u{1}'";
    onnx.node("Sigmoid", &["x"], name);
    onnx.output(name);
    let timeline = timeline(&compiled(&onnx));
    let picture = svg::draw(&timeline, name);
    let document = roxmltree::Document::parse(&picture).expect("well-formed XML");
    assert!(
        !document
            .descendants()
            .any(|node| node.has_tag_name("script"))
    );
    assert_eq!(boxes(&picture).len(), 2);
}

#[test]
fn the_command_prints_and_draws() {
    let folder = tempfile::tempdir().unwrap();
    let model = root().join("tests/golden/format-1/digits.niwaki");
    let run = |arguments: &[&str]| {
        let mut command = niwaki();
        command.arg("inspect").arg(&model).args(arguments);
        let output = command.current_dir(folder.path()).output().unwrap();
        assert!(output.status.success(), "{}", niwaki_tests::stderr(&output));
        String::from_utf8(output.stdout).unwrap()
    };
    let text = run(&["--memory", "--svg", "arena.svg"]);
    let artifact = Artifact::read(&model).unwrap();
    let timeline = timeline(&artifact);
    assert_eq!(text.matches("<- peak").count(), 1, "{text}");
    for moment in &timeline.moments {
        assert!(text.contains(moment.kind), "{text}");
    }
    assert!(text.contains("the peak is at operator"), "{text}");
    let picture = std::fs::read_to_string(folder.path().join("arena.svg")).unwrap();
    assert_eq!(boxes(&picture).len(), timeline.lives.len());

    let json: serde_json::Value = serde_json::from_str(&run(&["--memory", "--json"])).unwrap();
    assert_eq!(json["arena_bytes"], timeline.arena_bytes);
    assert_eq!(
        json["moments"].as_array().unwrap().len(),
        timeline.moments.len()
    );

    let mut command = niwaki();
    command.arg("inspect").arg(&model).args(["--svg", "x.svg"]);
    assert_eq!(command.output().unwrap().status.code(), Some(2));
}
