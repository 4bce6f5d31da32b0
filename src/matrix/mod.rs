//! A matrix: a structure, its parameters, and what was prepared from them. [`Matrix`] is in `bound`, the trait that families
//! implement in `structure`.

mod bound;
mod description;
mod family;
mod init;
mod kept;
mod layout;
mod path;
mod permuted;
mod reconstruction;
mod structure;
mod sum;
mod threads;
mod workspace;

pub use bound::Matrix;
pub use description::Description;
pub use family::Family;
pub use init::Init;
pub(crate) use init::normal;
#[cfg(any(feature = "candle", feature = "burn"))]
pub(crate) use kept::same;
pub use layout::{Layout, Tensor};
pub(crate) use path::{CIRCLE_NODES, REAL_NODES, cauchy_nodes, dense_cost, gemm_cost, transform_cost};
pub use path::{Path, PathChoice};
pub use permuted::Permuted;
pub(crate) use reconstruction::Identity;
pub use reconstruction::Reconstruction;
pub use structure::{Bound, Prepared, Structure};
pub use sum::Sum;
pub(crate) use threads::GRAIN;
pub use workspace::Workspace;
pub(crate) use workspace::take;
