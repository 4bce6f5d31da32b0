//! The baselines that every comparison needs: dense and low-rank matrices, by GEMM.
//!
//! The module of each family defines it and says what it costs, how accurate it is, and when to choose it.

pub mod dense;
pub(crate) mod gemm;
pub mod low_rank;

pub use dense::Dense;
pub use low_rank::LowRank;
