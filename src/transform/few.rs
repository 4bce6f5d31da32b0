//! Products of a matrix with few rows: as many as would be gone before a blocked GEMM has packed the matrix.
//!
//! The matrix is read once, four rows at a time, and every example meets them while they are in the first-level cache. Each
//! number of the result is summed in the same order whatever the batch, so that a batch gives bit for bit what its rows
//! give one at a time.

use super::isa::{Isa, Kernel, Kernels, lanes, lanes_mut};
use crate::Scalar;

/// Batches of at most this many rows go this way.
pub(crate) const fn most<T: Kernels>() -> usize {
    4 * T::LANES
}

/// Rows of the matrix that are taken together.
const ROWS: usize = 4;

/// Which way the matrix is multiplied.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Way {
    /// `Y = X Mᵀ`: inner products with the rows of M.
    Rows,
    /// `X = Y M`: sums of multiples of the rows of M.
    Columns,
}

/// The product of `batch` rows `x` with the matrix, `rows` × `cols`.
pub struct Few<'a, T> {
    pub(crate) way: Way,
    pub(crate) matrix: &'a [T],
    pub(crate) rows: usize,
    pub(crate) cols: usize,
    pub(crate) batch: usize,
    pub(crate) x: &'a [T],
    pub(crate) y: &'a mut [T],
}

impl<T: Scalar> Kernel<T> for Few<'_, T> {
    #[inline(always)]
    fn run<I: Isa<T>>(self, isa: I) {
        match self.way {
            Way::Rows => inner_products::<T, I>(isa, self),
            Way::Columns => multiples::<T, I>(isa, self),
        }
    }
}

#[inline(always)]
fn inner_products<T: Scalar, I: Isa<T>>(isa: I, few: Few<'_, T>) {
    let Few { matrix, rows: m, cols: n, batch, x, y, .. } = few;
    for (group, rows) in matrix.chunks(ROWS * n).take(m.div_ceil(ROWS)).enumerate() {
        let (first, count) = (group * ROWS, ROWS.min(m - group * ROWS));
        // Beyond the last row the last one is taken again, and its result dropped.
        let row = |r: usize| &rows[r.min(count - 1) * n..][..n];
        let rows = [row(0), row(1), row(2), row(3)];
        let mut b = 0;
        while b < batch {
            let pair = [&x[b * n..][..n], &x[(b + 1).min(batch - 1) * n..][..n]];
            let sums = tile::<T, I>(isa, rows, pair);
            for (e, sums) in sums.iter().enumerate().take(batch - b) {
                let y = &mut y[(b + e) * m + first..][..count];
                match y.as_chunks_mut::<ROWS>() {
                    ([whole], _) => *whole = *sums,
                    _ => y.copy_from_slice(&sums[..count]),
                }
            }
            b += 2;
        }
    }
}

/// The inner products of four rows with two examples.
#[inline(always)]
fn tile<T: Scalar, I: Isa<T>>(isa: I, rows: [&[T]; ROWS], x: [&[T]; 2]) -> [[T; ROWS]; 2] {
    let full = x[0].len() / T::LANES * T::LANES;
    let [m0, m1, m2, m3] = rows.map(|row| lanes::<T>(&row[..full]));
    let [x0, x1] = x.map(|x| lanes::<T>(&x[..full]));
    let mut sums = [[isa.splat(T::zero()); ROWS]; 2];
    for k in 0..x0.len() {
        let x = [isa.load(&x0[k]), isa.load(&x1[k])];
        let m = [isa.load(&m0[k]), isa.load(&m1[k]), isa.load(&m2[k]), isa.load(&m3[k])];
        for r in 0..ROWS {
            sums[0][r] = isa.mul_add(m[r], x[0], sums[0][r]);
            sums[1][r] = isa.mul_add(m[r], x[1], sums[1][r]);
        }
    }
    let mut totals = totals::<T, I>(isa, sums);
    for e in 0..2 {
        for r in 0..ROWS {
            for k in full..x[e].len() {
                totals[e][r] += rows[r][k] * x[e][k];
            }
        }
    }
    totals
}

/// The sums of the numbers in each register, halves added to halves: transposed, they are sums of registers.
#[inline(always)]
fn totals<T: Scalar, I: Isa<T>>(isa: I, sums: [[I::V; ROWS]; 2]) -> [[T; ROWS]; 2] {
    let mut totals = [[T::zero(); ROWS]; 2];
    let registers = sums.as_flattened().chunks_exact(T::LANES);
    for (registers, totals) in registers.zip(lanes_mut::<T>(totals.as_flattened_mut())) {
        let mut tile = T::tile(isa.splat(T::zero()));
        tile.as_mut().copy_from_slice(registers);
        isa.transpose(&mut tile);
        let values = tile.as_mut();
        let mut len = T::LANES;
        while len > 1 {
            len /= 2;
            for i in 0..len {
                values[i] = isa.add(values[i], values[i + len]);
            }
        }
        isa.store(totals, values[0]);
    }
    totals
}

#[inline(always)]
fn multiples<T: Scalar, I: Isa<T>>(isa: I, few: Few<'_, T>) {
    let Few { matrix, rows: m, cols: n, x: y, y: x, .. } = few;
    x.fill(T::zero());
    let full = n / T::LANES * T::LANES;
    for first in (0..m).step_by(ROWS) {
        let count = ROWS.min(m - first);
        let row = |r: usize| {
            let at = first + r.min(count - 1);
            &matrix[at * n..(at + 1) * n]
        };
        let rows = [row(0), row(1), row(2), row(3)];
        for (x, y) in x.chunks_exact_mut(n).zip(y.chunks_exact(m)) {
            let mut factors = [T::zero(); ROWS];
            factors[..count].copy_from_slice(&y[first..first + count]);
            add_multiples::<T, I>(isa, rows, factors, full, x);
        }
    }
}

/// Adds multiples of four rows.
#[inline(always)]
fn add_multiples<T: Scalar, I: Isa<T>>(isa: I, rows: [&[T]; ROWS], factors: [T; ROWS], full: usize, x: &mut [T]) {
    let [m0, m1, m2, m3] = rows.map(|row| lanes::<T>(&row[..full]));
    let f = factors.map(|factor| isa.splat(factor));
    let (head, tail) = x.split_at_mut(full);
    for (k, x) in lanes_mut::<T>(head).iter_mut().enumerate() {
        // Two sums, so that the chain of additions is half as long.
        let a = isa.mul_add(f[1], isa.load(&m1[k]), isa.mul_add(f[0], isa.load(&m0[k]), isa.load(x)));
        let b = isa.mul_add(f[3], isa.load(&m3[k]), isa.mul(f[2], isa.load(&m2[k])));
        isa.store(x, isa.add(a, b));
    }
    for (k, x) in tail.iter_mut().enumerate() {
        *x += (0..ROWS).map(|r| factors[r] * rows[r][full + k]).sum::<T>();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn numbers<T: Scalar>(len: usize, seed: u64) -> Vec<T> {
        let mut rng = fastrand::Rng::with_seed(seed);
        (0..len).map(|_| T::of(2.0 * rng.f64() - 1.0)).collect()
    }

    fn check<T: Scalar>(m: usize, n: usize, batch: usize) {
        let (matrix, x, y) = (numbers::<T>(m * n, 1), numbers::<T>(batch * n, 2), numbers::<T>(batch * m, 3));
        let (mut products, mut transposed) = (vec![T::nan(); batch * m], vec![T::nan(); batch * n]);
        T::few(Few { way: Way::Rows, matrix: &matrix, rows: m, cols: n, batch, x: &x, y: &mut products });
        T::few(Few { way: Way::Columns, matrix: &matrix, rows: m, cols: n, batch, x: &y, y: &mut transposed });
        // Sums of k products of numbers below 1: k ε each, and √k of them at the most in norm.
        let bound = |terms: usize| T::epsilon().wide() * (terms as f64 + 4.0);
        for b in 0..batch {
            for i in 0..m {
                let expected: f64 = (0..n).map(|k| matrix[i * n + k].wide() * x[b * n + k].wide()).sum();
                assert!((products[b * m + i].wide() - expected).abs() <= bound(n), "{m}×{n}, {batch}");
            }
            for k in 0..n {
                let expected: f64 = (0..m).map(|i| matrix[i * n + k].wide() * y[b * m + i].wide()).sum();
                assert!((transposed[b * n + k].wide() - expected).abs() <= bound(m), "{m}×{n}, {batch}");
            }
            let mut alone = vec![T::nan(); m];
            let x = &x[b * n..(b + 1) * n];
            T::few(Few { way: Way::Rows, matrix: &matrix, rows: m, cols: n, batch: 1, x, y: &mut alone });
            assert_eq!(alone, products[b * m..(b + 1) * m], "a row alone");
        }
    }

    #[test]
    fn products_are_those_of_the_definition_for_every_remainder_of_rows_columns_and_batch() {
        for m in 1..=9 {
            for n in [1, 2, 7, 8, 9, 16, 19, 40] {
                for batch in 0..=5 {
                    check::<f32>(m, n, batch);
                    check::<f64>(m, n, batch);
                }
            }
        }
    }
}
