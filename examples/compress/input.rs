//! Trained tensors from files.

use std::fmt;
use std::path::{Path, PathBuf};

use crate::npy;

/// A tensor of a model.
#[derive(Clone)]
pub struct Tensor {
    pub name: String,
    pub shape: Vec<usize>,
    pub numbers: Vec<f32>,
}

impl Tensor {
    /// Rows and columns, if this is a matrix or can be read as one: the first side by all others.
    pub fn matrix(&self) -> Option<(usize, usize)> {
        match self.shape[..] {
            [rows, _, ..] if rows > 0 => Some((rows, self.numbers.len() / rows)),
            _ => None,
        }
    }
}

/// A file that cannot be used, and why.
#[derive(Debug)]
pub struct Problem {
    pub path: PathBuf,
    pub reason: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.path.display(), self.reason)
    }
}

impl std::error::Error for Problem {}

/// Reads a model: a directory of .npy files, one .npy file, or a safetensors file.
pub fn read(path: &Path) -> Result<Vec<Tensor>, Problem> {
    let fail = |reason: String| Problem { path: path.to_path_buf(), reason };
    if !path.is_dir() {
        let npy = path.extension().is_some_and(|extension| extension == "npy");
        return if npy { Ok(vec![npy::read(path)?]) } else { safetensors(path) };
    }
    let entries = std::fs::read_dir(path).map_err(|error| fail(error.to_string()))?;
    let paths = entries.map(|entry| entry.map(|entry| entry.path())).collect::<Result<Vec<_>, _>>();
    let mut paths = paths.map_err(|error| fail(error.to_string()))?;
    paths.retain(|path| path.extension().is_some_and(|extension| extension == "npy"));
    paths.sort();
    if paths.is_empty() {
        return Err(fail("no .npy files here".into()));
    }
    paths.iter().map(|path| npy::read(path)).collect()
}

/// The tensors of real numbers in a safetensors file.
fn safetensors(path: &Path) -> Result<Vec<Tensor>, Problem> {
    use displace::checkpoint::{CheckpointError, Reader};

    let fail = |error: CheckpointError| match error {
        CheckpointError::File { path, source } => Problem { path, reason: source.to_string() },
        error => Problem { path: path.to_path_buf(), reason: error.to_string() },
    };
    let reader = Reader::open(path).map_err(fail)?;
    let real = reader.tensors().iter().filter(|tensor| tensor.precision().is_some());
    let read = |tensor: &displace::checkpoint::StoredTensor| {
        let mut numbers = vec![0.0; tensor.len()];
        reader.read_into(tensor.name(), &mut numbers).map_err(fail)?;
        Ok(Tensor { name: tensor.name().to_string(), shape: tensor.shape().to_vec(), numbers })
    };
    real.map(read).collect()
}
