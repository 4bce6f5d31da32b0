//! Sums of r terms, each a half-circulant filter, an evaluation at nodes, and weights: what Vandermonde-like matrices of
//! real nodes and of nodes on the unit circle have in common.
//!
//! `M = diag(d) Σ_j diag(g_j) V Z_½(h_j)ᵀ`, cut to its first n columns, where V is the m×N Vandermonde matrix of the nodes,
//! the columns of H are continued by zeros to length N, and d is what the displacement equation divides by
//! ([`Filter`](super::filter::Filter), [`CircleFilter`](super::circle_filter::CircleFilter)).

use std::fmt::Debug;

use super::half_circulant::HalfCirculants;
use crate::matrix::{Bound, Layout, Prepared, normal, take};
use crate::shape::Shape;
use crate::structured::vandermonde::check_count;
use crate::transform::Into;
use crate::unstructured::gemm::gemm_tn;
use crate::{Error, Result, Scalar};

/// A polynomial with N real coefficients at nodes, and the arithmetic of a row of m numbers that are its values: m real
/// ones, or pairs that are complex, an unpaired last one being real.
pub(super) trait Evaluation<T: Scalar>: Debug + Sized {
    /// Nodes where they were placed.
    type Nodes: Send + Sync + 'static;
    /// Numbers of a row that belong to one node.
    const EACH: usize;

    /// The length of the longest transform for so many coefficients.
    fn transform_len(order: usize) -> usize;
    fn new(order: usize) -> Self;
    fn scratch_len(&self, rows: usize) -> usize;
    /// The values of rows of coefficients.
    fn forward(&self, nodes: &Self::Nodes, x: &[T], y: &mut [T], scratch: &mut [T]);
    /// The transposed product.
    fn adjoint(&self, nodes: &Self::Nodes, y: &[T], x: &mut [T], scratch: &mut [T]);
    /// Adds the gradient in the nodes of a loss whose gradient in the values is `dy`.
    fn node_gradient(&self, nodes: &Self::Nodes, x: &[T], dy: &[T], gradient: &mut [T], scratch: &mut [T]);

    /// `out = factors · row`.
    fn multiply(factors: &[T], row: &[T], out: &mut [T]);
    /// `out += factors · row`.
    fn add_product(factors: &[T], row: &[T], out: &mut [T]);
    /// `out =` the conjugate of `factors`, times `row`.
    fn multiply_conjugate(factors: &[T], row: &[T], out: &mut [T]);
    /// `out +=` the conjugate of `factors`, times `row`.
    fn add_conjugate_product(factors: &[T], row: &[T], out: &mut [T]);
    /// Adds to the sum of each node the real part of the conjugate of `dual`, times `value · slope`.
    fn add_slopes(slopes: &[T], values: &[T], dual: &[T], sums: &mut [T]);
}

/// The plan for such sums of m×n matrices.
#[derive(Debug)]
pub(super) struct Terms<T: Scalar, E> {
    pub shape: Shape,
    pub rank: usize,
    /// The order N of the transforms.
    pub order: usize,
    pub evaluation: E,
    circulants: HalfCirculants<T>,
}

/// What a structure prepares, and where. Each number of a row has its own.
struct View<'a, T> {
    /// Spectra of h_j.
    spectra: &'a [T],
    /// `d g_j`, row by row.
    weights: &'a [T],
    /// d.
    factors: &'a [T],
    /// The logarithmic derivative of d in the nodes.
    slopes: &'a [T],
}

impl<T: Scalar, E: Evaluation<T>> Terms<T, E> {
    /// Plans products with m×n matrices of displacement rank `rank`.
    ///
    /// # Errors
    ///
    /// [`Error::EmptyShape`], [`Error::RankTooLarge`], [`Error::TooLarge`], [`Error::Memory`], and [`Error::OutOfRange`] for an
    /// order below n or above 2n + 1.
    pub fn new(rows: usize, cols: usize, rank: usize, order: usize) -> Result<Self> {
        let shape = Shape::new(rows, cols)?;
        shape.check_rank(rank)?;
        shape.check_rank(1)?;
        check_count(shape)?;
        if order < cols || order > 2 * cols + 1 {
            return Err(Error::OutOfRange { what: "the order N", value: order as f64, range: "[n, 2n + 1]" });
        }
        shape.check_transform::<T>(E::transform_len(order).max(order))?;
        let (evaluation, circulants) = (E::new(order), HalfCirculants::new(cols, order, rank));
        Ok(Self { shape, rank, order, evaluation, circulants })
    }

    /// G and H, without nodes.
    pub fn layout(&self) -> Layout {
        self.shape.generator_layout(self.rank)
    }

    /// Numbers in G and H.
    pub fn generators(&self) -> usize {
        self.rank * (self.shape.rows + self.shape.cols)
    }

    /// `G Hᵀ`, widened.
    pub fn displacement(&self, parameters: &[T]) -> Vec<f64> {
        let Shape { rows: m, cols: n } = self.shape;
        let (g, h) = self.shape.generators(self.rank, parameters);
        let mut dense = vec![T::zero(); m * n];
        gemm_tn(g, h, &mut dense, [m, self.rank, n]);
        dense.into_iter().map(Scalar::wide).collect()
    }

    /// Generators of full rank, one of them an identity, of this displacement; behind them the nodes.
    pub fn full_rank_parameters(&self, displacement: &[f64], nodes: &[T]) -> Vec<T> {
        let Shape { rows: m, cols: n } = self.shape;
        let mut parameters = vec![T::zero(); self.generators()];
        let (g, h) = self.shape.generators_mut(self.rank, &mut parameters);
        for (i, row) in displacement.chunks_exact(n).enumerate() {
            for (k, &displaced) in row.iter().enumerate() {
                let at = if self.rank == m { &mut h[i * n + k] } else { &mut g[k * m + i] };
                *at = T::of(displaced);
            }
        }
        match self.rank == m {
            true => (0..m).for_each(|i| g[i * m + i] = T::one()),
            false => (0..n).for_each(|k| h[k * n + k] = T::one()),
        }
        parameters.extend_from_slice(nodes);
        parameters
    }

    /// Normal generators, such that the numbers of each node in `G Hᵀ` have the variances asked for.
    pub fn initialise(&self, variances: &[f64], rng: &mut fastrand::Rng, parameters: &mut [T]) {
        let shared = (variances.iter().sum::<f64>() / variances.len() as f64).sqrt();
        let (g, h) = self.shape.generators_mut(self.rank, parameters);
        normal(rng, shared, h);
        normal(rng, 1.0, g);
        for g in g.chunks_exact_mut(self.shape.rows) {
            for (numbers, variance) in g.chunks_mut(E::EACH).zip(variances) {
                let factor = T::of((variance / shared.max(f64::MIN_POSITIVE)).sqrt());
                numbers.iter_mut().for_each(|g| *g *= factor);
            }
        }
    }

    /// Prepares everything but the nodes: `divide` is to write d and its logarithmic derivative.
    pub fn prepare(
        &self,
        parameters: &[T],
        prepared: &mut Prepared<T>,
        scratch: &mut [T],
        divide: impl FnOnce(&mut [T], &mut [T]),
    ) {
        let m = self.shape.rows;
        let (g, h) = self.shape.generators(self.rank, parameters);
        let len = self.circulants.spectra_len();
        let numbers = prepared.numbers_mut(len + (self.rank + 2) * m);
        let (spectra, rest) = numbers.split_at_mut(len);
        let (weights, rest) = rest.split_at_mut(self.rank * m);
        let (factors, slopes) = rest.split_at_mut(m);
        self.circulants.prepare(h, spectra, scratch);
        divide(factors, slopes);
        for (g, weights) in g.chunks_exact(m).zip(weights.chunks_exact_mut(m)) {
            E::multiply(factors, g, weights);
        }
    }

    fn view<'a>(&self, prepared: &'a Prepared<T>) -> View<'a, T> {
        let (spectra, rest) = prepared.numbers.split_at(self.circulants.spectra_len());
        let (weights, rest) = rest.split_at(self.rank * self.shape.rows);
        let (factors, slopes) = rest.split_at(self.shape.rows);
        View { spectra, weights, factors, slopes }
    }

    pub fn scratch_len(&self) -> usize {
        let rows = T::LANES * (self.order + 2 * self.shape.rows);
        let inner = self.circulants.scratch_len().max(self.evaluation.scratch_len(self.shape.rows));
        3 * self.circulants.largest_block() + rows + inner
    }

    pub fn apply(&self, bound: Bound<'_, T>, nodes: &E::Nodes, x: &[T], y: &mut [T], mut scratch: &mut [T]) {
        let Shape { rows: m, cols: n } = self.shape;
        let circulants = &self.circulants;
        let [input, inner] = [(); 2].map(|()| take(&mut scratch, circulants.largest_block()));
        let filtered = take(&mut scratch, T::LANES * self.order);
        let values = take(&mut scratch, T::LANES * m);
        let view = self.view(bound.prepared);
        y.fill(T::zero());
        for (form, rows) in circulants.forms().blocks::<T>(x.len() / n) {
            let (x, y) = (&x[rows.start * n..rows.end * n], &mut y[rows.start * m..rows.end * m]);
            let [input, inner] = [&mut *input, &mut *inner].map(|b| &mut b[..circulants.block(form)]);
            let (filtered, values) = (&mut filtered[..rows.len() * self.order], &mut values[..y.len()]);
            circulants.analyse(form, x, input, scratch);
            for (h, weights) in circulants.spectra(view.spectra, form).zip(view.weights.chunks_exact(m)) {
                circulants.filter(form, input, h, inner, filtered, scratch);
                self.evaluation.forward(nodes, filtered, values, scratch);
                for (y, values) in y.chunks_exact_mut(m).zip(values.chunks_exact(m)) {
                    E::add_product(weights, values, y);
                }
            }
        }
    }

    pub fn apply_transposed(&self, bound: Bound<'_, T>, nodes: &E::Nodes, y: &[T], x: &mut [T], mut scratch: &mut [T]) {
        let Shape { rows: m, cols: n } = self.shape;
        let circulants = &self.circulants;
        let [inner, output] = [(); 2].map(|()| take(&mut scratch, circulants.largest_block()));
        let dual = take(&mut scratch, T::LANES * self.order);
        let weighted = take(&mut scratch, T::LANES * m);
        let view = self.view(bound.prepared);
        if self.rank == 0 {
            return x.fill(T::zero());
        }
        for (form, rows) in circulants.forms().blocks::<T>(y.len() / m) {
            let (y, x) = (&y[rows.start * m..rows.end * m], &mut x[rows.start * n..rows.end * n]);
            let [inner, output] = [&mut *inner, &mut *output].map(|b| &mut b[..circulants.block(form)]);
            let (dual, weighted) = (&mut dual[..rows.len() * self.order], &mut weighted[..y.len()]);
            let terms = circulants.spectra(view.spectra, form).zip(view.weights.chunks_exact(m));
            for (j, (h, weights)) in terms.enumerate() {
                weigh::<T, E>(weights, y, weighted);
                self.evaluation.adjoint(nodes, weighted, dual, scratch);
                circulants.analyse_dual(form, dual, inner, scratch);
                circulants.add_dual(form, Into::set_first(j), output, inner, h);
            }
            circulants.synthesise(form, output, x, scratch);
        }
    }

    /// The length of the sums for so many nodes.
    pub fn gradient_len(&self, nodes: usize) -> usize {
        self.rank * self.shape.rows + self.circulants.spectra_len() + nodes
    }

    /// As in [`Structure::backward`](crate::Structure::backward); the gradient in the nodes only if they are `trained`.
    #[expect(clippy::too_many_arguments, reason = "the arguments of a backward pass, and the nodes")]
    pub fn backward(
        &self,
        bound: Bound<'_, T>,
        nodes: &E::Nodes,
        [x, dy]: [&[T]; 2],
        mut dx: Option<&mut [T]>,
        trained: bool,
        sums: &mut [T],
        mut scratch: &mut [T],
    ) {
        let Shape { rows: m, cols: n } = self.shape;
        let circulants = &self.circulants;
        let [input, inner, output] = [(); 3].map(|()| take(&mut scratch, circulants.largest_block()));
        let signals = take(&mut scratch, T::LANES * self.order);
        let [values, weighted] = [(); 2].map(|()| take(&mut scratch, T::LANES * m));
        let view = self.view(bound.prepared);
        let (g_sums, rest) = sums.split_at_mut(self.rank * m);
        let (h_sums, node_sums) = rest.split_at_mut(circulants.spectra_len());
        for (form, rows) in circulants.forms().blocks::<T>(x.len() / n) {
            let (x, dy) = (&x[rows.start * n..rows.end * n], &dy[rows.start * m..rows.end * m]);
            let [input, inner, output] =
                [&mut *input, &mut *inner, &mut *output].map(|b| &mut b[..circulants.block(form)]);
            let signals = &mut signals[..rows.len() * self.order];
            let [values, weighted] = [&mut *values, &mut *weighted].map(|b| &mut b[..dy.len()]);
            circulants.analyse(form, x, input, scratch);
            let terms = circulants.spectra(view.spectra, form).zip(view.weights.chunks_exact(m));
            let sums = g_sums.chunks_exact_mut(m).zip(circulants.sums(h_sums, form));
            for (j, ((h, weights), (g_sum, h_sum))) in terms.zip(sums).enumerate() {
                // z = V Z_½(h)ᵀ x, once more; dG gathers dy conj(z).
                circulants.filter(form, input, h, inner, signals, scratch);
                self.evaluation.forward(nodes, signals, values, scratch);
                for (values, dy) in values.chunks_exact(m).zip(dy.chunks_exact(m)) {
                    E::add_conjugate_product(values, dy, g_sum);
                }
                weigh::<T, E>(weights, dy, weighted);
                if trained {
                    self.evaluation.node_gradient(nodes, signals, weighted, node_sums, scratch);
                    for (values, dual) in values.chunks_exact(m).zip(weighted.chunks_exact(m)) {
                        E::add_slopes(view.slopes, values, dual, node_sums);
                    }
                }
                // u = Vᵀ (conj(g) dy); dH gathers Z_½(u)ᵀ x, dx is the sum of Z_½(h) u.
                self.evaluation.adjoint(nodes, weighted, signals, scratch);
                circulants.analyse_dual(form, signals, inner, scratch);
                circulants.correlate(form, h_sum, input, inner);
                if dx.is_some() {
                    circulants.add_dual(form, Into::set_first(j), output, inner, h);
                }
            }
            match dx.as_mut().map(|dx| &mut dx[rows.start * n..rows.end * n]) {
                Some(dx) if self.rank == 0 => dx.fill(T::zero()),
                Some(dx) => circulants.synthesise(form, output, dx, scratch),
                None => {}
            }
        }
    }

    /// As in [`Structure::finish_gradient`](crate::Structure::finish_gradient).
    pub fn finish_gradient(&self, bound: Bound<'_, T>, sums: &[T], gradient: &mut [T], scratch: &mut [T]) {
        let m = self.shape.rows;
        let (g_sums, rest) = sums.split_at(self.rank * m);
        let (h_sums, node_sums) = rest.split_at(self.circulants.spectra_len());
        let (generators, node_gradient) = gradient.split_at_mut(self.generators());
        let (dg, dh) = self.shape.generators_mut(self.rank, generators);
        let factors = self.view(bound.prepared).factors;
        for (dg, sums) in dg.chunks_exact_mut(m).zip(g_sums.chunks_exact(m)) {
            E::add_conjugate_product(factors, sums, dg);
        }
        self.circulants.finish(h_sums, dh, scratch);
        node_gradient.iter_mut().zip(node_sums).for_each(|(d, &s)| *d += s);
    }
}

/// Rows of products with the conjugates of `weights`.
fn weigh<T: Scalar, E: Evaluation<T>>(weights: &[T], rows: &[T], weighted: &mut [T]) {
    let m = weights.len();
    for (row, weighted) in rows.chunks_exact(m).zip(weighted.chunks_exact_mut(m)) {
        E::multiply_conjugate(weights, row, weighted);
    }
}
