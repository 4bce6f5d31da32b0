//! Checkpoints in safetensors files.

mod error;
mod precision;
mod reader;

pub use error::{CheckpointError, Result};
pub use precision::Precision;
pub use reader::{MAX_HEADER, Reader, StoredTensor};
