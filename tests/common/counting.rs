//! A structure that counts how often something is derived from its parameters.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use displace::{Bound, Family, Init, Layout, Matrix, PathChoice, Prepared, Scalar, Structure};

/// Another structure, and the count.
#[derive(Debug)]
struct Counting<T: Scalar> {
    inner: Arc<dyn Structure<T>>,
    count: Arc<AtomicUsize>,
}

/// A matrix on the fast path, and how often its parameters have been prepared.
pub fn counting<T: Scalar>(matrix: Matrix<T>) -> (Matrix<T>, Arc<AtomicUsize>) {
    let count = Arc::new(AtomicUsize::new(0));
    let structure = Counting { inner: Arc::clone(matrix.structure()), count: Arc::clone(&count) };
    let mut matrix = Matrix::new(Arc::new(structure), matrix.parameters().to_vec()).unwrap().into_dyn();
    matrix.set_path(PathChoice::Fast);
    (matrix, count)
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

    fn prepare(&self, parameters: &[T], prepared: &mut Prepared<T>, scratch: &mut [T]) {
        self.count.fetch_add(1, Ordering::Relaxed);
        self.inner.prepare(parameters, prepared, scratch);
    }

    fn scratch_len(&self) -> usize {
        self.inner.scratch_len()
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

    fn finish_gradient(&self, bound: Bound<'_, T>, sums: &mut [T], gradient: &mut [T], scratch: &mut [T]) {
        self.inner.finish_gradient(bound, sums, gradient, scratch);
    }

    fn write_dense(&self, parameters: &[T], dense: &mut [T]) {
        self.inner.write_dense(parameters, dense);
    }

    fn pull_back(&self, parameters: &[T], dense: &[T], gradient: &mut [T]) {
        self.inner.pull_back(parameters, dense, gradient);
    }

    fn initialise(&self, init: Init, rng: &mut fastrand::Rng, parameters: &mut [T]) {
        self.inner.initialise(init, rng, parameters);
    }

    fn cost(&self, batch: usize) -> f64 {
        self.inner.cost(batch)
    }
}
