//! Low-displacement-rank structured layers.
#![deny(missing_docs)]
#![cfg_attr(docsrs, feature(doc_cfg))]

mod error;

mod scalar;
mod transform;

pub use error::{Error, Result};
pub use scalar::Scalar;
