//! A model and its arena, for a caller that reads and writes this memory itself.

use alloc::boxed::Box;
use core::fmt;
use core::hint::black_box;

use niwaki::artifact::{DataType, Tensor, Text};
use niwaki::{
    Digest, LoadError, Model, OperatorSet as _, OwnedModel, Piece, Progress, RunError, Session,
};

use crate::{Linked, Status};

/// The file's bytes, at the alignment that the runtime asks for.
#[derive(Default)]
struct File {
    words: Box<[u32]>,
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

impl Message {
    fn push(&mut self, text: &[u8]) {
        let rest = self.bytes.get_mut(self.len..).unwrap_or_default();
        for (to, &from) in rest.iter_mut().zip(text) {
            *to = from;
            self.len += 1;
        }
    }

    /// In decimal digits; `core::fmt` takes 6 KB for as much.
    fn push_number(&mut self, number: u32) {
        if let rest @ 1.. = number / 10 {
            self.push_number(rest);
        }
        self.push(&[b'0' + (number % 10) as u8]);
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
            name: text(model, tensor.name),
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
    arena: Box<[u32]>,
    progress: Progress,
    /// What it was before the last piece.
    before: Progress,
    digests: Box<[u64]>,
    port: Port,
    layer: Layer,
    message: Message,
}

impl Engine {
    /// Room for a file of that many bytes and the arena that it asks for; `None` when there is not
    /// as much memory.
    pub fn new(file_bytes: usize, arena_bytes: usize) -> Option<Self> {
        let mut engine = Self {
            file: File::default(),
            model: None,
            arena: Box::default(),
            progress: Progress::default(),
            before: Progress::default(),
            digests: Box::default(),
            port: Port::default(),
            layer: Layer::default(),
            message: Message {
                bytes: [0; 240],
                len: 0,
            },
        };
        engine.prepare(file_bytes, arena_bytes).then_some(engine)
    }

    /// Makes room for another model, in place of the one before. False when there is none: then
    /// the engine is of no use any more.
    pub fn prepare(&mut self, file_bytes: usize, arena_bytes: usize) -> bool {
        if let Some(model) = self.model.take() {
            self.file = model.into_bytes();
        }
        self.progress = Progress::default();
        self.file.len = file_bytes;
        let words = [file_bytes, arena_bytes].map(|bytes| bytes.div_ceil(size_of::<u32>()));
        let rooms = [&mut self.file.words, &mut self.arena];
        let fits = |(room, words): (&&mut Box<[u32]>, usize)| room.len() >= words;
        if rooms.iter().zip(words).all(fits) {
            rooms.into_iter().for_each(|room| room.fill(0));
            return true;
        }
        // The memory grows once, by the sum, and not for each of the two.
        let both = (words[0].checked_add(words[1] + 64)).and_then(zeros::<u32>);
        if both.is_none() {
            return false;
        }
        drop(black_box(both));
        for (room, words) in rooms.into_iter().zip(words) {
            *room = Box::default();
            let Some(zeros) = zeros(words) else {
                return false;
            };
            *room = zeros;
        }
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
        let model = OwnedModel::new(file).inspect_err(|error| {
            self.message.len = 0;
            for piece in error.pieces() {
                match piece {
                    Piece::Text(text) => self.message.push(text.as_bytes()),
                    Piece::Number(number) => self.message.push_number(number),
                }
            }
        })?;
        self.hold(model);
        Ok(())
    }

    /// [`Engine::load`] for a package that is made for one file, which has been checked when it was:
    /// compares its digest alone, and so leaves out of the package all code that checks.
    ///
    /// # Errors
    ///
    /// What is wrong is in [`Engine::message`] then.
    pub fn load_known(&mut self, digest: Digest) -> Result<(), Status> {
        let file = core::mem::take(&mut self.file);
        let found = Digest::of(DataType::U8, file.as_ref());
        let model = OwnedModel::trusted(file).ok();
        let model = model.filter(|_| found == digest).ok_or_else(|| {
            self.message.len = 0;
            self.message.push(OTHER_FILE.as_bytes());
            Status::Invalid
        })?;
        self.hold(model);
        Ok(())
    }

    fn hold(&mut self, model: OwnedModel<File, Linked>) {
        // Now, so that no call grows the memory later.
        self.digests = zeros(model.model().operator_count()).unwrap_or_default();
        self.model = Some(model);
    }

    /// Why the last file was refused, in words, in ASCII.
    pub fn message(&self) -> &[u8] {
        let bytes = self.message.bytes.get(..self.message.len);
        bytes.unwrap_or_default()
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
        self.port = Port {
            name: text(&model, port.name),
            labels: text(&model, port.labels),
            preprocessing: text(&model, port.preprocessing),
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
            operator: place(
                Linked::name(operator.header.code)
                    .unwrap_or_default()
                    .as_bytes(),
            ),
            name: text(&model, output.name),
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
        let ran = self.session().ok_or(NOT_LOADED).and_then(|mut session| {
            session.run_digests(&mut |index, digest| {
                if let Some(to) = digests.get_mut(index) {
                    *to = digest.0;
                }
            })
        });
        self.digests = digests;
        ran.map(|()| &*self.digests)
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

const OTHER_FILE: &str = "this is not the file that the package was made for, or it is damaged";

/// A call before a model was loaded, which the JavaScript above does not make.
const NOT_LOADED: RunError = RunError::Internal { operator: 0 };

fn elements<'e>(arena: &'e [u32], model: &Model<'e, Linked>, tensor: &Tensor) -> Option<&'e [u8]> {
    match tensor.storage {
        niwaki::artifact::Storage::Arena => niwaki::as_bytes(arena).get(tensor.range()),
        niwaki::artifact::Storage::Data => model.data().get(tensor.range()),
    }
}

/// Room for so many elements, all zero; `None` where there is no memory for them.
///
/// Not a `Vec`, whose ways to grow would be a kilobyte of the download.
fn zeros<T: bytemuck::Zeroable>(len: usize) -> Option<Box<[T]>> {
    bytemuck::allocation::try_zeroed_slice_box(len).ok()
}

fn address(bytes: &[u8]) -> u32 {
    bytes.as_ptr().addr() as u32
}

fn place(bytes: &[u8]) -> [u32; 2] {
    [address(bytes), bytes.len() as u32]
}

fn text(model: &Model<'_, Linked>, text: Text) -> [u32; 2] {
    place(text.bytes(model.strings()).unwrap_or_default())
}
