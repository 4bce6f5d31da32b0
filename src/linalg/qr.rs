//! The thin Householder QR factorization.

use super::{norm, transpose};
use crate::Scalar;
use crate::unstructured::gemm::{add_scaled, dot};

/// `A = Q R` for A m×n, with k = min(m, n).
#[derive(Debug, Clone)]
pub(crate) struct Qr<T> {
    /// The orthonormal columns of Q, one a row: k×m.
    pub q: Vec<T>,
    /// R, upper trapezoidal: k×n.
    pub r: Vec<T>,
}

/// Factors a row-major m×n matrix, in O(mn min(m, n)).
#[cfg_attr(not(test), allow(dead_code))]
pub(crate) fn qr<T: Scalar>(a: &[T], m: usize, n: usize) -> Qr<T> {
    qr_of_columns(transpose(a, m, n), m, n)
}

/// Factors the m×n matrix whose columns are the rows of `columns` (n×m). A column that depends on those before it
/// still gets an orthonormal column of Q.
pub(crate) fn qr_of_columns<T: Scalar>(mut columns: Vec<T>, m: usize, n: usize) -> Qr<T> {
    let k = m.min(n);
    let mut reflectors: Vec<Vec<T>> = Vec::with_capacity(k);
    for at in 0..k {
        let (head, tail) = columns.split_at_mut((at + 1) * m);
        let column = &mut head[at * m + at..];
        let reflector = reflector_of(column);
        for other in tail.chunks_exact_mut(m) {
            reflect(&reflector, &mut other[at..]);
        }
        reflectors.push(reflector);
    }
    let mut r = vec![T::zero(); k * n];
    for (j, column) in columns.chunks_exact(m).enumerate() {
        for i in 0..k.min(j + 1) {
            r[i * n + j] = column[i];
        }
    }
    let mut q = vec![T::zero(); k * m];
    for (i, row) in q.chunks_exact_mut(m).enumerate() {
        row[i] = T::one();
        for at in (0..=i).rev() {
            reflect(&reflectors[at], &mut row[at..]);
        }
    }
    Qr { q, r }
}

/// The unit vector v for which `(I − 2 v vᵀ) x` is a multiple of the first unit vector, to which x is set. Zero (no
/// reflection) if x has one entry or is zero below its first one.
fn reflector_of<T: Scalar>(x: &mut [T]) -> Vec<T> {
    let mut v = x.to_vec();
    if x[1..].iter().all(|x| *x == T::zero()) {
        v.fill(T::zero());
        return v;
    }
    let length = norm(x);
    let alpha = if x[0] > T::zero() { -length } else { length };
    v[0] -= alpha;
    let scale = norm(&v);
    v.iter_mut().for_each(|v| *v /= scale);
    x.fill(T::zero());
    x[0] = alpha;
    v
}

fn reflect<T: Scalar>(v: &[T], x: &mut [T]) {
    let along = dot(v, x);
    add_scaled(x, -(along + along), v);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn q_is_orthonormal_and_q_r_is_the_matrix() {
        let mut rng = fastrand::Rng::with_seed(1);
        for m in 1..8 {
            for n in 1..8 {
                for zero in [false, true] {
                    // A repeated column makes the matrix rank deficient.
                    let mut a: Vec<f64> = (0..m * n).map(|_| rng.f64() - 0.5).collect();
                    for i in 0..m {
                        a[i * n + n - 1] = a[i * n];
                    }
                    if zero {
                        a.fill(0.0);
                    }
                    let Qr { q, r } = qr(&a, m, n);
                    let k = m.min(n);
                    for x in 0..k {
                        for y in 0..k {
                            let inner = dot(&q[x * m..][..m], &q[y * m..][..m]);
                            assert!((inner - if x == y { 1.0 } else { 0.0 }).abs() < 1e-14);
                        }
                    }
                    for i in 0..m {
                        for j in 0..n {
                            let got: f64 = (0..k).map(|l| q[l * m + i] * r[l * n + j]).sum();
                            assert!((got - a[i * n + j]).abs() < 1e-14, "{m}×{n}");
                        }
                    }
                }
            }
        }
    }
}
