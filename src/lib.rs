//! Low-displacement-rank structured layers.
#![deny(missing_docs)]
#![cfg_attr(docsrs, feature(doc_cfg))]

#[doc(hidden)]
pub mod bare;
mod builder;
mod error;
mod layer;
pub mod ldr;
mod matrix;
mod scalar;
mod shape;
pub mod solve;
pub mod structured;
mod transform;
pub mod unstructured;

pub use builder::Builder;
pub use error::{Error, Result};
pub use layer::{Linear, LinearGradient};
pub use matrix::{Bound, Family, Init, Layout, Matrix, Path, PathChoice, Prepared, Structure, Tensor, Workspace};
pub use scalar::Scalar;
