//! What the benchmarks share.

use std::time::Duration;

use criterion::Criterion;
use displace::{Builder, Family, Matrix, PathChoice, Scalar};

/// Short measurements: there are many cases, and their ratios are what counts.
#[allow(dead_code)]
pub fn criterion() -> Criterion {
    Criterion::default()
        .sample_size(10)
        .warm_up_time(Duration::from_millis(100))
        .measurement_time(Duration::from_millis(300))
        .without_plots()
        .configure_from_args()
}

/// A square matrix on its fast path; the rank is left out for families that have none.
pub fn fast<T: Scalar>(family: Family, n: usize, rank: usize) -> Option<Matrix<T>> {
    let builder = Builder::new(family, n, n).path(PathChoice::Fast).seed(1);
    let builder = if family.has_rank() { builder.rank(rank) } else { builder };
    builder.build().ok()
}

/// Numbers in [−1, 1].
pub fn numbers<T: Scalar>(len: usize) -> Vec<T> {
    (0..len).map(|i| T::of(((i * 37) % 101) as f64 / 50.0 - 1.0)).collect()
}
