//! Reading tensors out of a safetensors file, one at a time or in pieces.

use std::collections::HashMap;
use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::Path;
use std::sync::{Mutex, PoisonError};

use safetensors::tensor::Metadata;

use super::Precision;
use super::error::{CheckpointError, Result};
use super::manifest::Manifest;
use crate::Scalar;

/// An open safetensors file: its header, checked, and access to its tensors.
///
/// Only the header is read when a file is opened. Tensors are read when asked for, straight into a buffer of the caller,
/// so that a file far larger than memory can be streamed:
///
/// ```no_run
/// use displace::checkpoint::Reader;
///
/// let reader = Reader::open("model.safetensors")?;
/// for tensor in reader.tensors().iter().filter(|tensor| tensor.precision().is_some()) {
///     let mut buffer = vec![0.0_f32; 1 << 16];
///     let mut square = 0.0;
///     for start in (0..tensor.len()).step_by(buffer.len()) {
///         let piece = &mut buffer[..(1 << 16).min(tensor.len() - start)];
///         reader.read_range(tensor.name(), start, piece)?;
///         square += piece.iter().map(|x| x * x).sum::<f32>();
///     }
///     println!("{} {:?}: norm {}", tensor.name(), tensor.shape(), square.sqrt());
/// }
/// # Ok::<(), displace::checkpoint::CheckpointError>(())
/// ```
///
/// The format is laid out in the documentation of the [safetensors](https://docs.rs/safetensors) crate, which does the
/// parsing and checks that the tensors cover the file without gap or overlap. All methods take `&self`; threads may
/// share a reader, and take turns.
#[derive(Debug)]
pub struct Reader<R = File> {
    source: Mutex<R>,
    data_start: u64,
    tensors: Vec<StoredTensor>,
    index: HashMap<String, usize>,
    metadata: HashMap<String, String>,
    manifest: Manifest,
}

/// What the header of a file says about one tensor.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredTensor {
    name: String,
    shape: Vec<usize>,
    dtype: String,
    len: usize,
    start: u64,
}

impl StoredTensor {
    /// The name, such as `"encoder.0.G"`.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The shape, row-major.
    pub fn shape(&self) -> &[usize] {
        &self.shape
    }

    /// The type of the elements, as the file names it: `"F32"`, `"I64"`, ….
    pub fn dtype(&self) -> &str {
        &self.dtype
    }

    /// The type of the elements, where it is one that can be read.
    pub fn precision(&self) -> Option<Precision> {
        Precision::from_name(&self.dtype)
    }

    /// Elements.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether there are no elements.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }
}

/// The longest header that is accepted. Real ones take about a hundred bytes a tensor.
pub const MAX_HEADER: u64 = 16 << 20;

/// Bytes of the length in front of the header.
const PREFIX: u64 = 8;

impl Reader {
    /// Opens a file and reads its header.
    ///
    /// # Errors
    ///
    /// [`CheckpointError::File`] when there is no such file, and as for [`Reader::new`].
    pub fn open(path: impl AsRef<Path>) -> Result<Self> {
        let path = path.as_ref();
        let file = File::open(path).map_err(|source| CheckpointError::File { path: path.to_path_buf(), source })?;
        Self::new(file)
    }
}

impl<R: Read + Seek> Reader<R> {
    /// Reads the header of a safetensors file that is open already, or in memory (a [`Cursor`](std::io::Cursor)).
    ///
    /// # Errors
    ///
    /// [`CheckpointError::Truncated`], [`CheckpointError::TrailingBytes`], [`CheckpointError::HeaderTooLong`],
    /// [`CheckpointError::Header`], [`CheckpointError::Manifest`] or [`CheckpointError::Io`]. Memory is allocated only once the
    /// file is known to be large enough for its header, which [`MAX_HEADER`] limits, and never for tensors.
    pub fn new(mut source: R) -> Result<Self> {
        let doing = "reading the header";
        let failed = |source| CheckpointError::Io { doing, source };
        let actual = source.seek(SeekFrom::End(0)).map_err(failed)?;
        if actual < PREFIX {
            return Err(CheckpointError::Truncated { expected: PREFIX, actual });
        }
        source.rewind().map_err(failed)?;
        let mut prefix = [0; PREFIX as usize];
        source.read_exact(&mut prefix).map_err(failed)?;
        let length = u64::from_le_bytes(prefix);
        if length > MAX_HEADER {
            return Err(CheckpointError::HeaderTooLong { length, limit: MAX_HEADER });
        }
        let data_start = PREFIX + length;
        if actual < data_start {
            return Err(CheckpointError::Truncated { expected: data_start, actual });
        }
        let mut header = vec![0; length as usize];
        source.read_exact(&mut header).map_err(failed)?;

        let parsed = parse(&header)?;
        let expected = data_start.saturating_add(parsed.data_len() as u64);
        if actual < expected {
            return Err(CheckpointError::Truncated { expected, actual });
        }
        if actual > expected {
            return Err(CheckpointError::TrailingBytes { expected, actual });
        }
        let tensors = stored_tensors(&parsed);
        let index = tensors.iter().enumerate().map(|(k, tensor)| (tensor.name.clone(), k)).collect();
        let metadata = parsed.metadata().clone().unwrap_or_default();
        let manifest = Manifest::read(&metadata)?;
        Ok(Self { source: Mutex::new(source), data_start, tensors, index, metadata, manifest })
    }

    /// The tensors, in the order in which the file holds them.
    pub fn tensors(&self) -> &[StoredTensor] {
        &self.tensors
    }

    /// The tensor of a name, if there is one.
    pub fn tensor(&self, name: &str) -> Option<&StoredTensor> {
        self.index.get(name).map(|&k| &self.tensors[k])
    }

    pub(super) fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    /// The free text that the file carries, by key.
    pub fn metadata(&self) -> &HashMap<String, String> {
        &self.metadata
    }

    /// Reads a whole tensor, row-major, rounding or widening its numbers to type T.
    ///
    /// A number that T cannot hold, such as 1e300 read as `f32`, becomes infinite.
    ///
    /// # Errors
    ///
    /// [`CheckpointError::MissingTensor`], [`CheckpointError::WrongDtype`] for elements that are not real numbers,
    /// [`CheckpointError::OutOfBounds`] unless `out` is as long as the tensor, [`CheckpointError::Io`]; what `out` holds
    /// is undefined after the last of these only.
    pub fn read_into<T: Scalar>(&self, name: &str, out: &mut [T]) -> Result<()> {
        let tensor = self.find(name)?;
        if tensor.len != out.len() {
            return Err(out_of_bounds(tensor, 0, out.len()));
        }
        self.read_range(name, 0, out)
    }

    /// Reads elements of a tensor from the one with index `start`, counted row by row, until `out` is full.
    ///
    /// # Errors
    ///
    /// As for [`Reader::read_into`]; [`CheckpointError::OutOfBounds`] when the tensor ends before `out` does.
    pub fn read_range<T: Scalar>(&self, name: &str, start: usize, out: &mut [T]) -> Result<()> {
        let tensor = self.find(name)?;
        let precision = tensor
            .precision()
            .ok_or_else(|| CheckpointError::WrongDtype { name: name.to_string(), dtype: tensor.dtype.clone() })?;
        let end = start.saturating_add(out.len());
        if end > tensor.len {
            return Err(out_of_bounds(tensor, start, end));
        }
        let place = self.data_start + tensor.start + (start * precision.bytes()) as u64;
        let mut source = self.source.lock().unwrap_or_else(PoisonError::into_inner);
        let read = source.seek(SeekFrom::Start(place)).and_then(|_| precision.read(&mut *source, out));
        read.map_err(|source| CheckpointError::Io { doing: "reading a tensor", source })
    }

    /// The tensor of a name.
    fn find(&self, name: &str) -> Result<&StoredTensor> {
        self.tensor(name).ok_or_else(|| CheckpointError::MissingTensor { name: name.to_string() })
    }
}

/// Parses a header. Every tensor of what is returned begins where the one before ends and is as long as its shape says.
fn parse(header: &[u8]) -> Result<Metadata> {
    let bad = |reason: String| CheckpointError::Header { reason };
    if header.first() != Some(&b'{') {
        return Err(bad("it does not begin with a brace".into()));
    }
    serde_json::from_slice(header).map_err(|error| bad(error.to_string()))
}

fn stored_tensors(header: &Metadata) -> Vec<StoredTensor> {
    let stored = |(name, info): (String, &safetensors::tensor::TensorInfo)| StoredTensor {
        name,
        dtype: info.dtype.to_string(),
        len: info.shape.iter().product(),
        start: info.data_offsets.0 as u64,
        shape: info.shape.clone(),
    };
    let mut tensors: Vec<StoredTensor> = header.tensors().into_iter().map(stored).collect();
    tensors.sort_by(|a, b| (a.start, a.len, &a.name).cmp(&(b.start, b.len, &b.name)));
    tensors
}

fn out_of_bounds(tensor: &StoredTensor, start: usize, end: usize) -> CheckpointError {
    CheckpointError::OutOfBounds { name: tensor.name.clone(), start, end, len: tensor.len }
}
