//! The choice between a family's fast product and a materialised dense matrix.
//!
//! The model has one constant for each kind of work: what a multiplication and addition costs inside a blocked GEMM, what
//! a number of the matrix costs when it is read for one example only, and what a step of a transform costs.
//! `cargo bench --bench crossover` measures how well it chooses.

use crate::Scalar;

/// How products are computed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Path {
    /// By the family's own fast algorithm.
    Fast,
    /// By a GEMM with the materialised dense matrix.
    Dense,
}

/// Who chooses how products are computed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize), serde(rename_all = "kebab-case"))]
pub enum PathChoice {
    /// An estimate of the cost of either, for each batch size.
    #[default]
    Auto,
    /// Always the family's own fast algorithm.
    Fast,
    /// Always a GEMM with the materialised dense matrix.
    Dense,
}

/// Nanoseconds of a multiplication and addition in a blocked GEMM, f32; f64 takes twice as long.
const GEMM: f64 = 0.030;
/// Nanoseconds to read one f32 of a matrix and use it once; f64 takes twice as long.
const GEMV: f64 = 0.075;
/// Nanoseconds per n·log2(n) of a real transform, f32, in a full block of lanes; f64 takes twice as long.
const TRANSFORM: f64 = 0.030;
/// Nanoseconds per number of a pointwise pass or a transposition.
const POINTWISE: f64 = 0.060;
/// Times as much that a transform by a general library costs.
const LIBRARY: f64 = 6.0;

/// Estimated nanoseconds per example of a dense m×n product.
pub(crate) fn dense_cost<T: Scalar>(rows: usize, cols: usize, batch: usize) -> f64 {
    let size = rows as f64 * cols as f64 * width::<T>();
    size * GEMM + size * GEMV / batch.max(1) as f64
}

/// Estimated nanoseconds per example of `count` real transforms of length n, with their pointwise products.
pub(crate) fn transform_cost<T: Scalar>(n: usize, count: usize, batch: usize) -> f64 {
    let n_log = n as f64 * (n.max(2) as f64).log2();
    let library = if crate::transform::is_fast_length(n) { 1.0 } else { LIBRARY };
    let one = (n_log * TRANSFORM * library + n as f64 * POINTWISE) * width::<T>();
    let lanes = T::LANES as f64;
    let batch = batch.max(1) as f64;
    count as f64 * one * (batch / lanes).ceil() * lanes / batch
}

fn width<T>() -> f64 {
    size_of::<T>() as f64 / 4.0
}
