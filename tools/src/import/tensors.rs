//! ONNX tensors into arrays.

use anyhow::{Context as _, Result, bail, ensure};
use ndarray::{ArrayD, IxDyn};
use prost::Message as _;
use tract_onnx::pb::{self, tensor_proto::DataType as Onnx};

use super::external;
use crate::graph::{Constant, DataType};

/// Dimensions of a constant: more than any operator takes.
const MAX_RANK: usize = 16;

/// The element type for ONNX's number.
pub(super) fn data_type(code: i32) -> Result<DataType> {
    Ok(match Onnx::try_from(code) {
        Ok(Onnx::Float) => DataType::F32,
        Ok(Onnx::Int8) => DataType::I8,
        Ok(Onnx::Uint8) => DataType::U8,
        Ok(Onnx::Int16) => DataType::I16,
        Ok(Onnx::Uint16) => DataType::U16,
        Ok(Onnx::Int32) => DataType::I32,
        Ok(Onnx::Int64) => DataType::I64,
        Ok(Onnx::Bool) => DataType::Bool,
        Ok(other) => bail!(
            "type {} is not supported; float32, int8, uint8, int16, uint16, int32, int64 and bool are",
            other.as_str_name().to_lowercase()
        ),
        Err(_) => bail!("element type {code} is not one of ONNX's"),
    })
}

/// The types of ONNX that take less than a byte. The graph has them widened to int8 or uint8, and
/// knows their bounds ([`crate::graph::Graph::narrow`]).
struct Packed {
    bits: u32,
    signed: bool,
}

impl Packed {
    /// The type with ONNX's number `code`, if it is one of them.
    fn of(code: i32) -> Option<Self> {
        let (bits, signed) = match code {
            21 => (4, false),
            22 => (4, true),
            25 => (2, false),
            26 => (2, true),
            _ => return None,
        };
        Some(Self { bits, signed })
    }

    fn dtype(&self) -> DataType {
        match self.signed {
            true => DataType::I8,
            false => DataType::U8,
        }
    }

    /// Smallest and largest value.
    fn bounds(&self) -> Bounds {
        match self.signed {
            true => (-(1 << (self.bits - 1)), (1 << (self.bits - 1)) - 1),
            false => (0, (1 << self.bits) - 1),
        }
    }

    /// The elements in packed bytes, the first one in the lowest bits.
    fn unpack(&self, tensor: &pb::TensorProto, shape: &[usize]) -> Result<Constant> {
        let bytes = match tensor.raw_data.is_empty() {
            true => narrow::<u8>(&tensor.int32_data)?,
            false => tensor.raw_data.clone(),
        };
        let per_byte = 8 / self.bits as usize;
        let wanted = shape.iter().try_fold(1usize, |n, &dim| n.checked_mul(dim));
        let wanted = wanted.filter(|n| n.div_ceil(per_byte) == bytes.len());
        let wanted = wanted.with_context(|| {
            format!(
                "shape {shape:?} does not fit the {} bytes of {} bits an element that the tensor has",
                bytes.len(),
                self.bits
            )
        })?;
        let element = |i: usize| {
            let unused = 8 - self.bits;
            let top = bytes[i / per_byte] << (unused - i as u32 % per_byte as u32 * self.bits);
            (top, unused)
        };
        let elements = (0..wanted).map(element);
        Ok(match self.signed {
            true => Constant::I8(array(
                shape,
                elements.map(|(top, n)| top.cast_signed() >> n).collect(),
            )?),
            false => Constant::U8(array(shape, elements.map(|(top, n)| top >> n).collect())?),
        })
    }
}

/// Smallest and largest value of a type of less than a byte.
pub(super) type Bounds = (i32, i32);

/// The element type of an input, and its bounds when it is narrower than the graph's.
pub(super) fn input_type(code: i32) -> Result<(DataType, Option<Bounds>)> {
    Ok(match Packed::of(code) {
        Some(packed) => (packed.dtype(), Some(packed.bounds())),
        None => (data_type(code)?, None),
    })
}

fn array<T>(shape: &[usize], values: Vec<T>) -> Result<ArrayD<T>> {
    let len = values.len();
    let wanted = shape.iter().try_fold(1usize, |n, &dim| n.checked_mul(dim));
    ensure!(
        wanted == Some(len),
        "shape {shape:?} does not fit the {len} elements that the tensor has"
    );
    Ok(ArrayD::from_shape_vec(IxDyn(shape), values)?)
}

/// Elements of a fixed size from raw little-endian bytes.
fn raw<T, const N: usize>(bytes: &[u8], read: fn([u8; N]) -> T) -> Result<Vec<T>> {
    let (values, rest) = bytes.as_chunks::<N>();
    ensure!(rest.is_empty(), "its raw data is cut off");
    Ok(values.iter().map(|&value| read(value)).collect())
}

/// Elements that ONNX keeps widened to i32, as narrow as they are.
fn narrow<T: TryFrom<i32>>(values: &[i32]) -> Result<Vec<T>> {
    let narrowed: Option<Vec<T>> = values.iter().map(|&v| T::try_from(v).ok()).collect();
    narrowed.context("an element is out of its type's range")
}

/// The array in an ONNX tensor, and the bounds of its type when that is narrower than the array's.
///
/// # Errors
///
/// Says which type or storage is not supported, or that the data does not fill the shape.
pub(super) fn constant_from_proto(tensor: &pb::TensorProto) -> Result<(Constant, Option<Bounds>)> {
    match Packed::of(tensor.data_type) {
        Some(packed) => {
            let constant = packed.unpack(tensor, &shape_of(tensor)?)?;
            Ok((constant, Some(packed.bounds())))
        }
        None => Ok((whole_from_proto(tensor)?, None)),
    }
}

/// The dimensions of a tensor whose data is in the file.
fn shape_of(tensor: &pb::TensorProto) -> Result<Vec<usize>> {
    ensure!(
        !external::is_external(tensor),
        "its data is in another file, and this model has no folder: save it with its weights inside (save_as_external_data=False)"
    );
    ensure!(
        tensor.dims.len() <= MAX_RANK,
        "it has {} dimensions; {MAX_RANK} are supported",
        tensor.dims.len()
    );
    let dims = tensor.dims.iter();
    dims.map(|&dim| usize::try_from(dim).context("a dimension is negative"))
        .collect()
}

/// The array in an ONNX tensor whose elements are whole bytes.
pub(super) fn whole_from_proto(tensor: &pb::TensorProto) -> Result<Constant> {
    let shape = shape_of(tensor)?;
    let bytes = tensor.raw_data.as_slice();
    let is_raw = !bytes.is_empty();
    Ok(match data_type(tensor.data_type)? {
        DataType::F32 if is_raw => Constant::F32(array(&shape, raw(bytes, f32::from_le_bytes)?)?),
        DataType::F32 => Constant::F32(array(&shape, tensor.float_data.clone())?),
        DataType::I8 if is_raw => Constant::I8(array(&shape, raw(bytes, i8::from_le_bytes)?)?),
        DataType::I8 => Constant::I8(array(&shape, narrow(&tensor.int32_data)?)?),
        DataType::U8 if is_raw => Constant::U8(array(&shape, bytes.to_vec())?),
        DataType::U8 => Constant::U8(array(&shape, narrow(&tensor.int32_data)?)?),
        DataType::I16 if is_raw => Constant::I16(array(&shape, raw(bytes, i16::from_le_bytes)?)?),
        DataType::I16 => Constant::I16(array(&shape, narrow(&tensor.int32_data)?)?),
        DataType::U16 if is_raw => Constant::U16(array(&shape, raw(bytes, u16::from_le_bytes)?)?),
        DataType::U16 => Constant::U16(array(&shape, narrow(&tensor.int32_data)?)?),
        DataType::I32 if is_raw => Constant::I32(array(&shape, raw(bytes, i32::from_le_bytes)?)?),
        DataType::I32 => Constant::I32(array(&shape, tensor.int32_data.clone())?),
        DataType::I64 if is_raw => Constant::I64(array(&shape, raw(bytes, i64::from_le_bytes)?)?),
        DataType::I64 => Constant::I64(array(&shape, tensor.int64_data.clone())?),
        DataType::Bool => {
            let values: Vec<bool> = if is_raw {
                bytes.iter().map(|&v| v != 0).collect()
            } else {
                tensor.int32_data.iter().map(|&v| v != 0).collect()
            };
            Constant::Bool(array(&shape, values)?)
        }
    })
}

/// The array in a serialised ONNX tensor, as `test_data_set_*` folders hold them. Types of less
/// than a byte are widened to int8 or uint8.
///
/// # Errors
///
/// When the bytes are no tensor, or one that is not supported.
pub fn constant_from_bytes(bytes: &[u8]) -> Result<Constant> {
    let tensor = pb::TensorProto::decode(bytes).context("it is no ONNX tensor")?;
    Ok(constant_from_proto(&tensor)?.0)
}

/// The ONNX tensor of an array.
pub fn constant_to_proto(name: &str, constant: &Constant) -> pb::TensorProto {
    let code = match constant.dtype() {
        DataType::F32 => Onnx::Float,
        DataType::I8 => Onnx::Int8,
        DataType::U8 => Onnx::Uint8,
        DataType::I16 => Onnx::Int16,
        DataType::U16 => Onnx::Uint16,
        DataType::I32 => Onnx::Int32,
        DataType::I64 => Onnx::Int64,
        DataType::Bool => Onnx::Bool,
    };
    pb::TensorProto {
        name: name.to_owned(),
        data_type: code as i32,
        dims: constant.shape().iter().map(|&dim| dim as i64).collect(),
        raw_data: constant.to_bytes(),
        ..pb::TensorProto::default()
    }
}
