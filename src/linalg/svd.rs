//! The thin singular value decomposition, by one-sided Jacobi rotations of a triangular factor where the smaller side is
//! small, otherwise by bidiagonalization and implicit QR steps in double precision.
//!
//! Jacobi rotations find even small singular values to high relative accuracy (Demmel, Veselić, "Jacobi's method is
//! more accurate than QR", 1992), but take several sweeps of n³ operations. The other way is about seven times as fast at
//! n = 512, twenty times for the values alone, and its errors are a few ε of the *largest* singular value, with ε that of
//! `f64`.

use super::bidiagonal::{Bidiagonal, reduce};
use super::implicit_qr::{Vectors, diagonalize};
use super::qr::{Qr, qr_of_columns};
use super::reflectors::{product, triangularize};
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

/// The largest smaller side that Jacobi rotations are for.
const SMALL: usize = 48;

/// Decomposes a row-major m×n matrix, in O(mn min(m, n)).
pub(crate) fn svd<T: Scalar>(a: &[T], m: usize, n: usize) -> Svd<T> {
    if m.min(n) > SMALL {
        let wide: Vec<f64> = a.iter().map(|a| a.wide()).collect();
        if let Some(Svd { u, s, v }) = large(&wide, m, n, true) {
            let narrow = |values: Vec<f64>| values.into_iter().map(T::of).collect();
            return Svd { u: narrow(u), s: narrow(s), v: narrow(v) };
        }
    }
    jacobi(a, m, n)
}

/// The singular values of a row-major m×n matrix, descending: about a third of the time of [`svd`].
pub(crate) fn singular_values<T: Scalar>(a: &[T], m: usize, n: usize) -> Vec<T> {
    if m.min(n) > SMALL {
        let wide: Vec<f64> = a.iter().map(|a| a.wide()).collect();
        if let Some(Svd { s, .. }) = large(&wide, m, n, false) {
            return s.into_iter().map(T::of).collect();
        }
    }
    jacobi(a, m, n).s
}

/// By way of a bidiagonal matrix; without vectors, u and v are empty. None if the iteration does not converge.
fn large(a: &[f64], m: usize, n: usize, vectors: bool) -> Option<Svd<f64>> {
    if m < n {
        let Svd { u, s, v } = large(&transpose(a, m, n), n, m, vectors)?;
        return Some(Svd { u: v, s, v: u });
    }
    let scale = largest(a);
    if scale == 0.0 || !scale.is_finite() {
        return None;
    }
    // A tall matrix is first made triangular, which is cheaper than to reduce all of its rows.
    let tall = 4 * m > 5 * n;
    let (reflectors, mut square) = match tall {
        true => {
            let mut columns = transpose(a, m, n);
            let reflectors = triangularize(&mut columns, m);
            let r: Vec<f64> = columns.chunks_exact(m).flat_map(|column| column[..n].iter().copied()).collect();
            (reflectors, transpose(&r, n, n))
        }
        false => (Vec::new(), a.to_vec()),
    };
    let rows = square.len() / n;
    square.iter_mut().for_each(|x| *x /= scale);
    let Bidiagonal { mut d, mut e, left, right } = reduce(&square, rows, n);
    if !vectors {
        diagonalize(&mut d, &mut e, None).then_some(())?;
        let mut s: Vec<f64> = d.iter().map(|d| d.abs() * scale).collect();
        s.sort_by(|a, b| b.total_cmp(a));
        return Some(Svd { u: Vec::new(), s, v: Vec::new() });
    }
    let (mut u, mut v) = (product(&left, rows, n, 0), product(&right, n, n, 1));
    let both = [Vectors::new(&mut u, rows), Vectors::new(&mut v, n)];
    diagonalize(&mut d, &mut e, Some(both)).then_some(())?;
    let mut order: Vec<usize> = (0..n).collect();
    order.sort_by(|&a, &b| d[b].abs().total_cmp(&d[a].abs()));
    let s = order.iter().map(|&i| d[i].abs() * scale).collect();
    v.chunks_exact_mut(n).zip(&d).filter(|(_, d)| **d < 0.0).for_each(|(v, _)| v.iter_mut().for_each(|x| *x = -*x));
    let gather = |block: &[f64], len| order.iter().flat_map(|&i| block[i * len..][..len].to_vec()).collect::<Vec<_>>();
    let (mut u, v) = (gather(&u, rows), gather(&v, n));
    if tall {
        u = lengthen(&u, &reflectors, n, m);
    }
    Some(Svd { u, s, v })
}

/// `Q` times the vectors in the rows of `u` (n×n), for the Q of m×n reflectors: n×m.
fn lengthen(u: &[f64], reflectors: &[f64], n: usize, m: usize) -> Vec<f64> {
    let mut long = vec![0.0; n * m];
    gemm_nn(u, &product(reflectors, m, n, 0), &mut long, [n, n, m]);
    long
}

fn jacobi<T: Scalar>(a: &[T], m: usize, n: usize) -> Svd<T> {
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
    fn larger_matrices_decompose() {
        let mut rng = fastrand::Rng::with_seed(3);
        for (m, n) in [(60, 45), (49, 49), (50, 70), (90, 51), (50, 120)] {
            let a = random(m * n, &mut rng);
            check(&a, m, n);
            check(&a.iter().map(|&v| v as f32).collect::<Vec<_>>(), m, n);
            check(&a.iter().map(|&v| v * 1e-200).collect::<Vec<_>>(), m, n);
            let (s, tolerance) = (svd(&a, m, n).s, f64::EPSILON * (m + n) as f64);
            for other in [singular_values(&a, m, n), jacobi(&a, m, n).s] {
                assert!(s.iter().zip(&other).all(|(a, b)| (a - b).abs() <= tolerance * s[0]), "{m}×{n}");
            }
        }
    }

    /// Matrices on which an iteration may stumble: of low rank, graded either way, with equal singular values, bidiagonal
    /// with zeros on the diagonal.
    #[test]
    fn larger_matrices_of_every_kind_decompose() {
        let (m, n) = (70, 60);
        let mut rng = fastrand::Rng::with_seed(4);
        let dense = random(m * n, &mut rng);
        for rank in [0, 1, 3, 30] {
            let (g, h) = (random(m * rank, &mut rng), random(n * rank, &mut rng));
            let mut a = vec![0.0; m * n];
            gemm_nn(&g, &h, &mut a, [m, rank, n]);
            check(&a, m, n);
            assert_eq!(svd(&a, m, n).s.iter().filter(|&&s| s > 1e-13).count(), rank);
        }
        let entry = |f: &dyn Fn(usize, usize) -> f64| (0..m * n).map(|at| f(at / n, at % n)).collect::<Vec<f64>>();
        let graded = |base: f64| entry(&|i, j| dense[i * n + j] * base.powi(i as i32 + j as i32));
        let delta = |i: usize, j: usize| if i == j { 1.0 } else { 0.0 };
        for a in [
            graded(0.7),
            graded(1.4),
            entry(&delta),
            entry(&|i, j| 3.0 * delta(i, j) + 0.5 * delta(i + 1, j)),
            entry(&|i, j| if i % 7 == 0 { 0.0 } else { delta(i, j) } + delta(i + 1, j)),
            entry(&|i, j| delta(i + 1, j)),
            entry(&|_, _| 1.0),
            entry(&|i, j| if i == 3 { dense[j] } else { 0.0 }),
            entry(&|i, j| 1.0 / (i + j + 1) as f64),
        ] {
            check(&a, m, n);
            let (s, jacobi) = (singular_values(&a, m, n), jacobi(&a, m, n).s);
            assert!(
                s.iter().zip(&jacobi).all(|(a, b)| (a - b).abs() <= f64::EPSILON * (m + n) as f64 * s[0]),
                "{s:?}\n{jacobi:?}"
            );
        }
    }
}
