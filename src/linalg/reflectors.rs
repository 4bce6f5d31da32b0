//! Householder reflectors in blocks: many at a time, by GEMM.
//!
//! `H_1 H_2 … H_b = I − V T Vᵀ` for `H_j = I − 2 v_j v_jᵀ`, V the matrix of the unit vectors v_j and T upper triangular
//! (Schreiber, Van Loan, "A storage-efficient WY representation for products of Householder transformations", 1989).

use super::{largest, norm};
use crate::unstructured::gemm::{add_scaled, dot, gemm_nn_add, gemm_nt};

/// Reflectors that are applied at a time.
pub(super) const BLOCK: usize = 32;

/// Replaces x by a unit vector v for which `(I − 2 v vᵀ) x` is a multiple of the first unit vector, and returns the
/// multiple. v is zero (no reflection) if x is zero below its first entry.
pub(super) fn reflector(x: &mut [f64]) -> f64 {
    let first = x[0];
    if x[1..].iter().all(|x| *x == 0.0) {
        x.fill(0.0);
        return first;
    }
    // Subnormal numbers have too few digits for a unit vector.
    let size = largest(x);
    x.iter_mut().for_each(|x| *x /= size);
    let length = norm(x);
    let alpha = if first > 0.0 { -length } else { length };
    x[0] -= alpha;
    let scale = norm(x).recip();
    x.iter_mut().for_each(|x| *x *= scale);
    alpha * size
}

/// Multiplies the vectors in the rows of `block` by `H_1 … H_b`, or by its transpose `H_b … H_1`. The reflectors are the
/// rows of `v`, b×len.
pub(super) fn apply(v: &[f64], len: usize, transposed: bool, block: &mut [f64]) {
    let (b, count) = (v.len() / len, block.len() / len);
    if b == 0 || count == 0 {
        return;
    }
    let t = triangle(v, len);
    let mut along = vec![0.0; count * b];
    gemm_nt(block, v, &mut along, [count, len, b]);
    let mut row = [0.0; BLOCK];
    for along in along.chunks_exact_mut(b) {
        for j in 0..b {
            // T applied to the row, or Tᵀ.
            let used = if transposed { 0..j + 1 } else { j..b };
            let entry = |i: usize| if transposed { t[i * b + j] } else { t[j * b + i] };
            row[j] = -used.map(|i| entry(i) * along[i]).sum::<f64>();
        }
        along.copy_from_slice(&row[..b]);
    }
    gemm_nn_add(&along, v, block, [count, b, len]);
}

/// T, row-major b×b.
fn triangle(v: &[f64], len: usize) -> Vec<f64> {
    let b = v.len() / len;
    let mut t = vec![0.0; b * b];
    let mut inner = vec![0.0; b * b];
    gemm_nt(v, v, &mut inner, [b, len, b]);
    for j in 0..b {
        t[j * b + j] = 2.0;
        for i in 0..j {
            t[i * b + j] = -2.0 * (i..j).map(|k| t[i * b + k] * inner[k * b + j]).sum::<f64>();
        }
    }
    t
}

/// The first `count` columns of the product `H_1 H_2 …` of all reflectors, one a row: count×len. Reflector k must be zero
/// in front of its entry `k + shift`.
pub(super) fn product(v: &[f64], len: usize, count: usize, shift: usize) -> Vec<f64> {
    let mut q = vec![0.0; count * len];
    (0..count).for_each(|i| q[i * len + i] = 1.0);
    for (at, v) in v.chunks(BLOCK * len).enumerate().collect::<Vec<_>>().into_iter().rev() {
        // The unit vectors in front of a block are orthogonal to its reflectors.
        let first = (at * BLOCK + shift).min(count);
        apply(v, len, false, &mut q[first * len..]);
    }
    q
}

/// The reflectors of the QR factorization of the m×n matrix, m ≥ n, whose columns are the rows of `columns`; R is left in
/// the first n entries of those rows, transposed.
pub(super) fn triangularize(columns: &mut [f64], m: usize) -> Vec<f64> {
    let n = columns.len() / m;
    let mut v = vec![0.0; n * m];
    for start in (0..n).step_by(BLOCK) {
        let end = (start + BLOCK).min(n);
        let (panel, rest) = columns[start * m..].split_at_mut((end - start) * m);
        for k in start..end {
            let (head, tail) = panel.split_at_mut((k + 1 - start) * m);
            let (column, v) = (&mut head[(k - start) * m + k..], &mut v[k * m + k..(k + 1) * m]);
            v.copy_from_slice(column);
            column.fill(0.0);
            column[0] = reflector(v);
            for other in tail.chunks_exact_mut(m) {
                let other = &mut other[k..];
                let along = dot(v, other);
                add_scaled(other, -2.0 * along, v);
            }
        }
        apply(&v[start * m..end * m], m, true, rest);
    }
    v
}

/// Vectors, one a row, made orthonormal in their order.
pub(crate) struct Orthonormal {
    /// The orthonormal vectors, one a row; each spans with those before it what the given ones do.
    pub q: Vec<f64>,
    /// For each vector its part, with sign, along the new one: small where the vectors before span it.
    pub diagonal: Vec<f64>,
}

/// Makes vectors of length `len` orthonormal, no more of them than `len`. O(len k²) for k vectors.
pub(crate) fn orthonormal(mut vectors: Vec<f64>, len: usize) -> Orthonormal {
    let count = vectors.len() / len;
    let reflectors = triangularize(&mut vectors, len);
    let diagonal = (0..count).map(|k| vectors[k * len + k]).collect();
    Orthonormal { q: product(&reflectors, len, count, 0), diagonal }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::linalg::transpose;
    use crate::unstructured::gemm::gemm_nn;

    #[test]
    fn blocks_of_reflectors_factor_a_matrix() {
        let mut rng = fastrand::Rng::with_seed(1);
        for (m, n) in [(1, 1), (3, 2), (31, 31), (40, 33), (90, 70)] {
            let a: Vec<f64> = (0..m * n).map(|_| rng.f64() - 0.5).collect();
            let mut columns = transpose(&a, m, n);
            let v = triangularize(&mut columns, m);
            let q = product(&v, m, n, 0);
            let mut inner = vec![0.0; n * n];
            gemm_nt(&q, &q, &mut inner, [n, m, n]);
            for (at, x) in inner.iter().enumerate() {
                assert!((x - if at % (n + 1) == 0 { 1.0 } else { 0.0 }).abs() < 1e-14, "{m}×{n}");
            }
            let r: Vec<f64> = columns.chunks_exact(m).flat_map(|c| c[..n].to_vec()).collect();
            assert!((0..n).all(|j| (j + 1..n).all(|i| r[j * n + i] == 0.0)));
            let mut back = vec![0.0; n * m];
            gemm_nn(&r, &q, &mut back, [n, n, m]);
            assert!(back.iter().zip(transpose(&a, m, n)).all(|(x, a)| (x - a).abs() < 1e-13), "{m}×{n}");
        }
    }
}
