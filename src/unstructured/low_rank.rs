//! Low-rank matrices `M = G Hᵀ`: what displacement rank is measured against.
//!
//! *Parameters:* r(m + n). *Cost:* two thin products of matrices, O(r(m + n)) an example, and four for the gradients.
//! *Accuracy:* that of the sums. *Choose it* where the matrix has few directions that matter: for compressing trained
//! matrices it is often the best there is, while layers trained from scratch do better with structure at the same size.

use std::sync::Arc;

use super::gemm::{gemm_nn, gemm_nt, gemm_tn, gemm_tn_add};
use crate::error::has_length;
use crate::matrix::{
    Bound, Family, GRAIN, Identity, Init, Layout, Matrix, Parameters, Prepared, Reconstruction, Structure, dense_cost,
    normal, take,
};
use crate::shape::Shape;
use crate::{Result, Scalar};

/// Examples whose r-vectors are held in scratch at a time: as many as threads share a batch by, so that the GEMMs are the
/// same whatever the number of threads.
const BLOCK: usize = GRAIN;

/// The structure of an m×n matrix of rank r, `M = G Hᵀ`.
///
/// r(m + n) parameters: tensors `"G"` and `"H"`, stored transposed as r×m and r×n, one column of G or H a row. A product
/// costs O(r(m + n)) an example, by two GEMMs.
#[derive(Debug, Clone)]
pub struct LowRank {
    shape: Shape,
    rank: usize,
    layout: Layout,
}

impl LowRank {
    /// An m×n matrix of rank r without parameters.
    ///
    /// # Errors
    ///
    /// [`Error::EmptyShape`](crate::Error::EmptyShape), [`Error::RankTooLarge`](crate::Error::RankTooLarge) or
    /// [`Error::TooLarge`](crate::Error::TooLarge).
    pub fn new(rows: usize, cols: usize, rank: usize) -> Result<Self> {
        let shape = Shape::new(rows, cols)?;
        shape.check_rank(rank)?;
        Ok(Self { shape, rank, layout: shape.generator_layout(rank) })
    }

    /// The matrix `Σ_j g_j h_jᵀ` of the columns `g_j` in the rows of `g` (r×m) and `h_j` in the rows of `h` (r×n).
    ///
    /// # Errors
    ///
    /// As for [`LowRank::new`], and [`Error::Length`](crate::Error::Length) or
    /// [`Error::NotFinite`](crate::Error::NotFinite) for bad generators.
    ///
    /// ```
    /// let m = displace::unstructured::LowRank::from_generators(2, 3, 1, &[1.0, 2.0], &[1.0, 0.0, 3.0])?;
    /// assert_eq!(m.to_dense()?, [1.0, 0.0, 3.0, 2.0, 0.0, 6.0]);
    /// # Ok::<(), displace::Error>(())
    /// ```
    pub fn from_generators<T: Scalar>(
        rows: usize,
        cols: usize,
        rank: usize,
        g: &[T],
        h: &[T],
    ) -> Result<Matrix<T, Self>> {
        let structure = Self::new(rows, cols, rank)?;
        Matrix::new(Arc::new(structure), Shape { rows, cols }.join_generators(rank, g, h)?)
    }
}

impl<T: Scalar> Structure<T> for LowRank {
    fn family(&self) -> Family {
        Family::LowRank
    }

    fn rows(&self) -> usize {
        self.shape.rows
    }

    fn cols(&self) -> usize {
        self.shape.cols
    }

    fn rank(&self) -> Option<usize> {
        Some(self.rank)
    }

    fn at_rank(&self, rank: usize) -> Option<Result<Arc<dyn Structure<T>>>> {
        let structure = Self::new(self.shape.rows, self.shape.cols, rank);
        Some(structure.map(|structure| Arc::new(structure) as Arc<dyn Structure<T>>))
    }

    fn reconstruction(&self, _: Parameters<'_, T>) -> Option<Arc<dyn Reconstruction>> {
        Some(Arc::new(Identity))
    }

    fn layout(&self) -> &Layout {
        &self.layout
    }

    fn prepare(&self, _: Parameters<'_, T>, _: &mut Prepared<T>, _: &mut [T]) {}

    fn scratch_len(&self) -> usize {
        2 * BLOCK * self.rank
    }

    fn apply(&self, bound: Bound<'_, T>, x: &[T], y: &mut [T], scratch: &mut [T]) {
        let Shape { rows: m, cols: n } = self.shape;
        let (g, h) = self.shape.generators(self.rank, bound.parameters);
        for (x, y) in x.chunks(BLOCK * n).zip(y.chunks_mut(BLOCK * m)) {
            let batch = x.len() / n;
            let inner = &mut scratch[..batch * self.rank];
            gemm_nt(x, h, inner, [batch, n, self.rank]);
            gemm_nn(inner, g, y, [batch, self.rank, m]);
        }
    }

    fn apply_transposed(&self, bound: Bound<'_, T>, y: &[T], x: &mut [T], scratch: &mut [T]) {
        let Shape { rows: m, cols: n } = self.shape;
        let (g, h) = self.shape.generators(self.rank, bound.parameters);
        for (y, x) in y.chunks(BLOCK * m).zip(x.chunks_mut(BLOCK * n)) {
            let batch = y.len() / m;
            let inner = &mut scratch[..batch * self.rank];
            gemm_nt(y, g, inner, [batch, m, self.rank]);
            gemm_nn(inner, h, x, [batch, self.rank, n]);
        }
    }

    fn gradient_len(&self, _: usize) -> usize {
        self.layout.len()
    }

    fn backward(
        &self,
        bound: Bound<'_, T>,
        x: &[T],
        dy: &[T],
        dx: Option<&mut [T]>,
        sums: &mut [T],
        mut scratch: &mut [T],
    ) {
        let Shape { rows: m, cols: n } = self.shape;
        let (g, h) = self.shape.generators(self.rank, bound.parameters);
        let (dg, dh) = self.shape.generators_mut(self.rank, sums);
        let mut dx = dx.map(|dx| dx.chunks_mut(BLOCK * n));
        let inner = take(&mut scratch, BLOCK * self.rank);
        for (x, dy) in x.chunks(BLOCK * n).zip(dy.chunks(BLOCK * m)) {
            let batch = x.len() / n;
            let (inner, outer) = (&mut inner[..batch * self.rank], &mut scratch[..batch * self.rank]);
            gemm_nt(x, h, inner, [batch, n, self.rank]);
            gemm_nt(dy, g, outer, [batch, m, self.rank]);
            gemm_tn_add(inner, dy, dg, [self.rank, batch, m]);
            gemm_tn_add(outer, x, dh, [self.rank, batch, n]);
            if let Some(dx) = dx.as_mut().and_then(Iterator::next) {
                gemm_nn(outer, h, dx, [batch, self.rank, n]);
            }
        }
    }

    fn finish_gradient(&self, _: Bound<'_, T>, sums: &mut [T], gradient: &mut [T], _: &mut [T]) {
        gradient.iter_mut().zip(sums).for_each(|(g, &mut s)| *g += s);
    }

    fn sums_are_gradient(&self, _: Bound<'_, T>) -> bool {
        true
    }

    fn write_dense(&self, Parameters(parameters): Parameters<'_, T>, dense: &mut [T]) {
        let Shape { rows: m, cols: n } = self.shape;
        let (g, h) = self.shape.generators(self.rank, parameters);
        gemm_tn(g, h, dense, [m, self.rank, n]);
    }

    fn pull_back(&self, Parameters(parameters): Parameters<'_, T>, dense: &[T], gradient: &mut [T]) {
        self.shape.pull_back_generators(self.rank, parameters, dense, gradient);
    }

    fn initialise(&self, init: Init, rng: &mut fastrand::Rng, parameters: &mut [T]) -> Result<()> {
        has_length("parameters", parameters, self.layout.len())?;
        let variance = init.variance(self.shape.rows, self.shape.cols) / self.rank.max(1) as f64;
        normal(rng, variance.sqrt(), parameters);
        Ok(())
    }

    fn cost(&self, batch: usize) -> f64 {
        let Shape { rows, cols } = self.shape;
        dense_cost::<T>(self.rank, cols, batch) + dense_cost::<T>(rows, self.rank, batch)
    }
}
