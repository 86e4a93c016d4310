//! Data files: `.npz` and `.npy` arrays, and the `test_data_set_*` folders of ONNX models.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufReader, Read};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, anyhow, bail, ensure};
use niwaki::artifact::DataType;
use npyz::{NpyFile, TypeChar, WriterBuilder as _};

use crate::graph::Constant;

/// An array as it was in its file.
#[derive(Clone, Debug, PartialEq)]
pub struct Array {
    /// Dimensions.
    pub shape: Vec<usize>,
    /// Elements, the last dimension varying fastest.
    pub elements: Elements,
}

/// Elements of one type.
#[derive(Clone, Debug, PartialEq)]
pub enum Elements {
    /// float32.
    F32(Vec<f32>),
    /// int8.
    I8(Vec<i8>),
    /// uint8.
    U8(Vec<u8>),
    /// int16.
    I16(Vec<i16>),
    /// uint16.
    U16(Vec<u16>),
    /// int32.
    I32(Vec<i32>),
    /// int64.
    I64(Vec<i64>),
    /// bool.
    Bool(Vec<bool>),
}

impl Elements {
    /// The type's name.
    pub fn type_name(&self) -> &'static str {
        match self {
            Self::F32(_) => "float32",
            Self::I8(_) => "int8",
            Self::U8(_) => "uint8",
            Self::I16(_) => "int16",
            Self::U16(_) => "uint16",
            Self::I32(_) => "int32",
            Self::I64(_) => "int64",
            Self::Bool(_) => "bool",
        }
    }

    /// Number of elements.
    pub fn len(&self) -> usize {
        match self {
            Self::F32(v) => v.len(),
            Self::I8(v) => v.len(),
            Self::U8(v) => v.len(),
            Self::I32(v) => v.len(),
            Self::I64(v) => v.len(),
            Self::I16(v) => v.len(),
            Self::U16(v) => v.len(),
            Self::Bool(v) => v.len(),
        }
    }

    /// True when there is none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The bytes as the runtime keeps them.
    pub fn to_bytes(&self) -> Vec<u8> {
        match self {
            Self::F32(v) => v.iter().flat_map(|v| v.to_le_bytes()).collect(),
            Self::I8(v) => v.iter().map(|v| v.cast_unsigned()).collect(),
            Self::U8(v) => v.clone(),
            Self::I32(v) => v.iter().flat_map(|v| v.to_le_bytes()).collect(),
            Self::I64(v) => v.iter().flat_map(|v| v.to_le_bytes()).collect(),
            Self::I16(v) => v.iter().flat_map(|v| v.to_le_bytes()).collect(),
            Self::U16(v) => v.iter().flat_map(|v| v.to_le_bytes()).collect(),
            Self::Bool(v) => v.iter().map(|&v| u8::from(v)).collect(),
        }
    }

    /// Every element as a number.
    pub fn to_f64(&self) -> Vec<f64> {
        match self {
            Self::F32(v) => v.iter().map(|&v| f64::from(v)).collect(),
            Self::I8(v) => v.iter().map(|&v| f64::from(v)).collect(),
            Self::U8(v) => v.iter().map(|&v| f64::from(v)).collect(),
            Self::I32(v) => v.iter().map(|&v| f64::from(v)).collect(),
            Self::I64(v) => v.iter().map(|&v| v as f64).collect(),
            Self::I16(v) => v.iter().map(|&v| f64::from(v)).collect(),
            Self::U16(v) => v.iter().map(|&v| f64::from(v)).collect(),
            Self::Bool(v) => v.iter().map(|&v| f64::from(u8::from(v))).collect(),
        }
    }

    /// Elements from the runtime's bytes.
    pub fn from_bytes(dtype: DataType, bytes: &[u8]) -> Self {
        fn read<T, const N: usize>(bytes: &[u8], read: fn([u8; N]) -> T) -> Vec<T> {
            let elements = bytes.as_chunks::<N>().0;
            elements.iter().map(|&element| read(element)).collect()
        }
        match dtype {
            DataType::F32 => Self::F32(read(bytes, f32::from_le_bytes)),
            DataType::I8 => Self::I8(read(bytes, i8::from_le_bytes)),
            DataType::U8 => Self::U8(bytes.to_vec()),
            DataType::I16 => Self::I16(read(bytes, i16::from_le_bytes)),
            DataType::U16 => Self::U16(read(bytes, u16::from_le_bytes)),
            DataType::I32 => Self::I32(read(bytes, i32::from_le_bytes)),
            DataType::I64 => Self::I64(read(bytes, i64::from_le_bytes)),
            DataType::Bool => Self::Bool(read(bytes, |[byte]: [u8; 1]| byte != 0)),
        }
    }

    fn slice(&self, range: std::ops::Range<usize>) -> Self {
        match self {
            Self::F32(v) => Self::F32(v[range].to_vec()),
            Self::I8(v) => Self::I8(v[range].to_vec()),
            Self::U8(v) => Self::U8(v[range].to_vec()),
            Self::I32(v) => Self::I32(v[range].to_vec()),
            Self::I64(v) => Self::I64(v[range].to_vec()),
            Self::I16(v) => Self::I16(v[range].to_vec()),
            Self::U16(v) => Self::U16(v[range].to_vec()),
            Self::Bool(v) => Self::Bool(v[range].to_vec()),
        }
    }
}

/// Named arrays, in the order of their names.
pub type Arrays = BTreeMap<String, Array>;

/// The name of the only array of a `.npy` file.
const ONLY: &str = "";

/// Reads all arrays of an `.npz`, or the one of an `.npy` (under an empty name).
///
/// # Errors
///
/// Names the file and the array, and what is accepted.
pub fn read_arrays(path: &Path) -> Result<Arrays> {
    let place = || format!("cannot read {}", path.display());
    let file = File::open(path).with_context(place)?;
    if path.extension().is_some_and(|extension| extension == "npy") {
        let array = read_array(BufReader::new(file)).with_context(place)?;
        return Ok(Arrays::from([(ONLY.to_owned(), array)]));
    }
    let mut archive = npyz::npz::NpzArchive::new(BufReader::new(file))
        .map_err(|_| anyhow!("it is not an .npz archive: write one with numpy.savez_compressed"))
        .with_context(place)?;
    let names: Vec<String> = archive.array_names().map(str::to_owned).collect();
    let mut arrays = Arrays::new();
    for name in names {
        let array = archive
            .by_name(&name)
            .map_err(anyhow::Error::from)
            .and_then(|npy| npy.context("it is not in the archive"))
            .and_then(read_npy)
            .with_context(|| format!("{}: array `{name}`", place()))?;
        arrays.insert(name, array);
    }
    Ok(arrays)
}

fn read_array(reader: impl Read) -> Result<Array> {
    read_npy(NpyFile::new(reader).map_err(|_| anyhow!("it is not an .npy array"))?)
}

fn read_npy<R: Read>(npy: NpyFile<R>) -> Result<Array> {
    let npyz::DType::Plain(dtype) = npy.dtype() else {
        bail!("records are not supported, plain arrays are");
    };
    ensure!(
        npy.order() == npyz::Order::C,
        "it is in Fortran order: save numpy.ascontiguousarray of it"
    );
    let shape = npy
        .shape()
        .iter()
        .map(|&dim| usize::try_from(dim))
        .collect::<Result<Vec<_>, _>>()?;
    let elements = match (dtype.type_char(), dtype.size_field()) {
        (TypeChar::Float, 4) => Elements::F32(npy.into_vec()?),
        (TypeChar::Int, 1) => Elements::I8(npy.into_vec()?),
        (TypeChar::Uint, 1) => Elements::U8(npy.into_vec()?),
        (TypeChar::Int, 2) => Elements::I16(npy.into_vec()?),
        (TypeChar::Uint, 2) => Elements::U16(npy.into_vec()?),
        (TypeChar::Bool, _) => Elements::Bool(npy.into_vec()?),
        (TypeChar::Int, 4) => Elements::I32(npy.into_vec()?),
        (TypeChar::Int, 8) => Elements::I64(npy.into_vec()?),
        (TypeChar::Float, 2) => {
            // Half precision is exact in float32: a way to keep files small.
            let half: Vec<half::f16> = npy.into_vec()?;
            Elements::F32(half.into_iter().map(half::f16::to_f32).collect())
        }
        _ => bail!(
            "type {dtype} is not supported; float32, float16, int8, uint8, int16, uint16, int32, int64 and bool are: convert it with .astype"
        ),
    };
    let wanted = shape.iter().product::<usize>();
    ensure!(
        elements.len() == wanted,
        "its shape {shape:?} needs {wanted} elements, the file has {}",
        elements.len()
    );
    Ok(Array { shape, elements })
}

/// Writes arrays as an `.npz`, compressed: beside the place first, then renamed into it.
///
/// # Errors
///
/// Names the file.
pub fn write_arrays(path: &Path, arrays: &[(String, Array)]) -> Result<()> {
    write_beside(path, |file| {
        let mut archive = npyz::npz::NpzWriter::new(std::io::BufWriter::new(file));
        for (name, array) in arrays {
            match &array.elements {
                Elements::F32(v) => append(&mut archive, name, &array.shape, v)?,
                Elements::I8(v) => append(&mut archive, name, &array.shape, v)?,
                Elements::U8(v) => append(&mut archive, name, &array.shape, v)?,
                Elements::I32(v) => append(&mut archive, name, &array.shape, v)?,
                Elements::I64(v) => append(&mut archive, name, &array.shape, v)?,
                Elements::I16(v) => append(&mut archive, name, &array.shape, v)?,
                Elements::U16(v) => append(&mut archive, name, &array.shape, v)?,
                Elements::Bool(v) => append(&mut archive, name, &array.shape, v)?,
            }
        }
        Ok(())
    })
}

fn append<T: npyz::AutoSerialize + Copy, W: std::io::Write + std::io::Seek>(
    archive: &mut npyz::npz::NpzWriter<W>,
    name: &str,
    shape: &[usize],
    values: &[T],
) -> Result<()> {
    let shape: Vec<u64> = shape.iter().map(|&dim| dim as u64).collect();
    let writer = archive.array(name, Default::default())?;
    let mut writer = writer.default_dtype().shape(&shape).begin_nd()?;
    writer.extend(values.iter().copied())?;
    Ok(writer.finish()?)
}

/// Writes a file beside its place and renames it: there is never half a file.
///
/// # Errors
///
/// Names the file.
pub fn write_beside(path: &Path, write: impl FnOnce(&mut File) -> Result<()>) -> Result<()> {
    let place = || format!("cannot write {}", path.display());
    let folder = match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    };
    std::fs::create_dir_all(folder).with_context(place)?;
    let mut file = tempfile::Builder::new()
        .prefix(".niwaki-")
        .suffix(".tmp")
        .tempfile_in(folder)
        .with_context(place)?;
    write(file.as_file_mut()).with_context(place)?;
    let file = file
        .persist(path)
        .map_err(|error| error.error)
        .with_context(place)?;
    // A temporary file is private; the result is a file like any other.
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        file.set_permissions(std::fs::Permissions::from_mode(0o644))
            .with_context(place)?;
    }
    Ok(())
}

/// An input or output of a model, as data has to fit it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Slot {
    /// Its name.
    pub name: String,
    /// Its element type.
    pub dtype: DataType,
    /// Its dimensions.
    pub shape: Vec<usize>,
}

impl Slot {
    fn len(&self) -> usize {
        self.shape.iter().product()
    }
}

/// Samples for a model: for each one, an array for each input or output.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Samples {
    /// Outer index: the sample. Inner index: the input or output.
    pub samples: Vec<Vec<Elements>>,
}

/// Whether samples are a model's inputs or its outputs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// Inputs: `in` in names, `input_` in files.
    Input,
    /// Outputs: `out` in names, `output_` in files.
    Output,
}

impl Side {
    fn short(self) -> &'static str {
        match self {
            Self::Input => "in",
            Self::Output => "out",
        }
    }

    fn word(self) -> &'static str {
        match self {
            Self::Input => "input",
            Self::Output => "output",
        }
    }
}

/// Reads samples that fit `slots` from an `.npz`, an `.npy` or a folder of `test_data_set_*`.
///
/// An `.npz` holds either one array for each slot, by its name, whose first dimension counts the
/// samples, or arrays `s<k>_in<j>` (`s<k>_out<j>`): input (output) j of sample k. A model with
/// one input also takes an `.npy`, and an array called `x`.
///
/// # Errors
///
/// Names file, array and sample, and what would fit.
pub fn read_samples(path: &Path, slots: &[Slot], side: Side) -> Result<Samples> {
    let samples = if path.is_dir() {
        samples_from_folder(path, slots, side)
    } else {
        read_arrays(path).and_then(|arrays| samples_from_arrays(&arrays, slots, side))
    };
    let samples = samples.with_context(|| format!("data {}", path.display()))?;
    ensure!(
        !samples.samples.is_empty(),
        "data {} holds no sample",
        path.display()
    );
    Ok(samples)
}

fn samples_from_arrays(arrays: &Arrays, slots: &[Slot], side: Side) -> Result<Samples> {
    if arrays.contains_key(&format!("s0_{}0", side.short())) {
        return samples_by_index(arrays, slots, side);
    }
    let mut columns = Vec::new();
    for slot in slots {
        let alone = slots.len() == 1;
        let found = arrays
            .get(&slot.name)
            .or_else(|| arrays.get(ONLY).filter(|_| alone))
            .or_else(|| arrays.get("x").filter(|_| alone && side == Side::Input));
        let array = found.with_context(|| {
            let names: Vec<&str> = arrays.keys().map(String::as_str).collect();
            format!(
                "it has no array for {} `{}`: name one so, or name arrays s<k>_{}<j>; it has {}",
                side.word(),
                slot.name,
                side.short(),
                names.join(", ")
            )
        })?;
        columns.push(split(array, slot).with_context(|| format!("array for `{}`", slot.name))?);
    }
    let count = columns.first().map_or(0, Vec::len);
    if let Some(other) = columns.iter().find(|column| column.len() != count) {
        bail!("its arrays have {count} and {} samples", other.len());
    }
    let mut rows: Vec<Vec<Elements>> = (0..count).map(|_| Vec::new()).collect();
    for column in columns {
        for (row, elements) in rows.iter_mut().zip(column) {
            row.push(elements);
        }
    }
    Ok(Samples { samples: rows })
}

/// Splits an array whose first dimension counts samples.
fn split(array: &Array, slot: &Slot) -> Result<Vec<Elements>> {
    let len = slot.len();
    // The model's own first dimension is the batch: the array's first one replaces it.
    let inner = slot.shape.get(1..).unwrap_or_default();
    let batch = slot.shape.first().copied().unwrap_or(1);
    let fits = array.shape.get(1..) == Some(inner) && array.shape[0].is_multiple_of(batch)
        || array.shape.get(1..) == Some(slot.shape.as_slice());
    ensure!(
        fits && len > 0,
        "its shape is {:?}; [samples{}] fits",
        array.shape,
        inner
            .iter()
            .map(|dim| format!(", {dim}"))
            .collect::<String>()
    );
    check_elements(&array.elements, slot)?;
    let count = array.elements.len() / len;
    Ok((0..count)
        .map(|k| array.elements.slice(k * len..(k + 1) * len))
        .collect())
}

fn check_elements(elements: &Elements, slot: &Slot) -> Result<()> {
    ensure!(
        elements.type_name() == slot.dtype.name(),
        "its type is {}; the model takes {}: convert it with .astype(numpy.{})",
        elements.type_name(),
        slot.dtype.name(),
        slot.dtype.name()
    );
    if let Elements::F32(values) = elements
        && let Some(at) = values.iter().position(|v| !v.is_finite())
    {
        bail!("element {at} is {}: data has to be finite", values[at]);
    }
    Ok(())
}

fn samples_by_index(arrays: &Arrays, slots: &[Slot], side: Side) -> Result<Samples> {
    let mut samples = Vec::new();
    while arrays.contains_key(&format!("s{}_{}0", samples.len(), side.short())) {
        let mut row = Vec::new();
        for (j, slot) in slots.iter().enumerate() {
            let name = format!("s{}_{}{j}", samples.len(), side.short());
            let array = arrays
                .get(&name)
                .with_context(|| format!("it has no array `{name}`"))?;
            row.push(whole(array, slot).with_context(|| format!("array `{name}`"))?);
        }
        samples.push(row);
    }
    Ok(Samples { samples })
}

/// An array that is one sample.
fn whole(array: &Array, slot: &Slot) -> Result<Elements> {
    ensure!(
        array.shape == slot.shape,
        "its shape is {:?}; {:?} fits",
        array.shape,
        slot.shape
    );
    check_elements(&array.elements, slot)?;
    Ok(array.elements.clone())
}

fn samples_from_folder(path: &Path, slots: &[Slot], side: Side) -> Result<Samples> {
    let has_tensors = |folder: &Path| folder.join(format!("{}_0.pb", side.word())).is_file();
    let mut folders: Vec<PathBuf> = std::fs::read_dir(path)?
        .map(|entry| entry.map(|entry| entry.path()))
        .collect::<Result<_, _>>()?;
    folders.retain(|folder| folder.is_dir() && has_tensors(folder));
    // test_data_set_10 comes behind test_data_set_9.
    folders.sort_by_key(|folder| (folder.as_os_str().len(), folder.clone()));
    if has_tensors(path) {
        folders = vec![path.to_owned()];
    }
    ensure!(
        !folders.is_empty(),
        "the folder holds no {0}_0.pb, nor do its test_data_set_* folders",
        side.word()
    );
    let mut samples = Vec::new();
    for folder in folders {
        let mut row = Vec::new();
        for (j, slot) in slots.iter().enumerate() {
            let file = folder.join(format!("{}_{j}.pb", side.word()));
            let read = || whole(&read_tensor(&file)?, slot);
            row.push(read().with_context(|| file.display().to_string())?);
        }
        samples.push(row);
    }
    Ok(Samples { samples })
}

fn read_tensor(file: &Path) -> Result<Array> {
    let constant = crate::import::constant_from_bytes(&std::fs::read(file)?)?;
    Ok(array_from_constant(&constant))
}

/// The array of a constant.
pub fn array_from_constant(constant: &Constant) -> Array {
    Array {
        shape: constant.shape().to_vec(),
        elements: Elements::from_bytes(constant.dtype().stored(), &constant.to_bytes()),
    }
}

/// Reads class labels: an `.npy`, array `y` or `labels` of an `.npz`, or text with one integer a
/// line.
///
/// # Errors
///
/// Names the file and the line.
pub fn read_labels(path: &Path) -> Result<Vec<i64>> {
    let place = || format!("labels {}", path.display());
    let extension = path.extension().and_then(|extension| extension.to_str());
    if matches!(extension, Some("npy" | "npz")) {
        let arrays = read_arrays(path).with_context(place)?;
        let array = ["y", "labels", ONLY]
            .iter()
            .find_map(|name| arrays.get(*name));
        let array =
            array.with_context(|| format!("{}: it has no array `y` or `labels`", place()))?;
        return match &array.elements {
            Elements::I8(v) => Ok(v.iter().map(|&v| v.into()).collect()),
            Elements::U8(v) => Ok(v.iter().map(|&v| v.into()).collect()),
            Elements::I32(v) => Ok(v.iter().map(|&v| v.into()).collect()),
            Elements::I64(v) => Ok(v.clone()),
            Elements::I16(v) => Ok(v.iter().map(|&v| v.into()).collect()),
            Elements::U16(v) => Ok(v.iter().map(|&v| v.into()).collect()),
            other => bail!(
                "{}: labels are {}; integers are accepted",
                place(),
                other.type_name()
            ),
        };
    }
    let text = std::fs::read_to_string(path).with_context(place)?;
    let lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
    lines
        .enumerate()
        .map(|(i, line)| {
            line.parse()
                .with_context(|| format!("{}, line {}: `{line}` is no integer", place(), i + 1))
        })
        .collect()
}
