//! The baselines that every comparison needs: dense and low-rank matrices, by GEMM.

mod dense;
pub(crate) mod gemm;
mod low_rank;

pub use dense::Dense;
pub use low_rank::LowRank;
