//! The thin singular value decomposition, by one-sided Jacobi rotations of a triangular factor.
//!
//! Jacobi rotations find even small singular values to high relative accuracy (Demmel, Veselić, "Jacobi's method is
//! more accurate than QR", 1992), which a rank decision needs.

use super::qr::{Qr, qr_of_columns};
use super::{largest, norm, transpose};
use crate::Scalar;
use crate::unstructured::gemm::{add_scaled, dot, gemm_nn};

/// `A = Σ_k s_k u_k v_kᵀ` for A m×n, with k = min(m, n).
#[derive(Debug, Clone)]
pub(crate) struct Svd<T> {
    /// The left singular vectors, one a row: k×m, orthonormal.
    pub u: Vec<T>,
    /// The singular values, descending.
    pub s: Vec<T>,
    /// The right singular vectors, one a row: k×n, orthonormal.
    pub v: Vec<T>,
}

/// Sweeps over all pairs of columns; five to ten are usual.
const SWEEPS: usize = 60;

/// Decomposes a row-major m×n matrix, in O(mn min(m, n)) and a few sweeps of O(min(m, n)³).
pub(crate) fn svd<T: Scalar>(a: &[T], m: usize, n: usize) -> Svd<T> {
    if m < n {
        let Svd { u, s, v } = svd_of_columns(a.to_vec(), n, m);
        return Svd { u: v, s, v: u };
    }
    svd_of_columns(transpose(a, m, n), m, n)
}

/// Decomposes the m×n matrix, m ≥ n, whose columns are the rows of `columns`.
fn svd_of_columns<T: Scalar>(mut columns: Vec<T>, m: usize, n: usize) -> Svd<T> {
    let scale = largest(&columns);
    if scale > T::zero() && scale.is_finite() {
        columns.iter_mut().for_each(|v| *v /= scale);
    }
    // A = Q R, and rotations W of the rows of R make them orthogonal: W R = S V, so that A = Q Wᵀ S V.
    let Qr { q, r: mut rows } = qr_of_columns(columns, m, n);
    let mut rotations = vec![T::zero(); n * n];
    (0..n).for_each(|i| rotations[i * n + i] = T::one());
    orthogonalize(&mut rows, &mut rotations, n);

    let lengths: Vec<T> = rows.chunks_exact(n).map(norm).collect();
    let mut order: Vec<usize> = (0..n).collect();
    order.sort_by(|&a, &b| lengths[b].partial_cmp(&lengths[a]).unwrap_or(std::cmp::Ordering::Equal));
    let gather = |block: &[T]| order.iter().flat_map(|&i| block[i * n..][..n].to_vec()).collect::<Vec<T>>();
    let (mut v, rotations) = (gather(&rows), gather(&rotations));
    let mut s: Vec<T> = order.iter().map(|&i| lengths[i]).collect();
    for k in 0..n {
        let (before, row) = v.split_at_mut(k * n);
        let row = &mut row[..n];
        if s[k] > negligible() {
            row.iter_mut().for_each(|v| *v /= s[k]);
        } else {
            s[k] = T::zero();
            complete(before, row);
        }
    }
    let mut u = vec![T::zero(); n * m];
    gemm_nn(&rotations, &q, &mut u, [n, n, m]);
    s.iter_mut().for_each(|s| *s *= scale);
    Svd { u, s, v }
}

/// Below this, beside a largest entry of 1, squares vanish: such a length counts as zero.
fn negligible<T: Scalar>() -> T {
    T::min_positive_value().sqrt() / T::epsilon()
}

/// Rotates the rows of an n×n block until all are orthogonal, and those of `rotations` along with them.
fn orthogonalize<T: Scalar>(rows: &mut [T], rotations: &mut [T], n: usize) {
    let tolerance = T::epsilon() * T::of((n as f64).sqrt());
    for _ in 0..SWEEPS {
        let mut settled = true;
        for p in 0..n {
            for q in p + 1..n {
                let (x, y) = pair(rows, p, q, n);
                let (xx, yy, xy) = (dot(x, x), dot(y, y), dot(x, y));
                let (longer, shorter) = (xx.max(yy).sqrt(), xx.min(yy).sqrt());
                if shorter <= negligible() || xy.abs() <= tolerance * longer * shorter {
                    continue;
                }
                settled = false;
                let zeta = (yy - xx) / (xy + xy);
                let t = zeta.signum() / (zeta.abs() + (T::one() + zeta * zeta).sqrt());
                let c = T::one() / (T::one() + t * t).sqrt();
                rotate(x, y, c, c * t);
                let (x, y) = pair(rotations, p, q, n);
                rotate(x, y, c, c * t);
            }
        }
        if settled {
            break;
        }
    }
}

fn pair<T>(rows: &mut [T], p: usize, q: usize, n: usize) -> (&mut [T], &mut [T]) {
    let (head, tail) = rows.split_at_mut(q * n);
    (&mut head[p * n..][..n], &mut tail[..n])
}

fn rotate<T: Scalar>(x: &mut [T], y: &mut [T], c: T, s: T) {
    for (x, y) in x.iter_mut().zip(y) {
        (*x, *y) = (c * *x - s * *y, s * *x + c * *y);
    }
}

/// Sets `row` to a unit vector orthogonal to the orthonormal rows `before`.
fn complete<T: Scalar>(before: &[T], row: &mut [T]) {
    let n = row.len();
    // The unit vector that the others cover least keeps at least a length of 1/√n.
    let covered = |at: usize| before.chunks_exact(n).map(|b| b[at] * b[at]).sum::<T>();
    let mut best = (0, covered(0));
    for at in 1..n {
        let value = covered(at);
        if value < best.1 {
            best = (at, value);
        }
    }
    row.fill(T::zero());
    row[best.0] = T::one();
    for _ in 0..2 {
        for b in before.chunks_exact(n) {
            let along = dot(b, row);
            add_scaled(row, -along, b);
        }
        let length = norm(row);
        row.iter_mut().for_each(|v| *v /= length);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check<T: Scalar>(a: &[T], m: usize, n: usize) {
        let Svd { u, s, v } = svd(a, m, n);
        let k = m.min(n);
        let tolerance = T::epsilon() * T::of(40.0 + 4.0 * k as f64);
        assert!(s.windows(2).all(|w| w[0] >= w[1]), "{s:?}");
        for (block, len) in [(&u, m), (&v, n)] {
            for x in 0..k {
                for y in 0..k {
                    let inner = dot(&block[x * len..][..len], &block[y * len..][..len]);
                    let expected = if x == y { T::one() } else { T::zero() };
                    assert!((inner - expected).abs() <= tolerance, "{m}×{n}: {inner}");
                }
            }
        }
        for i in 0..m {
            for j in 0..n {
                let got: T = (0..k).map(|l| s[l] * u[l * m + i] * v[l * n + j]).sum();
                assert!((got - a[i * n + j]).abs() <= tolerance * norm(a), "{m}×{n}");
            }
        }
    }

    fn random(len: usize, rng: &mut fastrand::Rng) -> Vec<f64> {
        (0..len).map(|_| rng.f64() - 0.5).collect()
    }

    #[test]
    fn every_shape_and_rank_decomposes() {
        let mut rng = fastrand::Rng::with_seed(2);
        for m in 1..10 {
            for n in 1..10 {
                for rank in 0..=m.min(n) {
                    let (g, h) = (random(m * rank, &mut rng), random(n * rank, &mut rng));
                    let entry = |i: usize, j: usize| (0..rank).map(|k| g[i * rank + k] * h[j * rank + k]).sum::<f64>();
                    let a: Vec<f64> = (0..m * n).map(|at| entry(at / n, at % n)).collect();
                    check(&a, m, n);
                    check(&a.iter().map(|&v| v as f32).collect::<Vec<_>>(), m, n);
                    check(&a.iter().map(|&v| v * 1e-200).collect::<Vec<_>>(), m, n);
                    let s = svd(&a, m, n).s;
                    assert_eq!(s.iter().filter(|&&s| s > 1e-13).count(), rank, "{s:?}");
                }
            }
        }
    }

    #[test]
    fn singular_values_of_a_known_matrix() {
        let s = svd(&[3.0, 0.0, 4.0, 5.0], 2, 2).s;
        assert!((s[0] - 45f64.sqrt()).abs() < 1e-14 && (s[1] - 5f64.sqrt()).abs() < 1e-14, "{s:?}");
        assert_eq!(svd(&[-2.0f64], 1, 1).s, [2.0]);
    }

    #[test]
    fn a_larger_matrix_converges() {
        let mut rng = fastrand::Rng::with_seed(3);
        check(&random(60 * 45, &mut rng), 60, 45);
    }
}
