//! A matrix: a structure, its parameters, and what was prepared from them.

mod dense_copy;
mod description;
mod family;
mod init;
mod kept;
mod layout;
#[expect(clippy::module_inception, reason = "the file of the type that the module is about")]
mod matrix;
mod path;
mod permuted;
mod reconstruction;
mod structure;
mod sum;
#[cfg(test)]
mod tests;
mod threads;
mod workspace;

pub use description::Description;
pub use family::Family;
pub use init::Init;
pub(crate) use init::{normal, normal_of};
#[cfg(any(feature = "candle", feature = "burn"))]
pub(crate) use kept::same;
pub use layout::{Layout, Tensor};
pub use matrix::Matrix;
pub(crate) use path::{CIRCLE_NODES, REAL_NODES, cauchy_nodes, dense_cost, gemm_cost, transform_cost};
pub use path::{Path, PathChoice};
pub use permuted::Permuted;
pub(crate) use reconstruction::Identity;
pub use reconstruction::Reconstruction;
pub use structure::{Bound, Parameters, Prepared, Structure};
pub use sum::Sum;
pub(crate) use threads::GRAIN;
pub use workspace::Workspace;
pub(crate) use workspace::take;
