//! The choice between a family's fast product and a materialised dense matrix.
//!
//! The model has one constant for each kind of work, fitted to what `cargo bench --bench crossover -- --json` measured on
//! an AVX2 machine of 3.2 GHz. The same bench, without `--json`, shows how well it chooses.

use crate::Scalar;
use crate::transform::{Arrangement, arrangement, few};

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
    ///
    /// Where making the dense copy is expensive (up to O(n³) for [learned operators](crate::ldr::LearnedOperators)), it
    /// must pay for itself. A matrix whose parameters have not changed since it was made, or since
    /// [`Matrix::set_path`](crate::Matrix::set_path), has it at once if it pays within 64 products with 1, 4 or 64 examples.
    /// Otherwise a product makes it when, with those since the last change of the parameters or choice of the path, it would have
    /// saved as much time as it costs: so a large batch may make it at once, and many small products do at some point, from which on their
    /// results differ by rounding. That one product takes as long as making the copy does, and memory for mn numbers and more;
    /// those that other threads begin meanwhile go on without it. For gradients it must pay within the one pass, since they
    /// then go back through all entries. [`PathChoice::Fast`] is for those to whom the same bits, an even latency or little
    /// memory matter more. Learned operators whose products keep vectors in
    /// two parts never get a copy: it would not have their digits.
    #[default]
    Auto,
    /// Always the family's own fast algorithm.
    Fast,
    /// Always a GEMM with the materialised dense matrix.
    Dense,
}

/// Products within which an expensive dense copy must pay for itself to be made before the first one.
pub(super) const PRODUCTS: f64 = 64.0;

/// Nanoseconds of a multiplication and addition in a blocked GEMM, f32; f64 takes twice as long.
const GEMM: f64 = 0.020;
/// Nanoseconds that a blocked GEMM takes to pack a number of the matrix, once a batch.
const PACK: f64 = 0.42;
/// The same as `GEMM` in a product with few rows.
const FEW: f64 = 0.024;
/// Nanoseconds to read one f32 of the matrix for a product with few rows, once a batch: from a cache, or from memory.
const READ: [f64; 2] = [0.042, 0.13];
/// Matrices of more bytes than this are read from memory.
const CACHE: f64 = (8 << 20) as f64;
/// Nanoseconds of a product with few rows, once a batch.
const START: f64 = 40.0;
/// Nanoseconds an output of a product with few rows, and of a blocked one.
const OUTPUT: [f64; 2] = [0.98, 0.27];
/// Nanoseconds per n·log2(n) of a real transform, f32, a lane; f64 takes twice as long.
const STEP: f64 = 0.035;
/// Nanoseconds of each transform of a block, and of each of a single signal, whatever the length.
const CALL: [f64; 2] = [120.0, 39.0];
/// Times as much that a single signal costs as one of a block.
const SINGLE: f64 = 1.6;
/// Nanoseconds per f32 that is moved between rows and lanes.
const MOVE: f64 = 0.070;
/// The same for a single signal by a general library.
const LIBRARY: f64 = 2.2;

/// What the estimates for products with nodes are multiplied by: real ones, those on the unit circle, and Cauchy ones (f32,
/// f64). They err by 10 to 20%, and no family is to be slower than a dense matrix: with these factors 3 of 3,666 cases were
/// slower by more than 15%.
pub(crate) const REAL_NODES: f64 = 1.25;
pub(crate) const CIRCLE_NODES: f64 = 1.2;
const CAUCHY_NODES: [f64; 2] = [1.3, 1.15];

/// The last of them.
pub(crate) fn cauchy_nodes<T: Scalar>() -> f64 {
    CAUCHY_NODES[size_of::<T>() / 8]
}

/// Estimated nanoseconds per example of a dense m×n product.
pub(crate) fn dense_cost<T: Scalar>(rows: usize, cols: usize, batch: usize) -> f64 {
    let size = rows as f64 * cols as f64 * width::<T>();
    let outputs = rows as f64;
    let share = (batch.max(1) as f64).recip();
    if batch <= few::most::<T>() {
        let read = READ[usize::from(4.0 * size > CACHE)];
        return size * (FEW + read * share) + outputs * OUTPUT[0] * (1.0 + 1.5 * share) + START * share;
    }
    size * (GEMM + PACK / width::<T>() * share) + outputs * OUTPUT[1]
}

/// Estimated nanoseconds of a large f64 GEMM of so many multiplications and additions.
pub(crate) fn gemm_cost(operations: f64) -> f64 {
    2.0 * GEMM * operations
}

/// Estimated nanoseconds per example of `count` real transforms of length n, with their pointwise products.
pub(crate) fn transform_cost<T: Scalar>(n: usize, count: usize, batch: usize) -> f64 {
    let complex = if n.is_multiple_of(2) { 1.0 } else { 2.0 };
    let one = STEP * width::<T>() * n as f64 * (n.max(2) as f64).log2() * complex;
    let Arrangement { blocks, singles, kernel } = arrangement::<T>(n, batch.max(1));
    let single = if kernel { SINGLE * radix_weight(n) } else { LIBRARY };
    let blocks = blocks as f64 * (CALL[0] + T::LANES as f64 * one * radix_weight(n));
    let singles = singles as f64 * (CALL[1] + one * single);
    count as f64 * (blocks + singles) / batch.max(1) as f64 + 2.0 * n as f64 * MOVE * width::<T>()
}

/// Times as much that a length costs as a power of two, for its factors 5 and 7.
fn radix_weight(n: usize) -> f64 {
    let power = |p: usize| std::iter::successors(Some(n), |m| m.is_multiple_of(p).then(|| m / p)).count() - 1;
    1.0 + 0.15 * power(5) as f64 + 0.35 * power(7) as f64
}

fn width<T>() -> f64 {
    size_of::<T>() as f64 / 4.0
}
