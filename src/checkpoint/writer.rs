//! Writing layers and tensors to a safetensors file.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::Path;

use safetensors::tensor::{Dtype, TensorInfo};

use super::error::{CheckpointError, Result};
use super::manifest::Manifest;
use super::{MAX_HEADER, Precision, atomic, join};
use crate::{Description, Family, Linear, Matrix, Scalar, Structure};

/// What is to be written to a file: layers, matrices and other tensors, by name.
///
/// ```
/// use displace::checkpoint::{Precision, Reader, Writer};
/// use displace::{Builder, Family, Linear};
///
/// # let path = std::env::temp_dir().join(format!("displace-writer-doc-{}.safetensors", std::process::id()));
/// let hidden = Builder::new(Family::ToeplitzLike, 64, 784).rank(4).build_layer::<f32>()?;
/// let output = Builder::new(Family::Dense, 10, 64).build_layer::<f32>()?;
/// Writer::new().layer("hidden", &hidden).layer("output", &output).metadata("epoch", "12").save(&path)?;
///
/// let reader = Reader::open(&path)?;
/// let read: Linear<f32> = reader.layer("hidden")?;
/// assert_eq!(read.weight().parameters(), hidden.weight().parameters());
/// # std::fs::remove_file(&path)?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, Default)]
pub struct Writer<'a> {
    tensors: Vec<Entry<'a>>,
    manifest: Manifest,
    metadata: BTreeMap<String, String>,
    precision: Option<Precision>,
}

#[derive(Debug, Clone)]
struct Entry<'a> {
    name: String,
    shape: Vec<usize>,
    numbers: Numbers<'a>,
}

#[derive(Debug, Clone, Copy)]
enum Numbers<'a> {
    F32(&'a [f32]),
    F64(&'a [f64]),
}

impl<'a> Writer<'a> {
    /// An empty file.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a matrix: a tensor for each of its layout, `name.G` and so on, and its description. An empty name adds no
    /// prefix.
    ///
    /// A matrix of a type outside this crate, a [`Sum`](crate::Sum) or a [`Permuted`](crate::Permuted) one is stored without a
    /// description; [`Reader::matrix_of`](super::Reader::matrix_of) reads it, given its structure.
    #[must_use]
    pub fn matrix<T: Scalar, S: ?Sized + Structure<T>>(mut self, name: &str, matrix: &'a Matrix<T, S>) -> Self {
        for tensor in matrix.layout().tensors() {
            self = self.tensor(&join(name, tensor.name), &tensor.shape, &matrix.parameters()[tensor.range.clone()]);
        }
        if !matches!(matrix.structure().family(), Family::Other(_)) {
            self.manifest.layers.insert(name.to_string(), Description::of(&**matrix.structure()));
        }
        self
    }

    /// Adds a layer: its matrix, and its bias, if it has one, as `name.bias`.
    #[must_use]
    pub fn layer<T: Scalar>(self, name: &str, layer: &'a Linear<T>) -> Self {
        let bias = layer.bias();
        let with_matrix = self.matrix(name, layer.weight());
        if bias.is_empty() {
            return with_matrix;
        }
        with_matrix.tensor(&join(name, "bias"), &[bias.len()], bias)
    }

    /// Adds any other tensor, row-major.
    #[must_use]
    pub fn tensor<T: Scalar>(mut self, name: &str, shape: &[usize], numbers: &'a [T]) -> Self {
        let numbers = match Precision::of::<T>() {
            Precision::F64 => Numbers::F64(bytemuck::cast_slice(numbers)),
            _ => Numbers::F32(bytemuck::cast_slice(numbers)),
        };
        self.tensors.push(Entry { name: name.to_string(), shape: shape.to_vec(), numbers });
        self
    }

    /// Adds a line of text.
    #[must_use]
    pub fn metadata(mut self, key: &str, text: &str) -> Self {
        self.metadata.insert(key.to_string(), text.to_string());
        self
    }

    /// The precision of all tensors in the file; without it, that which each has.
    #[must_use]
    pub fn precision(mut self, precision: Precision) -> Self {
        self.precision = Some(precision);
        self
    }

    /// Writes the file, or replaces it: a new file is written beside it, forced to the disk and renamed. A crash, a full
    /// disk or an error leaves what was there before.
    ///
    /// # Errors
    ///
    /// [`CheckpointError::DuplicateName`], [`CheckpointError::WrongLength`] for a tensor with more or fewer numbers than its
    /// shape, [`CheckpointError::Overflow`] for a finite number that would become infinite, [`CheckpointError::File`] or
    /// [`CheckpointError::Io`].
    pub fn save(&self, path: impl AsRef<Path>) -> Result<()> {
        let header = self.header()?;
        atomic::replace(path.as_ref(), |sink| self.write_all(&header, sink))
    }

    /// Writes the file to anything that takes bytes.
    ///
    /// # Errors
    ///
    /// As for [`Writer::save`].
    pub fn write_to(&self, mut sink: impl Write) -> Result<()> {
        self.write_all(&self.header()?, &mut sink)
    }

    fn write_all(&self, header: &[u8], sink: &mut impl Write) -> Result<()> {
        let failed = |source| CheckpointError::Io { doing: "writing a checkpoint", source };
        sink.write_all(&(header.len() as u64).to_le_bytes()).map_err(failed)?;
        sink.write_all(header).map_err(failed)?;
        for entry in self.in_order() {
            let precision = self.precision_of(entry);
            match entry.numbers {
                Numbers::F32(numbers) => precision.write(numbers, sink),
                Numbers::F64(numbers) => precision.write(numbers, sink),
            }
            .map_err(failed)?;
        }
        sink.flush().map_err(failed)
    }

    /// The header, padded so that tensors begin at a multiple of eight bytes.
    fn header(&self) -> Result<Vec<u8>> {
        let mut metadata = self.metadata.clone();
        if !self.manifest.layers.is_empty() {
            self.manifest.write(&mut metadata)?;
        }
        let failed = |error: serde_json::Error| CheckpointError::Header { reason: error.to_string() };
        let mut header = BTreeMap::new();
        if !metadata.is_empty() {
            header.insert(METADATA, serde_json::to_value(metadata).map_err(failed)?);
        }
        let mut start = 0;
        for entry in self.in_order() {
            let precision = self.precision_of(entry);
            entry.check(precision)?;
            let end = start + entry.len() * precision.bytes();
            let info = TensorInfo { dtype: dtype(precision), shape: entry.shape.clone(), data_offsets: (start, end) };
            start = end;
            if entry.name == METADATA || header.contains_key(&*entry.name) {
                return Err(CheckpointError::DuplicateName { name: entry.name.clone() });
            }
            header.insert(&entry.name, serde_json::to_value(info).map_err(failed)?);
        }
        let mut header = serde_json::to_vec(&header).map_err(failed)?;
        header.resize(header.len().next_multiple_of(8), b' ');
        match header.len() as u64 {
            length if length > MAX_HEADER => Err(CheckpointError::HeaderTooLong { length, limit: MAX_HEADER }),
            _ => Ok(header),
        }
    }

    /// The tensors in the order of the file: wide numbers first, so that all of them are aligned.
    fn in_order(&self) -> impl Iterator<Item = &Entry<'a>> {
        let of = |bytes| self.tensors.iter().filter(move |entry| self.precision_of(entry).bytes() == bytes);
        of(8).chain(of(4)).chain(of(2))
    }

    fn precision_of(&self, entry: &Entry) -> Precision {
        self.precision.unwrap_or(match entry.numbers {
            Numbers::F32(_) => Precision::F32,
            Numbers::F64(_) => Precision::F64,
        })
    }
}

/// The name that the format reserves for text.
const METADATA: &str = "__metadata__";

impl Entry<'_> {
    fn len(&self) -> usize {
        match self.numbers {
            Numbers::F32(numbers) => numbers.len(),
            Numbers::F64(numbers) => numbers.len(),
        }
    }

    fn check(&self, precision: Precision) -> Result<()> {
        let expected = self.shape.iter().try_fold(1_usize, |len, &side| len.checked_mul(side));
        if expected != Some(self.len()) {
            let (name, shape) = (self.name.clone(), self.shape.clone());
            return Err(CheckpointError::WrongLength { name, shape, len: self.len() });
        }
        let found = match self.numbers {
            Numbers::F32(numbers) => precision.first_too_large(numbers),
            Numbers::F64(numbers) => precision.first_too_large(numbers),
        };
        match found {
            Some((index, value)) => Err(CheckpointError::Overflow { name: self.name.clone(), index, value, precision }),
            None => Ok(()),
        }
    }
}

fn dtype(precision: Precision) -> Dtype {
    match precision {
        Precision::F64 => Dtype::F64,
        Precision::F32 => Dtype::F32,
        Precision::F16 => Dtype::F16,
        Precision::Bf16 => Dtype::BF16,
    }
}
