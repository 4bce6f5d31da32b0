//! The Stein displacement `D = M − Z_f M Z_eᵀ` of an m×n matrix inside a torus of order N, and the way back.
//!
//! Write M into the upper left corner of an N×N matrix, N ≥ max(m, n), whose other entries are left open, and ask for a
//! displacement that vanishes outside the corner. Then M continues along each wrapped diagonal (i, j), (i+1, j+1), … of
//! the torus, is multiplied by f where i wraps and by e where j does, and is determined by D inside the corner:
//!
//! * `M_ij = D_ij + M_{i−1,j−1}` inside, and
//! * one turn around the torus multiplies by fe, so that the value x with which a diagonal starts solves `(1 − fe) x = …`, a
//!   weighted sum of the D on it. For (f, e) = (1, −1) that is half the sum, with signs.
//!
//! So D ↔ M is a bijection of m×n matrices for *every* N ≥ max(m, n) as long as fe ≠ 1: `D = G Hᵀ` of rank min(m, n) gives
//! every matrix; and a Toeplitz M has a D that vanishes but for its first row and column, rank 2. That is what makes the
//! rectangular form native and lets N be any convenient length. All functions here are O(mn).

use crate::Scalar;
use crate::shape::Shape;

/// The torus of order N around m×n matrices.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Torus {
    pub shape: Shape,
    pub order: usize,
    /// What an entry is multiplied by where its row index wraps.
    pub f: f64,
    /// What an entry is multiplied by where its column index wraps.
    pub e: f64,
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
    /// The torus of Toeplitz-like matrices, (f, e) = (1, −1).
    pub fn toeplitz(shape: Shape, order: usize) -> Self {
        Self { shape, order, f: 1.0, e: -1.0 }
    }

    /// The values before the first entries of the two pieces of a diagonal, for sums a and b of what is on them; or, if a
    /// turn around the torus makes them grow, at their last entries: integration runs in the direction in which nothing
    /// cancels. With f and e exchanged, the same for the adjoint, from the other ends.
    fn ends<T: Scalar>(self, f: f64, e: f64, a: T, b: T) -> [T; 2] {
        let around = if self.grows() { T::one() } else { T::of(f * e) };
        let gap = T::of(1.0 - f * e);
        [(around * a + T::of(f) * b) / gap, (around * b + T::of(e) * a) / gap]
    }

    /// Whether values grow in a turn around the torus.
    fn grows(self) -> bool {
        (self.f * self.e).abs() > 1.0
    }

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

    /// Row i in its two pieces: its last entries continue diagonals that start in row 0, its first ones diagonals that start
    /// in column 0. Each piece comes with the place of its first diagonal among the N.
    fn pieces<T>(self, i: usize, row: &mut [T]) -> [(usize, &mut [T]); 2] {
        let (below, right) = row.split_at_mut(i.min(self.shape.cols));
        [(0, right), (self.order - i, below)]
    }

    /// The values before the first entries of all diagonals, those that start in row 0 first; or at their last entries if
    /// values grow.
    fn all_ends<T: Scalar>(self, f: f64, e: f64, matrix: &mut [T]) -> [Vec<T>; 2] {
        let mut sums = [(); 2].map(|()| vec![T::zero(); self.order]);
        for (i, row) in matrix.chunks_exact_mut(self.shape.cols).enumerate() {
            for (sums, (first, piece)) in sums.iter_mut().zip(self.pieces(i, row)) {
                sums[first..].iter_mut().zip(piece).for_each(|(sum, &mut x)| *sum += x);
            }
        }
        let [right, below] = &mut sums;
        for (right, below) in right.iter_mut().zip(below) {
            [*right, *below] = self.ends(f, e, *right, *below);
        }
        sums
    }

    // A diagonal is a step of n + 1 numbers through memory, one cache line an entry: rows are walked instead, and all
    // diagonals advance side by side.

    /// Turns a displacement into its matrix, in place.
    pub fn integrate<T: Scalar>(self, matrix: &mut [T]) {
        let mut values = self.all_ends(self.f, self.e, matrix);
        let rows = matrix.chunks_exact_mut(self.shape.cols).enumerate();
        match self.grows() {
            false => rows.for_each(|(i, row)| self.add_up(i, row, &mut values)),
            true => rows.rev().for_each(|(i, row)| self.take_off(i, row, &mut values)),
        }
    }

    /// The adjoint of [`Torus::integrate`], in place: turns the gradient in a matrix into that in its displacement.
    pub fn integrate_adjoint<T: Scalar>(self, gradient: &mut [T]) {
        let mut values = self.all_ends(self.e, self.f, gradient);
        let rows = gradient.chunks_exact_mut(self.shape.cols).enumerate();
        match self.grows() {
            false => rows.rev().for_each(|(i, row)| self.add_up(i, row, &mut values)),
            true => rows.for_each(|(i, row)| self.take_off(i, row, &mut values)),
        }
    }

    /// Replaces the entries of row i by the sums of the values of their diagonals and all entries up to each.
    fn add_up<T: Scalar>(self, i: usize, row: &mut [T], values: &mut [Vec<T>; 2]) {
        for (values, (first, piece)) in values.iter_mut().zip(self.pieces(i, row)) {
            for (value, x) in values[first..].iter_mut().zip(piece) {
                *value += *x;
                *x = *value;
            }
        }
    }

    /// Replaces the entries of row i by the values of their diagonals less all entries before each.
    fn take_off<T: Scalar>(self, i: usize, row: &mut [T], values: &mut [Vec<T>; 2]) {
        for (values, (first, piece)) in values.iter_mut().zip(self.pieces(i, row)) {
            for (value, x) in values[first..].iter_mut().zip(piece) {
                let entry = *x;
                *x = *value;
                *value -= entry;
            }
        }
    }

    /// Turns a matrix into its displacement, in place: the inverse of [`Torus::integrate`].
    pub fn differentiate<T: Scalar>(self, matrix: &mut [T]) {
        for (right, below) in self.diagonals() {
            let last = |d: &Diagonal| d.places().next_back().map(|at| matrix[at]);
            let (a, b) = (last(&right), last(&below));
            // Each piece continues the other one, or itself once around.
            let times = |factor: f64, value: Option<T>| value.map(|v| T::of(factor) * v);
            let before_right = times(self.f, b).or(times(self.f * self.e, a)).unwrap_or_else(T::zero);
            let before_below = times(self.e, a).or(times(self.f * self.e, b)).unwrap_or_else(T::zero);
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

    /// The sum over all entries of the squares of the weights with which they depend on entries of the displacement: a
    /// scale s ≥ 1 and the sum over s², for corners whose squares overflow.
    pub fn dependencies(self) -> (f64, f64) {
        let gap = 1.0 - self.f * self.e;
        // Single corners lead from one piece of a diagonal to the other.
        let has_both = self.diagonals().any(|(right, below)| right.len > 0 && below.len > 0);
        let [f, e] = if has_both { [self.f, self.e] } else { [0.0; 2] };
        // By the largest weight, and exact for those that are not large.
        let largest = [f, e, self.f * self.e].iter().map(|w| (w / gap).abs()).fold(1.0, f64::max);
        let scale = if largest < 1e100 { 1.0 } else { largest };
        let weight = |w: f64| (w / gap / scale).powi(2);
        let [one, turn, around] = [weight(1.0), weight(self.f * self.e), weight(f) + weight(e)];
        let pairs = |len: f64, sign: f64| 0.5 * len * (len + sign);
        let squares = |(right, below): (Diagonal, Diagonal)| {
            let (a, b) = (right.len as f64, below.len as f64);
            let own = one * (pairs(a, 1.0) + pairs(b, 1.0)) + turn * (pairs(a, -1.0) + pairs(b, -1.0));
            own + a * b * around
        };
        (scale, self.diagonals().map(squares).sum())
    }

    /// The variance of the entries of `G Hᵀ`, a sum of `rank` products, that gives those of the matrix this one: that of the
    /// entries of G times that of the entries of H.
    pub fn generator_variance(self, variance: f64, rank: usize) -> f64 {
        let Shape { rows, cols } = self.shape;
        let (scale, squares) = self.dependencies();
        let mean = squares / (rows as f64 * cols as f64);
        let product = variance / (rank.max(1) as f64 * mean);
        product.sqrt() / scale
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn toruses() -> impl Iterator<Item = Torus> {
        let shapes = (1..=6).flat_map(|m| (1..=6).map(move |n| Shape { rows: m, cols: n }));
        let toruses = shapes.flat_map(|shape| (shape.order()..=shape.order() + 3).map(move |order| (shape, order)));
        let wraps = [(1.0, -1.0), (0.0, 0.0), (0.5, 1.0), (-2.0, 0.0), (3.0, -2.5)];
        toruses.flat_map(move |(shape, order)| wraps.map(|(f, e)| Torus { shape, order, f, e }))
    }

    fn random(len: usize, seed: u64) -> Vec<f64> {
        let mut rng = fastrand::Rng::with_seed(seed);
        (0..len).map(|_| 2.0 * rng.f64() - 1.0).collect()
    }

    fn close(a: &[f64], b: &[f64]) -> bool {
        a.iter().zip(b).all(|(a, b)| (a - b).abs() < 1e-12)
    }

    #[test]
    fn integration_sums_products_of_an_f_circulant_and_a_transposed_e_circulant() {
        for torus in toruses() {
            let Shape { rows: m, cols: n } = torus.shape;
            let (g, h) = (random(m, 1), random(n, 2));
            let mut got: Vec<f64> = g.iter().flat_map(|g| h.iter().map(move |h| g * h)).collect();
            torus.integrate(&mut got);
            let order = torus.order;
            let circulant = |f: f64, c: &[f64], i: usize, k: usize| {
                let value = c.get((order + i - k) % order).copied().unwrap_or(0.0);
                if i < k { f * value } else { value }
            };
            let scale = 1.0 / (1.0 - torus.f * torus.e);
            for i in 0..m {
                for j in 0..n {
                    let term = |k| circulant(torus.f, &g, i, k) * circulant(torus.e, &h, j, k);
                    let expected = scale * (0..order).map(term).sum::<f64>();
                    assert!((got[i * n + j] - expected).abs() < 1e-12, "{torus:?} ({i}, {j})");
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
            assert!((inner(&m, &dm) - inner(&d, &dd)).abs() < 1e-11, "{torus:?}");
        }
    }

    #[test]
    fn dependencies_are_the_squares_of_the_integrals_of_unit_displacements() {
        for torus in toruses() {
            let size = torus.shape.rows * torus.shape.cols;
            let unit = |at| {
                let mut matrix = vec![0.0_f64; size];
                matrix[at] = 1.0;
                torus.integrate(&mut matrix);
                matrix.iter().map(|m| m * m).sum::<f64>()
            };
            let squares: f64 = (0..size).map(unit).sum();
            let (scale, sum) = torus.dependencies();
            assert!(scale == 1.0 && (squares - sum).abs() < 1e-10 * squares, "{torus:?}");
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
