//! Cauchy matrices.
//!
//! `C_ij = 1/(s_i − t_j)`, for m nodes s and n nodes t, no s equal to a t. `D(s) C − C D(t)` is the matrix of ones:
//! displacement rank 1 under (D(s), D(t)). With each s midway between neighbouring t's on a grid it is a discrete
//! Hilbert transform, nearly orthogonal; with all s far from all t it is a smoothing operator of low numerical rank.
//! Every minor is nonzero if no nodes repeat.
//!
//! *Parameters:* m + n, the nodes themselves or the gaps between them ([`CauchyNodes`]). *Cost:* O(m + n) for a product or
//! its transpose, by a multipole method on the line; about as much again for the gradients in all nodes; sorting the nodes
//! and building two trees when they change. At n = 8192 a product with one vector takes about 95 ns a row in f64, 27 ns in
//! f32, and in a batch a third of that. *Accuracy:* 1e-14 (f64), 2e-7 (f32) of each entry, whatever the nodes: clustered,
//! repeated within s or t, or an s next to a t; f32 parameters give nodes, and thus gaps between them, rounded to f32.
//! Entries, and for gradients their squares, must not overflow. *Choose it* for kernels of integral equations, interpolation
//! and signals on uneven grids. As a layer it has few parameters and a large dynamic range, and is best started from evenly
//! spaced, interleaved nodes, as the builder does.

use std::sync::Arc;

use super::CauchyNodes;
use crate::error::{all_finite, has_length};
use crate::matrix::{Bound, Family, Init, Layout, Matrix, Parameters, Prepared, Structure, cauchy_nodes};
use crate::shape::Shape;
use crate::transform::cauchy::{CauchyPlan, Want, Way, product_cost, scratch_len};
use crate::{Result, Scalar};

/// The structure of an m×n Cauchy matrix: m + n parameters, which stand for nodes as [`CauchyNodes`] says.
#[derive(Debug, Clone)]
pub struct Cauchy<T: Scalar> {
    nodes: CauchyNodes<T>,
    layout: Layout,
}

impl<T: Scalar> Cauchy<T> {
    /// An m×n Cauchy matrix whose nodes stay apart, [`CauchyNodes::apart`].
    ///
    /// # Errors
    ///
    /// As for [`CauchyNodes::apart`].
    pub fn new(rows: usize, cols: usize) -> Result<Self> {
        Ok(Self::with_nodes(CauchyNodes::apart(rows, cols)?))
    }

    /// A Cauchy matrix with nodes of any kind.
    pub fn with_nodes(nodes: CauchyNodes<T>) -> Self {
        let layout = nodes.extend(Layout::new());
        Self { nodes, layout }
    }

    /// The Cauchy matrix of these nodes, which are its parameters.
    ///
    /// # Errors
    ///
    /// As for [`CauchyNodes::free`], [`Error::NotFinite`](crate::Error::NotFinite), and
    /// [`Error::NodesCollide`](crate::Error::NodesCollide) where a node is in s and in t.
    ///
    /// ```
    /// let c = displace::structured::Cauchy::from_nodes(&[1.0, 3.0], &[0.0, 2.0, -1.0])?;
    /// assert_eq!(c.to_dense()?, [1.0, -1.0, 0.5, 1.0 / 3.0, 1.0, 0.25]);
    ///
    /// let collision = displace::structured::Cauchy::from_nodes(&[1.0, 3.0], &[3.0]).unwrap_err();
    /// assert_eq!(collision.to_string(), "s[1] and t[0] are both 3");
    /// # Ok::<(), displace::Error>(())
    /// ```
    pub fn from_nodes(s: &[T], t: &[T]) -> Result<Matrix<T, Self>> {
        let nodes = CauchyNodes::free(s.len(), t.len())?;
        let parameters = nodes.parameters(s, t)?;
        Matrix::new(Arc::new(Self::with_nodes(nodes)), parameters)
    }

    /// How the nodes follow from the parameters.
    pub fn nodes(&self) -> &CauchyNodes<T> {
        &self.nodes
    }

    fn planned<'a>(&self, bound: Bound<'a, T>, anew: &'a mut Option<Arc<CauchyPlan<T>>>) -> &'a CauchyPlan<T> {
        planned(bound.prepared, anew, || plan(&self.nodes, bound.parameters))
    }
}

impl<T: Scalar> Structure<T> for Cauchy<T> {
    fn family(&self) -> Family {
        Family::Cauchy
    }

    fn rows(&self) -> usize {
        self.nodes.shape().rows
    }

    fn cols(&self) -> usize {
        self.nodes.shape().cols
    }

    fn constants(&self) -> Vec<(&'static str, Vec<f64>)> {
        self.nodes.constants()
    }

    fn layout(&self) -> &Layout {
        &self.layout
    }

    fn check(&self, parameters: &[T]) -> Result<()> {
        all_finite("parameters", parameters)?;
        self.nodes.check(parameters)
    }

    fn prepare(&self, Parameters(parameters): Parameters<'_, T>, prepared: &mut Prepared<T>, _: &mut [T]) {
        prepared.object = Some(plan(&self.nodes, parameters));
    }

    fn scratch_len(&self) -> usize {
        scratch_len::<T>(self.rows(), self.cols(), Want::Both)
    }

    fn apply(&self, bound: Bound<'_, T>, x: &[T], y: &mut [T], scratch: &mut [T]) {
        let (m, n) = (self.rows(), self.cols());
        let load = |b: usize, j: usize| x[b * n + j];
        let store = |b: usize, i: usize, [v, _]: [T; 2]| y[b * m + i] = v;
        self.planned(bound, &mut None).multiply(Way::Plain, Want::Product, x.len() / n, load, store, scratch);
    }

    fn apply_transposed(&self, bound: Bound<'_, T>, y: &[T], x: &mut [T], scratch: &mut [T]) {
        let (m, n) = (self.rows(), self.cols());
        let load = |b: usize, i: usize| y[b * m + i];
        let store = |b: usize, j: usize, [v, _]: [T; 2]| x[b * n + j] = v;
        self.planned(bound, &mut None).multiply(Way::Transposed, Want::Product, y.len() / m, load, store, scratch);
    }

    fn gradient_len(&self, _: usize) -> usize {
        self.rows() + self.cols()
    }

    fn backward(
        &self,
        bound: Bound<'_, T>,
        x: &[T],
        dy: &[T],
        mut dx: Option<&mut [T]>,
        sums: &mut [T],
        scratch: &mut [T],
    ) {
        let (m, n, mut anew) = (self.rows(), self.cols(), None);
        let (plan, count) = (self.planned(bound, &mut anew), x.len() / n);
        let (ds, dt) = sums.split_at_mut(m);
        let want = if dx.is_some() { Want::Both } else { Want::Squares };
        let store = |b: usize, j: usize, [v, square]: [T; 2]| {
            dt[j] += x[b * n + j] * square;
            if let Some(dx) = &mut dx {
                dx[b * n + j] = v;
            }
        };
        plan.multiply(Way::Transposed, want, count, |b, i| dy[b * m + i], store, scratch);
        let store = |b: usize, i: usize, [_, square]: [T; 2]| ds[i] -= dy[b * m + i] * square;
        plan.multiply(Way::Plain, Want::Squares, count, |b, j| x[b * n + j], store, scratch);
    }

    fn finish_gradient(&self, bound: Bound<'_, T>, sums: &mut [T], gradient: &mut [T], _: &mut [T]) {
        let (ds, dt) = sums.split_at(self.rows());
        self.nodes.pull_back(bound.parameters, ds, dt, gradient);
    }

    fn write_dense(&self, Parameters(parameters): Parameters<'_, T>, dense: &mut [T]) {
        let (s, t) = self.nodes.places(parameters);
        for (row, &s) in dense.chunks_exact_mut(t.len()).zip(&s) {
            row.iter_mut().zip(&t).for_each(|(entry, &t)| *entry = (s - t).recip());
        }
    }

    fn pull_back(&self, Parameters(parameters): Parameters<'_, T>, dense: &[T], gradient: &mut [T]) {
        let (s, t) = self.nodes.places(parameters);
        let (mut ds, mut dt) = (vec![T::zero(); s.len()], vec![T::zero(); t.len()]);
        for (i, row) in dense.chunks_exact(t.len()).enumerate() {
            for (j, &d) in row.iter().enumerate() {
                let entry = (s[i] - t[j]).recip();
                ds[i] -= d * entry * entry;
                dt[j] += d * entry * entry;
            }
        }
        self.nodes.pull_back(parameters, &ds, &dt, gradient);
    }

    /// A Cauchy matrix cannot be zero: for [`Init::Zero`] its nodes are a gap of 1 apart on average.
    fn initialise(&self, init: Init, rng: &mut fastrand::Rng, parameters: &mut [T]) -> Result<()> {
        has_length("parameters", parameters, self.layout().len())?;
        let Shape { rows, cols } = self.nodes.shape();
        let variance = Some(init.variance(rows, cols)).filter(|&v| v > 0.0);
        self.nodes.initialise(variance, rng, parameters);
        Ok(())
    }

    fn cost(&self, batch: usize) -> f64 {
        cauchy_nodes::<T>() * product_cost::<T>(self.rows(), self.cols(), batch) / batch.max(1) as f64
    }
}

/// The plan for the nodes that parameters stand for.
pub(crate) fn plan<T: Scalar>(nodes: &CauchyNodes<T>, parameters: &[T]) -> Arc<CauchyPlan<T>> {
    let (s, t) = nodes.places(parameters);
    Arc::new(CauchyPlan::new(&s, &t))
}

/// The plan that [`Structure::prepare`] left; made anew, into `anew`, if it was another structure that prepared.
pub(crate) fn planned<'a, T: Scalar>(
    prepared: &'a Prepared<T>,
    anew: &'a mut Option<Arc<CauchyPlan<T>>>,
    plan: impl FnOnce() -> Arc<CauchyPlan<T>>,
) -> &'a CauchyPlan<T> {
    let found = prepared.object.as_ref().and_then(|object| object.downcast_ref());
    found.unwrap_or_else(|| anew.insert(plan()))
}
