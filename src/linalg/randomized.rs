//! The leading part of a singular value decomposition of a matrix that is only known by its products.
//!
//! Halko, Martinsson, Tropp, "Finding structure with randomness", 2011.

use super::qr::qr_of_columns;
use super::svd::{Svd, svd};
use crate::Scalar;
use crate::matrix::normal;
use crate::unstructured::gemm::gemm_nn;

/// Vectors beyond the rank that was asked for.
const OVERSAMPLING: usize = 8;

/// Times that a sample is multiplied by `A Aᵀ` to separate the leading directions from the rest.
const POWER_ITERATIONS: usize = 2;

/// The leading `k` (at most min(rows, cols)) singular triplets of a rows×cols matrix A.
///
/// `product(x, y)` writes `A x` for a block of vectors: x is p×cols, y is p×rows, one vector a row; `transposed(y, x)`
/// writes `Aᵀ y`. Six block products of k + 8 vectors, and O((rows + cols) k²). Exact to rounding for a matrix of rank at
/// most k + 8, near the best approximation otherwise.
pub(crate) fn randomized<T: Scalar>(
    rows: usize,
    cols: usize,
    k: usize,
    mut product: impl FnMut(&[T], &mut [T]),
    mut transposed: impl FnMut(&[T], &mut [T]),
    seed: u64,
) -> Svd<T> {
    let k = k.min(rows).min(cols);
    let p = (k + OVERSAMPLING).min(rows).min(cols);
    let mut rng = fastrand::Rng::with_seed(seed);
    let mut x = vec![T::zero(); p * cols];
    normal(&mut rng, 1.0, &mut x);
    let mut y = vec![T::zero(); p * rows];
    product(&x, &mut y);
    for _ in 0..POWER_ITERATIONS {
        y = qr_of_columns(y, rows, p).q;
        transposed(&y, &mut x);
        x = qr_of_columns(x, cols, p).q;
        product(&x, &mut y);
    }
    let basis = qr_of_columns(y, rows, p).q;
    transposed(&basis, &mut x);
    // A ≈ Q (Qᵀ A), and Qᵀ A = x is p×cols.
    let Svd { u, mut s, mut v } = svd(&x, p, cols);
    let mut left = vec![T::zero(); p * rows];
    gemm_nn(&u, &basis, &mut left, [p, p, rows]);
    left.truncate(k * rows);
    s.truncate(k);
    v.truncate(k * cols);
    Svd { u: left, s, v }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::unstructured::gemm::gemm_nt;

    fn leading(a: &[f64], m: usize, n: usize, k: usize) -> Svd<f64> {
        let p = |block: &[f64], len: usize| block.len() / len;
        randomized(m, n, k, |x, y| gemm_nt(x, a, y, [p(x, n), n, m]), |y, x| gemm_nn(y, a, x, [p(y, m), m, n]), 5)
    }

    #[test]
    fn the_leading_triplets_are_those_of_the_full_decomposition() {
        let mut rng = fastrand::Rng::with_seed(4);
        for (m, n) in [(1, 1), (1, 5), (6, 3), (40, 30), (30, 50)] {
            // Singular values fall by a factor of 3 each.
            let mut a = vec![0.0; m * n];
            for l in 0..m.min(n) {
                let [mut g, mut h] = [m, n].map(|len| vec![0.0; len]);
                normal(&mut rng, 1.0, &mut g);
                normal(&mut rng, 1.0, &mut h);
                (0..m * n).for_each(|at| a[at] += g[at / n] * h[at % n] * 3f64.powi(-(l as i32)));
            }
            let full = svd(&a, m, n);
            for k in [0, 1, 2, 5] {
                let part = leading(&a, m, n, k);
                let k = k.min(m).min(n);
                assert_eq!((part.s.len(), part.u.len(), part.v.len()), (k, k * m, k * n));
                for l in 0..k {
                    assert!((part.s[l] - full.s[l]).abs() < 1e-9 * full.s[0], "{m}×{n}, {l} of {k}");
                    let av: f64 = (0..m)
                        .map(|i| (0..n).map(|j| a[i * n + j] * part.v[l * n + j]).sum::<f64>() * part.u[l * m + i])
                        .sum();
                    assert!((av - part.s[l]).abs() < 1e-9 * full.s[0]);
                }
            }
        }
    }

    #[test]
    fn a_zero_matrix_has_zero_singular_values() {
        assert_eq!(leading(&[0.0; 12], 3, 4, 2).s, [0.0, 0.0]);
    }
}
