//! What can be wrong with a checkpoint.

use std::io;
use std::path::PathBuf;

use thiserror::Error;

use super::Precision;

/// The result of every fallible operation on checkpoints.
pub type Result<T> = std::result::Result<T, CheckpointError>;

/// Why a checkpoint could not be read or written.
///
/// Nothing large has been allocated, and the object that was to be filled is as it was; so is the file that was to be
/// replaced.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum CheckpointError {
    /// The file could not be opened, created or replaced.
    #[error("{}: {source}", .path.display())]
    File {
        /// Its path.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },

    /// Reading or writing failed half way.
    #[error("{doing}: {source}")]
    Io {
        /// What was being done.
        doing: &'static str,
        /// What the system said.
        source: io::Error,
    },

    /// The file ends before what its header announces.
    #[error("the file is cut off: {actual} bytes of {expected}")]
    Truncated {
        /// Bytes that there should be.
        expected: u64,
        /// Bytes that there are.
        actual: u64,
    },

    /// There are bytes behind the last tensor.
    #[error("the file goes on behind its last tensor: {actual} bytes instead of {expected}")]
    TrailingBytes {
        /// Bytes that there should be.
        expected: u64,
        /// Bytes that there are.
        actual: u64,
    },

    /// The header is longer than any that makes sense.
    #[error("a header of {length} bytes is longer than {limit}, the most that is accepted")]
    HeaderTooLong {
        /// The length that the file announces.
        length: u64,
        /// The largest length that is accepted.
        limit: u64,
    },

    /// The header is not what the format demands: not JSON, or its tensors overlap, leave gaps or do not fit their
    /// shapes.
    #[error("bad header: {reason}")]
    Header {
        /// What is wrong with it.
        reason: String,
    },

    /// There is no tensor of this name.
    #[error("there is no tensor {name:?}")]
    MissingTensor {
        /// The name.
        name: String,
    },

    /// A tensor has another shape than it must have.
    #[error("the tensor {name:?} must have the shape {expected:?}, not {actual:?}")]
    WrongShape {
        /// The tensor's name.
        name: String,
        /// The shape it must have.
        expected: Vec<usize>,
        /// The shape it has.
        actual: Vec<usize>,
    },

    /// A tensor does not hold real numbers of a type that can be read.
    #[error("the tensor {name:?} holds {dtype}, not one of F64, F32, F16 and BF16")]
    WrongDtype {
        /// The tensor's name.
        name: String,
        /// The type of its elements, as the file names it.
        dtype: String,
    },

    /// What the file says about the structures of its layers is not what this crate writes, or of a newer version.
    #[error("bad description of layers: {reason}")]
    Manifest {
        /// What is wrong with it.
        reason: String,
    },

    /// The file does not describe a layer of this name.
    #[error("there is no description of a layer {name:?}")]
    MissingLayer {
        /// The name.
        name: String,
    },

    /// A structure, its parameters or a bias were refused.
    #[error(transparent)]
    Layer(#[from] crate::Error),

    /// Two tensors that are to be written have the same name, or one has the name that the format reserves.
    #[error("the name {name:?} is taken")]
    DuplicateName {
        /// The name.
        name: String,
    },

    /// A tensor to be written does not have as many numbers as its shape says.
    #[error("{len} numbers for the tensor {name:?} of shape {shape:?}")]
    WrongLength {
        /// The tensor's name.
        name: String,
        /// Its shape.
        shape: Vec<usize>,
        /// The numbers given.
        len: usize,
    },

    /// Elements were asked for that a tensor does not have.
    #[error("elements {start} to {end} of the tensor {name:?}, which has {len}")]
    OutOfBounds {
        /// The tensor's name.
        name: String,
        /// The first element asked for.
        start: usize,
        /// One past the last element asked for.
        end: usize,
        /// The elements there are.
        len: usize,
    },

    /// A number is too large for the precision that it is to be stored in.
    #[error("{value}, element {index} of the tensor {name:?}, is too large for {precision}")]
    Overflow {
        /// The tensor's name.
        name: String,
        /// Where in it.
        index: usize,
        /// The value.
        value: f64,
        /// The precision of the file.
        precision: Precision,
    },
}
