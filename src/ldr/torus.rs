//! The Stein displacement `D = M − Z_1 M Z_−1ᵀ` of an m×n matrix inside a torus of order N, and the way back.
//!
//! Write M into the upper left corner of an N×N matrix, N ≥ max(m, n), whose other entries are left open, and ask for a
//! displacement that vanishes outside the corner. Then M continues along each wrapped diagonal (i, j), (i+1, j+1), … of
//! the torus, changes its sign where j wraps, and is determined by D inside the corner:
//!
//! * `M_ij = D_ij + M_{i−1,j−1}` inside, and
//! * one turn around the torus changes the sign, so that the value with which a diagonal starts is half the sum, with
//!   signs, of the D on it.
//!
//! So D ↔ M is a bijection of m×n matrices for *every* N ≥ max(m, n): `D = G Hᵀ` of rank min(m, n) gives every matrix;
//! and a Toeplitz M has a D that vanishes but for its first row and column, rank 2. That is what makes the rectangular
//! form native and lets N be any convenient length. All functions here are O(mn).

use crate::Scalar;
use crate::shape::Shape;

/// The torus of order N around m×n matrices.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Torus {
    pub shape: Shape,
    pub order: usize,
}

/// A diagonal of the matrix: the places of its entries in the row-major slice.
struct Diagonal {
    start: usize,
    len: usize,
    step: usize,
}

impl Diagonal {
    fn places(&self) -> impl DoubleEndedIterator<Item = usize> + use<> {
        let (start, step) = (self.start, self.step);
        (0..self.len).map(move |k| start + k * step)
    }
}

impl Torus {
    /// The two pieces of each wrapped diagonal that lie in the corner: the one that starts in row 0, at column e, and
    /// the one that starts in column 0, at row N − e. Either may be empty.
    fn diagonals(self) -> impl Iterator<Item = (Diagonal, Diagonal)> {
        let Shape { rows, cols } = self.shape;
        (0..self.order).map(move |e| {
            let right = Diagonal { start: e, len: rows.min(cols.saturating_sub(e)), step: cols + 1 };
            let down = self.order - e;
            let below = Diagonal { start: down * cols, len: cols.min(rows.saturating_sub(down)), step: cols + 1 };
            (right, below)
        })
    }

    /// Row i in its two pieces: its first entries continue diagonals that start in column 0, the others diagonals that start
    /// in row 0. Each piece comes with the place of its first diagonal among the N.
    fn pieces<T>(self, i: usize, row: &mut [T]) -> [(usize, &mut [T]); 2] {
        let (below, right) = row.split_at_mut(i.min(self.shape.cols));
        [(self.order - i, below), (0, right)]
    }

    /// The sums of the pieces of all diagonals, those that start in column 0 first.
    fn sums<T: Scalar>(self, matrix: &mut [T]) -> [Vec<T>; 2] {
        let mut sums = [(); 2].map(|()| vec![T::zero(); self.order]);
        for (i, row) in matrix.chunks_exact_mut(self.shape.cols).enumerate() {
            for (sums, (first, piece)) in sums.iter_mut().zip(self.pieces(i, row)) {
                sums[first..].iter_mut().zip(piece).for_each(|(sum, &mut x)| *sum += x);
            }
        }
        sums
    }

    /// Replaces each entry of row i by the running sum along its diagonal.
    fn run<T: Scalar>(self, i: usize, row: &mut [T], running: &mut [Vec<T>; 2]) {
        for (running, (first, piece)) in running.iter_mut().zip(self.pieces(i, row)) {
            for (value, x) in running[first..].iter_mut().zip(piece) {
                *value += *x;
                *x = *value;
            }
        }
    }

    // A diagonal is a step of n + 1 numbers through memory, one cache line an entry: rows are walked instead, and all
    // diagonals advance side by side.

    /// Turns a displacement into its matrix, in place.
    pub fn integrate<T: Scalar>(self, matrix: &mut [T]) {
        let half = T::of(0.5);
        let mut running = self.sums(matrix);
        let [below, right] = &mut running;
        for (below, right) in below.iter_mut().zip(right) {
            (*below, *right) = (-half * (*right + *below), half * (*below - *right));
        }
        for (i, row) in matrix.chunks_exact_mut(self.shape.cols).enumerate() {
            self.run(i, row, &mut running);
        }
    }

    /// The adjoint of [`Torus::integrate`], in place: turns the gradient in a matrix into that in its displacement.
    pub fn integrate_adjoint<T: Scalar>(self, gradient: &mut [T]) {
        let half = T::of(0.5);
        let mut running = self.sums(gradient);
        let [below, right] = &mut running;
        for (below, right) in below.iter_mut().zip(right) {
            (*below, *right) = (half * (*right - *below), -half * (*right + *below));
        }
        for (i, row) in gradient.chunks_exact_mut(self.shape.cols).enumerate().rev() {
            self.run(i, row, &mut running);
        }
    }

    /// Turns a matrix into its displacement, in place: the inverse of [`Torus::integrate`].
    pub fn differentiate<T: Scalar>(self, matrix: &mut [T]) {
        for (right, below) in self.diagonals() {
            let last = |d: &Diagonal| d.places().next_back().map(|at| matrix[at]);
            let (a, b) = (last(&right), last(&below));
            // Each piece continues the other one, or itself once around; the sign changes where the column wraps.
            let before_right = b.or(a.map(|a| -a)).unwrap_or_else(T::zero);
            let before_below = a.map(|a| -a).or(b.map(|b| -b)).unwrap_or_else(T::zero);
            for (diagonal, before) in [(right, before_right), (below, before_below)] {
                let mut previous = before;
                for at in diagonal.places() {
                    let value = matrix[at];
                    matrix[at] = value - previous;
                    previous = value;
                }
            }
        }
    }

    /// The sum over all entries of the number of displacement entries that each one depends on.
    pub fn dependencies(self) -> f64 {
        self.diagonals().map(|(right, below)| ((right.len + below.len) as f64).powi(2)).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn toruses() -> impl Iterator<Item = Torus> {
        let shapes = (1..=6).flat_map(|m| (1..=6).map(move |n| Shape { rows: m, cols: n }));
        shapes.flat_map(|shape| (shape.order()..=shape.order() + 5).map(move |order| Torus { shape, order }))
    }

    fn random(len: usize, seed: u64) -> Vec<f64> {
        let mut rng = fastrand::Rng::with_seed(seed);
        (0..len).map(|_| 2.0 * rng.f64() - 1.0).collect()
    }

    fn close(a: &[f64], b: &[f64]) -> bool {
        a.iter().zip(b).all(|(a, b)| (a - b).abs() < 1e-13)
    }

    #[test]
    fn integration_sums_products_of_a_circulant_and_a_transposed_skew_circulant() {
        for torus in toruses() {
            let Shape { rows: m, cols: n } = torus.shape;
            let (g, h) = (random(m, 1), random(n, 2));
            let mut got: Vec<f64> = g.iter().flat_map(|g| h.iter().map(move |h| g * h)).collect();
            torus.integrate(&mut got);
            let order = torus.order;
            let cyclic = |i: usize, k: usize| g.get((order + i - k) % order).copied().unwrap_or(0.0);
            let skew = |j: usize, k: usize| {
                let value = h.get((order + j - k) % order).copied().unwrap_or(0.0);
                if j < k { -value } else { value }
            };
            for i in 0..m {
                for j in 0..n {
                    let expected: f64 = 0.5 * (0..order).map(|k| cyclic(i, k) * skew(j, k)).sum::<f64>();
                    assert!((got[i * n + j] - expected).abs() < 1e-13, "{torus:?} ({i}, {j})");
                }
            }
        }
    }

    #[test]
    fn differentiation_undoes_integration() {
        for torus in toruses() {
            let matrix = random(torus.shape.rows * torus.shape.cols, 3);
            let mut there_and_back = matrix.clone();
            torus.differentiate(&mut there_and_back);
            torus.integrate(&mut there_and_back);
            assert!(close(&matrix, &there_and_back), "{torus:?}");
        }
    }

    #[test]
    fn the_adjoint_is_the_transposed_map() {
        for torus in toruses() {
            let size = torus.shape.rows * torus.shape.cols;
            let (d, dm) = (random(size, 4), random(size, 5));
            let (mut m, mut dd) = (d.clone(), dm.clone());
            torus.integrate(&mut m);
            torus.integrate_adjoint(&mut dd);
            let inner = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>();
            assert!((inner(&m, &dm) - inner(&d, &dd)).abs() < 1e-12, "{torus:?}");
        }
    }

    #[test]
    fn a_toeplitz_matrix_leaves_only_the_first_row_and_column() {
        for torus in toruses() {
            let Shape { rows: m, cols: n } = torus.shape;
            let t = random(m + n - 1, 6);
            let mut d: Vec<f64> = (0..m).flat_map(|i| (0..n).map(move |j| i + n - 1 - j)).map(|k| t[k]).collect();
            torus.differentiate(&mut d);
            assert!((1..m).all(|i| (1..n).all(|j| d[i * n + j] == 0.0)), "{torus:?}");
        }
    }
}
