//! A structure whose rows and columns are in another order.

use std::sync::Arc;

use super::{Bound, Family, GRAIN, Init, Layout, Parameters, Prepared, Reconstruction, Structure, take};
use crate::error::has_length;
use crate::{Error, Result, Scalar};

/// The structure of a matrix `M` that becomes structured when its rows and columns are sorted: `M = P S Qᵀ` for a structure S
/// and permutations P and Q, `M[p_i][q_j] = S[i][j]`.
///
/// Parameters and rank are those of S; the cost is that of S and a copy of each row that is read or written. The two orders,
/// m + n whole numbers, are not trained. A checkpoint stores the parameters but not the orders: store
/// [`Permuted::row_order`] and [`Permuted::column_order`] (also among [`Structure::constants`]) beside them.
///
/// ```
/// use displace::{Builder, Family, Matrix, Permuted};
/// use std::sync::Arc;
///
/// let toeplitz = Builder::new(Family::Toeplitz, 2, 3).structure::<f32>()?;
/// let shuffled = Permuted::new(toeplitz, vec![1, 0], vec![0, 1, 2])?;
/// let matrix = Matrix::new(Arc::new(shuffled), vec![1.0, 2.0, 3.0, 4.0])?;
/// assert_eq!(matrix.to_dense()?, [4.0, 3.0, 2.0, 3.0, 2.0, 1.0]);
/// # Ok::<(), displace::Error>(())
/// ```
#[derive(Debug, Clone)]
pub struct Permuted<T: Scalar> {
    inner: Arc<dyn Structure<T>>,
    orders: Arc<Orders>,
}

/// Where each row and each column of S stands in M.
#[derive(Debug)]
struct Orders {
    rows: Vec<usize>,
    cols: Vec<usize>,
}

impl Orders {
    /// From M to S.
    fn sort<X: Copy>(&self, matrix: &[X], sorted: &mut [X]) {
        for (&p, row) in self.rows.iter().zip(sorted.chunks_exact_mut(self.cols.len())) {
            gather(&self.cols, &matrix[p * self.cols.len()..][..self.cols.len()], row);
        }
    }

    /// From S to M.
    fn restore<X: Copy>(&self, sorted: &[X], matrix: &mut [X]) {
        for (&p, row) in self.rows.iter().zip(sorted.chunks_exact(self.cols.len())) {
            scatter(&self.cols, row, &mut matrix[p * self.cols.len()..][..self.cols.len()]);
        }
    }
}

/// `sorted[i] = row[order[i]]`, for one row or for many.
fn gather<X: Copy>(order: &[usize], rows: &[X], sorted: &mut [X]) {
    for (row, sorted) in rows.chunks_exact(order.len()).zip(sorted.chunks_exact_mut(order.len())) {
        order.iter().zip(sorted).for_each(|(&p, x)| *x = row[p]);
    }
}

/// `row[order[i]] = sorted[i]`, for one row or for many.
fn scatter<X: Copy>(order: &[usize], sorted: &[X], rows: &mut [X]) {
    for (row, sorted) in rows.chunks_exact_mut(order.len()).zip(sorted.chunks_exact(order.len())) {
        order.iter().zip(sorted).for_each(|(&p, &x)| row[p] = x);
    }
}

impl<T: Scalar> Permuted<T> {
    /// The structure `inner` with its row i at place `row_order[i]` and its column j at place `column_order[j]`.
    ///
    /// # Errors
    ///
    /// [`Error::Length`] for an order of another length, [`Error::ElementOutOfRange`] for a place that does not exist,
    /// [`Error::Coincide`] for one that is named twice.
    pub fn new(inner: Arc<dyn Structure<T>>, row_order: Vec<usize>, column_order: Vec<usize>) -> Result<Self> {
        permutation("row_order", &row_order, inner.rows())?;
        permutation("column_order", &column_order, inner.cols())?;
        Ok(Self { inner, orders: Arc::new(Orders { rows: row_order, cols: column_order }) })
    }

    /// The structure whose rows and columns are sorted.
    pub fn inner(&self) -> &Arc<dyn Structure<T>> {
        &self.inner
    }

    /// Where each row of the inner structure stands.
    pub fn row_order(&self) -> &[usize] {
        &self.orders.rows
    }

    /// Where each column of the inner structure stands.
    pub fn column_order(&self) -> &[usize] {
        &self.orders.cols
    }
}

/// Refuses what is not a permutation of `len` places.
fn permutation(what: &'static str, order: &[usize], len: usize) -> Result<()> {
    has_length(what, order, len)?;
    let mut first_at = vec![None; len];
    for (index, &place) in order.iter().enumerate() {
        let Some(first) = first_at.get_mut(place) else {
            let range = "the places of the rows or columns, from 0";
            return Err(Error::ElementOutOfRange { what, index, value: place as f64, range });
        };
        if let Some(first) = first.replace(index) {
            return Err(Error::Coincide { what, first, second: index, value: place as f64 });
        }
    }
    Ok(())
}

impl<T: Scalar> Structure<T> for Permuted<T> {
    fn family(&self) -> Family {
        Family::Other(match self.inner.family() {
            Family::Circulant => "permuted circulant",
            Family::Toeplitz => "permuted Toeplitz",
            Family::Hankel => "permuted Hankel",
            Family::ToeplitzLike => "permuted Toeplitz-like",
            Family::HankelLike => "permuted Hankel-like",
            Family::LearnedSubdiagonal => "permuted LDR-SD",
            _ => "permuted",
        })
    }

    fn rows(&self) -> usize {
        self.inner.rows()
    }

    fn cols(&self) -> usize {
        self.inner.cols()
    }

    fn rank(&self) -> Option<usize> {
        self.inner.rank()
    }

    fn at_rank(&self, rank: usize) -> Option<Result<Arc<dyn Structure<T>>>> {
        let permuted = |inner| Arc::new(Self { inner, orders: Arc::clone(&self.orders) }) as Arc<dyn Structure<T>>;
        Some(self.inner.at_rank(rank)?.map(permuted))
    }

    fn reconstruction(&self, parameters: Parameters<'_, T>) -> Option<Arc<dyn Reconstruction>> {
        let map = self.inner.reconstruction(parameters)?;
        Some(Arc::new(Sorted { map, orders: Arc::clone(&self.orders) }))
    }

    /// Those of the inner structure, `"row_order"` and `"column_order"`.
    fn constants(&self) -> Vec<(&'static str, Vec<f64>)> {
        let numbers = |order: &[usize]| order.iter().map(|&place| place as f64).collect();
        let mut constants = self.inner.constants();
        constants.push(("row_order", numbers(&self.orders.rows)));
        constants.push(("column_order", numbers(&self.orders.cols)));
        constants
    }

    fn layout(&self) -> &Layout {
        self.inner.layout()
    }

    fn check(&self, parameters: &[T]) -> Result<()> {
        self.inner.check(parameters)
    }

    fn prepare(&self, parameters: Parameters<'_, T>, prepared: &mut Prepared<T>, scratch: &mut [T]) {
        self.inner.prepare(parameters, prepared, scratch);
    }

    fn prepare_scratch_len(&self) -> usize {
        self.inner.prepare_scratch_len()
    }

    fn scratch_len(&self) -> usize {
        GRAIN * (self.rows() + 2 * self.cols()) + self.inner.scratch_len()
    }

    fn backward_scratch_len(&self) -> usize {
        GRAIN * (self.rows() + 2 * self.cols()) + self.inner.backward_scratch_len()
    }

    fn apply(&self, bound: Bound<'_, T>, x: &[T], y: &mut [T], mut scratch: &mut [T]) {
        let (m, n) = (self.rows(), self.cols());
        let [sorted_x, sorted_y] = [n, m].map(|row| take(&mut scratch, GRAIN * row));
        for (x, y) in x.chunks(GRAIN * n).zip(y.chunks_mut(GRAIN * m)) {
            let (sorted_x, sorted_y) = (&mut sorted_x[..x.len()], &mut sorted_y[..y.len()]);
            gather(&self.orders.cols, x, sorted_x);
            self.inner.apply(bound, sorted_x, sorted_y, scratch);
            scatter(&self.orders.rows, sorted_y, y);
        }
    }

    fn apply_transposed(&self, bound: Bound<'_, T>, y: &[T], x: &mut [T], mut scratch: &mut [T]) {
        let (m, n) = (self.rows(), self.cols());
        let [sorted_x, sorted_y] = [n, m].map(|row| take(&mut scratch, GRAIN * row));
        for (x, y) in x.chunks_mut(GRAIN * n).zip(y.chunks(GRAIN * m)) {
            let (sorted_x, sorted_y) = (&mut sorted_x[..x.len()], &mut sorted_y[..y.len()]);
            gather(&self.orders.rows, y, sorted_y);
            self.inner.apply_transposed(bound, sorted_y, sorted_x, scratch);
            scatter(&self.orders.cols, sorted_x, x);
        }
    }

    fn gradient_len(&self, batch: usize) -> usize {
        self.inner.gradient_len(batch)
    }

    fn backward(
        &self,
        bound: Bound<'_, T>,
        x: &[T],
        dy: &[T],
        mut dx: Option<&mut [T]>,
        sums: &mut [T],
        mut scratch: &mut [T],
    ) {
        let (m, n) = (self.rows(), self.cols());
        let [sorted_x, sorted_dx, sorted_dy] = [n, n, m].map(|row| take(&mut scratch, GRAIN * row));
        for (x, dy) in x.chunks(GRAIN * n).zip(dy.chunks(GRAIN * m)) {
            let (sorted_x, sorted_dy) = (&mut sorted_x[..x.len()], &mut sorted_dy[..dy.len()]);
            gather(&self.orders.cols, x, sorted_x);
            gather(&self.orders.rows, dy, sorted_dy);
            let own = dx.as_mut().map(|rest| take(rest, x.len()));
            let sorted_dx = own.is_some().then_some(&mut sorted_dx[..x.len()]);
            match (own, sorted_dx) {
                (Some(own), Some(sorted_dx)) => {
                    self.inner.backward(bound, sorted_x, sorted_dy, Some(&mut *sorted_dx), sums, scratch);
                    scatter(&self.orders.cols, sorted_dx, own);
                }
                _ => self.inner.backward(bound, sorted_x, sorted_dy, None, sums, scratch),
            }
        }
    }

    fn finish_gradient(&self, bound: Bound<'_, T>, sums: &mut [T], gradient: &mut [T], scratch: &mut [T]) {
        self.inner.finish_gradient(bound, sums, gradient, scratch);
    }

    fn sums_are_gradient(&self, bound: Bound<'_, T>) -> bool {
        self.inner.sums_are_gradient(bound)
    }

    fn write_dense(&self, parameters: Parameters<'_, T>, dense: &mut [T]) {
        let mut sorted = vec![T::zero(); dense.len()];
        self.inner.write_dense(parameters, &mut sorted);
        self.orders.restore(&sorted, dense);
    }

    fn pull_back(&self, parameters: Parameters<'_, T>, dense: &[T], gradient: &mut [T]) {
        let mut sorted = vec![T::zero(); dense.len()];
        self.orders.sort(dense, &mut sorted);
        self.inner.pull_back(parameters, &sorted, gradient);
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

/// Sorts, does what the inner structure does, and restores the order; the displacement is that of the sorted matrix, which has
/// an order of its own.
#[derive(Debug)]
struct Sorted {
    map: Arc<dyn Reconstruction>,
    orders: Arc<Orders>,
}

impl Reconstruction for Sorted {
    fn reconstruct(&self, displacement: &mut [f64]) {
        self.map.reconstruct(displacement);
        let sorted = displacement.to_vec();
        self.orders.restore(&sorted, displacement);
    }

    fn pull_back(&self, gradient: &mut [f64]) {
        let given = gradient.to_vec();
        self.orders.sort(&given, gradient);
        self.map.pull_back(gradient);
    }

    fn displace(&self, matrix: &mut [f64]) {
        let given = matrix.to_vec();
        self.orders.sort(&given, matrix);
        self.map.displace(matrix);
    }
}
