//! A model and its arena, for a caller that reads and writes this memory itself.

use alloc::boxed::Box;
use alloc::vec::Vec;
use core::fmt::{self, Write as _};
use core::hint::black_box;

use niwaki::artifact::{Tensor, Text};
use niwaki::{LoadError, Model, OperatorSet as _, OwnedModel, Progress, RunError, Session};

use crate::{Linked, Status};

/// The file's bytes, at the alignment that the runtime asks for.
#[derive(Default)]
struct File {
    words: Vec<u32>,
    len: usize,
}

impl AsRef<[u8]> for File {
    fn as_ref(&self) -> &[u8] {
        niwaki::as_bytes(&self.words)
            .get(..self.len)
            .unwrap_or_default()
    }
}

/// Room for a text, cut off where it ends.
struct Message {
    bytes: [u8; 240],
    len: usize,
}

impl fmt::Write for Message {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let rest = self.bytes.get_mut(self.len..).ok_or(fmt::Error)?;
        for (to, &from) in rest.iter_mut().zip(text.as_bytes()) {
            *to = from;
            self.len += 1;
        }
        Ok(())
    }
}

/// What JavaScript reads of an input, an output or what an operator has written: words, and floats
/// by their bits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct Port {
    /// Address of the elements in this memory; that of an input or output does not change while the
    /// model is loaded.
    pub address: u32,
    /// Length of the elements in bytes.
    pub bytes: u32,
    /// The element type, see [`niwaki::artifact::DataType`].
    pub dtype: u32,
    /// Number of dimensions.
    pub rank: u32,
    /// Dimensions in the order of the ONNX model.
    pub shape: [u32; niwaki::MAX_RANK],
    /// Bits of the real value of one step; 0 when it is not quantised.
    pub scale: u32,
    /// The quantised value that means 0.
    pub zero_point: i32,
    /// Address and length of the name in the ONNX model.
    pub name: [u32; 2],
    /// Address and length of the labels of the last axis, one a line.
    pub labels: [u32; 2],
    /// Address and length of what to do with raw data, as JSON.
    pub preprocessing: [u32; 2],
    /// The ONNX axis of each dimension in memory: inputs and outputs lie in ONNX's order.
    pub axes: [u32; niwaki::MAX_RANK],
}

impl Port {
    /// What a tensor is, of which these elements are here.
    fn new(model: &Model<'_, Linked>, tensor: &Tensor, elements: &[u8]) -> Self {
        let mut port = Self {
            address: address(elements),
            bytes: elements.len() as u32,
            dtype: tensor.dtype as u32,
            rank: u32::from(tensor.rank),
            scale: tensor.scale.to_bits(),
            zero_point: tensor.zero_point,
            name: place(model.text(tensor.name)),
            ..Self::default()
        };
        let dims = tensor.axes().zip(tensor.shape());
        for ((axis, &dim), to) in dims.zip(&mut port.axes) {
            *to = axis as u32;
            // Memory order may differ from the model's.
            if let Some(to) = port.shape.get_mut(axis) {
                *to = dim;
            }
        }
        port
    }
}

/// What JavaScript reads of an operator.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct Layer {
    /// Address and length of the operator's name.
    pub operator: [u32; 2],
    /// Address and length of the name of its output in the ONNX model.
    pub name: [u32; 2],
}

/// A number about the model.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub enum Fact {
    /// Number of inputs.
    Inputs = 0,
    /// Number of outputs.
    Outputs = 1,
    /// Number of operators.
    Operators = 2,
    /// Bytes of activation memory.
    ArenaBytes = 3,
    /// 1 when the file has a golden vector.
    Golden = 4,
}

/// Room for a file and an arena, and the model in them once [`Engine::load`] has found it sound.
pub struct Engine {
    file: File,
    model: Option<OwnedModel<File, Linked>>,
    arena: Vec<u32>,
    progress: Progress,
    /// What it was before the last piece.
    before: Progress,
    digests: Vec<u64>,
    port: Port,
    layer: Layer,
    message: Message,
}

impl Engine {
    /// Room for a file of that many bytes and the arena that it asks for; `None` when there is not
    /// as much memory.
    pub fn new(file_bytes: usize, arena_bytes: usize) -> Option<Box<Self>> {
        let mut engine = Box::new(Self {
            file: File::default(),
            model: None,
            arena: Vec::new(),
            progress: Progress::default(),
            before: Progress::default(),
            digests: Vec::new(),
            port: Port::default(),
            layer: Layer::default(),
            message: Message {
                bytes: [0; 240],
                len: 0,
            },
        });
        engine.prepare(file_bytes, arena_bytes).then_some(engine)
    }

    /// Makes room for another model, in place of the one before. False when there is none: then
    /// the engine is of no use any more.
    pub fn prepare(&mut self, file_bytes: usize, arena_bytes: usize) -> bool {
        if let Some(model) = self.model.take() {
            self.file = model.into_bytes();
        }
        self.progress = Progress::default();
        self.digests.clear();
        let words = [file_bytes, arena_bytes].map(|bytes| bytes.div_ceil(size_of::<u32>()));
        let rooms = [&mut self.file.words, &mut self.arena];
        let fits = |(room, words): (&&mut Vec<u32>, usize)| room.capacity() >= words;
        if !rooms.iter().zip(words).all(fits) {
            // The memory grows once, by the sum, and not for each of the two.
            let mut both = Vec::<u32>::new();
            let Some(sum) = words[0].checked_add(words[1] + 64) else {
                return false;
            };
            if both.try_reserve_exact(sum).is_err() {
                return false;
            }
            drop(black_box(both));
        }
        for (room, words) in rooms.into_iter().zip(words) {
            room.clear();
            if room.try_reserve_exact(words).is_err() {
                return false;
            }
            room.resize(words, 0);
        }
        self.file.len = file_bytes;
        true
    }

    /// Where the file's bytes are to be written, before [`Engine::load`].
    pub fn file_mut(&mut self) -> &mut [u8] {
        let len = self.file.len;
        niwaki::as_bytes_mut(&mut self.file.words)
            .get_mut(..len)
            .unwrap_or_default()
    }

    /// Checks the file. What is wrong is in [`Engine::message`] then.
    ///
    /// # Errors
    ///
    /// Those of [`Model::new`].
    pub fn load(&mut self) -> Result<(), LoadError> {
        let file = core::mem::take(&mut self.file);
        match OwnedModel::new(file) {
            Ok(model) => {
                // Now, so that no call grows the memory later.
                let operators = model.model().operator_count();
                self.digests.reserve_exact(operators);
                self.model = Some(model);
                Ok(())
            }
            Err(error) => {
                self.message.len = 0;
                // It is cut off where it has no room, and never fails.
                let _ = write!(self.message, "{error}");
                Err(error)
            }
        }
    }

    /// [`Engine::load`] as a number.
    pub fn load_status(&mut self) -> Status {
        self.load().map_or_else(Status::from, |()| Status::Well)
    }

    /// Why the last file was refused, in words.
    pub fn message(&self) -> &str {
        let bytes = self.message.bytes.get(..self.message.len);
        core::str::from_utf8(bytes.unwrap_or_default()).unwrap_or_default()
    }

    /// The model, once it is loaded.
    pub fn model(&self) -> Option<Model<'_, Linked>> {
        self.model.as_ref().map(OwnedModel::model)
    }

    /// A number about the model; 0 before it is loaded.
    pub fn fact(&self, fact: u32) -> u32 {
        let Some(model) = self.model() else { return 0 };
        let is = |wanted: Fact| fact == wanted as u32;
        let value = if is(Fact::Inputs) {
            model.input_count()
        } else if is(Fact::Outputs) {
            model.output_count()
        } else if is(Fact::Operators) {
            model.operator_count()
        } else if is(Fact::ArenaBytes) {
            model.arena_bytes()
        } else if is(Fact::Golden) {
            usize::from(!model.golden().is_empty())
        } else {
            0
        };
        value as u32
    }

    /// Input or output `index`, inputs first.
    pub fn port(&mut self, index: usize) -> Option<&Port> {
        let model = self.model.as_ref()?.model();
        let inputs = model.input_count();
        let (port, tensor) = match index.checked_sub(inputs) {
            None => (model.input_port(index)?, model.input(index)?),
            Some(index) => (model.output_port(index)?, model.output(index)?),
        };
        let text = |text: Text| place(model.text(text));
        self.port = Port {
            name: text(port.name),
            labels: text(port.labels),
            preprocessing: text(port.preprocessing),
            ..Port::new(&model, &tensor, elements(&self.arena, &model, &tensor)?)
        };
        Some(&self.port)
    }

    /// Operator `index`.
    pub fn layer(&mut self, index: usize) -> Option<&Layer> {
        let model = self.model.as_ref()?.model();
        let operator = model.operators().nth(index)?;
        let output = model.tensors().get(operator.output(0)?)?;
        self.layer = Layer {
            operator: place(Linked::name(operator.header.code).unwrap_or_default()),
            name: place(model.text(output.name)),
        };
        Some(&self.layer)
    }

    fn session(&mut self) -> Option<Session<'_, '_, Linked>> {
        let model = self.model.as_ref()?.model();
        Session::new(&model, niwaki::as_bytes_mut(&mut self.arena)).ok()
    }

    /// Computes the outputs from the inputs. The operator at fault where it fails, which would be
    /// a defect of the runtime.
    ///
    /// # Errors
    ///
    /// [`RunError::Internal`].
    pub fn run(&mut self) -> Result<(), RunError> {
        self.begin();
        self.session().ok_or(NOT_LOADED)?.run()
    }

    /// Gives up a run that was made piece by piece.
    pub fn begin(&mut self) {
        self.progress = Progress::default();
    }

    /// Does the next piece of a run, see [`Session::step`].
    ///
    /// # Errors
    ///
    /// [`RunError::Internal`].
    pub fn step(&mut self) -> Result<Option<usize>, RunError> {
        let mut progress = self.progress;
        let done = self.session().ok_or(NOT_LOADED)?.step(&mut progress)?;
        self.before = core::mem::replace(&mut self.progress, progress);
        Ok(done)
    }

    /// What the last piece has written, see [`Session::written`].
    pub fn activation(&mut self) -> Option<&Port> {
        let before = self.before;
        let model = self.model.as_ref()?.model();
        let session = Session::new(&model, niwaki::as_bytes_mut(&mut self.arena)).ok()?;
        let (tensor, bytes) = session.written(&before)?;
        self.port = Port::new(&model, &tensor, bytes);
        Some(&self.port)
    }

    /// Runs the golden vector, see [`Session::self_test`].
    ///
    /// # Errors
    ///
    /// [`RunError::Internal`].
    pub fn self_test(&mut self) -> Result<Option<usize>, RunError> {
        self.begin();
        self.session().ok_or(NOT_LOADED)?.self_test()
    }

    /// Computes the outputs from the inputs, and the digest of each operator's output.
    ///
    /// # Errors
    ///
    /// [`RunError::Internal`].
    pub fn run_digests(&mut self) -> Result<&[u64], RunError> {
        self.begin();
        let mut digests = core::mem::take(&mut self.digests);
        digests.clear();
        let ran = self
            .session()
            .ok_or(NOT_LOADED)
            .and_then(|mut session| session.run_digests(&mut |_, digest| digests.push(digest.0)));
        self.digests = digests;
        ran.map(|()| self.digests.as_slice())
    }

    /// The bytes of an input, to be written before each run, or of an output.
    pub fn elements_mut(&mut self, index: usize) -> Option<&mut [u8]> {
        let model = self.model.as_ref()?.model();
        let tensor = match index.checked_sub(model.input_count()) {
            None => model.input(index),
            Some(index) => model.output(index),
        };
        niwaki::as_bytes_mut(&mut self.arena).get_mut(tensor?.range())
    }
}

impl fmt::Debug for Engine {
    /// Leaves the memory out: it would be megabytes.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Engine")
            .field("model", &self.model)
            .field("progress", &self.progress)
            .finish_non_exhaustive()
    }
}

/// A call before a model was loaded, which the JavaScript above does not make.
const NOT_LOADED: RunError = RunError::Internal { operator: 0 };

fn elements<'e>(arena: &'e [u32], model: &Model<'e, Linked>, tensor: &Tensor) -> Option<&'e [u8]> {
    match tensor.storage {
        niwaki::artifact::Storage::Arena => niwaki::as_bytes(arena).get(tensor.range()),
        niwaki::artifact::Storage::Data => model.data().get(tensor.range()),
    }
}

fn address(bytes: &[u8]) -> u32 {
    bytes.as_ptr().addr() as u32
}

fn place(text: &str) -> [u32; 2] {
    [address(text.as_bytes()), text.len() as u32]
}
