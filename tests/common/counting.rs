//! A structure that counts how often its parameters are prepared, its entries written, and how often a gradient goes on from a
//! product.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use displace::{Bound, Family, Init, Layout, Matrix, Parameters, PathChoice, Prepared, Result, Scalar, Structure};

/// Another structure, and the counts.
#[derive(Debug)]
pub struct Counting<T: Scalar> {
    inner: Arc<dyn Structure<T>>,
    /// How often parameters have been prepared.
    pub prepared: Arc<AtomicUsize>,
    /// How often a gradient went on from a product.
    pub went_on: AtomicUsize,
    /// How often the entries have been written.
    pub written: AtomicUsize,
}

/// A matrix of the structure `inner` on the fast path, counted.
pub fn counting<T: Scalar>(inner: Arc<dyn Structure<T>>, parameters: Vec<T>) -> Matrix<T, Counting<T>> {
    let structure =
        Counting { inner, prepared: Arc::default(), went_on: AtomicUsize::new(0), written: AtomicUsize::new(0) };
    let mut matrix = Matrix::new(Arc::new(structure), parameters).unwrap();
    matrix.set_path(PathChoice::Fast);
    matrix
}

impl<T: Scalar> Structure<T> for Counting<T> {
    fn family(&self) -> Family {
        self.inner.family()
    }

    fn rows(&self) -> usize {
        self.inner.rows()
    }

    fn cols(&self) -> usize {
        self.inner.cols()
    }

    fn layout(&self) -> &Layout {
        self.inner.layout()
    }

    fn prepare(&self, parameters: Parameters<'_, T>, prepared: &mut Prepared<T>, scratch: &mut [T]) {
        self.prepared.fetch_add(1, Ordering::Relaxed);
        self.inner.prepare(parameters, prepared, scratch);
    }

    fn scratch_len(&self) -> usize {
        self.inner.scratch_len()
    }

    fn backward_scratch_len(&self) -> usize {
        self.inner.backward_scratch_len()
    }

    fn apply(&self, bound: Bound<'_, T>, x: &[T], y: &mut [T], scratch: &mut [T]) {
        self.inner.apply(bound, x, y, scratch);
    }

    fn apply_transposed(&self, bound: Bound<'_, T>, y: &[T], x: &mut [T], scratch: &mut [T]) {
        self.inner.apply_transposed(bound, y, x, scratch);
    }

    fn gradient_len(&self, batch: usize) -> usize {
        self.inner.gradient_len(batch)
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
        self.inner.backward(bound, x, dy, dx, sums, scratch);
    }

    fn kept_len(&self, bound: Bound<'_, T>) -> usize {
        self.inner.kept_len(bound)
    }

    /// What is there before must not matter.
    fn apply_keeping(&self, bound: Bound<'_, T>, x: &[T], y: &mut [T], kept: &mut [T], scratch: &mut [T]) {
        assert_eq!(kept.len(), self.kept_len(bound));
        kept.fill(T::nan());
        self.inner.apply_keeping(bound, x, y, kept, scratch);
    }

    /// Scratch does not hold what was kept.
    fn backward_kept(
        &self,
        bound: Bound<'_, T>,
        x: &[T],
        dy: &[T],
        dx: Option<&mut [T]>,
        kept: &[T],
        sums: &mut [T],
        scratch: &mut [T],
    ) {
        self.went_on.fetch_add(1, Ordering::Relaxed);
        scratch.fill(T::nan());
        self.inner.backward_kept(bound, x, dy, dx, kept, sums, scratch);
    }

    fn finish_gradient(&self, bound: Bound<'_, T>, sums: &mut [T], gradient: &mut [T], scratch: &mut [T]) {
        self.inner.finish_gradient(bound, sums, gradient, scratch);
    }

    fn write_dense(&self, parameters: Parameters<'_, T>, dense: &mut [T]) {
        self.written.fetch_add(1, Ordering::Relaxed);
        self.inner.write_dense(parameters, dense);
    }

    fn pull_back(&self, parameters: Parameters<'_, T>, dense: &[T], gradient: &mut [T]) {
        self.inner.pull_back(parameters, dense, gradient);
    }

    fn initialise(&self, init: Init, rng: &mut fastrand::Rng, parameters: &mut [T]) -> Result<()> {
        self.inner.initialise(init, rng, parameters)
    }

    fn cost(&self, batch: usize) -> f64 {
        self.inner.cost(batch)
    }

    fn cost_with(&self, bound: Bound<'_, T>, batch: usize) -> f64 {
        self.inner.cost_with(bound, batch)
    }

    fn dense_copy_cost(&self, bound: Bound<'_, T>) -> f64 {
        self.inner.dense_copy_cost(bound)
    }
}
