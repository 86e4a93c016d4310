//! Tensors whose data lies in files beside the model, as ONNX has it for large ones.
//!
//! A model names such a file, so it says what is read from this machine: only regular files in
//! the model's own folder, or in folders in it, are.

use std::collections::HashMap;
use std::fs::File;
use std::io::{Read as _, Seek as _, SeekFrom};
use std::path::{Component, Path, PathBuf};

use anyhow::{Context as _, Result, bail, ensure};
use tract_onnx::pb::{self, tensor_proto::DataLocation};

/// Bytes of all external tensors of a model: several tensors may name the same bytes, so the
/// size of the files is no bound.
const MAX_BYTES: u64 = 1 << 28;

/// Reads the data of all tensors that have it in other files, so that they look like others.
///
/// # Errors
///
/// Names the tensor, the file, what is wrong with it, and the remedy.
pub(super) fn load(model: &mut pb::ModelProto, folder: &Path) -> Result<()> {
    let mut reader = Reader {
        folder,
        files: HashMap::new(),
        left: MAX_BYTES,
    };
    match &mut model.graph {
        Some(graph) => reader.load_graph(graph),
        None => Ok(()),
    }
}

/// Whether the data of a tensor is in another file.
pub(super) fn is_external(tensor: &pb::TensorProto) -> bool {
    tensor.data_location == Some(DataLocation::External as i32) || !tensor.external_data.is_empty()
}

struct Reader<'a> {
    folder: &'a Path,
    /// Files that have been opened, by the location that the model gives, and their sizes.
    files: HashMap<String, (File, u64)>,
    left: u64,
}

impl Reader<'_> {
    /// A graph and those in its nodes. The decoder has bounded how deep they lie in each other.
    fn load_graph(&mut self, graph: &mut pb::GraphProto) -> Result<()> {
        for tensor in &mut graph.initializer {
            self.load_tensor(tensor)
                .with_context(|| format!("initializer `{}`", tensor.name))?;
        }
        for node in &mut graph.node {
            for attribute in &mut node.attribute {
                let tensors = attribute.t.iter_mut().chain(&mut attribute.tensors);
                for tensor in tensors {
                    self.load_tensor(tensor).with_context(|| {
                        format!("node `{}`, attribute `{}`", node.name, attribute.name)
                    })?;
                }
                let graphs = attribute.g.iter_mut().chain(&mut attribute.graphs);
                for graph in graphs {
                    self.load_graph(graph)?;
                }
            }
        }
        Ok(())
    }

    fn load_tensor(&mut self, tensor: &mut pb::TensorProto) -> Result<()> {
        if !is_external(tensor) {
            return Ok(());
        }
        let value = |key: &str| {
            let entry = tensor.external_data.iter().find(|entry| entry.key == key);
            entry.map(|entry| entry.value.as_str())
        };
        let number = |key: &str| {
            let number = value(key).map(str::parse::<u64>).transpose();
            number.with_context(|| format!("`{key}` of its external data is not a number of bytes"))
        };
        let location = value("location").context("its external data has no `location`")?;
        let (offset, length) = (number("offset")?.unwrap_or(0), number("length")?);
        let bytes = self
            .read(location, offset, length)
            .with_context(|| format!("its data is in another file, `{location}`"))?;
        tensor.raw_data = bytes;
        tensor.data_location = None;
        tensor.external_data.clear();
        Ok(())
    }

    /// `length` bytes of a file from `offset` on; without a length, all of them.
    fn read(&mut self, location: &str, offset: u64, length: Option<u64>) -> Result<Vec<u8>> {
        if !self.files.contains_key(location) {
            let file = self.open(location)?;
            let size = file.metadata()?.len();
            self.files.insert(location.to_owned(), (file, size));
        }
        let Some((file, size)) = self.files.get_mut(location) else {
            bail!("it is not open");
        };
        let rest = size.checked_sub(offset);
        let length = length.or(rest).unwrap_or(0);
        ensure!(
            rest.is_some_and(|rest| length <= rest),
            "the file has {size} bytes, and the tensor is {length} bytes from byte {offset} on: the file was cut off or belongs to another model, export both again"
        );
        self.left = self.left.checked_sub(length).with_context(|| {
            format!("the tensors outside the model exceed {MAX_BYTES} bytes: models of that size are not supported")
        })?;
        let mut bytes = vec![0; usize::try_from(length)?];
        file.seek(SeekFrom::Start(offset))?;
        file.read_exact(&mut bytes)?;
        Ok(bytes)
    }

    fn open(&self, location: &str) -> Result<File> {
        let path = inside(self.folder, location)?;
        File::open(&path).with_context(|| format!("cannot open {}", path.display()))
    }
}

/// The regular file that a location names, if it lies in `folder`.
fn inside(folder: &Path, location: &str) -> Result<PathBuf> {
    let relative = Path::new(location);
    let plain = |c: Component<'_>| matches!(c, Component::Normal(_) | Component::CurDir);
    ensure!(
        !location.is_empty() && relative.components().all(plain),
        "only files in the model's own folder are read, by a relative path without `..`: move the file beside the model and save the model with that location"
    );
    let missing = || {
        format!(
            "there is no such file in {}: copy it there, or save the model with its weights inside (save_as_external_data=False)",
            folder.display()
        )
    };
    let real = |path: &Path| path.canonicalize().with_context(missing);
    let path = real(&folder.join(relative))?;
    ensure!(
        path.starts_with(real(folder)?),
        "it is a link to a file outside the model's folder, which is not read: copy the file itself beside the model"
    );
    // A pipe or a device may give bytes for ever.
    ensure!(path.is_file(), "it is not a regular file");
    Ok(path)
}
