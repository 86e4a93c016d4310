//! The texts of a package for one model.

use std::fmt::Write as _;

use anyhow::{Context as _, Result};
use niwaki::Model;
use niwaki::artifact::{Port, Tensor};
use serde_json::Value;

/// An input or output, as TypeScript sees it.
struct Side {
    name: String,
    array: &'static str,
    dtype: &'static str,
    shape: Vec<u32>,
    labels: Vec<String>,
    quantised: String,
    /// Whether the model says what to do with raw data.
    is_raw: bool,
}

impl Side {
    fn new(model: &Model<'_>, port: &Port, tensor: &Tensor) -> Self {
        let mut axes: Vec<_> = tensor.axes().zip(tensor.shape().iter().copied()).collect();
        axes.sort_unstable();
        let quantised = match tensor.scale {
            0.0 => "real values".to_owned(),
            scale => format!("real value = {scale} * (q - {})", tensor.zero_point),
        };
        Self {
            name: model.text(port.name).to_owned(),
            array: array(tensor.dtype),
            dtype: tensor.dtype.name(),
            shape: axes.into_iter().map(|(_, dim)| dim).collect(),
            labels: model.text(port.labels).lines().map(str::to_owned).collect(),
            quantised,
            is_raw: !model.text(port.preprocessing).is_empty(),
        }
    }

    fn shape(&self) -> String {
        let dims: Vec<_> = self.shape.iter().map(u32::to_string).collect();
        dims.join("x")
    }

    /// What a run takes, as TypeScript has it.
    fn taken(&self) -> String {
        let raw = if self.is_raw { " | Raw" } else { "" };
        format!("{}{raw}", self.array)
    }

    fn len(&self) -> u64 {
        self.shape.iter().map(|&dim| u64::from(dim)).product()
    }

    /// As a sentence of a comment, which no name can end.
    fn describe(&self) -> String {
        let name = if self.name.is_empty() {
            "(stripped)"
        } else {
            &self.name
        };
        format!(
            "`{}`: {} of shape {}, {}",
            name.replace("*/", "* /"),
            self.dtype,
            self.shape(),
            self.quantised
        )
    }
}

fn array(dtype: niwaki::artifact::DataType) -> &'static str {
    use niwaki::artifact::DataType as D;
    match dtype {
        D::I8 => "Int8Array",
        D::U8 | D::Bool => "Uint8Array",
        D::I16 => "Int16Array",
        D::U16 => "Uint16Array",
        D::I32 => "Int32Array",
        D::I64 => "BigInt64Array",
        D::F32 => "Float32Array",
    }
}

/// All text files of the package, by their names.
pub(super) fn all(model: &Model<'_>, name: &str) -> Result<Vec<(&'static str, String)>> {
    let side = |port: Option<Port>, tensor: Option<Tensor>| -> Result<Side> {
        let message = "the artifact describes too few inputs or outputs";
        Ok(Side::new(
            model,
            &port.context(message)?,
            &tensor.context(message)?,
        ))
    };
    let inputs: Vec<Side> = (0..model.input_count())
        .map(|i| side(model.input_port(i), model.input(i)))
        .collect::<Result<_>>()?;
    let outputs: Vec<Side> = (0..model.output_count())
        .map(|i| side(model.output_port(i), model.output(i)))
        .collect::<Result<_>>()?;
    Ok(vec![
        ("package.json", manifest(name)),
        ("index.d.ts", types(name, &inputs, &outputs)),
        ("README.md", readme(name, &inputs, &outputs)),
        ("selftest.html", self_test(name)),
        ("selftest.js", SELF_TEST.to_owned()),
    ])
}

/// Written out, as the order of conditions is their rank. A name has letters, digits and hyphens.
fn manifest(name: &str) -> String {
    format!(
        "{{\n  \
           \"name\": \"{name}\",\n  \
           \"version\": \"1.0.0\",\n  \
           \"description\": \"The model {name}, and the niwaki runtime with just its operators.\",\n  \
           \"type\": \"module\",\n  \
           \"exports\": {{\n    \
             \".\": {{\n      \
               \"types\": \"./index.d.ts\",\n      \
               \"default\": \"./index.js\"\n    \
             }},\n    \
             \"./package.json\": \"./package.json\"\n  \
           }},\n  \
           \"sideEffects\": false,\n  \
           \"engines\": {{\n    \
             \"node\": \">=20.16\"\n  \
           }}\n\
         }}\n"
    )
}

/// A union of texts, as TypeScript writes it.
fn union(texts: &[String]) -> String {
    let quoted: Vec<_> = texts.iter().map(|text| quote(text)).collect();
    quoted.join(" | ")
}

fn quote(text: &str) -> String {
    Value::from(text).to_string()
}

fn types(name: &str, inputs: &[Side], outputs: &[Side]) -> String {
    let mut named = String::new();
    for input in inputs {
        let (describe, key, array) = (input.describe(), quote(&input.name), input.taken());
        // Writing to a String cannot fail.
        let _ = write!(
            named,
            "  /** {describe}; {} elements. */\n  {key}: {array};\n",
            input.len()
        );
    }
    // With one input its name need not be said.
    let alone = match inputs {
        [input] => format!("{} | ", input.taken()),
        _ => String::new(),
    };
    let first = outputs.first();
    let label = first
        .filter(|output| !output.labels.is_empty())
        .map_or_else(|| "string".to_owned(), |output| union(&output.labels));
    let raw = first.map_or("Float32Array", |output| output.array);
    let names: Vec<String> = outputs.iter().map(|output| output.name.clone()).collect();
    let names = union(&names);
    let mut described = String::new();
    for output in outputs {
        let _ = writeln!(described, " * {}", output.describe());
    }
    // The types of the whole package, which lie beside this one.
    let import = match inputs.iter().any(|input| input.is_raw) {
        true => "import type { Raw } from \"./niwaki.d.ts\";\n\n",
        false => "",
    };
    format!("{import}{TYPES}")
        .replace("@NAME@", name)
        .replace("@INPUTS@", &named)
        .replace("@ALONE@", &alone)
        .replace("@LABEL@", &label)
        .replace("@OUTPUT_NAMES@", &names)
        .replace("@OUTPUTS@", &described)
        .replace("@RAW@", raw)
}

const TYPES: &str = include_str!("index.d.ts");
const SELF_TEST: &str = include_str!("selftest.js");

fn readme(name: &str, inputs: &[Side], outputs: &[Side]) -> String {
    let list = |sides: &[Side]| {
        let lines: Vec<_> = sides
            .iter()
            .map(|side| format!("- {}", side.describe()))
            .collect();
        lines.join("\n")
    };
    let argument = match inputs {
        [input] => format!("new {}({})", input.array, input.len()),
        _ => {
            let fields: Vec<_> = inputs
                .iter()
                .map(|input| {
                    let (key, array, len) = (quote(&input.name), input.array, input.len());
                    format!("  {key}: new {array}({len}),\n")
                })
                .collect();
            format!("{{\n{}}}", fields.concat())
        }
    };
    format!(
        "# {name}\n\
         \n\
         The model `{name}`, and the [niwaki](https://github.com/niwaki/niwaki) runtime with just its\n\
         operators. It gives the same output bits in every browser, in Node, and on every other machine.\n\
         \n\
         ```js\n\
         import {{ load }} from \"{name}\";\n\
         \n\
         const model = await load();\n\
         const out = model.run({argument});\n\
         console.log(out.top(3)); // the largest values, with their labels\n\
         ```\n\
         \n\
         Inputs:\n\n{}\n\nOutputs, of which `out.raw` and `out.scores` are the first's:\n\n{}\n\
         \n\
         A page needs no more of a Content-Security-Policy than `script-src 'self' 'wasm-unsafe-eval'` and\n\
         `connect-src 'self'`. `selftest.html`, served with this folder, says whether this very browser\n\
         gives every layer's bits.\n",
        list(inputs),
        list(outputs)
    )
}

fn self_test(name: &str) -> String {
    format!(
        "<!doctype html>\n\
         <html lang=\"en\">\n\
         <meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width\">\n\
         <meta name=\"color-scheme\" content=\"light dark\">\n\
         <title>{name}: self-test</title>\n\
         <h1>{name}</h1>\n\
         <p id=\"result\" role=\"status\">The model runs its golden input …</p>\n\
         <script type=\"module\" src=\"selftest.js\"></script>\n\
         </html>\n"
    )
}
