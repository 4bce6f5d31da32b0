//! Dense matrices: the unstructured end of the continuum.
//!
//! *Parameters:* mn. *Cost:* one product of matrices, by SIMD inner products for few examples and by a blocked GEMM
//! (`matrixmultiply`) for many; two for the gradients. *Accuracy:* that of sums of n products. *Choose it* as the
//! baseline, and below the size at which structure pays; there every other family multiplies by a dense copy of itself
//! automatically ([`PathChoice`](crate::PathChoice)).

use std::sync::Arc;

use super::gemm::{gemm_nn, gemm_nt, gemm_tn_add};
use crate::error::has_length;
use crate::matrix::{Bound, Family, Init, Layout, Matrix, Parameters, Prepared, Structure, normal};
use crate::shape::Shape;
use crate::{Result, Scalar};

/// The structure of a dense m×n matrix: mn parameters, one tensor `"M"` (m×n). Products are blocked GEMMs, O(mn).
#[derive(Debug, Clone)]
pub struct Dense {
    shape: Shape,
    layout: Layout,
}

impl Dense {
    /// A dense m×n matrix without parameters.
    ///
    /// # Errors
    ///
    /// [`Error::EmptyShape`](crate::Error::EmptyShape) or [`Error::TooLarge`](crate::Error::TooLarge).
    pub fn new(rows: usize, cols: usize) -> Result<Self> {
        let shape = Shape::new(rows, cols)?;
        shape.check_dense()?;
        Ok(Self { shape, layout: Layout::new().with("M", &[rows, cols]) })
    }

    /// The dense m×n matrix with the entries `entries`, row by row.
    ///
    /// # Errors
    ///
    /// As for [`Dense::new`] and [`Matrix::new`].
    pub fn from_entries<T: Scalar>(rows: usize, cols: usize, entries: &[T]) -> Result<Matrix<T, Self>> {
        Matrix::new(Arc::new(Self::new(rows, cols)?), entries.to_vec())
    }
}

impl<T: Scalar> Structure<T> for Dense {
    fn family(&self) -> Family {
        Family::Dense
    }

    fn rows(&self) -> usize {
        self.shape.rows
    }

    fn cols(&self) -> usize {
        self.shape.cols
    }

    fn layout(&self) -> &Layout {
        &self.layout
    }

    fn prepare(&self, _: Parameters<'_, T>, _: &mut Prepared<T>, _: &mut [T]) {}

    fn scratch_len(&self) -> usize {
        0
    }

    fn apply(&self, bound: Bound<'_, T>, x: &[T], y: &mut [T], _: &mut [T]) {
        let Shape { rows: m, cols: n } = self.shape;
        gemm_nt(x, bound.parameters, y, [x.len() / n, n, m]);
    }

    fn apply_transposed(&self, bound: Bound<'_, T>, y: &[T], x: &mut [T], _: &mut [T]) {
        let Shape { rows: m, cols: n } = self.shape;
        gemm_nn(y, bound.parameters, x, [y.len() / m, m, n]);
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
        scratch: &mut [T],
    ) {
        let Shape { rows: m, cols: n } = self.shape;
        if let Some(dx) = dx {
            self.apply_transposed(bound, dy, dx, scratch);
        }
        gemm_tn_add(dy, x, sums, [m, x.len() / n, n]);
    }

    fn finish_gradient(&self, _: Bound<'_, T>, sums: &mut [T], gradient: &mut [T], _: &mut [T]) {
        gradient.iter_mut().zip(sums).for_each(|(g, &mut s)| *g += s);
    }

    fn sums_are_gradient(&self, _: Bound<'_, T>) -> bool {
        true
    }

    fn write_dense(&self, Parameters(parameters): Parameters<'_, T>, dense: &mut [T]) {
        dense.copy_from_slice(parameters);
    }

    fn pull_back(&self, _: Parameters<'_, T>, dense: &[T], gradient: &mut [T]) {
        gradient.iter_mut().zip(dense).for_each(|(g, &d)| *g += d);
    }

    fn initialise(&self, init: Init, rng: &mut fastrand::Rng, parameters: &mut [T]) -> Result<()> {
        has_length("parameters", parameters, self.layout.len())?;
        normal(rng, init.variance(self.shape.rows, self.shape.cols), parameters);
        Ok(())
    }

    fn cost(&self, batch: usize) -> f64 {
        crate::matrix::dense_cost::<T>(self.shape.rows, self.shape.cols, batch)
    }

    fn is_dense(&self) -> bool {
        true
    }
}
