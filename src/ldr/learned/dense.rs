//! Dense copies of matrices under learned operators, and gradients back from their entries.
//!
//! LDR-SD: by their [cyclic diagonals](crate::ldr::diagonals), O(r m n), unless products of weights are out of range.
//! Everything else: by products with unit vectors where these are fast enough, or by a GEMM of the two Krylov matrices,
//! O(N³) for each generator.

use super::{HALF, LearnedOperators, Sides, add_narrow, sides};
use crate::Scalar;
use crate::ldr::diagonals::{Diagonals, in_range};
use crate::ldr::krylov::{columns, continued_columns, krylov_rows, krylov_rows_backward};
use crate::matrix::{Bound, Parameters, Prepared, Structure, gemm_cost};
use crate::shape::Shape;
use crate::unstructured::gemm::{gemm_nn, gemm_nt, gemm_tn_add};

/// Unit vectors in a batch.
const UNITS: usize = 64;

/// Nanoseconds for each entry of two Krylov matrices, to compute and to cut them.
const KRYLOV_ENTRY: f64 = 4.0;

/// Nanoseconds for each entry along diagonals, and for each of its generators: the larger of what it takes to write it,
/// and of a third of that with a gradient led back from it, for a copy in training stands for three products. Scattered
/// entries of tall matrices take twice as long.
const DIAGONAL: [f64; 2] = [1.6, 0.11];
const TALL: f64 = 2.0;

impl<T: Scalar> LearnedOperators<T> {
    /// Writes the matrix.
    pub(super) fn write(&self, parameters: &[T], dense: &mut [T]) {
        if let Some(diagonals) = self.diagonals(parameters) {
            return diagonals.write(dense);
        }
        if self.rows_cost(self.cost(UNITS)) >= self.gemm_cost() || !self.write_rows(parameters, dense) {
            self.write_krylov(parameters, dense);
        }
    }

    /// Estimated nanoseconds of [`LearnedOperators::write`]; without end where it would lose the digits that products keep.
    pub(super) fn write_cost(&self, bound: Bound<'_, T>) -> f64 {
        if sides(bound.prepared).is_some_and(|Sides { a, b, .. }| a.is_refined() || b.is_refined()) {
            return f64::INFINITY;
        }
        let on_diagonals = !self.tridiagonal && sides(bound.prepared).is_none_or(|sides| sides.in_range);
        if !on_diagonals {
            return self.gemm_cost().min(self.rows_cost(self.cost_with(bound, UNITS)));
        }
        let Shape { rows, cols } = self.shape;
        let each = DIAGONAL[0] + self.rank as f64 * DIAGONAL[1];
        rows as f64 * cols as f64 * each * if rows > cols { TALL } else { 1.0 }
    }

    /// Whether there is a way [along diagonals](Diagonals).
    pub(super) fn is_in_range(&self, parameters: &[T]) -> bool {
        let (g, h) = self.shape.generators(self.rank, parameters);
        let (a, b) = self.operators(parameters);
        !self.tridiagonal && in_range([g, h], [a, b])
    }

    fn diagonals(&self, parameters: &[T]) -> Option<Diagonals> {
        let (g, h) = self.shape.generators(self.rank, parameters);
        let (a, b) = self.operators(parameters);
        self.is_in_range(parameters).then(|| Diagonals::new(self.shape, self.rank, [g, h], [a, b]))
    }

    /// Estimated nanoseconds to write the matrix by a GEMM.
    fn gemm_cost(&self) -> f64 {
        let (r, n) = (self.rank as f64, self.order() as f64);
        r * (gemm_cost(self.shape.rows as f64 * self.shape.cols as f64 * n) + n * n * KRYLOV_ENTRY)
    }

    /// The same, row by row, by products that cost so much each.
    fn rows_cost(&self, each: f64) -> f64 {
        self.shape.rows as f64 * each
    }

    /// Writes the matrix row by row, by products, unless a GEMM is faster for these parameters.
    fn write_rows(&self, parameters: &[T], dense: &mut [T]) -> bool {
        let Shape { rows: m, cols: n } = self.shape;
        let (mut prepared, mut scratch) = (Prepared::default(), vec![T::zero(); self.scratch_len()]);
        self.prepare(Parameters(parameters), &mut prepared, &mut scratch);
        let bound = Bound { parameters, prepared: &prepared };
        if self.rows_cost(self.cost_with(bound, UNITS)) >= self.gemm_cost() {
            return false;
        }
        let mut units = vec![T::zero(); UNITS.min(m) * m];
        for (at, rows) in dense.chunks_mut(UNITS * n).enumerate() {
            let units = &mut units[..rows.len() / n * m];
            units.fill(T::zero());
            units.chunks_exact_mut(m).enumerate().for_each(|(i, unit)| unit[at * UNITS + i] = T::one());
            self.apply_transposed(bound, units, rows, &mut scratch);
        }
        true
    }

    /// Writes the matrix by a GEMM.
    fn write_krylov(&self, parameters: &[T], dense: &mut [T]) {
        let (Shape { rows: m, cols: n }, order) = (self.shape, self.order());
        let (g, h) = self.shape.generators(self.rank, parameters);
        let ([a, b], _) = self.balanced(parameters);
        let (g, h) = (self.continued(g, m), self.continued(h, n));
        let mut sum = vec![0.0; m * n];
        for (g, h) in g.chunks_exact(order).zip(h.chunks_exact(order)) {
            let (left, right) = (krylov_rows(&a, g), krylov_rows(&b, h));
            let (left, right) = (columns(&left, m), columns(&right, n));
            gemm_tn_add(&left, &right, &mut sum, [m, order, n]);
        }
        dense.iter_mut().zip(sum).for_each(|(d, s)| *d = T::of(HALF * s));
    }

    /// Adds to `gradient` that of a loss whose gradient in the entries is `dense`.
    pub(super) fn add_pulled_back(&self, parameters: &[T], dense: &[T], gradient: &mut [T]) {
        let Some(diagonals) = self.diagonals(parameters) else {
            return self.pull_back_krylov(parameters, dense, gradient);
        };
        let mut products = vec![T::zero(); dense.len()];
        let (generators, operators) = gradient.split_at_mut(self.generators_len());
        let (da, db) = operators.split_at_mut(self.operator_len());
        diagonals.pull_back(dense, &mut products, [da, db]);
        self.shape.pull_back_generators(self.rank, parameters, &products, generators);
    }

    /// The same by GEMMs.
    fn pull_back_krylov(&self, parameters: &[T], dense: &[T], gradient: &mut [T]) {
        let (Shape { rows: m, cols: n }, order) = (self.shape, self.order());
        let (g, h) = self.shape.generators(self.rank, parameters);
        let ([a, b], alpha) = self.balanced(parameters);
        let (g, h) = (self.continued(g, m), self.continued(h, n));
        let (generators, operators) = gradient.split_at_mut(self.generators_len());
        let (dg, dh) = self.shape.generators_mut(self.rank, generators);
        let (to_a, to_b) = operators.split_at_mut(self.operator_len());
        let dense: Vec<f64> = dense.iter().map(|d| HALF * d.wide()).collect();
        let (mut da, mut db) = (vec![0.0; 3 * order], vec![0.0; 3 * order]);
        for (j, (g, h)) in g.chunks_exact(order).zip(h.chunks_exact(order)).enumerate() {
            let (left, right) = (krylov_rows(&a, g), krylov_rows(&b, h));
            let (mut d_left, mut d_right) = (vec![0.0; order * m], vec![0.0; order * n]);
            gemm_nt(&columns(&right, n), &dense, &mut d_left, [order, n, m]);
            gemm_nn(&columns(&left, m), &dense, &mut d_right, [order, m, n]);
            let mut generator = vec![0.0; order];
            krylov_rows_backward(&a, &left, &mut continued_columns(&d_left, m, order), &mut generator, &mut da);
            add_narrow(&mut dg[j * m..][..m], &generator, 1.0);
            generator.fill(0.0);
            krylov_rows_backward(&b, &right, &mut continued_columns(&d_right, n, order), &mut generator, &mut db);
            add_narrow(&mut dh[j * n..][..n], &generator, 1.0);
        }
        add_narrow(to_a, &da, alpha);
        add_narrow(to_b, &db, alpha.recip());
    }
}
