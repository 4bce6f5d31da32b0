//! The baselines that every comparison needs: dense and low-rank matrices, by GEMM.
//!
//! Each family has a page of its own, the module of its name: definition, cost, accuracy, and when to choose it.

pub mod dense;
pub(crate) mod gemm;
pub mod low_rank;

pub use dense::Dense;
pub use low_rank::LowRank;
