//! What the tests of matrices share: families at every rank, random batches, and the dense reference in f64.

use displace::displacement::{ShiftOperator, ShiftPair};
use displace::{Builder, Family, Init, Matrix, Scalar};

/// Whether the matrix is linear in each of its tensors of parameters, so that differences are exact gradients; families with
/// nodes or operators among their parameters are not, and have tests of their own.
pub fn is_multilinear(family: &Family) -> bool {
    !matches!(
        family,
        Family::Vandermonde
            | Family::TransposedVandermonde
            | Family::VandermondeLike
            | Family::CircleVandermonde
            | Family::TransposedCircleVandermonde
            | Family::CircleVandermondeLike
            | Family::Cauchy
            | Family::CauchyLike
            | Family::LearnedSubdiagonal
            | Family::LearnedTridiagonal
    )
}

/// Every family that is linear in its parameters or generators, at a number of ranks, for a shape.
pub fn builders(rows: usize, cols: usize, seed: u64) -> Vec<Builder> {
    let mut families: Vec<Family> = Family::ALL.into_iter().filter(is_multilinear).collect();
    families.extend([Family::FCirculant(0.5), Family::FCirculant(-2.0), Family::FCirculant(0.0)]);
    let [scaled, long] = [[0.5, -2.0], [0.0, -1.0]].map(|[f, e]| (ShiftOperator::Plain(f), ShiftOperator::Plain(e)));
    families.extend([scaled, long].map(|(a, b)| Family::ShiftLike(ShiftPair::stein(a, b).unwrap())));
    let smaller = rows.min(cols);
    let mut builders = Vec::new();
    for family in families {
        let builder = Builder::new(family, rows, cols).init(Init::Variance(1.0)).seed(seed);
        if !family.has_rank() {
            builders.push(builder);
            continue;
        }
        let mut ranks = vec![0, 1, 2, smaller / 2, smaller];
        ranks.retain(|&r| r <= smaller && r <= 20);
        ranks.dedup();
        builders.extend(ranks.into_iter().map(|rank| builder.clone().rank(rank)));
    }
    builders
}

/// A batch of numbers in [−1, 1).
pub fn random<T: Scalar>(len: usize, seed: u64) -> Vec<T> {
    let mut rng = fastrand::Rng::with_seed(seed);
    (0..len).map(|_| T::of(2.0 * rng.f64() - 1.0)).collect()
}

/// `X Mᵀ` in f64 from the entries of M.
pub fn product<T: Scalar>(dense: &[f64], x: &[T], cols: usize) -> Vec<f64> {
    let row = |x: &[T]| {
        let dot = |m: &[f64]| m.iter().zip(x).map(|(m, x)| m * x.wide()).sum::<f64>();
        dense.chunks(cols).map(dot).collect::<Vec<_>>()
    };
    x.chunks(cols).flat_map(row).collect()
}

/// The transposed matrix.
pub fn transpose(dense: &[f64], cols: usize) -> Vec<f64> {
    (0..cols).flat_map(|j| dense.iter().skip(j).step_by(cols).copied()).collect()
}

/// The entries of a matrix, rebuilt in f64 from parameters of type T.
pub fn reference<T: Scalar>(builder: &Builder, matrix: &Matrix<T>) -> Matrix<f64> {
    let parameters = matrix.parameters().iter().map(|p| p.wide()).collect();
    Matrix::new(builder.structure::<f64>().unwrap(), parameters).unwrap()
}

/// Euclidean norm.
pub fn norm(x: &[f64]) -> f64 {
    x.iter().map(|x| x * x).sum::<f64>().sqrt()
}

/// `‖a − b‖`.
pub fn distance<T: Scalar>(a: &[T], b: &[f64]) -> f64 {
    assert_eq!(a.len(), b.len());
    a.iter().zip(b).map(|(a, b)| (a.wide() - b).powi(2)).sum::<f64>().sqrt()
}

/// Panics unless `‖a − b‖ ≤ tolerance · scale`.
#[track_caller]
pub fn assert_close<T: Scalar>(a: &[T], b: &[f64], tolerance: f64, scale: f64, what: &str) {
    let error = distance(a, b);
    assert!(
        error <= tolerance * scale + f64::MIN_POSITIVE,
        "{what}: error {error:.2e} of {scale:.2e}, tolerance {tolerance:.1e}"
    );
}

/// 50 ε log2(N) with N = m + n, the bar for transforms of length up to N.
pub fn bar<T: Scalar>(rows: usize, cols: usize) -> f64 {
    50.0 * T::epsilon().wide() * ((rows + cols) as f64).log2()
}
